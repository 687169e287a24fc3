"""CLIP's image tower in plain PyTorch: a pre-norm ViT with quick GELU, for any square input."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Shape:
    """Sizes of a tower; `dim` is the length of its embedding."""

    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    dim: int = 512


B16 = Shape()
TINY = Shape(patch=16, width=64, depth=2, heads=2, dim=64)  # random weights: tests and debug twins


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        parts = self.qkv(x).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(query, key, value)
        return self.out(x.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        inner = self.fc1(self.ln2(x))
        return x + self.fc2(inner * torch.sigmoid(1.702 * inner))


class ViT(nn.Module):
    """Pixels 0-255 [N, 3, size, size] -> features [N, dim], not centred, not of unit length."""

    def __init__(self, size_px: int, shape: Shape = B16):
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.patch = nn.Conv2d(3, shape.width, shape.patch, shape.patch, bias=False)
        self.cls = nn.Parameter(torch.randn(shape.width) * 0.02)
        places = (size_px // shape.patch) ** 2 + 1
        self.pos = nn.Parameter(torch.randn(places, shape.width) * 0.02)
        self.ln_pre = nn.LayerNorm(shape.width)
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads) for _ in range(shape.depth))
        self.ln_post = nn.LayerNorm(shape.width)
        self.proj = nn.Linear(shape.width, shape.dim, bias=False)

    def forward(self, pixels):
        x = self.patch((pixels - self.mean) / self.std).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.to(x.dtype).expand(len(x), 1, -1), x], 1) + self.pos
        x = self.ln_pre(x)
        for block in self.blocks:
            x = block(x)
        return self.proj(self.ln_post(x[:, 0]))


def resized_positions(pos: torch.Tensor, size_px: int, patch: int) -> torch.Tensor:
    """Position embeddings of one square size, resampled for another."""
    there, wanted = round((len(pos) - 1) ** 0.5), size_px // patch
    if there == wanted:
        return pos
    grid = pos[1:].T.reshape(1, -1, there, there)
    grid = F.interpolate(grid, size=(wanted, wanted), mode="bicubic", antialias=True)
    return torch.cat([pos[:1], grid.flatten(2)[0].T])
