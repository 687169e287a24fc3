"""Named, typed recipes of the paper's strategies, and the losses they differ in."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from .merge import Adwe
from .model import SCALE, SignModel

SMOOTHING = 0.1


@dataclass(frozen=True)
class Strategy:
    """One row of the comparison. All share data, seeds and budget.

    `kind`: zero_shot, linear_probe, fine_tune, contrastive or classic. WiSE-FT needs no run of its
    own: it is made of the weights before and after `fine_tune`.
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
    tiny: bool = False

    def debug(self) -> "Strategy":
        """The same code on a tiny tower with random weights: seconds, and no more than a smoke."""
        images = min(self.images, 1200)
        return replace(self, images=images, learning_rate=1e-3, size_px=48, tiny=True)


def _adwe(name, **how) -> Strategy:
    return Strategy(name, "fine_tune", adwe=Adwe(**how))


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
        Strategy("resnet50", "classic", classic="resnet50", learning_rate=5e-4, size_px=96),
        Strategy("swin-t", "classic", classic="swin_t", learning_rate=5e-4, size_px=96),
        Strategy(
            "efficientnet-b0", "classic", classic="efficientnet_b0", learning_rate=1e-3, size_px=96
        ),
    )
}  # fmt: skip


def classification_loss(model: SignModel, embeddings, labels) -> torch.Tensor:
    """FT: cross-entropy over the classes' best sentences."""
    return F.cross_entropy(SCALE * model.cosines(embeddings), labels, label_smoothing=SMOOTHING)


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


LOSSES = {"fine_tune": classification_loss, "contrastive": contrastive_loss}
