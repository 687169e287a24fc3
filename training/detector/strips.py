"""The first layers in horizontal strips: the same sums, a fraction of the memory.

    python -m detector.strips detector.onnx

rewrites a quantised export in place. ONNX Runtime gathers a convolution's input through a table of
pointers, one for each output pixel and tap: 27 MB for the stem of a 1280x672 picture, more than
all else together. In strips the table is a fraction and stays in the processor's cache: the stem
takes a quarter of the time. Each strip reads the rows its outputs need and no output is computed
differently, so the results are the same bits.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

STRIPS = 8
# The picture's height is a multiple of 32, so that eight strips of it give whole rows of a quarter.
# Rows beyond a strip that its first and last output rows read: 4a-3 to 4b for outputs a to b-1.
ROWS_ABOVE, ROWS_BELOW = 3, 1


def split(model: onnx.ModelProto, last: str = "/net/stage4/stage4.0/stage4.0.1/Conv") -> None:
    """Puts the stem and the first depthwise separable block into strips."""
    graph = model.graph
    chain = _chain(graph, last)
    convolutions = [node for node in chain if node.op_type == "Conv"]
    pads = [_attribute(node, "pads") for node in convolutions]
    kernels = [_attribute(node, "kernel_shape")[0] for node in convolutions]
    strides = [_attribute(node, "strides")[0] for node in convolutions]
    if (kernels, strides) != ([4, 3, 1], [2, 2, 1]) or [p[0] for p in pads] != [1, 1, 0]:
        raise ValueError(f"the strips are for another stem than {kernels} by {strides}, {pads}")
    picture = graph.input[0].name
    added = _bounds(graph, picture)
    parts = []
    for strip in range(STRIPS):
        names = {picture: f"{picture}_strip{strip}"}
        span = [f"strip{strip}_start", f"strip{strip}_end", "strip_axis"]
        added.append(helper.make_node("Slice", [picture, *span], [names[picture]]))
        for node in chain:
            added.append(_copy(node, strip, names))
        parts.append(names[chain[-1].output[0]])
    joined = chain[-1].output[0]
    added.append(helper.make_node("Concat", parts, [joined], name="strips_join", axis=2))
    others = [node for node in graph.node if node not in chain]
    # What the chain reads besides the picture are constants, made by nodes that may come later.
    initial = {tensor.name for tensor in graph.initializer}
    early = [n for n in others if n.op_type == "DequantizeLinear" and n.input[0] in initial]
    rest = [n for n in others if n not in early]
    del graph.node[:]
    graph.node.extend([*early, *added, *rest])
    onnx.checker.check_model(model)


def _chain(graph: onnx.GraphProto, last: str) -> list[NodeProto]:
    """The nodes from the picture to the requantised output of the convolution `last`."""
    chain, name = [], graph.input[0].name
    while True:
        readers = [node for node in graph.node if name in node.input]
        if len(readers) != 1:
            raise ValueError(f"{name} is read by {len(readers)} nodes, expected one")
        chain.append(readers[0])
        name = readers[0].output[0]
        conv_done = any(node.name == last for node in chain)
        if conv_done and readers[0].op_type == "QuantizeLinear":
            return chain


def _attribute(node: NodeProto, name: str) -> list[int]:
    return next(list(a.ints) for a in node.attribute if a.name == name)


def _copy(node: NodeProto, strip: int, names: dict[str, str]) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.name = f"{node.name}_strip{strip}"
    for i, name in enumerate(node.input):
        copy.input[i] = names.get(name, name)
    for i, name in enumerate(node.output):
        names[name] = copy.output[i] = f"{name}_strip{strip}"
    for attribute in copy.attribute:
        if attribute.name == "pads":
            top, left, bottom, right = attribute.ints
            first, final = strip == 0, strip == STRIPS - 1
            attribute.ints[:] = [top if first else 0, left, bottom if final else 0, right]
    return copy


def _bounds(graph: onnx.GraphProto, picture: str) -> list[NodeProto]:
    """Where each strip starts and ends, from the height: folded away once that is known."""

    def constant(name: str, value: list[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    nodes = [
        helper.make_node("Shape", [picture], ["strip_shape"]),
        helper.make_node(
            "Gather", ["strip_shape", constant("strip_axis", [2])], ["strip_whole"], axis=0
        ),
        helper.make_node("Div", ["strip_whole", constant("strip_count", [STRIPS])], ["strip_rows"]),
    ]
    for strip in range(STRIPS):
        for side, turn, beyond in (
            ("start", strip, -ROWS_ABOVE if strip else 0),
            ("end", strip + 1, ROWS_BELOW if strip < STRIPS - 1 else 0),
        ):
            name = f"strip{strip}_{side}"
            times = constant(f"{name}_turn", [turn])
            plus = constant(f"{name}_beyond", [beyond])
            nodes.append(helper.make_node("Mul", ["strip_rows", times], [f"{name}_inner"]))
            nodes.append(helper.make_node("Add", [f"{name}_inner", plus], [name]))
    return nodes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    path = parser.parse_args().model
    model = onnx.load(path)
    split(model)
    onnx.save(model, path)


if __name__ == "__main__":
    main()
