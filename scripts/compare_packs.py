"""Replays one drive with each country's own pack, with a wrong one and with WORLD alone, and compares
the signs and limits with the truth. Writes a Markdown table; fails when the own packs give less than
the others.

Usage: compare_packs.py TSEDGE SCENARIO WRONG OUT.md [MODELS]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LAG_S = 6.0  # the border is noticed three fixes after it


def run(*args: str) -> None:
    subprocess.run(args, check=True)


def events(tsedge: str, video: Path, options: list[str], models: list[str]) -> list[dict]:
    out = video.with_suffix(".jsonl")
    run(tsedge, "replay", str(video), "--quiet", "--jsonl", str(out), *options, *models)
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def region_at(truth: dict, time_s: float) -> str:
    passed = [r for r in truth["regions"] if r["time_s"] <= time_s]
    return passed[-1]["region"]


def expected_limits(truth: dict) -> list[tuple[float, str, str]]:
    """(time, region, text) of what must be advised: each limit where its sign is passed, nothing
    after its end or the border."""
    out, standing = [], None
    changes = [(r["time_s"], "border", None) for r in truth["regions"][1:]]
    for sign in truth["signs"]:
        if sign["last_frame"] is not None:
            changes.append((sign["last_frame"] / truth["rate_hz"], sign["class"], sign))
    for time_s, what, _ in sorted(changes, key=lambda c: c[0]):
        if what.startswith("speed_limit_"):
            standing = f"{what.removeprefix('speed_limit_')} km/h"
            out.append((time_s, region_at(truth, time_s), standing))
        elif what in ("border", "end_of_restriction") and standing:
            standing = None
            out.append((time_s, region_at(truth, time_s), "none"))
    return out


def advised(found: list[dict]) -> list[tuple[float, str]]:
    out = []
    for e in found:
        if e["event"] == "speed_limit":
            text = "none"
            if "value" in e:
                text = f"{e['value']} {e.get('unit', 'no unit')}"
            out.append((e["time_s"], text))
    return out


def judge_signs(truth: dict, found: list[dict]) -> dict[str, list[int]]:
    """By region: [signs, named right, named wrong]; a name counts by its last confirmation."""
    last = {e["track"]: e for e in found if e["event"] == "sign_confirmed"}
    result: dict[str, list[int]] = {}
    for sign in truth["signs"]:
        row = result.setdefault(sign["style"], [0, 0, 0])
        row[0] += 1
        boxes = {frame: box for frame, box in sign["boxes"]}
        names = {
            e["class"]
            for e in last.values()
            if e["frame"] in boxes and overlap(e["box_px"], boxes[e["frame"]]) > 0.3
        }
        row[1] += names == {sign["class"]}
        row[2] += bool(names - {sign["class"]})
    return result


def overlap(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return inter / (area - inter)


def beside(truth: list, columns: list[list]) -> list[list[str]]:
    """The truth's changes, each with the first change of a column that lies near it in time."""
    rows = []
    spare = [list(column) for column in columns]
    for time_s, region, text in truth:
        row = [f"{time_s:.1f}", region, text]
        for column in spare:
            near = [c for c in column if -1.0 <= c[0] - time_s <= LAG_S]
            near.sort(key=lambda c: (c[1] != text, abs(c[0] - time_s)))
            if near:
                column.remove(near[0])
                row.append(near[0][1] + ("" if near[0][1] == text else " **wrong**"))
            else:
                row.append("-" if text == "none" else "- **missing**")
        rows.append(row)
    extra = [f"{len(c)}: " + ", ".join(x[1] for x in c) if c else "0" for c in spare]
    return [*rows, ["", "", "changes beyond these", *extra]]


def main(tsedge: str, scenario: str, wrong: str, out: str, models: str | None = None) -> int:
    folder = Path(tempfile.mkdtemp())
    video, gpx, truth_file = (folder / f"drive.{e}" for e in ("mp4", "gpx", "json"))
    run(
        tsedge, "simulate", scenario, "--out", str(video), "--gpx", str(gpx),
        "--truth", str(truth_file),
    )  # fmt: skip
    truth = json.loads(truth_file.read_text(encoding="utf-8"))
    more = ["--models", models] if models else []
    ways = {
        "own packs": ["--gps", str(gpx)],
        f"{wrong} all the way": ["--region", wrong],
        "WORLD alone": ["--region", "WORLD"],
    }
    found = {name: events(tsedge, video, options, more) for name, options in ways.items()}
    signs = {name: judge_signs(truth, each) for name, each in found.items()}
    lines = ["| signs named right (wrong) | " + " | ".join(ways) + " |", "|---|" + "---|" * 3]
    for region, (count, *_) in next(iter(signs.values())).items():
        cells = [f"{signs[w][region][1]} ({signs[w][region][2]})" for w in ways]
        lines.append(f"| {region}: {count} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| time | region | limit | " + " | ".join(ways) + " |",
        "|---|---|---|" + "---|" * 3,
    ]
    rows = beside(expected_limits(truth), [advised(each) for each in found.values()])
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    regions = [
        (e["time_s"], e["to"], e["pack"]) for e in found["own packs"] if e["event"] == "region"
    ]
    lines += ["", "Regions and packs of the first column: "
              + ", ".join(f"{to} by {pack} from {t:.1f} s" for t, to, pack in regions) + "."]  # fmt: skip
    text = "\n".join(lines) + "\n"
    print(text)
    file = Path(out)
    head = file.read_text(encoding="utf-8").split("<!-- made -->")[0] if file.exists() else ""
    file.write_text(head + "<!-- made -->\n" + text, encoding="utf-8")
    totals = [sum(row[1] for row in signs[w].values()) for w in ways]
    mistakes = [sum("**" in row[3 + n] for row in rows) for n in range(len(ways))]
    return int(totals[0] < max(totals) or mistakes[0] > min(mistakes))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
