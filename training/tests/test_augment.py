import numpy as np

from tsedge_training import augment
from tsedge_training.data import MARGIN, STORED_PX


def test_plain_fills_the_view_with_box_and_context():
    """The border of the sign's box lands where the runtime's crop puts it."""
    image = np.zeros((1, STORED_PX, STORED_PX, 3), np.uint8)
    edge = round(MARGIN * STORED_PX)
    image[:, edge:-edge, edge:-edge] = 255
    size = 48
    out = augment.plain(image, size)[0, size // 2, :, 0].astype(int)
    context_px = size * augment.CONTEXT / (1 + 2 * augment.CONTEXT)
    assert abs((out < 128).sum() / 2 - context_px) <= 1
    assert np.abs(out - out[::-1]).max() <= 1  # centred


def test_augment_changes_pictures_and_repeats_by_seed(rng):
    images = rng.integers(0, 256, (6, STORED_PX, STORED_PX, 3), np.uint8)
    first = augment.augment(images, 48, np.random.default_rng(5))
    again = augment.augment(images, 48, np.random.default_rng(5))
    other = augment.augment(images, 48, np.random.default_rng(6))
    assert first.shape == (6, 48, 48, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_augment_never_mirrors():
    """A bright left half stays left: arrows have a side."""
    image = np.full((40, STORED_PX, STORED_PX, 3), 30, np.uint8)
    image[:, :, : STORED_PX // 2] = 220
    out = augment.augment(image, 48, np.random.default_rng(0)).astype(float)
    assert (out[:, :, :16].mean((1, 2, 3)) > out[:, :, 32:].mean((1, 2, 3))).all()
