"""Figures of a trained model before export: each region's test split against its own text rows."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from . import augment, data, evaluate, packs
from .catalogue import Catalogue
from .train import Model

MACRO_REGIONS = ["DE", "BE", "CN", "RU", "PL", "IT", "HR"]
BATCH = 256


@torch.inference_mode()
def embed(model: Model, pictures: np.ndarray) -> np.ndarray:
    """[N, S, S, 3] u8 -> [N, D] unit rows, by torch."""
    parts = []
    for at in range(0, len(pictures), BATCH):
        pixels = torch.from_numpy(pictures[at : at + BATCH]).permute(0, 3, 1, 2).float()
        parts.append(model.encoder(pixels).numpy())
    return np.concatenate(parts)


def plain_pack(model: Model, catalogue: Catalogue, code: str) -> packs.Pack:
    """The rows of one region, uncalibrated."""
    region = catalogue.world if code == data.WORLD else catalogue.regions[code]
    with torch.no_grad():
        rows = model.head.rows().numpy()
    return packs.assemble(
        region, model.table.keys, rows, len(model.table.sentences),
        model.table.rows_of(code), packs.Calibration(20.0, 0.0, -1.0),
    )  # fmt: skip


def report(model: Model, size_px: int, catalogue: Catalogue, root: Path,
           regions: list[str]) -> dict:  # fmt: skip
    """Top-1 and macro-F1 (%) a region, with the commonest mistakes."""
    crops = [c for c in data.manifest(root) if c.split == "test" and c.region in regions]
    embeddings = embed(model, augment.plain(data.read_crops(root, crops), size_px))
    every, truths = np.array([c.region for c in crops]), np.array([c.key for c in crops])
    out = {}
    for code in regions:
        pack = plain_pack(model, catalogue, code)
        mine = every == code
        truth = truths[mine]
        named = np.array(pack.keys())[pack.judge(embeddings[mine]).best]
        wrong = Counter(zip(truth[named != truth], named[named != truth], strict=True))
        out[code] = {
            "top1": round(100 * float((named == truth).mean()), 2),
            "macro_f1": round(100 * evaluate.macro_f1(truth, named), 2),
            "mistakes": [f"{a} as {b}: {n}" for (a, b), n in wrong.most_common(12)],
        }
        print(code, out[code], flush=True)
    out["macro_top1"] = round(float(np.mean([out[code]["top1"] for code in regions])), 2)
    print("macro top-1", out["macro_top1"], flush=True)
    return out
