"""What prompts are worth: a region's crops named by other sentences through the trained head.

Image prototypes of background and other_sign stay; the rows of all other classes are made anew from
the sentences of each variant. Nothing is trained.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from . import augment, catalogue, data, packs, paraphrases, protocols, text
from .catalogue import Catalogue, SignClass
from .train import Model

KEPT = (catalogue.BACKGROUND, catalogue.OTHER_SIGN)


def variants(prompts: Catalogue, code: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Name of the variant -> class -> sentences. Every class has one S, then one T."""
    base = {c.key: c for c in prompts.world.classes}
    reworded = paraphrases.extended(prompts, seed=1)
    more = {c.key: c.sentences for c in reworded.regions[code].classes}

    def each(make):
        return {c.key: make(c) for c in prompts.regions[code].classes if c.key not in KEPT}

    def looks(sign: SignClass) -> tuple[str, ...]:
        return sign.sentences[:-1] or sign.sentences

    return {
        "label": each(lambda c: (c.label_en.lower(),)),
        "label in the local language": each(lambda c: (c.label_local,)),
        "S (looks)": each(looks),
        "T (meaning)": each(lambda c: c.sentences[-1:]),
        "S + T": each(lambda c: c.sentences),
        "S + T + label": each(lambda c: (*c.sentences, c.label_en.lower())),
        "S + T of the world, not localised": each(lambda c: base[c.key].sentences[:2]),
        "S + T, ten rewordings": each(lambda c: more[c.key]),
        "S and T in one sentence": each(lambda c: (", ".join(c.sentences),)),
    }


def with_sentences(pack: packs.Pack, model: Model,
                   sentences: dict[str, tuple[str, ...]]) -> packs.Pack:  # fmt: skip
    """The pack with other text rows for the classes named."""
    keys = pack.keys()
    kept = np.array([keys[c] in KEPT for c in pack.class_of])
    flat = [(keys.index(key), s) for key, several in sentences.items() for s in several]
    whitened = model.whitening(text.embed([s for _, s in flat]))
    with torch.no_grad():
        rows = torch.nn.functional.normalize(model.head.project(torch.from_numpy(whitened)), dim=-1)
    return replace(
        pack,
        text=np.concatenate([pack.text[kept], rows.numpy()]),
        class_of=np.concatenate([pack.class_of[kept], [c for c, _ in flat]]).astype(np.int32),
    )


def table(model: Model, size_px: int, prompts: Catalogue, root: Path,
          regions: list[str]) -> dict[str, dict[str, float]]:  # fmt: skip
    """Variant -> region -> top-1 (%) on the region's test split."""
    out: dict[str, dict[str, float]] = {}
    for code in regions:
        crops = [c for c in data.manifest(root) if c.split == "test" and c.region == code]
        pictures = augment.plain(data.read_crops(root, crops), size_px)
        embeddings, truth = protocols.embed(model, pictures), np.array([c.key for c in crops])
        plain = protocols.plain_pack(model, prompts, code)
        for name, sentences in variants(prompts, code).items():
            pack = with_sentences(plain, model, sentences)
            named = np.array(pack.keys())[pack.judge(embeddings).best]
            out.setdefault(name, {})[code] = round(100 * float((named == truth).mean()), 2)
    return out
