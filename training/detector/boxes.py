"""What the outputs mean, in NumPy: exactly the decoding the model card describes."""

import numpy as np

from .network import STRIDES_PX


def decode(outputs: list[np.ndarray], threshold: float) -> np.ndarray:
    """Raw [1, 5, h, w] outputs -> [n, 5] x0, y0, x1, y1, score, best first."""
    found = []
    logit = np.log(threshold / (1 - threshold))
    for raw, stride in zip(outputs, STRIDES_PX, strict=True):
        dx, dy, log_w, log_h, score = raw[0]
        rows, columns = np.nonzero(score >= logit)
        at = (rows, columns)
        centre_x, centre_y = (columns + dx[at]) * stride, (rows + dy[at]) * stride
        half_w, half_h = np.exp(log_w[at]) * stride / 2, np.exp(log_h[at]) * stride / 2
        corners = (centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h)
        found.append(np.stack([*corners, 1 / (1 + np.exp(-score[at]))], 1))
    boxes = np.concatenate(found).astype(np.float32)
    return boxes[np.argsort(-boxes[:, 4], kind="stable")]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, 4+] and [m, 4+] -> [n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [(x[:, 2:4] - x[:, :2]).prod(1) for x in (a, b)]
    return both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)


def non_maximum_suppression(boxes: np.ndarray, limit: float) -> np.ndarray:
    """Keeps a box unless a better kept one overlaps it by more than `limit`."""
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    overlap = iou(boxes, boxes)
    kept: list[int] = []
    for i in range(len(boxes)):
        if not kept or overlap[i, kept].max() <= limit:
            kept.append(i)
    return boxes[kept]
