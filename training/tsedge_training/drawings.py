"""Official drawings by class (drawings.toml names them) and their pasting on road pictures."""

import io
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .catalogue import OTHER_SIGN
from .downloads import DRAWINGS, unpacked

MAP = Path(__file__).with_name("drawings.toml")
SPEED = re.compile(r"regulatory--maximum-speed-limit-(?:led-)?(\d+)$")


@dataclass(frozen=True)
class Drawing:
    key: str
    name: str
    rgba: np.ndarray


def render(svg: str | Path, longest_px: int = 160) -> np.ndarray:
    """SVG (text or file) -> RGBA, cut to what is drawn."""
    import cairosvg  # where pictures come ready made, as by portable.py, it need not be there

    source = {"url": str(svg)} if isinstance(svg, Path) else {"bytestring": svg.encode()}
    png = cairosvg.svg2png(**source, output_width=longest_px)
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return np.asarray(image.crop(image.getbbox()))


def class_of(name: str, table: dict, keys: set[str]) -> str | None:
    """The class a drawing belongs to by its name without --gN; None when it must not be used."""
    speed = SPEED.match(name)
    if speed:
        key = f"speed_limit_{speed[1]}"
        return key if key in keys else OTHER_SIGN
    for key, patterns in table["classes"].items():
        if any(fnmatch(name, pattern) for pattern in patterns):
            return key
    if any(fnmatch(name, pattern) for pattern in table["unused"]):
        return None
    return OTHER_SIGN


def official(keys: set[str]) -> list[Drawing]:
    """Every usable drawing of the package."""
    table = tomllib.loads(MAP.read_text(encoding="utf-8"))
    drawings = []
    for file in sorted((unpacked(DRAWINGS) / "package" / "package_signs").glob("*.svg")):
        name = file.stem.rsplit("--", 1)[0]
        key = None if file.stem in table["exclude"] else class_of(name, table, keys)
        if key is None or name.startswith("marking"):
            continue
        try:
            drawings.append(Drawing(key, file.stem, render(file)))
        except Exception as error:  # a few files of the package are not valid SVG
            print(f"{file.name}: not drawn ({error})")
    return drawings


def paste(rgba, background, rng, size_px, margin, shift=0.0):
    """The drawing, weathered and lit, on the square background; `margin` of the size stays free.

    `shift` moves it by that share of the size in a random direction (for partly seen signs).
    """
    canvas = cv2.resize(background, (size_px, size_px), interpolation=cv2.INTER_AREA)
    canvas = canvas.astype(np.float32)
    inner = round(size_px * (1 - 2 * margin))
    sign = cv2.resize(_weathered(rgba, rng, canvas.mean()), (inner, inner),
                      interpolation=cv2.INTER_AREA)  # fmt: skip
    angle = rng.uniform(0, 2 * np.pi)
    offset = (size_px - inner) / 2
    move = np.float32(
        [
            [1, 0, offset + shift * size_px * np.cos(angle)],
            [0, 1, offset + shift * size_px * np.sin(angle)],
        ]
    )
    sign = cv2.warpAffine(sign, move, (size_px, size_px))
    alpha = sign[..., 3:] / 255
    canvas = canvas * (1 - alpha) + sign[..., :3] * alpha
    return canvas.clip(0, 255).round().astype(np.uint8)


def _weathered(rgba, rng, surround):
    """Fading, dirt and the light of the place. The colour outside the sign is kept off its rim."""
    sign = rgba.astype(np.float32)
    light = rng.uniform(0.35, 1.05) if rng.random() < 0.7 else surround / 255 * rng.uniform(0.8, 2)
    colour = sign[..., :3] * light + rng.uniform(0, 40)
    fade = rng.uniform(0, 0.4)
    colour = colour * (1 - fade) + colour.mean(-1, keepdims=True) * fade
    if rng.random() < 0.4:  # a shadow or gleam across
        height, width = sign.shape[:2]
        slope = np.add.outer(np.linspace(0, rng.uniform(-1, 1), height),
                             np.linspace(0, rng.uniform(-1, 1), width))  # fmt: skip
        colour *= (1 + 0.6 * np.clip(slope, -1, 1))[..., None]
    colour = colour.clip(0, 255) * (sign[..., 3:] > 0)
    # Straight alpha is scaled with its colour, or a resize would draw a dark rim.
    return np.concatenate([colour, sign[..., 3:]], -1)
