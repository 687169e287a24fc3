"""Charts and tables from result lines: region matrix, alpha curve, cost and comparison tables."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from . import charts, pictures, protocols, seeds, studies
from .benchmark import Benchmark, load

CURVES = 4  # tasks whose alpha curve is drawn, those with regions abroad to choose by first


def make(results: list[Path], pack: Path, out: Path) -> None:
    rows = read(results)
    out.mkdir(parents=True, exist_ok=True)
    benchmark = load()
    for strategy in sorted({r["strategy"] for r in rows if r["protocol"] == "one"}):
        for suffix in protocols.DRAWN:
            cells = region_matrix(rows, strategy, benchmark, suffix)
            if (~np.isnan(cells)).any(1).sum() > 1:
                title = strategy + suffix
                heat_map(cells, title, benchmark, out / f"regions-{title}.svg")
    curves = [r for r in rows if r.get("curve") and r["strategy"] == "wise-0.5"]
    if curves:
        alpha_curve(curves, out / "alpha.svg")
    shown = pictures.read(pack / pictures.PICTURES) if pack.is_dir() else None
    parts = (
        seeds.table(rows, shown, benchmark),
        seeds.leads(rows, shown, benchmark),
        *(studies.cross_region(rows, benchmark.regions, suffix) for suffix in ("+drawings", "")),
        by_region(rows),
        studies.students(rows, out / "students.svg"),
        studies.few_shots(rows),
        studies.text_alone(rows),
        studies.continual(rows),
        studies.drift(rows),
        cost(rows),
    )
    text = "\n\n".join(filter(None, parts))
    (out / "tables.md").write_text(text + "\n", encoding="utf-8")


def read(results: list[Path]) -> list[dict]:
    """The rows of all files; of a run that two processes finished, the first one's."""
    rows = {}
    for file in results:
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            budget = row.get("recipe", {}).get("images")
            key = (row["task"], row["strategy"], row["seed"], row["test_cap"], budget)
            rows.setdefault(key, row)
    return [*rows.values(), *tuned_at_half(list(rows.values()))]


def tuned_at_half(rows: list[dict]) -> list[dict]:
    """WiSE-FT whose chosen alpha is .5 has one line, not two: it counts as both."""
    name = "wise-tuned"
    known = {(r["task"], r["seed"], r["test_cap"]) for r in rows if r["strategy"] == name}
    half = [r for r in rows if r["strategy"] == "wise-0.5"]
    return [
        r | {"strategy": name} for r in half if (r["task"], r["seed"], r["test_cap"]) not in known
    ]


def region_matrix(rows: list[dict], strategy: str, benchmark: Benchmark, suffix: str):
    """[trained, tested] top-1 over seeds, NaN where nothing was run."""
    found = defaultdict(list)
    tasks = {f"one-{region}{suffix}": region for region in benchmark.regions}
    for row in rows:
        trained = tasks.get(row["task"])
        if trained and row["strategy"] == strategy:
            for tested, figures in row["regions"].items():
                found[trained, tested].append(figures["top1"])
    cells = [
        [np.mean(found[a, b]) if found[a, b] else np.nan for b in benchmark.regions]
        for a in benchmark.regions
    ]
    return np.array(cells)


def heat_map(cells: np.ndarray, title: str, benchmark, file: Path) -> None:
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
    axis.set_title(f"{title}: top-1, %", fontsize=10)
    charts.save(figure, file)


def alpha_curve(rows, file: Path) -> None:
    figure = charts.new(5, 3.4)
    axis = figure.subplots()
    first = {row["task"]: row for row in reversed(rows)}
    known = sorted(first.values(), key=lambda r: (not _judged_abroad(r), r["task"]))[:CURVES]
    for i, row in enumerate(known):
        alphas = [p["alpha"] for p in row["curve"]]
        shown = (("validation_home", "--"), ("validation_abroad", "-"))[: 1 + _judged_abroad(row)]
        for name, style in shown:
            label = f"{row['task']}, {name.split('_')[1]}"
            values = [p[name] for p in row["curve"]]
            axis.plot(alphas, values, style, color=f"C{i}", marker="o", markersize=3, label=label)
    axis.set_xlabel("alpha (0: zero-shot, 1: fine-tuned)")
    axis.set_ylabel("validation top-1, %")
    axis.legend(fontsize=7, handlelength=4)
    charts.save(figure, file)


def _judged_abroad(row: dict) -> bool:
    return any(p["validation_abroad"] for p in row["curve"])


def by_region(rows) -> str:
    """Means over seeds."""
    groups = seeds.groups(rows)
    regions = sorted({name for mine in groups.values() for r in mine for name in r["regions"]})
    lines = ["| task | strategy | " + " | ".join(regions) + " |", "|---" * (2 + len(regions)) + "|"]
    for (task, strategy, *_), mine in groups.items():
        values = [[r["regions"][n]["top1"] for r in mine if n in r["regions"]] for n in regions]
        cells = [seeds.spread(v) if v else "" for v in values]
        lines.append(f"| {task} | {strategy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost(rows) -> str:
    """Minutes and pictures needed; watts are not measured."""
    lines = [
        "| task | strategy | training pictures | seen | minutes | device |",
        "|---|---|---|---|---|---|",
    ]
    for (task, strategy, _, seen), mine in seeds.groups(rows).items():
        if "seconds" in mine[0] and not strategy.startswith("wise"):
            minutes = np.mean([r["seconds"] for r in mine]) / 60
            lines.append(
                f"| {task} | {strategy} | {mine[0]['pictures']} | {seen} | {minutes:.2f} "
                f"| {mine[0]['device']} |"
            )
    return "\n".join(lines)
