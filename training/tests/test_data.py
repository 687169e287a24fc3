"""The data folder is read as it should be, and nothing that judges is trained on."""

import numpy as np
import pytest

from tsedge_training import bank, data, paths
from tsedge_training.recipes import DEBUG

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def pictures(root, prompts):
    return bank.load(root, prompts, DEBUG.drawings_per_class, DEBUG.empty_pictures, DEBUG.seed)


def test_every_region_has_training_and_test_crops(root):
    crops = data.manifest(root)
    for region in data.PHOTO_REGIONS:
        assert {c.split for c in crops if c.region == region} == {"train", "test"}


def test_dropped_crops_are_training_crops(root):
    train = {c.path for c in data.manifest(root) if c.split == "train"}
    listed = [
        line
        for line in bank.DROPPED.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert listed and set(listed) <= train


def test_the_bank_holds_the_training_split_only(root, pictures):
    photos = (pictures.source == bank.PHOTO).sum()
    train = sum(c.split == "train" for c in data.manifest(root))
    assert 0.95 * train < photos <= train


def test_every_class_has_pictures(pictures, prompts):
    assert set(prompts.keys()) <= set(np.unique(pictures.keys))


def test_frames_that_judge_the_detector_are_kept_apart(root):
    train = {f.path.name for f in data.gtsdb_frames(root, judged=False)}
    judged = {f.path.name for f in data.gtsdb_frames(root, judged=True)}
    assert not train & judged and min(judged) == "00500.jpg"


def test_tracks_are_not_split(root):
    """Pictures of one GTSRB sign are all held out or all trained on."""
    sides = {}
    for crop in data.manifest(root):
        if crop.path.startswith("DE/train"):
            sides.setdefault(crop.track, set()).add(data.held_out(crop.track))
    assert len(sides) < 2500 and all(len(side) == 1 for side in sides.values())
    share = sum(side == {True} for side in sides.values()) / len(sides)
    assert 0.04 < share < 0.13


def test_a_missing_data_folder_is_named(monkeypatch):
    monkeypatch.delenv("TSEDGE_DATA")
    with pytest.raises(RuntimeError, match="TSEDGE_DATA is not set"):
        paths.data_root()


def test_an_overlap_is_small_beside_a_sign(rng):
    for _ in range(200):
        x, y, width, height = bank._beside((100, 100, 40, 40), rng)
        shared = max(0, 40 - abs(x - 100)) * max(0, 40 - abs(y - 100))
        assert shared / (2 * 1600 - shared) < 0.3
        assert (width, height) == (40, 40)


def test_a_left_out_region_keeps_drawings_only(pictures):
    left = bank.without(pictures, ["CN"])
    mine = left.region == data.REGIONS.index("CN")
    assert not np.isin(left.source[mine], (bank.PHOTO, bank.FRAME_SIGN)).any()
    gone = (pictures.region == data.REGIONS.index("CN")) & (pictures.source == bank.PHOTO)
    assert len(pictures.keys) - len(left.keys) == gone.sum() > 2000
