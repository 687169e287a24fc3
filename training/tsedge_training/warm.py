"""A start from shipped files: the weights of models/encoder.onnx and its text head.

A recipe may be deeper than the shipped net: residual blocks are put in so that they change nothing
at first.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from . import shipped_files
from .net import Encoder, Residual, TextHead
from .text import Whitening


def convolutions(file: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weight, bias) of every convolution and of the last matrix, in order, as f32."""
    graph = onnx.load(file).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    values = dict(stored)
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            quantised, scale, zero = (stored[name] for name in node.input)
            shape = (-1,) + (1,) * (quantised.ndim - 1) if scale.ndim else ()
            if scale.ndim and len(scale) != quantised.shape[0]:  # by column
                shape = (1, -1)
            shifted = quantised.astype(np.float32) - zero.astype(np.float32).reshape(shape)
            values[node.output[0]] = shifted * scale.reshape(shape)
    out = []
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            weight, bias = values[node.input[1]], values[node.input[2]]
            turned = any(a.name == "transB" and a.i == 1 for a in node.attribute)
            if node.op_type == "Gemm" and not turned:
                weight = weight.T
            out.append((weight, bias))
    return out


@torch.no_grad()
def encoder(net: Encoder, file: Path, pixels: torch.Tensor) -> None:
    """Makes `net` compute what the file does; `pixels` [N, 3, S, S] give the norms a range."""
    *layers, (weight, bias) = convolutions(file)
    blocks = sum(isinstance(stage, Residual) for stage in net.features)
    plain = sum(isinstance(stage, nn.Sequential) for stage in net.features)
    if len(layers) not in (plain, plain + 2 * blocks):
        raise ValueError(f"{file}: {len(layers)} convolutions do not fit the recipe")
    x = (pixels - 127.5) / 63.75
    given = iter(layers)
    for stage in net.features:
        if isinstance(stage, nn.Sequential):
            x = _filled(*stage[:2], *next(given), x).relu()
        elif not isinstance(stage, Residual):
            x = stage(x)
        elif len(layers) == plain:
            nn.init.zeros_(stage.second[1].weight)
        else:
            inner = _filled(*stage.first[:2], *next(given), x).relu()
            x = (x + _filled(*stage.second, *next(given), inner)).relu()
    net.head.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
    net.head.bias.copy_(torch.from_numpy(bias))


def _filled(convolution: nn.Conv2d, norm: nn.BatchNorm2d, kernel, shift, x) -> torch.Tensor:
    """Sets the pair to kernel and shift, whatever the norm's batch; what it makes of `x`."""
    convolution.weight.copy_(torch.from_numpy(kernel.copy()))
    shift = torch.from_numpy(shift)
    found = convolution(x)
    mean, variance = found.mean((0, 2, 3)), found.var((0, 2, 3), unbiased=False)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + shift)
    return found + shift[:, None, None]


@torch.no_grad()
def text(head: TextHead, embedded: np.ndarray, fitted: Whitening, models: Path) -> Whitening:
    """Makes `head` give the rows that text_head.safetensors gives, in the whitening returned.

    `embedded`: the head's sentences, [N, 384].
    """
    mean, matrix = shipped_files.text_head(models)
    whitening = replace(fitted, mean=mean)
    projection = np.linalg.solve(whitening.matrix.astype(np.float64), matrix)
    head.project.weight.copy_(torch.from_numpy(projection.T))
    head.sentences.copy_(torch.from_numpy(whitening(embedded)))
    free = shipped_files.prototypes(models)
    if len(free) == len(head.prototypes):
        head.prototypes.copy_(torch.from_numpy(free))
    return whitening
