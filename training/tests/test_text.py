import tomllib

import numpy as np
import pytest
import torch
from safetensors import safe_open

from tsedge_training import cards, packs, text, text_export
from tsedge_training.paths import MODELS

SENTENCES = [
    "a red octagon with the white word STOP",
    "turn left only",
    "turn right only",
    "Zulässige Höchstgeschwindigkeit 80 km/h",
]


def test_the_card_describes_text_encoder_and_tokenizer():
    card = tomllib.loads((MODELS / "text.toml").read_text(encoding="utf-8"))
    file = MODELS / card["file"]
    assert (card["sha256"], card["size_bytes"]) == (cards.sha256(file), file.stat().st_size)
    assert card["text"]["tokenizer_sha256"] == cards.sha256(MODELS / card["text"]["tokenizer"])
    assert text.embed(SENTENCES).shape == (4, card["output"]["dim"])


def test_a_sentence_has_one_embedding_whatever_its_neighbours():
    together = text.embed([*SENTENCES, "a much longer sentence that pads all the others " * 3])
    alone = np.concatenate([text.embed([s]) for s in SENTENCES])
    assert np.abs(together[:4] - alone).max() < 1e-4
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5
    assert (alone @ alone.T)[np.triu_indices(4, 1)].max() < 0.995


def test_the_text_head_belongs_to_encoder_and_text_encoder():
    with safe_open(MODELS / "text_head.safetensors", "numpy") as file:
        metadata = file.metadata()
        mean, matrix = file.get_tensor("mean"), file.get_tensor("matrix")
    assert metadata["format"] == "tsedge-text-head/1"
    assert metadata["encoder_sha256"] == cards.sha256(MODELS / "encoder.onnx")
    assert metadata["text_sha256"] == cards.sha256(text.MODEL)
    card = tomllib.loads((MODELS / "encoder.toml").read_text(encoding="utf-8"))
    assert mean.shape == (text.WIDTH,)
    assert matrix.shape == (text.WIDTH, card["output"]["dim"])


def test_the_text_head_makes_the_rows_of_the_packs(prompts):
    with safe_open(MODELS / "text_head.safetensors", "numpy") as file:
        mean, matrix = file.get_tensor("mean"), file.get_tensor("matrix")
    pack = packs.read(MODELS / "packs" / "DE.safetensors")
    sentences = {s for sign in prompts.regions["DE"].classes for s in sign.sentences}
    rows = (text.embed(sorted(sentences)) - mean) @ matrix
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert len(rows) == len(pack.text)
    assert (rows @ pack.text.T).max(0).min() > 0.999


@pytest.mark.data  # fetches the weights on first use
def test_the_file_computes_what_torch_computes():
    model = text_export.load()
    ids, mask = text.tokens(SENTENCES)
    with torch.inference_mode():
        expected = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    assert np.abs(text.embed(SENTENCES) - expected).max() < 1e-4
