"""By region: python -m detector.by_region --model ../models/detector.onnx --work runs/regions

For each national style that the simulator draws, a drive past all its signs, rendered by `tsedge
simulate`; recall by size at the score from which the program begins a track, and where all drives
together have so many false positives a frame; the drawings found least. `--sheet DIR` writes what
was missed, to look at. The signs are drawn and so is all around them: this compares looks, it does
not say what is found on roads.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from tsedge_training.paths import REPOSITORY

from . import drives
from .boxes import iou
from .evaluate import (
    FALSE_POSITIVES_A_FRAME,
    LOWEST_SCORE,
    MATCH_IOU,
    hits,
    kept_at,
    rank,
    runner_of,
    score_of,
)
from .inference import Runner, detect
from .mine import tile, write_sheets
from .scenes import Scene

sys.path.insert(0, str(REPOSITORY / "scripts"))
from conditions import render  # noqa: E402
from drawn_route import CONDITIONS, minutes_past, scenario  # noqa: E402

EVERY_S = 4.0  # a post
SIZE_BINS_PX = ((8, 12), (12, 20), (20, 32), (32, 10_000))
TALL, WIDE = 0.87, 1.3  # width by height; between them discs, triangles, diamonds, squares
LEAST_FOUND, FROM_PX, SHEET_FROM_PX = 12, 12, 16
NO_PICTURE = np.zeros((0, 0, 3), np.uint8)


@dataclass
class Driven:
    """What was found on a drive; `keys`: the drawings of its signs, in the order of their boxes."""

    found: list[np.ndarray] = field(default_factory=list)
    frames: list[Scene] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    missed: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def add(self, other: "Driven") -> None:
        self.found += other.found
        self.frames += other.frames
        self.keys += other.keys


def drawings(tsedge: Path) -> dict[str, list[str]]:
    """The keys of all drawings of each style."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([tsedge, "simulate", "--crops", folder], check=True)
        keys = defaultdict(list)
        for file in sorted(Path(folder).glob("*/*/*.png")):
            # `000.png` in the folder of its class; `led_40_000.png` where a class has several.
            key = file.stem.rpartition("_")[0] or file.parent.name
            keys[file.parents[1].name].append(key)
    return dict(keys)


def drive_past(
    tsedge: Path, folder: Path, style: str, keys: list[str], rate_hz: int, condition: str = "day"
) -> tuple[drives.Drive, list[str]]:
    """Rendered unless it is there -> the drive, and the drawing of each of its signs."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = next(some for some in CONDITIONS if some.name == condition)
    minutes = minutes_past(len(keys), EVERY_S)
    text = scenario(chosen, minutes, rate_hz, style, [(key,) for key in keys], EVERY_S)
    render(tsedge, folder, text)
    signs = [sign["class"] for sign in tomllib.loads(text)["sign"]]
    return drives.read(folder / "drive.mp4", folder / "truth.json"), signs


def drive(run: Runner, route: drives.Drive, signs: list[str], size_px: int, sure: float) -> Driven:
    """The detector on each frame; signs whose score is below `sure` are cut out as missed."""
    out = Driven()
    for frame, scene in enumerate(drives.scenes(route)):
        found = detect(run, scene.image, size_px, LOWEST_SCORE)
        keys = [signs[i] for i in route.signs.get(frame, [])]
        fits = iou(scene.boxes, found) >= MATCH_IOU
        best = (fits * found[None, :, 4]).max(1, initial=0)
        for box, score in zip(scene.boxes, best, strict=True):
            side = float((box[2:] - box[:2]).max())
            if score < sure and side >= SHEET_FROM_PX:
                out.missed.append(
                    (side, tile(scene.image, box.tolist(), f"{side:.0f} {score:.2f}"))
                )
        scene.image = NO_PICTURE
        out.found.append(found)
        out.frames.append(scene)
        out.keys += keys
    return out


def bin_name(low: int, high: int) -> str:
    return f"{low}-{high} px" if high < 10_000 else f"{low} px up"


def share(hit: np.ndarray) -> str:
    return f"{hit.mean():.2f} ({len(hit)})" if len(hit) else "-"


def shapes(frames: list[Scene]) -> np.ndarray:
    """Of each sign, in the order of their boxes; no more than a box shows."""
    sides = np.concatenate([frame.boxes[:, 2:] - frame.boxes[:, :2] for frame in frames])
    aspect = sides[:, 0] / sides[:, 1]
    return np.where(aspect > WIDE, "wide", np.where(aspect < TALL, "tall", "even"))


def table(driven: dict[str, Driven], threshold: float) -> str:
    """Recall by shape and size; false alarms have no shape, they stand in the row of all shapes."""
    head = ["drawings", "shape", *(bin_name(*b) for b in SIZE_BINS_PX), "false a frame"]
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    for style, some in driven.items():
        ranking, shape = rank(some.found, some.frames), shapes(some.frames)
        kept = int((ranking.scores >= threshold).sum())
        hit, sides = hits(ranking, kept), ranking.sign_sides_px
        false = (ranking.sign_of[:kept] < 0).sum() / ranking.frames
        for name in ("even", "tall", "wide", "all"):
            of_shape = (shape == name) | (name == "all")
            cells = [share(hit[of_shape & (sides >= a) & (sides < b)]) for a, b in SIZE_BINS_PX]
            cells.append(f"{false:.3f}" if name == "all" else "")
            if of_shape.any():
                lines.append(f"| {style} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def least_found(driven: dict[str, Driven], threshold: float) -> str:
    """The drawings with the least recall from 12 px up."""
    shares = []
    for style, some in driven.items():
        ranking = rank(some.found, some.frames)
        hit = hits(ranking, int((ranking.scores >= threshold).sum()))
        keys = np.array(some.keys)
        large = ranking.sign_sides_px >= FROM_PX
        for key in sorted(set(some.keys)):
            of_key = hit[(keys == key) & large]
            if len(of_key):
                shares.append((float(of_key.mean()), style, key, of_key))
    lines = [f"| drawing | found from {FROM_PX} px up |", "| --- | --- |"]
    shares.sort(key=lambda entry: entry[:3])
    lines += [f"| {style} {key} | {share(hit)} |" for _, style, key, hit in shares[:LEAST_FOUND]]
    return "\n".join(lines) + "\n"


def report(driven: dict[str, Driven], begins: float) -> str:
    """At the score from which a track begins, and at those of the numbers of false positives."""
    together = Driven()
    for some in driven.values():
        together.add(some)
    ranking = rank(together.found, together.frames)
    points = {"where the program begins a track": begins}
    for rate in FALSE_POSITIVES_A_FRAME:
        score = float(ranking.scores[kept_at(ranking, rate) - 1])
        points[f"{rate} false positives a frame on all drives together"] = score
    text = ""
    for name, score in points.items():
        text += f"Score {score:.2f}, {name}:\n\n{table({**driven, 'all': together}, score)}\n"
        text += f"{least_found(driven, score)}\n"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="keeps the drives")
    parser.add_argument("--tsedge", type=Path, default=REPOSITORY / "target" / "release" / "tsedge")
    parser.add_argument("--size", type=int, default=1280, help="long side of the input in pixels")
    parser.add_argument("--rate-hz", type=int, default=4, help="frames a second")
    parser.add_argument("--condition", choices=[c.name for c in CONDITIONS], default="day")
    parser.add_argument("--styles", nargs="+", metavar="DE", help="these alone")
    parser.add_argument("--score", type=float, default=0.3, help="below it a sign is on the sheet")
    parser.add_argument("--sheet", type=Path, help="write what was missed here, by style")
    args = parser.parse_args()
    torch.set_num_threads(1)
    run, driven = runner_of(args.model), {}
    for style, keys in drawings(args.tsedge).items():
        if args.styles and style not in args.styles:
            continue
        folder = args.work / f"{style}-{args.condition.replace(', ', '-')}-{args.rate_hz}hz"
        route, signs = drive_past(args.tsedge, folder, style, keys, args.rate_hz, args.condition)
        driven[style] = drive(run, route, signs, args.size, args.score)
        print(f"{style}: {len(driven[style].frames)} frames", file=sys.stderr)
        if args.sheet:
            missed = sorted(driven[style].missed, key=lambda entry: -entry[0])
            write_sheets([picture for _, picture in missed], args.sheet / style)
    frames = ", ".join(f"{style} {len(some.frames)}" for style, some in driven.items())
    print(
        f"Drawn drives, {args.condition}, {args.rate_hz} frames a second ({frames}); "
        f"{args.model.name} at {args.size} px. Recall, and of how many.\n"
    )
    print(report(driven, score_of(args.model)))


if __name__ == "__main__":
    main()
