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
    warp = cv2.warpAffine if matrix.shape[0] == 2 else cv2.warpPerspective
    return warp(
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
    if rng.random() < 0.4:
        matrix = np.vstack([matrix, [0, 0, 1]]) @ _perspective(size_px, rng)
    out = _light(_resample(image, np.float32(matrix), size_px), rng)
    if rng.random() < 0.1:
        out = _hidden_in_part(out, rng)
    blur = rng.random()
    if blur < 0.15:
        out = _motion_blur(out, rng)
    elif blur < 0.25:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.5, 1.8) * size_px / 48)
    if rng.random() < 0.1:
        out = _bled(out, rng)
    if rng.random() < 0.6:
        out = _distance(out, rng)
    elif rng.random() < 0.3:
        out = _compressed(out, rng)
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(1, 12), out.shape).astype(np.float32)
        out = (out + noise).clip(0, 255).astype(np.uint8)
    return out


def _perspective(size_px, rng):
    """A plate turned away from the camera: one side up to a fifth smaller than the other."""
    x, y = rng.uniform(-0.2, 0.2, 2) / size_px
    middle = (size_px - 1) / 2
    lean = 1 - (x + y) * middle
    return np.array(
        [[lean + x * middle, y * middle, 0], [x * middle, lean + y * middle, 0], [x, y, lean]]
    )


def _hidden_in_part(image, rng):
    """A branch, pole or edge of a lorry before up to a quarter of the picture."""
    size = image.shape[0]
    out = image.copy()
    part = int(size * rng.uniform(0.08, 0.25))
    colour = rng.uniform(10, 160) * np.exp(rng.normal(0, 0.15, 3))
    grain = rng.normal(0, rng.uniform(2, 25), (size, part, 3))
    strip = (colour + grain).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:  # upright, anywhere
        at, part = int(rng.integers(size - part)), max(2, part // 2)
        out[:, at : at + part] = strip[:, :part]
        return out
    turns = int(rng.integers(4))
    turned = np.rot90(out, turns).copy()
    turned[:, :part] = strip
    return np.ascontiguousarray(np.rot90(turned, -turns))


def _light(image, rng):
    pixels = image.astype(np.float32) / 255
    draw = rng.random()
    if draw < 0.07:  # night, or a low sun behind
        pixels *= rng.uniform(0.15, 0.5)
    elif draw < 0.12:  # a white that the camera cannot hold
        pixels *= rng.uniform(1.2, 2.2)
    mean = pixels.mean()
    contrast, brightness = np.exp(rng.uniform(-0.6, 0.4)), np.exp(rng.uniform(-0.7, 0.5))
    pixels = (pixels - mean) * contrast + mean * brightness
    grey = pixels.mean(-1, keepdims=True)
    pixels = grey + (pixels - grey) * np.exp(rng.uniform(-0.8, 0.45))
    cast = 0.25 if rng.random() < 0.1 else 0.07  # a white balance gone wrong
    pixels *= np.exp(rng.normal(0, cast, 3)).astype(np.float32)
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    return (pixels.clip(0, 1) ** gamma * 255).astype(np.uint8)


def _bled(image, rng):
    """Colour that a cheap camera keeps for several pixels together, often too strong."""
    colour = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    size = image.shape[0]
    coarse = max(2, round(size / rng.uniform(2.5, 7)))
    small = cv2.resize(colour[..., 1:], (coarse, coarse), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    strength = rng.uniform(0.8, 1.7)
    colour[..., 1:] = ((wide - 128) * strength + 128).clip(0, 255)
    return cv2.cvtColor(colour, cv2.COLOR_YCrCb2RGB)


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
