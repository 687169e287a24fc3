"""Trained model -> encoder.onnx, its card, and the packs of every region."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from safetensors.numpy import save_file
from torch import nn

from . import bank, calibrate, data, evaluate, packs, text
from .cards import INPUT, OUTPUT, sha256
from .catalogue import Catalogue
from .evaluate import OnnxEncoder
from .matching import RowTable
from .train import Model

TEXT_HEAD = "tsedge-text-head/1"


class _WithCast(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, image):
        return self.encoder(image.float())


class _Pictures(CalibrationDataReader):
    def __init__(self, pictures: np.ndarray):
        self.planes = iter(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))

    def get_next(self):
        plane = next(self.planes, None)
        return None if plane is None else {INPUT: plane[None]}


def to_onnx(model: Model, size_px: int, file: Path) -> None:
    example = torch.zeros(1, 3, size_px, size_px, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            _WithCast(model.encoder).eval(), (example,), file, input_names=[INPUT],
            output_names=[OUTPUT], opset_version=17, dynamo=False,
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(file))


def to_int8(fp32: Path, int8: Path, pictures: np.ndarray) -> None:
    """Static QDQ quantisation of convolutions and the head, a scale per channel.

    The head's output stays float: one scale for a space in which one dimension leads, as in CLIP's,
    would leave the others few steps. So does the first convolution: it is a hundredth of the work,
    and most of what is lost otherwise is lost there.
    """
    prepared = int8.with_suffix(".prepared.onnx")
    quant_pre_process(fp32, prepared)
    first = next(n.name for n in onnx.load(prepared).graph.node if n.op_type == "Conv")
    quantize_static(
        prepared, int8, _Pictures(pictures), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Relu", "MaxPool", "Gemm", "MatMul"],
        nodes_to_exclude=[first],
        extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
    )  # fmt: skip
    prepared.unlink()


def text_head(model: Model, encoder_file: Path, file: Path) -> None:
    """Whitening and trained projection as one matrix: row = normalise((embedding - mean) @ matrix).

    With the text encoder it makes the rows of any sentence, as `tsedge region build` does.
    """
    projection = model.head.project.weight.detach().numpy().T
    tensors = {
        "mean": model.whitening.mean,
        "matrix": np.ascontiguousarray(model.whitening.matrix @ projection, np.float32),
    }
    metadata = {
        "format": TEXT_HEAD,
        "encoder_sha256": sha256(encoder_file),
        "text_sha256": sha256(text.MODEL),
    }
    save_file(tensors, file, metadata)


@dataclass(frozen=True)
class Agreement:
    """int8 against fp32 on held-out pictures."""

    cosine_mean: float
    cosine_min: float


def agreement(fp32: OnnxEncoder, int8: OnnxEncoder, pictures: np.ndarray) -> Agreement:
    cosine = (fp32(pictures) * int8(pictures)).sum(1)
    return Agreement(round(float(cosine.mean()), 4), round(float(cosine.min()), 4))


def latency_ms(encoder: OnnxEncoder) -> float:
    """Median of one picture on one core, on this machine as loaded as it is."""
    picture = np.zeros((1, encoder.size_px, encoder.size_px, 3), np.uint8)
    times = []
    for _ in range(200):
        started = time.perf_counter()
        encoder(picture)
        times.append(time.perf_counter() - started)
    return round(1e3 * float(np.median(times)), 2)


def photographed_looks(catalogue: Catalogue, pictures: bank.Bank) -> set[tuple[str, str]]:
    """(class, sentence) of every look that a photo shows: a diamond is no triangle.

    The first sentence of a class tells how it looks, the others what it rules.
    """
    photos = pictures.take(np.isin(pictures.source, (bank.PHOTO, bank.FRAME_SIGN)))
    looks = set()
    for number in np.unique(photos.region[photos.region >= 0]):
        region = catalogue.regions[data.REGIONS[number]]
        shown = set(photos.keys[photos.region == number])
        looks |= {(c.key, c.sentences[0]) for c in region.classes if c.key in shown}
    return looks


def calibrated_packs(table: RowTable, rows: np.ndarray, encoder: OnnxEncoder,
                     catalogue: Catalogue, pictures: bank.Bank,
                     codes) -> list[packs.Pack]:  # fmt: skip
    """A pack for each of `codes`, calibrated on the held-out pictures; `rows` are the table's."""
    held_out = pictures.take(pictures.held_out)
    seen = photographed_looks(catalogue, pictures)
    rng = np.random.default_rng(2)
    embeddings = calibrate.fused_views(encoder, held_out.images, rng)
    out = []
    for code in codes:
        region = catalogue.world if code == data.WORLD else catalogue.regions[code]
        start = packs.Calibration(scale=20.0, min_probability=0.5, min_cosine=-1.0)
        pack = packs.assemble(
            region, table.keys, rows, len(table.sentences), table.rows_of(region.code), start
        )  # fmt: skip
        mask = calibrate.selection(held_out, region.code, region.keys())
        anywhere = calibrate.few_photos(held_out, region.code)
        photographed = {
            c.key for c in region.classes if any((c.key, look) in seen for look in c.sentences)
        }
        chosen = held_out.take(mask)
        out.append(calibrate.fit(pack, embeddings[mask], chosen, photographed, anywhere))
    return out


def measure(encoder: OnnxEncoder, made: list[packs.Pack], root: Path,
            held_out: bank.Bank) -> dict:  # fmt: skip
    """Figures of the shipped files, by region."""
    world = next(p for p in made if p.region == data.WORLD)
    crops, scenery = evaluate.test_crops(encoder, root), evaluate.scenery(encoder, root)
    judged = [p for p in made if p.region == data.WORLD or (crops.region == p.region).any()]
    return {
        "test": {
            p.region: evaluate.of_region(crops, p) | evaluate.of_acceptance(crops, scenery, p)
            for p in judged
        },
        "scenery": {p.region: evaluate.of_scenery(scenery, p) for p in made},
        "strange_signs": evaluate.of_strange_signs(encoder, world, held_out),
    }
