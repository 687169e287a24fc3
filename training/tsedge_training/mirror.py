"""Which signs may be mirrored, and what they are then.

Left-hand traffic shows many symbols the other way round; a mirrored arrow is another class.
"""

import numpy as np

SHARE = 0.25
SAME = frozenset(
    ("no_bicycles", "no_trucks", "no_buses", "no_motorcycles", "no_motor_vehicles", "no_vehicles",
     "no_pedestrians", "no_u_turn", "no_overtaking", "no_overtaking_trucks", "no_entry", "yield",
     "priority_road", "end_of_priority_road", "bicycle_path", "pedestrians_only", "shared_path",
     "pedestrian_crossing", "bicycles_crossing", "children", "road_work", "animals",
     "slippery_road", "falling_rocks", "steep_hill", "no_parking", "no_stopping", "roundabout",
     "roundabout_ahead", "two_way_traffic", "general_warning", "traffic_signals", "go_straight",
     "no_straight", "turn_left_or_right", "no_left_or_right_turn", "pass_either_side",
     "uneven_road", "snow_ice", "road_narrows", "intersection_ahead", "level_crossing", "merge",
     "double_curve", "background")
)  # fmt: skip
_PAIRS = (
    ("turn_left", "turn_right"), ("keep_left", "keep_right"), ("curve_left", "curve_right"),
    ("go_straight_or_left", "go_straight_or_right"), ("no_left_turn", "no_right_turn"),
)  # fmt: skip
OTHER = dict(_PAIRS) | {b: a for a, b in _PAIRS}


def partners(keys: list[str]) -> np.ndarray:
    """For each label its number after mirroring; -1 where a mirrored sign is none."""
    number = {key: i for i, key in enumerate(keys)}
    return np.array(
        [number[key] if key in SAME else number.get(OTHER.get(key), -1) for key in keys]
    )


def some(images: np.ndarray, labels: np.ndarray, partner: np.ndarray, free: np.ndarray,
         rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Mirrors SHARE of the pictures that allow it; only `free` ones may change their label."""
    new = partner[labels]
    turned = (rng.random(len(labels)) < SHARE) & (new >= 0) & (free | (new == labels))
    images = images.copy()
    images[turned] = images[turned][:, :, ::-1]
    return images, np.where(turned, new, labels)
