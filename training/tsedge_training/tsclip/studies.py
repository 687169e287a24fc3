"""What is no plain comparison: students, few photos, text alone, regions in turn, drift."""

from pathlib import Path

import numpy as np

from . import charts
from .seeds import BASELINES, figure, place, spread
from .strategies import TEACHER

NEW = "CN"  # the region of the few-shot study
SHOTS = {f"out-{NEW}": "0", f"few-{NEW}-1": "1", f"few-{NEW}-4": "4", f"few-{NEW}-16": "16",
         "all": "all"}  # fmt: skip


def cross_region(rows: list[dict], regions: tuple[str, ...], suffix: str) -> str:
    """The paper's average: trained on one region, tested on each other; all regions count alike.

    A strategy has a mean if none was trained on more regions: over those that all such share.
    Differences are of all regions that both share, ± half the 95 % interval over these.
    """
    away = {}
    for row in rows:
        trained = row["task"].removeprefix("one-").removesuffix(suffix)
        if trained in regions and row["task"] == f"one-{trained}{suffix}":
            cells = [f["top1"] for name, f in row["regions"].items() if name != trained]
            away.setdefault(row["strategy"], {}).setdefault(trained, []).append(np.mean(cells))
    means = {s: {r: float(np.mean(v)) for r, v in of.items()} for s, of in away.items()}
    means = {s: of for s, of in means.items() if len(of) > 1}
    if not means:
        return ""
    most = max(map(len, means.values()))
    common = [r for r in regions if all(r in of for of in means.values() if len(of) == most)]
    lines = [
        f"Trained on one region{' and drawings' if suffix else ''}, mean of the other regions. "
        f"Means: trained on {', '.join(common)}.",
        "",
        "| strategy | regions trained on | mean | to FT | to WiSE .5 |",
        "|---|---|---|---|---|",
    ]
    for strategy in sorted(means, key=place):
        of = means[strategy]
        gaps = []
        for base in BASELINES:
            both = sorted(set(of) & set(means.get(base, {}))) if base != strategy else []
            gap = [of[r] - means[base][r] for r in both]
            text = spread(gap) if gap else ""
            gaps.append(f"+{text}" if text and not text.startswith("-") else text)
        mean = f"{np.mean([of[r] for r in common]):.1f}" if len(of) == most and common else ""
        lines.append(f"| {strategy} | {len(of)} | {mean} | {' | '.join(gaps)} |")
    return "\n".join(lines)


def students(rows: list[dict], file: Path) -> str:
    """Accuracy against cost, taught and alone; the teacher's is the line above."""
    pupils = [r for r in rows if "mflops" in r]
    if not pupils:
        return ""
    tasks = sorted({r["task"] for r in pupils})
    taught = {(r["task"], r["seed"]) for r in pupils}
    known = [r for r in rows if r["strategy"] == TEACHER and "regions" in r]
    teachers = {r["task"]: figure(r) for r in known if (r["task"], r["seed"]) in taught}
    plot = charts.new(4.2 * len(tasks), 3.6)
    for axis, task in zip(plot.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        for alone, style, word in ((False, "o-", "taught by the tower"), (True, "s--", "alone")):
            mine = [r for r in pupils if r["task"] == task]
            mine = [r for r in mine if (r["recipe"]["teacher"] is None) == alone]
            mine.sort(key=lambda r: r["mflops"])
            axis.plot([r["mflops"] for r in mine], [figure(r) for r in mine], style, label=word)
            for r in [] if alone else mine:
                name = r["recipe"]["student"]
                axis.annotate(name, (r["mflops"], figure(r)), fontsize=7, xytext=(2, 4),
                              textcoords="offset points")  # fmt: skip
        if task in teachers:
            axis.axhline(teachers[task], color="grey", linewidth=1, label="the tower")
        axis.set_xscale("log")
        axis.margins(x=0.15)
        axis.set_xlabel("million operations a picture")
        axis.set_ylabel("top-1, %")
        axis.set_title(task, fontsize=10)
        axis.legend(fontsize=7)
    charts.save(plot, file)
    lines = [
        "| student | parameters | million operations | " + " | ".join(tasks) + " |",
        "|---" * (3 + len(tasks)) + "|",
    ]
    cost = {r["strategy"]: (r["parameters"], r["mflops"]) for r in pupils}
    for name, (parameters, operations) in sorted(cost.items(), key=lambda x: (x[1][1], x[0])):
        cells = _cells(pupils, name, tasks, figure)
        lines.append(f"| {name} | {parameters / 1e6:.2f} M | {operations:.0f} | {cells} |")
    best = [f"{teachers[t]:.1f}" if t in teachers else "" for t in tasks]
    lines.append("| the tower | 86.2 M | | " + " | ".join(best) + " |")
    return "\n".join(lines)


def few_shots(rows: list[dict]) -> str:
    """Top-1 on the new region by photos a class of it."""
    names = {f"{task}+drawings": shots for task, shots in SHOTS.items()}
    mine = [r for r in rows if r["task"] in names and NEW in r.get("regions", {})]
    if not any(r["protocol"] == "few_shot" for r in mine):
        return ""
    few = {r["strategy"] for r in mine if r["protocol"] == "few_shot"}
    lines = [f"| {NEW}, photos a class | " + " | ".join(names.values()) + " |",
             "|---" * (1 + len(names)) + "|"]  # fmt: skip
    for strategy in sorted(few):
        cells = _cells(mine, strategy, list(names), lambda r: r["regions"][NEW]["top1"])
        lines.append(f"| {strategy} | {cells} |")
    return "\n".join(lines)


def text_alone(rows: list[dict]) -> str:
    """Top-1 on the classes that no picture was seen of, and on all others."""
    mine = [r for r in rows if r["protocol"] == "left_out_classes" and "unknown" in r]
    if not mine:
        return ""
    lines = ["| strategy | classes known by text alone | all classes |", "|---|---|---|"]
    for strategy in sorted({r["strategy"] for r in mine}):
        of = [r for r in mine if r["strategy"] == strategy]
        unknown, every = ([r[k]["top1"] for r in of] for k in ("unknown", "home"))
        lines.append(f"| {strategy} | {spread(unknown)} | {spread(every)} |")
    return "\n".join(lines)


def continual(rows: list[dict]) -> str:
    mine = [r for r in rows if r["protocol"] == "continual"]
    if not mine:
        return ""
    order = list(mine[0]["after"][-1])
    lines = [
        "| strategy | forgotten, points | mean at the end | " + " | ".join(order) + " |",
        "|---" * (3 + len(order)) + "|",
    ]
    for strategy in sorted({r["strategy"] for r in mine}):
        of = [r for r in mine if r["strategy"] == strategy]
        cells = [spread([r["after"][-1][region] for r in of]) for region in order]
        lost, final = (spread([r[k] for r in of]) for k in ("forgotten", "final"))
        lines.append(f"| {strategy} | {lost} | {final} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def drift(rows: list[dict]) -> str:
    """Top-1 by kind, at the strengths of the benchmark."""
    mine = [r for r in rows if r.get("drift")]
    if not mine:
        return ""
    kinds = list(mine[0]["drift"])
    lines = ["| task | strategy | mean | " + " | ".join(kinds) + " |",
             "|---" * (3 + len(kinds)) + "|"]  # fmt: skip
    for row in mine:
        cells = [" / ".join(f"{v:.0f}" for v in row["drift"][kind]) for kind in kinds]
        cells.insert(0, f"{np.mean([row['drift'][kind] for kind in kinds]):.1f}")
        lines.append(f"| {row['task']} | {row['strategy']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(rows: list[dict], strategy: str, tasks: list[str], of) -> str:
    values = [[of(r) for r in rows if (r["task"], r["strategy"]) == (t, strategy)] for t in tasks]
    return " | ".join(spread(v) if v else "" for v in values)
