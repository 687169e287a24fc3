"""int8 for the tower: what some channels of a layer's input have too much of goes into weights.

SmoothQuant (Xiao et al. 2023, arXiv 2211.10438): input / s and weight x s have the same product,
and 256 steps then do for all channels. The normalisations before `qkv` and `fc1` and the values
before `out` take 1 / s for nothing; before `fc2` stands a function that cannot, so it costs one
multiplication a channel there.
"""

from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from .vit import ViT

ALPHA = 0.5  # 0: weights keep what they have; 1: inputs are all alike
LEAST = 1e-4


class Divided(nn.Module):
    """A linear layer whose input is divided by `by`, channel by channel."""

    def __init__(self, layer: nn.Linear, by: torch.Tensor):
        super().__init__()
        self.layer = layer
        self.register_buffer("share", 1 / by)

    def forward(self, x):
        return self.layer(x * self.share)


@torch.no_grad()
def smooth(tower: ViT, pixels: torch.Tensor) -> None:
    """In place; `pixels` [N, 3, S, S] show what inputs are like. What the tower gives stays."""
    largest = _largest_inputs(tower, pixels)
    for block in tower.blocks:
        for norm, layer in ((block.ln1, block.attn.qkv), (block.ln2, block.fc1)):
            share = _share(largest[layer], layer)
            norm.weight /= share
            norm.bias /= share
            layer.weight *= share
        qkv, out = block.attn.qkv, block.attn.out
        share = _share(largest[out], out)
        values = slice(2 * len(share), None)
        qkv.weight[values] /= share[:, None]
        qkv.bias[values] /= share
        out.weight *= share
        share = _share(largest[block.fc2], block.fc2)
        block.fc2.weight *= share
        block.fc2 = Divided(block.fc2, share)


def _share(largest: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
    weight = layer.weight.abs().amax(0).clamp(min=LEAST)
    return (largest.clamp(min=LEAST) ** ALPHA / weight ** (1 - ALPHA)).clamp(min=LEAST)


def _largest_inputs(tower: ViT, pixels: torch.Tensor) -> dict[nn.Linear, torch.Tensor]:
    """[C] of each linear layer in the blocks: the largest amount of each channel of its input."""
    largest = {}

    def look(layer, inputs, _):
        found = inputs[0].abs().flatten(0, -2).amax(0)
        largest[layer] = torch.maximum(largest.get(layer, found), found)

    layers = [m for m in tower.blocks.modules() if isinstance(m, nn.Linear)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    for part in pixels.split(50):
        tower(part)
    for hook in hooks:
        hook.remove()
    return largest


def to_int8(fp32: Path, int8: Path) -> None:
    """Weights a scale a row, inputs a scale each time: right for the few tokens of one picture."""
    prepared = int8.with_suffix(".prepared.onnx")
    # Its optimiser would make of product and sum a Gemm, which no dynamic form has.
    quant_pre_process(fp32, prepared, skip_optimization=True)
    graph = onnx.load(prepared).graph
    weights = {tensor.name for tensor in graph.initializer}
    products = [n.name for n in graph.node if n.op_type == "MatMul" and n.input[1] in weights]
    quantize_dynamic(
        prepared, int8, per_channel=True, weight_type=QuantType.QInt8, nodes_to_quantize=products
    )
    prepared.unlink()
