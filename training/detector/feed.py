"""Batches of crops for the training loop, drawn here or by worker processes.

Workers share the scenes by fork and put their crops into anonymous shared memory, of which there
is enough where /dev/shm is small, as in containers; the loader carries only the boxes.
"""

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .augment import Augmenter, Crop
from .loss import OUTSIDE_PX, Truth

AHEAD = 3  # batches that a worker may be ahead
# The loader asks for one more batch when it hands one out, and that one is read until the next.
SLOTS = AHEAD + 1


@dataclass
class Batch:
    images: Tensor  # u8 [B, H, W, 3]
    truth: Truth


def batches(augmenter: Augmenter, size: int, workers: int = 0) -> Iterator[Batch]:
    """Without end; a batch's images are good until the next one is taken."""
    if workers == 0:
        while True:
            crops = [augmenter.draw() for _ in range(size)]
            images = torch.from_numpy(np.stack([crop.image for crop in crops]))
            yield Batch(images, Truth(*_tensors(padded(crops))))
    crops = _Crops(augmenter, size, workers)
    loader = DataLoader(
        crops,
        batch_size=None,
        collate_fn=_as_they_are,  # tensors would travel through /dev/shm
        num_workers=workers,
        prefetch_factor=AHEAD,
        multiprocessing_context="fork",
    )
    for worker, slot, parts in loader:
        yield Batch(torch.from_numpy(crops.images[worker, slot]), Truth(*_tensors(parts)))


class _Crops(IterableDataset):
    def __init__(self, augmenter: Augmenter, size: int, workers: int):
        side = augmenter.config.size_px
        shape = (workers, SLOTS, size, side, side, 3)
        shared = mmap.mmap(-1, int(np.prod(shape)))
        self.images = np.frombuffer(shared, np.uint8).reshape(shape)
        self.augmenter, self.size = augmenter, size

    def __iter__(self) -> Iterator[tuple]:
        os.nice(5)  # the training loop goes first
        worker = get_worker_info().id
        self.augmenter.rng = self.augmenter.rng.spawn(worker + 1)[worker]
        made = 0
        while True:
            slot = made % SLOTS
            crops = [self.augmenter.draw() for _ in range(self.size)]
            np.stack([crop.image for crop in crops], out=self.images[worker, slot])
            yield worker, slot, padded(crops)
            made += 1


def _as_they_are(sample: tuple) -> tuple:
    return sample


def _tensors(parts: tuple[np.ndarray, ...]) -> Iterator[Tensor]:
    return map(torch.from_numpy, parts)


def padded(crops: list[Crop]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes, ignored areas and whether partly labelled, as `Truth` has them."""

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        out = np.full((len(parts), max(map(len, parts)), 4), OUTSIDE_PX, np.float32)
        for row, boxes in zip(out, parts, strict=True):
            row[: len(boxes)] = boxes
        return out

    return (
        joined([crop.boxes for crop in crops]),
        joined([crop.ignore for crop in crops]),
        np.array([crop.partly_labelled for crop in crops]),
    )
