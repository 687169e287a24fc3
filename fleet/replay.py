"""One drive: fetched, replayed by tsedge, kept as Parquet, and told by a status record.

The record is written last: a drive without one is not done, whatever else lies there.
"""

import ctypes
import json
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .drives import Drive
from .events import Converter
from .store import Store, fetch
from .track import read_fixes, way_km

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class ReplayError(Exception):
    pass


@dataclass(frozen=True)
class Settings:
    out: str
    tsedge: str
    schema: dict
    cpus: int = 1
    timeout_s: float = 7200.0
    options: tuple[str, ...] = ()


def replay(drive: Drive, settings: Settings) -> dict:
    began = time.monotonic()
    converter = Converter(settings.schema)
    with tempfile.TemporaryDirectory(prefix="tsedge-fleet-") as folder:
        video = fetch(drive.video, Path(folder))
        track = fetch(drive.gps, Path(folder)) if drive.gps else None
        lines = run_tsedge(command(drive, video, track, settings), video, settings.timeout_s)
        fixes = read_fixes(track) if track else []
    events = converter.parse(lines)
    if not events or events[-1]["event"] != "summary":
        raise ReplayError("tsedge ended without a summary")
    summary = events[-1]
    date = drive.date or (f"{fixes[0][0]:%Y-%m-%d}" if fixes else "unknown")
    name = f"events/date={date}/{drive.id}.parquet"
    store = Store.at(settings.out)
    store.write(name, converter.parquet(drive.id, events))
    return {
        "drive": drive.id,
        "state": "done",
        "date": date,
        "video": drive.video,
        "parquet": name,
        "events": len(events),
        "frames": summary["frames"],
        "lost_frames": summary["lost_frames"],
        "seconds": summary["time_s"],
        "km": way_km(fixes, summary["time_s"] - float(drive.gps_offset_s or 0)),
        "signs": count_signs(events),
        "took_s": round(time.monotonic() - began, 3),
    }


def command(drive: Drive, video: Path, track: Path | None, settings: Settings) -> list[str]:
    args = [settings.tsedge, "replay", str(video), "--quiet", "--jsonl", "-"]
    args += ["--threads", str(settings.cpus)]
    args += ["--gps", str(track)] if track else []
    args += ["--gps-offset-s", drive.gps_offset_s] if drive.gps_offset_s else []
    args += ["--region", drive.region] if drive.region else []
    return [*args, *settings.options]


def run_tsedge(args: list[str], video: Path, timeout_s: float) -> bytes:
    try:
        ended = subprocess.run(
            args, capture_output=True, timeout=timeout_s, preexec_fn=die_with_worker
        )
    except subprocess.TimeoutExpired:
        raise ReplayError(f"tsedge took longer than {timeout_s:g} s (--timeout-s)") from None
    except FileNotFoundError:
        raise ReplayError(f"{args[0]}: there is no tsedge on this node (--tsedge)") from None
    if ended.returncode in (0, 3):  # 3: done, but frames were lost; the summary counts them
        return ended.stdout
    told = ended.stderr.decode(errors="replace").replace(str(video), "VIDEO").strip()[-2000:]
    if ended.returncode < 0:
        told = f"killed by {signal.Signals(-ended.returncode).name} {told}"
    raise ReplayError(f"exit code {ended.returncode}: {told}")


def die_with_worker() -> None:
    """A worker that is killed must not leave its tsedge running beside the next attempt."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def count_signs(events: list[dict]) -> list[dict]:
    """Confirmed signs by region and class; a track counts once, by its last name."""
    last = {e["track"]: e for e in events if e["event"] == "sign_confirmed" and "class" in e}
    counts = Counter((e["region"], e["class"]) for e in last.values())
    return [{"region": r, "class": c, "count": n} for (r, c), n in sorted(counts.items())]


def failure(drive: Drive, errors: list[str]) -> dict:
    return {
        "drive": drive.id,
        "state": "failed",
        "date": drive.date or "unknown",
        "video": drive.video,
        "reason": reason(errors[-1]),
        "errors": errors,
    }


def reason(error: str) -> str:
    """What equal errors of different drives have in common."""
    return re.sub(r"\d+", "N", error.split("; ")[0].splitlines()[0])[:160]


def write_record(out: str, record: dict) -> None:
    Store.at(out).write(f"status/{record['drive']}.json", json.dumps(record, indent=1).encode())
