"""Which pictures a run may learn from: the benchmark's protocols as lists of tasks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .benchmark import Benchmark
from .pictures import DRAWING, PHOTO, STYLED, TEST, TRAIN, VALIDATION, Pictures

DRAWN = {"": None, "+drawings": DRAWING, "+styled": STYLED}  # source by the end of a name


@dataclass(frozen=True)
class Task:
    """`drawings`: their source. `shots`: photos a class taken from `shot_region`.

    `left_out`: classes without any picture.
    """

    protocol: str
    name: str
    regions: tuple[str, ...]
    drawings: int | None = None
    shot_region: str | None = None
    shots: int = 0
    left_out: tuple[int, ...] = ()


def tasks(benchmark: Benchmark) -> Iterator[Task]:
    """The tasks that one training run each answers (continual and drift build on runs)."""
    for suffix, drawings in DRAWN.items():
        yield from _tasks(benchmark, suffix, drawings)


def _tasks(benchmark: Benchmark, suffix: str, drawings: int | None) -> Iterator[Task]:
    every, spec = benchmark.regions, benchmark.protocols
    for region in every:
        yield Task("one", f"one-{region}{suffix}", (region,), drawings)
    for region in every:
        rest = tuple(r for r in every if r != region)
        yield Task("leave_one_out", f"out-{region}{suffix}", rest, drawings)
        for shots in spec["few_shot"]["shots"]:
            name = f"few-{region}-{shots}{suffix}"
            yield Task("few_shot", name, rest, drawings, region, shots)
    yield Task("all", f"all{suffix}", every, drawings)
    left_out = tuple(range(0, len(benchmark.classes), spec["left_out_classes"]["every"]))
    yield Task("left_out_classes", f"text-only{suffix}", every, drawings, left_out=left_out)
    if suffix:
        yield Task("drawings", suffix[1:], (), drawings)


def photos(pictures: Pictures, benchmark: Benchmark, regions, role: int) -> np.ndarray:
    wanted = [benchmark.regions.index(r) for r in regions]
    mask = (pictures.source == PHOTO) & (pictures.role == role)
    return np.flatnonzero(mask & np.isin(pictures.region, wanted))


def training(task: Task, pictures: Pictures, benchmark: Benchmark, seed: int) -> np.ndarray:
    """Row numbers of the pictures that the task may learn from."""
    parts = [photos(pictures, benchmark, task.regions, TRAIN)]
    if task.shots:
        rng = np.random.default_rng(seed)
        near = photos(pictures, benchmark, [task.shot_region], TRAIN)
        for label in np.unique(pictures.label[near]):
            mine = near[pictures.label[near] == label]
            parts.append(rng.permutation(mine)[: task.shots])
    if task.drawings is not None:
        parts.append(drawn(pictures, task.drawings))
    rows = np.concatenate(parts)
    return rows[~np.isin(pictures.label[rows], task.left_out)]


def drawn(pictures: Pictures, source: int) -> np.ndarray:
    rows = np.flatnonzero((pictures.source == source) & (pictures.role == TRAIN))
    if not len(rows):
        raise ValueError("an older pack has none of these drawings: `matrix pack` makes a new one")
    return rows


def validation(task: Task, pictures: Pictures, benchmark: Benchmark) -> np.ndarray:
    """Held-out crops of the regions that the task knows, for temperature and ADWE's accuracy.

    Of the tuning regions, where it knows no photo.
    """
    rows = photos(pictures, benchmark, task.regions or benchmark.tuning_regions, VALIDATION)
    return rows[~np.isin(pictures.label[rows], task.left_out)]


def abroad(task: Task, pictures: Pictures, benchmark: Benchmark) -> np.ndarray:
    """Held-out crops of tuning regions the task does not know: alpha is chosen on these."""
    unknown = [r for r in benchmark.tuning_regions if r not in task.regions]
    return photos(pictures, benchmark, unknown, VALIDATION)


def test(pictures: Pictures, benchmark: Benchmark) -> np.ndarray:
    return photos(pictures, benchmark, benchmark.regions, TEST)


def thinned(rows: np.ndarray, pictures: Pictures, cap: int | None, seed: int = 0) -> np.ndarray:
    """At most `cap` rows of each region and class, always the same ones."""
    if cap is None:
        return rows
    rng = np.random.default_rng(seed)
    rows = rng.permutation(rows)
    cells = pictures.label[rows] * 100 + pictures.region[rows]
    order = np.argsort(cells, kind="stable")
    _, start, count = np.unique(cells[order], return_index=True, return_counts=True)
    rank = np.arange(len(rows)) - np.repeat(start, count)
    return np.sort(rows[order][rank < cap])
