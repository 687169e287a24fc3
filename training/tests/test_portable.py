import numpy as np
import pytest

from tsedge_training import paraphrases, parts, portable, text, train
from tsedge_training.bank import DRAWING, PHOTO, Bank
from tsedge_training.recipes import DEBUG


def test_a_bank_comes_back_from_its_folder(rng, prompts, tmp_path):
    smooth = rng.integers(0, 256, (6, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    bank = Bank(
        images=smooth,
        keys=np.array(["stop", "yield", "stop", "no_entry", "stop", "background"]),
        region=np.array([0, 1, -1, 2, 0, -1]),
        source=np.array([PHOTO, PHOTO, DRAWING, PHOTO, PHOTO, PHOTO]),
        held_out=np.zeros(6, bool),
        caption=np.array(["", "", "a stop sign", "", "", ""]),
    )
    portable.write(tmp_path, bank, prompts, DEBUG, {"commit": "abc"})
    found, embed, record = portable.read(tmp_path)
    assert record == {"commit": "abc"}
    for name in ("keys", "region", "source", "held_out", "caption"):
        assert (getattr(found, name) == getattr(bank, name)).all()
    assert np.abs(found.images.astype(int) - bank.images).mean() < 12
    words = paraphrases.extended(prompts, DEBUG.seed).world.classes[0].sentences
    assert np.abs(embed([*words, "a stop sign"]) - text.embed([*words, "a stop sign"])).max() < 1e-5
    assert train.new_model(DEBUG, prompts, embed=embed).head.sentences.isfinite().all()


def test_parts_come_together_again(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART_BYTES", 10)
    file = tmp_path / "some.bin"
    file.write_bytes(bytes(range(95)))
    parts.split(file)
    assert len(list(tmp_path.iterdir())) == 10 and not file.is_file()
    assert parts.joined(file).read_bytes() == bytes(range(95))
    with pytest.raises(FileNotFoundError, match="pack it first"):
        parts.joined(tmp_path / "other.bin")
