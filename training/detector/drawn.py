"""Drawn signs to paste: official drawings, and our own boards of towns and roads."""

import io
from pathlib import Path

import cairosvg
import numpy as np
from PIL import Image

from tsedge_training import roads

from .patches import Patch

DRAWING_PX, BOARD_PX = 128, 200
DRAWN_FAMILIES = ("regulatory--", "warning--")
DRAWN_INFORMATION = ("pedestrians-crossing", "parking--", "motorway--", "living-street--")
BOARDS = 900
# A town's name fills a wide board; a smaller one than this is a mere spot.
BOARD_SIDES_PX, LEAST_SHORT_SIDE_PX = (14.0, 220.0), 7.0


def official(folder: Path) -> list[Patch]:
    """The official drawings, rendered; `folder` is the unpacked mapillary_sprite_source."""
    files = [
        path
        for path in sorted((folder / "package" / "package_signs").glob("*.svg"))
        if path.name.startswith(DRAWN_FAMILIES)
        or path.name.removeprefix("information--").startswith(DRAWN_INFORMATION)
    ]
    if not files:
        raise FileNotFoundError(f"{folder}: no package/package_signs/*.svg in it")
    pictures = (_render(DRAWING_PX, url=str(file)) for file in files)
    return [Patch(*picture, 1.0) for picture in pictures if picture]


def boards(count: int, seed: int) -> list[Patch]:
    """Town boards, motorways, expressways, and their ends; half of them towns."""
    rng = np.random.default_rng(seed)
    makers = (
        roads.town_sign,
        roads.end_of_town,
        roads.town_sign,
        roads.motorway,
        roads.end_of_town,
        roads.expressway,
        roads.town_sign,
        lambda rng: roads.ended(roads.motorway(rng), rng),
        lambda rng: roads.ended(roads.expressway(rng), rng),
    )
    return [_board(makers[i % len(makers)](rng)) for i in range(count)]


def _board(svg: str) -> Patch:
    rgb, alpha = _render(BOARD_PX, bytestring=svg.encode())
    height, width = alpha.shape
    slimness = max(height, width) / min(height, width)
    least = max(BOARD_SIDES_PX[0], LEAST_SHORT_SIDE_PX * slimness)
    return Patch(rgb, alpha, 1.0, True, (least, BOARD_SIDES_PX[1]))


def _render(longest_px: int, **source: str | bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """-> RGB and alpha, cut to what is drawn; None where next to nothing is."""
    png = cairosvg.svg2png(**source, output_width=longest_px)
    rgba = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    rows, columns = np.nonzero(rgba[..., 3] > 127)
    if len(rows) < longest_px:
        return None
    rgba = rgba[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return rgba[..., :3].copy(), rgba[..., 3].astype(np.float32) / 255
