"""The whole path in its small twin: train, export, read back, match."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tsedge_training import __main__ as commands
from tsedge_training import calibrate, packs, shipped_files
from tsedge_training.data import REGIONS
from tsedge_training.recipes import DEBUG

pytestmark = pytest.mark.data

CHANCE_PERCENT = 100 / 91


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    run, models = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("models")
    commands.run_training(DEBUG, run, start=None, drawn=None)
    commands.run_export(run, models)
    return run, models


def test_a_short_run_beats_chance_clearly(exported):
    run, _ = exported
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["recipe"]["name"] == "debug" and record["seed"] == DEBUG.seed
    assert len(record["manifest_sha256"]) == 64
    assert record["metrics"]["test"]["WORLD"]["top1"] > 10 * CHANCE_PERCENT


def test_export_writes_every_pack(exported):
    _, models = exported
    for region in ("WORLD", *REGIONS):
        pack = packs.read(models / "packs" / f"{region}.safetensors")
        assert pack.text.shape[1] == DEBUG.dim
        assert np.isfinite(pack.text).all()


def test_own_drawings_alone_make_models_under_no_terms_of_others(tmp_path, monkeypatch):
    run, models = tmp_path / "run", tmp_path / "models"
    monkeypatch.setattr(commands, "measure", lambda run: None)  # export judges as well
    commands.run_training(replace(DEBUG, images=20 * DEBUG.batch), run, own=True)
    commands.run_export(run, models, ["DE"])
    card = shipped_files.card(models)
    assert card["licence"] == packs.FREE and card["provenance"]["photos"] == []
    assert {file.stem for file in (models / "packs").iterdir()} == {"WORLD", "DE"}
    asked = packs.read(models / "packs/DE.safetensors").calibration.min_probability_of
    assert asked["stop"] >= calibrate.DRAWN_ONLY_MIN_PROBABILITY
