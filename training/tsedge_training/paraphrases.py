"""More sentences for every class than the catalogue has, for training alone.

The projection must put a sentence it never read beside the pictures of its class: a new country's
prompts are new words. Looks of all countries, openings and labels are combined at random.
"""

from dataclasses import replace

import numpy as np

from .catalogue import BACKGROUND, OTHER_SIGN, Catalogue, Region, SignClass

OPENINGS = (
    "{}", "traffic sign: {}", "a photo of {}", "a road sign showing {}", "{}, seen from a car",
    "the sign is {}",
)  # fmt: skip
SWAPS = {
    "white triangle with a red border": (
        "yellow triangle with a black border", "yellow diamond with a black border",
        "yellow triangle with a red border", "red-bordered triangle", "triangular warning sign",
        "orange diamond with a black border", "warning triangle",
    ),
    "white circle with a red ring": (
        "yellow circle with a red ring", "white disc with a red border", "red ring",
        "round sign with a red edge", "circular prohibition sign", "white circle with a red border",
    ),
    "blue circle": ("blue disc", "round blue sign", "white circle with a red ring",
                    "white rectangle with a black border"),
    "blue square": ("blue rectangle", "square blue sign", "green rectangle", "white square"),
}  # fmt: skip
EXTRA = 10
LOCAL = 4  # of them at most: however many languages there are, most stay descriptions


def extended(catalogue: Catalogue, seed: int) -> Catalogue:
    """The catalogue with EXTRA more sentences a class, the same in every region that has it."""
    rng = np.random.default_rng(seed)
    known: dict[str, set[str]] = {}
    local: dict[str, set[str]] = {}
    for region in (catalogue.world, *catalogue.regions.values()):
        for sign in region.classes:
            known.setdefault(sign.key, set()).update(_variants(sign))
            local.setdefault(sign.key, set()).update(_local_variants(sign))
    more = {}
    for key, found in known.items():
        names = rng.permutation(sorted(local[key] - found))[:LOCAL].tolist()
        more[key] = (*names, *rng.permutation(sorted(found))[: EXTRA - len(names)].tolist())
    return replace(
        catalogue,
        world=_with(catalogue.world, more),
        regions={code: _with(region, more) for code, region in catalogue.regions.items()},
    )


def _with(region: Region, more: dict[str, tuple[str, ...]]) -> Region:
    classes = tuple(
        replace(c, sentences=tuple(dict.fromkeys(c.sentences + more[c.key])))
        for c in region.classes
    )
    return replace(region, classes=classes)


def _variants(sign: SignClass) -> set[str]:
    if sign.key in (BACKGROUND, OTHER_SIGN):
        return {o.format(s) for s in sign.sentences for o in OPENINGS}
    texts = [*sign.sentences, sign.label_en.lower(), f"{sign.label_en.lower()} sign"]
    if sign.value is not None:
        texts += [f"{sign.value}", f"speed limit {sign.value} sign", f"the number {sign.value}"]
    for sentence in sign.sentences:
        for look, others in SWAPS.items():
            if look in sentence:
                texts += [sentence.replace(look, other) for other in others]
    return {o.format(t) for t in texts for o in OPENINGS}


def _local_variants(sign: SignClass) -> set[str]:
    if sign.key in (BACKGROUND, OTHER_SIGN) or sign.label_local == sign.label_en:
        return set()
    return {o.format(sign.label_local) for o in OPENINGS}
