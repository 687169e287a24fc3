"""Recall of boards: python -m detector.boards --model models/detector.onnx [--size 1280]

Town boards, motorways, expressways and their ends, drawn with other names than any in training and
pasted into the validation frames; by their longer side in input pixels, at the score that gives so
many false positives a frame without them. Needs TSEDGE_DATA.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from tsedge_training.paths import data_root

from . import drawn, scenes
from .boxes import iou
from .evaluate import (
    FALSE_POSITIVES_A_FRAME,
    LOWEST_SCORE,
    MATCH_IOU,
    operating_point,
    rank,
    runner_of,
)
from .inference import Runner, detect
from .patches import Patch

SEED = 1_000_003
BOARDS_A_FRAME = 3
WIDE = 1.4  # towns, by their aspect; motorways are upright or square
SIDES_PX = (16, 24, 40, 64, 110, 200)


def paste(image: np.ndarray, patch: Patch, corner: np.ndarray, scale: float) -> None:
    """Blurred a little as a lens does, in the light of its place."""
    rgb, alpha = (
        cv2.GaussianBlur(
            cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), (0, 0), 0.5
        )
        for part in (patch.rgb.astype(np.float32), patch.alpha)
    )
    height, width = alpha.shape
    x, y = corner
    under = image[y : y + height, x : x + width]
    light = np.clip((under.mean() + 60) / (rgb.mean() + 60), 0.5, 1.3)
    under[:] = np.clip(under + (rgb * light - under) * alpha[..., None], 0, 255)


def with_boards(
    frames: list[scenes.Scene], size_px: int, seed: int = SEED
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures and the boxes of their boards."""
    rng = np.random.default_rng(seed)
    patches = iter(drawn.boards(len(frames) * BOARDS_A_FRAME, seed))
    out = []
    for frame in frames:
        image, boxes = frame.image.copy(), scenes.no_boxes()
        height, width = image.shape[:2]
        for patch in (next(patches) for _ in range(BOARDS_A_FRAME)):
            longer = np.exp(rng.uniform(np.log(SIDES_PX[0]), np.log(SIDES_PX[-1])))
            scale = longer * max(height, width) / size_px / max(patch.alpha.shape)
            sides = np.round(np.array(patch.alpha.shape[::-1]) * scale).astype(int)
            corner = np.array(
                [rng.integers(1, width - sides[0]), rng.integers(1, height - sides[1])]
            )
            box = np.concatenate([corner, corner + sides]).astype(np.float32)[None]
            if iou(box, np.concatenate([frame.boxes, frame.ignore, boxes])).max(initial=0) > 0:
                continue
            paste(image, patch, corner, scale)
            boxes = np.concatenate([boxes, box])
        out.append((image, boxes))
    return out


def evaluate(run: Runner, data: Path, size_px: int) -> dict:
    frames = scenes.gtsdb_validation(data)
    plain = [detect(run, frame.image, size_px, LOWEST_SCORE) for frame in frames]
    ranking = rank(plain, frames)
    boards, best = [], []
    for image, boxes in with_boards(frames, size_px):
        found = detect(run, image, size_px, LOWEST_SCORE)
        fits = iou(boxes, found) >= MATCH_IOU
        boards.append((boxes[:, 2:] - boxes[:, :2]) * size_px / max(image.shape))
        best.append((fits * found[None, :, 4]).max(1, initial=0))
    sides, scores = np.concatenate(boards), np.concatenate(best)
    longer, wide = sides.max(1), sides[:, 0] > WIDE * sides[:, 1]
    report: dict = {"size_px": size_px, "boards": len(scores)}
    for rate in FALSE_POSITIVES_A_FRAME:
        hit = scores >= operating_point(ranking, rate)["threshold"]
        point: dict = {"recall": float(hit.mean())}
        for name, kind in (("wide", wide), ("square", ~wide)):
            point[name] = {
                f"{low}_{high}_px": round(
                    float(hit[kind & (longer >= low) & (longer < high)].mean()), 3
                )
                for low, high in zip(SIDES_PX, SIDES_PX[1:], strict=False)
            }
        report[f"at_{rate}_false_positives_a_frame"] = point
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--size", type=int, default=1024, help="long side of the input in pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(evaluate(runner_of(args.model), data_root(), args.size), indent=1))


if __name__ == "__main__":
    main()
