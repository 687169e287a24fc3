"""What an eager detector proposes by mistake: road surface, markings, car parts, blurred things."""

import cv2
import numpy as np

from . import data

ROAD_SHARE = 0.5  # of the patches, from the lower half of a frame
TRIES = 20


def patch(scene: np.ndarray, boxes, rng: np.random.Generator) -> np.ndarray:
    """A picture of a place clear of labelled signs, sometimes out of focus or in haze."""
    road = rng.random() < ROAD_SHARE
    box = _box(scene, boxes, rng, road)
    # Markings stand out of the road. Elsewhere the striking things may be signs without a label.
    if road:
        others = (_box(scene, boxes, rng, road) for _ in range(rng.integers(0, 5)))
        box = max((box, *others), key=lambda b: _contrast(scene, b))
    picture = data.cut(scene, box)
    if rng.random() < 0.35:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1, 6))
    if rng.random() < 0.3:
        mean = picture.mean((0, 1))
        picture = (mean + (picture - mean) * rng.uniform(0.15, 0.6)).round().astype(np.uint8)
    return picture


def _contrast(scene, box):
    x, y, wide, high = (int(v) for v in box)
    return scene[y : y + high, x : x + wide].std()


def _box(scene, boxes, rng, road):
    height, width = scene.shape[:2]
    for _ in range(TRIES):
        area = np.exp(rng.uniform(np.log(12), np.log(150)))
        aspect = np.exp(rng.uniform(np.log(0.5), np.log(2)))
        wide = min(area * aspect**0.5, 0.6 * width)
        high = min(area / aspect**0.5, 0.6 * height)
        top = height / 2 if road else 0
        x, y = rng.uniform(0, width - wide), rng.uniform(min(top, height - high), height - high)
        if not any(_meets((x, y, wide, high), box) for box, _ in boxes):
            return x, y, wide, high
    return 0, height - 16, 16, 16  # a close-up of a sign fills the frame: its lowest corner


def _meets(box, sign):
    x, y, wide, high = box
    sx, sy, sw, sh = sign
    return (
        sx - 0.3 * sw < x + wide
        and x < sx + 1.3 * sw
        and (sy - 0.3 * sh < y + high and y < sy + 1.3 * sh)
    )
