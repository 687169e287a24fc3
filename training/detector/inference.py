"""Runs a detector, as PyTorch module or ONNX file, the way the runtime does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

from . import boxes
from .augment import PAD_VALUE
from .network import INPUT_MULTIPLE_PX, Detector

NMS_IOU = 0.5
# u8 [1, 3, H, W] -> raw outputs, one a stride
Runner = Callable[[np.ndarray], list[np.ndarray]]


def torch_runner(net: Detector) -> Runner:
    net = net.eval().to(memory_format=torch.channels_last)

    def run(image: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            return [out.numpy() for out in net(torch.from_numpy(image).float())]

    return run


def onnx_session(
    path: Path, size_px: tuple[int, int] | None = None, profile: Path | None = None
) -> onnxruntime.InferenceSession:
    """One thread; `size_px` (height, width) fixes the free dimensions, as the runtime does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    if size_px:
        for name, value in zip(("height", "width"), size_px, strict=True):
            options.add_free_dimension_override_by_name(name, value)
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx_runner(path: Path) -> Runner:
    session = onnx_session(path)
    return lambda image: session.run(None, {"image": image})


def letterbox(image: np.ndarray, long_side_px: int) -> tuple[np.ndarray, float]:
    """Scaled so that the long side fits, at the top left, padded right and below.

    -> u8 [1, 3, H, W] and the scale from frame to input pixels.
    """
    height, width = image.shape[:2]
    scale = long_side_px / max(height, width)
    inner = (round(height * scale), round(width * scale))
    if inner != (height, width):
        picture = Image.fromarray(image).resize(inner[::-1], Image.Resampling.BILINEAR)
        image = np.asarray(picture)
    padded = [-(-side // INPUT_MULTIPLE_PX) * INPUT_MULTIPLE_PX for side in inner]
    out = np.full((*padded, 3), PAD_VALUE, np.uint8)
    out[: inner[0], : inner[1]] = image
    return np.ascontiguousarray(out.transpose(2, 0, 1)[None]), scale


def detect(run: Runner, image: np.ndarray, long_side_px: int, threshold: float) -> np.ndarray:
    """Signs in frame pixels: [n, 5] x0, y0, x1, y1, score, best first."""
    picture, scale = letterbox(image, long_side_px)
    found = boxes.non_maximum_suppression(boxes.decode(run(picture), threshold), NMS_IOU)
    found[:, :4] /= scale
    return found
