"""Shapes of the small nets that learn from the tower."""

from dataclasses import dataclass

from torch import nn

from ..net import Encoder
from . import vit


@dataclass(frozen=True)
class Shape:
    """As of `net.Encoder`; `attention` blocks follow the last map of a hybrid."""

    size_px: int
    channels: tuple[int, int, int, int]
    blocks: tuple[int, int] = (0, 0)
    attention: int = 0


SHAPES = {
    "32-xs": Shape(32, (16, 24, 48, 48)),
    "32-s": Shape(32, (24, 48, 96, 128), (1, 0)),
    "48-s": Shape(48, (24, 48, 96, 128), (1, 0)),
    "48-m": Shape(48, (32, 64, 128, 192), (1, 1)),
    "48-hybrid": Shape(48, (32, 64, 128, 192), (1, 0), attention=2),
    "64-m": Shape(64, (32, 64, 128, 192), (1, 1)),
    "64-l": Shape(64, (40, 80, 160, 224), (2, 1)),
}


class _Attention(nn.Module):
    """Each place of a map looks at all others."""

    def __init__(self, width: int):
        super().__init__()
        self.block = vit.Block(width, heads=4)

    def forward(self, x):
        tokens = self.block(x.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).reshape(x.shape)


def make(shape: Shape, dim: int) -> Encoder:
    encoder = Encoder(dim, shape.channels, shape.blocks)
    encoder.features.extend(_Attention(shape.channels[-1]) for _ in range(shape.attention))
    return encoder
