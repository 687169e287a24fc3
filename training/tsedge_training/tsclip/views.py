"""Augmented views made beforehand: a GPU never waits for them, and all strategies see the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .pictures import Pictures
from .premade import learned


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
