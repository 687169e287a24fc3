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
STEM = 0  # 3x3 on 2x2-folded pixels
BACKBONE_AND_TOP_DOWN = range(1, 61)
HEAD8 = range(77, 88)  # stem, class tower, classes, box tower, boxes; objectness (88) is left out
HEAD16 = range(89, 100)
COCO_CLASSES = 80
STOP_SIGN = 11  # row of COCO's stop sign in the class outputs


def convolutions(path: Path) -> list[Weights]:
    graph = onnx.load(path).graph
    values = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes = [n for n in graph.node if n.op_type == "Conv"]
    return [tuple(torch.tensor(values[name]) for name in n.input[1:3]) for n in nodes]


def load(net: Detector, path: Path, pictures: list[np.ndarray]) -> None:
    """Copies what has a counterpart; the one new layer, the stem, is fitted on `pictures`."""
    source = convolutions(path)
    taken = [*BACKBONE_AND_TOP_DOWN, *HEAD8, *HEAD16]
    targets = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m is not net.stem[0]]
    if len(targets) != len(taken):
        raise ValueError(f"{path}: {len(taken)} layers to copy into {len(targets)}")
    for target, index in zip(targets, taken, strict=True):
        weight, bias = source[index]
        if len(weight) == COCO_CLASSES:
            weight, bias = weight[STOP_SIGN, None], bias[STOP_SIGN, None]
        if target.weight.shape != weight.shape:
            raise ValueError(
                f"{path}: convolution {index} is {tuple(weight.shape)}, "
                f"the net has {tuple(target.weight.shape)}: not a YOLOX-nano graph"
            )
        target.weight.data.copy_(weight)
        target.bias.data.copy_(bias)
    fit_stem(net.stem[0], source[STEM], pictures)


def fit_stem(stem: nn.Conv2d, source: Weights, pictures: list[np.ndarray]) -> None:
    """Least squares: the smaller kernel that comes nearest to what the old layer says."""
    size = stem.kernel_size[0]
    unknowns = 3 * size * size + 1
    gram = torch.zeros(unknowns, unknowns, dtype=torch.float64)
    moment = torch.zeros(unknowns, stem.out_channels, dtype=torch.float64)
    for picture in pictures:
        height, width = (side // 32 * 32 for side in picture.shape[:2])
        rgb = torch.from_numpy(picture[:height, :width]).permute(2, 0, 1)[None].float()
        wanted = old_stem(rgb, source)[0].flatten(1).T.double()
        patches = F.unfold(rgb, size, padding=stem.padding, stride=stem.stride)[0].T.double()
        rows = torch.cat([patches / 255, torch.ones(len(patches), 1, dtype=torch.float64)], 1)
        gram += rows.T @ rows
        moment += rows.T @ wanted
    ridge = 1e-5 * gram.diagonal().mean() * torch.eye(unknowns, dtype=torch.float64)
    solution = torch.linalg.solve(gram + ridge, moment).T.float()
    stem.weight.data.copy_((solution[:, :-1] / 255).reshape(stem.weight.shape))
    stem.bias.data.copy_(solution[:, -1])


def old_stem(rgb: Tensor, source: Weights) -> Tensor:
    """YOLOX-nano's first layer, before its SiLU: it sees BGR, folded 2x2 into channels."""
    bgr = rgb.flip(1)
    folded = torch.cat([bgr[..., y::2, x::2] for x, y in ((0, 0), (0, 1), (1, 0), (1, 1))], 1)
    weight, bias = source
    return F.conv2d(folded, weight, bias, padding=1)
