"""Evaluate: python -m detector.evaluate --model models/detector.onnx [--size 1024] [--json FILE]

Validation frames: AP50, recall by size, threshold for a number of false positives a frame.
Partly labelled sets: recall alone, at the thresholds found. Needs TSEDGE_DATA. `--model` may be a
.pt file of weights too.
"""

import argparse
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tsedge_training.paths import data_root

from . import scenes
from .boxes import iou
from .inference import Runner, detect, onnx_runner, torch_runner
from .network import Detector

MATCH_IOU = 0.5
IGNORE_IOU = 0.3
LOWEST_SCORE = 0.01
FALSE_POSITIVES_A_FRAME = (0.1, 0.5)
SIZE_BINS_PX = ((12, 16), (16, 20), (20, 32), (32, 10_000))
NATIVE_SIZE_PX = {"france_phone": 1000, "roadsign877": 400}


@dataclass
class Ranking:
    """Every detection of a set, best first, with the sign it found (-1: a false positive)."""

    scores: np.ndarray
    sign_of: np.ndarray
    sign_sides_px: np.ndarray
    frames: int


def rank(found: list[np.ndarray], frames: list[scenes.Scene]) -> Ranking:
    scores, sign_of, sides = [], [], []
    for boxes, frame in zip(found, frames, strict=True):
        overlap = iou(boxes, frame.boxes)
        unlabelled = iou(boxes, frame.ignore).max(1, initial=0) >= IGNORE_IOU
        taken = np.zeros(len(frame.boxes), bool)
        for i in np.argsort(-boxes[:, 4], kind="stable"):
            free = np.where(taken, 0, overlap[i])
            sign = int(free.argmax()) if len(free) else -1
            if sign >= 0 and free[sign] >= MATCH_IOU:
                taken[sign] = True
                sign_of.append(len(sides) + sign)
            elif unlabelled[i]:
                continue
            else:
                sign_of.append(-1)
            scores.append(boxes[i, 4])
        sides += list((frame.boxes[:, 2:] - frame.boxes[:, :2]).max(1, initial=0))
    order = np.argsort(-np.array(scores), kind="stable")
    return Ranking(
        np.array(scores)[order], np.array(sign_of, int)[order], np.array(sides), len(frames)
    )


def average_precision(ranking: Ranking) -> float:
    hits = np.cumsum(ranking.sign_of >= 0)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    recall = hits / len(ranking.sign_sides_px)
    return float((np.diff(recall, prepend=0) * envelope).sum())


def hits(ranking: Ranking, kept: int) -> np.ndarray:
    """Which signs are among the best `kept` detections."""
    hit = np.zeros(len(ranking.sign_sides_px), bool)
    signs = ranking.sign_of[:kept]
    hit[signs[signs >= 0]] = True
    return hit


def kept_at(ranking: Ranking, false_positives_a_frame: float) -> int:
    """How many of the best detections have so few false positives among them."""
    false = np.cumsum(ranking.sign_of < 0)
    return int(np.searchsorted(false, false_positives_a_frame * ranking.frames, side="right"))


def operating_point(ranking: Ranking, false_positives_a_frame: float) -> dict:
    """Recall, all and by size, at the lowest threshold with so few false positives."""
    kept = kept_at(ranking, false_positives_a_frame)
    hit = hits(ranking, kept)
    point = {"threshold": float(ranking.scores[kept - 1]), "recall": float(hit.mean())}
    for low, high in SIZE_BINS_PX:
        inside = (ranking.sign_sides_px >= low) & (ranking.sign_sides_px < high)
        name = f"recall_{low}_{high}_px" if high < 10_000 else f"recall_{low}_px_up"
        point[name] = float(hit[inside].mean()) if inside.any() else None
    large = ranking.sign_sides_px >= 20
    point["recall_20_px_up"] = float(hit[large].mean()) if large.any() else None
    return point


def recall(found: list[np.ndarray], frames: list[scenes.Scene], threshold: float) -> float:
    signs = hits = 0
    for boxes, frame in zip(found, frames, strict=True):
        overlap = iou(frame.boxes, boxes[boxes[:, 4] >= threshold]).max(1, initial=0)
        signs += len(overlap)
        hits += int((overlap >= MATCH_IOU).sum())
    return hits / signs


def evaluate(run: Runner, data: Path, size_px: int) -> dict:
    frames = scenes.gtsdb_validation(data)
    found = [detect(run, frame.image, size_px, LOWEST_SCORE) for frame in frames]
    ranking = rank(found, frames)
    report: dict = {
        "size_px": size_px,
        "signs": len(ranking.sign_sides_px),
        "ap50": average_precision(ranking),
    }
    for rate in FALSE_POSITIVES_A_FRAME:
        report[f"at_{rate}_false_positives_a_frame"] = operating_point(ranking, rate)
    for name, native_px in NATIVE_SIZE_PX.items():
        held_out = scenes.partly_labelled(data, name, held_out=True)
        found = [detect(run, frame.image, native_px, LOWEST_SCORE) for frame in held_out]
        report[f"recall_{name}"] = {
            str(rate): recall(
                found, held_out, report[f"at_{rate}_false_positives_a_frame"]["threshold"]
            )
            for rate in FALSE_POSITIVES_A_FRAME
        }
    return report


def runner_of(model: Path) -> Runner:
    if model.suffix != ".pt":
        return onnx_runner(model)
    net = Detector()
    net.load_state_dict(torch.load(model))
    return torch_runner(net)


def score_of(model: Path) -> float:
    """The score from which the program begins a track, as the model's card says."""
    return tomllib.loads(model.with_suffix(".toml").read_text())["detector"]["score_threshold"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--size", type=int, default=1024, help="long side of the input in pixels")
    parser.add_argument("--json", type=Path, help="write the report here too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    report = json.dumps(evaluate(runner_of(args.model), data_root(), args.size), indent=1)
    print(report)
    if args.json:
        args.json.write_text(report + "\n")


if __name__ == "__main__":
    main()
