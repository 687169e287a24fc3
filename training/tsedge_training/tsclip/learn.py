"""One training run: sampling, layer-wise rates, the loop, ADWE's pulls, checkpoints."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ..augment import augment
from . import merge
from .pictures import DRAWING, PHOTO, STYLED, Pictures
from .views import Views

DRAWING_SHARE = 0.4
CHECKPOINT_SECONDS = 300
LOG_SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """What a run cost, and how strong ADWE's pulls were."""

    seconds: float
    steps: int
    betas: tuple[float, ...]


def sampling_weights(pictures: Pictures, chosen: np.ndarray) -> np.ndarray:
    """Sources in fixed shares; in them, cells of region and class by the root of their size."""
    weights = np.zeros(len(chosen))
    source = pictures.source[chosen]
    shares = {PHOTO: 1 - DRAWING_SHARE, DRAWING: DRAWING_SHARE, STYLED: DRAWING_SHARE}
    for kind, share in shares.items():
        mine = np.flatnonzero(source == kind)
        if len(mine):
            cells = pictures.label[chosen[mine]] * 100 + pictures.region[chosen[mine]]
            _, inverse, counts = np.unique(cells, return_inverse=True, return_counts=True)
            part = counts[inverse] ** -0.5
            weights[mine] = share * part / part.sum()
    return weights / weights.sum()


class _Made(torch.utils.data.IterableDataset):
    """Augmented batches without end; a worker draws by its own stream of random numbers."""

    def __init__(self, pictures, chosen, batch, size_px, seed):
        self.pictures, self.chosen = pictures, chosen
        self.batch, self.size_px, self.seed = batch, size_px, seed
        self.weights = sampling_weights(pictures, chosen)

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            rows = rng.choice(self.chosen, self.batch, p=self.weights)
            views = augment(self.pictures.images[rows], self.size_px, rng)
            labels = torch.from_numpy(self.pictures.label[rows].astype(np.int64))
            yield torch.from_numpy(views).permute(0, 3, 1, 2), labels


def parameter_groups(model: torch.nn.Module, strategy) -> list[dict]:
    """A ViT's lower blocks learn slower by `layer_decay` each, the text side by `head_rate`."""
    depth = len(getattr(getattr(model, "tower", model), "blocks", ()))
    groups = {}
    for name, parameter in model.named_parameters():
        rate = strategy.learning_rate
        if name.startswith("text."):
            rate = strategy.head_rate
        elif ".blocks." in name:
            rate *= strategy.layer_decay ** (depth - 1 - int(name.split(".")[2]))
        elif depth and "proj" not in name and "ln_post" not in name:
            rate *= strategy.layer_decay**depth
        decay = strategy.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": members, "lr": rate, "rate": rate, "weight_decay": decay}
        for (rate, decay), members in groups.items()
    ]


def batches(
    pictures: Pictures,
    strategy,
    chosen: np.ndarray,
    seed: int,
    device: torch.device,
    made: Views | None = None,
    workers: int = 0,
) -> Iterable[tuple[torch.Tensor, ...]]:
    """As many as the recipe wants: pixels and labels, and with `made` views what view each is."""
    steps = steps_of(strategy)
    if made:
        weights = sampling_weights(pictures, chosen)
        return made.batches(
            pictures.label, chosen, weights, steps, strategy.batch, strategy.size_px, seed
        )
    endless = torch.utils.data.DataLoader(
        _Made(pictures, chosen, strategy.batch, strategy.size_px, seed),
        batch_size=None, num_workers=workers, pin_memory=device.type == "cuda",
    )  # fmt: skip
    return islice(endless, steps)


def steps_of(strategy) -> int:
    return max(1, strategy.images // strategy.batch)


def train(
    model: torch.nn.Module,
    strategy,
    loss_of: Callable,
    batches: Iterable[tuple[torch.Tensor, ...]],
    seed: int,
    accuracy_of: Callable[[], float] | None = None,
    anchor: merge.State | None = None,
    checkpoint: Path | None = None,
    log: Callable[[str], None] = print,
) -> Outcome:
    """Trains in place. ADWE pulls towards `anchor`, else towards the weights of the start.

    `loss_of` takes the model and a batch; `accuracy_of` is asked at each pull of an ADWE that
    goes by it. Nothing here waits for a GPU but a line of the log.
    """
    torch.manual_seed(seed)
    device = next(model.parameters()).device
    model.train()
    current = dict(model.named_parameters())
    if strategy.adwe and anchor is None:
        anchor = {k: p.detach().clone() for k, p in current.items()}
    optimiser = torch.optim.AdamW(parameter_groups(model, strategy), betas=(0.9, 0.98), fused=True)
    steps, adwe = steps_of(strategy), strategy.adwe
    betas, total, counted = [], 0.0, 0
    began = logged = saved = time.monotonic()
    for step, (pixels, *rest) in enumerate(batches):
        warm = min(1, (step + 1) / max(1, 0.08 * steps))
        rate = warm * (0.475 * (1 + np.cos(np.pi * step / steps)) + 0.05)
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * rate
        pixels = pixels.to(device, non_blocking=True).float()
        loss = loss_of(model, pixels, *(r.to(device, non_blocking=True) for r in rest))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if adwe:
            epoch, after = (n * adwe.pulls // steps for n in (step, step + 1))
            first = step == 0 or epoch != (step - 1) * adwe.pulls // steps
            if first if adwe.per_step else after > epoch:
                strength = adwe.strength(epoch, current, anchor, accuracy_of)
                betas.append(round(strength, 4))
                model.train()
            if adwe.per_step or after > epoch:
                share = adwe.pulls / steps if adwe.per_step else 1
                merge.pull(current, anchor, strength * share)
        total, counted, now = total + loss.detach(), counted + 1, time.monotonic()
        if now - logged > LOG_SECONDS or step + 1 == steps:
            speed = (step + 1) * strategy.batch / (now - began)
            log(f"step {step + 1}/{steps} loss {float(total) / counted:.3f} {speed:.1f} pictures/s")
            total, counted, logged = 0.0, 0, now
        if checkpoint and now - saved > CHECKPOINT_SECONDS:
            save(model, checkpoint)
            saved = now
    model.eval()
    return Outcome(time.monotonic() - began, steps, tuple(betas))


def trained(model: torch.nn.Module, strategy, train: Callable[[], Outcome],
            folder: Path | None) -> Outcome:  # fmt: skip
    """Trains and keeps the weights in `folder`, or takes those that are there by this recipe."""
    note = folder and folder / "cost.json"
    recipe = json.loads(json.dumps(asdict(strategy)))
    if note and note.is_file():
        kept = json.loads(note.read_text(encoding="utf-8"))
        if kept.pop("recipe") == recipe:
            load(model, folder / "model.pt")
            return Outcome(**kept)
    cost = train()
    if folder:
        save(model, folder / "model.pt")
        note.write_text(json.dumps(asdict(cost) | {"recipe": recipe}), encoding="utf-8")
    return cost


def load(model: torch.nn.Module, file: Path) -> None:
    state = torch.load(file, weights_only=True, map_location="cpu")
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    model.eval()


def save(model: torch.nn.Module, file: Path) -> None:
    """Weights as bf16: half the size, and as good as those that a GPU's forward pass reads."""
    state = {k: v.bfloat16() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    partial.rename(file)
