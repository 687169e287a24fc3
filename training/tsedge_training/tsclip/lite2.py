"""EfficientNet-Lite2 with ImageNet weights: a classic net that starts fairly.

Parts are named as in the package that holds the weights, so that these load as they are.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..downloads import EFFICIENTNET_LITE2, unpacked

WEIGHTS = "efficientnet-lite2.pth"
MEAN, STD = 127.0, 128.0
STEM, HEAD = 32, 1280
# Repeats, kernel, stride, expansion, width of each stage: B0's times 1.1 wide and 1.2 deep, but
# for the stem, the head, and the depth of the first and the last stage.
STAGES = (
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)


class SameConv(nn.Conv2d):
    """Padded as TensorFlow does: the odd row and column go to the far side."""

    def __init__(self, inner, outer, kernel=1, stride=1, groups=1):
        super().__init__(inner, outer, kernel, stride, groups=groups, bias=False)

    def forward(self, x):
        kernel, stride = self.kernel_size[0], self.stride[0]
        side = x.shape[-1]
        pad = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        near, far = pad // 2, pad - pad // 2
        return super().forward(F.pad(x, (near, far, near, far)))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


class Inverted(nn.Module):
    """Widen, filter each channel, narrow; beside it the way straight through where shapes allow."""

    def __init__(self, inner, outer, kernel, stride, expansion):
        super().__init__()
        wide = inner * expansion
        self.straight = stride == 1 and inner == outer
        if expansion != 1:
            self._expand_conv, self._bn0 = SameConv(inner, wide), _norm(wide)
        self._depthwise_conv = SameConv(wide, wide, kernel, stride, wide)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, outer), _norm(outer)

    def forward(self, x):
        y = x
        if hasattr(self, "_expand_conv"):
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.straight else y


class Lite2(nn.Module):
    """Pixels 0-255 -> logits."""

    def __init__(self, classes: int):
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, STEM, 3, 2), _norm(STEM)
        blocks, inner = [], STEM
        for repeats, kernel, stride, expansion, outer in STAGES:
            for i in range(repeats):
                blocks.append(Inverted(inner, outer, kernel, 1 if i else stride, expansion))
                inner = outer
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = SameConv(inner, HEAD), _norm(HEAD)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(HEAD, classes)

    def forward(self, pixels):
        x = F.relu6(self._bn0(self._conv_stem((pixels - MEAN) / STD)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
        return self._fc(self._dropout(x))


def packaged() -> Path:
    (file,) = unpacked(EFFICIENTNET_LITE2).glob("*/models/*.pth")
    return file


def pretrained(file: Path, classes: int | None = None) -> Lite2:
    """With ImageNet's own 1,000 outputs, or a new last layer of `classes`."""
    model = Lite2(1000)
    model.load_state_dict(torch.load(file, weights_only=True, map_location="cpu"))
    if classes is not None:
        model._fc = nn.Linear(HEAD, classes)
    return model
