"""run.json: what made a result, so that it can be made again."""

import hashlib
import json
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch

from .catalogue import Catalogue
from .paths import REPOSITORY
from .recipes import Recipe

FILE = "run.json"


def write(out: Path, recipe: Recipe, catalogue: Catalogue, device: str, more: dict) -> None:
    """`more` must name the data by manifest_sha256."""
    requirements = REPOSITORY / "training" / "requirements.txt"
    record = {
        "recipe": asdict(recipe),
        "commit": commit(),
        "uncommitted_changes": bool(_git("status", "--porcelain", "training", "models/prompts")),
        "prompts_sha256": catalogue.sha256,
        "requirements_sha256": hashlib.sha256(requirements.read_bytes()).hexdigest(),
        "seed": recipe.seed,
        "device": f"{_device(device, recipe)}, torch {torch.__version__}",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    } | more
    _save(out, record)


def commit() -> str:
    return _git("rev-parse", "HEAD")


def _device(device: str, recipe: Recipe) -> str:
    if device == "cpu":
        return f"cpu, {recipe.threads} thread, {platform.machine()}"
    return torch.cuda.get_device_name(device)


def add_metrics(out: Path, metrics: dict) -> None:
    _save(out, read(out) | {"metrics": metrics})


def read(out: Path) -> dict:
    return json.loads((out / FILE).read_text(encoding="utf-8"))


def copy(run: Path, out: Path, more: dict) -> None:
    """The record of a run for a model derived from it; its figures are left behind."""
    _save(out, {k: v for k, v in read(run).items() if k != "metrics"} | more)


def recipe(out: Path) -> Recipe:
    return Recipe(**read(out)["recipe"])


def _save(out: Path, record: dict) -> None:
    (out / FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=REPOSITORY, capture_output=True, text=True)
    return done.stdout.strip()
