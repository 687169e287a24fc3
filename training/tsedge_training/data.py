"""Real pictures: sign crops of the manifest and boxes of the road frames, as u8 arrays."""

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .paths import MODELS

PHOTO_REGIONS = ("DE", "BE", "CN", "RU", "PL", "IT", "HR", "FR", "US", "JP")
_PROMPTED = sorted(f.stem for f in (MODELS / "prompts").glob("*.toml") if f.stem != "WORLD")
REGIONS = (*PHOTO_REGIONS, *(code for code in _PROMPTED if code not in PHOTO_REGIONS))
WORLD = "WORLD"
STORED_PX = 64
MARGIN = 0.1  # of the stored square, on each side, lies outside the sign's box
HELD_OUT_SHARE = 0.08  # of the training tracks, for calibration
TRAIN_FRAMES = 500  # GTSDB frames from 00500 on judge the detector: they are never trained on
ANY_CLASS = "*"  # a drawn sign of words alone: it may be of any class
ANY_SPEED_LIMIT = "speed_limit_*"  # a label for signs whose number is not known

GTSDB_CLASSES = {
    "no-overtaking-trucks-": "no_overtaking_trucks",
    "keep-right": "keep_right",
    "keep-left": "keep_left",
    "priority-road": "priority_road",
    "give-way": "yield",
    "no-overtaking": "no_overtaking",
    "danger": "general_warning",
    "priority-at-next-intersection": "intersection_ahead",
    "no-entry": "no_entry",
    "stop": "stop",
    "construction": "road_work",
    "restriction-ends-80": "end_of_restriction",
    "restriction-ends": "end_of_restriction",
    "go-straight": "go_straight",
    "slippery-road": "slippery_road",
    "go-right": "turn_right",
    "go-left": "turn_left",
    "traffic-signal": "traffic_signals",
    "no-traffic-both-ways": "no_vehicles",
    "school-crossing": "children",
    "bend-right": "curve_right",
    "bend-left": "curve_left",
    "bend": "double_curve",
    "uneven-road": "uneven_road",
    "go-right-or-straight": "go_straight_or_right",
    "go-left-or-straight": "go_straight_or_left",
    "roundabout": "roundabout",
    "no-trucks": "no_trucks",
    "cycles-crossing": "bicycles_crossing",
    "road-narrows": "road_narrows",
    "animals": "animals",
} | {f"speed-limit-{v}": f"speed_limit_{v}" for v in (20, 30, 50, 60, 70, 80, 100, 120)}
ROADSIGN_CLASSES = {
    "stop": "stop",
    "crosswalk": "pedestrian_crossing",
    "speedlimit": ANY_SPEED_LIMIT,
}
FRANCE_CLASSES = {"ceder": "yield", "stop": "stop"}


@dataclass(frozen=True)
class Crop:
    """One row of the manifest."""

    path: str
    region: str
    key: str
    split: str
    track: str


def manifest(root: Path) -> list[Crop]:
    with open(root / "crops_manifest.csv", newline="", encoding="utf-8") as file:
        rows = [
            Crop(r["path"], r["region"], r["unified_class"], r["split"], _track(r))
            for r in csv.DictReader(file)
        ]
    unknown = {r.region for r in rows} - set(REGIONS)
    if unknown:
        raise ValueError(f"{root / 'crops_manifest.csv'}: unknown regions {sorted(unknown)}")
    return rows


def manifest_sha256(root: Path) -> str:
    return hashlib.sha256((root / "crops_manifest.csv").read_bytes()).hexdigest()


def _track(row: dict) -> str:
    """Pictures of one physical sign share it: GTSRB and BTSC name files <track>_<picture>."""
    if row["dataset"] in ("GTSRB", "BTSC"):
        return re.sub(r"_\d+\.\w+$", "", row["source_path"])
    return row["source_path"]


def held_out(name: str) -> bool:
    """Whether a track or frame is kept out of training, for calibration."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32


def read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not a readable picture")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_crops(root: Path, crops: list[Crop], size_px: int = STORED_PX) -> np.ndarray:
    """[N, size, size, 3]; crops hold a little surround already, about MARGIN."""
    out = np.empty((len(crops), size_px, size_px, 3), np.uint8)
    for i, crop in enumerate(crops):
        image = read_rgb(root / "crops" / crop.path)
        shrinks = min(image.shape[:2]) > size_px
        out[i] = cv2.resize(
            image, (size_px, size_px),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
        )  # fmt: skip
    return out


def side_px(root: Path, crop: Crop) -> float:
    """The sign's shorter side in its crop's own pixels."""
    with Image.open(root / "crops" / crop.path) as image:
        return min(image.size) * (1 - 2 * MARGIN)


def cut(frame: np.ndarray, box, size_px: int = STORED_PX) -> np.ndarray:
    """The box (x, y, width, height) of a frame, grown by MARGIN, as a square picture."""
    x, y, width, height = box
    grow = MARGIN / (1 - 2 * MARGIN)
    left, top = x - grow * width, y - grow * height
    scale_x, scale_y = width * (1 + 2 * grow) / size_px, height * (1 + 2 * grow) / size_px
    if max(scale_x, scale_y) > 1.5:  # a big sign: shrink properly first
        x0, y0 = max(0, round(left)), max(0, round(top))
        x1, y1 = round(left + scale_x * size_px), round(top + scale_y * size_px)
        part = frame[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        return cv2.resize(part, (size_px, size_px), interpolation=cv2.INTER_AREA)
    matrix = np.float32([[scale_x, 0, left + scale_x / 2], [0, scale_y, top + scale_y / 2]])
    return cv2.warpAffine(
        frame, matrix, (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """A road picture and its boxes: (x, y, width, height) and the source's class."""

    path: Path
    number: int
    boxes: list[tuple[tuple[float, ...], str]]


def frames(root: Path, name: str) -> list[Frame]:
    folder = root / "frames" / name
    coco = json.loads((folder / "coco.json").read_text(encoding="utf-8"))
    boxes: dict[int, list] = {image["id"]: [] for image in coco["images"]}
    for note in coco["annotations"]:
        boxes[note["image_id"]].append((tuple(note["bbox"]), str(note["orig_class"])))
    return [
        Frame(folder / "images" / image["file_name"], i, boxes[image["id"]])
        for i, image in enumerate(coco["images"])
    ]


def gtsdb_frames(root: Path, judged: bool) -> list[Frame]:
    """The frames to train on, or (judged) those that must only be evaluated on."""
    every = frames(root, "gtsdb_train_de")
    return [f for f in every if (int(f.path.stem) >= TRAIN_FRAMES) == judged]
