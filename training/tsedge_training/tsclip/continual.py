"""Regions arriving one after another: what a model forgets of the earlier ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from . import learn, metrics, protocols, run
from .model import SCALE
from .pictures import TEST, TRAIN, VALIDATION
from .strategies import Strategy, loss_of


def sequence(world: run.World, strategy: Strategy, seed: int, folder: Path | None = None) -> dict:
    """One row: after each region, top-1 on every region seen; and what was lost by the end.

    The budget is shared by the stages. ADWE pulls towards the zero-shot weights in all of them.
    """
    order = world.benchmark.protocols["continual"]["order"]
    stage = replace(strategy, images=strategy.images // len(order))
    model = run.zero_shot(world, strategy)
    anchor = {k: p.detach().clone() for k, p in model.named_parameters()}

    def score(pixels):
        return SCALE * model.cosines(model.embed(pixels))

    table = []
    for i, region in enumerate(order):
        world.log(f"continual {strategy.name}: {region}")
        rows = protocols.photos(world.pictures, world.benchmark, [region], TRAIN)
        shown = run.classes_of(world, rows)
        learn.train(
            model, stage, loss_of(strategy, shown),
            run.batches(world, stage, rows, seed), seed, anchor=anchor, log=world.log,
            accuracy_of=lambda r=region: _share(world, score, r, VALIDATION, strategy.size_px),
        )  # fmt: skip
        seen = order[: i + 1]
        shares = (_share(world, score, r, TEST, strategy.size_px) for r in seen)
        table.append({r: metrics.percent(s) for r, s in zip(seen, shares, strict=True)})
    if folder:
        learn.save(model, folder / "model.pt")
    best = {r: max(row[r] for row in table if r in row) for r in order[:-1]}
    lost = [best[r] - table[-1][r] for r in order[:-1]]
    return {
        "task": "continual", "protocol": "continual", "strategy": strategy.name, "seed": seed,
        "test_cap": world.cap, "after": table, "forgotten": round(float(np.mean(lost)), 2),
        "final": round(float(np.mean(list(table[-1].values()))), 2),
    }  # fmt: skip


def _share(world, score, region, role, size_px) -> float:
    """Of the region's crops of one role, how many are named right."""
    rows = protocols.photos(world.pictures, world.benchmark, [region], role)
    rows = protocols.thinned(rows, world.pictures, world.cap)
    got = run.judge(world, score, rows, size_px)
    return float((got.predicted == got.label).mean())
