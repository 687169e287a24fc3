"""Named, typed recipes of the paper's strategies, and the losses they differ in."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from . import students
from .merge import Adwe
from .model import SCALE, SignModel

SMOOTHING = 0.1
TEACHER = "adwe-decaying"
# What WiSE-FT is made of, and how the rows of it end.
WISE_FROM = {"ft": "", "ft-shown": "-shown", "adwe-decaying-shown": "-adwe-shown"}
TUNED = ("fine_tune", "fine_tune_shown", "contrastive")  # kinds that tune the tower


@dataclass(frozen=True)
class Strategy:
    """One row of the comparison. All share data, seeds and budget.

    `kind`: zero_shot, linear_probe, fine_tune, fine_tune_shown, contrastive, classic or student.
    WiSE-FT needs no run of its own: it is made of the weights before and after `fine_tune`. A
    student learns from the weights of the strategy `teacher` in the same task, or alone.
    """

    name: str
    kind: str
    images: int = 14_000
    batch: int = 32
    learning_rate: float = 1e-4
    head_rate: float = 1e-3
    layer_decay: float = 0.8
    weight_decay: float = 0.05
    size_px: int = 80
    adwe: Adwe | None = None
    classic: str | None = None
    student: str | None = None
    teacher: str | None = None
    tiny: bool = False

    def debug(self) -> "Strategy":
        """The same code on a tiny tower with random weights: seconds, and no more than a smoke."""
        images, batch = min(self.images, 1200), min(self.batch, 32)
        return replace(self, images=images, batch=batch, learning_rate=1e-3, size_px=48, tiny=True)


def _adwe(name, **how) -> Strategy:
    return Strategy(name, "fine_tune", adwe=Adwe(**how))


def _students() -> list[Strategy]:
    """Each with the teacher of its task and, "-alone", by the labels only."""
    return [
        Strategy(
            f"student-{name}{suffix}", "student", images=600_000, batch=512,
            learning_rate=1e-3 if shape.attention else 2e-3, size_px=shape.size_px, student=name,
            teacher=teacher,
        )
        for name, shape in students.SHAPES.items()
        for suffix, teacher in (("", TEACHER), ("-alone", None))
    ]  # fmt: skip


STRATEGIES = {
    s.name: s
    for s in (
        Strategy("zero-shot", "zero_shot", images=0),
        Strategy("lp", "linear_probe", images=0),
        Strategy("ft", "fine_tune"),
        Strategy("flyp", "contrastive"),
        _adwe("adwe-constant"),
        _adwe("adwe-decaying", schedule="decaying"),
        _adwe("adwe-accuracy", schedule="accuracy"),
        _adwe("adwe-constant-step", per_step=True),
        _adwe("adwe-decaying-step", schedule="decaying", per_step=True),
        Strategy("ft-shown", "fine_tune_shown"),
        Strategy("adwe-decaying-shown", "fine_tune_shown", adwe=Adwe(schedule="decaying")),
        Strategy("adwe-constant-0.3-shown", "fine_tune_shown", adwe=Adwe(beta=0.3)),
        Strategy("adwe-validated-shown", "fine_tune_shown", adwe=Adwe(schedule="validated")),
        Strategy("ft-lr-5e-5", "fine_tune", learning_rate=5e-5),
        Strategy("ft-lr-2e-4", "fine_tune", learning_rate=2e-4),
        _adwe("adwe-decaying-0.05", beta=0.05, schedule="decaying"),
        _adwe("adwe-decaying-0.3", beta=0.3, schedule="decaying"),
        Strategy(
            "efficientnet-lite2", "classic", classic="efficientnet_lite2", learning_rate=1e-3,
            size_px=128,
        ),
        Strategy(
            "efficientnet-lite2-3e-3", "classic", classic="efficientnet_lite2",
            learning_rate=3e-3, size_px=128,
        ),
        Strategy("resnet50", "classic", classic="resnet50", learning_rate=5e-4, size_px=96),
        Strategy("swin-t", "classic", classic="swin_t", learning_rate=5e-4, size_px=96),
        Strategy(
            "efficientnet-b0", "classic", classic="efficientnet_b0", learning_rate=1e-3, size_px=96
        ),
        *_students(),
    )
}  # fmt: skip


def loss_of(strategy: Strategy, shown: torch.Tensor) -> Callable:
    """What a run minimises whose pictures show the classes `shown`, sorted."""
    answers = shown if strategy.kind == "fine_tune_shown" else None

    def loss(model: SignModel, pixels, labels, *_):
        embeddings = model.embed(pixels)
        if strategy.kind == "contrastive":
            return contrastive_loss(model, embeddings, labels)
        return classification_loss(model, embeddings, labels, answers)

    return loss


def classification_loss(model: SignModel, embeddings, labels, answers=None) -> torch.Tensor:
    """FT: cross-entropy over the classes' best sentences.

    With `answers`, class numbers in order, no other class's text is told that it is wrong.
    """
    cosines = model.cosines(embeddings)
    if answers is not None:
        cosines, labels = cosines[:, answers], torch.searchsorted(answers, labels)
    return F.cross_entropy(SCALE * cosines, labels, label_smoothing=SMOOTHING)


def contrastive_loss(model: SignModel, embeddings, labels) -> torch.Tensor:
    """FLYP: the pretraining's loss, pictures against one sentence each, both ways.

    Pictures of one class are each other's positives: with 46 classes and 32 pictures most batches
    hold some twice.
    """
    noise = torch.rand(len(labels), model.table.shape[1], device=labels.device)
    pick = noise.masked_fill(~model.active[labels], -1).argmax(1)
    sentences = model.vectors()[model.table[labels, pick]]
    logits = SCALE * embeddings @ sentences.T
    same = (labels[:, None] == labels[None]).float()
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
