"""Students and the tower as the runtime would run them: int8, one core, one picture at a time."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from .. import export
from ..evaluate import OnnxEncoder
from . import charts, distil, learn, matrix, protocols, run, smooth, students, vit
from .model import SCALE, SignModel
from .pictures import VALIDATION

CALIBRATED_BY = 300
TURNS = 5


class _Tower(nn.Module):
    """Pixels to unit vectors, as a student gives them."""

    def __init__(self, model: SignModel):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model.placed(self.model.tower(pixels))


def make(pack: Path, runs: list[Path], cap: int | None, out: Path) -> list[dict]:
    """RUN/model.pt of each -> OUT/NAME.onnx, .int8.onnx, and a line of OUT/edge.jsonl."""
    out.mkdir(parents=True, exist_ok=True)
    world = matrix.world(pack, "cpu", cap=cap)
    rows = [row(world, folder, out) for folder in runs]
    timed(rows, out)
    (out / "edge.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    draw(rows, out / "edge.svg")
    return rows


def timed(rows: list[dict], folder: Path) -> None:
    """Milliseconds anew, all nets in turns, the least of their medians: the machine may be busy."""
    forms = [(r, form) for r in rows for form in ("fp32", "int8")]
    sessions = [OnnxEncoder(folder / name_of(r["strategy"], form)) for r, form in forms]
    turns = [[export.latency_ms(s) for s in sessions] for _ in range(TURNS)]
    for (r, form), found in zip(forms, zip(*turns, strict=True), strict=True):
        r[form]["ms"] = min(found)


def name_of(strategy: str, form: str) -> str:
    return f"{strategy}.int8.onnx" if form == "int8" else f"{strategy}.onnx"


def draw(rows: list[dict], file: Path) -> None:
    """Accuracy against latency and against bytes, in both forms."""
    plot = charts.new(8.4, 3.6)
    costs = (("ms", 1, "ms a picture, one core"), ("bytes", 1e-6, "MB"))
    for axis, (cost, unit, words) in zip(plot.subplots(1, 2, sharey=True), costs, strict=True):
        for form, style in (("fp32", "s--"), ("int8", "o-")):
            places = sorted(
                (unit * r[form][cost], r[form]["top1"], r["strategy"].removeprefix("student-"))
                for r in rows
            )
            axis.plot([x for x, *_ in places], [y for _, y, _ in places], style, label=form)
            for x, y, name in places if form == "int8" else []:
                axis.annotate(name, (x, y), fontsize=7, xytext=(3, -9), textcoords="offset points")
        axis.set_xscale("log")
        axis.margins(x=0.15)
        axis.set_xlabel(words)
        axis.legend(fontsize=7)
    plot.axes[0].set_ylabel("top-1, %")
    charts.save(plot, file)


def row(world: run.World, folder: Path, out: Path) -> dict:
    recipe = json.loads((folder / "cost.json").read_text(encoding="utf-8"))["recipe"]
    size_px, name = recipe["size_px"], recipe["name"]
    model = _trained(world, recipe, folder / "model.pt")
    encoder = model.tower if recipe["student"] else _Tower(model)
    out_row = {"task": folder.name.split(f"-{name}")[0], "strategy": name}
    out_row |= distil.size(encoder, size_px)

    pictures = world.pictures
    known = protocols.photos(pictures, world.benchmark, world.benchmark.regions, VALIDATION)
    known = np.random.default_rng(0).permutation(known)[:CALIBRATED_BY]
    shown = run.cut(world, known, size_px, None)
    wide, narrow = (out / name_of(name, form) for form in ("fp32", "int8"))
    export.to_onnx(SimpleNamespace(encoder=encoder), size_px, wide)
    if recipe["student"]:
        export.to_int8(wide, narrow, shown.numpy())
    else:
        smooth.smooth(model.tower, shown.permute(0, 3, 1, 2).float())
        smoothed = narrow.with_suffix(".smoothed.onnx")
        export.to_onnx(SimpleNamespace(encoder=encoder), size_px, smoothed)
        smooth.to_int8(smoothed, narrow)
        smoothed.unlink()

    tested = protocols.test(pictures, world.benchmark)
    tested = protocols.thinned(tested, pictures, world.cap)
    for form, file in (("fp32", wide), ("int8", narrow)):
        session = OnnxEncoder(file)

        def score(pixels, session=session):
            planes = pixels.to(torch.uint8).permute(0, 2, 3, 1).numpy()
            return SCALE * model.cosines(torch.from_numpy(session(planes)))

        scored = run.judge(world, score, tested, size_px)
        out_row[form] = {
            "top1": round(100 * float((scored.predicted == scored.label).mean()), 2),
            "ms": export.latency_ms(session),
            "bytes": file.stat().st_size,
        }
    return out_row


def _trained(world: run.World, recipe: dict, file: Path) -> SignModel:
    state = torch.load(file, weights_only=True, map_location="cpu")
    dim, classes = state["text.weight"].shape[0], len(world.benchmark.classes)
    if recipe["student"]:
        tower = students.make(students.SHAPES[recipe["student"]], dim)
    else:
        tower = vit.ViT(recipe["size_px"], vit.TINY if recipe["tiny"] else vit.B16)
    model = SignModel(tower, dim, world.sentences, classes)
    learn.load(model, file)
    return model
