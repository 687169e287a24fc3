"""SimOTA assignment (each sign picks the cells that already fit it best) and the loss on it.

All pictures of a batch at once, with signs padded to one number, and no step that waits for the
device: on a GPU a batch costs its launches.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .network import SCORE, STRIDES_PX

CENTRE_REACH_CELLS = 1.5
MOST_CELLS_A_SIGN = 10
IOU_COST, BOX_WEIGHT, OFFSET_WEIGHT = 3.0, 5.0, 0.5
LOWEST_TARGET = 0.3  # of a cell that was assigned a sign, however badly it fits yet
KNOWN_REACH = 1.0  # partly labelled: background counts this many box sides around a box
LARGEST_LOG_SIDE = 7.0
OUTSIDE_PX = -1e4  # padding is a point here: near no cell, and no cell in it


@dataclass
class Truth:
    """Boxes [B, n, 4] and ignored areas [B, m, 4] of a batch, x0 y0 x1 y1 in pixels, padded with
    points at `OUTSIDE_PX`; `partly_labelled` [B]."""

    boxes: Tensor
    ignore: Tensor
    partly_labelled: Tensor

    def to(self, device: torch.device) -> "Truth":
        parts = (self.boxes, self.ignore, self.partly_labelled)
        return Truth(*(part.to(device, non_blocking=True) for part in parts))


@dataclass
class Decoded:
    raw: Tensor  # [B, N, 5]
    boxes: Tensor  # [B, N, 4] centre x, y, width, height in pixels
    cells: Tensor  # [N, 2]
    strides: Tensor  # [N, 1]


def decode(outputs: tuple[Tensor, ...]) -> Decoded:
    raw, cells, strides = [], [], []
    for output, stride in zip(outputs, STRIDES_PX, strict=True):
        rows, columns = (torch.arange(n, device=output.device) for n in output.shape[2:])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        raw.append(output.float().flatten(2).transpose(1, 2))
        cells.append(torch.stack([x, y], -1).reshape(-1, 2).float())
        strides.append(torch.full_like(cells[-1][:, :1], stride))
    raw, cells, strides = torch.cat(raw, 1), torch.cat(cells), torch.cat(strides)
    centres = (raw[..., :2] + cells) * strides
    sides = raw[..., 2:4].clamp(max=LARGEST_LOG_SIDE).exp() * strides
    return Decoded(raw, torch.cat([centres, sides], -1), cells, strides)


def detection_loss(outputs: tuple[Tensor, ...], truth: Truth) -> Tensor:
    """Mean loss per assigned cell."""
    found = decode(outputs)
    score = found.raw[..., SCORE]
    middle = (found.cells + 0.5) * found.strides
    signs = _centre_form(truth.boxes)
    if signs.shape[1]:
        with torch.no_grad():
            taken = assign(found.boxes, score, middle, found.strides, signs)
        chosen, sign_of = taken.any(2), taken.int().argmax(2)
        # Where no sign was assigned, the cell's own box: it costs nothing and has no odd gradient.
        sign = signs.gather(1, sign_of[..., None].expand(-1, -1, 4))
        sign = torch.where(chosen[..., None], sign, found.boxes.detach())
    else:
        chosen, sign = torch.zeros_like(score, dtype=torch.bool), found.boxes.detach()
    overlap, generalised = _paired_iou(found.boxes, sign)
    target = overlap.detach().clamp(LOWEST_TARGET, 1) * chosen
    entropy = F.binary_cross_entropy_with_logits(score, target, reduction="none")
    weight = (_background_weight(middle, truth) | chosen).float()
    log_sides = (sign[..., 2:] / found.strides).clamp(min=1e-6).log()
    offsets = torch.cat([sign[..., :2] / found.strides - found.cells, log_sides], -1)
    distance = (found.raw[..., :4] - offsets).abs().sum(-1)
    box_loss = (BOX_WEIGHT * (1 - generalised) + OFFSET_WEIGHT * distance) * chosen
    return (box_loss + entropy * weight).sum() / chosen.sum().clamp(min=1)


def assign(boxes: Tensor, score: Tensor, middle: Tensor, strides: Tensor, signs: Tensor) -> Tensor:
    """-> [B, N, n]: which cell serves which sign. None serves two; a sign gets about its summed
    IoU in cells."""
    offset = (middle[:, None] - signs[:, None, :, :2]).abs().amax(-1)
    near = offset < CENTRE_REACH_CELLS * strides
    overlap = _paired_iou(boxes[:, :, None], signs[:, None])[0]
    confidence = score.sigmoid().clamp(1e-6, 1)
    cost = -confidence.log()[..., None] - IOU_COST * (overlap + 1e-7).log() + 1e5 * ~near
    most = min(MOST_CELLS_A_SIGN, cost.shape[1])
    counts = (overlap * near).topk(most, 1)[0].sum(1, keepdim=True).int().clamp(min=1)
    cheapest = cost.topk(most, 1, largest=False)[1]
    within = torch.arange(most, device=cost.device)[:, None] < counts
    taken = torch.zeros_like(near).scatter_(1, cheapest, within) & near
    cheapest_sign = cost.argmin(2, keepdim=True) == torch.arange(signs.shape[1], device=cost.device)
    return torch.where(taken.sum(2, keepdim=True) > 1, cheapest_sign, taken)


def _background_weight(middle: Tensor, truth: Truth) -> Tensor:
    """[B, N]: where background is known to be background."""
    reach = (truth.boxes[..., 2:] - truth.boxes[..., :2]) * KNOWN_REACH
    known = truth.boxes + torch.cat([-reach, reach], -1)
    inside = _inside(middle, known) | ~truth.partly_labelled[:, None]
    around = torch.cat([truth.ignore[..., :2] - 4, truth.ignore[..., 2:] + 4], -1)
    return inside & ~_inside(middle, around)


def _inside(points: Tensor, areas: Tensor) -> Tensor:
    """[N, 2] and [B, n, 4] -> [B, N]."""
    after = (points[:, None] > areas[:, None, :, :2]).all(-1)
    before = (points[:, None] < areas[:, None, :, 2:]).all(-1)
    return (after & before).any(2)


def _centre_form(boxes: Tensor) -> Tensor:
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2


def _paired_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of centre-form boxes, pair by pair."""
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    both = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - both
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(-1)
    overlap = both / (union + 1e-6)
    return overlap, overlap - (hull - union) / (hull + 1e-6)
