"""One route past every German sign, or past those asked for, to be driven in any light and weather.

Signs stand on both sides, some two on a post. Between them stand false friends: no name is right for them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

# What the region's pack has no class for: plates of their own, an American route shield, bans it lacks.
FALSE_FRIENDS = {"other_sign", "no_left_turn", "no_right_turn"}

SPEEDS = [f"speed_limit_{value}" for value in range(20, 131, 10)]
NAMES = """
stop yield priority_road no_entry no_parking no_stopping end_of_restriction go_straight turn_left turn_right
keep_right keep_left roundabout pedestrian_crossing parking road_work traffic_signals curve_right uneven_road
slippery_road general_warning town_sign_2 end_of_town_3 motorway end_of_motorway expressway end_of_expressway
residential_zone end_of_residential_zone height_limit weight_limit zone_30 led_40 led_60 led_80
"""
# Lower and upper sign of a post.
PAIRS = [
    ("no_overtaking", "speed_limit_80"),
    ("speed_limit_70", "curve_left"),
    ("speed_limit_30", "children"),
    ("no_bicycles", "speed_limit_20"),
    ("plate_wet", "speed_limit_60"),
    ("plate_lorries", "speed_limit_40"),
]
ALONE_FALSE = ["route_95", "no_left_turn", "route_95", "no_right_turn"]
WIDE = ("town_sign", "end_of_town", "motorway", "end_of_motorway")
WIDE += ("expressway", "end_of_expressway", "residential_zone", "end_of_residential_zone")
TRIANGLES = {"curve_left", "children"}

# Length, speed and bend of the road, over and over: a town, country roads.
PIECES = [
    (500, 50, 0.0),
    (350, 50, 0.0012),
    (900, 80, 0.0),
    (500, 70, -0.0015),
    (1000, 100, 0.0),
    (600, 80, 0.0008),
]
# A post every so many seconds; before the first there is room to see it come.
EVERY_S, FIRST_S, LAST_S = 5.5, 8.0, 2.0

# How the camera shakes on its mount: a rough road, and a pothole every five seconds.
SHAKE = """
[camera.shake]
pitch_deg = 0.3
yaw_deg = 0.2
roll_deg = 0.3
rate_hz = 4.0
potholes_per_min = 12.0
pothole_deg = 1.0
"""
# The renderer's grid of the road, and the shortest piece that a scenario may have.
GRID_M, SHORTEST_M = 0.5, 1.0


@dataclass(frozen=True)
class Condition:
    """How the route is driven."""

    name: str
    light: float = 1.0
    rain: float = 0.0
    shutter_ms: float = 4.0
    noise: float = 1.6
    shaken: bool = False


CONDITIONS = [
    Condition("day"),
    Condition("dusk", light=0.35, shutter_ms=16.0, noise=5.0),
    Condition("rain", light=0.8, rain=0.6, shutter_ms=8.0, noise=2.5),
    Condition("shake", shaken=True),
    Condition("dusk, rain, shake", 0.35, 0.6, 16.0, 5.0, shaken=True),
]


@dataclass(frozen=True)
class Piece:
    """A stretch of road of one speed and bend."""

    length_m: float
    speed_kmh: float
    bend_per_m: float


def pieces(seconds: float) -> list[Piece]:
    """So much road as the time is enough for."""
    road: list[Piece] = []
    left_s = seconds
    while left_s > 1e-6:
        length_m, speed, bend = PIECES[len(road) % len(PIECES)]
        possible_m = on_grid(left_s * speed / 3.6)
        road.append(Piece(min(float(length_m), possible_m), float(speed), bend))
        left_s -= length_m / (speed / 3.6)
    return road


def on_grid(length_m: float) -> float:
    return max(round(length_m / GRID_M) * GRID_M, SHORTEST_M)


def way_at(road: list[Piece], time_s: float) -> float:
    """How far the car has come, speeding up left aside."""
    along_m = 0.0
    for piece in road:
        takes_s = piece.length_m / (piece.speed_kmh / 3.6)
        if time_s <= takes_s:
            return along_m + time_s * piece.speed_kmh / 3.6
        time_s, along_m = time_s - takes_s, along_m + piece.length_m
    return along_m


def posts() -> list[tuple[str, ...]]:
    """Every post once, its lower sign first."""
    paired = {key for pair in PAIRS for key in pair}
    single = [key for key in SPEEDS + NAMES.split() if key not in paired]
    return [*PAIRS, *((key,) for key in single + ALONE_FALSE)]


def stand(keys: tuple[str, ...], at_m: float, rng: random.Random, style: str) -> str:
    """The signs of a post."""
    right = rng.random() < 0.7
    wide = any(key.startswith(WIDE) for key in keys)
    lateral_m = rng.uniform(5.0, 5.6) if wide else rng.uniform(4.3, 5.2)
    yaw_deg = rng.uniform(-4.0, 8.0)
    low_m = rng.uniform(1.9, 2.3)
    heights = [low_m]
    if len(keys) == 2:
        # The plates are 0.3 m high, discs 0.6 m, triangles 0.8 m.
        apart_m = 0.48 if keys[0].startswith("plate") else 0.73 if keys[1] in TRIANGLES else 0.64
        heights.append(low_m + apart_m)
    text = ""
    for key, height_m in zip(keys, heights):
        text += (
            f'\n[[sign]]\nclass = "{key}"\nstyle = "{"US" if key == "route_95" else style}"\n'
            f'at_m = {at_m:.1f}\nside = "{"right" if right else "left"}"\nlateral_m = {lateral_m:.2f}\n'
            f"height_m = {height_m:.2f}\nyaw_deg = {yaw_deg:.1f}\n"
        )
    return text


def minutes_past(posts: int, every_s: float = EVERY_S) -> float:
    """Long enough to pass so many posts."""
    return (FIRST_S + LAST_S + every_s * (posts + 3) * 1.03) / 60


def scenario(
    condition: Condition,
    minutes: float,
    rate_hz: int,
    style: str = "DE",
    past: list[tuple[str, ...]] | None = None,
    every_s: float = EVERY_S,
    route: int = 5,
) -> str:
    """The scenario file: the road and its signs are the same in every condition. Routes differ in order and place of the signs,
    and in all that stands beside the road."""
    road = pieces(minutes * 60)
    rng = random.Random(route)
    signs, left, time_s = "", [], FIRST_S
    while time_s < minutes * 60 - LAST_S:
        if not left:
            left = rng.sample(past or posts(), len(past or posts()))
        signs += stand(left.pop(), way_at(road, time_s), rng, style)
        time_s += every_s * rng.uniform(0.8, 1.2)
    segments = "".join(
        f"\n[[route.segment]]\nlength_m = {piece.length_m}\nspeed_kmh = {piece.speed_kmh}\n"
        f'curvature_per_m = {piece.bend_per_m:.7f}\nstyle = "{style}"\n'
        for piece in road
    )
    return f"""# Made by scripts/conditions.py: {condition.name}.
seed = {route}
start = 2026-05-04T09:30:00Z

[camera]
width_px = 1280
height_px = 720
rate_hz = {rate_hz}
field_of_view_deg = 46.0
height_m = 1.35
pitch_deg = -1.0
distortion_k1 = -0.04
shutter_ms = {condition.shutter_ms}
noise = {condition.noise}
{SHAKE if condition.shaken else ""}
[weather]
light = {condition.light}
rain = {condition.rain}

[route]
latitude_deg = 49.02
longitude_deg = 8.12
heading_deg = 20.0
{segments}{signs}"""
