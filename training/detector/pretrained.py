"""Start from YOLOX-nano (COCO, Apache-2.0) as an ONNX file: its convolutions, in graph order."""

from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from .network import Detector

Weights = tuple[Tensor, Tensor]

# Runs of convolutions in the YOLOX-nano graph, in the order they are computed.
STEM = range(0, 3)  # 3x3 on 2x2-folded pixels, then a depthwise stride-2 layer and a 1x1
BACKBONE_AND_TOP_DOWN = range(3, 61)
HEAD8_STEM, HEAD8_TOWER, HEAD8_OUT = range(77, 78), range(83, 87), range(87, 89)
HEAD16_STEM, HEAD16_TOWER, HEAD16_OUT = range(89, 90), range(95, 99), range(99, 101)


def convolutions(path: Path) -> list[Weights]:
    graph = onnx.load(path).graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    return [tuple(torch.tensor(values[name]) for name in n.input[1:3]) for n in nodes]


def load(net: Detector, path: Path, pictures: list[np.ndarray]) -> None:
    """Copies what has a counterpart; the one new layer, the stem, is fitted on `pictures`."""
    source = convolutions(path)
    taken = [
        *BACKBONE_AND_TOP_DOWN,
        *(i for part in (HEAD8_STEM, HEAD8_TOWER, HEAD8_OUT) for i in part),
        *(i for part in (HEAD16_STEM, HEAD16_TOWER, HEAD16_OUT) for i in part),
    ]
    targets = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m is not net.stem[0]]
    if len(targets) != len(taken):
        raise ValueError(f"{path}: {len(taken)} layers to copy into {len(targets)}")
    for target, index in zip(targets, taken, strict=True):
        weight, bias = source[index]
        if target.weight.shape != weight.shape:
            raise ValueError(
                f"{path}: convolution {index} is {tuple(weight.shape)}, "
                f"the net has {tuple(target.weight.shape)}: not a YOLOX-nano graph"
            )
        target.weight.data.copy_(weight)
        target.bias.data.copy_(bias)
    fit_stem(net.stem[0], [source[i] for i in STEM], pictures)


def fit_stem(stem: nn.Conv2d, source: list[Weights], pictures: list[np.ndarray]) -> None:
    """Least squares: the stem's linear answer to what the three old layers say before SiLU."""
    size = stem.kernel_size[0]
    unknowns = 3 * size * size + 1
    gram = torch.zeros(unknowns, unknowns, dtype=torch.float64)
    moment = torch.zeros(unknowns, stem.out_channels, dtype=torch.float64)
    for picture in pictures:
        height, width = (side // 32 * 32 for side in picture.shape[:2])
        rgb = torch.from_numpy(picture[:height, :width]).permute(2, 0, 1)[None].float()
        wanted = _old_stem(rgb.flip(1), source)[0].flatten(1).T.double()
        patches = F.unfold(rgb, size, padding=stem.padding, stride=stem.stride)[0].T.double()
        rows = torch.cat([patches / 255, torch.ones(len(patches), 1, dtype=torch.float64)], 1)
        gram += rows.T @ rows
        moment += rows.T @ wanted
    ridge = 1e-4 * gram.diagonal().mean() * torch.eye(unknowns, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, moment).T.float()
    stem.weight.data.copy_((solution[:, :-1] / 255).reshape(stem.weight.shape))
    stem.bias.data.copy_(solution[:, -1])


def _old_stem(bgr: Tensor, source: list[Weights]) -> Tensor:
    folded = torch.cat([bgr[..., y::2, x::2] for x, y in ((0, 0), (0, 1), (1, 0), (1, 1))], 1)
    (w0, b0), (w1, b1), (w2, b2) = source
    x = F.silu(F.conv2d(folded, w0, b0, padding=1))
    x = F.silu(F.conv2d(x, w1, b1, stride=2, padding=1, groups=len(w1)))
    return F.conv2d(x, w2, b2)
