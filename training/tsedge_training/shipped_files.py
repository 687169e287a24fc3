"""What the shipped files say of the model they came from: enough for packs, not for training."""

import tomllib
from pathlib import Path

import numpy as np
from safetensors import safe_open

from . import packs, text
from .catalogue import Catalogue
from .data import WORLD
from .matching import RowTable, row_table


def rows(models: Path, catalogue: Catalogue) -> tuple[RowTable, np.ndarray]:
    """Rows of today's sentences through the text head, then the WORLD pack's prototypes."""
    free = prototypes(models)
    table = row_table(catalogue, len(free) // 2)  # of background, and as many of other signs
    mean, matrix = text_head(models)
    made = (text.embed(table.sentences) - mean) @ matrix
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return table, np.concatenate([made, free]).astype(np.float32)


def text_head(models: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and matrix: row = normalise((embedding - mean) @ matrix)."""
    with safe_open(models / "text_head.safetensors", "numpy") as head:
        return head.get_tensor("mean"), head.get_tensor("matrix")


def prototypes(models: Path) -> np.ndarray:
    """Those of background, then as many of other signs."""
    return packs.read(models / "packs" / f"{WORLD}.safetensors").image


def card(models: Path) -> dict:
    return tomllib.loads((models / "encoder.toml").read_text(encoding="utf-8"))


def recipe(models: Path) -> str:
    return card(models)["provenance"]["recipe"]
