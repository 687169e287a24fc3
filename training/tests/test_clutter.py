import numpy as np

from tsedge_training import clutter


def test_patches_keep_clear_of_signs(rng):
    """The only bright thing of the frame is its sign: no patch may show it."""
    scene = np.zeros((400, 600, 3), np.uint8)
    scene[180:260, 300:380] = 255
    boxes = [((300, 180, 80, 80), "stop")]
    assert max(clutter.patch(scene, boxes, rng).max() for _ in range(300)) == 0


def test_a_frame_full_of_sign_still_gives_a_patch(rng):
    scene = np.full((120, 100, 3), 90, np.uint8)
    boxes = [((5, 5, 90, 100), "stop")]
    assert clutter.patch(scene, boxes, rng).shape == (64, 64, 3)


def test_half_of_the_patches_are_of_the_road(rng):
    scene = np.zeros((800, 800, 3), np.uint8)
    scene[400:] = 255
    road = np.mean([clutter.patch(scene, [], rng).min() == 255 for _ in range(400)])
    assert 0.55 < road < 0.85  # and the half of the other ones that fall there
