"""One task by one strategy and seed: prepare, train, judge; the result as rows of figures."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .. import augment
from ..precision import bf16_is_quicker, forward_pass
from . import classic, drift, learn, merge, metrics, protocols, vit, weights
from .benchmark import Benchmark
from .model import SCALE, Sentences, SignModel, align, linear_probe
from .pictures import DRAWING, EMPTY, TEST, VALIDATION, Pictures
from .protocols import Task
from .strategies import SMOOTHING, WISE_FROM, Strategy, loss_of
from .views import Views

JUDGED_AT_ONCE = {"cpu": 64, "cuda": 512}
ALIGNED_PER_CLASS = 24
DRIFT_CAP = 4  # crops of each region and class, 24 times over


@dataclass(frozen=True)
class World:
    """What all runs share. `cap` thins test crops by region and class (None: all).

    With `views` nothing is cut or changed while a run goes on. `embedded`: test crops of each
    region and class whose embeddings a kept run leaves for the class-separation picture.
    """

    pictures: Pictures
    sentences: Sentences
    benchmark: Benchmark
    device: torch.device
    workers: int = 0
    cap: int | None = None
    drift: bool = False
    views: Views | None = None
    pack: Path | None = None
    embedded: int | None = None
    log: Callable[[str], None] = print
    starts: dict = field(default_factory=dict)  # by size
    plain: dict = field(default_factory=dict)  # with views: all pictures, by size
    changed: dict = field(default_factory=dict)  # crops of the drift protocol


@dataclass(frozen=True)
class Start:
    """What every run starts from: CLIP's tower, and a text side aligned on official drawings.

    `features`: [N, D] of the tower, each made when first asked for; nan before.
    """

    model: SignModel
    features: torch.Tensor


@dataclass(frozen=True)
class Frozen:
    """What `head` makes of the start's features."""

    start: Start
    head: Callable

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.start.model.features(pixels))


@torch.inference_mode()
def forward(world: World, what: Callable, rows: np.ndarray, size_px: int,
            change: tuple[str, int] | None = None) -> torch.Tensor:  # fmt: skip
    """`what` of the pictures as the runtime would cut them, in batches; `change` as of drift."""
    if isinstance(what, Frozen) and not change:
        return what.head(features(world, what.start, rows, size_px))
    at_once = JUDGED_AT_ONCE[world.device.type]
    out = []
    for i in range(0, len(rows), at_once):
        pixels = cut(world, rows[i : i + at_once], size_px, change and (*change, i))
        out.append(what(pixels.to(world.device).permute(0, 3, 1, 2).float()).float())
    return torch.cat(out)


@torch.inference_mode()
def features(world: World, start: Start, rows: np.ndarray, size_px: int) -> torch.Tensor:
    wanted = torch.from_numpy(rows).to(world.device)
    new = torch.unique(wanted[start.features[wanted, 0].isnan()])
    if len(new):
        made = forward(world, start.model.features, new.cpu().numpy(), size_px)
        start.features[new] = made
    return start.features[wanted]


def cut(world: World, rows: np.ndarray, size_px: int, change: tuple | None) -> torch.Tensor:
    """[N, S, S, 3] u8. `change` as of drift.changed: of the same crops, whoever is judged."""
    if change:
        made = (size_px, *change, len(rows))
        if made not in world.changed:
            plain = augment.plain(world.pictures.images[rows], size_px)
            world.changed[made] = torch.from_numpy(drift.changed(plain, *change))
        return world.changed[made]
    if not world.views:
        return torch.from_numpy(augment.plain(world.pictures.images[rows], size_px))
    if size_px not in world.plain:
        world.plain[size_px] = torch.from_numpy(augment.plain(world.pictures.images, size_px))
    return world.plain[size_px][torch.from_numpy(rows)]


def labels_of(world: World, rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(world.pictures.label[rows].astype(np.int64)).to(world.device)


def classes_of(world: World, rows: np.ndarray) -> torch.Tensor:
    return labels_of(world, rows).unique()


def start(world: World, strategy: Strategy) -> Start:
    """No sign photo was seen."""
    made = (strategy.size_px, strategy.tiny)
    if made not in world.starts:
        torch.manual_seed(0)
        if strategy.tiny:
            tower, dim = vit.ViT(strategy.size_px, vit.TINY), vit.TINY.dim
        else:
            tower, dim = weights.tower(strategy.size_px), vit.B16.dim
        model = SignModel(tower, dim, world.sentences, len(world.benchmark.classes))
        model.to(world.device).eval()
        unknown = torch.full((len(world.pictures.images), dim), torch.nan, device=world.device)
        begun = Start(model, unknown)
        drawn = protocols.drawn(world.pictures, DRAWING)
        rows = protocols.thinned(drawn, world.pictures, ALIGNED_PER_CLASS)
        shown = features(world, begun, rows, strategy.size_px)
        align(model, shown, labels_of(world, rows))
        world.starts[made] = begun
    return world.starts[made]


def zero_shot(world: World, strategy: Strategy) -> SignModel:
    """The start's model, to be trained."""
    return deepcopy(start(world, strategy).model)


def judge(world: World, score: Callable, rows: np.ndarray, size_px: int,
          change: tuple[str, int] | None = None) -> metrics.Scored:  # fmt: skip
    pictures = world.pictures
    logits = forward(world, score, rows, size_px, change).cpu().numpy()
    columns = (getattr(pictures, name)[rows] for name in ("label", "region", "side_px"))
    return metrics.Scored(logits, *columns)


@dataclass(frozen=True)
class Judge:
    """Judges any scoring function on the crops of one task."""

    world: World
    task: Task
    size_px: int
    known: frozenset[int]

    def _rows(self, rows):
        return protocols.thinned(rows, self.world.pictures, self.world.cap)

    def score(self, score: Callable, rows: np.ndarray) -> metrics.Scored:
        return judge(self.world, score, self._rows(rows), self.size_px)

    def accuracy(self, score: Callable, rows: np.ndarray) -> float:
        if not len(rows):
            return 0.0
        got = self.score(score, rows)
        return float((got.predicted == got.label).mean())

    def full(self, score: Callable) -> dict:
        world, task, pictures = self.world, self.task, self.world.pictures
        test = self.score(score, protocols.test(pictures, world.benchmark))
        validation = self.score(score, protocols.validation(task, pictures, world.benchmark))
        abroad = protocols.abroad(task, pictures, world.benchmark)
        cap = world.cap and 50 * world.cap
        empty = [
            judge(world, score, np.flatnonzero((pictures.source == EMPTY)
                  & (pictures.role == role))[:cap], self.size_px)
            for role in (VALIDATION, TEST)
        ]  # fmt: skip
        trained = set(task.regions) | ({task.shot_region} if task.shots else set())
        out = metrics.summary(
            test, validation, tuple(empty), world.benchmark.regions, trained, set(self.known)
        )
        out["validation_abroad_top1"] = (
            metrics.percent(self.accuracy(score, abroad)) if len(abroad) else None
        )
        out["predictions"] = metrics.packed(test)
        if world.drift and task.protocol == "all":
            out["drift"] = self._drift(score)
        return out

    def _drift(self, score: Callable) -> dict:
        """Top-1 by kind, a figure for each strength."""
        world, spec = self.world, self.world.benchmark.protocols["drift"]
        rows = protocols.test(world.pictures, world.benchmark)
        rows = protocols.thinned(rows, world.pictures, DRIFT_CAP)
        out = {}
        for kind in spec["kinds"]:
            changed = [
                judge(world, score, rows, self.size_px, (kind, s)) for s in spec["strengths"]
            ]
            out[kind] = [metrics.percent((c.predicted == c.label).mean()) for c in changed]
        return out


def prepared(world: World, task: Task, strategy: Strategy,
             seed: int) -> tuple[Judge, np.ndarray, dict]:  # fmt: skip
    """The judge of a task, the pictures to learn from, and what every row of its results says."""
    chosen = protocols.training(task, world.pictures, world.benchmark, seed)
    known = frozenset(np.unique(world.pictures.label[chosen]).tolist())
    made = {
        "task": task.name, "protocol": task.protocol, "seed": seed, "strategy": strategy.name,
        "recipe": asdict(strategy), "pictures": len(chosen), "test_cap": world.cap,
        "sentences": len(world.sentences.label),
        "device": _device_name(world.device),
    }  # fmt: skip
    return Judge(world, task, strategy.size_px, known), chosen, made


def batches(world: World, strategy: Strategy, chosen: np.ndarray, seed: int):
    return learn.batches(
        world.pictures, strategy, chosen, seed, world.device, world.views, world.workers
    )


def embeddings(world: World, folder: Path | None, name: str, embed: Callable,
               size_px: int) -> None:  # fmt: skip
    """Leaves FOLDER/NAME.npz for `separation`, if these are wanted."""
    if folder and world.embedded:
        rows = protocols.test(world.pictures, world.benchmark)
        rows = protocols.thinned(rows, world.pictures, world.embedded)
        found = forward(world, embed, rows, size_px).cpu().numpy().astype(np.float16)
        np.savez(folder / f"{name}.npz", embeddings=found, label=world.pictures.label[rows])


def run(world: World, task: Task, strategy: Strategy, seed: int,
        folder: Path | None = None) -> Iterator[dict]:  # fmt: skip
    """Rows of results: one for the strategy, for FT also those of WiSE-FT by alpha."""
    judged, chosen, made = prepared(world, task, strategy, seed)
    size_px = strategy.size_px
    if strategy.kind == "classic":
        yield made | _classic(world, judged, strategy, chosen, seed, folder)
        return
    if strategy.kind in ("zero_shot", "linear_probe"):
        begun = start(world, strategy)
        if strategy.kind == "linear_probe":
            head = _probe(world, begun, chosen, size_px)
        else:
            embeddings(world, folder, strategy.name, Frozen(begun, begun.model.placed), size_px)
            head = _nearest(begun.model)
        yield made | judged.full(Frozen(begun, head))
        return
    model = zero_shot(world, strategy)

    def score(pixels):
        return SCALE * model.cosines(model.embed(pixels))

    before = {k: v.clone() for k, v in model.state_dict().items()}
    asked = protocols.validation(task, world.pictures, world.benchmark)
    if strategy.adwe and strategy.adwe.schedule == "validated":
        abroad = protocols.abroad(task, world.pictures, world.benchmark)
        asked = abroad if len(abroad) else asked
    loss = loss_of(strategy, classes_of(world, chosen))

    def train() -> learn.Outcome:
        return learn.train(
            model, strategy, loss, batches(world, strategy, chosen, seed), seed,
            accuracy_of=lambda: judged.accuracy(score, asked),
            checkpoint=folder and folder / "checkpoint.pt", log=world.log,
        )  # fmt: skip

    cost = learn.trained(model, strategy, train, folder)
    spent = {"seconds": round(cost.seconds, 1), "steps": cost.steps, "betas": cost.betas}
    embeddings(world, folder, strategy.name, model.embed, size_px)
    yield made | spent | judged.full(score)
    if strategy.name in WISE_FROM:
        yield from _wise(judged, model, before, score, made | spent, folder)


def _wise(judged: Judge, model: SignModel, before: dict, score: Callable, made: dict,
          folder: Path | None):  # fmt: skip
    """Alpha is chosen on validation crops of tuning regions abroad, then tested once."""
    world = judged.world
    after = {k: v.clone() for k, v in model.state_dict().items()}
    abroad = protocols.abroad(judged.task, world.pictures, world.benchmark)
    inside = protocols.validation(judged.task, world.pictures, world.benchmark)
    curve = []
    for alpha in merge.ALPHAS:
        model.load_state_dict(merge.wise(before, after, alpha))
        curve.append(
            {
                "alpha": alpha,
                "validation_home": metrics.percent(judged.accuracy(score, inside)),
                "validation_abroad": metrics.percent(judged.accuracy(score, abroad)),
            }
        )
    best = max(curve[:-1], key=lambda p: (p["validation_abroad"], p["validation_home"]))["alpha"]
    for alpha in dict.fromkeys((best, 0.5)):
        model.load_state_dict(merge.wise(before, after, alpha))
        name = "wise-0.5" if alpha == 0.5 else "wise-tuned"
        name += WISE_FROM[made["strategy"]]
        embeddings(world, folder, name, model.embed, judged.size_px)
        yield made | {"strategy": name, "alpha": alpha, "curve": curve} | judged.full(score)
    model.load_state_dict(after)


def _nearest(model: SignModel) -> Callable:
    return lambda features: SCALE * model.cosines(model.placed(features))


def _probe(world: World, begun: Start, chosen: np.ndarray, size_px: int) -> Callable:
    """LP: a ridge classifier on the frozen tower; classes without pictures are never named."""
    rows = chosen if world.cap is None else protocols.thinned(chosen, world.pictures, 4 * world.cap)
    shown = features(world, begun, rows, size_px) - begun.model.centre
    labels = labels_of(world, rows)
    probe = linear_probe(shown, labels, len(world.benchmark.classes))
    missing = torch.bincount(labels, minlength=len(probe)) == 0
    return lambda found: (10 * begun.model.placed(found) @ probe.T).masked_fill(missing, -100.0)


def _classic(world, judged, strategy, chosen, seed, folder) -> dict:
    torch.manual_seed(seed)
    model, start = classic.make(strategy, len(world.benchmark.classes), world.pack)
    model.to(world.device)

    def score(pixels):
        with forward_pass(world.device):
            return model(pixels).float()

    def loss(m, pixels, labels, *_):
        return F.cross_entropy(score(pixels), labels, label_smoothing=SMOOTHING)

    def train() -> learn.Outcome:
        return learn.train(
            model, strategy, loss, batches(world, strategy, chosen, seed), seed,
            checkpoint=folder and folder / "checkpoint.pt", log=world.log,
        )  # fmt: skip

    cost = learn.trained(model, strategy, train, folder)
    spent = {"seconds": round(cost.seconds, 1), "steps": cost.steps, "start": start}
    embeddings(world, folder, strategy.name, score, strategy.size_px)
    return spent | judged.full(score)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    precision = "bf16" if bf16_is_quicker("cpu") else "fp32"
    return f"cpu, {torch.get_num_threads()} thread, {precision}"
