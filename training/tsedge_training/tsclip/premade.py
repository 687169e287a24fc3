"""A file of augmented views. Without torch: the processes that fill it start at once."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ..augment import augment
from .pictures import EMPTY, TRAIN, Pictures

SIZE_PX = 80  # a stored picture has no more: recipes of other sizes take these, resized
COUNT = 8
CHUNK = 64


def learned(pictures: Pictures) -> np.ndarray:
    """Row numbers of all pictures that any task may learn from."""
    return np.flatnonzero((pictures.source != EMPTY) & (pictures.role == TRAIN))


def make(pictures: Pictures, file: Path, count: int = COUNT, processes: int = 1) -> None:
    """FILE holds [pictures of `learned`, count, size, size, 3] as u8."""
    rows = learned(pictures)
    shape = (len(rows), count, SIZE_PX, SIZE_PX, 3)
    partial = file.with_suffix(".partial")
    np.lib.format.open_memmap(partial, "w+", np.uint8, shape).flush()
    starts = range(0, len(rows), CHUNK)
    jobs = ((partial, i, pictures.images[rows[i : i + CHUNK]]) for i in starts)
    if processes == 1:
        list(map(_fill, jobs))
    else:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            list(pool.map(_fill, jobs))
    partial.rename(file)


def _fill(job: tuple[Path, int, np.ndarray]) -> None:
    file, start, images = job
    table = np.lib.format.open_memmap(file, "r+")
    rng = np.random.default_rng([0, start])
    for k in range(table.shape[1]):
        table[start : start + len(images), k] = augment(images, SIZE_PX, rng)
