"""The benchmark's definition (benchmark.toml), and the check of a data folder against it."""

import csv
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

FILE = Path(__file__).with_name("benchmark.toml")
FORMAT = "tsedge-benchmark/1"
COLUMNS = ("path", "dataset", "region", "unified_class", "split")
SHOWN = 20  # faults of one kind that are listed; the rest are counted


@dataclass(frozen=True)
class Benchmark:
    """`counts` holds region -> {train, test, classes, sources}."""

    regions: tuple[str, ...]
    classes: tuple[str, ...]
    counts: dict[str, dict]
    protocols: dict[str, dict]
    tuning_regions: tuple[str, ...]
    manifest: str
    splits: tuple[str, ...]
    smallest_px: int

    def label(self, key: str) -> int:
        return self.classes.index(key)


def load(file: Path = FILE) -> Benchmark:
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    if table.get("format") != FORMAT:
        raise ValueError(f"{file}: format is {table.get('format')!r}, expected {FORMAT!r}")
    return Benchmark(
        regions=tuple(table["regions"]),
        classes=tuple(table["classes"]),
        counts=table["regions"],
        protocols=table["protocols"],
        tuning_regions=tuple(table["validation"]["tuning_regions"]),
        manifest=table["manifest"],
        splits=tuple(table["splits"]),
        smallest_px=table["smallest_px"],
    )


def check(root: Path, benchmark: Benchmark) -> list[str]:
    """Every way in which the folder is not the benchmark's, each with its place."""
    manifest = root / benchmark.manifest
    if not manifest.is_file():
        return [f"{manifest}: there is no such file"]
    with open(manifest, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [c for c in COLUMNS if c not in (reader.fieldnames or [])]
        if missing:
            return [f"{manifest} line 1: columns {missing} are missing"]
        rows = [row for row in enumerate(reader, 2) if row[1]["unified_class"] in benchmark.classes]
    faults = _rows(manifest, rows, benchmark) + _counts(manifest, rows, benchmark)
    return faults + _pictures(root / "crops", rows, benchmark)


def _rows(manifest, rows, benchmark):
    faults, place_of, splits_of = [], {}, defaultdict(set)
    for line, row in rows:
        at = f"{manifest} line {line}"
        if row["region"] not in benchmark.regions:
            faults.append(f"{at}: region {row['region']!r} is not of the benchmark")
        elif row["dataset"] not in benchmark.counts[row["region"]]["sources"]:
            faults.append(f"{at}: source {row['dataset']!r} is not one of {row['region']}")
        if row["split"] not in benchmark.splits:
            faults.append(f"{at}: split is {row['split']!r}, not one of {benchmark.splits}")
        if row["path"] in place_of:
            faults.append(f"{at}: {row['path']} was in line {place_of[row['path']]} already")
        place_of[row["path"]] = line
        splits_of[row["dataset"], row.get("source_path"), row.get("source_box")].add(row["split"])
    for (source, path, box), splits in splits_of.items():
        if path and len(splits) > 1:
            faults.append(f"{manifest}: {source} {path} {box or ''} is in train and in test")
    return _shortened(faults)


def _counts(manifest, rows, benchmark):
    found = Counter((row["region"], row["split"]) for _, row in rows)
    classes = defaultdict(set)
    for _, row in rows:
        classes[row["region"]].add(row["unified_class"])
    faults = []
    for region, wanted in benchmark.counts.items():
        have = {split: found[region, split] for split in benchmark.splits}
        have["classes"] = len(classes[region])
        faults += [
            f"{manifest}: {region} has {count} {name}, expected {wanted[name]}"
            for name, count in have.items()
            if count != wanted[name]
        ]
    return faults


def _pictures(folder, rows, benchmark):
    faults = []
    for _, row in rows:
        file = folder / row["path"]
        try:
            with Image.open(file) as image:
                side = min(image.size)
        except (FileNotFoundError, UnidentifiedImageError) as error:
            faults.append(f"{file}: {type(error).__name__}")
            continue
        if side < benchmark.smallest_px:
            faults.append(f"{file}: shorter side is {side} px, at least {benchmark.smallest_px}")
    return _shortened(faults)


def _shortened(faults):
    if len(faults) <= SHOWN:
        return faults
    return [*faults[:SHOWN], f"... and {len(faults) - SHOWN} more"]
