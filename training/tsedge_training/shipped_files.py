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
    prototypes = packs.read(models / "packs" / f"{WORLD}.safetensors").image
    table = row_table(catalogue, len(prototypes) // 2)  # of background, and as many of other signs
    with safe_open(models / "text_head.safetensors", "numpy") as head:
        mean, matrix = head.get_tensor("mean"), head.get_tensor("matrix")
    made = (text.embed(table.sentences) - mean) @ matrix
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return table, np.concatenate([made, prototypes]).astype(np.float32)


def recipe(models: Path) -> str:
    card = tomllib.loads((models / "encoder.toml").read_text(encoding="utf-8"))
    return card["provenance"]["recipe"]
