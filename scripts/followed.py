"""How the signs of a drawn drive were followed: the tracks told in a replay's JSON lines against the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

Box = tuple[float, float, float, float]

# A box lies on the sign whose true box it covers by so much, as in `tsedge eval drive`.
SAME_SIGN_IOU = 0.3
# Far signs of a post are found as one at first: the box covers both about alike.
ALIKE_IOU = 0.1
# The end of a track is told with its last box, which may be older by the time after which it counts as lost.
LAST_BOX_S = 0.5


@dataclass(frozen=True)
class Sign:
    """A sign that stood there."""

    id: int
    key: str
    at_m: float
    first_frame: int


@dataclass
class Truth:
    """What stood where."""

    rate_hz: float
    way_m: list[float]
    signs: list[Sign]
    # Which signs' boxes are in a frame.
    frames: dict[int, list[tuple[int, Box]]] = field(default_factory=dict)

    @cached_property
    def keys(self) -> dict[int, str]:
        return {sign.id: sign.key for sign in self.signs}

    @property
    def hours(self) -> float:
        return len(self.way_m) / self.rate_hz / 3600

    def way_at(self, time_s: float) -> float:
        frame = min(max(round(time_s * self.rate_hz), 0), len(self.way_m) - 1)
        return self.way_m[frame]


@dataclass(frozen=True)
class Event:
    """A line told of a track."""

    kind: str
    time_s: float
    frame: int
    track: int
    key: str | None
    box: Box
    first_seen_s: float


@dataclass(frozen=True)
class Moment:
    """After a sign became visible, and before it."""

    seconds: float
    metres: float


@dataclass
class Followed:
    """Figures of a drive."""

    signs: int = 0
    # How many tracks each sign had that was found.
    tracks: list[int] = field(default_factory=list)
    switches: int = 0
    detected: list[Moment] = field(default_factory=list)
    confirmed: list[Moment] = field(default_factory=list)
    false_events: list[str] = field(default_factory=list)
    hours: float = 0.0

    @property
    def fragments(self) -> int:
        return sum(count - 1 for count in self.tracks)

    def add(self, other: Followed) -> None:
        self.signs += other.signs
        self.tracks += other.tracks
        self.switches += other.switches
        self.detected += other.detected
        self.confirmed += other.confirmed
        self.false_events += other.false_events
        self.hours += other.hours


def read_truth(truth: dict) -> Truth:
    """From the JSON of `tsedge simulate --truth`."""
    out = Truth(truth["rate_hz"], truth["way_m"], [])
    for sign in truth["signs"]:
        if sign["first_frame"] is None:
            continue
        out.signs.append(Sign(sign["id"], sign["class"], sign["at_m"], sign["first_frame"]))
        for frame, box in sign["boxes"]:
            out.frames.setdefault(frame, []).append((sign["id"], tuple(box)))
    return out


def read_events(lines: Iterable[dict]) -> list[Event]:
    """Those of tracks, from the JSON lines of `tsedge replay`."""
    kinds = ("sign_seen", "sign_confirmed", "sign_lost")
    return [
        Event(
            line["event"], line["time_s"], line["frame"], line["track"],
            line.get("class"), tuple(line["box_px"]), line["first_seen_s"],
        )
        for line in lines
        if line["event"] in kinds
    ]  # fmt: skip


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0.0) * max(height, 0.0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return inter / (area - inter) if area > inter else 0.0


def sign_under(truth: Truth, event: Event) -> int | None:
    """The sign that the event's box lies on; of two that it covers as one, that of the name it has."""
    back = round(LAST_BOX_S * truth.rate_hz) if event.kind == "sign_lost" else 0
    covered: dict[int, float] = {}
    for frame in range(event.frame - back, event.frame + 1):
        for sign, box in truth.frames.get(frame, ()):
            covered[sign] = max(overlap(event.box, box), covered.get(sign, 0.0))
    if not covered or (best := max(covered.values())) < SAME_SIGN_IOU:
        return None
    alike = [s for s, share in covered.items() if share >= max(SAME_SIGN_IOU, best - ALIKE_IOU)]
    named = [s for s in alike if truth.keys[s] == event.key]
    return max(named or alike, key=covered.__getitem__)


def signs_of(truth: Truth, events: list[Event]) -> list[int | None]:
    """For each event of a track its sign; where its box lies on none, as when the frame's edge cuts
    the sign, that of the event before or else of the next."""
    under = [sign_under(truth, event) for event in events]
    for order in (range(1, len(under)), range(len(under) - 2, -1, -1)):
        step = 1 if order.step > 0 else -1
        for i in order:
            if under[i] is None:
                under[i] = under[i - step]
    return under


def follow(truth: Truth, events: list[Event], friends: set[str], least: set[int]) -> Followed:
    """Counts the tracks of the signs in `least`; any name given to one of `friends` is false."""
    by_id = {sign.id: sign for sign in truth.signs}
    real = [s for s in truth.signs if s.key not in friends and s.id in least]
    out = Followed(signs=len(real), hours=truth.hours)
    tracks: dict[int, list[Event]] = {}
    for event in events:
        tracks.setdefault(event.track, []).append(event)
    on_sign: dict[int, set[int]] = {}
    detected: dict[int, float] = {}
    confirmed: dict[int, float] = {}
    for track, told in tracks.items():
        under = signs_of(truth, told)
        out.switches += sum(a != b for a, b in pairwise(under))
        for sign in set(under) - {None}:
            on_sign.setdefault(sign, set()).add(track)
        if under[0] is not None:
            first_s = min(event.first_seen_s for event in told)
            detected[under[0]] = min(first_s, detected.get(under[0], first_s))
        for event, sign in zip(told, under):
            if event.kind != "sign_confirmed":
                continue
            key = by_id[sign].key if sign is not None else None
            if key is None or key in friends or event.key != key:
                out.false_events.append(f"{event.time_s:.1f} s: {event.key} on {key or 'no sign'}")
            else:
                confirmed[sign] = min(event.time_s, confirmed.get(sign, event.time_s))

    def moment(sign: Sign, time_s: float) -> Moment:
        return Moment(time_s - sign.first_frame / truth.rate_hz, sign.at_m - truth.way_at(time_s))

    for sign in real:
        if sign.id in on_sign:
            out.tracks.append(len(on_sign[sign.id]))
        if sign.id in detected:
            out.detected.append(moment(sign, detected[sign.id]))
        if sign.id in confirmed:
            out.confirmed.append(moment(sign, confirmed[sign.id]))
    return out


def most_per_hour(count: int, hours: float) -> float:
    """The rate that so few events leave possible: the upper end of the one-sided 95 % Poisson interval."""
    low, high = 0.0, 10.0 + 3.0 * count
    for _ in range(60):
        mean = (low + high) / 2
        term = total = math.exp(-mean)
        for k in range(1, count + 1):
            term *= mean / k
            total += term
        low, high = (mean, high) if total > 0.05 else (low, mean)
    return high / hours
