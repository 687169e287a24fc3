"""Start from YOLOX-nano (COCO, Apache-2.0) as an ONNX file: its convolutions, in graph order."""

from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from .network import Conv, Detector

Weights = tuple[Tensor, Tensor]

# Runs of convolutions in the YOLOX-nano graph, in the order they are computed.
STEM = 0  # 3x3 on 2x2-folded pixels
BACKBONE_AND_TOP_DOWN = range(1, 61)
HEAD8 = range(77, 89)  # stem, class tower, classes, box tower, boxes, objectness
HEAD16 = range(89, 101)
CLASSES = 5  # place of the class outputs in a head
COCO_CLASSES = 80
STOP_SIGN = 11  # row of COCO's stop sign in the class outputs


def convolutions(path: Path) -> list[Weights]:
    graph = onnx.load(path).graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    return [tuple(torch.tensor(values[name]) for name in n.input[1:3]) for n in nodes]


@torch.no_grad()
def load(net: Detector, path: Path, pictures: list[np.ndarray]) -> None:
    """Copies what has a counterpart; the stem, which is smaller, is fitted to the old one.

    `pictures` (RGB) are the examples for the stem. The weights want SiLU (`softness` 1) at first.
    """
    source = convolutions(path)
    taken = [*BACKBONE_AND_TOP_DOWN, *HEAD8[:-1], *HEAD16[:-1]]
    objectness = {head[CLASSES]: head[-1] for head in (HEAD8, HEAD16)}
    layers = [m for m in net.modules() if isinstance(m, Conv)]
    owners = {layer.conv: layer for layer in layers}
    targets = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m is not net.stem.conv]
    if len(targets) != len(taken):
        raise ValueError(f"{path}: {len(taken)} layers to copy into {len(targets)}")
    for target, index in zip(targets, taken, strict=True):
        weight, bias = source[index]
        if len(weight) == COCO_CLASSES:
            # The two logits, added up, rank like the product of the two probabilities.
            more, more_bias = source[objectness[index]]
            weight = torch.cat([weight[STOP_SIGN, None], more], 1)
            bias = bias[STOP_SIGN, None] + more_bias
        if target.weight.shape != weight.shape:
            raise ValueError(
                f"{path}: convolution {index} is {tuple(weight.shape)}, "
                f"the net has {tuple(target.weight.shape)}: not a YOLOX-nano graph"
            )
        target.bias.copy_(bias)
        if target in owners:
            owners[target].set_kernel(weight)
        else:
            target.weight.copy_(weight)
    kernel, bias = fit_stem(net.stem.conv, source[STEM], pictures)
    net.stem.set_kernel(kernel)
    net.stem.conv.bias.copy_(bias)


def fit_stem(stem: nn.Conv2d, source: Weights, pictures: list[np.ndarray]) -> Weights:
    """Least squares: the smaller kernel that comes nearest to what the old layer says."""
    size = stem.kernel_size[0]
    unknowns = 3 * size * size + 1
    gram = torch.zeros(unknowns, unknowns, dtype=torch.float64)
    moment = torch.zeros(unknowns, stem.out_channels, dtype=torch.float64)
    for picture in pictures:
        rgb = _input(picture)
        wanted = old_stem(rgb, source)[0].flatten(1).T.double()
        patches = F.unfold(rgb, size, padding=stem.padding, stride=stem.stride)[0].T.double()
        rows = torch.cat([patches / 255, torch.ones(len(patches), 1, dtype=torch.float64)], 1)
        gram += rows.T @ rows
        moment += rows.T @ wanted
    ridge = 1e-5 * gram.diagonal().mean() * torch.eye(unknowns, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, moment).T.float()
    return (solution[:, :-1] / 255).reshape(stem.weight.shape), solution[:, -1]


def old_stem(rgb: Tensor, source: Weights) -> Tensor:
    """YOLOX-nano's first layer, before its SiLU: it sees BGR, folded 2x2 into channels."""
    bgr = rgb.flip(1)
    folded = torch.cat([bgr[..., y::2, x::2] for x, y in ((0, 0), (0, 1), (1, 0), (1, 1))], 1)
    weight, bias = source
    return F.conv2d(folded, weight, bias, padding=1)


def _input(picture: np.ndarray) -> Tensor:
    height, width = (side // 32 * 32 for side in picture.shape[:2])
    return torch.from_numpy(picture[:height, :width]).permute(2, 0, 1)[None].float()
