#!/usr/bin/env python3
"""Drives one drawn route by day, at dusk, in rain and shaken, and tells how its signs were followed and named.

    scripts/conditions.py target/release/tsedge --out docs/evaluation/conditions.md

Each drive is rendered by `tsedge simulate`, replayed by `tsedge replay` and judged by `tsedge eval drive`; what that does not
count (tracks of a sign, first detection, false events) is counted here from the replay's JSON lines. With `--work DIR` drives
are kept: rendered again only where their scenario changed (rendering needs no models), replayed again only where drive, program
or models did. So several processes may share the drives by `--only`, and a last one makes the page of all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from drawn_route import CONDITIONS, FALSE_FRIENDS, scenario
from followed import Followed, Moment, follow, most_per_hour, read_events, read_truth

ROOT = Path(__file__).resolve().parents[1]
MADE = "<!-- made -->\n"
LEAST_PX = 16
HEAD = """\
| frames/s | drive | signs | named right, wrong, never, of 100 | tracks a sign (found) | identity switches \
| fragments (named again) | first detection | first right name | false events an hour (all) | hours |
|---|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass
class Judged:
    """What a drive came to."""

    followed: Followed
    right: int
    wrong: int
    missed: int
    repeated: int
    mistakes: list[str]
    made_by: str


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def render(tsedge: Path, folder: Path, text: str) -> None:
    """Into the folder, unless the same drive is there."""
    file, done = folder / "drive.toml", folder / "rendered.toml"
    if done.exists() and done.read_text(encoding="utf-8") == text:
        return
    done.unlink(missing_ok=True)
    file.write_text(text, encoding="utf-8")
    run(tsedge, "simulate", file, "--out", folder / "drive.mp4", "--truth", folder / "truth.json")
    file.rename(done)


def replay(tsedge: Path, folder: Path, models: Path) -> Path:
    """The events of the drive in the folder, unless they are there."""
    events, done = folder / "drive.jsonl", folder / "replayed.txt"
    read = [tsedge, folder / "drive.mp4", *sorted(p for p in models.rglob("*") if p.is_file())]
    made_of = "".join(f"{sha256(file)}  {file.name}\n" for file in read)
    if done.exists() and done.read_text(encoding="utf-8") == made_of:
        return events
    done.unlink(missing_ok=True)
    run(
        tsedge, "replay", folder / "drive.mp4", "--region", "DE", "--models", models,
        "--quiet", "--jsonl", events,
    )  # fmt: skip
    done.write_text(made_of, encoding="utf-8")
    return events


def sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def judge(tsedge: Path, folder: Path, models: Path) -> Judged:
    """Replays and judges the drive in the folder."""
    events, figures = replay(tsedge, folder, models), folder / "figures.json"
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    # Names given to false friends shall count as names where no sign stood.
    signs = [sign for sign in truth["signs"] if sign["class"] not in FALSE_FRIENDS]
    asked = folder / "signs.json"
    asked.write_text(json.dumps({**truth, "signs": signs}), encoding="utf-8")
    command = [tsedge, "eval", "drive", events, "--truth", asked, "--least-px", LEAST_PX]
    subprocess.run(
        [str(part) for part in [*command, "--json", figures]], check=True, stdout=subprocess.DEVNULL
    )
    found = json.loads(figures.read_text(encoding="utf-8"))
    lines = events.read_text(encoding="utf-8").splitlines()
    told = read_events(json.loads(line) for line in lines)
    least = {sign["id"] for sign in signs if sign["max_px"] >= LEAST_PX}
    followed = follow(read_truth(truth), told, FALSE_FRIENDS, least)
    counts = found["signs"]["all"]
    if counts["signs"] != followed.signs:
        raise SystemExit(f"{folder}: {counts['signs']} signs judged, {followed.signs} followed")
    return Judged(
        followed,
        counts["right"],
        counts["wrong"],
        counts["missed"],
        found["signs"]["repeated"],
        found["signs"]["mistakes"],
        found["made_by"],
    )


def together(drives: Sequence[Judged]) -> Judged:
    """All drives as one."""
    followed = Followed()
    for drive in drives:
        followed.add(drive.followed)
    names = ("right", "wrong", "missed", "repeated")
    counts = [sum(getattr(drive, name) for drive in drives) for name in names]
    mistakes = [mistake for drive in drives for mistake in drive.mistakes]
    return Judged(followed, *counts, mistakes, drives[0].made_by)


def median(moments: list[Moment]) -> str:
    if not moments:
        return "-"
    seconds = statistics.median(moment.seconds for moment in moments)
    metres = statistics.median(moment.metres for moment in moments)
    return f"{seconds:.1f} s, {metres:.0f} m"


def row(rate_hz: int, name: str, judged: Judged) -> str:
    followed = judged.followed
    signs, false = followed.signs, len(followed.false_events)
    shares = [100 * n / max(signs, 1) for n in (judged.right, judged.wrong, judged.missed)]
    found = len(followed.tracks)
    cells = [
        str(rate_hz),
        name,
        str(signs),
        ", ".join(f"{share:.1f}" for share in shares),
        f"{sum(followed.tracks) / found:.2f} ({found})" if found else "- (0)",
        str(followed.switches),
        f"{followed.fragments} ({judged.repeated})",
        median(followed.detected),
        median(followed.confirmed),
        f"{false / followed.hours:.1f} ({false})",
        f"{followed.hours:.2f}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def driven() -> str:
    """What the conditions are."""
    text = "| drive | light | rain | shutter | noise | shaken |\n|---|---|---|---|---|---|\n"
    for c in CONDITIONS:
        cells = (
            c.name,
            c.light,
            c.rain,
            f"{c.shutter_ms} ms",
            c.noise,
            "yes" if c.shaken else "no",
        )
        text += "| " + " | ".join(str(cell) for cell in cells) + " |\n"
    return text + "\n"


def page(judged: dict[tuple[int, str], Judged]) -> str:
    """The table, and what went wrong."""
    text = HEAD
    for rate_hz in dict.fromkeys(rate for rate, _ in judged):
        of_rate = {name: drive for (rate, name), drive in judged.items() if rate == rate_hz}
        text += "".join(row(rate_hz, name, drive) for name, drive in of_rate.items())
        if len(of_rate) > 1:
            text += row(rate_hz, "all", together(list(of_rate.values())))
    everything = together(list(judged.values()))
    false, hours = len(everything.followed.false_events), everything.followed.hours
    text += (
        f"\n{false} false events in {hours:.2f} hours: with 95 % confidence fewer than "
        f"{most_per_hour(false, hours):.1f} an hour. {everything.made_by}.\n"
    )
    for (rate_hz, name), drive in judged.items():
        text += f"\n**{name}, {rate_hz} frames/s**: signs not named right, names without a sign\n\n"
        text += "".join(f"- {mistake}\n" for mistake in drive.mistakes or ["none"])
        if drive.followed.false_events:
            text += "\nfalse events\n\n"
            text += "".join(f"- {event}\n" for event in drive.followed.false_events)
    return text


def write(file: Path, text: str) -> None:
    """Below what people wrote."""
    head = file.read_text(encoding="utf-8").split(MADE)[0] if file.exists() else ""
    file.write_text(head + MADE + text, encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tsedge", type=Path)
    parser.add_argument("--out", type=Path, metavar="MD", help="keep the table in this page")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep scenarios and drives here")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each drive")
    parser.add_argument(
        "--route", type=int, nargs="+", default=[5], metavar="SEED", help="of its signs"
    )
    parser.add_argument("--rate-hz", type=int, nargs="+", default=[30], metavar="HZ")
    parser.add_argument("--only", nargs="+", choices=[c.name for c in CONDITIONS], metavar="NAME")
    parser.add_argument("--render-only", action="store_true", help="needs --work; judge later")
    args = parser.parse_args()
    if args.render_only and not args.work:
        parser.error("--render-only needs --work, where the drives are kept")
    return args


def main() -> None:
    args = arguments()
    chosen = [c for c in CONDITIONS if not args.only or c.name in args.only]
    drives: dict[tuple[int, str], list[Judged]] = {}
    with tempfile.TemporaryDirectory() as spare:
        for route, rate_hz, condition in product(args.route, args.rate_hz, chosen):
            name = f"{condition.name}, {rate_hz} frames/s, route {route}"
            kept = f"{route}-{rate_hz}hz-{condition.name.replace(', ', '-')}"
            folder = (args.work or Path(spare)) / kept
            folder.mkdir(parents=True, exist_ok=True)
            start_s = cpu_s()
            render(args.tsedge, folder, scenario(condition, args.minutes, rate_hz, route=route))
            rendered_s = cpu_s()
            print(f"{name}: rendered in {rendered_s - start_s:.0f} s of a core", file=sys.stderr)
            if args.render_only:
                continue
            drive = judge(args.tsedge, folder, args.models)
            if len(args.route) > 1:
                drive.mistakes = [f"route {route}: {mistake}" for mistake in drive.mistakes]
            drives.setdefault((rate_hz, condition.name), []).append(drive)
            print(f"{name}: judged in {cpu_s() - rendered_s:.0f} s of a core", file=sys.stderr)
    if drives:
        text = page({of: together(routes) for of, routes in drives.items()})
        print(text)
        if args.out:
            write(args.out, driven() + text)


if __name__ == "__main__":
    main()
