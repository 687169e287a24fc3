"""Other countries' looks of an official drawing: the same sign on yellow, with a black border, ...

Most drawings show one country's colours, and a class must be known in all of them.
"""

import cv2
import numpy as np

YELLOW, ORANGE, LIME = (248, 200, 20), (240, 130, 20), (190, 220, 40)
BLACK, NAVY, WHITE = (25, 25, 25), (25, 45, 140), (250, 250, 250)
RINGED = ("prohibition", "speed_limit")


# Forbidden vehicles: some countries cross them out, some do not.
CROSSED = frozenset(
    ("no_bicycles", "no_trucks", "no_buses", "no_motorcycles", "no_motor_vehicles",
     "no_pedestrians", "no_left_turn", "no_right_turn", "no_straight", "no_u_turn",
     "no_left_or_right_turn")
)  # fmt: skip


def restyled(rgba: np.ndarray, key: str, family: str, rng: np.random.Generator) -> np.ndarray:
    """A copy in a style that some country uses for the class; often unchanged."""
    if key in CROSSED and rng.random() < 0.35:
        rgba = _crossed(rgba, rng)
    colour = rgba[..., :3].astype(np.float32)
    high, low = colour.max(-1), colour.min(-1)
    plain = high - low < 50
    white, black = plain & (low > 190), plain & (high < 90)
    red = (colour[..., 0] > 120) & (colour[..., 1:].max(-1) < 0.55 * colour[..., 0])
    yellow = (colour[..., :2].min(-1) > 130) & (colour[..., 2] < 0.6 * colour[..., :2].min(-1))
    blue = (colour[..., 2] > 90) & (colour[..., 0] < 0.6 * colour[..., 2])
    draw = rng.random()
    out = colour.copy()
    if family in RINGED and red.mean() > 0.03:
        if draw < 0.25:
            out[white] = _near(YELLOW, rng)
        elif draw < 0.35 and family == "speed_limit":
            out[black] = _near(NAVY, rng)
    elif family == "warning" and red.mean() > 0.03:
        if draw < 0.2:
            out[white] = _near(YELLOW, rng)
        elif draw < 0.5:
            out[white] = _near(YELLOW, rng)
            out[red & _outer(rgba)] = _near(BLACK, rng)
    elif family == "warning" and yellow.mean() > 0.2 and draw < 0.3:
        out[yellow] = _near((ORANGE, LIME, WHITE)[rng.integers(3)], rng)
    if blue.mean() > 0.2:
        out[blue] = out[blue] * np.exp(rng.normal(0, (0.25, 0.2, 0.12)))
    rgba = rgba.copy()
    rgba[..., :3] = out.clip(0, 255)
    return rgba


def _crossed(rgba, rng):
    height, width = rgba.shape[:2]
    out = rgba.copy()
    left = (round(0.18 * width), round(0.18 * height))
    right = (round(0.82 * width), round(0.82 * height))
    if rng.random() < 0.25:
        left, right = (left[0], right[1]), (right[0], left[1])
    red = tuple(int(v) for v in _near((200, 20, 30), rng))
    cv2.line(out, left, right, (*red, 255), round(width * rng.uniform(0.06, 0.12)), cv2.LINE_AA)
    return out


def barred(rgba: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy with the red bar of a sign that ends what the sign began."""
    height, width = rgba.shape[:2]
    out, edge = rgba.copy(), rng.uniform(0.02, 0.12)
    low = (round(edge * width), round((1 - edge) * height))
    high = (round((1 - edge) * width), round(edge * height))
    red = tuple(int(v) for v in _near((200, 20, 30), rng))
    thick = round(min(width, height) * rng.uniform(0.06, 0.15))
    cv2.line(out, low, high, (*red, 255), thick, cv2.LINE_AA)
    return out


def _near(colour, rng):
    return np.clip(np.array(colour) * np.exp(rng.normal(0, 0.08, 3)), 0, 255)


def _outer(rgba):
    """Pixels that are nearer to the sign's edge than a symbol usually is."""
    height, width = rgba.shape[:2]
    solid = rgba[..., 3] > 128
    reach = max(2, round(0.13 * min(height, width)))
    padded = np.pad(solid, reach)
    inside = solid.copy()
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1), (-0.8, -0.8), (0.8, -0.8)):
        dy, dx = round(reach * dy), round(reach * dx)
        inside &= padded[reach + dy : reach + dy + height, reach + dx : reach + dx + width]
    return solid & ~inside
