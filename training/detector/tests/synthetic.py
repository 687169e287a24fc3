"""Pictures of our own for the tests: discs on noise, no data needed."""

import cv2
import numpy as np

from detector.scenes import Scene
from detector.stock import Stock


def scenes(count: int, seed: int) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [_scene(rng, f"synthetic {i}") for i in range(count)]


def stock(count: int, seed: int) -> Stock:
    return Stock(scenes(count, seed))


def _scene(rng: np.random.Generator, name: str) -> Scene:
    image = rng.integers(60, 120, (160, 200, 3)).astype(np.uint8)
    radius = int(rng.integers(10, 24))
    x, y = int(rng.integers(radius, 200 - radius)), int(rng.integers(radius, 160 - radius))
    cv2.circle(image, (x, y), radius, (220, 30, 30), -1)
    cv2.circle(image, (x, y), radius * 2 // 3, (250, 250, 250), -1)
    box = [x - radius, y - radius, x + radius + 1, y + radius + 1]
    return Scene(name, image, np.array([box], np.float32))
