"""Charts without a display, small, and the same bytes each time."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

STYLE = {"svg.fonttype": "none", "svg.hashsalt": "tsedge"}


def new(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, file: Path) -> None:
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
