"""SimOTA assignment (each sign picks the cells that already fit it best) and the loss on it."""

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


@dataclass
class Truth:
    """One picture's boxes [n, 4] and ignored areas [m, 4], x0 y0 x1 y1 in pixels."""

    boxes: Tensor
    ignore: Tensor
    partly_labelled: bool


@dataclass
class Decoded:
    raw: Tensor  # [B, N, 5]
    boxes: Tensor  # [B, N, 4] centre x, y, width, height in pixels
    cells: Tensor  # [N, 2]
    strides: Tensor  # [N, 1]


def decode(outputs: tuple[Tensor, ...]) -> Decoded:
    raw, cells, strides = [], [], []
    for output, stride in zip(outputs, STRIDES_PX, strict=True):
        rows, columns = output.shape[2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        raw.append(output.float().flatten(2).transpose(1, 2))
        cells.append(torch.stack([x, y], -1).reshape(-1, 2).float())
        strides.append(torch.full((rows * columns, 1), float(stride)))
    raw, cells, strides = torch.cat(raw, 1), torch.cat(cells), torch.cat(strides)
    centres = (raw[..., :2] + cells) * strides
    sides = raw[..., 2:4].clamp(max=LARGEST_LOG_SIDE).exp() * strides
    return Decoded(raw, torch.cat([centres, sides], -1), cells, strides)


def detection_loss(outputs: tuple[Tensor, ...], truths: list[Truth]) -> Tensor:
    """Mean loss per assigned cell."""
    found = decode(outputs)
    score = found.raw[..., SCORE]
    target, weight = torch.zeros_like(score), torch.ones_like(score)
    pictures, cells, wanted = [], [], []
    middle = (found.cells + 0.5) * found.strides
    for i, truth in enumerate(truths):
        weight[i] = _background_weight(middle, truth)
        if not len(truth.boxes):
            continue
        signs = _centre_form(truth.boxes)
        chosen, sign_of = assign(found.boxes[i].detach(), score[i].detach(), middle, found, signs)
        weight[i, chosen] = 1
        pictures.append(torch.full_like(chosen, i))
        cells.append(chosen)
        wanted.append(signs[sign_of])
    if not cells:
        return (F.binary_cross_entropy_with_logits(score, target, reduction="none") * weight).sum()
    picture, cell, sign = torch.cat(pictures), torch.cat(cells), torch.cat(wanted)
    overlap, generalised = _paired_iou(found.boxes[picture, cell], sign)
    target[picture, cell] = overlap.detach().clamp(LOWEST_TARGET, 1)
    entropy = F.binary_cross_entropy_with_logits(score, target, reduction="none")
    stride = found.strides[cell]
    offsets = torch.cat([sign[:, :2] / stride - found.cells[cell], (sign[:, 2:] / stride).log()], 1)
    distance = (found.raw[picture, cell, :4] - offsets).abs()
    box_loss = BOX_WEIGHT * (1 - generalised).sum() + OFFSET_WEIGHT * distance.sum()
    return (box_loss + (entropy * weight).sum()) / len(cell)


def assign(
    boxes: Tensor, score: Tensor, middle: Tensor, grid: Decoded, signs: Tensor
) -> tuple[Tensor, Tensor]:
    """-> (cells, sign of each): no cell serves two signs; a sign gets about its summed IoU."""
    reach = (middle[:, None] - signs[None, :, :2]).abs().amax(-1) / grid.strides
    near = reach < CENTRE_REACH_CELLS
    candidates = near.any(1).nonzero()[:, 0]
    near = near[candidates]
    overlap = _iou(boxes[candidates], signs)
    confidence = score[candidates].sigmoid().clamp(1e-6, 1)
    cost = -confidence.log()[:, None] - IOU_COST * (overlap + 1e-7).log() + 1e5 * ~near
    best = overlap.masked_fill(~near, 0).topk(min(MOST_CELLS_A_SIGN, len(candidates)), 0)[0]
    counts = best.sum(0).int().clamp(min=1)
    taken = torch.zeros_like(near)
    for sign, count in enumerate(counts.tolist()):
        cheapest = cost[:, sign].topk(min(count, len(candidates)), largest=False)[1]
        taken[cheapest, sign] = True
    taken &= near
    cheapest_sign = F.one_hot(cost.argmin(1), len(signs)).bool()
    taken = torch.where(taken.sum(1, keepdim=True) > 1, cheapest_sign, taken)
    row, sign_of = taken.nonzero(as_tuple=True)
    return candidates[row], sign_of


def _background_weight(middle: Tensor, truth: Truth) -> Tensor:
    weight = torch.ones(len(middle))
    if truth.partly_labelled:
        reach = (truth.boxes[:, 2:] - truth.boxes[:, :2]).repeat(1, 2) * KNOWN_REACH
        known = truth.boxes + reach * torch.tensor([-1.0, -1.0, 1.0, 1.0])
        weight = _inside(middle, known).float()
    around = torch.tensor([-4.0, -4.0, 4.0, 4.0])
    return weight * ~_inside(middle, truth.ignore + around)


def _inside(points: Tensor, areas: Tensor) -> Tensor:
    after = (points[:, None] > areas[None, :, :2]).all(-1)
    before = (points[:, None] < areas[None, :, 2:]).all(-1)
    return (after & before).any(1)


def _centre_form(boxes: Tensor) -> Tensor:
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """Centre-form [n, 4] and [m, 4] -> [n, m]."""
    return _paired_iou(a[:, None], b[None])[0]


def _paired_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of centre-form boxes, pair by pair."""
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    both = (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - both
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).prod(-1)
    overlap = both / (union + 1e-6)
    return overlap, overlap - (hull - union) / (hull + 1e-6)
