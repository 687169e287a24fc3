"""Sentences -> 384-d embeddings by all-MiniLM-L6-v2, and their whitening.

The reference is `models/text.onnx`, whose weights are int8: Python and the runtime embed by the
same file. `text_export` makes it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from . import onnx_session
from .paths import MODELS

WIDTH, MAX_TOKENS = 384, 128
MODEL, TOKENIZER = MODELS / "text.onnx", MODELS / "tokenizer.json"
BATCH = 64


@cache
def _session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        file, onnx_session.options(), providers=["CPUExecutionProvider"]
    )


def tokens(sentences: list[str], tokenizer: Path = TOKENIZER) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask, [N, T] i64; padding and truncation are the file's own."""
    encoded = Tokenizer.from_file(str(tokenizer)).encode_batch(sentences)
    ids = np.array([e.ids for e in encoded], np.int64)
    return ids, np.array([e.attention_mask for e in encoded], np.int64)


def embed(sentences: list[str]) -> np.ndarray:
    """[N, 384] f32, unit rows: mean of the last layer over the tokens."""
    parts = []
    for at in range(0, len(sentences), BATCH):
        ids, mask = tokens(sentences[at : at + BATCH])
        inputs = {"input_ids": ids, "attention_mask": mask}
        parts.append(_session(MODEL).run(["embedding"], inputs)[0])
    return np.concatenate(parts)


@dataclass(frozen=True)
class Whitening:
    """x -> (x - mean) @ matrix.

    MiniLM hardly tells "left" from "right" or 60 from 80 (cosines above .99): the directions in
    which the prompts differ little are stretched, up to a floor, before the trained projection.
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, embeddings: np.ndarray, floor: float = 3e-4) -> "Whitening":
        mean = embeddings.mean(0)
        centred = embeddings - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(embeddings))
        matrix = vectors / np.sqrt(values.clip(0) + floor)
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        return ((embeddings - self.mean) @ self.matrix).astype(np.float32)
