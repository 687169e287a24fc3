"""From a region's crops to a pack, an encoder if wanted, and a page of before and after.

The crops are split by track, 70 to 30: nothing learns from the 30, of which the page tells.
"""

import csv
import hashlib
import html
import json
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from . import bank, data

JUDGED_SHARE = 0.3
PICTURES = (".jpg", ".jpeg", ".png", ".webp")
FIGURES = ("first choice", "named right", "named wrong", "ECE")
STYLE = (
    "body{font:16px sans-serif;max-width:60em;margin:2em auto}"
    "td,th{padding:.2em .8em;text-align:right}"
)


@dataclass(frozen=True)
class Crop:
    """`track`: pictures of one physical sign share it."""

    file: Path
    key: str
    track: str

    def judged(self) -> bool:
        # Not `tsedge adapt`'s own hash: it splits again what is learned from.
        digest = hashlib.sha256(f"judged {self.track}".encode()).digest()
        return int.from_bytes(digest[:4], "big") < JUDGED_SHARE * 2**32


@dataclass(frozen=True)
class Adapted:
    """`figures`: of each of FIGURES, before and after. `refused`: why no pack was written."""

    encoder: str
    figures: list[tuple[str, str]]
    refused: str | None
    report: Path


def listed(folder: Path, track_until: str | None = None) -> list[Crop]:
    """FOLDER/<class>/<picture>; a track is a picture's name, up to the last `track_until`."""
    files = [f for f in sorted(folder.glob("*/*")) if f.suffix.lower() in PICTURES]
    if not files:
        raise ValueError(f"{folder}: no <class>/<picture>; a folder for each class key is expected")
    crops = []
    for file in files:
        name = file.stem.rsplit(track_until, 1)[0] if track_until else file.stem
        crops.append(Crop(file, file.parent.name, f"{file.parent.name}/{name}"))
    return crops


def split(crops: list[Crop]) -> tuple[list[Crop], list[Crop]]:
    """To learn from, and to be judged by."""
    return [c for c in crops if not c.judged()], [c for c in crops if c.judged()]


def added_to(pictures: bank.Bank, crops: list[Crop], region: str, margin: float,
             known: set[str]) -> bank.Bank:  # fmt: skip
    """The bank and the crops, as photos of the region; all are trained on."""
    unknown = sorted({c.key for c in crops} - known)
    if unknown:
        raise ValueError(f"{crops[0].file.parent.parent}: no class is called {unknown}")
    photo, nothing = (data.REGIONS.index(region), bank.PHOTO), (-1, bank.EMPTY)
    rows = (
        (_picture(c.file, margin), c.key, *(nothing if c.key == bank.BACKGROUND else photo), False)
        for c in crops
    )
    return bank.with_more(pictures, rows)


def _picture(file: Path, margin: float) -> np.ndarray:
    """As the bank keeps pictures; surround that the crop lacks repeats its edge."""
    image = data.read_rgb(file)
    height, width = image.shape[:2]
    border = round(data.MARGIN * max(height, width))
    image = cv2.copyMakeBorder(image, *[border] * 4, cv2.BORDER_REPLICATE)
    inner = 1 - 2 * margin
    left, top = border + margin * width, border + margin * height
    return data.cut(image, (left, top, inner * width, inner * height))


def adapt(tsedge: Path, crops: list[Crop], region: str, models: Path, margin: float, out: Path,
          encoder: str) -> Adapted:  # fmt: skip
    """`tsedge adapt` of the region's pack in `models`, into OUT/<region>.safetensors."""
    out.mkdir(parents=True, exist_ok=True)
    base, report = models / "packs" / f"{region}.safetensors", out / "adapt.html"
    told = out / "adapt.json"
    told.unlink(missing_ok=True)
    learned, judged = (
        _written(out / name, part)
        for name, part in zip(("learned.csv", "judged.csv"), split(crops), strict=True)
    )
    command = [
        tsedge, "adapt", learned, "--base", base, "--test", judged, "--models", models,
        "--margin", margin, "--report", report, "--json", told,
        "--out", out / f"{region}.safetensors",
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    if not told.exists():
        raise RuntimeError(f"tsedge adapt: {done.stdout}{done.stderr}")
    found = json.loads(told.read_text(encoding="utf-8"))
    tested = found["comparisons"][-1]
    pairs = zip(_figures(tested["before"]), _figures(tested["after"]), strict=True)
    return Adapted(encoder, list(pairs), found["refused"], report)


def _figures(counts: dict) -> list[str]:
    """Of each of FIGURES."""
    names = ("right", "named_right", "named_wrong")
    shares = [f"{100 * counts[name] / max(counts['crops'], 1):.2f}" for name in names]
    return [*shares, f"{counts['calibration_error']:.4f}"]


def _written(file: Path, crops: list[Crop]) -> Path:
    with open(file, "w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(("path", "class", "track"))
        rows.writerows((c.file.resolve(), c.key, c.track) for c in crops)
    return file


def page(found: list[Adapted], region: str, crops: list[Crop], cards: list[Path]) -> str:
    """`cards`: encoder.toml of each encoder, for what became of the regions known before."""
    learned, judged = map(len, split(crops))
    head = "".join(f"<th>{name}</th>" for name in ("encoder", "pack", *FIGURES))
    rows = ""
    for one in found:
        link = f'<a href="{one.report.parent.name}/{one.report.name}">adapted</a>'
        after = html.escape(f"refused: {one.refused}") if one.refused else link
        for pack, side in (("as it was", 0), (after, 1)):
            cells = "".join(f"<td>{pair[side]}</td>" for pair in one.figures)
            rows += f"<tr><td>{one.encoder}</td><td>{pack}</td>{cells}</tr>\n"
    text = (
        f"<!doctype html><meta charset=utf-8><title>{region}</title><style>{STYLE}</style>\n"
        f"<h1>{region}: before and after</h1>\n"
        f"<p>{learned} crops learned from; told of {judged} others, in percent "
        "(ECE: a share).</p>\n"
        f"<table><tr>{head}</tr>\n{rows}</table>\n"
    )
    if len(cards) > 1:
        text += "<h2>Regions known before</h2>\n<p>Test crops, first choice in percent.</p>\n"
        text += _known_regions(cards)
    return text


def _known_regions(cards: list[Path]) -> str:
    parts = [tomllib.loads(card.read_text(encoding="utf-8"))["provenance"] for card in cards]
    tests = [part["test"] for part in parts]
    codes = [code for code in tests[0] if all(code in test for test in tests)]
    rows = [f"<tr><th></th>{''.join(f'<th>{code}</th>' for code in codes)}</tr>"]
    for name, test in zip(("before", "after"), tests, strict=True):
        cells = "".join(f"<td>{test[code]['top1_percent']}</td>" for code in codes)
        rows.append(f"<tr><td>{name}</td>{cells}</tr>")
    return "<table>" + "\n".join(rows) + "</table>\n"
