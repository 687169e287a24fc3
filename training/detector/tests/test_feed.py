"""Batches by worker processes, and a stock that travels."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from detector import drawn, stock
from detector.augment import AugmentConfig, Augmenter, Crop
from detector.feed import SLOTS, batches, padded
from detector.loss import OUTSIDE_PX
from detector.patches import Patch, distractor
from detector.scenes import Scene
from detector.stock import Stock

from . import synthetic


@pytest.fixture(scope="module")
def boards() -> list[Patch]:
    return drawn.boards(18, seed=5)


def augmenter(seed: int = 0) -> Augmenter:
    return Augmenter(synthetic.stock(4, seed=1), AugmentConfig(size_px=64), seed)


@pytest.mark.parametrize("workers", [0, 2])
def test_no_two_batches_are_alike(workers: int) -> None:
    """Each worker draws its own crops, and no slot is overwritten before it was read."""
    seen = set()
    feed = batches(augmenter(), 3, workers)
    for batch in itertools.islice(feed, 2 * workers * SLOTS + 2):
        assert batch.images.shape == (3, 64, 64, 3)
        assert batch.truth.boxes.shape[0] == 3
        seen.add(batch.images.numpy().tobytes())
    feed.close()
    assert len(seen) == 2 * workers * SLOTS + 2


def test_workers_give_boxes_with_their_pictures() -> None:
    """A scene that is one bright disc: its box lies where it is bright."""
    plain = synthetic.scenes(1, seed=1)[0]
    plain.image[:] = 0
    x0, y0, x1, y1 = plain.boxes[0].astype(int)
    plain.image[y0:y1, x0:x1] = 255
    config = AugmentConfig(
        size_px=96, aim_at_sign=1.0, paste_share=0.0, distractor_share=0.0, flat_share=0.0
    )
    feed = batches(Augmenter(Stock([plain]), config, 0), 4, workers=1)
    checked = 0
    for batch in itertools.islice(feed, 4):
        for image, boxes in zip(batch.images.numpy(), batch.truth.boxes.numpy(), strict=True):
            for left, top, right, bottom in boxes[boxes[:, 0] > OUTSIDE_PX].astype(int):
                inside = image[top:bottom, left:right].mean()
                assert inside > image.mean()
                checked += 1
    feed.close()
    assert checked >= 8


def test_padding_is_outside() -> None:
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    crops = [Crop(np.zeros(0), boxes, boxes[:0], True), Crop(np.zeros(0), boxes[:0], boxes, False)]
    signs, ignore, partly = padded(crops)
    assert (signs[0] == boxes).all() and (signs[1] == OUTSIDE_PX).all()
    assert (ignore[0] == OUTSIDE_PX).all() and (ignore[1] == boxes).all()
    assert partly.tolist() == [True, False]


def test_boards_are_wide_or_upright_and_filled(boards: list[Patch]) -> None:
    slimness = [patch.rgb.shape[1] / patch.rgb.shape[0] for patch in boards]
    assert max(slimness) > 2 and min(slimness) < 1.01
    for patch in boards:
        # No blank rows or columns around the drawing: the box is the board.
        solid = patch.alpha > 0.5
        assert solid.any(0).all() and solid.any(1).all()


def test_pasted_boards_are_signs(boards: list[Patch]) -> None:
    config = AugmentConfig(
        size_px=320, paste_share=1.0, board_share=1.0, distractor_share=0.0, stack_share=0.0
    )
    scene = Scene("empty", np.zeros((400, 400, 3), np.uint8))
    drawer = Augmenter(Stock([scene], drawings=boards, boards=boards), config, 0)
    crops = [drawer.draw() for _ in range(20)]
    sides = np.concatenate([crop.boxes[:, 2:] - crop.boxes[:, :2] for crop in crops])
    assert len(sides) > 20 and sides.max(1).max() > 110
    assert ((sides[:, 0] / sides[:, 1]) > 2).any()


def test_a_board_that_may_be_a_towns_is_no_background() -> None:
    rng = np.random.default_rng(0)
    shown = {patch.shows for patch in (distractor(rng) for _ in range(200))}
    assert shown == {"unclear", "background"}
    config = AugmentConfig(size_px=192, distractor_share=1.0, paste_share=0.0)
    drawer = Augmenter(Stock([Scene("empty", np.zeros((300, 300, 3), np.uint8))]), config, 0)
    crops = [drawer.draw() for _ in range(60)]
    assert sum(len(crop.ignore) for crop in crops) > 0
    assert sum(len(crop.boxes) for crop in crops) == 0


def test_a_stock_travels(boards: list[Patch], tmp_path: Path) -> None:
    packed = synthetic.stock(3, seed=1)
    packed.scenes[1].partly_labelled = True
    photo = Patch(packed.scenes[0].image[:40, :40], None, 0.9, True)
    packed.photos, packed.drawings, packed.boards = {"US": [photo]}, boards[:1], boards[1:]
    stock.write(packed, tmp_path)
    read = stock.read(tmp_path)
    assert str(read) == str(packed)
    for mine, theirs in zip(packed.scenes, read.scenes, strict=True):
        assert (mine.name, mine.partly_labelled) == (theirs.name, theirs.partly_labelled)
        assert np.allclose(mine.boxes, theirs.boxes)
        assert mine.image.shape == theirs.image.shape
    assert read.photos["US"][0].sign_share == 0.9 and read.photos["US"][0].alpha is None
    solid = boards[1].alpha > 0
    assert (read.boards[0].rgb[solid] == boards[1].rgb[solid]).all()
    assert np.allclose(read.boards[0].alpha, boards[1].alpha, atol=1 / 255)
    assert read.boards[0].sides_px == boards[1].sides_px
