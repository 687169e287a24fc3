#!/usr/bin/env python3
"""Writes the scenario of a drive of half an hour from Germany through Austria and Switzerland to Liechtenstein.

Usage: four_countries.py OUT.toml [RATE_HZ]

Straight stretches of towns, country roads and motorways follow each other; the limit in force stands in the scenario, so that
`tsedge eval drive` can judge what was shown. Austrian and Liechtenstein signs are drawn as the German and Swiss ones.
"""

import random
import sys
from pathlib import Path

HEAD = """# Made by scripts/four_countries.py: from Lindau through Vorarlberg and the Swiss Rhine valley to Vaduz.
seed = 41
start = 2026-05-04T09:30:00Z

[camera]
width_px = 640
height_px = 360
rate_hz = {rate}
field_of_view_deg = 36.0
height_m = 1.35
pitch_deg = -1.0
distortion_k1 = -0.03
shutter_ms = 4.0
noise = 2.0

[route]
latitude_deg = 47.5825
longitude_deg = 9.7270
heading_deg = 203.0
"""
# How far before the sign of the limit that of the road stands, and how many towns are drawn.
BEFORE_M, TOWNS = 25, 6
# Where the drawing changes, and where the road turns towards Liechtenstein.
SWISS_FROM_M, TURN_AT_M, END_M = 15_400, 40_000, 45_000
TURN_M, TURN_PER_M = 350, -0.0019
# Road, limit where it is 100 km/h outside of towns, the sign that sets it, length. `None`: the rule of the country.
PIECES = [
    ("rural", 80, "speed_limit_80", 1500),
    ("rural", 60, "speed_limit_60", 700),
    ("urban", 50, "town_sign", 1000),
    ("urban", 30, "speed_limit_30", 400),
    ("urban", 50, "speed_limit_50", 500),
    ("rural", None, "end_of_town", 1200),
    ("motorway", 120, "speed_limit_120", 3000),
    ("motorway", 80, "speed_limit_80", 900),
    ("motorway", 100, "speed_limit_100", 2500),
]
OTHERS = [
    "children",
    "curve_left",
    "curve_right",
    "general_warning",
    "no_overtaking",
    "pedestrian_crossing",
    "no_parking",
    "no_stopping",
    "road_work",
    "roundabout",
    "slippery_road",
    "uneven_road",
    "traffic_signals",
    "priority_road",
    "no_bicycles",
    "height_limit",
]


def segment(
    length: float, speed: int, style: str, limit: int, road: str, curve: float = 0.0
) -> str:
    bend = f"curvature_per_m = {curve}\n" if curve else ""
    return (
        f"\n[[route.segment]]\nlength_m = {length}\nspeed_kmh = {speed}.0\n{bend}"
        f'style = "{style}"\nlimit = {limit}\nroad = "{road}"\n'
    )


def sign(cls: str, style: str, at: float, fast: bool) -> str:
    width = 0.9 if cls.startswith(("speed_limit", "no_overtaking")) and fast else None
    large = f"width_m = {width}\n" if width else ""
    return (
        f'\n[[sign]]\nclass = "{cls}"\nstyle = "{style}"\nat_m = {at:.0f}\nlateral_m = 4.6\n{large}'
    )


def main() -> None:
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    rng = random.Random(41)
    road_text, sign_text, at, turned, n = "", "", 0.0, False, 0
    was_fast, towns = False, 0
    while at < END_M:
        road, limit, cls, length = PIECES[n % len(PIECES)]
        n += 1
        style = "DE" if at < SWISS_FROM_M else "CH"
        limit = limit or (100 if style == "DE" else 80)
        fast = road == "motorway"
        begins = fast != was_fast
        was_fast = fast
        if begins:
            road_sign = "motorway" if fast else "end_of_motorway"
            sign_text += sign(road_sign, style, max(at - BEFORE_M, 40.0), fast)
        if cls in ("town_sign", "end_of_town"):
            if style == "CH":
                # The town boards bring no limit: signs of their own do.
                sign_text += sign(f"speed_limit_{limit}", style, at + BEFORE_M, fast)
            cls += f"_{towns % TOWNS + 1}" if towns % TOWNS else ""
            towns += road != "urban"
        sign_text += sign(cls, style, max(at, 40.0), fast)
        others = int(length // 350)
        for i in range(1, others + 1):
            sign_text += sign(rng.choice(OTHERS), style, at + i * length / (others + 1), fast)
        if not turned and at + length > TURN_AT_M:
            turned = True
            road_text += segment(TURN_M, min(limit, 80), style, limit, road, TURN_PER_M)
            length -= TURN_M
            at += TURN_M
        road_text += segment(length, limit, style, limit, road)
        at += length
    Path(sys.argv[1]).write_text(HEAD.format(rate=rate) + road_text + sign_text, encoding="utf-8")


if __name__ == "__main__":
    main()
