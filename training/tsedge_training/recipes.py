"""Named, complete recipes of a run. `python -m tsedge_training train --recipe NAME --out DIR`."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """`images` is the number of pictures seen; one step takes `batch` of them."""

    name: str
    images: int
    batch: int
    learning_rate: float
    size_px: int
    dim: int
    channels: tuple[int, int, int, int]
    blocks: tuple[int, int]
    drawings_per_class: int
    empty_pictures: int
    prototypes: int
    seed: int = 0
    threads: int = 1


EDGE_48 = Recipe(
    name="edge-48",
    images=800_000,
    batch=96,
    learning_rate=2e-3,
    size_px=48,
    dim=192,
    channels=(32, 64, 128, 192),
    blocks=(1, 1),
    drawings_per_class=220,
    empty_pictures=10_000,
    prototypes=24,
)

# The same for a GPU, and a larger net that needs one: 3.3 times the arithmetic.
EDGE_48_LONG = replace(
    EDGE_48, name="edge-48-long", images=6_000_000, batch=384, learning_rate=3e-3
)
EDGE_56 = replace(
    EDGE_48_LONG, name="edge-56", size_px=56, channels=(40, 80, 160, 256), blocks=(2, 2)
)
EDGE_56_WIDE = replace(EDGE_56, name="edge-56-wide", blocks=(1, 1))
EDGE_56_DEEP = replace(EDGE_56, name="edge-56-deep", channels=(32, 64, 128, 208))

# The same path in under two minutes, for tests: far better than chance, far worse than edge-48.
DEBUG = Recipe(
    name="debug",
    images=32_000,
    batch=64,
    learning_rate=3e-3,
    size_px=48,
    dim=64,
    channels=(12, 24, 48, 64),
    blocks=(1, 0),
    drawings_per_class=8,
    empty_pictures=400,
    prototypes=8,
)

RECIPES = {r.name: r for r in (EDGE_48, EDGE_48_LONG, EDGE_56, EDGE_56_WIDE, EDGE_56_DEEP, DEBUG)}
