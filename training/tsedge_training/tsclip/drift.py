"""Test pictures changed by kind and strength (1 to 5), as weather, lens, codec and dirt do it."""

import cv2
import numpy as np


def blur(image, strength, rng):
    return cv2.GaussianBlur(image, (0, 0), 0.4 + 0.5 * strength)


def motion(image, strength, rng):
    length = 3 + 3 * strength
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def low_resolution(image, strength, rng):
    small = (32, 24, 18, 14, 10)[strength - 1]
    shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def jpeg(image, strength, rng):
    quality = (40, 25, 15, 10, 6)[strength - 1]
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def noise(image, strength, rng):
    return _u8(image + rng.normal(0, 8 * strength, image.shape))


def dark(image, strength, rng):
    """Less light, and the noise of a sensor that makes up for it."""
    light = 1 / (1 + 0.9 * strength)
    return _u8(image * light + rng.normal(0, 2 * strength, image.shape))


def fog(image, strength, rng):
    share = 0.14 * strength
    return _u8(image * (1 - share) + 200 * share)


def occlusion(image, strength, rng):
    """A dark band, as of a branch or a post, over a part of the sign."""
    out, size = image.copy(), image.shape[0]
    width = max(1, round(size * 0.08 * strength))
    at = rng.integers(0, size - width)
    colour = rng.integers(20, 90, 3)
    if rng.random() < 0.5:
        out[:, at : at + width] = colour
    else:
        out[at : at + width] = colour
    return out


KINDS = {f.__name__: f for f in (blur, motion, low_resolution, jpeg, noise, dark, fog, occlusion)}


def changed(images: np.ndarray, kind: str, strength: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([KINDS[kind](image, strength, rng) for image in images])


def _u8(values):
    return np.asarray(values).clip(0, 255).round().astype(np.uint8)
