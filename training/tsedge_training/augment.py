"""What a camera, a detector and a video codec do to a sign: stored squares -> encoder input.

No flips: arrows and digits have a side.
"""

import cv2
import numpy as np

from .data import MARGIN

CONTEXT = 0.05  # the runtime grows a box by this share on each side (see the model card)


def plain(images: np.ndarray, size_px: int) -> np.ndarray:
    """The stored squares as the runtime would cut them from an exact box."""
    return np.stack([_resample(image, _placed(image, size_px), size_px) for image in images])


def augment(images: np.ndarray, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """[N, S, S, 3] u8 -> [N, size, size, 3] u8, each picture changed on its own."""
    return np.stack([_augment(image, size_px, rng) for image in images])


def _placed(image, size_px, scale=(1.0, 1.0), angle=0.0, shear=0.0, shift=(0.0, 0.0)):
    """Matrix from output to stored pixels: the sign's box plus CONTEXT fills the output."""
    stored = image.shape[0]
    view = (1 - 2 * MARGIN) * (1 + 2 * CONTEXT) * stored
    sin, cos = np.sin(angle), np.cos(angle)
    linear = np.array([[cos, -sin + shear], [sin, cos]]) * np.array(scale) * view / size_px
    centre = (size_px - 1) / 2
    middle = (stored - 1) / 2 + np.array(shift) * view
    return np.float32(np.column_stack([linear, middle - linear @ np.array([centre, centre])]))


def _resample(image, matrix, size_px):
    return cv2.warpAffine(
        image, matrix, (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip


def _augment(image, size_px, rng):
    # The detector's box: in place and size within 12 %, the camera a little tilted.
    matrix = _placed(
        image,
        size_px,
        scale=np.exp(rng.uniform(-0.12, 0.14) + rng.uniform(-0.08, 0.08, 2)),
        angle=np.deg2rad(np.clip(rng.normal(0, 5), -14, 14)),
        shear=rng.normal(0, 0.06),
        shift=rng.uniform(-0.11, 0.11, 2),
    )
    out = _light(_resample(image, matrix, size_px), rng)
    if rng.random() < 0.15:
        out = _motion_blur(out, rng)
    if rng.random() < 0.6:
        out = _distance(out, rng)
    elif rng.random() < 0.3:
        out = _compressed(out, rng)
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(1, 12), out.shape).astype(np.float32)
        out = (out + noise).clip(0, 255).astype(np.uint8)
    return out


def _light(image, rng):
    pixels = image.astype(np.float32) / 255
    mean = pixels.mean()
    contrast, brightness = np.exp(rng.uniform(-0.6, 0.4)), np.exp(rng.uniform(-0.7, 0.5))
    pixels = (pixels - mean) * contrast + mean * brightness
    grey = pixels.mean(-1, keepdims=True)
    pixels = grey + (pixels - grey) * np.exp(rng.uniform(-0.8, 0.45))
    pixels *= np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    return (pixels.clip(0, 1) ** gamma * 255).astype(np.uint8)


def _motion_blur(image, rng):
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    if rng.random() < 0.6:
        kernel[length // 2] = 1
    elif rng.random() < 0.5:
        kernel[:, length // 2] = 1
    else:
        np.fill_diagonal(kernel, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def _distance(image, rng):
    """A sign seen small: shrunk to 11..48 px, compressed there, and enlarged again."""
    size = image.shape[0]
    small_px = int(np.exp(rng.uniform(np.log(11), np.log(48))))
    ways = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    small = cv2.resize(image, (small_px, small_px), interpolation=ways[rng.integers(3)])
    if rng.random() < 0.2:
        small = cv2.GaussianBlur(small, (3, 3), rng.uniform(0.4, 1.0))
    if rng.random() < 0.6:
        small = _compressed(small, rng)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)


def _compressed(image, rng):
    """Block and chroma artefacts as of a dash camera's codec."""
    quality = int(rng.integers(18, 80))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)
