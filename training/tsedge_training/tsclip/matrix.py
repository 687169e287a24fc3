"""The whole comparison by one command that can be stopped and called again.

Every finished row is a line of `results.jsonl`; what is there already is not run again, but for a
teacher whose weights are gone and a pupil of which is still to be run.
"""

import json
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

import torch

from ..paths import REPOSITORY
from . import benchmark, claims, continual, distil, pictures, protocols, run, views
from .model import read_sentences
from .protocols import Task
from .strategies import STRATEGIES, TUNED, Strategy

CONTINUAL = Task("continual", "continual", ())
WHOLE = Path(__file__).with_name("plan.toml")
WAIT_SECONDS = 1


@dataclass(frozen=True)
class Run:
    """`keep`: its weights are needed later."""

    task: Task
    strategy: Strategy
    seed: int
    keep: bool = True

    @property
    def key(self) -> tuple[str, str, int]:
        return self.task.name, self.strategy.name, self.seed

    @property
    def name(self) -> str:
        return "-".join(map(str, self.key))


def names() -> list[str]:
    return [*(t.name for t in protocols.tasks(benchmark.load())), CONTINUAL.name]


def planned(which: list[str], names: list[str], seeds: list[int], images: int | None = None,
            batch: int | None = None, keep: bool = True) -> Iterator[Run]:  # fmt: skip
    """In the order of `which`, patterns of tasks with wildcards.

    `images` and `batch` stand in for the recipes' budget, but for students, which see more.
    """
    every = list(protocols.tasks(benchmark.load()))
    known = [_budget(STRATEGIES[n], images, batch) for n in names]
    for pattern in which:
        found = [t for t in (*every, CONTINUAL) if fnmatch(t.name, pattern)]
        if not found:
            raise ValueError(f"no task is named {pattern!r}; they are {[t.name for t in every]}")
        for task in found:
            fit = [s for s in known if task != CONTINUAL or s.kind in TUNED]
            yield from (Run(task, s, seed, keep) for seed in seeds for s in fit)


def _budget(strategy: Strategy, images: int | None, batch: int | None) -> Strategy:
    if strategy.kind == "student" or not strategy.images:
        return strategy
    return replace(strategy, images=images or strategy.images, batch=batch or strategy.batch)


def plan(file: Path = WHOLE) -> list[Run]:
    """Stages in order of priority; a run that an earlier stage has is left out."""
    stages = tomllib.loads(file.read_text(encoding="utf-8"))["stage"]
    first = {}
    for s in stages:
        runs = planned(
            s["tasks"], s["strategies"], s["seeds"], s.get("images"), s.get("batch"),
            s.get("keep", False),
        )  # fmt: skip
        for one in runs:
            first.setdefault(one.key, one)
    return list(first.values())


def done(results: Path) -> set[tuple]:
    """What is in the results; a line that was cut off in writing is taken away."""
    if not results.is_file():
        return set()
    text = results.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        results.write_text(whole, encoding="utf-8")
    rows = map(json.loads, whole.splitlines())
    return set(map(key_of, rows))


def key_of(row: dict) -> tuple[str, str, int]:
    return row["task"], row["strategy"], row["seed"]


def world(folder: Path, device: str, made: Path | None = None, **settings) -> run.World:
    """`made`: the file of views made beforehand; `settings` as of World."""
    shown, on = pictures.read(folder / pictures.PICTURES), torch.device(device)
    return run.World(
        shown, read_sentences(folder), benchmark.load(), on, pack=folder,
        views=views.read(made, shown, on) if made else None,
        log=lambda line: print(line, flush=True), **settings,
    )  # fmt: skip


def go(shared: run.World, runs: list[Run], results: Path, kept: Path | None = None,
       shares: Path | None = None, debug: bool = False,
       known: tuple[Path, ...] = ()) -> None:  # fmt: skip
    """Takes the first run that can be had until none is left.

    `kept`: folder for the weights of runs. `shares`: folder by which several processes share the
    plan, each with its own `results`; a run that fails is then tried again, at most three times, by
    a fresh process. `known`: results of earlier calls; no row of these is written again.
    """
    results.parent.mkdir(parents=True, exist_ok=True)
    finished = done(results).union(*map(done, known))
    if shares:
        shares.mkdir(parents=True, exist_ok=True)
    while left := _left(runs, finished, kept, shares):
        ready = [r for r in left if _ready(r, kept)]
        taken = next(filter(None, (_take(r, shares) for r in ready)), None)
        if taken:
            one, claim = taken
            try:
                _run(shared, one, results, kept, debug, finished)
            except BaseException as error:
                if claim:
                    claims.close(claim, claims.TRIED if isinstance(error, Exception) else "")
                raise
            finished.add(one.key)
            if claim:
                claims.close(claim, claims.DONE)
        elif pupils := [r for r in left if not _ready(r, kept)]:
            if not any(_hope(r, runs, shares) for r in pupils):
                raise ValueError(f"{pupils[0].name}: its teacher's weights are not in {kept}")
            time.sleep(WAIT_SECONDS)
        else:
            return  # other processes are at the rest


def _left(runs: list[Run], finished: set, kept: Path | None, shares: Path | None) -> list[Run]:
    """What has no row yet, and teachers whose weights a pupil of these lacks."""
    free = [r for r in runs if not (shares and claims.is_over(shares, r.name))]
    pupils = [r for r in free if r.key not in finished and not _ready(r, kept)]
    lacking = {_teacher_key(r) for r in pupils} if kept else set()
    return [r for r in free if r.key not in finished or (r.key in lacking and r.keep)]


def _teacher_key(pupil: Run) -> tuple[str, str | None, int]:
    return pupil.task.name, pupil.strategy.teacher, pupil.seed


def _take(one: Run, shares: Path | None):
    if not shares:
        return one, None
    claim = claims.take(shares, one.name)
    return claim and (one, claim)


def _teacher(one: Run, kept: Path | None) -> Path | None:
    if one.strategy.teacher is None:
        return None
    return distil.teacher_folder(kept or Path(), one.task, one.strategy, one.seed)


def _ready(one: Run, kept: Path | None) -> bool:
    folder = _teacher(one, kept)
    return folder is None or (folder / "cost.json").is_file()


def _hope(pupil: Run, runs: list[Run], shares: Path | None) -> bool:
    """Another process may be at its teacher."""
    wanted = _teacher_key(pupil)
    return shares is not None and any(
        r.key == wanted and r.keep and not claims.is_over(shares, r.name) for r in runs
    )


def _run(shared: run.World, one: Run, results: Path, kept: Path | None, debug: bool,
         finished: set) -> None:  # fmt: skip
    task, seed = one.task, one.seed
    strategy = one.strategy.debug() if debug else one.strategy
    shared.log(f"{task.name} {strategy.name} seed {seed}")
    folder = kept / one.name if kept and one.keep else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    if task == CONTINUAL:
        rows = [continual.sequence(shared, strategy, seed, folder)]
    elif strategy.kind == "student":
        rows = [distil.row(shared, task, strategy, seed, folder, _teacher(one, kept))]
    else:
        rows = list(run.run(shared, task, strategy, seed, folder))
    with open(results, "a", encoding="utf-8") as file:
        for row in rows:
            row |= {"commit": commit(), "finished": datetime.now(UTC).isoformat("T", "seconds")}
            if key_of(row) not in finished:  # else it was run again for its weights
                file.write(json.dumps(row) + "\n")
            shared.log(line(row))


def line(row: dict) -> str:
    groups = ("home", "abroad", "abroad_known", "unknown")
    shown = {k: row[k]["top1"] for k in groups if k in row}
    shown |= {k: row[k] for k in ("final", "forgotten", "seconds") if k in row}
    return f"{row['task']} {row['strategy']} seed {row['seed']}: {shown}"


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
    )
    return done.stdout.strip()
