"""Temperature and thresholds of a pack, from the held-out part of the training set.

A name is judged by a track, not by one picture: each held-out picture is seen VIEWS times as a
camera and a detector would, and the views are fused as the runtime fuses a track's observations.
"""

from dataclasses import replace

import numpy as np

from .augment import augment
from .bank import DRAWING, EMPTY, FRAME_SIGN, PHOTO, Bank
from .catalogue import BACKGROUND, OTHER_SIGN
from .data import ANY_CLASS, ANY_SPEED_LIMIT, REGIONS, WORLD
from .packs import Pack

# What a detector is thought to hand over: mostly signs of the region, many things that are none.
# Drawings show the looks of all countries: few can be met in one, more where no photo tells which.
WEIGHT_OF = {PHOTO: 0.6, FRAME_SIGN: 0.05, DRAWING: 0.05, EMPTY: 0.3}
WEIGHT_ANYWHERE = {PHOTO: 0.5, FRAME_SIGN: 0.05, DRAWING: 0.15, EMPTY: 0.3}
VIEWS = 3
FEW_PHOTOS = 60
WRONG_NAME_SHARE = 0.006  # of the names given, this share may be wrong: hard pictures, world-wide
LOST_SHARE = 0.005  # of the right names, min_cosine may lose this share
# Looks that no photo of the training set shows. With the photos of two countries left out, so many
# of the names given to them were wrong at .90, .95, .97: RU .9, .7, .4 %, CN 3.3, 2.6, 2.1 %.
DRAWN_ONLY_MIN_PROBABILITY = 0.97


def fused_views(encoder, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[N, D] unit rows, each the fused embedding of VIEWS changed views of one picture."""
    total = sum(encoder(augment(images, encoder.size_px, rng)) for _ in range(VIEWS))
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def selection(bank: Bank, region: str, keys: list[str]) -> np.ndarray:
    """The pictures that can be met in a region: its own, and those of no certain region.

    A region with hardly a photo borrows those of all others, of the classes it has (`keys`).
    """
    known = ~np.isin(bank.keys, (ANY_SPEED_LIMIT, ANY_CLASS))
    if region == WORLD:
        return known
    own = bank.region == REGIONS.index(region)
    if few_photos(bank, region):
        own |= np.isin(bank.source, (PHOTO, FRAME_SIGN)) & np.isin(bank.keys, keys)
    return known & (own | (bank.region == -1))


def few_photos(bank: Bank, region: str) -> bool:
    """Whether pictures do not tell what the region's signs look like; so for the world."""
    if region == WORLD:
        return True
    photos = np.isin(bank.source, (PHOTO, FRAME_SIGN))
    return int((photos & (bank.region == REGIONS.index(region))).sum()) < FEW_PHOTOS


def targets(keys: np.ndarray, pack: Pack) -> np.ndarray:
    """Class indices; a sign whose class the pack does not have should become other_sign."""
    own = {key: i for i, key in enumerate(pack.keys())}
    return np.array([own.get(key, own[OTHER_SIGN]) for key in keys])


def weights(source: np.ndarray, weight_of: dict[int, float]) -> np.ndarray:
    out = np.zeros(len(source))
    for kind, share in weight_of.items():
        mine = source == kind
        out[mine] = share / max(1, mine.sum())
    return out / out.sum()


def fit_scale(cosines, target, weight) -> float:
    """The scale of least weighted cross-entropy."""

    def loss(scale):
        logits = scale * cosines
        log_p = logits - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
        log_p -= logits.max(1, keepdims=True)
        return -(weight * log_p[np.arange(len(target)), target]).sum()

    rough = min(np.arange(4.0, 80.0, 4.0), key=loss)
    return float(min(np.arange(max(2.0, rough - 3), rough + 3.5, 0.5), key=loss))


def fit(pack: Pack, embeddings: np.ndarray, bank: Bank, photographed: set[str],
        anywhere: bool) -> Pack:  # fmt: skip
    """`bank` and `embeddings`: the held-out pictures of `selection`, in the same order.

    `anywhere`: signs may have the looks of any country.
    """
    target = targets(bank.keys, pack)
    weight = weights(bank.source, WEIGHT_ANYWHERE if anywhere else WEIGHT_OF)
    cosines = pack.class_cosines(embeddings)
    scale = fit_scale(cosines, target, weight)
    pack = replace(
        pack,
        calibration=replace(
            pack.calibration, scale=scale, min_probability=0.0, min_cosine=-1.0,
            min_probability_of={},
        ),
    )  # fmt: skip
    verdict = pack.judge(embeddings)
    right = verdict.best == target
    floor = _threshold(verdict, right, weight)
    return replace(
        pack,
        calibration=replace(
            pack.calibration,
            min_probability=floor,
            min_cosine=round(float(np.quantile(verdict.cosine[right], LOST_SHARE)), 3),
            min_probability_of={
                c["key"]: max(floor, DRAWN_ONLY_MIN_PROBABILITY)
                for c in pack.classes
                if c["key"] not in photographed and c["family"] not in (BACKGROUND, OTHER_SIGN)
            },
        ),
    )


def _threshold(verdict, right, weight) -> float:
    """The lowest probability (from .5 up) above which few enough names are wrong."""
    for floor in np.arange(0.5, 0.96, 0.01):
        kept = verdict.named & (verdict.probability >= floor)
        if (weight * (kept & ~right)).sum() <= WRONG_NAME_SHARE * (weight * kept).sum():
            return round(float(floor), 2)
    return 0.95
