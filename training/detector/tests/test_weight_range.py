import numpy as np
import pytest

from detector.weight_range import ranges


@pytest.mark.parametrize("shape", [(40, 33, 1, 1), (16, 3, 4, 4)])
def test_no_pair_of_weights_can_saturate(shape: tuple[int, ...]):
    kernel = np.random.default_rng(1).standard_cauchy(shape)
    steps = np.round(kernel * (127 / ranges(kernel, False))[:, None, None, None])
    assert np.abs(steps).max() <= 127
    flat = steps.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
    flat = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2)))
    pairs = 255 * flat.reshape(len(flat), -1, 2)
    assert np.minimum(pairs, 0).sum(2).min() >= -(2**15)
    assert np.maximum(pairs, 0).sum(2).max() < 2**15


def test_a_channel_gives_up_no_more_than_it_must():
    kernel = np.array([[1.0, -1.0, 0.5, 0.25], [1.0, 0.5, 0.0, 0.0]])[:, :, None, None]
    assert ranges(kernel, False).tolist() == [1.0, 1.5]
    assert ranges(kernel, True).tolist() == [1.0, 1.0]
