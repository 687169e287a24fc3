"""Commands of the comparison: `benchmark` and `matrix`."""

import argparse
import sys
from pathlib import Path

from . import benchmark

RESULTS = Path("results")
PACK = Path("cache/tsclip")


def add(commands) -> None:
    """Adds both to the parser of `python -m tsedge_training`."""
    args = commands.add_parser("benchmark", help="the benchmark's definition")
    steps = args.add_subparsers(dest="step", required=True)
    step = steps.add_parser("check", help="hold a data folder against it")
    step.add_argument("folder", type=Path)

    args = commands.add_parser("matrix", help="compare strategies on the benchmark's protocols")
    steps = args.add_subparsers(dest="step", required=True)
    step = steps.add_parser("pack", help="put pictures, sentences and weights into one folder")
    step.add_argument("--out", type=Path, default=PACK)
    step = steps.add_parser("views", help="make augmented views of all training pictures")
    step.add_argument("--pack", type=Path, default=PACK)
    step.add_argument("--out", type=Path, required=True, help="a file of some gigabytes")
    step.add_argument("--count", type=int, default=8, help="views a picture")
    step.add_argument("--processes", type=int, default=1)
    step = steps.add_parser("run", help="run what is not in the results yet")
    step.add_argument("--pack", type=Path, default=PACK)
    step.add_argument("--tasks", default="one-*", help="names with wildcards, by commas; or list")
    step.add_argument("--strategies", default="zero-shot,lp,ft,flyp,adwe-decaying")
    step.add_argument("--seeds", type=int, default=1, help="how many")
    step.add_argument("--images", type=int, help="pictures to see, instead of the recipes' number")
    step.add_argument("--batch", type=int, help="pictures a step, instead of the recipes' number")
    step.add_argument("--plan", type=Path, help="a file of stages, instead of the five above")
    step.add_argument("--whole", action="store_true", help="the plan of the whole comparison")
    step.add_argument("--results", type=Path, default=RESULTS / "matrix.jsonl")
    step.add_argument("--known", type=Path, nargs="*", default=[], help="earlier results: left out")
    step.add_argument("--runs", type=Path, help="folder for checkpoints and trained weights")
    step.add_argument("--device", default="cpu")
    step.add_argument("--threads", type=int, default=1)
    step.add_argument("--workers", type=int, default=0, help="processes that make views")
    step.add_argument("--cap", type=int, help="test crops of each region and class, at most")
    step.add_argument("--drift", action="store_true", help="also judge changed crops (task all)")
    step.add_argument("--views", type=Path, help="a file of `matrix views`")
    step.add_argument("--shares", type=Path, help="folder by which processes share the runs")
    step.add_argument("--embedded", type=int, help="test crops of each cell embedded by kept runs")
    step.add_argument("--debug", action="store_true", help="a tiny tower with random weights")
    step = steps.add_parser("figures", help="charts and tables of results")
    step.add_argument("--results", type=Path, nargs="+", required=True)
    step.add_argument("--pack", type=Path, default=PACK)
    step.add_argument("--out", type=Path, default=RESULTS / "figures")
    step = steps.add_parser("separation", help="how trained weights part the classes (t-SNE)")
    step.add_argument("--pack", type=Path, default=PACK)
    step.add_argument("--runs", type=Path, nargs="*", default=[], help="folders with model.pt")
    step.add_argument("--embedded", type=Path, nargs="*", help="files of `run --embedded`, instead")
    step.add_argument("--cap", type=int, default=6, help="test crops of each region and class")
    step.add_argument("--device", default="cpu")
    step.add_argument("--out", type=Path, default=RESULTS / "figures")
    step = steps.add_parser("edge", help="int8 forms: their accuracy, size and latency here")
    step.add_argument("--pack", type=Path, default=PACK)
    step.add_argument("--runs", type=Path, nargs="+", required=True, help="folders with model.pt")
    step.add_argument("--cap", type=int, help="test crops of each region and class, at most")
    step.add_argument("--out", type=Path, required=True)
    step = steps.add_parser("confusions", help="a page of the commonest errors, with their crops")
    step.add_argument("--results", type=Path, required=True)
    step.add_argument("--task", required=True)
    step.add_argument("--strategy", required=True)
    step.add_argument("--pack", type=Path, default=PACK)
    step.add_argument("--out", type=Path, required=True, help="shows crops: not to be published")


def act(chosen: argparse.Namespace) -> None:
    if chosen.command == "benchmark":
        _check(chosen.folder)
    elif chosen.step == "pack":
        from ..paths import data_root
        from . import pack

        pack.make(data_root(), benchmark.load(), chosen.out)
    elif chosen.step == "views":
        from . import pictures, premade

        shown = pictures.read(chosen.pack / pictures.PICTURES)
        premade.make(shown, chosen.out, chosen.count, chosen.processes)
    elif chosen.step == "run":
        _run(chosen)
    elif chosen.step == "figures":
        from . import figures

        figures.make(chosen.results, chosen.pack, chosen.out)
    elif chosen.step == "separation":
        from . import separation

        if chosen.embedded:
            print(separation.from_files(chosen.embedded, chosen.out))
        else:
            print(separation.make(chosen.pack, chosen.runs, chosen.device, chosen.cap, chosen.out))
    elif chosen.step == "edge":
        from . import edge

        for row in edge.make(chosen.pack, chosen.runs, chosen.cap, chosen.out):
            print(row)
    elif chosen.step == "confusions":
        from . import confusions

        confusions.make(chosen.results, chosen.task, chosen.strategy, chosen.pack, chosen.out)


def _check(folder: Path) -> None:
    defined = benchmark.load()
    faults = benchmark.check(folder, defined)
    if faults:
        sys.exit("\n".join(faults))
    counts = defined.counts.values()
    train, test = (sum(c[split] for c in counts) for split in defined.splits)
    print(
        f"{folder}: as defined: {len(defined.regions)} regions, {len(defined.classes)} classes, "
        f"{train} training and {test} test crops"
    )


def _run(chosen: argparse.Namespace) -> None:
    import torch

    from . import matrix

    if chosen.tasks == "list":
        print("\n".join(matrix.names()))
        return
    torch.set_num_threads(chosen.threads)
    if chosen.plan or chosen.whole:
        runs = matrix.plan(chosen.plan or matrix.WHOLE)
    else:
        tasks, strategies = chosen.tasks.split(","), chosen.strategies.split(",")
        seeds = list(range(chosen.seeds))
        runs = list(matrix.planned(tasks, strategies, seeds, chosen.images, chosen.batch))
        if not runs:
            sys.exit("nothing to run: --seeds says how many, 1 at least")
    shared = matrix.world(
        chosen.pack, chosen.device, chosen.views, workers=chosen.workers, cap=chosen.cap,
        drift=chosen.drift, embedded=chosen.embedded,
    )  # fmt: skip
    matrix.go(
        shared, runs, chosen.results, chosen.runs, chosen.shares, chosen.debug,
        tuple(chosen.known),
    )  # fmt: skip
