"""python -m tsedge_training train|export|evaluate|golden|tower"""

import argparse
from pathlib import Path

from . import bank, catalogue, runs, train
from .paths import data_root
from .recipes import RECIPES


def main() -> None:
    parser = argparse.ArgumentParser(prog="tsedge_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train_args = commands.add_parser("train", help="train an encoder by a recipe")
    train_args.add_argument("--recipe", choices=RECIPES, required=True)
    train_args.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.command == "train":
        run_training(args.recipe, args.out)


def run_training(recipe_name: str, out: Path) -> None:
    recipe, prompts, root = RECIPES[recipe_name], catalogue.load(), data_root()
    out.mkdir(parents=True, exist_ok=True)
    pictures = bank.load(
        root, prompts, recipe.drawings_per_class, recipe.empty_pictures, recipe.seed
    )
    model = train.train(
        recipe, prompts, pictures.take(~pictures.held_out),
        log=lambda line: print(line, flush=True), checkpoint=out / "checkpoint.pt",
    )  # fmt: skip
    train.save(model, out / "model.pt")
    runs.write(out, recipe, prompts, root, {})


if __name__ == "__main__":
    main()
