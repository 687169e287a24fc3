"""Box maths: decoding, overlap and suppression, on random boxes."""

import numpy as np
import pytest

from detector.boxes import decode, iou, non_maximum_suppression


def random_boxes(seed: int, count: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 200, (count, 2)), rng.uniform(4, 80, (count, 2))
    return np.c_[corner, corner + side, rng.uniform(0, 1, count)].astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_iou_is_symmetric_bounded_and_one_with_itself(seed: int) -> None:
    a, b = random_boxes(seed), random_boxes(seed + 100)
    overlap = iou(a, b)
    assert np.allclose(overlap, iou(b, a).T)
    assert (overlap >= 0).all() and (overlap <= 1 + 1e-6).all()
    assert np.allclose(np.diag(iou(a, a)), 1, atol=1e-5)


def test_iou_of_a_known_pair() -> None:
    a, b = np.array([[0, 0, 10, 10]]), np.array([[5, 0, 15, 10], [20, 20, 30, 30]])
    assert np.allclose(iou(a, b), [[1 / 3, 0]])


@pytest.mark.parametrize("seed", range(5))
def test_suppression_keeps_the_best_and_only_what_is_apart(seed: int) -> None:
    found = random_boxes(seed)
    kept = non_maximum_suppression(found, 0.5)
    assert kept[0, 4] == found[:, 4].max()
    overlap = iou(kept, kept) - np.eye(len(kept))
    assert overlap.max() <= 0.5 + 1e-5
    dropped = [box for box in found if not (kept == box).all(1).any()]
    for box in dropped:
        better = kept[kept[:, 4] >= box[4]]
        assert iou(box[None], better).max() > 0.5


def test_suppression_of_nothing_is_nothing() -> None:
    assert non_maximum_suppression(np.zeros((0, 5), np.float32), 0.5).shape == (0, 5)


def test_decode_gives_back_an_encoded_box() -> None:
    outputs = [np.zeros((1, 5, 12, 20), np.float32), np.zeros((1, 5, 6, 10), np.float32)]
    for output in outputs:
        output[:, 4] = -9
    row, column, stride = 7, 11, 8
    box = np.array([70.0, 50.0, 106.0, 74.0])
    centre, side = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    outputs[0][0, :, row, column] = [
        centre[0] / stride - column,
        centre[1] / stride - row,
        *np.log(side / stride),
        2.0,
    ]
    (found,) = decode(outputs, 0.5)
    assert np.allclose(found[:4], box, atol=1e-3)
    assert found[4] == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-5)
