"""Augmented views made beforehand: a GPU never waits for them, and all strategies see the same."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..augment import augment
from .pictures import DRAWING, PHOTO, TRAIN, Pictures

SIZE_PX = 80  # a stored picture has no more: recipes of other sizes take these, resized
COUNT = 8
CHUNK = 64


def learned(pictures: Pictures) -> np.ndarray:
    """Row numbers of all pictures that any task may learn from."""
    signs = np.isin(pictures.source, (PHOTO, DRAWING))
    return np.flatnonzero(signs & (pictures.role == TRAIN))


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


@dataclass(frozen=True)
class Views:
    """`table` [M, K, S, S, 3]; `place` says where in it a picture is (-1: nowhere)."""

    table: torch.Tensor
    place: np.ndarray

    def batches(
        self,
        label: np.ndarray,
        chosen: np.ndarray,
        weights: np.ndarray,
        steps: int,
        batch: int,
        size_px: int,
        seed: int,
    ) -> Iterator[tuple[torch.Tensor, ...]]:
        """Pixels, labels, and the place and number of each view; nothing waits for the device."""
        rng = np.random.default_rng(seed)
        rows = rng.choice(chosen, (steps, batch), p=weights)
        number = rng.integers(0, self.table.shape[1], (steps, batch))
        device = self.table.device
        drawn = (label[rows].astype(np.int64), self.place[rows], number)
        for labels, place, k in zip(*(torch.from_numpy(d).to(device) for d in drawn), strict=True):
            yield resized(self.table[place, k].permute(0, 3, 1, 2), size_px), labels, place, k


def read(file: Path, pictures: Pictures, device: torch.device) -> Views:
    """On a GPU they lie in its memory, else in the file."""
    table = torch.from_numpy(np.load(file, mmap_mode="c")).to(device)
    place = np.full(len(pictures.label), -1, np.int64)
    rows = learned(pictures)
    if len(rows) != len(table):
        raise ValueError(f"{file}: views of {len(table)} pictures, not {len(rows)}; make it again")
    place[rows] = np.arange(len(rows))
    return Views(table, place)


def resized(pixels: torch.Tensor, size_px: int) -> torch.Tensor:
    """By the same plain bilinear steps as the runtime cuts."""
    if pixels.shape[-1] == size_px:
        return pixels
    return F.interpolate(pixels.float(), (size_px, size_px), mode="bilinear")
