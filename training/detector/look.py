"""Look: python -m detector.look --model models/detector.onnx --video clip.mp4 --out looks

Writes every n-th frame with the boxes found, and prints how many were found.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from .evaluate import runner_of
from .inference import detect


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--size", type=int, default=1280)
    parser.add_argument("--threshold", type=float, default=0.3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    run = runner_of(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoCapture(str(args.video))
    if not video.isOpened():
        raise FileNotFoundError(f"{args.video}: not a readable video")
    number = -1
    while True:
        more, bgr = video.read()
        number += 1
        if not more:
            break
        if number % args.every:
            continue
        found = detect(run, np.ascontiguousarray(bgr[..., ::-1]), args.size, args.threshold)
        for x0, y0, x1, y1, score in found:
            corners = (round(float(x0)), round(float(y0))), (round(float(x1)), round(float(y1)))
            cv2.rectangle(bgr, *corners, (0, 255, 0), 2)
            cv2.putText(bgr, f"{score:.2f}", corners[0], 0, 0.7, (0, 0, 255), 2)
        cv2.imwrite(str(args.out / f"{args.video.stem}_{number:04}.png"), bgr)
        print(
            f"{args.video.stem} frame {number}: "
            + " ".join(
                f"{x0:.0f},{y0:.0f},{x1:.0f},{y1:.0f}:{score:.2f}"
                for x0, y0, x1, y1, score in found
            )
        )


if __name__ == "__main__":
    main()
