"""The net: YOLOX-nano's backbone and top-down path, made cheap for int8 on one CPU core.

Differences from YOLOX-nano, each measured: ReLU for SiLU (int8 keeps its accuracy), a 4x4 stem for
the 6x6 one (which took a third of the time), no bottom-up path, no stride-32 head; class score and
objectness are one logit.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDES_PX = (8, 16)
INPUT_MULTIPLE_PX = 32  # the deepest stage has stride 32
SCORE = 4  # channel of the score logit, after dx, dy, log w, log h


class Activation(nn.Module):
    """ReLU, or on the way to it: `softness` 1 is the SiLU that the starting weights were made for.

    Replaced at once, ReLU destroys what the weights know (AP50 .35 falls to .08); faded in, not.
    """

    softness = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.softness == 0:
            return F.relu(x, inplace=True)
        soft = F.silu(x)
        return soft if self.softness == 1 else torch.lerp(F.relu(x), soft, self.softness)


class Conv(nn.Module):
    """Convolution and activation. The kernel is `scale` times a weight of plain size.

    The starting weights have normalisation folded into them and differ in size a thousandfold from
    channel to channel; the optimiser takes steps of one size. `scale` is not trained.
    """

    def __init__(self, cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        padding = (kernel - 1) // 2 if kernel % 2 else (kernel - stride) // 2
        self.conv = nn.Conv2d(cin, cout, kernel, stride, padding, groups=groups)
        self.register_buffer("scale", torch.ones(cout, 1, 1, 1))
        self.activation = Activation()

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        kernel = conv.weight * self.scale
        x = F.conv2d(x, kernel, conv.bias, conv.stride, conv.padding, groups=conv.groups)
        return self.activation(x)

    @torch.no_grad()
    def set_kernel(self, kernel: Tensor) -> None:
        plain_size = (2 / kernel[0].numel()) ** 0.5
        size = kernel.pow(2).mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-8)
        self.scale.copy_(size / plain_size)
        self.conv.weight.copy_(kernel / self.scale)


class Separable(nn.Sequential):
    def __init__(self, cin: int, cout: int, stride: int = 1):
        super().__init__(Conv(cin, cin, 3, stride, groups=cin), Conv(cin, cout))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, shortcut: bool):
        super().__init__()
        self.squeeze = Conv(channels, channels)
        self.spread = Separable(channels, channels)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.spread(self.squeeze(x))
        return x + y if self.shortcut else y


class CrossStage(nn.Module):
    """Half of the channels pass through bottlenecks, the other half beside them."""

    def __init__(self, cin: int, cout: int, depth: int, shortcut: bool = True):
        super().__init__()
        half = cout // 2
        self.through = Conv(cin, half)
        self.beside = Conv(cin, half)
        self.blocks = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(depth)))
        self.join = Conv(2 * half, cout)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.cat([self.blocks(self.through(x)), self.beside(x)], 1))


class PyramidPool(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.squeeze = Conv(channels, channels // 2)
        self.join = Conv(channels * 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        pooled = [F.max_pool2d(x, size, 1, size // 2) for size in (5, 9, 13)]
        return self.join(torch.cat([x, *pooled], 1))


class Head(nn.Module):
    """Box and score are separate convolutions: in int8 each has its own output scale.

    The score sees both towers: how well a box fits is part of how sure it is.
    """

    def __init__(self, cin: int, width: int = 64):
        super().__init__()
        self.stem = Conv(cin, width)
        self.score_tower = nn.Sequential(Separable(width, width), Separable(width, width))
        self.score = nn.Conv2d(2 * width, 1, 1)
        self.box_tower = nn.Sequential(Separable(width, width), Separable(width, width))
        self.box = nn.Conv2d(width, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        place = self.box_tower(x)
        score = self.score(torch.cat([self.score_tower(x), place], 1))
        return torch.cat([self.box(place), score], 1)


class Detector(nn.Module):
    """RGB in 0..255, [B, 3, H, W] -> raw [B, 5, H/s, W/s] for each stride s."""

    def __init__(self):
        super().__init__()
        self.stem = Conv(3, 16, 4, 2)
        self.stage4 = nn.Sequential(Separable(16, 32, 2), CrossStage(32, 32, 1))
        self.stage8 = nn.Sequential(Separable(32, 64, 2), CrossStage(64, 64, 3))
        self.stage16 = nn.Sequential(Separable(64, 128, 2), CrossStage(128, 128, 3))
        self.stage32 = nn.Sequential(
            Separable(128, 256, 2), PyramidPool(256), CrossStage(256, 256, 1, shortcut=False)
        )
        self.lateral32 = Conv(256, 128)
        self.merge16 = CrossStage(256, 128, 1, shortcut=False)
        self.lateral16 = Conv(128, 64)
        self.merge8 = CrossStage(128, 64, 1, shortcut=False)
        self.head8 = Head(64)
        self.head16 = Head(128)

    def set_softness(self, softness: float) -> None:
        for module in self.modules():
            if isinstance(module, Activation):
                module.softness = softness

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        at8 = self.stage8(self.stage4(self.stem(image)))
        at16 = self.stage16(at8)
        up32 = F.interpolate(self.lateral32(self.stage32(at16)), scale_factor=2.0)
        at16 = self.merge16(torch.cat([up32, at16], 1))
        up16 = F.interpolate(self.lateral16(at16), scale_factor=2.0)
        at8 = self.merge8(torch.cat([up16, at8], 1))
        return self.head8(at8), self.head16(at16)
