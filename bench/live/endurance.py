#!/usr/bin/env python3
"""What an hour of operation does to memory, descriptors and the regular sentences.

Plays a recording at its own speed, over and over, with a serial line, rotated JSON lines, a real MQTT broker
and the status page, which is asked every ten seconds. Reads /proc of the unit every second.

    bench/live/endurance.py demo/drive.mp4 --region DE --minutes 60

After the first five minutes memory may grow by 1 MiB, and descriptors and threads by none.
"""

import argparse
import contextlib
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import tty
import urllib.request

from latency import ROOT, broker, free_port, reader

STATE_EVERY_S = 1.0  # of the sentence $PTSES
SETTLED_S = 300
MIB = 1 << 20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording")
    parser.add_argument("--region", default="WORLD")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--minutes", type=float, default=60)
    return parser.parse_args()


def sample(pid: int) -> tuple[int, int, int]:
    """Resident bytes, descriptors, threads."""
    folder = pathlib.Path("/proc", str(pid))
    pages = int((folder / "statm").read_text().split()[1])
    counts = (len(os.listdir(folder / name)) for name in ("fd", "task"))
    return pages * os.sysconf("SC_PAGESIZE"), *counts


def ask(port: int) -> None:
    for page in ("/", "/status.json", "/metrics"):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=2).read()


def watch(unit: subprocess.Popen, port: int, seconds: float) -> list[tuple[float, int, int, int]]:
    started, samples = time.monotonic(), []
    while (now := time.monotonic() - started) < seconds and unit.poll() is None:
        samples.append((now, *sample(unit.pid)))
        if len(samples) % 10 == 0:
            ask(port)
        if len(samples) % 60 == 0:
            rss, files, threads = samples[-1][1:]
            print(
                f"{now / 60:5.1f} min  {rss / MIB:.1f} MiB  {files} descriptors  {threads} threads"
            )
            sys.stdout.flush()
        time.sleep(1)
    return samples


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        near, far = os.openpty()
        tty.setraw(far)
        port, mqtt = free_port(), stack.enter_context(broker(folder, blocked=False))
        config = pathlib.Path(folder, "live.toml")
        config.write_text(
            f'[serial]\ndevice = "{os.ttyname(far)}"\n'
            f'[jsonl]\npath = "{folder}/events.jsonl"\nmax_mb = 1\n'
            f'[mqtt]\nbroker = "mqtt://127.0.0.1:{mqtt}"\n'
            f'[status]\nlisten = "127.0.0.1:{port}"\n'
        )
        _, sentences = reader(near)
        command = [ROOT / "target/release/tsedge", "run", "--config", config, "--replay"]
        command += [args.recording, "--repeat", "--region", args.region, "--threads", args.threads]
        log = stack.enter_context(open(f"{folder}/log", "w+"))
        unit = subprocess.Popen(command, cwd=ROOT, stderr=log)
        samples = watch(unit, port, 60 * args.minutes)
        unit.send_signal(signal.SIGTERM)
        unit.wait(30)
        log.seek(0)
        print(log.read().strip()[-4000:])
    if unit.returncode != 0:
        sys.exit(f"ended with {unit.returncode} after {samples[-1][0]:.0f} s")
    settled = [s for s in samples if s[0] >= SETTLED_S] or samples
    for what, column, unit_of in (("memory", 1, MIB), ("descriptors", 2, 1), ("threads", 3, 1)):
        values = [s[column] / unit_of for s in settled]
        print(
            f"{what:<12} after 5 min {values[0]:.1f}, most {max(values):.1f}, last {values[-1]:.1f}"
        )
    told = [at for at, s in sentences if s.startswith("$PTSES")]
    gaps = [b - a for a, b in itertools.pairwise(told)]
    print(f"state told {len(told)} times, longest gap {max(gaps):.2f} s of {STATE_EVERY_S:.0f} s")


if __name__ == "__main__":
    main()
