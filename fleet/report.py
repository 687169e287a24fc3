"""The sum of all status records: report.json, report.md, and drives.parquet for queries."""

import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from .store import Store

DRIVES = pa.schema(
    [
        pa.field("drive", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        ("date", pa.string()),
        ("video", pa.string()),
        ("parquet", pa.string()),
        ("events", pa.int64()),
        ("frames", pa.int64()),
        ("lost_frames", pa.int64()),
        ("seconds", pa.float64()),
        ("km", pa.float64()),
        ("took_s", pa.float64()),
        ("attempts", pa.int64()),
        ("reason", pa.string()),
        ("errors", pa.list_(pa.string())),
    ]
)


def make_report(out: str) -> dict:
    store = Store.at(out)
    records = [json.loads(data) for data in store.read_all("status")]
    report = merge(records)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(records, schema=DRIVES), sink)
    store.write("drives.parquet", sink.getvalue().to_pybytes())
    store.write("report.json", json.dumps(report, indent=1).encode())
    store.write("report.md", markdown(report).encode())
    return report


def merge(records: list[dict]) -> dict:
    done = [r for r in records if r["state"] == "done"]
    failed = [r for r in records if r["state"] == "failed"]
    signs = Counter()
    for record in done:
        for row in record["signs"]:
            signs[row["region"], row["class"]] += row["count"]
    reasons = Counter(r["reason"] for r in failed)
    return {
        "drives": len(records),
        "done": len(done),
        "failed": len(failed),
        "retried": sum(r["attempts"] > 1 for r in done),
        "damaged": sum(r["lost_frames"] > 0 for r in done),
        "hours": round(sum(r["seconds"] for r in done) / 3600, 4),
        "km": round(sum(r["km"] or 0 for r in done), 3),
        "without_km": sum(r["km"] is None for r in done),
        "frames": sum(r["frames"] for r in done),
        "lost_frames": sum(r["lost_frames"] for r in done),
        "events": sum(r["events"] for r in done),
        "signs": [{"region": r, "class": c, "count": n} for (r, c), n in sorted(signs.items())],
        "errors": [{"reason": r, "drives": n} for r, n in reasons.most_common()],
        "failed_drives": [{"drive": r["drive"], "error": r["errors"][-1]} for r in failed],
    }


def markdown(report: dict) -> str:
    lines = ["# Drives replayed", "", "| what | |", "|---|---|"]
    lines += [f"| {k.replace('_', ' ')} | {v} |" for k, v in report.items() if type(v) is not list]
    lines += ["", "## Signs", "", "| region | class | signs |", "|---|---|---|"]
    lines += [f"| {s['region']} | {s['class']} | {s['count']} |" for s in report["signs"]]
    if report["failed_drives"]:
        lines += ["", "## Errors", "", "| reason | drives |", "|---|---|"]
        lines += [f"| {cell(e['reason'])} | {e['drives']} |" for e in report["errors"]]
        lines += ["", "| drive | error |", "|---|---|"]
        lines += [f"| {f['drive']} | {cell(f['error'])} |" for f in report["failed_drives"]]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
