"""Train: python -m detector.train --recipe edge --out runs/edge [--start runs/before/average.pt]

One thread, or `--device cuda --workers N`. Writes `average.pt` (the averaged weights, replaced at
every checkpoint) and `run.json` (what made it). Needs TSEDGE_DATA, or `--pack`.
"""

import argparse
import copy
import dataclasses
import json
import math
import time
from pathlib import Path

import cv2
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from tsedge_training.paths import data_root
from tsedge_training.precision import bf16_is_quicker

from . import pretrained, scenes, stock
from .augment import Augmenter
from .feed import batches
from .loss import detection_loss
from .network import Detector
from .recipe import RECIPES, Recipe

STEM_PICTURES = 12
LOG_EVERY = 50


def optimiser_of(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [p for p in net.parameters() if p.ndim > 1]
    biases = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


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
    device: str = "cpu",
    workers: int = 0,
) -> list[float]:
    """Trains `net` in place; -> the loss of every step. The averaged weights go to `out`.

    Where `minutes` run out before the recipe's steps, the schedule is shortened to fit them.
    """
    feed = batches(augmenter, recipe.batch, workers)
    batch = next(feed)  # the workers start here, before there is anything on the GPU
    net = net.to(device, memory_format=torch.channels_last).train()
    average = copy.deepcopy(net).requires_grad_(False)
    kept, new = _floats(average), _floats(net)
    optimiser = optimiser_of(net, recipe)
    losses: list[Tensor] = []
    started = saved = time.monotonic()
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
        # Bytes go to the device; as NHWC seen as NCHW they are channels_last already.
        images = batch.images.to(device).permute(0, 3, 1, 2).float()
        truth = batch.truth.to(device)
        with torch.autocast(device, torch.bfloat16, enabled=bf16 and bf16_is_quicker(device)):
            outputs = net(images)
        loss = detection_loss(outputs, truth)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        losses.append(loss.detach())
        decay = min(recipe.average_decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(kept, new, step)
        batch = next(feed)
        done = step + 1
        if done % LOG_EVERY == 0:
            pace = done * recipe.batch / (time.monotonic() - started)
            mean = torch.stack(losses[-LOG_EVERY:]).mean().item()
            print(f"step {done} {progress:.0%} loss {mean:.3f} {pace:.1f} crops/s", flush=True)
        if time.monotonic() > saved + recipe.checkpoint_seconds:
            save(average, out / "average.pt")
            saved = time.monotonic()
    feed.close()
    save(average, out / "average.pt")
    return torch.stack(losses).tolist()


def _floats(net: nn.Module) -> list[Tensor]:
    """Parameters and buffers themselves, not copies."""
    return [value for value in net.state_dict().values() if value.dtype.is_floating_point]


def save(net: nn.Module, path: Path) -> None:
    save_state({name: value.cpu() for name, value in net.state_dict().items()}, path)


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
    parser.add_argument("--pack", type=Path, help="read what detector.pack wrote, not TSEDGE_DATA")
    parser.add_argument("--hard", type=Path, help="boxes of detector.mine to learn as background")
    parser.add_argument("--scenery", type=Path, help="folder of drives without a sign (MP4)")
    parser.add_argument("--board-share", type=float, help="of the pasted signs (else the recipe's)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end by then at the latest")
    parser.add_argument("--seed", type=int, help="of another round (else the recipe's)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--workers", type=int, default=0, help="processes that draw the crops")
    args = parser.parse_args()
    began = time.monotonic()
    recipe = RECIPES[args.recipe]
    if args.seed is not None:
        recipe = dataclasses.replace(recipe, seed=args.seed)
    if args.board_share is not None:
        augment = dataclasses.replace(recipe.augment, board_share=args.board_share)
        recipe = dataclasses.replace(recipe, augment=augment)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(recipe.seed)
    torch.backends.cudnn.benchmark = True
    found = stock.read(args.pack) if args.pack else stock.gathered(data_root(), recipe.seed)
    net = Detector()
    if args.start:
        net.load_state_dict(torch.load(args.start, map_location="cpu"))
    else:
        pictures = [frame.image for frame in found.scenes[:STEM_PICTURES]]
        pretrained.load(net, data_root() / "detectors" / "yolox_nano_coco_416.onnx", pictures)
    if args.scenery:
        found.scenes += scenes.scenery(args.scenery)
    if args.hard:
        scenes.mark_hard(found.scenes, args.hard)
    print(found, flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    augmenter = Augmenter(found, recipe.augment, recipe.seed)
    minutes = args.minutes - (time.monotonic() - began) / 60
    losses = train(
        net, augmenter, recipe, args.out, True, minutes, device=args.device, workers=args.workers
    )
    made_by = {**dataclasses.asdict(recipe), "steps": len(losses), "start": str(args.start)}
    made_by["recipe"] = f"{args.recipe} {len(losses)} steps seed {recipe.seed}"
    before = args.start.with_name("run.json") if args.start else None
    if before and before.exists():
        made_by["recipe"] = f"{json.loads(before.read_text())['recipe']}, {made_by['recipe']}"
    (args.out / "run.json").write_text(json.dumps(made_by, indent=1))


if __name__ == "__main__":
    main()
