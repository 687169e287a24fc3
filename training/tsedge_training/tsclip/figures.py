"""Charts and tables from result lines: region matrix, alpha curve, cost and comparison tables."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from . import charts, metrics, pictures, protocols
from .benchmark import Benchmark, load

BASELINE = "ft"


def make(results: list[Path], pack: Path, out: Path) -> None:
    rows = [json.loads(line) for f in results for line in f.read_text("utf-8").splitlines()]
    out.mkdir(parents=True, exist_ok=True)
    benchmark = load()
    for strategy in sorted({r["strategy"] for r in rows if r["protocol"] == "one"}):
        heat_map(rows, strategy, benchmark, out / f"regions-{strategy}.svg")
    curves = [r for r in rows if r.get("curve") and r["strategy"] == "wise-0.5"]
    if curves:
        alpha_curve(curves, out / "alpha.svg")
    shown = pictures.read(pack / pictures.PICTURES) if pack.is_dir() else None
    text = "\n\n".join([comparison(rows, shown, benchmark), by_region(rows), cost(rows)])
    (out / "tables.md").write_text(text + "\n", encoding="utf-8")


def region_matrix(rows: list[dict], strategy: str, benchmark: Benchmark) -> np.ndarray:
    """[trained, tested] top-1 over seeds, NaN where nothing was run."""
    found = defaultdict(list)
    for row in rows:
        if row["protocol"] == "one" and row["strategy"] == strategy:
            trained = row["task"].removeprefix("one-").removesuffix("+drawings")
            for tested, figures in row["regions"].items():
                found[trained, tested].append(figures["top1"])
    cells = [
        [np.mean(found[a, b]) if found[a, b] else np.nan for b in benchmark.regions]
        for a in benchmark.regions
    ]
    return np.array(cells)


def heat_map(rows, strategy, benchmark, file: Path) -> None:
    cells = region_matrix(rows, strategy, benchmark)
    present = np.flatnonzero(~np.isnan(cells).all(1))
    cells, trained = cells[present], [benchmark.regions[i] for i in present]
    figure = charts.new(6, 1.2 + 0.45 * len(trained))
    axis = figure.subplots()
    axis.imshow(cells, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(cells):
        if not np.isnan(value):
            colour = "black" if value > 60 else "white"
            axis.text(j, i, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=8)
    axis.set_xticks(range(len(benchmark.regions)), benchmark.regions)
    axis.set_yticks(range(len(trained)), trained)
    axis.set_xlabel("tested on")
    axis.set_ylabel("trained on")
    axis.set_title(f"{strategy}: top-1, %", fontsize=10)
    charts.save(figure, file)


def alpha_curve(rows, file: Path) -> None:
    figure = charts.new(5, 3.4)
    axis = figure.subplots()
    for row in rows:
        alphas = [p["alpha"] for p in row["curve"]]
        for name, style in (("validation_home", "--"), ("validation_abroad", "-")):
            label = f"{row['task']}, {name.split('_')[1]}"
            axis.plot(alphas, [p[name] for p in row["curve"]], style, marker="o", label=label)
    axis.set_xlabel("alpha (0: zero-shot, 1: fine-tuned)")
    axis.set_ylabel("validation top-1, %")
    axis.legend(fontsize=7)
    charts.save(figure, file)


def comparison(rows, shown, benchmark) -> str:
    """Every run, and how far it is from FT on the same crops and seed, as a paired interval."""
    lines = [
        "| task | strategy | seed | seen | home | abroad (95 %) | macro-F1 abroad | ECE abroad "
        "| signs accepted | to FT, abroad |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    judged = [r for r in rows if "abroad" in r or "home" in r]
    base = {(r["task"], r["seed"], r["test_cap"]): r for r in judged if r["strategy"] == BASELINE}
    for row in judged:
        abroad, home = row.get("abroad", {}), row.get("home", {})
        gap = ""
        reference = base.get((row["task"], row["seed"], row["test_cap"]))
        if shown is not None and reference and reference is not row:
            gap = _gap(row, reference, shown, benchmark)
        lines.append(
            f"| {row['task']} | {row['strategy']} | {row['seed']} "
            f"| {row.get('steps', 0) * row['recipe']['batch']} | {home.get('top1', '')} "
            f"| {abroad.get('top1', '')} {abroad.get('interval', '')} "
            f"| {abroad.get('macro_f1', '')} | {abroad.get('ece', '')} "
            f"| {row['refusal']['signs_accepted']} | {gap} |"
        )
    return "\n".join(lines)


def _gap(row, reference, shown, benchmark) -> str:
    rows = protocols.thinned(protocols.test(shown, benchmark), shown, row["test_cap"])
    label, region = shown.label[rows], shown.region[rows]
    trained = [i for i, r in enumerate(benchmark.regions) if _trained(row["task"], r)]
    away = ~np.isin(region, trained)
    if not away.any():
        away[:] = True
    right, other = (
        metrics.unpacked(r["predictions"], label)[away] == label[away] for r in (row, reference)
    )
    low, high = metrics.paired_interval(right, other)
    return f"{100 * (right.mean() - other.mean()):+.2f} [{low}, {high}]"


def _trained(task: str, region: str) -> bool:
    name = task.removesuffix("+drawings")
    if name.startswith("one-"):
        return name == f"one-{region}"
    if name.startswith("out-"):
        return name != f"out-{region}"
    return True


def by_region(rows) -> str:
    judged = [r for r in rows if "regions" in r]
    regions = sorted({name for r in judged for name in r["regions"]})
    lines = [
        "| task | strategy | seed | " + " | ".join(regions) + " |",
        "|---" * (3 + len(regions)) + "|",
    ]
    for row in judged:
        cells = [str(row["regions"].get(r, {}).get("top1", "")) for r in regions]
        lines.append(
            f"| {row['task']} | {row['strategy']} | {row['seed']} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def cost(rows) -> str:
    """Minutes and pictures needed; watts are not measured."""
    lines = [
        "| task | strategy | training pictures | seen | minutes | device |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "seconds" in row and not row["strategy"].startswith("wise"):
            seen = row["steps"] * row["recipe"]["batch"]
            lines.append(
                f"| {row['task']} | {row['strategy']} | {row['pictures']} | {seen} "
                f"| {row['seconds'] / 60:.1f} | {row['device']} |"
            )
    return "\n".join(lines)
