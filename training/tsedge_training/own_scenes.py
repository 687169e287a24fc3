"""Made-up road scenes: sky, ground, road, walls, trees and lamps as plain shapes, out of focus.

Grounds for drawn signs where no picture of anybody may be used.
"""

import cv2
import numpy as np

WIDTH, HEIGHT = 800, 480


def scene(rng: np.random.Generator) -> np.ndarray:
    """[HEIGHT, WIDTH, 3] u8 RGB."""
    horizon = int(HEIGHT * rng.uniform(0.4, 0.65))
    image = np.empty((HEIGHT, WIDTH, 3), np.float32)
    sky, ground = rng.uniform(90, 250, 3), rng.uniform(40, 150, 3)
    sky[2] = max(sky[2], sky[:2].mean())
    slope = np.linspace(1, rng.uniform(0.7, 1.2), HEIGHT)[:, None, None]
    image[:] = np.where(np.arange(HEIGHT)[:, None, None] < horizon, sky, ground) * slope
    for _ in range(rng.integers(10, 40)):
        _thing(image, horizon, rng)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 2.5))
    for grain in (1, 4, 16):
        small = rng.normal(0, rng.uniform(2, 14), (HEIGHT // grain, WIDTH // grain, 1))
        noise = cv2.resize(small.astype(np.float32), (WIDTH, HEIGHT))
        image += noise[..., None]
    return image.clip(0, 255).astype(np.uint8)


def _thing(image, horizon, rng):
    x, y = int(rng.uniform(0, WIDTH)), int(horizon + rng.normal(0, 60))
    colour = tuple(float(v) for v in rng.uniform(15, 235) * np.exp(rng.normal(0, 0.25, 3)))
    kind = rng.integers(5)
    if kind == 0:  # a wall with windows, or a board
        wide, high = (int(v) for v in rng.uniform(20, 220, 2))
        cv2.rectangle(image, (x, y - high), (x + wide, y), colour, -1)
        for left in range(x + 6, x + wide - 12, 24):
            dark = tuple(0.5 * v for v in colour)
            cv2.rectangle(image, (left, y - high + 8), (left + 10, y - high + 24), dark, -1)
    elif kind == 1:  # leaves
        for _ in range(40):
            at = (x + int(rng.normal(0, 30)), y - 40 + int(rng.normal(0, 30)))
            green = (colour[0] * 0.5, 60 + colour[1] * 0.5, colour[2] * 0.4)
            cv2.circle(image, at, int(rng.uniform(3, 14)), green, -1)
    elif kind == 2:  # a pole or wire
        end = (x + int(rng.normal(0, 40)), y - int(rng.uniform(60, 400)))
        cv2.line(image, (x, y), end, colour, int(rng.uniform(1, 9)))
    elif kind == 3:  # road and markings
        points = np.array([[x, horizon], [x + 4, horizon], [x + 200, HEIGHT], [x - 200, HEIGHT]])
        cv2.fillPoly(image, [points], colour)
    else:  # lamps, wheels, discs
        cv2.circle(image, (x, y), int(rng.uniform(3, 40)), colour, -1)
