"""The full tower goes the way of the small encoder, and names easy signs."""

import tomllib

import numpy as np
import pytest

from tsedge_training import augment, cards, data, evaluate, packs, tower
from tsedge_training.paths import REPOSITORY

pytestmark = pytest.mark.data

EASY = ("stop", "parking")


@pytest.fixture(scope="module")
def made():
    out = REPOSITORY / ".tower"
    assert (out / "encoder.toml").is_file(), "make .tower/encoder.toml"
    return out


def test_card_and_pack_fit_the_graph(made):
    card = tomllib.loads((made / "encoder.toml").read_text(encoding="utf-8"))
    assert card["sha256"] == cards.sha256(made / "encoder.onnx")
    assert card["input"]["shape"] == [1, 3, 224, 224] and card["output"]["dim"] == 512
    assert card["provenance"]["held_out_top1_percent"] > 30


@pytest.mark.parametrize("key", EASY)
def test_easy_signs_get_their_name(made, root, key):
    """Photos of the test split, which taught nothing."""
    crops = [c for c in data.manifest(root) if c.split == "test" and c.key == key]
    crops = [c for c in crops if c.region in ("BE", "PL")][::5][:8]
    pictures = augment.plain(data.read_crops(root, crops), tower.SIZE_PX)
    pack = packs.read(made / "packs" / "WORLD.safetensors")
    verdict = pack.judge(evaluate.OnnxEncoder(made / "encoder.onnx")(pictures))
    right = np.array(pack.keys())[verdict.best] == key
    assert right.mean() >= 0.7
    assert (verdict.named & right).any()
