"""Batches of changed pictures without end, made in place or by worker processes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from . import mirror
from .augment import augment
from .bank import Bank

AHEAD = 4  # batches a worker keeps ready


@dataclass(frozen=True)
class Batch:
    """`chosen` are row numbers of the bank; `label` is the label after mirroring."""

    pixels: torch.Tensor
    label: np.ndarray
    chosen: np.ndarray


class Views(torch.utils.data.IterableDataset):
    """A worker draws by its own stream of random numbers."""

    def __init__(self, bank: Bank, numbers: dict[str, int], weights: np.ndarray, recipe):
        self.images, self.labels = bank.images, np.array([numbers[k] for k in bank.keys])
        self.partner = mirror.partners(list(numbers))
        self.uncaptioned = bank.caption == ""
        self.weights, self.recipe = weights, recipe

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        if worker:
            os.nice(5)  # the training loop goes first
            cv2.setNumThreads(1)
        rng = np.random.default_rng([self.recipe.seed, worker.id + 1 if worker else 0])
        while True:
            yield self._batch(rng)

    def _batch(self, rng: np.random.Generator) -> Batch:
        chosen = rng.choice(len(self.labels), self.recipe.batch, p=self.weights)
        images, label = mirror.some(
            self.images[chosen], self.labels[chosen], self.partner, self.uncaptioned[chosen], rng
        )
        pixels = torch.from_numpy(augment(images, self.recipe.size_px, rng)).permute(0, 3, 1, 2)
        return Batch(pixels, label, chosen)


def batches(views: Views, workers: int) -> Iterator[Batch]:
    loader = torch.utils.data.DataLoader(
        views, batch_size=None, num_workers=workers, prefetch_factor=AHEAD if workers else None
    )
    return iter(loader)
