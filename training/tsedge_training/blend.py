"""Weights between a shipped encoder and a run that started from it, in the manner of WiSE-FT.

What the run learned and what the start knew better are both kept in part; on held-out pictures the
blend was better than either end.
"""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import text, train
from .augment import augment
from .bank import Bank
from .catalogue import Catalogue
from .recipes import Recipe
from .train import Model


def blended(recipe: Recipe, catalogue: Catalogue, bank: Bank, run: Path, shipped: Path,
            share: float, rng: np.random.Generator) -> Model:  # fmt: skip
    """`share` of RUN/model.pt and the rest of the models in `shipped`."""
    new = train.load(recipe, catalogue, run / "model.pt")
    old = train.new_model(recipe, catalogue, new.whitening)
    train.start_from_shipped(old, recipe, bank, shipped, rng, text.embed)
    out = copy.deepcopy(new)
    for part in ("encoder", "head"):
        before = getattr(old, part).state_dict()
        after = getattr(new, part).state_dict()
        getattr(out, part).load_state_dict(
            {
                name: before[name].lerp(value, share) if value.is_floating_point() else value
                for name, value in after.items()
            }
        )
    _measure_norms(out.encoder, recipe, bank, rng)
    return out


@torch.no_grad()
def _measure_norms(encoder: nn.Module, recipe: Recipe, bank: Bank, rng: np.random.Generator):
    """The norms' means and variances belong to the blended weights, not to either end."""
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    chosen = rng.choice(len(bank.keys), train.WARM_PICTURES, p=train.sampling_weights(bank))
    pixels = torch.from_numpy(augment(bank.images[chosen], recipe.size_px, rng))
    encoder(pixels.permute(0, 3, 1, 2).float())
    for norm in norms:
        norm.eval()
