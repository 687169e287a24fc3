"""Where resolution pays: python -m detector.resolution --model ../models/detector.onnx [--out FILE]

Recall against time on the validation frames, for whole frames at several sizes and for a band of
rows. Writes a Markdown table. One thread; needs TSEDGE_DATA. For the times let nothing else run.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from tsedge_training.paths import data_root

from . import scenes
from .evaluate import LOWEST_SCORE, average_precision, operating_point, rank, runner_of
from .inference import INPUT_MULTIPLE_PX, Runner, detect
from .latency import times_ms

WHOLE, ALL_BUT_BONNET, HORIZON = (0.0, 1.0), (0.0, 0.9), (0.2, 0.75)
VIEWS = [
    (640, ALL_BUT_BONNET),
    (832, ALL_BUT_BONNET),
    (1024, WHOLE),
    (1024, ALL_BUT_BONNET),
    (1024, HORIZON),
    (1280, ALL_BUT_BONNET),
    (1280, HORIZON),
    (1536, HORIZON),
]
RATE = 0.5  # false positives a frame at which recall by size is told
COLUMNS = ("recall", "recall_12_16_px", "recall_16_20_px", "recall_20_px_up", "recall_32_px_up")


def detect_in_band(
    run: Runner, image: np.ndarray, long_side_px: int, band: tuple[float, float]
) -> np.ndarray:
    top, bottom = (round(image.shape[0] * share) for share in band)
    found = detect(run, image[top:bottom], long_side_px, LOWEST_SCORE)
    found[:, [1, 3]] += top
    return found


def input_px(long_side_px: int, band: tuple[float, float], height_a_width: float) -> list[int]:
    sides = (long_side_px * height_a_width * (band[1] - band[0]), long_side_px)
    return [-(-round(side) // INPUT_MULTIPLE_PX) * INPUT_MULTIPLE_PX for side in sides]


def table(model: Path, frames: list[scenes.Scene], runs: int) -> str:
    run = runner_of(model)
    header = ["input px", "rows", "ms", "AP50", "recall at 0.1"]
    header += [f"{name.replace('_', ' ')} at {RATE}" for name in COLUMNS]
    lines = [header, ["---"] * len(header)]
    height, width = frames[0].image.shape[:2]
    for long_side_px, band in VIEWS:
        found = [detect_in_band(run, frame.image, long_side_px, band) for frame in frames]
        ranking = rank(found, frames)
        few, more = (operating_point(ranking, rate) for rate in (0.1, RATE))
        size = input_px(long_side_px, band, height / width)
        ms = f"{times_ms(model, *size, runs)[1].min():.0f}" if runs else ""
        figures = [average_precision(ranking), few["recall"], *(more[name] for name in COLUMNS)]
        rows = f"{band[0]:.0%}-{band[1]:.0%}"
        lines.append([f"{size[1]}x{size[0]}", rows, ms, *(f"{value:.3f}" for value in figures)])
        print(lines[-1], flush=True)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=int, default=15, help="timed runs a size; 0 leaves it out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    text = table(args.model, scenes.gtsdb_validation(data_root()), args.runs)
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()
