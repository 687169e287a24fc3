"""Named training runs. `python -m detector.train --recipe NAME` runs one of them."""

from dataclasses import dataclass, field

from .augment import AugmentConfig


@dataclass(frozen=True)
class Recipe:
    steps: int
    batch: int = 8
    learning_rate: float = 6e-4
    warm_up_steps: int = 100
    weight_decay: float = 0.02
    average_decay: float = 0.9985
    checkpoint_every: int = 250
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)


RECIPES = {
    # One core: about 40 minutes.
    "edge": Recipe(steps=3600),
    # Goes on from weights of `edge`.
    "polish": Recipe(steps=1500, seed=3, learning_rate=8e-4, checkpoint_every=100),
    # A few seconds on the synthetic pictures of the tests.
    "debug": Recipe(
        steps=60,
        batch=4,
        warm_up_steps=5,
        average_decay=0.9,
        checkpoint_every=60,
        augment=AugmentConfig(size_px=128),
    ),
}
