"""The pictures of the benchmark, read from the one file that `pack` makes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..parts import joined

PICTURES = "pictures.npz"
PX = 96
PHOTO, DRAWING, EMPTY, STYLED = range(4)
TRAIN, VALIDATION, TEST = range(3)
NOWHERE = -1


@dataclass(frozen=True)
class Pictures:
    """`label` counts the benchmark's classes (-1: no sign), `region` its regions (-1: none).

    `side_px` is the shorter side of the original crop. DRAWING are official drawings as they are,
    STYLED the same in the colours of many countries and our own: what the small encoder learns.
    """

    images: np.ndarray
    label: np.ndarray
    region: np.ndarray
    source: np.ndarray
    role: np.ndarray
    side_px: np.ndarray
    path: np.ndarray


def read(file: Path) -> Pictures:
    with np.load(joined(file)) as columns:
        table = {k: columns[k] for k in columns.files}
    jpeg, ends = table.pop("jpeg"), table.pop("ends")
    starts = np.r_[0, ends[:-1]]
    images = np.empty((len(ends), PX, PX, 3), np.uint8)

    def decode(i):
        coded = jpeg[starts[i] : ends[i]]
        rgb = cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        images[i] = cv2.resize(rgb, (PX, PX), interpolation=cv2.INTER_CUBIC)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(ends))))
    return Pictures(images, **table)
