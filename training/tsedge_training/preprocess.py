"""Reference of the crop that the runtime feeds to the encoder: float64, rounded once.

A box is grown by the card's context, clipped to the frame, and each plane is resampled to the
square by itself with a triangle filter (Pillow's BILINEAR with `box`). Planes of 4:2:0 video have
the box halved for chroma; the conversion to RGB happens at the target size.
"""

from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels

# Kr, Kb of the luma equation.
MATRICES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


@dataclass(frozen=True)
class Colour:
    matrix: str  # bt601 | bt709
    range: str  # limited | full


def grown(box: Box, context: float, width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    grow_x, grow_y = context * (x1 - x0), context * (y1 - y0)
    return (
        max(0.0, x0 - grow_x),
        max(0.0, y0 - grow_y),
        min(float(width), x1 + grow_x),
        min(float(height), y1 + grow_y),
    )


def weights(source: int, start: float, end: float, target: int) -> np.ndarray:
    """[target, source] filter taps, clipped to the picture and normalised to 1."""
    scale = (end - start) / target
    support = max(1.0, scale)
    out = np.zeros((target, source))
    for i in range(target):
        centre = start + (i + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(source, int(centre + support + 0.5))
        distance = np.abs(np.arange(first, last) + 0.5 - centre) / support
        taps = np.maximum(0.0, 1.0 - distance)
        out[i, first:last] = taps / taps.sum()
    return out


def resample(plane: np.ndarray, box: Box, size: int) -> np.ndarray:
    """[H, W] -> [size, size] float64, not rounded."""
    x0, y0, x1, y1 = box
    rows = weights(plane.shape[0], y0, y1, size)
    columns = weights(plane.shape[1], x0, x1, size)
    return rows @ plane.astype(np.float64) @ columns.T


def to_u8(values: np.ndarray) -> np.ndarray:
    return np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)


def from_rgb(image: np.ndarray, box: Box, size: int, context: float) -> np.ndarray:
    """[H, W, 3] u8 -> [3, size, size] u8."""
    box = grown(box, context, image.shape[1], image.shape[0])
    return to_u8(np.stack([resample(image[..., c], box, size) for c in range(3)]))


def from_yuv420(y, u, v, box: Box, size: int, context: float, colour: Colour) -> np.ndarray:
    """Planes of a 4:2:0 frame -> [3, size, size] u8 RGB."""
    box = grown(box, context, y.shape[1], y.shape[0])
    half = tuple(edge / 2 for edge in box)
    luma = resample(y, box, size)
    return to_u8(to_rgb(luma, resample(u, half, size), resample(v, half, size), colour))


def to_rgb(y, u, v, colour: Colour) -> np.ndarray:
    """[3, ...] float RGB of 0..255, not clipped."""
    red_share, blue_share = MATRICES[colour.matrix]
    if colour.range == "limited":
        y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    else:
        u, v = u - 128, v - 128
    red = y + 2 * (1 - red_share) * v
    blue = y + 2 * (1 - blue_share) * u
    green = (y - red_share * red - blue_share * blue) / (1 - red_share - blue_share)
    return np.stack([red, green, blue])
