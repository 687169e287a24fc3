"""Look: python -m detector.report --model ../models/detector.onnx --out runs/report

Hits, misses and false alarms on the validation frames at 0.1 false positives a frame. Writes
`recall.svg` (recall against false positives, by size), `errors.md` (how many of which size), and,
to look at, `misses.png`, `false.png` and `hits.png`. Needs TSEDGE_DATA. The pictures show frames of
the data sets: keep them to yourself.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from tsedge_training.paths import data_root

from . import scenes
from .boxes import iou
from .evaluate import (
    LOWEST_SCORE,
    MATCH_IOU,
    SIZE_BINS_PX,
    Ranking,
    operating_point,
    rank,
    runner_of,
)
from .inference import detect
from .mine import COLUMNS, tile

RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
COLOURS = ("#b3261e", "#c77700", "#1b6ca8", "#2e7d32")
WIDTH, HEIGHT, LEFT, BOTTOM = 560, 320, 46, 40


def chart(ranking: Ranking) -> str:
    """Recall against false positives a frame (logarithmic), one line a size."""
    rates = [rate for rate in RATES if rate * ranking.frames >= 1]
    points = [operating_point(ranking, rate) for rate in rates]
    low, high = np.log(rates[0]), np.log(rates[-1])

    def x(rate: float) -> float:
        return LEFT + (np.log(rate) - low) / (high - low) * (WIDTH - LEFT - 120)

    def y(recall: float) -> float:
        return 16 + (1 - recall) * (HEIGHT - BOTTOM - 16)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        out.append(
            f'<path d="M{LEFT} {y(share):.1f}H{x(rates[-1]):.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{y(share) + 4:.1f}" text-anchor="end">{share:.1f}</text>'
        )
    for rate in rates:
        out.append(
            f'<text x="{x(rate):.1f}" y="{HEIGHT - 22}" text-anchor="middle">{rate:g}</text>'
        )
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 5}">recall against false positives a frame</text>')
    for (least, most), colour in zip(SIZE_BINS_PX, COLOURS, strict=True):
        name = f"{least}_{most}_px" if most < 10_000 else f"{least}_px_up"
        line = [(x(r), p[f"recall_{name}"]) for r, p in zip(rates, points, strict=True)]
        if line[0][1] is None:
            continue
        path = " ".join(f"{at:.1f},{y(recall):.1f}" for at, recall in line)
        label = name.replace("_px", " px").replace("_", " ")
        out.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{line[-1][0] + 6:.1f}" y="{y(line[-1][1]) + 4:.1f}"'
            f' fill="{colour}">{label}</text>'
        )
    return "\n".join([*out, "</svg>"]) + "\n"


def size_name(side_px: float) -> str:
    for low, high in SIZE_BINS_PX:
        if low <= side_px < high:
            return f"{low}-{high} px" if high < 10_000 else f"{low} px and up"
    return f"under {SIZE_BINS_PX[0][0]} px"


SIZES = [f"under {SIZE_BINS_PX[0][0]} px", *(size_name(low) for low, _ in SIZE_BINS_PX)]


def sort_out(
    found: list[np.ndarray], frames: list[scenes.Scene], threshold: float
) -> dict[str, list[tuple[scenes.Scene, np.ndarray, float]]]:
    """-> places by what they are, each with its frame, box and score (a miss: the best near it)."""
    places: dict[str, list] = {"hits": [], "misses": [], "false": []}
    for boxes, frame in zip(found, frames, strict=True):
        sure = boxes[boxes[:, 4] >= threshold]
        overlap = iou(frame.boxes, sure).max(1, initial=0)
        near = iou(frame.boxes, boxes)
        for box, best, others in zip(frame.boxes, overlap, near, strict=True):
            score = boxes[others >= MATCH_IOU, 4].max(initial=0)
            places["hits" if best >= MATCH_IOU else "misses"].append((frame, box, float(score)))
        known = np.concatenate([frame.boxes, frame.ignore])
        for box in sure[iou(sure, known).max(1, initial=0) < 0.3]:
            places["false"].append((frame, box[:4], float(box[4])))
    return places


def sheet(places: list, path: Path) -> None:
    tiles = [
        tile(frame.image, box.tolist(), f"{(box[2:] - box[:2]).max():.0f}px {score:.2f}")
        for frame, box, score in places
    ]
    if not tiles:
        return
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def by_size(places: dict[str, list]) -> dict[str, list[int]]:
    """How many hits, misses and false alarms of each size."""
    counts = {size: [0, 0, 0] for size in SIZES}
    for kind, number in (("hits", 0), ("misses", 1), ("false", 2)):
        for _, box, _ in places[kind]:
            counts[size_name(float((box[2:] - box[:2]).max()))][number] += 1
    return counts


def table(places: dict[str, list]) -> str:
    lines = ["| size | found | missed | false |", "| --- | --- | --- | --- |"]
    for size, counts in by_size(places).items():
        lines.append(f"| {size} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=1024)
    args = parser.parse_args()
    torch.set_num_threads(1)
    run = runner_of(args.model)
    frames = scenes.gtsdb_validation(data_root())
    found = [detect(run, frame.image, args.size, LOWEST_SCORE) for frame in frames]
    ranking = rank(found, frames)
    places = sort_out(found, frames, operating_point(ranking, 0.1)["threshold"])
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "recall.svg").write_text(chart(ranking))
    (args.out / "errors.md").write_text(table(places))
    print(table(places))
    for kind, some in places.items():
        sheet(some, args.out / f"{kind}.png")


if __name__ == "__main__":
    main()
