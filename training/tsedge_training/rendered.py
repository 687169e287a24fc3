"""Pictures that `tsedge simulate --crops` draws: FOLDER/<region>/<class>/NNN.png, one sign each."""

import hashlib
from pathlib import Path

import numpy as np

from . import data

GROUND_DIFFERENCE = 45  # of 3 x 255: more than the grain of the flat ground


def files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*/*/*.png"))
    if not found:
        raise ValueError(f"{folder}: no */*/*.png; draw them by `tsedge simulate --crops {folder}`")
    return found


def read(folder: Path, known: set[str]) -> list[tuple[np.ndarray, str, int]]:
    """(square picture cut as a detector would, class, number of the region) of known classes."""
    out = []
    for file in files(folder):
        key, region = file.parent.name, file.parent.parent.name
        if key in known and region in data.REGIONS:
            image = data.read_rgb(file)
            out.append((data.cut(image, sign_box(image)), key, data.REGIONS.index(region)))
    return out


def sign_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """Where a row differs from its own ends, which show the ground, as x, y, width, height."""
    ends = np.concatenate([image[:, :4], image[:, -4:]], axis=1)
    differs = np.abs(image - np.median(ends, axis=1, keepdims=True)).sum(-1) > GROUND_DIFFERENCE
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    return columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1


def fingerprint(folder: Path) -> dict:
    """What run.json keeps of the folder."""
    digest = hashlib.sha256()
    found = files(folder)
    for file in found:
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return {"pictures": len(found), "sha256": digest.hexdigest()}
