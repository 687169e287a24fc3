"""Lettering as SVG paths, so that no font needs to be installed.

`text` sets digits and capitals of single strokes, the way road lettering is built: each lives in a
box 1 wide and 2 high, and width and weight can be drawn at random. `printed` sets any line in bold
print, for lower case and other scripts.
"""

import re

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

STROKES = {
    "0": "M0,.6 A.5,.6 0 0 1 1,.6 V1.4 A.5,.6 0 0 1 0,1.4 Z",
    "1": "M.2,.45 L.65,0 V2",
    "2": "M0,.55 A.5,.55 0 0 1 1,.55 C1,1 .4,1.4 0,2 H1",
    "3": "M.02,.4 A.48,.48 0 0 1 .5,0 A.46,.47 0 0 1 .5,.94 A.5,.53 0 0 1 .5,2 A.5,.5 0 0 1 0,1.55",
    "4": "M.75,2 V0 L0,1.4 H1",
    "5": "M.95,0 H.12 L.05,.95 C.3,.65 1,.65 1,1.33 C1,2.2 .1,2.2 0,1.6",
    "6": "M.9,0 C.4,.3 0,.9 0,1.42 A.5,.57 0 1 0 1,1.42 A.5,.55 0 0 0 .04,1.2",
    "7": "M0,0 H1 C.6,.7 .4,1.3 .35,2",
    "8": "M.5,0 A.44,.46 0 0 1 .5,.93 A.44,.46 0 0 1 .5,0 M.5,.93 A.5,.53 0 0 1 .5,2 "
    "A.5,.53 0 0 1 .5,.93",
    "9": "M.1,2 C.6,1.7 1,1.1 1,.58 A.5,.57 0 1 0 0,.58 A.5,.55 0 0 0 .96,.8",
    "\u0660": "M.5,.9 L.6,1 L.5,1.1 L.4,1 Z",
    "\u0661": "M.35,0 C.5,.6 .6,1.3 .6,2",
    "\u0662": "M.2,0 C.3,.8 .35,1.4 .35,2 M.25,.5 C.4,.9 .8,.8 .85,.1",
    "\u0663": "M.1,0 C.25,.8 .3,1.4 .3,2 M.2,.5 C.3,.9 .5,.8 .5,.2 C.55,.9 .9,.8 .9,.1",
    "\u0664": "M.85,.1 C.2,.2 .2,.8 .7,.9 C.1,1 .1,1.8 .9,1.9",
    "\u0665": "M.5,.5 C1.1,1.2 1,1.8 .5,1.8 C0,1.8 -.1,1.2 .5,.5 Z",
    "\u0666": "M.1,.1 C.4,.2 .7,.1 .8,0 C.75,.8 .7,1.4 .8,2",
    "\u0667": "M.1,0 C.3,.8 .45,1.4 .5,2 C.55,1.4 .7,.8 .9,0",
    "\u0668": "M.1,2 C.3,1.4 .45,.8 .5,0 C.55,.8 .7,1.4 .9,2",
    "\u0669": "M.75,2 C.8,1.4 .8,.8 .75,.4 A.3,.35 0 1 0 .75,.6",
    "A": "M0,2 L.5,0 L1,2 M.2,1.3 H.8",
    "B": "M0,0 V2 H.5 A.5,.5 0 0 0 .5,1 H0 H.5 A.5,.5 0 0 0 .5,0 H0",
    "D": "M0,0 V2 H.4 C1.2,2 1.2,0 .4,0 Z",
    "E": "M1,0 H0 V2 H1 M0,1 H.8",
    "F": "M1,0 H0 V2 M0,1 H.8",
    "H": "M0,0 V2 M1,0 V2 M0,1 H1",
    "I": "M.5,0 V2",
    "K": "M0,0 V2 M1,0 L0,1.2 L1,2",
    "L": "M0,0 V2 H1",
    "M": "M0,2 V0 L.5,1.2 L1,0 V2",
    "N": "M0,2 V0 L1,2 V0",
    "O": "M0,.6 A.5,.6 0 0 1 1,.6 V1.4 A.5,.6 0 0 1 0,1.4 Z",
    "P": "M0,2 V0 H.5 A.5,.55 0 0 1 .5,1.1 H0",
    "R": "M0,2 V0 H.5 A.5,.55 0 0 1 .5,1.1 H0 M.4,1.1 L1,2",
    "S": "M.98,.4 C.9,-.1 0,-.15 0,.5 C0,1.15 1,.85 1,1.5 C1,2.15 .05,2.1 0,1.55",
    "T": "M0,0 H1 M.5,0 V2",
    "U": "M0,0 V1.4 A.5,.6 0 0 0 1,1.4 V0",
    "V": "M0,0 L.5,2 L1,0",
    "X": "M0,0 L1,2 M1,0 L0,2",
    "Z": "M0,0 H1 L0,2 H1",
    " ": "",
}


def text(line, x, y, width, height, weight, colour, gap=0.45):
    """`line` in the box at (x, y); `weight` is the stroke's share of the height."""
    unit = width / (len(line) + gap * (len(line) - 1))
    path = " ".join(
        _placed(STROKES[char], x + i * unit * (1 + gap), y, unit, height / 2)
        for i, char in enumerate(line)
    )
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{weight * height:.2f}"/>'


def _placed(path, left, top, unit_x, unit_y):
    """The path scaled and shifted: by its numbers, so that the stroke keeps one width."""
    out = []
    for command, numbers in re.findall(r"([A-Z])([^A-Z]*)", path):
        values = [float(n) for n in re.findall(r"[\d.-]+", numbers)]
        out.append(command)
        for i, value in enumerate(values):
            axis = _AXIS[command][i % len(_AXIS[command])]
            value = {
                "x": left + value * unit_x,
                "y": top + value * unit_y,
                "rx": value * unit_x,
                "ry": value * unit_y,
                "flag": value,
            }[axis]
            out.append(f"{value:g}")
    return " ".join(out)


_AXIS = {
    "M": ("x", "y"),
    "L": ("x", "y"),
    "C": ("x", "y"),
    "H": ("x",),
    "V": ("y",),
    "A": ("rx", "ry", "flag", "flag", "flag", "x", "y"),
    "Z": (),
}


def printed(line, x, y, width, height, colour, weight="bold"):
    """`line` stretched into the box at (x, y), in the print that comes with matplotlib."""
    path = TextPath((0, 0), line, size=10, prop=FontProperties(family="DejaVu Sans", weight=weight))
    box = path.get_extents()
    across, down = width / max(box.width, 1e-6), height / max(box.height, 1e-6)
    names = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    out = []
    for points, code in path.iter_segments(curves=True):
        if code == Path.CLOSEPOLY:
            out.append("Z")
            continue
        numbers = [
            f"{x + (px - box.x0) * across:.2f},{y + (box.y1 - py) * down:.2f}"
            for px, py in points.reshape(-1, 2)
        ]
        out.append(names[code] + " ".join(numbers))
    return f'<path d="{" ".join(out)}" fill="{colour}"/>'
