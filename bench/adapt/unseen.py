#!/usr/bin/env python3
"""`tsedge adapt` for a region that the encoder never saw: how much do 100, 300 and 1,000 crops bring, or some a class?

    training$ python -m tsedge_training train --recipe edge-56-deep --portable DIR --device cuda --leave-out CN RU --minutes 10.8 --out runs/unseen
    training$ python -m tsedge_training export --run runs/unseen --models runs/unseen/models
    $ bench/adapt/unseen.py --models training/runs/unseen/models --regions CN RU
    $ bench/adapt/unseen.py --models training/runs/unseen/models --regions CN --each 5 --seed 1

Needs TSEDGE_DATA. Crops come from the training split, drawn class by class; the test split is measured on.
The pack to start from is built from text alone; WORLD is judged beside it. Prints rows of a table.
"""

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARGIN = "0.1"  # of the data's crops
SIZES = (100, 300, 1000)


def rows_of(data: Path, region: str, split: str) -> list[tuple[str, str]]:
    with open(data / "crops_manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        (str(data / "crops" / r["path"]), r["unified_class"])
        for r in rows
        if (r["region"], r["split"]) == (region, split)
    ]


def some(rows: list[tuple[str, str]], rng: random.Random, count: int | None = None,
         each: int | None = None) -> list[tuple[str, str]]:  # fmt: skip
    """Classes in turn, so that rare ones are there: `count` in all, or `each` of a class."""
    by_class = defaultdict(list)
    for row in rows:
        by_class[row[1]].append(row)
    for of_class in by_class.values():
        rng.shuffle(of_class)
    turns = zip_longest(*(of_class[::-1][:each] for of_class in by_class.values()))
    return [row for turn in turns for row in turn if row][:count]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("path", "class"))
        out.writerows(rows)
    return path


def classes_of(tsedge: str, pack: Path) -> set[str]:
    text = subprocess.run(
        [tsedge, "region", "inspect", "--classes", pack], check=True, capture_output=True, text=True
    ).stdout
    return {line.split()[0] for line in text.split("\n\n", 1)[1].splitlines()}


def adapt(tsedge: str, crops: Path, base: Path, test: Path, models: Path, out: Path) -> dict:
    told = out.with_suffix(".json")
    told.unlink(missing_ok=True)
    command = [tsedge, "adapt", crops, "--base", base, "--test", test, "--models", models]
    command += ["--margin", MARGIN, "--out", out, "--json", told]
    start = time.perf_counter()
    # A refusal is a result.
    done = subprocess.run([str(c) for c in command], check=False, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if not told.exists():
        sys.exit(done.stdout + done.stderr)
    found = json.loads(told.read_text(encoding="utf-8"))
    return {**found["comparisons"][-1], "seconds": seconds, "refused": found["refused"]}


def cells(counts: dict) -> str:
    shares = [
        100 * counts[name] / counts["crops"] for name in ("right", "named_right", "named_wrong")
    ]
    return " | ".join([*(f"{share:.2f}" for share in shares), f"{counts['calibration_error']:.4f}"])


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("--models", type=Path, required=True)
    args.add_argument("--regions", nargs="+", required=True)
    args.add_argument("--tsedge", default=str(ROOT / "target/release/tsedge"))
    args.add_argument("--each", type=int, nargs="+", help="so many crops a class instead")
    args.add_argument("--seed", type=int, default=0)
    args = args.parse_args()
    data = Path(os.environ["TSEDGE_DATA"])
    print("| region | crops | first choice | named right | named wrong | ECE | seconds |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for region in args.regions:
            prompts, text = ROOT / f"models/prompts/{region}.toml", folder / f"{region}.safetensors"
            build = [
                args.tsedge,
                "region",
                "build",
                prompts,
                "--models",
                args.models,
                "--out",
                text,
            ]
            subprocess.run([str(c) for c in build], check=True, stdout=subprocess.DEVNULL)
            world = args.models / "packs/WORLD.safetensors"
            known = classes_of(args.tsedge, text) & classes_of(args.tsedge, world)
            rng = random.Random(args.seed)
            train = [r for r in rows_of(data, region, "train") if r[1] in known]
            judged = [r for r in rows_of(data, region, "test") if r[1] in known]
            test = write(folder / "test.csv", judged)
            draws = [(f"{each} a class", {"each": each}) for each in args.each or ()]
            draws = draws or [(str(size), {"count": size}) for size in SIZES]
            for base, name in ((world, "WORLD, text of all regions"), (text, "own pack from text")):
                for at, (size, asked) in enumerate(draws if base == text else draws[:1]):
                    crops = write(folder / "crops.csv", some(train, rng, **asked))
                    found = adapt(args.tsedge, crops, base, test, args.models, folder / "out")
                    if at == 0:
                        print(f"| {region} | {name} | {cells(found['before'])} | |")
                    if base == text:
                        note = f" ({found['refused']})" if found["refused"] else ""
                        row = f"| {region} | {size}{note} | {cells(found['after'])} | {found['seconds']:.1f} |"
                        print(row, flush=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"\nPeak memory of `tsedge`: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
