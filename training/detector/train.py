"""Train: python -m detector.train --recipe edge --out runs/edge [--start runs/before/average.pt]

One thread. Writes `average.pt` (the averaged weights, replaced at every checkpoint) and
`run.json` (what made it). Needs TSEDGE_DATA.
"""

import argparse
import copy
import dataclasses
import json
import math
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tsedge_training.downloads import DRAWINGS, unpacked
from tsedge_training.paths import data_root

from . import patches, pretrained, scenes
from .augment import Augmenter, Crop
from .loss import Truth, detection_loss
from .network import Detector
from .recipe import RECIPES, Recipe

STEM_PICTURES = 12
LOG_EVERY = 50


def batch_of(crops: list[Crop]) -> tuple[torch.Tensor, list[Truth]]:
    images = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2)
    truths = [
        Truth(torch.from_numpy(c.boxes), torch.from_numpy(c.ignore), c.partly_labelled)
        for c in crops
    ]
    return images.float().contiguous(memory_format=torch.channels_last), truths


def optimiser_of(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [p for p in net.parameters() if p.ndim > 1]
    biases = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def learning_rate(recipe: Recipe, step: int, progress: float) -> float:
    """`progress` 0..1 through the run."""
    warm = min(1.0, (step + 1) / recipe.warm_up_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.learning_rate * warm * (0.02 + 0.98 * cosine)


def train(
    net: Detector,
    augmenter: Augmenter,
    recipe: Recipe,
    out: Path,
    bf16: bool = True,
    minutes: float = math.inf,
) -> list[float]:
    """Trains `net` in place; -> the loss of every step. The averaged weights go to `out`.

    Where `minutes` run out before the recipe's steps, the schedule is shortened to fit them.
    """
    net = net.to(memory_format=torch.channels_last).train()
    average = copy.deepcopy(net).requires_grad_(False)
    optimiser = optimiser_of(net, recipe)
    losses: list[float] = []
    started = time.monotonic()
    for step in range(recipe.steps):
        elapsed = (time.monotonic() - started) / 60 / minutes
        progress = max(step / recipe.steps, elapsed)
        if progress >= 1:
            break
        softness = max(0.0, 1 - progress / recipe.fade_in_relu) if recipe.fade_in_relu else 0.0
        net.set_softness(softness)
        average.set_softness(softness)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step, progress)
        images, truths = batch_of([augmenter.draw() for _ in range(recipe.batch)])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs = net(images)
        loss = detection_loss(outputs, truths)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        losses.append(loss.item())
        decay = min(recipe.average_decay, (1 + step) / (10 + step))
        move_average(average, net, 1 - decay)
        done = step + 1
        if done % LOG_EVERY == 0:
            pace = done * recipe.batch / (time.monotonic() - started)
            mean = sum(losses[-LOG_EVERY:]) / LOG_EVERY
            print(f"step {done} {progress:.0%} loss {mean:.3f} {pace:.1f} crops/s", flush=True)
        if done % recipe.checkpoint_every == 0:
            save(average, out / "average.pt")
    save(average, out / "average.pt")
    return losses


@torch.no_grad()
def move_average(average: nn.Module, net: nn.Module, share: float) -> None:
    new = net.state_dict()
    for name, kept in average.state_dict().items():
        if kept.dtype.is_floating_point:
            kept.lerp_(new[name], share)


def save(net: nn.Module, path: Path) -> None:
    save_state(net.state_dict(), path)


def save_state(state: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=sorted(RECIPES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights to go on from (else YOLOX-nano's)")
    parser.add_argument("--hard", type=Path, help="boxes of detector.mine to learn as background")
    parser.add_argument("--scenery", type=Path, help="folder of drives without a sign (MP4)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end by then at the latest")
    parser.add_argument("--seed", type=int, help="of another round (else the recipe's)")
    args = parser.parse_args()
    recipe = RECIPES[args.recipe]
    if args.seed is not None:
        recipe = dataclasses.replace(recipe, seed=args.seed)
    data = data_root()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(recipe.seed)
    frames = scenes.gtsdb_train(data, args.hard)
    net = Detector()
    if args.start:
        net.load_state_dict(torch.load(args.start))
    else:
        pictures = [frame.image for frame in frames[:STEM_PICTURES]]
        pretrained.load(net, data / "detectors" / "yolox_nano_coco_416.onnx", pictures)
    for name in scenes.PARTLY_LABELLED:
        frames += scenes.partly_labelled(data, name, held_out=False)
    if args.scenery:
        frames += scenes.scenery(args.scenery, args.hard)
    photos = patches.photographed(data, recipe.seed)
    drawings = patches.drawn(unpacked(DRAWINGS))
    print(f"{len(frames)} scenes, {sum(map(len, photos.values()))} crops, {len(drawings)} drawings")
    args.out.mkdir(parents=True, exist_ok=True)
    augmenter = Augmenter(frames, photos, drawings, recipe.augment, recipe.seed)
    losses = train(net, augmenter, recipe, args.out, minutes=args.minutes)
    made_by = {**dataclasses.asdict(recipe), "steps": len(losses), "start": str(args.start)}
    made_by["recipe"] = f"{args.recipe} {len(losses)} steps seed {recipe.seed}"
    before = args.start.with_name("run.json") if args.start else None
    if before and before.exists():
        made_by["recipe"] = f"{json.loads(before.read_text())['recipe']}, {made_by['recipe']}"
    (args.out / "run.json").write_text(json.dumps(made_by, indent=1))


if __name__ == "__main__":
    main()
