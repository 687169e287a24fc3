"""Way and date of a drive, from its track."""

from datetime import datetime
from pathlib import Path

import gpxpy
import pynmea2
from gpxpy.geo import haversine_distance
from gpxpy.gpx import GPXException

Fix = tuple[datetime, float, float]


def read_fixes(track: Path) -> list[Fix]:
    """Nothing when the track cannot be read: tsedge says why, this is just for the report."""
    text = track.read_text(encoding="utf-8", errors="replace")
    return nmea_fixes(text) if track.suffix.lower() == ".nmea" else gpx_fixes(text)


def gpx_fixes(text: str) -> list[Fix]:
    try:
        points = gpxpy.parse(text).walk(only_points=True)
    except GPXException:
        return []
    return [(p.time, p.latitude, p.longitude) for p in points if p.time]


def nmea_fixes(text: str) -> list[Fix]:
    fixes = []
    for line in text.splitlines():
        if line[3:6] != "RMC":
            continue
        try:
            sentence = pynmea2.parse(line)
            if sentence.status == "A":
                fixes.append((sentence.datetime, sentence.latitude, sentence.longitude))
        except (pynmea2.ParseError, TypeError, ValueError):
            continue
    return fixes


def way_km(fixes: list[Fix], within_s: float) -> float | None:
    """The way driven from the first fix on, as long as the recording lasts."""
    fixes = [f for f in fixes if (f[0] - fixes[0][0]).total_seconds() <= within_s]
    if len(fixes) < 2:
        return None
    steps = zip(fixes, fixes[1:], strict=False)
    return round(sum(haversine_distance(*a[1:], *b[1:]) for a, b in steps) / 1000, 3)
