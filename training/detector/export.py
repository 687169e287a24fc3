"""Export: python -m detector.export --weights runs/edge/average.pt --out runs/edge

Writes `detector.fp32.onnx` and the int8 `detector.onnx`. Both take u8 RGB `image` [1, 3, H, W] with
free height and width and give raw `s8` and `s16`. Needs TSEDGE_DATA for the calibration frames.
"""

import argparse
import logging
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from tsedge_training.paths import data_root

from . import scenes, strips, weight_range
from .equalise import equalise
from .inference import letterbox
from .network import STRIDES_PX, Detector

OPSET = 17
CALIBRATION_FRAMES = 40
CALIBRATION_SIZE_PX = 1024
# Logits beyond this say nothing more; a narrower range gives the rest finer steps.
SCORE_LOGIT_RANGE = (-7.0, 7.0)


class _FromBytes(nn.Module):
    def __init__(self, net: Detector):
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.net(image.float())


def export_float(net: Detector, path: Path, input_dtype: torch.dtype = torch.uint8) -> None:
    names = [f"s{stride}" for stride in STRIDES_PX]
    free = {name: {2: f"height_{name}", 3: f"width_{name}"} for name in names}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        torch.onnx.export(
            _FromBytes(net.eval()),
            (torch.zeros(1, 3, 64, 96, dtype=input_dtype),),
            path,
            opset_version=OPSET,
            input_names=["image"],
            output_names=names,
            dynamic_axes={"image": {2: "height", 3: "width"}, **free},
            dynamo=False,
        )


class _Frames(CalibrationDataReader):
    def __init__(self, images: Iterable[np.ndarray]):
        self.images = iter(images)

    def get_next(self) -> dict | None:
        image = next(self.images, None)
        return None if image is None else {"image": image.astype(np.float32)}


def export_int8(net: Detector, path: Path, calibration: Iterable[np.ndarray]) -> None:
    """`calibration`: u8 [1, 3, H, W] inputs. Static, per channel, input bytes used as they are."""
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared = Path(folder) / "plain.onnx", Path(folder) / "prepared.onnx"
        export_float(net, plain, torch.float32)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        graph = model.graph
        nodes, outputs = graph.node, {output.name for output in graph.output}
        low, high = (np.array(value, np.float32) for value in SCORE_LOGIT_RANGE)
        quantize_static(
            prepared,
            path,
            _Frames(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            # Box and score keep their own scales: they are joined as floats.
            nodes_to_exclude=[n.name for n in nodes if outputs & {*n.output}],
            extra_options={
                "TensorQuantOverrides": weight_range.overrides(model)
                | {
                    node.output[0]: [{"rmin": low, "rmax": high}]
                    for node in nodes
                    if node.op_type == "Conv" and "/score/" in node.name
                }
            },
        )
    model = onnx.load(path)
    feed_bytes(model.graph)
    strips.split(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def feed_bytes(graph: onnx.GraphProto) -> None:
    """The input becomes u8 with scale 1: no cast and no quantising of the picture at run time."""
    (quantise,) = (n for n in graph.node if n.input[0] == "image")
    if quantise.op_type != "QuantizeLinear":
        raise ValueError(f"expected QuantizeLinear on the input, found {quantise.op_type}")
    scale_name, zero_name = quantise.input[1:3]
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] == quantise.output[0]:
            node.input[0] = "image"
    values = {scale_name: np.float32(1), zero_name: np.uint8(0)}
    for value in graph.initializer:
        if value.name in values:
            value.CopyFrom(numpy_helper.from_array(np.array(values[value.name]), value.name))
    graph.node.remove(quantise)
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


def calibration_inputs(data: Path) -> Iterable[np.ndarray]:
    frames = scenes.gtsdb_train(data)
    for frame in frames[:: len(frames) // CALIBRATION_FRAMES]:
        yield letterbox(frame.image, CALIBRATION_SIZE_PX)[0]
    for name in scenes.PARTLY_LABELLED:
        for frame in scenes.partly_labelled(data, name, held_out=False)[::40]:
            yield letterbox(frame.image, CALIBRATION_SIZE_PX)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = Detector()
    net.load_state_dict(torch.load(args.weights))
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = list(calibration_inputs(data_root()))
    equalise(net, pictures)
    export_float(net, args.out / "detector.fp32.onnx")
    export_int8(net, args.out / "detector.onnx", pictures)


if __name__ == "__main__":
    main()
