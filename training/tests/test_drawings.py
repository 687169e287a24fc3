import numpy as np
import pytest

from tsedge_training import drawings, own_signs
from tsedge_training.catalogue import OTHER_SIGN

TABLE = {
    "classes": {"stop": ["regulatory--stop"], "animals": ["warning--*-animals"]},
    "unused": ["information--go-*"],
}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("regulatory--stop", "stop"),
        ("regulatory--stop-signals", OTHER_SIGN),
        ("warning--wild-animals", "animals"),
        ("regulatory--maximum-speed-limit-60", "speed_limit_60"),
        ("regulatory--maximum-speed-limit-led-60", "speed_limit_60"),
        ("regulatory--maximum-speed-limit-85", OTHER_SIGN),
        ("regulatory--truck-speed-limit-60", OTHER_SIGN),
        ("information--go-left", None),
    ],
)
def test_names_of_drawings_lead_to_classes(name, key):
    assert drawings.class_of(name, TABLE, {"stop", "animals", "speed_limit_60"}) == key


def test_numbers_differ_and_a_number_is_drawn_in_many_ways():
    def drawn(value, seed):
        svg = own_signs.speed_ring(np.random.default_rng(seed), value)
        return drawings.render(svg, longest_px=64)[..., :3].astype(int)

    assert np.abs(drawn(60, 1) - drawn(80, 1)).mean() > 1
    assert np.abs(drawn(60, 1) - drawn(60, 2)).mean() > 1


@pytest.mark.parametrize("value", [5, 40, 130])
def test_every_maker_draws_something(value, rng):
    makers = (own_signs.speed_ring, own_signs.speed_ring_jp, own_signs.speed_led)
    for make in (*makers, own_signs.speed_plate):
        assert drawings.render(make(rng, value)).std() > 20


def test_pasting_keeps_the_margin_and_covers_the_middle(rng):
    red = np.zeros((40, 40, 4), np.uint8)
    red[...] = (255, 0, 0, 255)
    grey = np.full((30, 30, 3), 128, np.uint8)
    out = drawings.paste(red, grey, rng, 64, 0.1).astype(int)
    assert (out[:4] == 128).all() and (out[-4:] == 128).all()
    middle = out[24:40, 24:40]
    assert (middle[..., 0] > middle[..., 1]).all()
