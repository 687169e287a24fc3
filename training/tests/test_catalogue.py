import pytest

from tsedge_training import catalogue
from tsedge_training.catalogue import BACKGROUND, OTHER_SIGN
from tsedge_training.data import REGIONS

ALWAYS = {"stop", "no_entry", "children", "road_work", BACKGROUND, OTHER_SIGN}


def test_every_region_is_there_and_part_of_the_world(prompts):
    assert set(REGIONS) <= set(prompts.regions)
    for region in prompts.regions.values():
        assert ALWAYS <= set(region.keys()) <= set(prompts.keys())


def test_every_class_has_two_sentences_of_its_own(prompts):
    for region in (prompts.world, *prompts.regions.values()):
        owner = {}
        for sign in region.classes:
            assert len(set(sign.sentences)) >= 2, f"{region.code} {sign.key}"
            for sentence in sign.sentences:
                assert "{" not in sentence
                other = owner.setdefault(sentence, sign.key)
                assert other == sign.key, (
                    f"{region.code}: {other} and {sign.key} share {sentence!r}"
                )


def test_speed_limits_carry_value_and_unit(prompts):
    american = {c.key: c for c in prompts.regions["US"].classes}
    assert (american["speed_limit_40"].value, american["speed_limit_40"].unit) == (40, "mph")
    assert {f"speed_limit_{v}" for v in range(5, 80, 5)} <= set(american)
    german = {c.key: c for c in prompts.regions["DE"].classes}
    assert (german["speed_limit_130"].value, german["speed_limit_130"].unit) == (130, "km/h")
    assert german["speed_limit_60"].national_code == "274-60"
    assert "speed_limit_45" not in german


def test_a_region_changes_the_look(prompts):
    def sentences(region, key):
        return next(c for c in prompts.regions[region].classes if c.key == key).sentences

    assert "yellow diamond" in sentences("US", "curve_left")[0]
    assert "red border" in sentences("DE", "curve_left")[0]
    assert "SPEED LIMIT above the black number 35" in sentences("US", "speed_limit_35")[0]


def test_a_class_that_is_not_in_the_world_is_refused(tmp_path):
    for name in ("WORLD", "DE"):
        text = (catalogue.PROMPTS / f"{name}.toml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    with open(tmp_path / "DE.toml", "a", encoding="utf-8") as file:
        file.write('\n[classes.no_dragons]\ncode = "1"\n')
    with pytest.raises(ValueError, match="DE.toml.*no_dragons"):
        catalogue.load(tmp_path)


def test_every_region_has_rules_with_a_source(prompts):
    assert prompts.world.rules is None
    for region in prompts.regions.values():
        rules = region.rules
        assert rules["source"] and rules["side"] in ("right", "left")
        assert {c.unit for c in region.classes if c.family == "speed_limit"} == {rules["unit"]}


def test_rules_in_another_unit_than_the_signs_are_refused(tmp_path):
    for name in ("WORLD", "US"):
        text = (catalogue.PROMPTS / f"{name}.toml").read_text(encoding="utf-8")
        (tmp_path / f"{name}.toml").write_text(text.replace('unit = "mph"', 'unit = "km/h"', 1))
    with pytest.raises(ValueError, match="US.toml: rules.unit is 'mph', speed_unit 'km/h'"):
        catalogue.load(tmp_path)


MPH = {"US", "GB"}


def test_every_file_loads_under_its_own_name(prompts):
    files = {file.stem for file in catalogue.PROMPTS.glob("*.toml")}
    assert files == set(prompts.regions) | {"WORLD"}


def test_units_limits_labels_and_codes_are_sound(prompts):
    for region in prompts.regions.values():
        limits = [c for c in region.classes if c.family == "speed_limit"]
        assert {c.unit for c in limits} == {"mph" if region.code in MPH else "km/h"}, region.code
        values = [c.value for c in limits]
        assert values == sorted(set(values)) and all(v % 5 == 0 for v in values), region.code
        assert all(c.label_local.strip() for c in region.classes), region.code
        codes = [c.national_code for c in region.classes if c.family != "speed_limit"]
        codes = [c for c in codes if c] + list({c.national_code for c in limits if c.national_code})
        assert len(codes) == len(set(codes)), (region.code, sorted(codes))
