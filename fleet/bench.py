"""What a drive costs on Ray, at ten drives and at many, beside one plain process after another.

Half-way through the many a worker is killed; every drive must be done all the same.

Usage: python -m fleet.bench TSEDGE [--drives 100] [--workers 2]
One recording of two seconds is replayed under many names, so the figures are the cost of starting,
writing and keeping count; recognition of a real drive comes on top.
"""

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from . import job, schema
from .drives import Drive
from .replay import Settings
from .report import make_report

PLAIN = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tsedge", type=Path)
    parser.add_argument("--drives", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    tsedge = str(args.tsedge.absolute())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video, gps = folder / "drive.mp4", folder / "drive.gpx"
        text = (Path(__file__).parent / "tests/drive.toml").read_text()
        scenario = folder / "drive.toml"
        scenario.write_text(text.replace("LATITUDE", "48.97").replace("STYLE", "FR"))
        render = [tsedge, "simulate", scenario, "--out", video, "--gpx", gps]
        subprocess.run(render, check=True)
        plain_s = plain(tsedge, video, gps)
        print("| what | drives | start | per drive | plain / this |", flush=True)
        print("|---|---|---|---|---|", flush=True)
        print(f"| one plain process, all processors | {PLAIN} | | {plain_s:.2f} s | |", flush=True)
        for count in sorted({10, args.drives}):
            out = folder / f"out-{count}"
            drives = [Drive(f"drive-{n:06}", str(video), gps=str(gps)) for n in range(count)]
            settings = Settings(str(out), tsedge, schema.load())
            half = f"{count // 2}/" if count > 10 else None
            ended = job.run(drives, settings, args.workers, tell=partial(kill_at, half))
            report = make_report(str(out))
            assert report["done"] == count, report["failed_drives"]
            each_s = ended["work_s"] / count
            print(
                f"| Ray, {args.workers} workers of one processor | {count} "
                f"| {ended['start_s']:.1f} s | {each_s:.2f} s | {plain_s / each_s:.2f} |",
                flush=True,
            )
            if half:
                again = [r for r in map(read, (out / "status").glob("*.json")) if r["attempts"] > 1]
                assert again, "no worker was killed"
                print(f"\nA worker killed half-way: {len(again)} drive replayed again, none lost.")


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def kill_at(half: str | None, told: str) -> None:
    """Kills one of the workers that replay, when the job tells of the drive in the middle."""
    if not half or not told.startswith(half):
        return
    for name in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if name.read_bytes().startswith(b"ray::one_drive"):
                return os.kill(int(name.parent.name), signal.SIGKILL)
        except OSError:
            continue


def plain(tsedge: str, video: Path, gps: Path) -> float:
    began = time.monotonic()
    for _ in range(PLAIN):
        out = video.with_suffix(".jsonl")
        args = [tsedge, "replay", video, "--gps", gps, "--quiet", "--jsonl", out]
        subprocess.run(args, check=True)
    return (time.monotonic() - began) / PLAIN


if __name__ == "__main__":
    main()
