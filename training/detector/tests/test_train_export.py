"""A tiny run learns, and what is exported says the same as the net."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F

from detector import strips
from detector.augment import AugmentConfig, Augmenter
from detector.equalise import equalise
from detector.export import export_float, export_int8
from detector.inference import detect, letterbox, onnx_runner, onnx_session, torch_runner
from detector.network import Detector
from detector.recipe import RECIPES
from detector.stock import Stock
from detector.train import train

from . import synthetic


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Detector, list[float]]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe = RECIPES["debug"]
    net = Detector()
    augmenter = Augmenter(synthetic.stock(20, seed=1), recipe.augment, recipe.seed)
    out = tmp_path_factory.mktemp("run")
    losses = train(net, augmenter, recipe, out, bf16=False)
    net.load_state_dict(torch.load(out / "average.pt"))
    return net.eval(), losses


def test_loss_falls(trained: tuple[Detector, list[float]]) -> None:
    losses = trained[1]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_same_seed_same_crops() -> None:
    config = AugmentConfig(size_px=128)
    first, second = (Augmenter(synthetic.stock(4, seed=1), config, seed=5) for _ in range(2))
    for _ in range(8):
        a, b = first.draw(), second.draw()
        assert (a.image == b.image).all() and (a.boxes == b.boxes).all()


def test_crops_aim_at_hard_background() -> None:
    """A hard place is far more often in the middle of the crop than without aiming."""
    config = replace(AugmentConfig(size_px=64), min_scale=1.0, paste_share=0.0, flat_share=0.0)
    config = replace(config, distractor_share=0.0, aim_at_sign=0.0, aim_at_hard=1.0)
    scene = synthetic.scenes(1, seed=1)[0]
    scene.image[:] = 0
    scene.image[100:112, 150:162] = 255
    seen = []
    for hard in ([[150, 100, 162, 112]], []):
        scene.hard = np.array(hard, np.float32).reshape(-1, 4)
        augmenter = Augmenter(Stock([scene]), config, seed=0)
        seen.append(sum(np.ptp(augmenter.draw().image) > 150 for _ in range(40)))
    assert seen[0] > 2 * seen[1]


def test_boxes_follow_the_picture() -> None:
    """After cutting, scaling and flipping, a box still holds its disc's white middle."""
    config = replace(AugmentConfig(size_px=128), distractor_share=0.0, flat_share=0.0)
    augmenter = Augmenter(synthetic.stock(10, seed=3), config, seed=0)
    checked = 0
    for _ in range(60):
        crop = augmenter.draw()
        assert crop.image.shape == (128, 128, 3)
        for x0, y0, x1, y1 in crop.boxes.round().astype(int):
            if min(x0, y0) <= 1 or max(x1, y1) >= 127:
                continue
            middle = crop.image[(y0 + y1) // 2, (x0 + x1) // 2].mean()
            assert middle > crop.image.mean()
            checked += 1
    assert checked > 20


def test_float_export_equals_the_net(trained, tmp_path: Path) -> None:
    net, path = trained[0], tmp_path / "float.onnx"
    export_float(net, path)
    image, _ = letterbox(synthetic.scenes(1, seed=9)[0].image, 256)
    for mine, theirs in zip(torch_runner(net)(image), onnx_runner(path)(image), strict=True):
        assert np.allclose(mine, theirs, atol=1e-3)


def test_equalised_channels_say_the_same(trained) -> None:
    net = copy.deepcopy(trained[0]).requires_grad_(False)
    pictures = [letterbox(scene.image, 192)[0] for scene in synthetic.scenes(4, seed=2)]
    peaks = []
    # A depthwise convolution, with channels made unlike.
    layer = net.stage8[0][0]
    layer.scale[::2] *= 8
    layer.conv.bias[::2] *= 8
    layer.register_forward_hook(lambda m, i, out: peaks.append(out.amax((0, 2, 3))))
    before = torch_runner(net)(pictures[0])
    equalise(net, pictures)
    for mine, theirs in zip(torch_runner(net)(pictures[0]), before, strict=True):
        assert np.allclose(mine, theirs, rtol=1e-3, atol=1e-3)
    loud = peaks[0] > 0.01  # the others may say nothing at all
    assert loud.sum() > 2
    assert peaks[-1][loud].log().std() < 0.7 * peaks[0][loud].log().std()


def test_relu_fades_in() -> None:
    net, x = Detector(), torch.linspace(-3, 3, 7)
    for softness, wanted in ((1.0, F.silu(x)), (0.0, F.relu(x))):
        net.set_softness(softness)
        assert torch.equal(net.stem.activation(x.clone()), wanted)


def test_int8_export_takes_bytes_of_any_size_and_stays_close(trained, tmp_path: Path) -> None:
    net, path = trained[0], tmp_path / "int8.onnx"
    pictures = [letterbox(scene.image, 192)[0] for scene in synthetic.scenes(12, seed=2)]
    export_int8(net, path, pictures)
    image_input = onnx.load(path).graph.input[0]
    assert image_input.name == "image"
    assert image_input.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    dims = [d.dim_param or d.dim_value for d in image_input.type.tensor_type.shape.dim]
    assert dims == [1, 3, "height", "width"]
    fixed = onnx_session(path, (160, 192))
    free = onnx_runner(path)
    for picture in pictures[:3]:
        outputs = fixed.run(None, {"image": picture})
        assert [out.shape for out in outputs] == [(1, 5, 20, 24), (1, 5, 10, 12)]
        for a, b in zip(outputs, free(picture), strict=True):
            assert np.allclose(a, b)
        for quantised, exact in zip(outputs, torch_runner(net)(picture), strict=True):
            error = np.abs(quantised[:, 4] - exact[:, 4].clip(-7, 7))
            assert error.mean() < 0.25


def test_detections_come_in_frame_pixels() -> None:
    """A runner that marks one fixed input place: the answer scales with the frame."""

    def run(image: np.ndarray) -> list[np.ndarray]:
        height, width = image.shape[2:]
        outputs = [np.full((1, 5, height // s, width // s), -9.0, np.float32) for s in (8, 16)]
        outputs[0][0, :, 4, 6] = [0.5, 0.5, np.log(2), np.log(2), 3.0]
        return outputs

    frame = np.zeros((720, 1280, 3), np.uint8)
    (found,) = detect(run, frame, 640, 0.5)
    assert np.allclose(found[:4], [88, 56, 120, 88], atol=1e-3)


def test_letterbox_pads_right_and_below() -> None:
    image, scale = letterbox(np.full((720, 1280, 3), 200, np.uint8), 640)
    assert image.shape == (1, 3, 384, 640) and scale == 0.5
    assert (image[:, :, :360] == 200).all() and (image[:, :, 360:] == 114).all()


def test_strips_change_no_bit(trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [letterbox(scene.image, 192)[0] for scene in synthetic.scenes(4, seed=2)]
    with monkeypatch.context() as patch:
        patch.setattr(strips, "split", lambda model: None)
        export_int8(trained[0], tmp_path / "whole.onnx", pictures)
    model = onnx.load(tmp_path / "whole.onnx")
    strips.split(model)
    onnx.save(model, tmp_path / "strips.onnx")
    whole, parts = (onnx_runner(tmp_path / f"{name}.onnx") for name in ("whole", "strips"))
    rng = np.random.default_rng(0)
    for height, width in ((32, 64), (64, 32), (160, 320)):
        picture = rng.integers(0, 256, (1, 3, height, width), dtype=np.uint8)
        for a, b in zip(whole(picture), parts(picture), strict=True):
            assert (a == b).all()
