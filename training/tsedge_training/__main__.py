"""Commands: train a model by a recipe; export it as encoder, card, packs and golden vectors."""

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import (
    augment,
    bank,
    cards,
    catalogue,
    data,
    export,
    golden,
    lookalikes,
    packs,
    rendered,
    runs,
    text_export,
    tower,
    train,
)
from .evaluate import OnnxEncoder
from .paths import MODELS, data_root
from .recipes import RECIPES, Recipe
from .tsclip import cli as tsclip

CALIBRATION_PICTURES = 600
LOOKALIKES = 500
LOST_TOP1_PERCENT = 0.1  # more than this, and int8 is not shipped


def main() -> None:
    parser = argparse.ArgumentParser(prog="tsedge_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    args = commands.add_parser("train", help="train an encoder by a recipe")
    args.add_argument("--recipe", choices=RECIPES, required=True)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--start", type=Path, help="folder of an earlier run to go on from")
    args.add_argument("--rendered", type=Path, help="folder of `tsedge simulate --crops`")
    args.add_argument("--images", type=int, help="pictures to see, instead of the recipe's number")
    args.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    args = commands.add_parser("export", help="write encoder, card, packs and golden vectors")
    args.add_argument("--run", type=Path, required=True, help="folder that `train` wrote")
    args.add_argument("--models", type=Path, default=MODELS)
    args = commands.add_parser("text", help="write the text encoder, its card and tokenizer.json")
    args.add_argument("--models", type=Path, default=MODELS)
    args = commands.add_parser("tower", help="wrap the full CLIP image tower, with a WORLD pack")
    args.add_argument("--out", type=Path, required=True)
    args = commands.add_parser("refresh", help="put changed labels and rules into the packs")
    args.add_argument("--models", type=Path, default=MODELS)
    tsclip.add(commands)
    chosen = parser.parse_args()
    if chosen.command == "train":
        recipe = RECIPES[chosen.recipe]
        recipe = replace(
            recipe,
            images=chosen.images or recipe.images,
            learning_rate=chosen.learning_rate or recipe.learning_rate,
        )
        run_training(recipe, chosen.out, chosen.start, chosen.rendered)
    elif chosen.command == "export":
        run_export(chosen.run, chosen.models)
    elif chosen.command == "text":
        text_export.write(chosen.models)
    elif chosen.command == "tower":
        tower.make(chosen.out, data_root(), catalogue.load())
    elif chosen.command == "refresh":
        for file in sorted((chosen.models / "packs").glob("*.safetensors")):
            packs.refresh(file, catalogue.load())
    else:
        tsclip.act(chosen)


def load_bank(recipe: Recipe, prompts: catalogue.Catalogue) -> bank.Bank:
    return bank.load(
        data_root(), prompts, recipe.drawings_per_class, recipe.empty_pictures, recipe.seed
    )


def run_training(recipe: Recipe, out: Path, start: Path | None, drawn: Path | None) -> None:
    root, prompts = data_root(), catalogue.load()
    out.mkdir(parents=True, exist_ok=True)
    more = {"started_from": runs.read(start) if start else None}
    pictures = load_bank(recipe, prompts)
    rng = np.random.default_rng(recipe.seed)
    pictures = lookalikes.added_to(pictures, LOOKALIKES, rng)
    if drawn:
        pictures = bank.with_rendered(pictures, drawn, set(prompts.keys()))
        more["rendered"] = rendered.fingerprint(drawn)
    model = train.train(
        recipe, prompts, pictures.take(~pictures.held_out),
        log=lambda line: print(line, flush=True), start=start and start / "model.pt",
        checkpoint=out / "checkpoint.pt",
    )  # fmt: skip
    train.save(model, out / "model.pt")
    runs.write(out, recipe, prompts, root, more)


def run_export(run: Path, models: Path) -> None:
    root, prompts = data_root(), catalogue.load()
    record = runs.read(run)
    recipe = Recipe(**record["recipe"])
    model = train.load(recipe, prompts, run / "model.pt")
    pictures = load_bank(recipe, prompts)
    held_out = pictures.take(pictures.held_out)
    rng = np.random.default_rng(recipe.seed)

    fp32, int8 = run / "encoder.fp32.onnx", run / "encoder.int8.onnx"
    export.to_onnx(model, recipe.size_px, fp32)
    chosen = rng.choice(len(held_out.keys), CALIBRATION_PICTURES, replace=False)
    sample = augment.augment(held_out.images[chosen], recipe.size_px, rng)
    export.to_int8(fp32, int8, sample)
    close = export.agreement(OnnxEncoder(fp32), OnnxEncoder(int8), sample)
    print(f"int8 against fp32: cosine mean {close.cosine_mean}, least {close.cosine_min}")

    results = {}
    for precision, file in (("fp32", fp32), ("int8", int8)):
        encoder = OnnxEncoder(file)
        made = export.calibrated_packs(model, encoder, prompts, pictures)
        right = held_out_top1(encoder, made[0], held_out)
        print(f"{precision}: held-out top-1 {right:.2f} %")
        results[precision] = (right, file, made)
    lost = results["fp32"][0] - results["int8"][0]
    precision = "int8" if lost <= LOST_TOP1_PERCENT else "fp32"
    _, file, made = results[precision]

    encoder_file = models / "encoder.onnx"
    models.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, encoder_file)
    encoder = OnnxEncoder(encoder_file)
    provenance = {k: record[k] for k in ("commit", "manifest_sha256", "seed")}
    provenance["recipe"] = recipe.name
    for pack in made:
        packs.write(pack, models / "packs", cards.sha256(encoder_file), prompts, provenance)
    metrics = export.measure(encoder, made, root, held_out)
    metrics["precision"] = {"shipped": precision, **vars(close)}
    metrics["speed"] = {
        "latency_ms": export.latency_ms(encoder),
        "load_average": round(os.getloadavg()[0], 1),
    }
    card = cards.edge(recipe, encoder_file, record, metrics)
    (models / "encoder.toml").write_text(card, encoding="utf-8")
    golden.write(encoder_file, models / "golden" / "preprocess.safetensors")
    runs.add_metrics(run, metrics)
    for region, figures in metrics["test"].items():
        print(region, figures, metrics["scenery"][region])
    print("drawings of other signs:", metrics["strange_signs"])
    print("speed:", metrics["speed"])


def held_out_top1(encoder: OnnxEncoder, pack: packs.Pack, held_out: bank.Bank) -> float:
    """Percent right on held-out photos, as the runtime would cut them."""
    known = held_out.keys != data.ANY_SPEED_LIMIT
    photos = held_out.take((held_out.source == bank.PHOTO) & known)
    best = pack.judge(encoder(augment.plain(photos.images, encoder.size_px))).best
    return 100 * float((np.array(pack.keys())[best] == photos.keys).mean())


if __name__ == "__main__":
    main()
