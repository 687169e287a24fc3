#!/usr/bin/env python3
"""How long from the moment a frame is due to the message that a receiver reads.

Plays a recording at its own speed with `tsedge run --replay`, reads the serial sentences from a
pseudo-terminal and the JSON lines from a FIFO, and stamps each on arrival with the monotonic clock, the
clock of the events' own times.

    bench/live/latency.py demo/drive.mp4 --region DE
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording")
    parser.add_argument("--region", default="WORLD")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--block", action="store_true", help="nobody reads the serial line")
    return parser.parse_args()


def read_lines(descriptor: int, arrived: list[tuple[float, str]]) -> None:
    rest = b""
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:
            return
        if not data:
            return
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        *lines, rest = (rest + data).split(b"\n")
        arrived.extend((now, line.decode().strip()) for line in lines)


def quantiles(name: str, delays_s: list[float]) -> None:
    if not delays_s:
        print(f"{name:<28} nothing arrived")
        return
    ms = sorted(1000 * d for d in delays_s)
    p = [ms[min(len(ms) - 1, int(q * len(ms)))] for q in (0.5, 0.99)]
    print(f"{name:<28} n {len(ms):<5} p50 {p[0]:6.1f}  p99 {p[1]:6.1f}  max {ms[-1]:6.1f} ms")


def main() -> None:
    args = arguments()
    near, far = os.openpty()
    serial, lines = [], []
    with tempfile.TemporaryDirectory() as folder:
        fifo = f"{folder}/events"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        config = pathlib.Path(folder, "live.toml")
        config.write_text(
            f'[serial]\ndevice = "{os.ttyname(far)}"\n[jsonl]\npath = "{fifo}"\nmax_mb = 1000\n'
        )
        keep_open = os.open(fifo, os.O_WRONLY)
        command = [ROOT / "target/release/tsedge", "run", "--config", config, "--replay"]
        command += [args.recording, "--region", args.region, "--threads", args.threads]
        threads = [threading.Thread(target=read_lines, args=(reader, lines), daemon=True)]
        if not args.block:
            threads.append(threading.Thread(target=read_lines, args=(near, serial), daemon=True))
        for thread in threads:
            thread.start()
        started = time.monotonic()
        subprocess.run(command, check=True, cwd=ROOT)
        wall = time.monotonic() - started
        os.close(keep_open)
        threads[0].join(2)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    events = [(at, json.loads(line)) for at, line in lines]
    signs = [(at, e) for at, e in events if e["event"].startswith("sign_")]
    quantiles("JSON lines, sign events", [at - e["time_s"] for at, e in signs])
    due = {(e["event"], e["track"]): e["time_s"] for _, e in signs}
    step = {"C": "sign_confirmed", "L": "sign_lost"}
    told = [(at, s.split("*")[0].split(",")) for at, s in serial if s.startswith("$PTSEG")]
    quantiles("serial, sign sentences", [at - due[step[f[1]], int(f[2])] for at, f in told])
    summary = next(e for _, e in events if e["event"] == "summary")
    degraded = {r for _, e in events if e["event"] == "health" for r in e["reasons"]}
    print(f"frames {summary['frames']} recognised, {summary['lost_frames']} left out")
    print(f"reasons told: {', '.join(sorted(degraded)) or 'none'}")
    cpu = (usage.ru_utime + usage.ru_stime) / wall
    print(f"processor {100 * cpu:.0f} % of one core, memory {usage.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
