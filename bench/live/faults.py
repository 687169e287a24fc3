#!/usr/bin/env python3
"""What goes wrong around a unit, again and again: how soon it is told, and how soon all is well afterwards.

Plays a recording over and over, with real counterparts, and breaks and mends them one after another. Seconds
are those of the unit's own events (monotonic): from the fault until a reason is told, and from its end until
the reason is gone; `lost` are the events that outputs told as lost. A unit that is killed or has a thread that
hangs is started again 0.5 s later, as by systemd; `well` counts from the start until frames are recognised.

    bench/live/faults.py demo/drive.mp4 --rounds 20

Needs root (a small disk is mounted), mosquitto, gpsd-tools and GStreamer's RTSP server. Camera, CAN and clock
are broken in a virtual machine: `make bench-faults` does both.
"""

import argparse
import atexit
import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty
from collections.abc import Callable, Iterator

from latency import ROOT, free_port

PATIENCE_S = 60.0
# As in systemd/tsedge.service.
WATCHDOG_S = 5.0
RESTART_S = 0.5
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def start(command: list, end: int = signal.SIGKILL, **more) -> subprocess.Popen:
    """A process that ends with this one."""
    process = subprocess.Popen(command, **more)
    atexit.register(lambda: process.poll() is None and process.send_signal(end))
    return process


class Unit:
    """`tsedge run`, and what it tells."""

    def __init__(
        self, folder: str, config: str, arguments: list[str], group: pathlib.Path | None = None
    ) -> None:
        """In a control group, if there is one."""
        self.events_file = pathlib.Path(folder, "events.jsonl")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(f"{folder}/notify")
        self.fed = 0.0  # when the watchdog was
        threading.Thread(target=self.listen, daemon=True).start()
        path = pathlib.Path(folder, "tsedge.toml")
        path.write_text(f'{config}\n[jsonl]\npath = "{self.events_file}"\nmax_mb = 1000\n')
        self.command = [ROOT / "target/release/tsedge", "run", "--config", path, *arguments]
        self.environment = os.environ | {"NOTIFY_SOCKET": f"{folder}/notify"}
        self.log = pathlib.Path(folder, "log")
        self.group = group
        self.start()

    def listen(self) -> None:
        while True:
            if b"WATCHDOG=1" in self.notify.recv(4096):
                self.fed = time.monotonic()

    def start(self) -> float:
        """When it was started."""
        started = time.monotonic()
        with self.log.open("a") as log:
            self.process = start(self.command, cwd=ROOT, stderr=log, env=self.environment)
        if self.group:
            (self.group / "cgroup.procs").write_text(str(self.process.pid))
        return started

    def events(self, since: float) -> list[dict]:
        if not self.events_file.exists():
            return []
        lines = self.events_file.read_bytes().split(b"\n")[:-1]
        # A unit that is killed may leave half a line.
        events = (json.loads(line) for line in lines if line.endswith(b"}"))
        return [event for event in events if event["time_s"] >= since]

    def health(self, since: float, holds: Callable[[dict], bool]) -> float:
        """Seconds until the first health event that `holds`."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for event in self.events(since):
                if event["event"] == "health" and holds(event):
                    return event["time_s"] - since
            time.sleep(0.02)
        told = "\n".join(json.dumps(event) for event in self.events(since)[-8:])
        sys.exit(f"waited in vain:\n{told}\n{self.log.read_text()[-4000:]}")

    def has(self, since: float, reason: str, stands: bool) -> float:
        return self.health(since, lambda event: (reason in event["reasons"]) == stands)

    def recognises(self, since: float) -> float:
        return self.health(since, lambda event: event["state"] == "normal" or event["frame"] > 0)

    def lost(self, since: float) -> int:
        words = " ".join(event.get("detail") or "" for event in self.events(since))
        return sum(int(count) for count in re.findall(r" lost (\d+) events", words))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class Row:
    """What the rounds of one fault gave."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[float] = []
        self.well: list[float] = []
        self.lost = 0

    def print(self) -> None:
        def two(values: list[float]) -> str:
            if not values:
                return f"{'-':>8}{'-':>8}"
            return f"{statistics.median(values):8.2f}{max(values):8.2f}"

        rounds = len(self.well)
        print(f"{self.name:<34}{rounds:>3}{two(self.told)}{two(self.well)}{self.lost:>7}")
        sys.stdout.flush()


def repeat(
    unit: Unit, name: str, reason: str, rounds: int, damage: Callable, mend: Callable
) -> None:
    """`mend` may say itself when it was done."""
    row, began = Row(name), time.monotonic()
    for _ in range(rounds):
        broken = time.monotonic()
        damage()
        row.told.append(unit.has(broken, reason, True))
        mended = mend() or time.monotonic()
        row.well.append(unit.has(mended, reason, False))
        time.sleep(1.2)  # losses are told once a second
    row.lost = unit.lost(began)
    row.print()


class Serial:
    """A line that can be pulled out."""

    def __init__(self, folder: str) -> None:
        self.device = pathlib.Path(folder, "serial")
        self.plug()

    def plug(self) -> None:
        self.near, self.far = os.openpty()
        tty.setraw(self.far)
        self.device.symlink_to(os.ttyname(self.far))
        near = self.near
        threading.Thread(target=drain, args=(near,), daemon=True).start()

    def unplug(self) -> None:
        self.device.unlink()
        os.close(self.far)
        os.close(self.near)


def drain(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65536):
            pass


class Process:
    """A counterpart that listens at a port, is killed and started again."""

    def __init__(self, command: list, port: int, end: int = signal.SIGKILL) -> None:
        self.command, self.port, self.end = command, port, end
        self.start()

    def start(self) -> float:
        """When it was there."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = start(self.command, self.end, **quiet)
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return time.monotonic()
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(self.end)
        self.process.wait()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    return found or sys.exit(f"there is no {name}: apt-get install mosquitto gpsd gpsd-tools")


def track() -> str:
    """A car that stands near Karlsruhe, as NMEA."""
    lines = []
    for second in range(600):
        body = (
            f"GNRMC,10{second // 60:02}{second % 60:02}.00,A,4900.600000,N,00824.240000,E,"
            ",,240526,,,A"
        )
        total = 0
        for byte in body.encode():
            total ^= byte
        lines.append(f"${body}*{total:02X}\r\n")
    return "".join(lines)


@contextlib.contextmanager
def small_disk(folder: str) -> Iterator[pathlib.Path]:
    disk = pathlib.Path(folder, "disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(file: pathlib.Path) -> None:
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            out.write(bytes(4096))


def own_models(folder: str) -> tuple[pathlib.Path, pathlib.Path]:
    """Models with packs that can be damaged; the one that is used."""
    models = pathlib.Path(folder, "models")
    (models / "packs").mkdir(parents=True)
    for file in (ROOT / "models").iterdir():
        if file.is_file():
            (models / file.name).symlink_to(file)
    for region in ("DE", "WORLD"):
        shutil.copy(ROOT / f"models/packs/{region}.safetensors", models / "packs")
    return models, models / "packs/DE.safetensors"


def counterparts(args: argparse.Namespace) -> None:
    """The unit stays up."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        serial = Serial(folder)
        disk = stack.enter_context(small_disk(folder))
        models, pack = own_models(folder)
        whole = pack.read_bytes()
        port, gps_port = free_port(), free_port()
        conf = pathlib.Path(folder, "mosquitto.conf")
        conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        broker = Process([program("mosquitto"), "-c", conf], port)
        nmea = pathlib.Path(folder, "track.nmea")
        nmea.write_text(track())
        feed = [program("gpsfake"), "-q", "-c", "0.05", "-P", str(gps_port), nmea]
        # Interrupted, it ends its gpsd too.
        gpsd = Process(feed, gps_port, signal.SIGINT)
        config = (
            f'[serial]\ndevice = "{serial.device}"\n[mcap]\npath = "{disk}/events.mcap"\n'
            f'[mqtt]\nbroker = "mqtt://127.0.0.1:{port}"\n'
            f'[position]\nsource = "gpsd"\ngpsd = "127.0.0.1:{gps_port}"\n'
        )
        arguments = ["--repeat", "--models", models, "--threads", "1", "--replay", args.recording]
        unit, began = Unit(folder, config, arguments), time.monotonic()
        unit.health(began, lambda event: "position is known" in (event.get("detail") or ""))

        def again(name: str, reason: str, damage: Callable, mend: Callable) -> None:
            repeat(unit, name, reason, args.rounds, damage, mend)

        again("serial unplugged", "output_down", serial.unplug, serial.plug)
        again("broker killed", "output_down", broker.kill, broker.start)
        filler = disk / "filler"
        again("disk full", "output_down", lambda: fill(filler), filler.unlink)
        half = lambda: pack.write_bytes(whole[: len(whole) // 2])
        again("pack damaged", "pack_refused", half, lambda: pack.write_bytes(whole) and None)
        again("gpsd restarted", "no_position", gpsd.kill, gpsd.start)
        unit.stop()
        print(*re.findall(r"^.*events dropped$", unit.log.read_text(), re.MULTILINE), sep="\n")
        gpsd.kill()
        broker.kill()


def network_camera(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        # The system's Python has GStreamer's bindings.
        server = [
            "/usr/bin/python3",
            ROOT / "tests/peers/rtsp_server.py",
            args.recording,
            str(port),
        ]
        camera = Process(server, port)
        config = f'[camera]\nurl = "rtsp://127.0.0.1:{port}/front"\n'
        unit, began = Unit(folder, config, ["--region", "DE", "--threads", "1"]), time.monotonic()
        unit.recognises(began)

        rounds = args.rounds
        repeat(unit, "network camera gone", "no_camera", rounds, camera.kill, camera.start)
        stop, go = (lambda n=n: camera.signal(n) for n in (signal.SIGSTOP, signal.SIGCONT))
        repeat(unit, "network camera hangs", "no_camera", rounds, stop, go)
        unit.stop()
        camera.kill()


def threads(pid: int, name: str) -> list[int]:
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [int(t.name) for t in tasks if (t / "comm").read_text().strip() == name]


def watched(unit: Unit) -> None:
    """As systemd does: no sign of life for too long ends it."""
    while time.monotonic() - unit.fed < WATCHDOG_S:
        time.sleep(0.05)
    unit.process.send_signal(signal.SIGABRT)


class Memory:
    """A control group whose memory can be limited; of either version."""

    def __init__(self) -> None:
        for root, limit, usage in (
            ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            ("", "memory.max", "memory.current"),
        ):
            self.group = pathlib.Path("/sys/fs/cgroup", root, f"tsedge-faults-{os.getpid()}")
            with contextlib.suppress(OSError):
                self.group.mkdir()
                self.limit, self.usage = self.group / limit, self.group / usage
                if self.limit.exists():
                    self.unlimited = self.limit.read_text()
                    return
                self.group.rmdir()
        sys.exit("no control group for memory: this needs root and the kernel's memory controller")

    def exhaust(self, victim: int) -> None:
        """Leaves 4 MiB, and has more taken by a process that the kernel spares for the victim."""
        self.limit.write_text(str(int(self.usage.read_text()) + (4 << 20)))
        pathlib.Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
        taker = (
            "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); bytearray(32 << 20)"
        )
        members = self.group / "cgroup.procs"
        # It may be ended too, while the other one is still going.
        subprocess.run([sys.executable, "-c", taker, members], check=False)
        self.limit.write_text(self.unlimited)


def restarts(args: argparse.Namespace) -> None:
    """The unit ends, and is started again."""
    memory = Memory()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--repeat", "--region", "DE", "--threads", "1", "--replay", args.recording]
        unit, began = Unit(folder, "", arguments, memory.group), time.monotonic()
        unit.recognises(began)

        def killed() -> None:
            unit.process.kill()

        def hang(name: str) -> None:
            (thread,) = threads(unit.process.pid, name)
            for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
                if libc.ptrace(request, thread, 0, 0) != 0:
                    sys.exit(f"cannot stop {name}: {os.strerror(ctypes.get_errno())}")
            watched(unit)
            os.waitpid(thread, WALL)
            unit.process.kill()
            with contextlib.suppress(ChildProcessError):
                while not os.WIFSIGNALED(os.waitpid(thread, WALL)[1]):
                    pass

        for name, damage in (
            ("killed", killed),
            ("out of memory", lambda: memory.exhaust(unit.process.pid)),
            ("recognition hangs", lambda: hang("ts-recognise")),
            ("capture hangs", lambda: hang("ts-capture")),
        ):
            row = Row(name)
            for _ in range(args.rounds):
                broken = time.monotonic()
                damage()
                unit.process.wait(30)
                row.told.append(time.monotonic() - broken)
                time.sleep(RESTART_S)
                row.well.append(unit.recognises(unit.start()))
                time.sleep(0.5)
            row.print()
        unit.stop()
        memory.group.rmdir()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording")
    parser.add_argument("--rounds", type=int, default=20)
    parts = {"counterparts": counterparts, "network": network_camera, "restarts": restarts}
    parser.add_argument("--only", choices=parts, nargs="+", default=list(parts))
    args = parser.parse_args()
    args.recording = str(pathlib.Path(args.recording).resolve())
    print(f"{'':<37}    told or ended     well, s")
    print(f"{'fault':<34}{'n':>3}  median   worst  median   worst   lost")
    for name in args.only:
        parts[name](args)


if __name__ == "__main__":
    main()
