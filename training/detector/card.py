"""Publish: python -m detector.card --run runs/edge --size 1280

Takes `detector.onnx` and `detector.fp32.onnx` of the run, measures both on the validation frames,
and writes models/detector.onnx with its card models/detector.toml. Needs TSEDGE_DATA.
"""

import argparse
import datetime
import hashlib
import json
import shutil
from pathlib import Path

import torch

from tsedge_training.paths import MODELS, data_root

from .augment import PAD_VALUE
from .evaluate import evaluate
from .inference import NMS_IOU, onnx_runner
from .network import INPUT_MULTIPLE_PX, STRIDES_PX

VALIDATION_SIZE_PX = 1024  # the width of the validation frames
LICENCE = (
    "Fine-tuned from YOLOX-nano (Apache-2.0); training pictures under their owners' research terms"
)
DATA = (
    "GTSDB frames 00000-00499 (INI Bochum, free for research, cite Houben et al. 2013); "
    "france_phone and roadsign877, four of five pictures, partly labelled; "
    "sign crops of nine regions without Germany, pasted; "
    "drawings of mapillary_sprite_source 1.8.0 (MIT), pasted; "
    "own drawings of town and motorway boards, pasted"
)
SPLIT = "validation: GTSDB frames 00500-00599; held out: every fifth partly labelled picture"


def flat(report: dict, prefix: str = "") -> dict[str, float]:
    """Nested figures as one level of keys, rounded."""
    out: dict[str, float] = {}
    for key, value in report.items():
        name = f"{prefix}{key}".replace(".", "_")
        if isinstance(value, dict):
            out.update(flat(value, name + "_"))
        elif value is not None:
            out[name] = round(value, 4)
    return out


def card(model: Path, reports: dict[str, dict], recommended_px: int, run: dict) -> str:
    content = model.read_bytes()
    threshold = reports["int8"]["at_0.1_false_positives_a_frame"]["threshold"]
    lines = [
        'format = "tsedge-model/1"',
        'kind = "detector"',
        'name = "sign-lite"',
        f'file = "{model.name}"',
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"',
        f"size_bytes = {len(content)}",
        f"licence = {json.dumps(LICENCE)}",
        "",
        "[input]",
        'name = "image"',
        'dtype = "u8"',
        'layout = "NCHW"',
        'colour = "RGB"',
        "shape = [1, 3, 0, 0]",
        'resize = "triangle"',
        f"multiple_of_px = {INPUT_MULTIPLE_PX}",
        f"pad_value = {PAD_VALUE}",
    ]
    for stride in STRIDES_PX:
        lines += ["", "[[outputs]]", f'name = "s{stride}"', f"stride_px = {stride}"]
    lines += [
        "",
        "[detector]",
        "# about 0.1 false positives a frame on the validation frames",
        f"score_threshold = {threshold:.3f}",
        "# enough to go on with a track that has begun",
        f"low_threshold = {threshold / 2:.3f}",
        f"nms_iou = {NMS_IOU}",
        f"long_side_px = {recommended_px}",
        "",
        "[provenance]",
        f"date = {datetime.datetime.now(datetime.UTC).date()}",
        f"data = {json.dumps(DATA)}",
        f"split = {json.dumps(SPLIT)}",
        'start = "YOLOX-nano, COCO (Apache-2.0)"',
        f"recipe = {json.dumps(run['recipe'])}",
        f"steps = {run['steps']}",
        f"batch = {run['batch']}",
        f"seed = {run['seed']}",
    ]
    for precision, report in reports.items():
        lines += ["", f"[provenance.metrics_{precision}]"]
        lines += [f"{key} = {value}" for key, value in flat(report).items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--size", type=int, required=True, help="recommended long side in pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = {"int8": args.run / "detector.onnx", "fp32": args.run / "detector.fp32.onnx"}
    reports = {
        precision: evaluate(onnx_runner(file), data_root(), VALIDATION_SIZE_PX)
        for precision, file in files.items()
    }
    run = json.loads((args.run / "run.json").read_text())
    target = MODELS / "detector.onnx"
    shutil.copyfile(files["int8"], target)
    target.with_suffix(".toml").write_text(card(target, reports, args.size, run))
    print(json.dumps(reports, indent=1))


if __name__ == "__main__":
    main()
