"""Drawn drives, frame by frame, with the boxes of their signs: a recording and what
`tsedge simulate --truth` wrote of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from .scenes import Scene, no_boxes

# The truth leaves out a sign while it is small or cut by the picture's edge. It is followed beyond
# both by how it came nearer before: up to so many times as far, and to so near. No box is smaller
# than what a detector makes of a spot.
FARTHER, NEAREST_M, BOXES_FITTED, LEAST_PX = 1.8, 2.5, 8, 12.0


@dataclass
class Drive:
    """Boxes by frame; `ignored` are those of signs too small, or cut by the picture's edge."""

    video: Path
    width_px: int
    height_px: int
    rate_hz: int
    boxes: dict[int, list[list[float]]] = field(default_factory=dict)
    signs: dict[int, list[int]] = field(default_factory=dict)
    ignored: dict[int, list[np.ndarray]] = field(default_factory=dict)


def read(video: Path, truth: Path) -> Drive:
    """The signs' numbers are those of the scenario."""
    told = json.loads(truth.read_text())
    drive = Drive(video, told["width_px"], told["height_px"], told["rate_hz"])
    for sign in told["signs"]:
        for frame, box in sign["boxes"]:
            drive.boxes.setdefault(frame, []).append(box)
            drive.signs.setdefault(frame, []).append(sign["id"])
        ahead_m = sign["at_m"] - np.array(told["way_m"])
        for frame, box in _beyond(sign["boxes"], ahead_m):
            edge = [drive.width_px, drive.height_px] * 2
            inside = np.clip(box, 0, edge)
            if (inside[2:] - inside[:2]).min() > 1:
                drive.ignored.setdefault(frame, []).append(inside)
    return drive


def _beyond(boxes: list, ahead_m: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Frames, and the box in them, before the first of `boxes` and after the last."""
    if len(boxes) < 3:
        return
    frames = np.array([frame for frame, _ in boxes])
    corners = np.array([box for _, box in boxes])
    first_m, last_m = ahead_m[frames[0]], ahead_m[frames[-1]]
    far = np.flatnonzero((ahead_m > first_m) & (ahead_m < FARTHER * first_m))
    near = np.flatnonzero((ahead_m < last_m) & (ahead_m > NEAREST_M))

    def terms(ahead_m: np.ndarray) -> np.ndarray:
        """What stands moves by one over its distance, and in a bend by the distance as well."""
        return np.stack([1 / ahead_m, np.ones_like(ahead_m), ahead_m], 1)

    for wanted, known in ((far, slice(BOXES_FITTED)), (near, slice(-BOXES_FITTED, None))):
        fitted = np.linalg.lstsq(terms(ahead_m[frames[known]]), corners[known], rcond=None)[0]
        yield from zip(wanted.tolist(), map(_grown, terms(ahead_m[wanted]) @ fitted), strict=True)


def _grown(box: np.ndarray) -> np.ndarray:
    lack = np.maximum(LEAST_PX - (box[2:] - box[:2]), 0) / 2
    return box + np.concatenate([-lack, lack])


def pictures(video: Path) -> Iterator[np.ndarray]:
    """RGB, in order."""
    with av.open(str(video)) as recording:
        for frame in recording.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def scenes(drive: Drive) -> Iterator[Scene]:
    """Each frame as a picture with signs; frame by frame, for a drive has thousands."""
    for frame, image in enumerate(pictures(drive.video)):
        yield Scene(
            f"{drive.video.stem}-{frame}",
            image,
            _array(drive.boxes.get(frame, [])),
            _array(drive.ignored.get(frame, [])),
        )


def _array(boxes: list) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 4) if boxes else no_boxes()
