import cv2
import numpy as np
import pytest

from tsedge_training import bank, data, new_region


@pytest.fixture
def folder(tmp_path, rng):
    """Three pictures of each of 40 signs in two classes, and of scenery."""
    for key in ("stop", "yield", bank.BACKGROUND):
        (tmp_path / key).mkdir()
        for sign in range(40):
            for picture in range(3):
                pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
                cv2.imwrite(str(tmp_path / key / f"{sign:03}_{picture}.png"), pixels)
    return tmp_path


def empty_bank():
    none = np.array([-1])
    return bank.Bank(
        np.zeros((1, 64, 64, 3), np.uint8), np.array(["background"]), none,
        np.array([bank.EMPTY]), np.array([False]), np.array([""]),
    )  # fmt: skip


def test_no_sign_is_both_learned_from_and_judged(folder):
    learned, judged = new_region.split(new_region.listed(folder, "_"))
    assert len(learned) + len(judged) == 360
    assert 0.2 < len(judged) / 360 < 0.4
    assert not {c.track for c in learned} & {c.track for c in judged}
    assert all(len(c.track.split("/")[1]) == 3 for c in learned)


def test_crops_become_photos_of_the_region_and_scenery_stays_scenery(folder):
    crops = new_region.listed(folder)
    grown = new_region.added_to(empty_bank(), crops, "SE", 0.05, {"stop", "yield", "background"})
    signs = grown.source == bank.PHOTO
    assert len(grown.keys) == 361
    assert set(grown.keys[signs]) == {"stop", "yield"}
    assert set(grown.region[signs]) == {data.REGIONS.index("SE")}
    assert (grown.region[~signs] == -1).all()
    assert grown.images.shape == (361, 64, 64, 3)


def test_a_crop_is_cut_with_the_surround_that_training_has(tmp_path):
    image = np.full((100, 100, 3), 255, np.uint8)
    image[5:95, 5:95] = 0  # a sign with a margin of .05
    (tmp_path / "stop").mkdir()
    cv2.imwrite(str(tmp_path / "stop" / "1.png"), image)
    grown = new_region.added_to(
        empty_bank(), new_region.listed(tmp_path), "SE", 0.05, {"stop", "background"}
    )
    dark = grown.images[1].mean(-1) < 128
    assert abs(dark.mean() - (1 - 2 * data.MARGIN) ** 2) < 0.05


def test_an_unknown_class_and_an_empty_folder_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match="yield"):
        new_region.added_to(
            empty_bank(), new_region.listed(folder), "SE", 0.05, {"stop", "background"}
        )
    with pytest.raises(ValueError, match="folder for each class"):
        new_region.listed(tmp_path / "stop")
