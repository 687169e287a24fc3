import numpy as np
import pytest

from detector.evaluate import average_precision, operating_point, rank, recall
from detector.scenes import Scene

SIGNS = np.array([[10, 10, 34, 34], [100, 100, 114, 114]], np.float32)


def scene(ignore: list[list[float]] | None = None) -> Scene:
    blank = np.zeros((8, 8, 3), np.uint8)
    return Scene("x", blank, SIGNS, np.array(ignore or [], np.float32).reshape(-1, 4))


def found(*rows: tuple) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 5)


def test_all_found_is_perfect() -> None:
    ranking = rank([found((*SIGNS[0], 0.9), (*SIGNS[1], 0.8))], [scene()])
    assert average_precision(ranking) == pytest.approx(1)
    point = operating_point(ranking, 0.5)
    assert point["recall"] == 1 and point["recall_12_16_px"] == 1
    assert point["threshold"] == pytest.approx(0.8)


def test_a_second_box_on_a_sign_is_a_false_positive() -> None:
    ranking = rank([found((*SIGNS[0], 0.9), (*SIGNS[0], 0.7))], [scene()])
    assert list(ranking.sign_of) == [0, -1]
    assert average_precision(ranking) == pytest.approx(0.5)


def test_an_unlabelled_sign_counts_neither_way() -> None:
    extra = (200, 200, 230, 230)
    boxes = [found((*extra, 0.95), (*SIGNS[0], 0.9))]
    assert average_precision(rank(boxes, [scene()])) == pytest.approx(0.25)
    assert average_precision(rank(boxes, [scene([list(extra)])])) == pytest.approx(0.5)


def test_recall_counts_only_above_the_threshold() -> None:
    boxes = [found((*SIGNS[0], 0.9), (*SIGNS[1], 0.2))]
    assert recall(boxes, [scene()], 0.5) == 0.5
    assert recall(boxes, [scene()], 0.1) == 1.0
