"""Video of hits, misses and false alarms:

    python -m detector.video DRIVE.mp4 --truth TRUTH.json --model MODEL.onnx --out ANNOTATED.mp4

A drive rendered by `tsedge simulate`, or with `--validation` the validation frames, two a second
(needs TSEDGE_DATA; they show frames of the data sets: keep them to yourself). Found signs in green,
missed ones in red, false alarms in orange, with their longer side in pixels of the frame and the
score; in the corner how many so far, by size.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from tsedge_training.paths import data_root

from . import drives
from .evaluate import LOWEST_SCORE, runner_of, score_of
from .inference import detect
from .report import SIZES, by_size, sort_out
from .scenes import Scene, gtsdb_validation

KINDS = {"hits": "found", "misses": "missed", "false": "false"}
COLOURS = {"hits": (20, 200, 70), "misses": (230, 30, 40), "false": (255, 150, 0)}
LABEL_PX = (70, 14)
WHITE, DARK = (255, 255, 255), (20, 20, 20)
VALIDATION_RATE_HZ = 2


def write(image: np.ndarray, text: str, at: tuple[int, int], colour: tuple) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)


def annotate(picture: np.ndarray, places: dict[str, list], width_px: int) -> np.ndarray:
    """The picture, so wide, with its places; labels of neighbours go one below the other."""
    height, width = picture.shape[:2]
    scale = width_px / width
    size = (width_px, round(height * scale / 2) * 2)
    out = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    labels: list[tuple[int, int]] = []
    for kind, some in places.items():
        for _, box, score in some:
            x0, y0, x1, y1 = np.round(box * scale).astype(int).tolist()
            cv2.rectangle(out, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2), COLOURS[kind], 1)
            x, y = max(min(x0 - 2, width_px - LABEL_PX[0]), 0), y1 + 16
            while any(abs(x - a) < LABEL_PX[0] and abs(y - b) < LABEL_PX[1] for a, b in labels):
                y += 1
            labels.append((x, y))
            side = float((box[2:] - box[:2]).max())
            out[y - 11 : y + 3, x : x + LABEL_PX[0]] //= 4
            write(out, f"{side:.0f}px {score:.2f}", (x + 1, y), COLOURS[kind])
    return out


def write_counts(image: np.ndarray, counts: dict[str, list[int]]) -> None:
    """By size, at the top left."""
    rows = len(counts) + 1
    corner = image[: 16 * rows + 6, :250]
    corner[:] = corner // 6
    for column, (kind, name) in enumerate(KINDS.items()):
        write(image, name, (98 + 52 * column, 15), COLOURS[kind])
        for line, number in enumerate(counts.values(), 1):
            at = (98 + 52 * column, 15 + 16 * line)
            write(image, str(number[column]), at, COLOURS[kind])
    for line, size in enumerate(counts, 1):
        write(image, size, (6, 15 + 16 * line), WHITE)


def annotated(scenes: Iterator[Scene], find, score: float, width_px: int) -> Iterator[tuple]:
    """Each picture as drawn on, with the counts so far; of how many kinds its places are, and how
    many they are."""
    counts = {size: [0, 0, 0] for size in SIZES}
    for scene in scenes:
        places = sort_out([find(scene.image)], [scene], score)
        for size, some in by_size(places).items():
            counts[size] = [a + b for a, b in zip(counts[size], some, strict=True)]
        picture = annotate(scene.image, places, width_px)
        write_counts(picture, counts)
        yield picture, sum(map(bool, places.values())), sum(map(len, places.values()))


def save(pictures: Iterator[np.ndarray], file: Path, rate_hz: int, quality: int) -> None:
    """H.264 in MP4."""
    with av.open(str(file), "w") as out:
        stream = None
        for picture in pictures:
            if stream is None:
                stream = out.add_stream("libx264", rate=rate_hz)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": str(quality), "preset": "slow", "threads": "1"}
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is None:
            sys.exit(f"{file}: no frame to write; look at --from-s and --seconds")
        out.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drive", type=Path, nargs="?", help="MP4 of `tsedge simulate`")
    parser.add_argument("--truth", type=Path, help="of the drive, by `tsedge simulate --truth`")
    parser.add_argument("--validation", action="store_true", help="the validation frames instead")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=1280, help="long side of the input in pixels")
    parser.add_argument("--score", type=float, help="that of the model's card where not given")
    parser.add_argument("--from-s", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=1e6)
    parser.add_argument("--width", type=int, default=1280, help="of the video, in pixels")
    parser.add_argument("--quality", type=int, default=23, help="CRF: smaller is better and larger")
    parser.add_argument("--still", type=Path, help="write the fullest picture here too")
    args = parser.parse_args()
    if args.validation == bool(args.drive and args.truth):
        parser.error("name a drive and its --truth, or --validation")
    torch.set_num_threads(1)
    run = runner_of(args.model)
    score = score_of(args.model) if args.score is None else args.score
    if args.validation:
        rate_hz, scenes = VALIDATION_RATE_HZ, iter(gtsdb_validation(data_root()))
    else:
        drive = drives.read(args.drive, args.truth)
        rate_hz, scenes = drive.rate_hz, drives.scenes(drive)
    first = round(args.from_s * rate_hz)
    chosen = islice(scenes, first, first + round(args.seconds * rate_hz))
    fullest = (-1, -1)

    def find(image: np.ndarray) -> np.ndarray:
        return detect(run, image, args.size, LOWEST_SCORE)

    def pictures() -> Iterator[np.ndarray]:
        nonlocal fullest
        for picture, *full in annotated(chosen, find, score, args.width):
            if args.still and tuple(full) > fullest:
                fullest = tuple(full)
                cv2.imwrite(str(args.still), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            yield picture

    save(pictures(), args.out, rate_hz, args.quality)


if __name__ == "__main__":
    main()
