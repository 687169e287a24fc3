"""A page of the commonest errors of one result, each with its crops. It shows data: keep it."""

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from . import metrics, pictures, protocols
from .benchmark import load

SHOWN, CROPS = 25, 8


def make(results: Path, task: str, strategy: str, pack: Path, out: Path) -> None:
    """Writes OUT/confusions.md and a picture of crops for each of its lines."""
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    row = next((r for r in rows if (r["task"], r["strategy"]) == (task, strategy)), None)
    if row is None:
        raise ValueError(f"{results}: no line of task {task!r} and strategy {strategy!r}")
    benchmark, shown = load(), pictures.read(pack / pictures.PICTURES)
    chosen = protocols.thinned(protocols.test(shown, benchmark), shown, row["test_cap"])
    predicted = metrics.unpacked(row["predictions"], shown.label[chosen])
    wrong = np.flatnonzero(predicted != shown.label[chosen])
    triples = [(shown.region[chosen[i]], shown.label[chosen[i]], predicted[i]) for i in wrong]
    out.mkdir(parents=True, exist_ok=True)
    lines = ["| region | shows | read as | count | crops |", "|---|---|---|---|---|"]
    for n, (triple, count) in enumerate(Counter(triples).most_common(SHOWN)):
        mine = [chosen[i] for i, t in zip(wrong, triples, strict=True) if t == triple][:CROPS]
        strip = np.concatenate(list(shown.images[mine]), axis=1)
        cv2.imwrite(str(out / f"{n:02}.png"), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))
        region, label, read = (
            benchmark.regions[triple[0]],
            *(benchmark.classes[c] for c in triple[1:]),
        )
        lines.append(f"| {region} | {label} | {read} | {count} | ![]({n:02}.png) |")
    (out / "confusions.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
