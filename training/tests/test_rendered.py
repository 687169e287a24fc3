import cv2
import numpy as np
import pytest

from tsedge_training import bank, data, rendered


def _draw(folder, region, key):
    """A red bar 60 x 40 px on a ground that grows brighter downwards, as the simulator's does."""
    image = np.repeat(np.linspace(90, 130, 96)[:, None, None], 96, 1) * np.ones(3)
    image[28:68, 18:78] = (20, 20, 200)
    file = folder / region / key / "000.png"
    file.parent.mkdir(parents=True)
    cv2.imwrite(str(file), image.astype(np.uint8))


def test_the_box_of_the_sign_is_found(tmp_path):
    _draw(tmp_path, "DE", "stop")
    image = data.read_rgb(tmp_path / "DE" / "stop" / "000.png")
    assert rendered.sign_box(image) == (18, 28, 60, 40)


def test_unknown_classes_are_left_out_and_regions_kept(tmp_path):
    for region, key in (("US", "stop"), ("DE", "yield"), ("DE", "no_such_class")):
        _draw(tmp_path, region, key)
    read = rendered.read(tmp_path, {"stop", "yield"})
    found = {(key, data.REGIONS[region]) for _, key, region in read}
    assert found == {("stop", "US"), ("yield", "DE")}


def test_the_bank_grows_by_the_rendered_pictures(tmp_path):
    _draw(tmp_path, "US", "stop")
    none = bank.Bank(
        np.zeros((1, 64, 64, 3), np.uint8), np.array(["background"]), np.array([-1]),
        np.array([bank.EMPTY]), np.array([True]), np.array([""]),
    )  # fmt: skip
    both = bank.with_rendered(none, tmp_path, {"stop"})
    assert both.keys.tolist() == ["background", "stop"]
    assert both.source.tolist() == [bank.EMPTY, bank.RENDERED]
    assert both.held_out.tolist() == [True, False]


def test_an_empty_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ValueError, match="simulate --crops"):
        rendered.files(tmp_path)
