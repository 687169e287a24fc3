import numpy as np

from tsedge_training import bank, lookalikes
from tsedge_training.catalogue import BACKGROUND
from tsedge_training.data import REGIONS


def test_lookalikes_join_the_bank_as_no_sign_in_every_region(rng):
    one = bank.Bank(
        np.zeros((1, 64, 64, 3), np.uint8), np.array(["speed_limit_30"]), np.array([0]),
        np.array([bank.PHOTO]), np.array([True]), np.array([""]),
    )  # fmt: skip
    grown = lookalikes.added_to(one, len(REGIONS), rng)
    assert grown.images.shape == (1 + len(REGIONS), 64, 64, 3)
    assert set(grown.keys[1:]) == {BACKGROUND} and set(grown.source[1:]) == {bank.EMPTY}
    assert set(grown.region[1:]) == set(range(len(REGIONS)))
    assert not grown.held_out[1:].any() and grown.keys[0] == "speed_limit_30"


def test_no_lookalike_is_like_another(rng):
    made = np.stack(lookalikes.pictures(12, rng)).astype(int)
    for i, one in enumerate(made):
        assert one.std() > 5
        assert all(np.abs(one - other).mean() > 3 for other in made[:i])
