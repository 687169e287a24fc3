"""The training set: photos, drawings on road pictures, and pictures that show no sign.

Everything is one array of 64 px squares with a label, a region and where it comes from, built once
and kept in training/cache. Test crops of the manifest are never in it.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from . import (
    clutter,
    confusers,
    data,
    drawings,
    glyphs,
    own_scenes,
    own_signs,
    pictograms,
    rendered,
    roads,
    styles,
)
from .catalogue import BACKGROUND, OTHER_SIGN, Catalogue
from .paths import CACHE

DROPPED = Path(__file__).with_name("dropped.txt")
PHOTO, FRAME_SIGN, DRAWING, EMPTY, RENDERED, WORD_SIGN = range(6)
OWN_SCENES = 150
OWN_CODE = (
    clutter, confusers, data, drawings, glyphs, own_scenes, own_signs, pictograms, roads, styles
)  # fmt: skip
WORD_SIGNS_PER_CLASS = 25  # times the drawings a class has
CLUTTER_PER_EMPTY = 0.8
THREE_DIGITS = {f"speed_limit_{value}" for value in (100, 110, 120, 130)}
# Drawings a class, in multiples of the usual number: of many looks, or taken for a speed limit.
OFTEN = {
    OTHER_SIGN: 12, "town_sign": 4, "end_of_town": 3, "end_of_restriction": 4, "weight_limit": 3,
    "height_limit": 3, "width_limit": 2, "pedestrian_crossing": 2, "children": 2, "no_trucks": 2,
    "no_overtaking": 2,
}  # fmt: skip
OWN_VARIANTS = 60
PICTOGRAMS = 24  # beside the official drawings of these classes, which are fewer


@dataclass(frozen=True)
class Bank:
    """`region` counts data.REGIONS; -1 is the world. `held_out` marks the calibration part."""

    images: np.ndarray
    keys: np.ndarray
    region: np.ndarray
    source: np.ndarray
    held_out: np.ndarray
    caption: np.ndarray  # what a drawing is called; empty where nothing but the class is known

    def take(self, mask: np.ndarray) -> "Bank":
        return Bank(**{f.name: getattr(self, f.name)[mask] for f in fields(self)})


class _Builder:
    def __init__(self):
        self.columns = {f.name: [] for f in fields(Bank)}

    def add(self, image, key, region, source, held_out, caption=""):
        values = (image, key, region, source, held_out, caption)
        for column, value in zip(self.columns.values(), values, strict=True):
            column.append(value)

    def bank(self) -> Bank:
        images = np.stack(self.columns.pop("images"))
        return Bank(images, *(np.array(column) for column in self.columns.values()))


def load(root: Path | None, catalogue: Catalogue, per_class: int, empty: int, seed: int) -> Bank:
    """`per_class` composites of drawings a class, `empty` pictures without a sign.

    Without `root` of our own drawings alone.
    """
    manifest = root and data.manifest_sha256(root)
    recipe = json.dumps([catalogue.keys(), per_class, empty, seed, manifest])
    own_code = b"".join(Path(m.__file__).read_bytes() for m in OWN_CODE)
    own_code += Path(__file__).read_bytes() + drawings.MAP.read_bytes()
    own_code += DROPPED.read_bytes()
    file = CACHE / f"bank-{hashlib.sha256(recipe.encode() + own_code).hexdigest()[:16]}.npz"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        numbers = per_class, empty, seed
        bank = build(root, catalogue, *numbers) if root else own(catalogue, *numbers)
        np.savez(file, **vars(bank))
    with np.load(file) as columns:
        return Bank(**columns)


def with_more(bank: Bank, rows) -> Bank:
    """The bank and further rows, each with the bank's columns in their order."""
    builder = _Builder()
    for row in rows:
        builder.add(*row)
    more = vars(builder.bank())
    return Bank(**{name: np.concatenate([part, more[name]]) for name, part in vars(bank).items()})


def with_rendered(bank: Bank, folder: Path, keys: set[str]) -> Bank:
    """The bank and the program's own drawings, all of them to train on."""
    return with_more(bank, ((*row, RENDERED, False) for row in rendered.read(folder, keys)))


def without(bank: Bank, regions: list[str]) -> Bank:
    """The bank without the photos of some regions: they stay known by prompts and drawings."""
    numbers = [data.REGIONS.index(code) for code in regions]
    photos = np.isin(bank.source, (PHOTO, FRAME_SIGN))
    return bank.take(~(photos & np.isin(bank.region, numbers)))


def build(root: Path, catalogue: Catalogue, per_class: int, empty: int, seed: int) -> Bank:
    rng = np.random.default_rng(seed)
    builder = _Builder()
    _add_photos(builder, root, set(catalogue.keys()))
    scenes = _scenes(root)
    streets = _streets(root)
    _add_frame_signs(builder, scenes, streets, rng)
    official = drawings.official(set(catalogue.keys()))
    _add_drawings(builder, catalogue, official, scenes, rng, per_class)
    pieces = [d.rgba for d in official if rng.random() < 0.3]
    _add_empty(builder, pieces, scenes, rng, empty)
    places = scenes + [street[:3] for street in streets]
    _add_clutter(builder, places, rng, round(CLUTTER_PER_EMPTY * empty))
    return builder.bank()


def own(catalogue: Catalogue, per_class: int, empty: int, seed: int) -> Bank:
    """Our own drawings on our own made-up scenes: nothing of any other source."""
    rng = np.random.default_rng(seed)
    builder = _Builder()
    scenes = [(f"own/{i}", own_scenes.scene(rng), []) for i in range(OWN_SCENES)]
    _add_drawings(builder, catalogue, [], scenes, rng, per_class)
    pieces = [drawings.render(confusers.word_sign(rng)[0], 96) for _ in range(200)]
    _add_empty(builder, pieces, scenes, rng, empty)
    _add_clutter(builder, scenes, rng, round(CLUTTER_PER_EMPTY * empty))
    return builder.bank()


def _add_photos(builder, root, keys):
    dropped = set(DROPPED.read_text(encoding="utf-8").split("\n"))
    crops = [
        c
        for c in data.manifest(root)
        if c.split == "train" and c.key in keys and c.path not in dropped
    ]
    for crop, image in zip(crops, data.read_crops(root, crops), strict=True):
        region = data.REGIONS.index(crop.region)
        builder.add(image, crop.key, region, PHOTO, data.held_out(crop.track))


def _scenes(root):
    """Training frames as (name, RGB, boxes)."""
    return [
        (f"gtsdb/{f.path.stem}", data.read_rgb(f.path), f.boxes)
        for f in data.gtsdb_frames(root, judged=False)
    ]


def _streets(root):
    """Street photos as (name, RGB, boxes, classes of the source, region)."""
    return [
        (f"{folder}/{f.path.stem}", data.read_rgb(f.path), f.boxes, classes, region)
        for folder, classes, region in (
            ("roadsign877", data.ROADSIGN_CLASSES, -1),
            ("france_phone", data.FRANCE_CLASSES, data.REGIONS.index("FR")),
        )
        for f in data.frames(root, folder)
    ]


def _add_frame_signs(builder, scenes, streets, rng):
    """Boxed signs of the road frames, thrice each, as a detector would see them: jittered."""
    labelled = [(name, image, boxes, data.GTSDB_CLASSES, 0) for name, image, boxes in scenes]
    for name, image, boxes, classes, region in labelled + streets:
        for box, source_class in boxes:
            if source_class not in classes or min(box[2:]) < 10:
                continue
            for _ in range(3):
                picture = data.cut(image, _jittered(box, rng, 0.08))
                key = classes[source_class]
                builder.add(picture, key, region, FRAME_SIGN, data.held_out(name))


def _jittered(box, rng, share):
    x, y, width, height = box
    wide, high = (side * np.exp(rng.uniform(-share, share)) for side in (width, height))
    middle_x = x + width / 2 + rng.uniform(-share, share) * width
    middle_y = y + height / 2 + rng.uniform(-share, share) * height
    return middle_x - wide / 2, middle_y - high / 2, wide, high


def _add_drawings(builder, catalogue, official, scenes, rng, per_class):
    family = {sign.key: sign.family for sign in catalogue.world.classes}
    for key, variants in drawn(catalogue, official, rng).items():
        for i in range(per_class * times(key)):
            rgba, region, caption = variants[i % len(variants)]
            name, scene, _ = scenes[rng.integers(len(scenes))]
            picture = on_scene(styles.restyled(rgba, key, family[key], rng), scene, rng)
            kept = data.held_out(f"{name}/{key}/{i}")
            builder.add(picture, key, region, DRAWING, kept, caption)
    for i in range(WORD_SIGNS_PER_CLASS * per_class):
        svg, caption = confusers.word_sign(rng)
        name, scene, _ = scenes[rng.integers(len(scenes))]
        picture = on_scene(drawings.render(svg, 96), scene, rng)
        kept = data.held_out(f"{name}/word/{i}")
        builder.add(picture, data.ANY_CLASS, -1, WORD_SIGN, kept, caption)


def drawn(catalogue: Catalogue, official: list[drawings.Drawing], rng) -> dict[str, list[tuple]]:
    """Class -> (RGBA, region, caption) of each of its drawings, official and our own."""
    by_class = {}
    for drawing in official:
        by_class.setdefault(drawing.key, []).append((drawing.rgba, -1, caption_of(drawing.name)))
        if drawing.key == "residential_zone":
            ended = [(styles.barred(drawing.rgba, rng), -1, "") for _ in range(4)]
            by_class.setdefault("end_of_residential_zone", []).extend(ended)
    for key, variants in _own_drawings(catalogue, rng).items():
        by_class.setdefault(key, []).extend((rgba, region, "") for rgba, region in variants)
    return by_class


def times(key: str) -> int:
    """How many times the usual number of pictures the drawings of a class are pasted into."""
    if key.startswith("speed_limit_"):
        return 3 if key in THREE_DIGITS else 2
    return OFTEN.get(key, 1)


def caption_of(name: str) -> str:
    """`warning--low-flying-aircraft--g1` -> `warning sign: low flying aircraft`."""
    kind, *words = name.rsplit("--", 1)[0].split("--")
    return f"{kind} sign: {' '.join(words).replace('-', ' ')}"


def _own_drawings(catalogue, rng):
    """Key -> [(RGBA, region)] of the drawings made here."""
    regions = {code: data.REGIONS.index(code) for code in ("US", "JP")}
    american = set(catalogue.regions["US"].keys())
    japanese = set(catalogue.regions["JP"].keys())
    out = {}
    for sign in catalogue.world.classes:
        if sign.family != "speed_limit":
            continue
        rings = 28 if sign.key in THREE_DIGITS else 14
        makers = [(own_signs.speed_ring, -1, rings), (own_signs.speed_led, -1, 6)]
        makers += [(own_signs.speed_ring_arabic, -1, 4)]
        if sign.key in japanese:
            makers.append((own_signs.speed_ring_jp, regions["JP"], 5))
        if sign.key in american:
            makers.append((own_signs.speed_plate, regions["US"], 12))
        out[sign.key] = [
            (drawings.render(make(rng, sign.value)), region)
            for make, region, count in makers
            for _ in range(count)
        ]
    for key, make in (
        ("height_limit", confusers.height_limit),
        ("width_limit", confusers.width_limit),
        ("weight_limit", confusers.weight_limit),
        ("end_of_restriction", confusers.end_of_limit),
        ("town_sign", roads.town_sign),
        ("end_of_town", roads.end_of_town),
        ("motorway", roads.motorway),
        ("end_of_motorway", lambda rng: roads.ended(roads.motorway(rng), rng)),
        ("expressway", roads.expressway),
        ("end_of_expressway", lambda rng: roads.ended(roads.expressway(rng), rng)),
    ):
        variants = OWN_VARIANTS * OFTEN.get(key, 1)
        out[key] = [(drawings.render(make(rng)), -1) for _ in range(variants)]
    for key, make in (
        ("stop", pictograms.stop),
        ("yield", pictograms.give_way),
        ("keep_right", lambda rng: pictograms.keep(rng, right=True)),
        ("keep_left", lambda rng: pictograms.keep(rng, right=False)),
        ("no_overtaking", pictograms.no_overtaking),
        ("no_trucks", pictograms.no_trucks),
        ("no_buses", pictograms.no_buses),
        ("pedestrian_crossing", pictograms.pedestrian_crossing),
        ("children", pictograms.children),
    ):
        out[key] = [(drawings.render(make(rng)), -1) for _ in range(PICTOGRAMS)]
    out["zone_30"] = [(drawings.render(own_signs.zone_30(rng)), -1) for _ in range(5)]
    ended = [(drawings.render(own_signs.zone_30(rng, ended=True)), -1) for _ in range(3)]
    out["end_zone_30"] = ended
    makers = (own_signs.text_board, confusers.route_shield, confusers.number_board)
    out[OTHER_SIGN] = [(drawings.render(make(rng)), -1) for make in makers for _ in range(120)]
    return out


def on_scene(rgba, scene, rng, shift=0.0, size_px=data.STORED_PX):
    """The drawing on a piece of the scene of random place and size."""
    side = int(rng.uniform(20, 160))
    x, y = (rng.integers(limit - side) for limit in (scene.shape[1], scene.shape[0]))
    patch = scene[y : y + side, x : x + side]
    return drawings.paste(rgba, patch, rng, size_px, data.MARGIN, shift)


def _add_empty(builder, pieces, scenes, rng, count):
    """Pictures without a sign, in four parts: scenery, odd boards, and pieces of signs."""
    boards = [
        drawings.render(make(rng))
        for make in (own_signs.number_plate, own_signs.advert, own_signs.blank_board)
        for _ in range(120)
    ]
    for i in range(count):
        name, scene, boxes = scenes[rng.integers(len(scenes))]
        kept = data.held_out(name)
        draw = rng.random()
        if draw < 0.7:
            picture = data.cut(scene, scenery_box(scene, boxes, rng, striking=draw < 0.4))
        elif draw < 0.85:
            picture = on_scene(boards[i % len(boards)], scene, rng)
        elif draw < 0.93 or not boxes:
            picture = on_scene(pieces[i % len(pieces)], scene, rng, shift=rng.uniform(0.62, 0.8))
        else:
            picture = data.cut(scene, _beside(boxes[rng.integers(len(boxes))][0], rng))
        builder.add(picture, BACKGROUND, -1, EMPTY, kept)


def _add_clutter(builder, places, rng, count):
    for _ in range(count):
        name, scene, boxes = places[rng.integers(len(places))]
        picture = clutter.patch(scene, boxes, rng)
        builder.add(picture, BACKGROUND, -1, EMPTY, data.held_out(name))


def scenery_box(scene, boxes, rng, striking):
    """A box clear of labelled signs; the most colourful and contrasted of several if `striking`."""
    best, best_score = None, -1.0
    height, width = scene.shape[:2]
    for _ in range(12 if striking else 1):
        box = _clear_box(width, height, boxes, rng)
        x, y, wide, high = (int(v) for v in box)
        part = scene[y : y + high, x : x + wide].astype(np.float32)
        score = part.std() + (part.max(-1) - part.min(-1)).mean()
        if score > best_score:
            best, best_score = box, score
    return best


def _clear_box(width, height, boxes, rng):
    while True:
        wide = np.exp(rng.uniform(np.log(12), np.log(110)))
        high = wide * np.exp(rng.uniform(-0.4, 0.4))
        x, y = rng.uniform(0, width - wide), rng.uniform(0, height - high)
        clear = all(
            x > bx + 1.3 * bw or x + wide < bx - 0.3 * bw
            or y > by + 1.3 * bh or y + high < by - 0.3 * bh
            for (bx, by, bw, bh), _ in boxes
        )  # fmt: skip
        if clear:
            return x, y, wide, high


def _beside(box, rng):
    """A box that meets the sign with an overlap (intersection over union) below .3."""
    x, y, width, height = box
    while True:
        dx, dy = rng.uniform(-1, 1, 2)
        shared = (1 - abs(dx)) * (1 - abs(dy))
        if shared / (2 - shared) < 0.25:
            return x + dx * width, y + dy * height, width, height
