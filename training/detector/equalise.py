"""Makes channels alike before int8, exactly: ReLU and pooling let positive factors through.

A tensor has one scale for all of its channels; channels far quieter than the loudest would be left
with a few steps. Each channel is divided by a factor, and what reads it multiplies by the same.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from .network import Conv, CrossStage, Detector

# Beyond it, the weights that read the channel would suffer instead.
LARGEST_FACTOR = 16.0

Reader = tuple[nn.Module, int]  # a convolution, and its first channel that is meant


def links(net: Detector) -> Iterator[tuple[Conv, list[Reader]]]:
    """Every convolution whose readers are all convolutions, with them."""

    def into(stage: CrossStage, start: int = 0) -> list[Reader]:
        return [(stage.through, start), (stage.beside, start)]

    yield net.stem, [(net.stage4[0][0], 0)]
    for down in (net.stage4[0], net.stage8[0], net.stage16[0], net.stage32[0]):
        yield down[0], [(down[1], 0)]
    for down, stage in (net.stage4, net.stage8, net.stage16):
        yield down[1], into(stage)
    down, pool, deepest = net.stage32
    yield down[1], [(pool.squeeze, 0)]
    pooled = pool.squeeze.conv.out_channels
    yield pool.squeeze, [(pool.join, i * pooled) for i in range(4)]
    yield pool.join, into(deepest)
    yield deepest.join, [(net.lateral32, 0)]
    yield net.stage4[1].join, [(net.stage8[0][0], 0)]
    yield net.stage8[1].join, [(net.stage16[0][0], 0), *into(net.merge8, 64)]
    yield net.stage16[1].join, [(net.stage32[0][0], 0), *into(net.merge16, 128)]
    yield net.lateral32, into(net.merge16)
    yield net.lateral16, into(net.merge8)
    yield net.merge16.join, [(net.lateral16, 0), (net.head16.stem, 0)]
    yield net.merge8.join, [(net.head8.stem, 0)]
    for stage in (m for m in net.modules() if isinstance(m, CrossStage)):
        yield stage.beside, [(stage.join, stage.through.conv.out_channels)]
        for block in stage.blocks:
            yield block.squeeze, [(block.spread[0], 0)]
            yield block.spread[0], [(block.spread[1], 0)]
        if not stage.blocks[0].shortcut and len(stage.blocks) == 1:
            yield stage.through, [(stage.blocks[0].squeeze, 0)]
            yield stage.blocks[0].spread[1], [(stage.join, 0)]
    for head in (net.head8, net.head16):
        yield head.stem, [(head.score_tower[0][0], 0), (head.box_tower[0][0], 0)]
        for first, second in (head.score_tower, head.box_tower):
            yield first[0], [(first[1], 0)]
            yield first[1], [(second[0], 0)]
            yield second[0], [(second[1], 0)]


@torch.no_grad()
def equalise(net: Detector, pictures: Iterable[np.ndarray]) -> None:
    """`pictures`: u8 [1, 3, H, W] inputs, from which the loudness of each channel is taken."""
    loudest: dict[nn.Module, Tensor] = {}

    def listen(layer: nn.Module, _: tuple, output: Tensor) -> None:
        peak = output.amax((0, 2, 3))
        loudest[layer] = torch.maximum(loudest.get(layer, peak), peak)

    hooks = [m.register_forward_hook(listen) for m in net.modules() if isinstance(m, Conv)]
    for picture in pictures:
        net(torch.from_numpy(picture).float())
    for hook in hooks:
        hook.remove()
    for writer, readers in links(net):
        peak = loudest[writer].clamp(min=1e-3)
        factor = (peak / peak.log().mean().exp()).clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR)
        writer.scale.div_(factor[:, None, None, None])
        writer.conv.bias.div_(factor)
        for reader, start in readers:
            weight = reader.conv.weight
            if reader.conv.groups > 1:
                weight.mul_(factor[:, None, None, None])
            else:
                weight[:, start : start + len(factor)].mul_(factor[None, :, None, None])
