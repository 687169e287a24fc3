from pathlib import Path

import numpy as np
import pytest

from detector import by_region, drives
from detector.by_region import Driven
from detector.scenes import Scene

from . import drawn_drive as drawn

SIGNS = np.array([[10, 10, 19, 19], [100, 100, 114, 114], [200, 100, 240, 140]], np.float32)
KEYS = ["stop", "town_sign", "stop"]


def driven(found: list[tuple], frames: int = 10) -> Driven:
    """A frame with signs, the others with nothing found."""
    blank, none = by_region.NO_PICTURE, np.zeros((0, 5), np.float32)
    scenes = [Scene("x", blank, SIGNS)] + [Scene("x", blank)] * (frames - 1)
    rows = np.array(found, np.float32).reshape(-1, 5)
    return Driven([rows] + [none] * (frames - 1), scenes, list(KEYS))


def test_recall_by_size_and_false_alarms_of_each_region_at_one_score() -> None:
    de = driven([(*SIGNS[0], 0.9), (*SIGNS[1], 0.8), (*SIGNS[2], 0.7), (300, 0, 320, 20, 0.6)])
    us = driven([(*SIGNS[2], 0.9), (*SIGNS[1], 0.3)])
    rows = by_region.table({"DE": de, "US": us}, 0.5).splitlines()
    assert rows[0].startswith("| drawings | shape | 8-12 px | 12-20 px | 20-32 px | 32 px up |")
    assert rows[2] == "| DE | even | 1.00 (1) | 1.00 (1) | - | 1.00 (1) |  |"
    assert rows[3] == "| DE | all | 1.00 (1) | 1.00 (1) | - | 1.00 (1) | 0.100 |"
    assert rows[5] == "| US | all | 0.00 (1) | 0.00 (1) | - | 1.00 (1) | 0.000 |"


def test_boards_wider_or_taller_than_other_signs_have_rows_of_their_own() -> None:
    boards = np.array([[0, 0, 30, 20], [50, 0, 66, 20]], np.float32)
    found = np.array([[*boards[1], 0.9]], np.float32)
    signs = Driven(
        [found], [Scene("x", by_region.NO_PICTURE, boards)], ["town_sign", "go_straight"]
    )
    rows = by_region.table({"US": signs}, 0.5).splitlines()
    assert rows[2] == "| US | tall | - | - | 1.00 (1) | - |  |"
    assert rows[3] == "| US | wide | - | - | 0.00 (1) | - |  |"
    assert rows[4] == "| US | all | - | - | 0.50 (2) | - | 0.000 |"


def test_the_drawing_found_least_comes_first() -> None:
    us = driven([(*SIGNS[2], 0.9), (*SIGNS[1], 0.3)])
    rows = by_region.least_found({"US": us}, 0.5).splitlines()
    assert rows[2:] == ["| US town_sign | 0.00 (1) |", "| US stop | 1.00 (1) |"]


def test_the_score_is_one_for_all_drives_together() -> None:
    false = [(300 + 30 * i, 0, 320 + 30 * i, 20, 0.9 - 0.1 * i) for i in range(4)]
    text = by_region.report({"DE": driven(false), "US": driven([(*SIGNS[2], 0.65)])}, 0.7)
    assert "Score 0.70, where the program begins a track" in text
    assert "Score 0.80, 0.1 false positives a frame on all drives together" in text
    assert "| DE | all | 0.00 (1) | 0.00 (1) | - | 0.00 (1) | 0.200 |" in text
    assert "| all | all | " in text


def test_each_frame_of_a_drive_is_looked_at_and_what_is_missed_is_cut_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = drives.read(*drawn.write(tmp_path))
    shown = dict(drawn.visible())
    sides = {frame: box[2] - box[0] for frame, box in shown.items()}
    last = max(shown)
    found = iter(range(drawn.FRAMES))

    def detect(*_: object) -> np.ndarray:
        frame = next(found)
        row = [*shown[frame], 0.9] if frame in shown and frame != last else []
        return np.array(row, np.float32).reshape(-1, 5)

    monkeypatch.setattr(by_region, "detect", detect)
    out = by_region.drive(None, route, ["stop"], 320, 0.3)
    assert out.keys == ["stop"] * len(shown) and len(out.found) == drawn.FRAMES
    assert [side for side, _ in out.missed] == pytest.approx([sides[last]], abs=0.01)
    assert all(scene.image.size == 0 for scene in out.frames)


def test_drawings_are_named_by_their_files(tmp_path: Path) -> None:
    tsedge = tmp_path / "tsedge"
    tsedge.write_text(
        '#!/bin/sh\nmkdir -p "$3/DE/stop" "$3/US/other_sign"\n'
        'touch "$3/DE/stop/000.png" "$3/US/other_sign/route_95_000.png"\n'
    )
    tsedge.chmod(0o755)
    assert by_region.drawings(tsedge) == {"DE": ["stop"], "US": ["route_95"]}
