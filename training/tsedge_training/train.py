"""Trains encoder and text projection together.

Score of a class = scale x cosine to its best sentence, exactly what the runtime does. Each picture
is matched at random against the pack of its own region or that of the world.
"""

import copy
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import mirror, paraphrases, text, warm
from .augment import augment
from .bank import DRAWING, EMPTY, FRAME_SIGN, PHOTO, RENDERED, WORD_SIGN, Bank
from .catalogue import Catalogue
from .data import ANY_CLASS, ANY_SPEED_LIMIT, REGIONS
from .matching import RowTable, class_scores, drop_rows, row_table, spread_of_looks
from .net import Encoder, TextHead
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


def new_model(
    recipe: Recipe, catalogue: Catalogue, whitening: text.Whitening | None = None
) -> Model:
    torch.manual_seed(recipe.seed)
    table = row_table(catalogue, recipe.prototypes)
    raw = text.embed(table.sentences)
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


def choose_packs(labels, regions, present, allowed, spread, rng) -> np.ndarray:
    """The pack each picture is matched against: its region's, any by `spread` if it has none."""
    world = len(REGIONS)
    packs = np.where(rng.random(len(labels)) < 0.5, world, regions)
    anywhere = np.flatnonzero(packs < 0)
    packs[anywhere] = rng.choice(world, len(anywhere), p=spread)
    known = (present[packs] & allowed[labels]).any(-1)
    return np.where(known, packs, world)


def loss_of(scores, allowed, present) -> torch.Tensor:
    """Cross-entropy where a label may allow several classes, with smoothing over those present."""
    log_p = scores.log_softmax(-1)
    hit = torch.logsumexp(log_p.masked_fill(~allowed, -torch.inf), -1)
    spread = (log_p * present).sum(-1) / present.sum(-1)
    return -((1 - SMOOTHING) * hit + SMOOTHING * spread).mean()


def train(recipe: Recipe, catalogue: Catalogue, bank: Bank, log=print, start: Path | None = None,
          checkpoint: Path | None = None, minutes: float | None = None,
          shipped: Path | None = None) -> Model:  # fmt: skip
    """`start` names an earlier model of the same recipe to go on from.

    `shipped` names a folder of models to start from instead.
    `minutes` ends the run early: the learning rate falls by the clock where that is ahead.
    """
    torch.set_num_threads(recipe.threads)
    rng = np.random.default_rng(recipe.seed)
    wordy = paraphrases.extended(catalogue, recipe.seed)
    model = load(recipe, wordy, start) if start else new_model(recipe, wordy)
    if shipped:
        start_from_shipped(model, recipe, bank, shipped, rng)
    model.encoder.train()
    table = model.table
    numbers, allowed = label_sets(table)
    labels = np.array([numbers[k] for k in bank.keys])
    partner = mirror.partners(list(numbers))
    uncaptioned = bank.caption == ""
    captions = Captions.of(bank, model.whitening)
    present, spread = table.present(), spread_of_looks(table)
    weights = sampling_weights(bank)
    both = nn.ModuleList([model.encoder, model.head])
    both.to(memory_format=torch.channels_last)
    average = copy.deepcopy(both)
    optimiser = torch.optim.AdamW(both.parameters(), recipe.learning_rate, weight_decay=0.02)
    steps = recipe.images // recipe.batch
    started, total = time.monotonic(), 0.0
    for step in range(steps):
        done = step / steps
        if minutes:
            done = max(done, (time.monotonic() - started) / (60 * minutes))
            if done >= 1:
                break
        rate = min(1, (step + 1) / 200) * (0.5 * (1 + np.cos(np.pi * done)) + 0.005)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * rate
        chosen = rng.choice(len(labels), recipe.batch, p=weights)
        images, label = mirror.some(
            bank.images[chosen], labels[chosen], partner, uncaptioned[chosen], rng
        )
        packs = choose_packs(
            label, bank.region[chosen], present.numpy(), allowed.numpy(), spread, rng
        )
        pixels = augment(images, recipe.size_px, rng)
        pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        rows = model.head.rows()
        active = drop_rows(table.active[packs], table.rows, len(rows), rng.uniform(*ROW_DROPOUT))
        with torch.autocast("cpu", torch.bfloat16):  # half the time, the same result
            embeddings = model.encoder(pixels)
        scores = model.head.scale() * class_scores(embeddings @ rows.T, table.rows, active)
        loss = loss_of(scores, allowed[label], present[packs])
        loss = loss + CAPTION_WEIGHT * captions.loss(model.head, embeddings, chosen)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        model.pictures_seen += recipe.batch
        _follow(average, both, min(EMA_DECAY, (step + 1) / (step + 10)))
        total += loss.item()
        if (step + 1) % 100 == 0:
            seconds = time.monotonic() - started
            log(
                f"step {step + 1}/{steps} loss {total / 100:.3f} scale {model.head.scale():.1f} "
                f"{(step + 1) * recipe.batch / seconds:.0f} pictures/s"
            )
            total = 0.0
        if checkpoint and (step + 1) % 2000 == 0:
            save(Model(*average, table, model.whitening), checkpoint)
    both.load_state_dict(average.state_dict())
    both.eval()
    return model


def start_from_shipped(model, recipe, bank, folder, rng):
    chosen = rng.choice(len(bank.keys), WARM_PICTURES, p=sampling_weights(bank))
    pixels = torch.from_numpy(augment(bank.images[chosen], recipe.size_px, rng))
    warm.encoder(model.encoder, folder / "encoder.onnx", pixels.permute(0, 3, 1, 2).float())
    sentences = model.table.sentences
    model.whitening = warm.text(model.head, sentences, model.whitening, folder)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential average of weights and of the batch norms' running figures."""
    state = model.state_dict()
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(state[name], 1 - decay)


@dataclass
class Captions:
    """What drawings are called, classes and all others: each is told from the rest by its words.

    Names of official drawings compete with each other, and so do prompts of signs made from words.
    """

    number: np.ndarray
    sentences: torch.Tensor
    made: torch.Tensor

    @classmethod
    def of(cls, bank: Bank, whitening: text.Whitening) -> "Captions":
        found, number = np.unique(bank.caption, return_inverse=True)
        made = set(bank.caption[bank.source == WORD_SIGN])
        sentences = whitening(text.embed(found.tolist()))
        number = np.where(bank.caption == "", -1, number)
        return cls(number, torch.from_numpy(sentences), torch.tensor([c in made for c in found]))

    def loss(self, head: TextHead, embeddings: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
        number = torch.from_numpy(self.number[chosen])
        told = number >= 0
        if not told.any():
            return embeddings.sum() * 0
        others = torch.randint(len(self.made), (OTHER_CAPTIONS,))
        rivals, number = torch.cat([number[told], others]).unique(return_inverse=True)
        number = number[: told.sum()]
        rows = nn.functional.normalize(head.project(self.sentences[rivals]), dim=-1)
        scores = head.scale() * embeddings[told] @ rows.T
        made = self.made[rivals]
        scores = scores.masked_fill(made[None] != made[number][:, None], -1e4)
        return told.float().mean() * nn.functional.cross_entropy(scores, number)


def save(model: Model, file: Path) -> None:
    head = model.head.state_dict()
    del head["sentences"]  # they follow from catalogue and whitening
    whitening = {k: torch.from_numpy(v) for k, v in vars(model.whitening).items()}
    torch.save({"encoder": model.encoder.state_dict(), "head": head, "whitening": whitening}, file)


def load(recipe: Recipe, catalogue: Catalogue, file: Path) -> Model:
    """The model with the sentences of today's catalogue."""
    state = torch.load(file, weights_only=True)
    whitening = text.Whitening(**{k: v.numpy() for k, v in state["whitening"].items()})
    model = new_model(recipe, catalogue, whitening)
    model.encoder.load_state_dict(state["encoder"])
    model.head.load_state_dict(state["head"] | {"sentences": model.head.sentences})
    model.encoder.eval()
    model.head.eval()
    return model
