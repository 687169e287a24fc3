"""Classic nets with a head of one output a class: what language-free training gives."""

from pathlib import Path

import torch
from torch import nn
from torchvision import models

from ..parts import joined
from . import lite2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Net(nn.Module):
    """u8-range pixels -> logits, by ImageNet's normalisation."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(STD).view(1, 3, 1, 1))
        self.net = net

    def forward(self, pixels):
        return self.net((pixels - self.mean) / self.std)


def make(strategy, classes: int, pack: Path | None) -> tuple[nn.Module, str]:
    """The net, and where its weights come from: ImageNet's if they are at hand, else random.

    `pack`: the folder of `matrix pack`, which holds those of EfficientNet-Lite2.
    """
    if strategy.tiny:
        return _Net(models.shufflenet_v2_x0_5(num_classes=classes)), "random"
    if strategy.classic == "efficientnet_lite2":
        file = joined(pack / lite2.WEIGHTS) if pack else lite2.packaged()
        return lite2.pretrained(file, classes), "ImageNet"
    weights = _weights_at_hand(strategy.classic)
    net = models.get_model(strategy.classic, weights=weights)
    _replace_head(net, classes)
    return _Net(net), "ImageNet" if weights else "random"


def _weights_at_hand(name: str):
    """torchvision's default weights if the hub's cache has them already; nothing is fetched."""
    weights = models.get_model_weights(name).DEFAULT
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    return weights if file.is_file() else None


def _replace_head(net: nn.Module, classes: int) -> None:
    name = next(n for n in ("fc", "head", "classifier") if hasattr(net, n))
    old = getattr(net, name)
    if isinstance(old, nn.Sequential):
        old[-1] = nn.Linear(old[-1].in_features, classes)
    else:
        setattr(net, name, nn.Linear(old.in_features, classes))
