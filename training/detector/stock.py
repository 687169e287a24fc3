"""What a training draws from: scenes, and patches to paste into them.

Gathered from the data folder, or read from a pack (`detector.pack`) on a machine that has none.
"""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from tsedge_training import parts
from tsedge_training.downloads import DRAWINGS, unpacked

from . import patches, scenes
from .patches import Patch
from .scenes import Scene

PACK = "stock.zip"
QUALITY, LOSSLESS = 92, 101  # WebP's
# The partly labelled photographs are larger than their signs need.
PARTLY_LABELLED_PX = 640


@dataclass
class Stock:
    scenes: list[Scene]
    photos: dict[str, list[Patch]] = field(default_factory=dict)
    drawings: list[Patch] = field(default_factory=list)
    boards: list[Patch] = field(default_factory=list)

    def __str__(self) -> str:
        photos = sum(map(len, self.photos.values()))
        return (
            f"{len(self.scenes)} scenes, {photos} crops, {len(self.drawings)} drawings, "
            f"{len(self.boards)} boards"
        )


def gathered(data: Path, seed: int) -> Stock:
    from . import drawn  # needs cairosvg, which a machine with a pack can do without

    frames = scenes.gtsdb_train(data)
    for name in scenes.PARTLY_LABELLED:
        frames += scenes.partly_labelled(data, name, held_out=False)
    return Stock(
        frames,
        patches.photographed(data, seed),
        drawn.official(unpacked(DRAWINGS)),
        drawn.boards(drawn.BOARDS, seed),
    )


def write(stock: Stock, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / PACK, "w") as archive:

        def put(picture: np.ndarray, quality: int) -> str:
            name = f"{len(archive.namelist())}.webp"
            order = cv2.COLOR_RGBA2BGRA if picture.shape[2] == 4 else cv2.COLOR_RGB2BGR
            coded = cv2.imencode(
                ".webp", cv2.cvtColor(picture, order), [cv2.IMWRITE_WEBP_QUALITY, quality]
            )
            archive.writestr(name, coded[1].tobytes())
            return name

        def put_patch(patch: Patch) -> dict:
            rgb, alpha = patch.rgb, patch.alpha
            if alpha is not None:
                rgb = np.dstack([rgb, (255 * alpha).round().astype(np.uint8)])
            return {
                "file": put(rgb, QUALITY if alpha is None else LOSSLESS),
                "sign_share": patch.sign_share,
                "rectangular": patch.rectangular,
                "sides_px": patch.sides_px,
            }

        def put_scene(scene: Scene) -> dict:
            longest = max(scene.image.shape[:2])
            scale = min(1, PARTLY_LABELLED_PX / longest) if scene.partly_labelled else 1
            image = scene.image
            if scale < 1:
                image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            return {
                "file": put(image, QUALITY),
                "name": scene.name,
                "boxes": (scene.boxes * scale).tolist(),
                "ignore": (scene.ignore * scale).tolist(),
                "partly_labelled": scene.partly_labelled,
            }

        index = {
            "scenes": [put_scene(scene) for scene in stock.scenes],
            "photos": {
                region: [put_patch(patch) for patch in some]
                for region, some in stock.photos.items()
            },
            "drawings": [put_patch(patch) for patch in stock.drawings],
            "boards": [put_patch(patch) for patch in stock.boards],
        }
        archive.writestr("index.json", json.dumps(index), zipfile.ZIP_DEFLATED)
    parts.split(folder / PACK)


def read(folder: Path) -> Stock:
    content = io.BytesIO(parts.whole(folder / PACK))
    with zipfile.ZipFile(content) as archive, ThreadPoolExecutor() as pool:
        index = json.loads(archive.read("index.json"))
        files = [name for name in archive.namelist() if name != "index.json"]
        pictures = dict(zip(files, pool.map(_picture, map(archive.read, files)), strict=True))

    def patch(entry: dict) -> Patch:
        picture = pictures[entry.pop("file")]
        entry["sides_px"] = tuple(entry["sides_px"])
        if picture.shape[2] == 3:
            return Patch(picture, None, **entry)
        alpha = picture[..., 3].astype(np.float32) / 255
        return Patch(np.ascontiguousarray(picture[..., :3]), alpha, **entry)

    def scene(entry: dict) -> Scene:
        boxes, ignore = (
            np.array(entry[kind], np.float32).reshape(-1, 4) for kind in ("boxes", "ignore")
        )
        return Scene(
            entry["name"],
            pictures[entry["file"]],
            boxes,
            ignore,
            partly_labelled=entry["partly_labelled"],
        )

    return Stock(
        [scene(entry) for entry in index["scenes"]],
        {region: [patch(entry) for entry in some] for region, some in index["photos"].items()},
        [patch(entry) for entry in index["drawings"]],
        [patch(entry) for entry in index["boards"]],
    )


def _picture(coded: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED)
    order = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(picture, order)
