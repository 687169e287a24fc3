"""Everything a run needs, made once and carried anywhere: pictures, sentences, weights.

A machine with a GPU may reach no registry and no data folder, and take little at a time: pictures
are small JPEGs with a table, the tower stays int8 and is cut into parts.
"""

import shutil
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np

from .. import bank, catalogue, clutter, data, drawings, parts, styles, text
from . import lite2, weights
from .benchmark import Benchmark
from .model import SENTENCES
from .pictures import (
    DRAWING,
    EMPTY,
    NOWHERE,
    PHOTO,
    PICTURES,
    PX,
    STYLED,
    TEST,
    TRAIN,
    VALIDATION,
    Pictures,
)

QUALITY = 88
DRAWINGS_PER_CLASS = 120
STYLED_PER_CLASS = 200  # as many times more as in the small encoder's training
EMPTY_PER_ROLE = 1000


def make(root: Path, benchmark: Benchmark, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    make_sentences(benchmark, out / SENTENCES)
    make_pictures(root, benchmark, out / PICTURES)
    shutil.copyfile(weights.packaged_onnx(), out / weights.ONNX)
    shutil.copyfile(lite2.packaged(), out / lite2.WEIGHTS)
    for name in (PICTURES, weights.ONNX, lite2.WEIGHTS):
        parts.split(out / name)


def make_sentences(benchmark: Benchmark, file: Path) -> None:
    """All sentences of the benchmark's classes, over all regions."""
    world = catalogue.load().world.classes
    spoken = [(s, c.key) for c in world if c.key in benchmark.classes for s in c.sentences]
    raw = text.embed([sentence for sentence, _ in spoken])
    rows = text.Whitening.fit(raw)(raw)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    label = np.array([benchmark.label(key) for _, key in spoken])
    words = np.array([sentence for sentence, _ in spoken])
    np.savez(file, rows=rows.astype(np.float32), label=label, words=words)


class _Writer:
    def __init__(self):
        self.jpegs, self.rows = [], []

    def add(self, rgb, label, region, source, role, side_px, path):
        height, width = (min(side, PX) for side in rgb.shape[:2])
        if (height, width) != rgb.shape[:2]:
            rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        self.jpegs.append(jpeg.ravel())
        self.rows.append((label, region, source, role, side_px, path))

    def save(self, file: Path) -> None:
        names = [f.name for f in fields(Pictures) if f.name != "images"]
        columns = dict(zip(names, map(np.array, zip(*self.rows, strict=True)), strict=True))
        ends = np.cumsum([len(j) for j in self.jpegs])
        np.savez_compressed(file, jpeg=np.concatenate(self.jpegs), ends=ends, **columns)


def make_pictures(root: Path, benchmark: Benchmark, file: Path, seed: int = 0) -> None:
    """Test crops keep their role; of the training crops a part is validation."""
    rng = np.random.default_rng(seed)
    writer = _Writer()
    _add_photos(writer, root, benchmark)
    scenes = [
        (data.read_rgb(f.path), f.boxes, judged)
        for judged in (False, True)
        for f in data.gtsdb_frames(root, judged)
    ]
    learned = [s for s, _, judged in scenes if not judged]
    official = drawings.official(set(benchmark.classes))
    _add_drawings(writer, benchmark, official, learned, rng)
    for judged, role in ((False, VALIDATION), (True, TEST)):
        _add_empty(writer, [s[:2] for s in scenes if s[2] == judged], role, rng)
    _add_styled(writer, benchmark, official, learned, rng)
    writer.save(file)


def _add_photos(writer, root, benchmark):
    dropped = set(bank.DROPPED.read_text(encoding="utf-8").split("\n"))
    for crop in data.manifest(root):
        if crop.key not in benchmark.classes or crop.region not in benchmark.regions:
            continue
        if crop.split == "test":
            role = TEST
        elif crop.path in dropped:
            continue
        else:
            role = VALIDATION if data.held_out(crop.track) else TRAIN
        rgb = data.read_rgb(root / "crops" / crop.path)
        label, region = benchmark.label(crop.key), benchmark.regions.index(crop.region)
        writer.add(rgb, label, region, PHOTO, role, min(rgb.shape[:2]), crop.path)


def _add_drawings(writer, benchmark, official, scenes, rng):
    by_class = {}
    for drawing in official:
        if drawing.key in benchmark.classes:
            by_class.setdefault(drawing.key, []).append(drawing)
    missing = set(benchmark.classes) - set(by_class)
    if missing:
        raise ValueError(f"no official drawing of {sorted(missing)}")
    for key, variants in by_class.items():
        for i in range(DRAWINGS_PER_CLASS):
            drawing, scene = variants[i % len(variants)], scenes[rng.integers(len(scenes))]
            picture = bank.on_scene(drawing.rgba, scene, rng, size_px=PX)
            role = VALIDATION if data.held_out(f"{key}/{i}") else TRAIN
            label = benchmark.label(key)
            writer.add(picture, label, NOWHERE, DRAWING, role, PX, drawing.name)


def _add_styled(writer, benchmark, official, scenes, rng):
    known = catalogue.load()
    family = {sign.key: sign.family for sign in known.world.classes}
    by_class = bank.drawn(known, official, rng)
    for key in benchmark.classes:
        variants = by_class[key]
        for i in range(STYLED_PER_CLASS * bank.times(key)):
            rgba, scene = variants[i % len(variants)][0], scenes[rng.integers(len(scenes))]
            rgba = styles.restyled(rgba, key, family[key], rng)
            picture = bank.on_scene(rgba, scene, rng, size_px=PX)
            label, name = benchmark.label(key), f"styled/{key}/{i}"
            writer.add(picture, label, NOWHERE, STYLED, TRAIN, PX, name)


def _add_empty(writer, scenes, role, rng):
    for i in range(EMPTY_PER_ROLE):
        scene, boxes = scenes[i % len(scenes)]
        if i % 2:
            picture = clutter.patch(scene, boxes, rng)
        else:
            box = bank.scenery_box(scene, boxes, rng, striking=i % 4 == 0)
            picture = data.cut(scene, box, PX)
        writer.add(picture, -1, NOWHERE, EMPTY, role, min(picture.shape[:2]), "")
