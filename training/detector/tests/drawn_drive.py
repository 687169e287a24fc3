"""A drive of our own for the tests: a disc comes nearer until it leaves the picture."""

import json
from pathlib import Path

import cv2
import numpy as np

from detector.video import save

WIDTH, HEIGHT, RATE_HZ, FRAMES = 320, 180, 10, 24
AT_M, FOCAL_PX, SIDE_M = 60.0, 400.0, 0.8
LEAST_PX = 8


def way_m() -> list[float]:
    return [2.5 * frame for frame in range(FRAMES)]


def box_at(frame: int) -> np.ndarray:
    """Where the disc is, in the picture or beyond."""
    near = FOCAL_PX / (AT_M - way_m()[frame])
    x, y, half = 160 + 4 * near, 90 - 0.8 * near, SIDE_M / 2 * near
    return np.array([x - half, y - half, x + half, y + half])


def visible() -> list[tuple[int, list[float]]]:
    """As the truth has it: large enough and whole."""
    boxes = [(frame, box_at(frame).tolist()) for frame in range(FRAMES)]
    return [(f, b) for f, b in boxes if b[2] - b[0] >= LEAST_PX and b[2] <= WIDTH and b[1] >= 0]


def write(folder: Path) -> tuple[Path, Path]:
    """-> video and truth."""
    pictures = []
    for frame in range(FRAMES):
        picture = np.full((HEIGHT, WIDTH, 3), (90, 120, 90), np.uint8)
        x0, y0, x1, y1 = box_at(frame)
        centre, radius = (round((x0 + x1) / 2), round((y0 + y1) / 2)), round((x1 - x0) / 2)
        cv2.circle(picture, centre, radius, (220, 30, 30), -1)
        cv2.circle(picture, centre, radius * 2 // 3, (250, 250, 250), -1)
        pictures.append(picture)
    video, truth = folder / "drive.mp4", folder / "truth.json"
    save(iter(pictures), video, RATE_HZ, 10)
    sign = {"id": 0, "at_m": AT_M, "boxes": visible()}
    told = {"width_px": WIDTH, "height_px": HEIGHT, "rate_hz": RATE_HZ, "way_m": way_m()}
    truth.write_text(json.dumps({**told, "signs": [sign]}))
    return video, truth
