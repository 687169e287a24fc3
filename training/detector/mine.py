"""Mine: python -m detector.mine --model runs/detector/average.pt --out runs/detector/hard.json

Runs a detector over the training frames and writes what it finds beside the labels, best first:
train on these places with `--hard`. `--sheet DIR` writes them as numbered contact sheets too, to
pick out the real signs that carry no label (they belong into train_ignore.json).
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from tsedge_training.paths import data_root

from . import scenes
from .boxes import iou
from .evaluate import runner_of
from .inference import detect

MOST = 1000
TILE_PX, COLUMNS, TILES_A_SHEET = 96, 16, 160


def tile(image: np.ndarray, box: list[float], label: str) -> np.ndarray:
    """The box in the middle of twice as much of its surroundings."""
    x0, y0, x1, y1 = box
    reach = max(x1 - x0, y1 - y0) + 4
    centre = (x0 + x1) / 2, (y0 + y1) / 2
    scale = TILE_PX / (2 * reach)
    move = np.array(
        [[scale, 0, (reach - centre[0]) * scale], [0, scale, (reach - centre[1]) * scale]]
    )
    out = cv2.warpAffine(image, move, (TILE_PX, TILE_PX))
    cv2.putText(out, label, (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0), 1)
    return out


def write_sheets(tiles: list[np.ndarray], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(tiles), TILES_A_SHEET):
        part = tiles[start : start + TILES_A_SHEET]
        part += [np.zeros_like(part[0])] * (-len(part) % COLUMNS)
        rows = [np.hstack(part[i : i + COLUMNS]) for i in range(0, len(part), COLUMNS)]
        sheet = cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(folder / f"sheet_{start:04}.png"), sheet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--scenery", type=Path, help="folder of drives without a sign (MP4)")
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--threshold", type=float, default=0.3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    run = runner_of(args.model)
    found: list[tuple[float, scenes.Scene, list[float]]] = []
    frames = scenes.gtsdb_train(data_root())
    if args.scenery:
        frames += scenes.scenery(args.scenery)
    for scene in frames:
        for box in detect(run, scene.image, args.size, args.threshold):
            known = np.concatenate([scene.boxes, scene.ignore])
            if iou(box[None], known).max(initial=0) < 0.1:
                found.append((float(box[4]), scene, [round(float(v), 1) for v in box[:4]]))
    found.sort(key=lambda entry: -entry[0])
    found = found[:MOST]
    boxes: dict[str, list[list[float]]] = {}
    for _, scene, box in found:
        boxes.setdefault(scene.name, []).append(box)
    args.out.write_text(json.dumps({"boxes": boxes}, indent=1))
    print(f"{len(found)} places in {len(boxes)} frames")
    if args.sheet:
        order = [[scene.name, box] for _, scene, box in found]
        tiles = [tile(s.image, box, str(i)) for i, (_, s, box) in enumerate(found)]
        write_sheets(tiles, args.sheet)
        (args.sheet / "order.json").write_text(json.dumps(order))


if __name__ == "__main__":
    main()
