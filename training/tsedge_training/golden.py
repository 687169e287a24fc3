"""models/golden/preprocess.safetensors: crops and embeddings that Rust and Python must agree on."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from . import preprocess
from .augment import CONTEXT
from .cards import sha256
from .evaluate import OnnxEncoder
from .preprocess import Colour

# Frame (width, height), box, output size (0: the encoder's), colour: shrinking, enlarging,
# thin, at edges and corners.
CASES = (
    ((64, 48), (10.0, 8.0, 42.0, 40.0), 0, Colour("bt601", "limited")),
    ((64, 48), (20.25, 11.5, 33.75, 26.125), 0, Colour("bt709", "limited")),
    ((160, 120), (3.3, 2.7, 140.2, 115.9), 0, Colour("bt709", "full")),
    ((160, 120), (0.0, 0.0, 22.0, 19.0), 0, Colour("bt601", "full")),
    ((160, 120), (139.5, 100.5, 160.0, 120.0), 0, Colour("bt601", "limited")),
    ((96, 96), (30.0, 10.0, 42.0, 88.0), 0, Colour("bt709", "limited")),
    ((96, 96), (40.5, 41.5, 53.5, 54.5), 64, Colour("bt601", "limited")),
    ((320, 240), (5.0, 5.0, 315.0, 235.0), 32, Colour("bt709", "limited")),
    ((320, 240), (100.0, 60.0, 164.0, 124.0), 64, Colour("bt709", "full")),
)


def picture(width: int, height: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A made-up 4:2:0 frame: slopes, a bright disc with a dark bar, and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    y = 40 + 150 * columns / width + 30 * np.sin(rows / 5)
    disc = (columns - width / 2) ** 2 + (rows - height / 2) ** 2 < (min(width, height) / 3) ** 2
    y[disc] = 225
    y[disc & (np.abs(rows - height / 2) < height / 12)] = 30
    half_rows, half_columns = np.mgrid[0 : height // 2, 0 : width // 2]
    u = 128 + 90 * np.sin(half_columns / 7 + seed)
    v = 128 + 90 * np.cos(half_rows / 6 - seed)
    v[disc[::2, ::2]] = 230
    planes = (plane + rng.normal(0, 6, plane.shape) for plane in (y, u, v))
    return tuple(plane.clip(0, 255).astype(np.uint8) for plane in planes)


def write(encoder_file: Path, out: Path) -> None:
    encoder = OnnxEncoder(encoder_file)
    tensors, described = {}, []
    for i, ((width, height), box, size, colour) in enumerate(CASES):
        size = size or encoder.size_px
        y, u, v = picture(width, height, i)
        expected = preprocess.from_yuv420(y, u, v, box, size, CONTEXT, colour)
        tensors |= {f"y_{i}": y, f"u_{i}": u, f"v_{i}": v, f"expected_{i}": expected}
        tensors[f"box_{i}"] = np.array(box, np.float32)
        if size == encoder.size_px:
            tensors[f"embedding_{i}"] = encoder(expected.transpose(1, 2, 0)[None])[0]
        described.append(
            {"matrix": colour.matrix, "range": colour.range, "size": size, "context": CONTEXT}
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"cases": json.dumps(described), "encoder_sha256": sha256(encoder_file)}
    save_file(tensors, out, metadata)
