"""Frames with sign boxes, and how they are split."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

GTSDB = "gtsdb_train_de"
PARTLY_LABELLED = ("france_phone", "roadsign877")
GTSDB_TRAIN_FRAMES = 500  # 00000-00499 train, 00500-00599 validate
TRAIN_IGNORE = Path(__file__).with_name("train_ignore.json")
VALIDATION_IGNORE = Path(__file__).with_name("val_ignore.json")
HELD_OUT_EVERY = 5  # of the partly labelled sets


def no_boxes() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


@dataclass
class Scene:
    """`image` is RGB; boxes are x0, y0, x1, y1 in pixels.

    `ignore`: neither sign nor background. In a partly labelled scene only the surroundings of the
    boxes are known; the rest may hold unlabelled signs.
    """

    name: str
    image: np.ndarray
    boxes: np.ndarray = field(default_factory=no_boxes)
    ignore: np.ndarray = field(default_factory=no_boxes)
    hard: np.ndarray = field(default_factory=no_boxes)  # background that was taken for a sign
    partly_labelled: bool = False


def read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise FileNotFoundError(f"{path}: not a readable picture")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read(data: Path, name: str, wanted: range | list[int]) -> list[Scene]:
    folder = data / "frames" / name
    listing = json.loads((folder / "coco.json").read_text())
    boxes: dict[int, list[list[float]]] = {}
    for mark in listing["annotations"]:
        x, y, width, height = mark["bbox"]
        boxes.setdefault(mark["image_id"], []).append([x, y, x + width, y + height])
    entries = sorted(listing["images"], key=lambda entry: entry["file_name"])
    return [
        Scene(
            entries[i]["file_name"],
            read_rgb(folder / "images" / entries[i]["file_name"]),
            np.array(boxes.get(entries[i]["id"], []), np.float32).reshape(-1, 4),
            partly_labelled=name in PARTLY_LABELLED,
        )
        for i in wanted
        if i < len(entries)
    ]


def _boxes_by_name(path: Path) -> dict[str, np.ndarray]:
    listed = json.loads(path.read_text())["boxes"]
    return {name: np.array(boxes, np.float32).reshape(-1, 4) for name, boxes in listed.items()}


def gtsdb_train(data: Path) -> list[Scene]:
    scenes = _read(data, GTSDB, range(GTSDB_TRAIN_FRAMES))
    unlabelled = _boxes_by_name(TRAIN_IGNORE)
    for scene in scenes:
        scene.ignore = unlabelled.get(scene.name, no_boxes())
    return scenes


def mark_hard(scenes: list[Scene], file: Path) -> None:
    """`file`: what `detector.mine` found in them."""
    hard = _boxes_by_name(file)
    for scene in scenes:
        scene.hard = hard.get(scene.name, no_boxes())


def gtsdb_validation(data: Path) -> list[Scene]:
    scenes = _read(data, GTSDB, range(GTSDB_TRAIN_FRAMES, 600))
    unlabelled = _boxes_by_name(VALIDATION_IGNORE)
    for scene in scenes:
        scene.ignore = unlabelled.get(scene.name, no_boxes())
    return scenes


def partly_labelled(data: Path, name: str, held_out: bool) -> list[Scene]:
    chosen = [i for i in range(1000) if (i % HELD_OUT_EVERY == 0) == held_out]
    return _read(data, name, chosen)


def scenery(folder: Path) -> list[Scene]:
    """All frames of the recordings in `folder`: drives without a sign, by `tsedge simulate`."""
    scenes = []
    for path in sorted(folder.glob("*.mp4")):
        recording, frame = cv2.VideoCapture(str(path)), 0
        while (read := recording.read())[0]:
            image = cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
            scenes.append(Scene(f"{path.stem}-{frame}", image))
            frame += 1
    if not scenes:
        raise FileNotFoundError(f"{folder}: no readable *.mp4 in it")
    return scenes
