"""Means over seeds, and paired differences: which are larger than their noise."""

from collections import defaultdict

import numpy as np

from . import metrics, protocols
from .benchmark import Benchmark
from .pictures import Pictures
from .strategies import STRATEGIES

BASELINES = ("ft", "wise-0.5")
LEADER = "adwe-decaying"
RIVALS = ("ft", "wise-0.5", "wise-tuned", "flyp", "efficientnet-lite2")
# Of Student's t, by the number of seeds (or of regions trained on).
T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def spread(values: list[float]) -> str:
    """Mean, and half the 95 % interval over seeds where there are some."""
    count, mean = len(values), float(np.mean(values))
    if count not in T95:
        return f"{mean:.1f}"
    half = T95[count] * float(np.std(values, ddof=1)) / count**0.5
    return f"{mean:.1f} ± {half:.1f}"


def figure(row: dict) -> float:
    """Top-1 on regions not trained on, else on all."""
    return row.get("abroad", row.get("home"))["top1"]


def seen(row: dict) -> int:
    return row.get("steps", 0) * row["recipe"]["batch"]


def groups(rows: list[dict]) -> dict[tuple, list[dict]]:
    """Rows that differ by their seed alone, by task and in the order of the strategies."""
    out = defaultdict(list)
    for row in rows:
        if "regions" in row:
            out[row["task"], row["strategy"], row["test_cap"], seen(row)].append(row)
    return dict(sorted(out.items(), key=lambda pair: (pair[0][0], place(pair[0][1]), pair[0][3])))


def place(strategy: str) -> tuple[int, str]:
    """WiSE-FT comes behind FT, of which it is made."""
    names = list(STRATEGIES)
    return names.index("ft" if strategy.startswith("wise") else strategy), strategy


def table(rows: list[dict], shown: Pictures | None, benchmark: Benchmark) -> str:
    lines = [
        "Top-1 in %, mean ± half the 95 % interval over seeds. Differences: of the same seeds and "
        "crops, with the 95 % interval of the crops. BE and PL: held-out training crops.",
        "",
        "| task | strategy | seeds | seen | home | abroad | macro-F1 abroad | ECE abroad "
        "| signs accepted | BE, PL | to FT | to WiSE .5 |",
        "|---" * 12 + "|",
    ]
    every = groups(rows)
    for (task, strategy, cap, count), mine in every.items():
        base = {
            name: next((g for k, g in every.items() if k[:3] == (task, name, cap)), [])
            for name in BASELINES
        }
        gaps = [
            "" if name == strategy else gap(mine, base[name], shown, benchmark)
            for name in BASELINES
        ]
        validation = [r["validation_abroad_top1"] for r in mine]
        cells = [
            task, strategy, str(len(mine)), str(count),
            _spread(mine, "home", "top1"), _spread(mine, "abroad", "top1"),
            _spread(mine, "abroad", "macro_f1"),
            _mean([r["abroad"]["ece"] for r in mine if "abroad" in r], 3),
            _mean([r["refusal"]["signs_accepted"] for r in mine], 1),
            _mean([v for v in validation if v is not None], 1), *gaps,
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def leads(rows: list[dict], shown: Pictures | None, benchmark: Benchmark) -> str:
    """By how much the leader is ahead of each rival, abroad (at home, where none are abroad)."""
    every = groups(rows)
    lines = [f"Lead of {LEADER}, points:", "", f"| task | {' | '.join(RIVALS)} |",
             "|---" * (1 + len(RIVALS)) + "|"]  # fmt: skip
    for (task, strategy, cap, count), mine in every.items():
        if strategy == LEADER:
            rivals = [every.get((task, name, cap, count), []) for name in RIVALS]
            cells = [gap(mine, rival, shown, benchmark) for rival in rivals]
            lines.append(f"| {task} | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 4 else ""


def _spread(rows: list[dict], group: str, name: str) -> str:
    values = [r[group][name] for r in rows if group in r]
    return spread(values) if values else ""


def _mean(values: list[float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f}" if values else ""


def gap(rows: list[dict], base: list[dict], shown: Pictures | None, benchmark: Benchmark) -> str:
    """Of the seeds that both have: mean, its spread over seeds, and the interval of the crops."""
    other = {r["seed"]: r for r in base}
    pairs = [(r, other[r["seed"]]) for r in rows if r["seed"] in other]
    if not pairs:
        return ""
    text = spread([figure(a) - figure(b) for a, b in pairs])
    text = text if text.startswith("-") else f"+{text}"
    if shown is not None and all("predictions" in r for pair in pairs for r in pair):
        right = np.array([[_right(r, shown, benchmark) for r in pair] for pair in pairs], float)
        low, high = metrics.paired_interval(*right.mean(0))
        text += f" [{low:.1f}, {high:.1f}]"
    return text


def _right(row: dict, shown: Pictures, benchmark: Benchmark) -> np.ndarray:
    """Which test crops abroad (all, where none are abroad) were named right."""
    rows = protocols.thinned(protocols.test(shown, benchmark), shown, row["test_cap"])
    label, region = shown.label[rows], shown.region[rows]
    trained = [i for i, r in enumerate(benchmark.regions) if trained_on(row["task"], r)]
    away = ~np.isin(region, trained)
    if not away.any():
        away[:] = True
    return metrics.unpacked(row["predictions"], label)[away] == label[away]


def trained_on(task: str, region: str) -> bool:
    name = task.split("+")[0]
    if f"+{name}" in protocols.DRAWN:
        return False
    if name.startswith("one-"):
        return name == f"one-{region}"
    if name.startswith("out-"):
        return name != f"out-{region}"
    return True
