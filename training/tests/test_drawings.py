import numpy as np
import pytest

from tsedge_training import bank, confusers, drawings, own_signs, pictograms, styles
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
    for make in (*makers, own_signs.speed_plate, own_signs.speed_ring_arabic):
        assert drawings.render(make(rng, value)).std() > 20


def test_pasting_keeps_the_margin_and_covers_the_middle(rng):
    red = np.zeros((40, 40, 4), np.uint8)
    red[...] = (255, 0, 0, 255)
    grey = np.full((30, 30, 3), 128, np.uint8)
    out = drawings.paste(red, grey, rng, 64, 0.1).astype(int)
    assert (out[:4] == 128).all() and (out[-4:] == 128).all()
    middle = out[24:40, 24:40]
    assert (middle[..., 0] > middle[..., 1]).all()


@pytest.mark.parametrize(
    "make",
    [confusers.height_limit, confusers.width_limit, confusers.weight_limit, confusers.end_of_limit,
     confusers.route_shield, confusers.number_board, pictograms.stop, pictograms.give_way,
     pictograms.no_overtaking, pictograms.no_trucks, pictograms.no_buses,
     pictograms.pedestrian_crossing, pictograms.children],
)  # fmt: skip
def test_every_sign_of_our_own_is_drawn(make, rng):
    for _ in range(6):
        assert drawings.render(make(rng), longest_px=48)[..., :3].std() > 20


def test_an_arrow_points_to_the_side_to_keep_to():
    for seed in range(8):
        for right in (True, False):
            svg = pictograms.keep(np.random.default_rng(seed), right)
            picture = drawings.render(svg, longest_px=64)
            white = picture[12:52, 12:52, :3].min(-1) > 200
            upper, lower = (np.nonzero(part)[1].mean() for part in (white[:20], white[20:]))
            assert (lower > upper) == right


def test_a_word_sign_looks_as_its_prompt_says():
    grounds = {"red": 0, "green": 1, "blue": 2}
    checked = 0
    for seed in range(60):
        svg, prompt = confusers.word_sign(np.random.default_rng(seed))
        ground, shape = prompt.split()[1:3]
        picture = drawings.render(svg, longest_px=64)
        if shape in ("circle", "diamond", "octagon"):
            assert picture[1, 1, 3] == 0, prompt
        if ground in grounds and shape == "square":
            middle = picture[20:44, 12, :3].mean(0)
            assert middle.argmax() == grounds[ground], prompt
            checked += 1
    assert checked > 1


def test_a_restyled_sign_keeps_its_form_and_changes_its_colours(rng):
    red, white = (200, 20, 30, 255), (250, 250, 250, 255)
    sign = np.full((60, 60, 4), red, np.uint8)
    sign[12:48, 12:48] = white
    seen = {tuple(styles.restyled(sign, "animals", "warning", rng)[30, 30, :3]) for _ in range(40)}
    assert len(seen) > 10 and all(red > blue for red, _, blue in seen - {white[:3]})
    assert (styles.restyled(sign, "animals", "warning", rng)[..., 3] == 255).all()


def test_a_caption_is_the_name_in_words():
    name = "warning--low-flying-aircraft--g1"
    assert bank.caption_of(name) == "warning sign: low flying aircraft"
