#!/usr/bin/env python3
"""How long from the moment a frame is due to the message that a receiver reads.

Plays a recording at its own speed with `tsedge run --replay`, reads the serial sentences from a
pseudo-terminal and the JSON lines from a FIFO, and stamps each on arrival with the monotonic clock, the
clock of the events' own times.

    bench/live/latency.py demo/drive.mp4 --region DE

With `--block`, whether a blocked output delays frames: the recording is played with that output working,
then with its other side full or deaf, and the frames' latencies (capture to result) are compared.

    bench/live/latency.py demo/drive.mp4 --region DE --block serial jsonl mcap mqtt status --rounds 3
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUTS = ["serial", "jsonl", "mcap", "mqtt", "status"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording")
    parser.add_argument("--region", default="WORLD")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--cameras", type=int, default=1, help="that all play the recording")
    parser.add_argument(
        "--block", nargs="+", choices=OUTPUTS, metavar="NAME", help=f"of {' '.join(OUTPUTS)}"
    )
    parser.add_argument("--rounds", type=int, default=1, help="plays of each, with --block")
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


def reader(descriptor: int) -> tuple[threading.Thread, list[tuple[float, str]]]:
    arrived: list[tuple[float, str]] = []
    thread = threading.Thread(target=read_lines, args=(descriptor, arrived), daemon=True)
    thread.start()
    return thread, arrived


def fill(descriptor: int) -> None:
    """Write until no more is taken."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"." * 512)


def fifo(path: str) -> tuple[int, int]:
    """Both ends: to read from, and one that keeps it open."""
    os.mkfifo(path)
    near = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    keep = os.open(path, os.O_WRONLY)
    os.set_blocking(near, True)
    return near, keep


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def broker(folder: str, blocked: bool) -> Iterator[int]:
    """A real one, or one that takes connections and says nothing."""
    if blocked:
        with socket.create_server(("127.0.0.1", 0)) as server:
            yield server.getsockname()[1]
        return
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        sys.exit("there is no mosquitto: apt-get install mosquitto")
    port = free_port()
    config = pathlib.Path(folder, "mosquitto.conf")
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def visit(port: int) -> None:
    """Twice a second a hundred visitors who ask a hundred times each, and read no answer."""
    while True:
        crowd = [socket.socket() for _ in range(100)]
        for visitor in crowd:
            visitor.settimeout(1)
            # The unit may not be there yet, and shows out whom it has answered.
            with contextlib.suppress(OSError):
                visitor.connect(("127.0.0.1", port))
                visitor.sendall(b"GET / HTTP/1.1\r\nHost: unit\r\n\r\n" * 100)
        time.sleep(0.5)
        for visitor in crowd:
            visitor.close()


@dataclasses.dataclass
class Play:
    """What one play of the recording gave."""

    lines: list[tuple[float, str]]
    serial: list[tuple[float, str]]
    said: str
    wall_s: float

    def latency_ms(self) -> tuple[float, float]:
        """Median and 99th percentile, from capture to result."""
        found = re.search(r"latency +([\d.]+) ms median, +([\d.]+) ms p99", self.said)
        if found is None:
            sys.exit(f"no latencies:\n{self.said}")
        return float(found[1]), float(found[2])


def play(args: argparse.Namespace, outputs: list[str], blocked: str | None) -> Play:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        near, far = os.openpty()
        tty.setraw(far)
        sections = [f'[serial]\ndevice = "{os.ttyname(far)}"']
        lines_near, lines_keep = fifo(f"{folder}/events")
        sections.append(f'[jsonl]\npath = "{folder}/events"\nmax_mb = 1000')
        if "mcap" in outputs and blocked == "mcap":
            fill(fifo(f"{folder}/events.mcap")[1])
        if "mcap" in outputs:
            sections.append(f'[mcap]\npath = "{folder}/events.mcap"')
        if "mqtt" in outputs:
            port = stack.enter_context(broker(folder, blocked == "mqtt"))
            sections.append(f'[mqtt]\nbroker = "mqtt://127.0.0.1:{port}"')
        if "status" in outputs:
            port = free_port()
            sections.append(f'[status]\nlisten = "127.0.0.1:{port}"')
        if blocked == "status":
            threading.Thread(target=visit, args=(port,), daemon=True).start()
        serial, lines, thread = [], [], None
        if blocked == "serial":
            fill(far)
        else:
            _, serial = reader(near)
        if blocked == "jsonl":
            fill(lines_keep)
        else:
            thread, lines = reader(lines_near)
        config = pathlib.Path(folder, "live.toml")
        config.write_text("\n".join(sections))
        command = [ROOT / "target/release/tsedge", "run", "--config", config]
        names = [f"cam{n}=" for n in range(args.cameras)] if args.cameras > 1 else [""]
        for name in names:
            command += ["--replay", name + args.recording]
        command += ["--region", args.region, "--threads", args.threads]
        started = time.monotonic()
        ended = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
        wall_s = time.monotonic() - started
        # Visitors do not hold up the page itself.
        must_fail = blocked not in (None, "status")
        if must_fail and re.search(rf"^{blocked} .*: works, ", ended.stderr, re.MULTILINE):
            sys.exit(f"{blocked} was not blocked:\n{ended.stderr}")
        # A blocked output does not end in time.
        if ended.returncode not in ([0, 1] if blocked else [0]):
            sys.exit(ended.stderr)
        os.close(lines_keep)
        if thread:
            thread.join(2)
        return Play(lines, serial, ended.stderr, wall_s)


def quantiles(name: str, delays_s: list[float]) -> None:
    if not delays_s:
        print(f"{name:<28} nothing arrived")
        return
    ms = sorted(1000 * d for d in delays_s)
    p = [ms[min(len(ms) - 1, int(q * len(ms)))] for q in (0.5, 0.99)]
    print(f"{name:<28} n {len(ms):<5} p50 {p[0]:6.1f}  p99 {p[1]:6.1f}  max {ms[-1]:6.1f} ms")


def latencies(args: argparse.Namespace) -> None:
    played = play(args, [], None)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    events = [(at, json.loads(line)) for at, line in played.lines]
    signs = [(at, e) for at, e in events if e["event"].startswith("sign_")]
    quantiles("JSON lines, sign events", [at - e["time_s"] for at, e in signs])
    due = {(e["event"], e["track"]): e["time_s"] for _, e in signs}
    step = {"C": "sign_confirmed", "L": "sign_lost"}
    told = [(at, s.split("*")[0].split(",")) for at, s in played.serial if s.startswith("$PTSEG")]
    quantiles("serial, sign sentences", [at - due[step[f[1]], int(f[2])] for at, f in told])
    summary = next(e for _, e in events if e["event"] == "summary")
    degraded = {r for _, e in events if e["event"] == "health" for r in e["reasons"]}
    print(f"frames {summary['frames']} recognised, {summary['lost_frames']} left out")
    print(f"reasons told: {', '.join(sorted(degraded)) or 'none'}")
    cpu = (usage.ru_utime + usage.ru_stime) / played.wall_s
    print(f"processor {100 * cpu:.0f} % of one core, memory {usage.ru_maxrss / 1024:.0f} MiB")


def blocked_outputs(args: argparse.Namespace) -> None:
    print("frame latency, ms         working p50   p99   blocked p50   p99   ratio of p99")
    for name in args.block:
        ratios = []
        for _ in range(args.rounds):
            working, blocked = (play(args, [name], state).latency_ms() for state in (None, name))
            ratios.append(blocked[1] / working[1])
            print(
                f"{name:<26} {working[0]:10.2f} {working[1]:5.2f}"
                f"   {blocked[0]:10.2f} {blocked[1]:5.2f}   {ratios[-1]:.2f}"
            )
        if args.rounds > 1:
            print(f"{name:<26} median of {args.rounds} ratios: {statistics.median(ratios):.2f}")


def main() -> None:
    args = arguments()
    if args.block:
        blocked_outputs(args)
    else:
        latencies(args)


if __name__ == "__main__":
    main()
