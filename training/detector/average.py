"""The mean of runs that go on from one another: python -m detector.average RUN RUN --out runs/mean

As good as the better of them on the validation frames, and less a matter of where a run happened to
end (Wortsman et al. 2022, Model soups). Writes `average.pt` and `run.json`.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from .train import save_state


def mean(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The runs share their scales (`network.Conv`), so that weights can be averaged one by one."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0)
        if first.dtype.is_floating_point
        else first
        for name, first in states[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    save_state(mean([torch.load(run / "average.pt") for run in args.runs]), args.out / "average.pt")
    made = [json.loads((run / "run.json").read_text()) for run in args.runs]
    recipe = "mean of (" + ") and (".join(run["recipe"] for run in made) + ")"
    (args.out / "run.json").write_text(json.dumps(made[-1] | {"recipe": recipe}, indent=1))


if __name__ == "__main__":
    main()
