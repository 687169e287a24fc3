"""The files in models/ and models/drawn belong together and to the catalogue."""

import numpy as np
import pytest
from safetensors import safe_open

from tsedge_training import cards, evaluate, packs, shipped_files
from tsedge_training.data import PHOTO_REGIONS, REGIONS, WORLD
from tsedge_training.paths import MODELS

DRAWN = MODELS / "drawn"  # learned from our own drawings alone
LEAST_TOP1_PERCENT = 96.0
MOST_WRONG_NAMES_PERCENT = 1.5
PACKS = [(MODELS, r) for r in (WORLD, *REGIONS)] + [(DRAWN, r) for r in (WORLD, *PHOTO_REGIONS)]
each_pack = pytest.mark.parametrize(("models", "region"), PACKS, ids=lambda part: str(part)[-5:])


@pytest.fixture(scope="module")
def encoder():
    return evaluate.OnnxEncoder(MODELS / "encoder.onnx")


def pack_file(region, models=MODELS):
    return models / "packs" / f"{region}.safetensors"


@pytest.mark.parametrize("models", [MODELS, DRAWN], ids=["shipped", "drawn"])
def test_the_card_describes_the_file(models):
    card, encoder = shipped_files.card(models), evaluate.OnnxEncoder(models / "encoder.onnx")
    file = models / card["file"]
    assert card["sha256"] == cards.sha256(file)
    assert card["size_bytes"] == file.stat().st_size
    entry, exit_ = encoder.session.get_inputs()[0], encoder.session.get_outputs()[0]
    assert (entry.name, entry.type, entry.shape) == (
        "image",
        "tensor(uint8)",
        card["input"]["shape"],
    )
    assert (exit_.name, exit_.shape) == ("embedding", [1, card["output"]["dim"]])


def test_the_encoder_gives_unit_embeddings(encoder, rng):
    pictures = rng.integers(0, 256, (3, encoder.size_px, encoder.size_px, 3), np.uint8)
    assert np.abs(np.linalg.norm(encoder(pictures), axis=1) - 1).max() < 1e-3


@each_pack
def test_a_pack_fits_encoder_and_catalogue(models, region, prompts):
    card = shipped_files.card(models)
    with safe_open(pack_file(region, models), "numpy") as file:
        metadata = file.metadata()
    assert metadata["encoder_sha256"] == card["sha256"]
    assert metadata["prompts_sha256"] == prompts.sha256
    assert metadata["licence"] == card["licence"]
    pack = packs.read(pack_file(region, models))
    expected = prompts.world if region == WORLD else prompts.regions[region]
    assert pack.classes == packs.class_table(expected)
    assert pack.rules == expected.rules
    assert pack.text.shape[1] == card["output"]["dim"]
    rows = np.concatenate([pack.text, pack.image])
    assert np.abs(np.linalg.norm(rows, axis=1) - 1).max() < 1e-4
    assert np.bincount(pack.class_of, minlength=len(pack.classes)).min() >= 2
    families = {pack.classes[c]["family"] for c in pack.image_class_of}
    assert families == {"background", "other_sign"}
    assert pack.calibration.scale > 1
    assert 0.5 <= pack.calibration.min_probability < 1


@pytest.fixture(scope="module")
def made(prompts):
    return {models: shipped_files.rows(models, prompts) for models in (MODELS, DRAWN)}


@each_pack
def test_a_pack_s_rows_are_today_s_sentences(models, region, made):
    table, rows = made[models]
    pack = packs.read(pack_file(region, models))
    wanted = rows[[row for row, _ in table.rows_of(region)]]
    assert np.abs(np.concatenate([pack.text, pack.image]) - wanted).max() < 1e-4


@pytest.fixture(scope="module")
def crops(encoder, root):
    return evaluate.test_crops(encoder, root)


@pytest.mark.data
@pytest.mark.parametrize("region", PHOTO_REGIONS)
def test_signs_are_named_in_every_region(region, crops):
    figures = evaluate.of_region(crops, packs.read(pack_file(region)))
    assert figures["top1"] >= LEAST_TOP1_PERCENT
    assert figures["named_wrong"] <= MOST_WRONG_NAMES_PERCENT


def test_what_learned_from_drawings_alone_is_under_no_terms_of_others():
    card = shipped_files.card(DRAWN)
    sources = card["provenance"]
    assert sources["photos"] == [] and card["licence"] == packs.FREE
    assert "mapillary" not in sources["drawings"] and "GTSDB" not in sources["drawings"]
    assert shipped_files.card(MODELS)["licence"] == packs.LICENCE


@pytest.mark.data
def test_drawings_alone_name_most_photos(root):
    encoder = evaluate.OnnxEncoder(DRAWN / "encoder.onnx")
    figures = evaluate.of_region(
        evaluate.test_crops(encoder, root), packs.read(pack_file(WORLD, DRAWN))
    )
    assert figures["top1"] >= 65 and figures["named_wrong"] <= 3


@pytest.mark.data
def test_scenery_gets_no_name(encoder, root):
    figures = evaluate.of_scenery(
        evaluate.scenery(encoder, root, count=1000), packs.read(pack_file(WORLD))
    )
    assert figures["false_names"] <= 0.5
