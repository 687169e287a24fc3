"""Trains encoder and text projection together.

Score of a class = scale x cosine to its best sentence, exactly what the runtime does. Each picture
is matched at random against the pack of its own region or that of the world.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from . import paraphrases, text, views, warm
from .augment import augment
from .bank import DRAWING, EMPTY, FRAME_SIGN, PHOTO, RENDERED, WORD_SIGN, Bank
from .catalogue import Catalogue
from .data import ANY_CLASS, ANY_SPEED_LIMIT, REGIONS
from .matching import RowTable, class_scores, drop_rows, row_table, spread_of_looks
from .net import Encoder, TextHead
from .precision import forward_pass
from .recipes import Recipe

SHARES = {
    PHOTO: 0.42,
    FRAME_SIGN: 0.04,
    DRAWING: 0.25,
    EMPTY: 0.19,
    RENDERED: 0.06,
    WORD_SIGN: 0.04,
}
CAPTION_WEIGHT = 0.4
OTHER_CAPTIONS = 1200  # rivals a step, drawn from all captions
SMOOTHING = 0.05
SPEED_LIMIT_WEIGHT = 3.5
ROW_DROPOUT = (0.2, 0.9)
EMA_DECAY = 0.999
WARM_PICTURES = 1024


@dataclass
class Model:
    """`whitening` belongs to the trained projection: sentences added later go through it too."""

    encoder: Encoder
    head: TextHead
    table: RowTable
    whitening: text.Whitening
    pictures_seen: int = 0


Embed = Callable[[list[str]], np.ndarray]  # as text.embed


def new_model(
    recipe: Recipe,
    catalogue: Catalogue,
    whitening: text.Whitening | None = None,
    embed: Embed = text.embed,
) -> Model:
    torch.manual_seed(recipe.seed)
    table = row_table(catalogue, recipe.prototypes)
    raw = embed(table.sentences)
    whitening = whitening or text.Whitening.fit(raw)
    head = TextHead(torch.from_numpy(whitening(raw)), recipe.dim, 2 * recipe.prototypes)
    return Model(Encoder(recipe.dim, recipe.channels, recipe.blocks), head, table, whitening)


def label_sets(table: RowTable) -> tuple[dict[str, int], torch.Tensor]:
    """Label -> number, and [L, C]: the classes that satisfy it."""
    labels = [*table.keys, ANY_CLASS, ANY_SPEED_LIMIT]
    allowed = torch.eye(len(labels), len(table.keys), dtype=torch.bool)
    allowed[-2] = True
    allowed[-1] = torch.tensor([k.startswith("speed_limit_") for k in table.keys])
    return {label: i for i, label in enumerate(labels)}, allowed


def sampling_weights(bank: Bank) -> np.ndarray:
    """Fixed shares a source; in it, cells of region and class count by the root of their size.

    Speed limits count more: their digits are the hardest to tell and matter most.
    """
    weights = np.zeros(len(bank.keys))
    for source, share in SHARES.items():
        mine = bank.source == source
        cell = np.char.add(bank.keys.astype(str), bank.region.astype(str))
        _, inverse, counts = np.unique(cell[mine], return_inverse=True, return_counts=True)
        speed = np.char.startswith(bank.keys[mine].astype(str), "speed_limit_")
        part = counts[inverse] ** -0.5 * np.where(speed, SPEED_LIMIT_WEIGHT, 1.0)
        weights[mine] = share * part / part.sum()
    return weights / weights.sum()


class PackChoice:
    """Which pack a picture is matched against."""

    def __init__(self, table: RowTable, allowed: torch.Tensor):
        self.present, self.spread = table.present(), spread_of_looks(table)
        self.fits = (self.present[:, None] & allowed[None]).any(-1).numpy()  # [R + 1, labels]

    def __call__(self, labels: np.ndarray, regions: np.ndarray, rng: np.random.Generator):
        """The world's or its region's, any by `spread` if it has none; the world's if none fits."""
        world = len(REGIONS)
        packs = np.where(rng.random(len(labels)) < 0.5, world, regions)
        anywhere = np.flatnonzero(packs < 0)
        packs[anywhere] = rng.choice(world, len(anywhere), p=self.spread)
        return np.where(self.fits[packs, labels], packs, world)


def loss_of(scores, allowed, present) -> torch.Tensor:
    """Cross-entropy where a label may allow several classes, with smoothing over those present."""
    log_p = scores.log_softmax(-1)
    hit = torch.logsumexp(log_p.masked_fill(~allowed, -torch.inf), -1)
    spread = (log_p * present).sum(-1) / present.sum(-1)
    return -((1 - SMOOTHING) * hit + SMOOTHING * spread).mean()


def train(recipe: Recipe, catalogue: Catalogue, bank: Bank, log=print, start: Path | None = None,
          checkpoint: Path | None = None, minutes: float | None = None,
          shipped: Path | None = None, device: str = "cpu", workers: int = 0,
          embed: Embed = text.embed) -> Model:  # fmt: skip
    """`start` names an earlier model of the same recipe to go on from.

    `shipped` names a folder of models to start from instead.
    `minutes` ends the run early: the learning rate falls by the clock where that is ahead.
    `workers` processes make the views. The model comes back on the CPU.
    """
    torch.set_num_threads(recipe.threads)
    cv2.setNumThreads(1)  # a forked worker waits for ever for threads that its parent had started
    rng = np.random.default_rng(recipe.seed)
    wordy = paraphrases.extended(catalogue, recipe.seed)
    model = load(recipe, wordy, start) if start else new_model(recipe, wordy, embed=embed)
    if shipped:
        start_from_shipped(model, recipe, bank, shipped, rng, embed)
    model.encoder.train()
    numbers, allowed = label_sets(model.table)
    captions = Captions.of(bank, model.whitening, embed, device)
    packs = PackChoice(model.table, allowed)
    stream = views.batches(views.Views(bank, numbers, sampling_weights(bank), recipe), workers)
    both = nn.ModuleList([model.encoder, model.head]).to(device)
    both.to(memory_format=torch.channels_last)
    average = copy.deepcopy(both)
    optimiser = torch.optim.AdamW(both.parameters(), recipe.learning_rate, weight_decay=0.02)
    rows, active, present = (
        part.to(device) for part in (model.table.rows, model.table.active, packs.present)
    )
    allowed = allowed.to(device)
    steps = recipe.images // recipe.batch
    started, total = time.monotonic(), torch.zeros((), device=device)
    for step, batch in zip(range(steps), stream, strict=False):
        done = step / steps
        if minutes:
            done = max(done, (time.monotonic() - started) / (60 * minutes))
            if done >= 1:
                break
        rate = min(1, (step + 1) / 200) * (0.5 * (1 + np.cos(np.pi * done)) + 0.005)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate
        label = torch.from_numpy(batch.label).to(device, non_blocking=True)
        pack = packs(batch.label, bank.region[batch.chosen], rng)
        pack = torch.from_numpy(pack).to(device, non_blocking=True)
        pixels = batch.pixels.to(device, non_blocking=True).float()
        spoken = model.head.rows()
        counting = drop_rows(active[pack], rows, len(spoken), rng.uniform(*ROW_DROPOUT))
        with forward_pass(pixels.device):
            embeddings = model.encoder(pixels)
        scores = model.head.scale() * class_scores(embeddings @ spoken.T, rows, counting)
        loss = loss_of(scores, allowed[label], present[pack])
        loss = loss + CAPTION_WEIGHT * captions.loss(model.head, embeddings, batch.chosen)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        model.pictures_seen += recipe.batch
        _follow(average, both, min(EMA_DECAY, (step + 1) / (step + 10)))
        total += loss.detach()
        if (step + 1) % 100 == 0:
            seconds = time.monotonic() - started
            log(
                f"step {step + 1}/{steps} loss {total.item() / 100:.3f} "
                f"scale {model.head.scale().item():.1f} "
                f"{(step + 1) * recipe.batch / seconds:.0f} pictures/s"
            )
            total.zero_()
        if checkpoint and (step + 1) % 2000 == 0:
            save(Model(*average, model.table, model.whitening), checkpoint)
    both.load_state_dict(average.state_dict())
    both.eval().cpu()
    return model


def start_from_shipped(model, recipe, bank, folder, rng, embed):
    chosen = rng.choice(len(bank.keys), WARM_PICTURES, p=sampling_weights(bank))
    pixels = torch.from_numpy(augment(bank.images[chosen], recipe.size_px, rng))
    warm.encoder(model.encoder, folder / "encoder.onnx", pixels.permute(0, 3, 1, 2).float())
    embedded = embed(model.table.sentences)
    model.whitening = warm.text(model.head, embedded, model.whitening, folder)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential average of weights and of the batch norms' running figures."""
    state = model.state_dict()
    followed = {k: v for k, v in average.state_dict().items() if v.is_floating_point()}
    torch._foreach_lerp_(list(followed.values()), [state[k] for k in followed], 1 - decay)


@dataclass
class Captions:
    """What drawings are called, classes and all others: each is told from the rest by its words.

    Names of official drawings compete with each other, and so do prompts of signs made from words.
    """

    number: torch.Tensor
    sentences: torch.Tensor  # on the device that trains, as `made`
    made: torch.Tensor

    @classmethod
    def of(cls, bank: Bank, whitening: text.Whitening, embed: Embed, device: str) -> "Captions":
        found, number = np.unique(bank.caption, return_inverse=True)
        made = set(bank.caption[bank.source == WORD_SIGN])
        sentences = torch.from_numpy(whitening(embed(found.tolist())))
        number = torch.from_numpy(np.where(bank.caption == "", -1, number))
        made = torch.tensor([c in made for c in found])
        return cls(number, sentences.to(device), made.to(device))

    def loss(self, head: TextHead, embeddings: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
        number = self.number[torch.from_numpy(chosen)]
        told = (number >= 0).nonzero()[:, 0]
        if not len(told):
            return embeddings.sum() * 0
        others = torch.randint(len(self.made), (OTHER_CAPTIONS,))
        rivals, place = torch.cat([number[told], others]).unique(return_inverse=True)
        device = embeddings.device
        rivals, place = rivals.to(device), place[: len(told)].to(device)
        rows = nn.functional.normalize(head.project(self.sentences[rivals]), dim=-1)
        scores = head.scale() * embeddings[told.to(device)] @ rows.T
        made = self.made[rivals]
        scores = scores.masked_fill(made[None] != made[place][:, None], -1e4)
        share = len(told) / len(number)
        return share * nn.functional.cross_entropy(scores, place)


def save(model: Model, file: Path) -> None:
    head = model.head.state_dict()
    del head["sentences"]  # they follow from catalogue and whitening
    whitening = {k: torch.from_numpy(v) for k, v in vars(model.whitening).items()}
    torch.save({"encoder": model.encoder.state_dict(), "head": head, "whitening": whitening}, file)


def load(recipe: Recipe, catalogue: Catalogue, file: Path) -> Model:
    """The model with the sentences of today's catalogue."""
    state = torch.load(file, weights_only=True, map_location="cpu")
    whitening = text.Whitening(**{k: v.numpy() for k, v in state["whitening"].items()})
    model = new_model(recipe, catalogue, whitening)
    model.encoder.load_state_dict(state["encoder"])
    model.head.load_state_dict(state["head"] | {"sentences": model.head.sentences})
    model.encoder.eval()
    model.head.eval()
    return model
