import numpy as np
import torch

from tsedge_training import bank, blend, train
from tsedge_training.catalogue import BACKGROUND
from tsedge_training.paths import MODELS
from tsedge_training.recipes import EDGE_56_DEEP as SHIPPED


def _pictures(rng, count=40):
    images = rng.integers(0, 256, (count, 64, 64, 3), np.uint8)
    keys = np.array(["stop", BACKGROUND] * (count // 2))
    source = np.array([bank.PHOTO, bank.EMPTY] * (count // 2))
    none = np.full(count, -1)
    return bank.Bank(images, keys, none, source, np.zeros(count, bool), np.array([""] * count))


def test_a_blend_lies_between_its_ends(tmp_path, prompts, rng, monkeypatch):
    monkeypatch.setattr(train, "WARM_PICTURES", 64)
    torch.manual_seed(1)
    run = train.new_model(SHIPPED, prompts)
    train.save(run, tmp_path / "model.pt")
    pictures = _pictures(rng)

    def weight(share):
        made = blend.blended(
            SHIPPED, prompts, pictures, tmp_path, MODELS, share, np.random.default_rng(0)
        )
        return made.encoder.features[0][0].weight

    start, half, end = (weight(share) for share in (0.0, 0.5, 1.0))
    assert torch.equal(end, run.encoder.features[0][0].weight)
    assert not torch.equal(start, end)
    assert torch.allclose(half, (start + end) / 2)
