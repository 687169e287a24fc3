"""The whole comparison by one command that can be stopped and called again.

Every finished row is a line of `results.jsonl`; what is there already is not run again.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import torch

from ..paths import REPOSITORY
from . import benchmark, continual, pictures, protocols, run
from .model import read_sentences
from .strategies import LOSSES, STRATEGIES

CONTINUAL = "continual"


def names() -> list[str]:
    bench = benchmark.load()
    return [t.name for drawn in (False, True) for t in protocols.tasks(bench, drawn)] + [CONTINUAL]


def planned(which: list[str], names: list[str], seeds: int) -> Iterator[tuple]:
    """(task, strategy, seed) in the order of `which`; a task pattern may hold wildcards."""
    bench = benchmark.load()
    every = [t for drawn in (False, True) for t in protocols.tasks(bench, drawn)]
    for pattern in which:
        if pattern == CONTINUAL:
            trained = [STRATEGIES[n] for n in names if STRATEGIES[n].kind in LOSSES]
            yield from ((CONTINUAL, s, seed) for seed in range(seeds) for s in trained)
            continue
        found = [t for t in every if fnmatch(t.name, pattern)]
        if not found:
            raise ValueError(f"no task is named {pattern!r}; they are {[t.name for t in every]}")
        for task in found:
            for seed in range(seeds):
                for name in names:
                    yield task, STRATEGIES[name], seed


def done(results: Path) -> set[tuple]:
    """What is in the results; a line that was cut off in writing is taken away."""
    if not results.is_file():
        return set()
    text = results.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        results.write_text(whole, encoding="utf-8")
    rows = map(json.loads, whole.splitlines())
    return {(row["task"], row["strategy"], row["seed"]) for row in rows}


def world(folder: Path, device: str, workers: int, cap: int | None, drift: bool) -> run.World:
    return run.World(
        pictures.read(folder / pictures.PICTURES), read_sentences(folder), benchmark.load(),
        torch.device(device), workers, cap, drift, log=lambda line: print(line, flush=True),
    )  # fmt: skip


def go(shared: run.World, plan, results: Path, runs: Path | None, images: int | None = None,
       debug: bool = False) -> None:  # fmt: skip
    """`images` stands in for the recipes' budget; `runs` keeps checkpoints, if given."""
    results.parent.mkdir(parents=True, exist_ok=True)
    for task, strategy, seed in plan:
        name = task if task == CONTINUAL else task.name
        if (name, strategy.name, seed) in done(results):
            continue
        if images and strategy.images:
            strategy = replace(strategy, images=images)
        if debug:
            strategy = strategy.debug()
        shared.log(f"{name} {strategy.name} seed {seed}")
        folder = runs and runs / f"{name}-{strategy.name}-{seed}"
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        if task == CONTINUAL:
            rows = [continual.sequence(shared, strategy, seed, folder)]
        else:
            rows = list(run.run(shared, task, strategy, seed, folder))
        with open(results, "a", encoding="utf-8") as file:
            for row in rows:
                row |= {"commit": commit(), "finished": datetime.now(UTC).isoformat("T", "seconds")}
                file.write(json.dumps(row) + "\n")
                shared.log(line(row))


def line(row: dict) -> str:
    groups = ("home", "abroad", "abroad_known", "unknown")
    shown = {k: row[k]["top1"] for k in groups if k in row}
    shown |= {k: row[k] for k in ("final", "forgotten") if k in row}
    return f"{row['task']} {row['strategy']} seed {row['seed']}: {shown}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return done.stdout.strip()
