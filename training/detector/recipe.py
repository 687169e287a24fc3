"""Named training runs. `python -m detector.train --recipe NAME` runs one of them."""

from dataclasses import dataclass, field

from .augment import AugmentConfig


@dataclass(frozen=True)
class Recipe:
    steps: int
    batch: int = 8
    learning_rate: float = 5e-4
    warm_up_steps: int = 50
    weight_decay: float = 0.02
    average_decay: float = 0.995
    checkpoint_seconds: float = 30
    seed: int = 0
    # ReLU replaces SiLU by this share of the run; 0 starts from weights that have ReLU already.
    fade_in_relu: float = 0.0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


RECIPES = {
    # One core: about 55 minutes.
    "edge": Recipe(steps=5500, fade_in_relu=0.2),
    # Goes on from weights of `edge`.
    "polish": Recipe(steps=4000, seed=3, learning_rate=3.5e-4),
    # Goes on from weights of `polish` on a GPU with worker processes; `--minutes` ends it.
    "long": Recipe(
        steps=40_000,
        batch=64,
        learning_rate=1e-3,
        warm_up_steps=200,
        average_decay=0.998,
        seed=7,
        augment=AugmentConfig(size_px=384),
    ),
    # A few seconds on the synthetic pictures of the tests.
    "debug": Recipe(
        steps=60,
        batch=4,
        learning_rate=2e-3,
        warm_up_steps=5,
        average_decay=0.9,
        augment=AugmentConfig(size_px=128),
    ),
}
