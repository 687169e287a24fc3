"""Figures of predictions, as pure functions."""

import numpy as np


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    scores = []
    for key in np.unique(truth):
        both = ((truth == key) & (predicted == key)).sum()
        scores.append(2 * both / ((truth == key).sum() + (predicted == key).sum()))
    return float(np.mean(scores))


def calibration_error(probability: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error over equal bins of probability."""
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    gap = 0.0
    for b in np.unique(bin_of):
        mine = bin_of == b
        gap += mine.mean() * abs(probability[mine].mean() - right[mine].mean())
    return float(gap)
