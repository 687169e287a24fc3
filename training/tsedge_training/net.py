"""The encoder: a small plain convolutional net, and the text side that names its embeddings."""

import torch
import torch.nn.functional as F
from torch import nn


def _conv(inner, outer, stride=1, kernel=3):
    return nn.Sequential(
        nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outer),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside the way straight through."""

    def __init__(self, width):
        super().__init__()
        self.first = _conv(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


class Encoder(nn.Module):
    """u8 picture values as floats [N, 3, S, S] -> unit embeddings [N, dim].

    The last map is pooled to a 3x3 grid, not to a point: arrows keep their side and digits their
    place. Only convolutions, sums, maxima and one matrix: int8 costs it nothing.
    """

    def __init__(self, dim: int, channels: tuple[int, int, int, int], blocks: tuple[int, int]):
        """`blocks`: how many residual blocks follow the middle and the last maps."""
        super().__init__()
        a, b, c, d = channels
        middle, last = blocks
        self.features = nn.Sequential(
            _conv(3, a, stride=2, kernel=5),
            _conv(a, b),
            nn.MaxPool2d(2),
            _conv(b, c),
            _conv(c, c),
            *(Residual(c) for _ in range(middle)),
            nn.MaxPool2d(2),
            _conv(c, d),
            _conv(d, d),
            *(Residual(d) for _ in range(last)),
        )
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(9 * d, dim)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.features((pixels - 127.5) / 63.75)
        stride = x.shape[-1] // 3
        x = F.max_pool2d(x, x.shape[-1] - 2 * stride, stride).flatten(1)
        return F.normalize(self.head(self.dropout(x)).float(), dim=-1)


class TextHead(nn.Module):
    """Whitened sentence embeddings -> unit rows of the encoder's space, plus image prototypes.

    Signs are named by their sentences alone; prototypes are free vectors, kept only for the two
    classes that no sentence can describe: background and other signs.
    """

    def __init__(self, sentences: torch.Tensor, dim: int, prototypes: int):
        super().__init__()
        self.register_buffer("sentences", sentences)
        self.project = nn.Linear(sentences.shape[1], dim, bias=False)
        self.prototypes = nn.Parameter(torch.randn(prototypes, dim))
        self.log_scale = nn.Parameter(torch.tensor(2.7))

    def rows(self) -> torch.Tensor:
        text = F.normalize(self.project(self.sentences), dim=-1)
        return torch.cat([text, F.normalize(self.prototypes, dim=-1)])

    def scale(self) -> torch.Tensor:
        return self.log_scale.clamp(max=3.4).exp()
