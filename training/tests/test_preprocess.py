"""The reference crop agrees with Pillow, and the golden file with the reference."""

import json

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from tsedge_training import golden, preprocess
from tsedge_training.cards import sha256
from tsedge_training.evaluate import OnnxEncoder
from tsedge_training.paths import MODELS

GOLDEN = MODELS / "golden" / "preprocess.safetensors"
BOXES = [
    (0, 0, 90, 70),
    (10.3, 4.7, 21.9, 60.2),
    (80, 60, 90, 70),
    (-8, -8, 20, 20),
    (33.25, 20.5, 39.75, 27.25),
]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [16, 48])
def test_rgb_agrees_with_pillow(box, size, rng):
    image = rng.integers(0, 256, (70, 90, 3), np.uint8)
    ours = preprocess.from_rgb(image, box, size, context=0.05)
    grown = preprocess.grown(box, 0.05, 90, 70)
    pillow = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=grown)
    difference = ours.astype(int) - np.asarray(pillow).transpose(2, 0, 1)
    # Pillow rounds after each of its two passes.
    assert np.abs(difference).max() <= 1


def test_the_box_grows_and_stays_in_the_frame():
    assert preprocess.grown((10, 20, 30, 60), 0.05, 100, 61) == (9, 18, 31, 61)


@pytest.mark.parametrize("matrix", preprocess.MATRICES)
@pytest.mark.parametrize("span", ["limited", "full"])
def test_grey_and_white_keep_their_value(matrix, span):
    colour = preprocess.Colour(matrix, span)
    white, black = (235, 16) if span == "limited" else (255, 0)
    for y, expected in ((white, 255), (black, 0)):
        planes = (np.full((1, 1), float(v)) for v in (y, 128, 128))
        assert preprocess.to_u8(preprocess.to_rgb(*planes, colour)).tolist() == [[[expected]]] * 3


def test_limited_bt601_red():
    """Y 81, U 90, V 240 is full red (ITU-R BT.601)."""
    planes = (np.full((1, 1), float(v)) for v in (81, 90, 240))
    rgb = preprocess.to_rgb(*planes, preprocess.Colour("bt601", "limited")).ravel()
    assert np.abs(rgb - [255, 0, 0]).max() < 2


def test_golden_file_is_what_the_reference_makes():
    with safe_open(GOLDEN, "numpy") as file:
        cases = json.loads(file.metadata()["cases"])
        assert len(cases) == len(golden.CASES) >= 6
        for i, case in enumerate(cases):
            y, u, v, box, expected = (
                file.get_tensor(f"{name}_{i}") for name in ("y", "u", "v", "box", "expected")
            )
            made = preprocess.from_yuv420(
                y, u, v, tuple(box.tolist()), case["size"], case["context"],
                preprocess.Colour(case["matrix"], case["range"]),
            )  # fmt: skip
            assert np.array_equal(made, expected), f"case {i}"


def test_golden_embeddings_are_those_of_the_shipped_encoder():
    encoder = OnnxEncoder(MODELS / "encoder.onnx")
    with safe_open(GOLDEN, "numpy") as file:
        assert file.metadata()["encoder_sha256"] == sha256(MODELS / "encoder.onnx")
        seen = 0
        for name in file.keys():
            if name.startswith("embedding_"):
                expected = file.get_tensor(name.replace("embedding", "expected"))
                made = encoder(expected.transpose(1, 2, 0)[None])[0]
                assert made @ file.get_tensor(name) > 0.999
                seen += 1
    assert seen >= 4
