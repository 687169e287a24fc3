"""The tower and its text side: one unit vector a picture, one unit vector a sentence."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..matching import class_scores
from ..precision import forward_pass

SENTENCES = "sentences.npz"
SCALE = 30.0  # of the cosines, fixed: learned ones drift with the length of a run
RIDGE_PROBE, RIDGE_TEXT = 0.3, 0.1


@dataclass(frozen=True)
class Sentences:
    """Embedded sentences (whitened, unit rows) and the class each speaks for."""

    rows: np.ndarray
    label: np.ndarray

    def table(self, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
        """[C, K] row numbers, and which of them count."""
        of_class = [np.flatnonzero(self.label == c) for c in range(classes)]
        widest = max(map(len, of_class))
        table = np.zeros((classes, widest), np.int64)
        active = np.zeros((classes, widest), bool)
        for c, rows in enumerate(of_class):
            table[c, : len(rows)], active[c, : len(rows)] = rows, True
        return torch.from_numpy(table), torch.from_numpy(active)


def read_sentences(folder: Path) -> Sentences:
    with np.load(folder / SENTENCES) as columns:
        return Sentences(columns["rows"], columns["label"])


class SignModel(nn.Module):
    """Scores of all classes: cosine to the best sentence of each, as the runtime matches."""

    def __init__(self, tower: nn.Module, dim: int, sentences: Sentences, classes: int):
        super().__init__()
        self.tower = tower
        self.text = nn.Linear(sentences.rows.shape[1], dim, bias=False)
        self.register_buffer("centre", torch.zeros(dim))
        table, active = sentences.table(classes)
        for name, value in (
            ("sentences", torch.from_numpy(sentences.rows)),
            ("label", torch.from_numpy(sentences.label.astype(np.int64))),
            ("table", table),
            ("active", active),
        ):
            self.register_buffer(name, value, persistent=False)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        """The tower alone runs in few digits: cosines need more."""
        with forward_pass(pixels.device):
            return self.tower(pixels).float()

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.placed(self.features(pixels))

    def placed(self, features: torch.Tensor) -> torch.Tensor:
        """Features as unit vectors around the centre."""
        return F.normalize(features - self.centre, dim=-1)

    def vectors(self) -> torch.Tensor:
        """[S, D]: the sentences in the picture's space."""
        return F.normalize(self.text(self.sentences), dim=-1)

    def cosines(self, embeddings: torch.Tensor) -> torch.Tensor:
        active = self.active.expand(len(embeddings), -1, -1)
        return class_scores(embeddings @ self.vectors().T, self.table, active)


@torch.no_grad()
def align(model: SignModel, features: torch.Tensor, labels: torch.Tensor) -> None:
    """Fits the text side to frozen features: class directions by ridge, then sentences to them."""
    classes = len(model.table)
    model.centre.copy_(class_means(features, labels, classes).mean(0))
    probe = linear_probe(features - model.centre, labels, classes)
    seen = torch.bincount(labels, minlength=classes) > 0
    told = seen[model.label]
    rows, wanted = model.sentences[told], F.normalize(probe[model.label[told]], dim=-1)
    eye = torch.eye(rows.shape[1], device=rows.device)
    model.text.weight.copy_(torch.linalg.solve(rows.T @ rows + RIDGE_TEXT * eye, rows.T @ wanted).T)


def class_means(features, labels, classes) -> torch.Tensor:
    """[seen classes, D]"""
    total = torch.zeros(classes, features.shape[1], device=features.device)
    total.index_add_(0, labels, features)
    count = torch.bincount(labels, minlength=classes)
    seen = count > 0
    return total[seen] / count[seen, None]


@torch.no_grad()
def linear_probe(features, labels, classes) -> torch.Tensor:
    """[C, D] ridge regression to one-hot labels, classes weighted alike; unseen classes are 0."""
    unit = F.normalize(features, dim=-1)
    count = torch.bincount(labels, minlength=classes).clamp(min=1).float()
    weight = count.rsqrt()[labels][:, None]
    weight = weight / weight.mean()
    hot = F.one_hot(labels, classes).float()
    eye = torch.eye(unit.shape[1], device=unit.device)
    penalty = RIDGE_PROBE * len(unit) / 1000
    return torch.linalg.solve(unit.T @ (weight * unit) + penalty * eye, unit.T @ (weight * hot)).T
