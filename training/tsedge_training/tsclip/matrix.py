"""The whole comparison by one command that can be stopped and called again.

Every finished row is a line of `results.jsonl`; what is there already is not run again.
"""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import torch

from ..paths import REPOSITORY
from . import benchmark, pack, pictures, protocols, run
from .strategies import STRATEGIES


def planned(which: list[str], names: list[str], seeds: int) -> Iterator[tuple]:
    """(task, strategy, seed) in the order of `which`; a task pattern may hold wildcards."""
    bench = benchmark.load()
    every = [t for drawn in (False, True) for t in protocols.tasks(bench, drawn)]
    for pattern in which:
        found = [t for t in every if fnmatch(t.name, pattern)]
        if not found:
            raise ValueError(f"no task is named {pattern!r}; they are {[t.name for t in every]}")
        for task in found:
            for seed in range(seeds):
                for name in names:
                    yield task, STRATEGIES[name], seed


def done(results: Path) -> set[tuple]:
    if not results.is_file():
        return set()
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    return {(row["task"], row["strategy"], row["seed"]) for row in lines}


def world(folder: Path, device: str, workers: int, cap: int | None) -> run.World:
    return run.World(
        pictures.read(folder / pack.PICTURES), pack.read_sentences(folder), benchmark.load(),
        torch.device(device), workers, cap, log=lambda line: print(line, flush=True),
    )  # fmt: skip


def go(shared: run.World, plan, results: Path, runs: Path | None, images: int | None = None,
       debug: bool = False) -> None:  # fmt: skip
    """`images` stands in for the recipes' budget; `runs` keeps checkpoints, if given."""
    from dataclasses import replace

    results.parent.mkdir(parents=True, exist_ok=True)
    for task, strategy, seed in plan:
        if (task.name, strategy.name, seed) in done(results):
            continue
        if images and strategy.images:
            strategy = replace(strategy, images=images)
        if debug:
            strategy = strategy.debug()
        shared.log(f"{task.name} {strategy.name} seed {seed}")
        folder = runs and runs / f"{task.name}-{strategy.name}-{seed}"
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        for row in run.run(shared, task, strategy, seed, folder):
            row |= {"commit": commit(), "finished": datetime.now(UTC).isoformat("T", "seconds")}
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            shared.log(line(row))


def line(row: dict) -> str:
    shown = {k: row[k]["top1"] for k in ("home", "abroad", "abroad_known", "unknown") if k in row}
    return f"{row['task']} {row['strategy']} seed {row['seed']}: {shown}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return done.stdout.strip()
