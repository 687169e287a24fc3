"""How far the int8 weights of a convolution may reach.

x86 without VNNI multiplies bytes in pairs, u8 by s8, and adds each pair in 16 bits that saturate:
neighbours of one sign along the sum must not reach beyond 128 together (128 * 255 < 2^15). Halving
all weights (`reduce_range`) holds that and costs .03 of AP50; here a channel gives up only what its
worst pair needs. Depthwise kernels are added in 32 bits and keep all.
"""

import numpy as np
from onnx import ModelProto, helper, numpy_helper


def ranges(kernel: np.ndarray, depthwise: bool) -> np.ndarray:
    """Kernel [O, I, H, W] -> [O], the float that becomes 127."""
    flat = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)  # in the order of the sum
    reach = np.abs(flat).max(1)
    if not depthwise:
        pairs = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2))).reshape(len(flat), -1, 2)
        for sign in (1, -1):
            # 127 for the pair: rounded one by one it is 128 at most.
            reach = np.maximum(reach, np.maximum(sign * pairs, 0).sum(2).max(1))
    return np.maximum(reach, 1e-8).astype(np.float32)


def overrides(model: ModelProto) -> dict[str, list[dict]]:
    """For `quantize_static`: TensorQuantOverrides of all convolutions' weights, by channel."""
    kernels = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    found = {}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        groups = {a.name: helper.get_attribute_value(a) for a in node.attribute}.get("group", 1)
        found[node.input[1]] = [
            {"axis": 0, "rmin": -reach, "rmax": reach, "reduce_range": False}
            for reach in map(np.array, ranges(kernels[node.input[1]], groups > 1))
        ]
    return found
