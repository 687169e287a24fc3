"""Small pictures to paste into scenes: photographed and drawn signs, and things that are none."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from .scenes import read_rgb

# How much of a crop's side the sign fills, by data set (others cut closer).
SIGN_SHARE = {"BTSC": 0.83, "RTSD-r1": 0.95, "TSRD23": 0.92, "TT100K": 0.95, "PL-Suchta": 0.92}
DEFAULT_SIGN_SHARE = 0.97
PER_CLASS = 40
PER_CLASS_US = 120  # few classes, and the only white upright rectangles
MIN_CROP_PX = 18
SIGN_PX = (11.0, 110.0)
# A lamp or a coloured disc of a few pixels cannot be told from a far sign.
DISTRACTOR_PX = (18.0, 110.0)


@dataclass(frozen=True)
class Patch:
    """`alpha` is 0..1 where known; `sign_share` the part of the side that the sign fills.

    `sides_px`: the longer side, pasted, is within it. `shows`: what pasting it teaches; an unclear
    one neither that it is a sign nor that it is background.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None
    sign_share: float
    rectangular: bool = False
    sides_px: tuple[float, float] = SIGN_PX
    shows: Literal["sign", "unclear", "background"] = "sign"


def photographed(data: Path, seed: int) -> dict[str, list[Patch]]:
    """Region -> crops. Germany is left out: its crops may show signs of the validation frames."""
    with (data / "crops_manifest.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "train" and r["region"] != "DE"]
    by_class: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        by_class.setdefault((row["region"], row["unified_class"]), []).append(row)
    rng = np.random.default_rng(seed)
    patches: dict[str, list[Patch]] = {}
    for (region, sign), members in sorted(by_class.items()):
        most = PER_CLASS_US if region == "US" else PER_CLASS
        for index in rng.permutation(len(members))[:most]:
            row = members[index]
            rgb = read_rgb(data / "crops" / row["path"])
            if min(rgb.shape[:2]) < MIN_CROP_PX:
                continue
            share = SIGN_SHARE.get(row["dataset"], DEFAULT_SIGN_SHARE)
            rectangular = region == "US" and sign != "stop"
            patches.setdefault(region, []).append(Patch(rgb, None, share, rectangular))
    return patches


PLAIN_COLOURS: Sequence[tuple[int, int, int]] = (
    (250, 250, 250),
    (200, 30, 30),
    (30, 60, 170),
    (240, 200, 40),
    (30, 140, 60),
    (30, 30, 30),
    (230, 120, 30),
    (140, 140, 140),
)
TOWN_GROUNDS = ((250, 250, 250), (30, 60, 170), (240, 200, 40), (30, 140, 60))


def distractor(rng: np.random.Generator) -> Patch:
    """A lamp, a number plate, a board, a plain shape, a caption or a tree: must not be found."""
    patch = (_lamp, _plate, _board, _plain, _caption, _tree)[rng.integers(6)](rng)
    shows = "background" if patch.shows == "sign" else patch.shows
    return replace(patch, sides_px=DISTRACTOR_PX, shows=shows)


def _lamp(rng: np.random.Generator) -> Patch:
    size = 48
    colour = np.array(
        ((255, 60, 40), (255, 190, 60), (70, 255, 150), (255, 250, 235))[rng.integers(4)]
    )
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(rows, columns) / (size / 2)
    glow = np.clip(1.15 - radius, 0, 1) ** rng.uniform(0.3, 2)
    core = np.clip(1 - radius / rng.uniform(0.3, 0.9), 0, 1)[..., None]
    rgb = np.clip(colour + 160 * core, 0, 255).astype(np.uint8)
    return Patch(rgb, glow.astype(np.float32), 1.0)


def _plate(rng: np.random.Generator) -> Patch:
    height, width = 32, int(rng.uniform(2.0, 4.8) * 32)
    rgb = np.full((height, width, 3), rng.integers(190, 256), np.uint8)
    if rng.random() < 0.5:
        rgb[:, :14] = (30, 60, 170)
    _write(rgb, rng, (18, 25), 0.8, (15, 15, 15))
    return Patch(rgb, np.ones((height, width), np.float32), 1.0)


def _board(rng: np.random.Generator) -> Patch:
    """An advert or a direction board. One or two lines alone on a town board's ground are unclear:
    it may be one."""
    height, width = int(rng.uniform(40, 110)), int(rng.uniform(90, 200))
    ground, ink = rng.permutation(len(PLAIN_COLOURS))[:2]
    rgb = np.full((height, width, 3), PLAIN_COLOURS[ground], np.uint8)
    lines = rng.integers(1, 4)
    for line in range(lines):
        _write(rgb, rng, (6, 24 + 26 * line), rng.uniform(0.5, 0.9), PLAIN_COLOURS[ink])
    bare = rng.random() < 0.5
    if not bare:
        _decorate(rgb, rng, PLAIN_COLOURS[ink])
    unclear = bare and lines < 3 and PLAIN_COLOURS[ground] in TOWN_GROUNDS
    alpha = np.ones((height, width), np.float32)
    return Patch(rgb, alpha, 1.0, shows="unclear" if unclear else "background")


def _decorate(rgb: np.ndarray, rng: np.random.Generator, ink: tuple[int, int, int]) -> None:
    """A blob, as adverts have them, or an arrow, as direction boards do."""
    height, width = rgb.shape[:2]
    if rng.random() < 0.6:
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(rgb, centre, int(rng.uniform(8, 40)), PLAIN_COLOURS[rng.integers(8)], -1)
        return
    middle = np.array([width * rng.choice([0.12, 0.85]), height * rng.uniform(0.35, 0.65)])
    angle = rng.choice([0, 0.25, 0.5, 0.75, 1]) * np.pi
    reach = 0.35 * min(height, width / 4) * np.array([np.cos(angle), -np.sin(angle)])
    tail, tip = (tuple(int(v) for v in middle + turn * reach) for turn in (-1, 1))
    cv2.arrowedLine(rgb, tail, tip, ink, 4, cv2.LINE_AA, tipLength=0.5)


def _plain(rng: np.random.Generator) -> Patch:
    size = 64
    rgb = np.full((size, size, 3), PLAIN_COLOURS[rng.integers(8)], np.uint8)
    fade = np.linspace(rng.uniform(0.5, 1), rng.uniform(0.5, 1), size)[:, None, None]
    alpha = np.zeros((size, size), np.float32)
    corners = cv2.convexHull(rng.integers(0, size, (6, 2)).astype(np.int32))
    cv2.fillConvexPoly(alpha, corners, 1.0)
    return Patch((rgb * fade).astype(np.uint8), alpha, 1.0)


def _caption(rng: np.random.Generator) -> Patch:
    """Bare letters, as a camera burns them into its picture."""
    alpha = np.zeros((34, int(rng.uniform(40, 240)), 3), np.uint8)
    _write(alpha, rng, (3, 26), 0.9, (255, 255, 255))
    ink = ((255, 255, 255), (240, 220, 60), (20, 20, 20))[rng.integers(3)]
    rgb = np.full_like(alpha, ink)
    return Patch(rgb, alpha[..., 0].astype(np.float32) / 255, 1.0)


def _tree(rng: np.random.Generator) -> Patch:
    """A trimmed one: a round crown on a trunk is the shape of a sign on its post."""
    height, width = 112, 72
    rgb = np.full((height, width, 3), rng.integers((60, 40, 25), (110, 85, 65)), np.uint8)
    alpha = np.zeros((height, width), np.float32)
    half = rng.integers(2, 6)
    cv2.rectangle(alpha, (width // 2 - half, 60), (width // 2 + half, height), 1.0, -1)
    crown = rng.integers((25, 60, 15), (90, 140, 70))
    for _ in range(rng.integers(60, 160)):
        angle, far = rng.uniform(0, 2 * np.pi), 30 * np.sqrt(rng.random())
        leaf = (int(width / 2 + far * np.cos(angle)), int(36 + 1.1 * far * np.sin(angle)))
        shade = np.clip(crown * (rng.uniform(0.6, 1.3) - far * np.sin(angle) / 150), 0, 255)
        radius = int(rng.integers(3, 9))
        cv2.circle(rgb, leaf, radius, shade.tolist(), -1, cv2.LINE_AA)
        cv2.circle(alpha, leaf, radius, 1.0, -1)
    return Patch(rgb, alpha, 1.0)


def _write(
    rgb: np.ndarray,
    rng: np.random.Generator,
    origin: tuple[int, int],
    scale: float,
    ink: tuple[int, int, int],
) -> None:
    letters = rng.choice(list("ABCDEFGHJKLMNPRSTUVWXYZ0123456789 "), rng.integers(3, 14))
    cv2.putText(rgb, "".join(letters), origin, int(rng.integers(0, 8)), scale, ink, 2, cv2.LINE_AA)
