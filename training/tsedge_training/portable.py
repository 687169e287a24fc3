"""All that an encoder's training reads, in one folder: for a machine with a GPU and nothing else.

It may reach no registry and no data, and take little at a time: pictures are small WebP files one
behind the other, sentences come embedded, and what is large is cut into parts.
"""

import json
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np

from . import paraphrases, parts, text
from .bank import Bank
from .catalogue import Catalogue
from .recipes import Recipe
from .train import Embed

PICTURES, SENTENCES, RECORD = "bank.npz", "sentences.npz", "record.json"
QUALITY = 88


def write(folder: Path, bank: Bank, catalogue: Catalogue, recipe: Recipe, record: dict) -> None:
    """`record` is what run.json will say of the data."""
    folder.mkdir(parents=True, exist_ok=True)
    coded = [_coded(image) for image in bank.images]
    columns = {f.name: getattr(bank, f.name) for f in fields(Bank) if f.name != "images"}
    ends = np.cumsum([len(c) for c in coded])
    np.savez_compressed(folder / PICTURES, webp=np.concatenate(coded), ends=ends, **columns)
    parts.split(folder / PICTURES)
    wordy = paraphrases.extended(catalogue, recipe.seed)
    words = {s for sign in wordy.world.classes for s in sign.sentences} | set(bank.caption)
    words = sorted(str(word) for word in words)
    np.savez_compressed(folder / SENTENCES, words=np.array(words), rows=text.embed(words))
    (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")


def read(folder: Path) -> tuple[Bank, Embed, dict]:
    with np.load(parts.joined(folder / PICTURES)) as stored:
        table = {k: stored[k] for k in stored.files}
    webp, ends = table.pop("webp"), table.pop("ends")
    starts = np.r_[0, ends[:-1]]
    images = np.stack([_decoded(webp[a:b]) for a, b in zip(starts, ends, strict=True)])
    with np.load(folder / SENTENCES) as stored:
        rows, number = stored["rows"], {word: i for i, word in enumerate(stored["words"].tolist())}
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))

    def embed(sentences: list[str]) -> np.ndarray:
        return rows[[number[sentence] for sentence in sentences]]

    return Bank(images, **table), embed, record


def _coded(rgb: np.ndarray) -> np.ndarray:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].ravel()


def _decoded(webp: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(webp, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
