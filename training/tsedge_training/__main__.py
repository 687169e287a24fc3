"""Commands: train a model by a recipe; export it as encoder, card, packs and golden vectors."""

import argparse
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from . import (
    ablation,
    augment,
    bank,
    blend,
    cards,
    catalogue,
    data,
    export,
    golden,
    lookalikes,
    new_region,
    packs,
    portable,
    protocols,
    rendered,
    runs,
    shipped_files,
    text_export,
    tower,
    train,
)
from .evaluate import OnnxEncoder
from .paths import MODELS, REPOSITORY, data_root
from .recipes import RECIPES, Recipe
from .tsclip import cli as tsclip

CALIBRATION_PICTURES = 600
# Of an encoder that learns a new region: starts from the shipped one, so it needs few pictures.
REGION_PICTURES, REGION_BATCH, REGION_RATE = 60_000, 96, 5e-4
LOOKALIKES = 500
LOST_TOP1_PERCENT = 0.1  # more than this, and int8 is not shipped


def main() -> None:
    parser = argparse.ArgumentParser(prog="tsedge_training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    args = commands.add_parser("train", help="train an encoder by a recipe")
    args.add_argument("--recipe", choices=RECIPES, required=True)
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--start", type=Path, help="folder of an earlier run to go on from")
    args.add_argument("--warm", type=Path, help="folder of shipped models to start from")
    args.add_argument("--rendered", type=Path, help="folder of `tsedge simulate --crops`")
    args.add_argument("--own", action="store_true", help="our own drawings alone, no other source")
    args.add_argument("--leave-out", nargs="*", default=[], help="regions whose photos are unseen")
    args.add_argument("--images", type=int, help="pictures to see, instead of the recipe's number")
    args.add_argument("--minutes", type=float, help="end earlier, by the clock")
    args.add_argument("--learning-rate", type=float, help="instead of the recipe's")
    args.add_argument("--portable", type=Path, help="what `portable` wrote, instead of the data")
    args.add_argument("--device", default="cpu")
    args.add_argument("--workers", type=int, default=0, help="processes that make views")
    args = commands.add_parser("portable", help="put all that `train` reads into one folder")
    args.add_argument("--recipe", choices=RECIPES, required=True)
    args.add_argument("--rendered", type=Path, help="folder of `tsedge simulate --crops`")
    args.add_argument("--own", action="store_true", help="our own drawings alone, no other source")
    args.add_argument("--out", type=Path, required=True)
    args = commands.add_parser("measure", help="judge a run on test crops (after --portable)")
    args.add_argument("--run", type=Path, required=True, help="folder that `train` wrote")
    args = commands.add_parser("blend", help="weights between a run and its shipped start")
    args.add_argument("--run", type=Path, required=True, help="a run of `train --warm`")
    args.add_argument("--shipped", type=Path, required=True, help="the folder it started from")
    args.add_argument("--share", type=float, default=0.7, help="of the run")
    args.add_argument("--out", type=Path, required=True)
    args = commands.add_parser("export", help="write encoder, card, packs and golden vectors")
    args.add_argument("--run", type=Path, required=True, help="folder that `train` wrote")
    args.add_argument("--models", type=Path, default=MODELS)
    args.add_argument("--regions", nargs="*", default=data.REGIONS, help="packs beside WORLD's")
    args = commands.add_parser("prompts", help="compare ways to word the prompts on a trained run")
    args.add_argument("--run", type=Path, required=True, help="folder that `train` wrote")
    args.add_argument("--regions", nargs="*", default=protocols.MACRO_REGIONS)
    args = commands.add_parser("text", help="write the text encoder, its card and tokenizer.json")
    args.add_argument("--models", type=Path, default=MODELS)
    args = commands.add_parser("tower", help="wrap the full CLIP image tower, with a WORLD pack")
    args.add_argument("--out", type=Path, required=True)
    args = commands.add_parser("packs", help="write packs of regions that came after the encoder")
    args.add_argument("regions", nargs="*", help="those without a pack, if none is named")
    args.add_argument("--models", type=Path, default=MODELS)
    args = commands.add_parser("region", help="from a region's crops to a pack, an encoder, a page")
    args.add_argument("crops", type=Path, help="folder with a folder for each class key")
    args.add_argument("--region", required=True, help="its prompts are models/prompts/REGION.toml")
    args.add_argument("--out", type=Path, required=True)
    args.add_argument("--encoder", action="store_true", help="let the encoder learn too: an hour")
    args.add_argument("--images", type=int, default=REGION_PICTURES, help="that the encoder sees")
    args.add_argument("--leave-out", nargs="*", default=[], help="regions whose photos are unseen")
    args.add_argument("--margin", type=float, default=0.05, help="outside the sign's box, a side")
    args.add_argument("--track-until", help="names that agree up to the last of it: one sign")
    args.add_argument("--models", type=Path, default=MODELS, help="to start from")
    args.add_argument("--tsedge", type=Path, default=REPOSITORY / "target/release/tsedge")
    args.add_argument("--device", default="cpu")
    args.add_argument("--workers", type=int, default=0, help="processes that make views")
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
        run_training(
            recipe, chosen.out, chosen.start, chosen.rendered, chosen.leave_out, chosen.minutes,
            chosen.own, chosen.portable, shipped=chosen.warm, device=chosen.device,
            workers=chosen.workers,
        )  # fmt: skip
    elif chosen.command == "portable":
        write_portable(RECIPES[chosen.recipe], chosen.rendered, chosen.own, chosen.out)
    elif chosen.command == "measure":
        measure(chosen.run)
    elif chosen.command == "blend":
        run_blend(chosen.run, chosen.shipped, chosen.share, chosen.out)
    elif chosen.command == "export":
        run_export(chosen.run, chosen.models, chosen.regions)
    elif chosen.command == "prompts":
        run_prompts(chosen.run, chosen.regions)
    elif chosen.command == "text":
        text_export.write(chosen.models)
    elif chosen.command == "tower":
        tower.make(chosen.out, data_root(), catalogue.load())
    elif chosen.command == "packs":
        run_packs(chosen.models, chosen.regions)
    elif chosen.command == "region":
        run_region(chosen)
    elif chosen.command == "refresh":
        refresh_packs(chosen.models)
    else:
        tsclip.act(chosen)


def load_bank(recipe: Recipe, prompts: catalogue.Catalogue, own: bool = False) -> bank.Bank:
    return bank.load(
        None if own else data_root(), prompts, recipe.drawings_per_class, recipe.empty_pictures,
        recipe.seed,
    )  # fmt: skip


def training_pictures(recipe: Recipe, prompts: catalogue.Catalogue, drawn: Path | None,
                      own: bool = False) -> tuple[bank.Bank, dict]:  # fmt: skip
    """What an encoder learns from, and what run.json says of it."""
    pictures = load_bank(recipe, prompts, own)
    rng = np.random.default_rng(recipe.seed)
    pictures = lookalikes.added_to(pictures, LOOKALIKES, rng)
    record = {"own": own, "manifest_sha256": data.manifest_sha256(data_root())}
    if drawn:
        pictures = bank.with_rendered(pictures, drawn, set(prompts.keys()))
        record["rendered"] = rendered.fingerprint(drawn)
    return pictures.take(~pictures.held_out), record


def run_training(recipe: Recipe, out: Path, start: Path | None = None, drawn: Path | None = None,
                 left_out: list[str] = (), minutes: float | None = None, own: bool = False,
                 ready: Path | None = None, **how) -> None:  # fmt: skip
    """`ready` is a folder of `write_portable`: then nothing is judged, for there are no data."""
    prompts = catalogue.load()
    if ready:
        pictures, how["embed"], record = portable.read(ready)
    else:
        pictures, record = training_pictures(recipe, prompts, drawn, own)
    record["started_from"] = runs.read(start) if start else None
    how["start"] = start and start / "model.pt"
    record |= {"left_out": list(left_out), "minutes": minutes}
    learn(recipe, prompts, bank.without(pictures, left_out), out, record, minutes=minutes, **how)
    if not ready:
        measure(out)


def learn(recipe: Recipe, prompts: catalogue.Catalogue, pictures: bank.Bank, out: Path,
          record: dict, **how) -> None:  # fmt: skip
    """Trains by `train.train`, `how` being what it takes, and keeps weights and run.json."""
    out.mkdir(parents=True, exist_ok=True)
    model = train.train(
        recipe, prompts, pictures, log=lambda line: print(line, flush=True),
        checkpoint=out / "checkpoint.pt", **how,
    )  # fmt: skip
    train.save(model, out / "model.pt")
    if shipped := how.get("shipped"):
        record["started_from_encoder_sha256"] = cards.sha256(shipped / "encoder.onnx")
    record["pictures_seen"] = model.pictures_seen
    runs.write(out, recipe, prompts, how.get("device", "cpu"), record)


def run_region(chosen: argparse.Namespace) -> None:
    """Pack and page; with --encoder also OUT/models, whose packs are all made anew."""
    crops = new_region.listed(chosen.crops, chosen.track_until)
    common = chosen.tsedge, crops, chosen.region
    found = [
        new_region.adapt(*common, chosen.models, chosen.margin, chosen.out / "shipped", "shipped")
    ]
    cards_ = [chosen.models / "encoder.toml"]
    if chosen.encoder:
        models = chosen.out / "models"
        train_region(chosen, crops)
        run_export(chosen.out / "run", models)
        found.append(new_region.adapt(*common, models, chosen.margin, chosen.out / "new", "new"))
        cards_.append(models / "encoder.toml")
    page = chosen.out / "index.html"
    page.write_text(new_region.page(found, chosen.region, crops, cards_), encoding="utf-8")
    for one in found:
        pairs = zip(new_region.FIGURES, one.figures, strict=True)
        print(one.encoder, {name: " > ".join(pair) for name, pair in pairs}, one.refused or "")
    print(page)


def train_region(chosen: argparse.Namespace, crops: list[new_region.Crop]) -> None:
    """Goes on from the shipped encoder, with all that it was taught by and the region's crops."""
    prompts = catalogue.load()
    recipe = replace(
        RECIPES[shipped_files.recipe(chosen.models)], images=chosen.images, batch=REGION_BATCH,
        learning_rate=REGION_RATE,
    )  # fmt: skip
    pictures, record = training_pictures(recipe, prompts, None)
    learned, _ = new_region.split(crops)
    pictures = new_region.added_to(
        bank.without(pictures, chosen.leave_out), learned, chosen.region, chosen.margin,
        set(prompts.keys()),
    )  # fmt: skip
    record |= {"left_out": chosen.leave_out, "crops_of_region": {chosen.region: len(learned)}}
    learn(recipe, prompts, pictures, chosen.out / "run", record, shipped=chosen.models,
          device=chosen.device, workers=chosen.workers)  # fmt: skip


def write_portable(recipe: Recipe, drawn: Path | None, own: bool, out: Path) -> None:
    prompts = catalogue.load()
    pictures, record = training_pictures(recipe, prompts, drawn, own)
    portable.write(out, pictures, prompts, recipe, record | {"commit": runs.commit()})


def measure(run: Path) -> None:
    """Top-1 of the regions that were left out, else of all that the macro figure counts."""
    prompts, record = catalogue.load(), runs.read(run)
    recipe = runs.recipe(run)
    model = train.load(recipe, prompts, run / "model.pt")
    regions = record["left_out"] or protocols.MACRO_REGIONS
    found = protocols.report(model, recipe.size_px, prompts, data_root(), regions)
    runs.add_metrics(run, found)


def run_blend(run: Path, shipped: Path, share: float, out: Path) -> None:
    prompts, recipe = catalogue.load(), runs.recipe(run)
    pictures = load_bank(recipe, prompts)
    rng = np.random.default_rng(recipe.seed)
    model = blend.blended(
        recipe, prompts, pictures.take(~pictures.held_out), run, shipped, share, rng
    )
    out.mkdir(parents=True, exist_ok=True)
    train.save(model, out / "model.pt")
    runs.copy(run, out, {"share_of_start_kept": round(1 - share, 3)})


def run_export(run: Path, models: Path, regions: Sequence[str] = data.REGIONS) -> None:
    prompts, record = catalogue.load(), runs.read(run)
    recipe = runs.recipe(run)
    model = train.load(recipe, prompts, run / "model.pt")
    pictures = load_bank(recipe, prompts, record["own"])
    held_out = pictures.take(pictures.held_out)
    rng = np.random.default_rng(recipe.seed)

    fp32, int8 = run / "encoder.fp32.onnx", run / "encoder.int8.onnx"
    export.to_onnx(model, recipe.size_px, fp32)
    held = len(held_out.keys)
    chosen = rng.choice(held, min(held, CALIBRATION_PICTURES), replace=False)
    sample = augment.augment(held_out.images[chosen], recipe.size_px, rng)
    export.to_int8(fp32, int8, sample)
    close = export.agreement(OnnxEncoder(fp32), OnnxEncoder(int8), sample)
    print(f"int8 against fp32: cosine mean {close.cosine_mean}, least {close.cosine_min}")

    world = protocols.plain_pack(model, prompts, data.WORLD)
    right = {}
    for precision, file in (("fp32", fp32), ("int8", int8)):
        right[precision] = held_out_top1(OnnxEncoder(file), world, held_out)
        print(f"{precision}: held-out top-1 {right[precision]:.2f} %")
    lost = right["fp32"] - right["int8"]
    precision, file = ("int8", int8) if lost <= LOST_TOP1_PERCENT else ("fp32", fp32)
    metrics = write_models(
        model, recipe, record, prompts, pictures, file, precision, close, models, regions
    )
    runs.add_metrics(run, metrics)


def write_models(model: train.Model, recipe: Recipe, record: dict, prompts: catalogue.Catalogue,
                 pictures: bank.Bank, file: Path, precision: str, close: export.Agreement,
                 models: Path, regions: Sequence[str]) -> dict:  # fmt: skip
    """Copies the encoder and writes card, packs, text head and vectors; the figures of all."""
    encoder_file = models / "encoder.onnx"
    models.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, encoder_file)
    encoder = OnnxEncoder(encoder_file)
    with torch.no_grad():
        rows = model.head.rows().numpy()
    codes = (data.WORLD, *regions)
    made = export.calibrated_packs(model.table, rows, encoder, prompts, pictures, codes)
    provenance = {k: record[k] for k in ("commit", "manifest_sha256", "seed")}
    provenance["recipe"] = recipe.name
    terms = cards.licence(record)
    for pack in made:
        packs.write(pack, models / "packs", cards.sha256(encoder_file), prompts, provenance, terms)
    held_out = pictures.take(pictures.held_out)
    metrics = export.measure(encoder, made, data_root(), held_out)
    metrics["precision"] = {"shipped": precision, **vars(close)}
    metrics["speed"] = {
        "latency_ms": export.latency_ms(encoder),
        "load_average": round(os.getloadavg()[0], 1),
    }
    card = cards.edge(recipe, encoder_file, record, metrics)
    (models / "encoder.toml").write_text(card, encoding="utf-8")
    export.text_head(model, encoder_file, models / "text_head.safetensors")
    golden.write(encoder_file, models / "golden" / "preprocess.safetensors")
    for region, figures in metrics["test"].items():
        print(region, figures, metrics["scenery"][region])
    print("drawings of other signs:", metrics["strange_signs"])
    print("speed:", metrics["speed"])
    return metrics


def run_packs(models: Path, codes: list[str]) -> None:
    """Rows and calibration are what `export` would have given; no run is needed, the data are.

    Not even these for an encoder that learned from no photo.
    """
    prompts, encoder_file = catalogue.load(), models / "encoder.onnx"
    card = shipped_files.card(models)
    own = not card["provenance"]["photos"]
    folder = models / "packs"
    codes = codes or [c for c in data.REGIONS if not (folder / f"{c}.safetensors").is_file()]
    table, rows = shipped_files.rows(models, prompts)
    pictures = load_bank(RECIPES[card["provenance"]["recipe"]], prompts, own)
    made = export.calibrated_packs(table, rows, OnnxEncoder(encoder_file), prompts, pictures, codes)
    provenance = packs.provenance(folder / f"{data.WORLD}.safetensors")
    for pack in made:
        written = packs.write(pack, folder, card["sha256"], prompts, provenance, card["licence"])
        print(written)
    refresh_packs(models)


def refresh_packs(models: Path) -> None:
    prompts = catalogue.load()
    for file in sorted((models / "packs").glob("*.safetensors")):
        packs.refresh(file, prompts)


def run_prompts(run: Path, regions: list[str]) -> None:
    prompts = catalogue.load()
    recipe = runs.recipe(run)
    model = train.load(recipe, prompts, run / "model.pt")
    for name, found in ablation.table(model, recipe.size_px, prompts, data_root(), regions).items():
        mean = np.mean(list(found.values()))
        print(f"{name:36} {mean:6.2f} ", *(f"{code} {v:.1f}" for code, v in found.items()))


def held_out_top1(encoder: OnnxEncoder, pack: packs.Pack, held_out: bank.Bank) -> float:
    """Percent right on held-out photos, or drawings if there are none, as the runtime would cut."""
    known = ~np.isin(held_out.keys, (data.ANY_SPEED_LIMIT, data.ANY_CLASS))
    photos = held_out.source == bank.PHOTO
    shown = held_out.take(known & (photos if photos.any() else held_out.source == bank.DRAWING))
    best = pack.judge(encoder(augment.plain(shown.images, encoder.size_px))).best
    return 100 * float((np.array(pack.keys())[best] == shown.keys).mean())


if __name__ == "__main__":
    main()
