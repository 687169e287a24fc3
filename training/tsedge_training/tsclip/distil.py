"""Small encoders in the tower's space: taught by its embeddings, or by the labels alone."""

import fcntl
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from . import learn, run, students
from .model import SCALE, SignModel
from .protocols import Task
from .strategies import STRATEGIES, Strategy, classification_loss
from .views import resized

NEARNESS = 10.0  # weight of the cosine to the teacher beside the cross-entropy
TAUGHT = "taught.npy"
EMBEDDED_AT_ONCE = 512


def teacher_folder(runs: Path, task: Task, strategy: Strategy, seed: int) -> Path:
    return runs / f"{task.name}-{strategy.teacher}-{seed}"


def row(world: run.World, task: Task, strategy: Strategy, seed: int,
        folder: Path | None = None, taught_by: Path | None = None) -> dict:  # fmt: skip
    """One row of results. The text side is the teacher's, kept; alone it is learned as well."""
    judged, chosen, made = run.prepared(world, task, strategy, seed)
    wide = STRATEGIES["ft"].debug() if strategy.tiny else STRATEGIES["ft"]
    teacher = run.zero_shot(world, wide)
    if taught_by:
        learn.load(teacher, taught_by / "model.pt")
    torch.manual_seed(seed)
    shape = students.SHAPES[strategy.student]
    dim = teacher.text.out_features
    classes = len(world.benchmark.classes)
    model = SignModel(students.make(shape, dim), dim, world.sentences, classes).to(world.device)
    model.text.load_state_dict(teacher.text.state_dict())
    model.text.requires_grad_(taught_by is None)

    def score(pixels):
        return SCALE * model.cosines(model.embed(pixels))

    def loss(m, pixels, labels, target=None):
        embeddings = m.embed(pixels)
        out = classification_loss(m, embeddings, labels)
        if target is not None:
            out = out + NEARNESS * (1 - (embeddings * target).sum(1)).mean()
        return out

    def train() -> learn.Outcome:
        views = run.batches(world, replace(strategy, size_px=wide.size_px), chosen, seed)
        guide = teacher if taught_by else None
        seen = _seen(world, guide, taught_by, views, wide.size_px, strategy.size_px)
        return learn.train(model, strategy, loss, seen, seed, log=world.log)

    cost = learn.trained(model, strategy, train, folder)
    run.embeddings(world, folder, strategy.name, model.embed, strategy.size_px)
    spent = {"seconds": round(cost.seconds, 1), "steps": cost.steps}
    return made | spent | size(model.tower, strategy.size_px) | judged.full(score)


def _seen(world, teacher: SignModel | None, folder: Path | None, views, wide_px: int,
          size_px: int) -> Iterator[tuple[torch.Tensor, ...]]:  # fmt: skip
    """Batches at the student's size, with what the teacher makes of the same views."""
    known = _known(world, teacher, folder, wide_px) if teacher and world.views else None
    for pixels, labels, *where in views:
        pixels = pixels.to(world.device).float()
        target = ()
        if known is not None:
            target = (known[tuple(where)].float(),)
        elif teacher:
            with torch.no_grad():
                target = (teacher.embed(pixels),)
        yield resized(pixels, size_px), labels, *target


def _known(world, teacher: SignModel, folder: Path, wide_px: int) -> torch.Tensor:
    """[M, K, D]: the teacher's embeddings of all views, made once and kept beside its weights."""
    file = folder / TAUGHT
    with open(file.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other processes wait for the first one's
        if not file.is_file():
            partial = file.with_suffix(".partial.npy")
            np.save(partial, _embedded(world, teacher, wide_px))
            partial.rename(file)
    return torch.from_numpy(np.load(file)).to(world.device)


@torch.no_grad()
def _embedded(world, teacher: SignModel, wide_px: int) -> np.ndarray:
    table = world.views.table
    flat, found = table.flatten(0, 1), []
    for i in range(0, len(flat), EMBEDDED_AT_ONCE):
        pixels = flat[i : i + EMBEDDED_AT_ONCE].to(world.device).permute(0, 3, 1, 2)
        found.append(teacher.embed(resized(pixels, wide_px).float()).half())
    return torch.cat(found).view(*table.shape[:2], -1).cpu().numpy()


def size(encoder: torch.nn.Module, size_px: int) -> dict:
    """Parameters, and millions of operations (two a multiplication and sum) for one picture."""
    encoder = deepcopy(encoder).cpu().eval()
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        encoder(torch.zeros(1, 3, size_px, size_px))
    return {
        "parameters": sum(p.numel() for p in encoder.parameters()),
        "mflops": round(counted.get_total_flops() / 1e6, 1),
    }
