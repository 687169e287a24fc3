#!/usr/bin/env python3
"""tsedge replay against the same work in Python, run in turns on the same file.

    bench/peer/compare.py drive.mp4 --region DE --runs 5

Makes a virtual environment for the peer when there is none. Frames a second are those of the replay
itself, without the start of the process and the loading of models.
On a machine that does other work, trust processor time before frames a second.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass
class Cost:
    """Of a whole process, its start included."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass
class Run:
    frames: int
    fps: float
    cost: Cost
    signs: Counter


def finished(command: list[str]) -> tuple[str, str, Cost]:
    """Output, errors and cost of a command that must succeed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read()
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with code {child.returncode}:\n{errors[-2000:]}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return output, errors, Cost(wall_s, cpu_s, usage.ru_maxrss / 1024)


def run_tsedge(args: argparse.Namespace) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "events.jsonl"
        # Not --quiet: the closing figures on the standard error are wanted. No table is printed
        # into the events, and no progress bar is drawn, since nobody watches.
        command = [args.tsedge, "replay", args.file, "--region", args.region]
        command += ["--threads", args.threads, "--models", args.models, "--jsonl", lines]
        _, errors, cost = finished([str(word) for word in command])
        events = [json.loads(line) for line in lines.read_text().splitlines()]
    speed = re.search(r"([\d.]+) frames/s", errors)
    if speed is None:
        sys.exit(f"no frames/s in what tsedge printed:\n{errors[-2000:]}")
    # A track that was corrected counts once, as what it was last taken for.
    named = {e["track"]: e["class"] for e in events if e["event"] == "sign_confirmed"}
    return Run(events[-1]["frames"], float(speed[1]), cost, Counter(named.values()))


def run_peer(args: argparse.Namespace, python: Path) -> Run:
    command = [python, HERE / "replay_peer.py", args.file, "--region", args.region]
    command += ["--threads", args.threads, "--models", args.models]
    output, _, cost = finished([str(word) for word in command])
    result = json.loads(output.splitlines()[-1])
    signs = Counter(sign["class"] for sign in result["signs"])
    return Run(result["frames"], result["fps"], cost, signs)


def peer_python(folder: Path) -> Path:
    python = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    return python


def spread(values: list[float], unit: str) -> str:
    low, high = min(values), max(values)
    return f"median {statistics.median(values):.2f}, {low:.2f} to {high:.2f} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--region", default="WORLD")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--tsedge", type=Path, default=ROOT / "target/release/tsedge")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-peer")
    args = parser.parse_args()
    python = peer_python(args.venv)

    print(f"{args.file.name}, region {args.region}, {args.threads} threads, {args.runs} runs each;")
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.2f} before the first run")
    ours, peers = [], []
    for _ in range(args.runs):
        ours.append(run_tsedge(args))
        peers.append(run_peer(args, python))
        if ours[-1].frames != peers[-1].frames:
            sys.exit(f"tsedge read {ours[-1].frames} frames, the peer {peers[-1].frames}")
    for name, runs in (("tsedge", ours), ("peer", peers)):
        print(f"{name:7} {spread([r.fps for r in runs], 'frames/s')}")
        print(f"        whole process {spread([r.cost.wall_s for r in runs], 's')}")
        print(f"        processor time {spread([r.cost.cpu_s for r in runs], 's')}")
        print(f"        peak memory {spread([r.cost.peak_mib for r in runs], 'MiB')}")
    # Neighbours in time share the machine's mood: ratios are taken pair by pair.
    pairs = list(zip(ours, peers, strict=True))
    print(f"speed     tsedge/peer {spread([a.fps / b.fps for a, b in pairs], 'x')}")
    for name, unit in (("wall", "wall_s"), ("processor", "cpu_s"), ("memory", "peak_mib")):
        ratios = [getattr(a.cost, unit) / getattr(b.cost, unit) for a, b in pairs]
        print(f"{name:9} tsedge/peer {spread(ratios, 'x')}")
    mine, theirs = ours[0].signs, peers[0].signs
    if mine == theirs:
        print(f"signs   the same {mine.total()}: {', '.join(sorted(mine.elements())) or 'none'}")
    else:
        print(f"signs   {(mine & theirs).total()} in common")
        print(f"        only tsedge: {', '.join(sorted((mine - theirs).elements())) or 'none'}")
        print(f"        only peer: {', '.join(sorted((theirs - mine).elements())) or 'none'}")


if __name__ == "__main__":
    main()
