"""What needs the data folder (TSEDGE_DATA)."""

import numpy as np
import pytest
import torch
from torch import nn

from detector import pretrained, scenes
from detector.evaluate import evaluate
from detector.inference import onnx_runner
from tsedge_training.paths import MODELS, data_root

pytestmark = pytest.mark.data


def test_training_and_validation_frames_are_apart() -> None:
    train = {scene.name for scene in scenes.gtsdb_train(data_root())}
    validation = scenes.gtsdb_validation(data_root())
    assert len(train) == 500 and len(validation) == 100
    assert not train & {scene.name for scene in validation}
    assert sum(len(scene.ignore) for scene in validation) == 26


def test_the_smaller_stem_says_what_the_old_one_said() -> None:
    pictures = [scene.image for scene in scenes.gtsdb_train(data_root())[:6]]
    source = pretrained.convolutions(data_root() / "detectors" / "yolox_nano_coco_416.onnx")
    stem = nn.Conv2d(3, 16, 4, 2, 1)
    stem.weight.data, stem.bias.data = pretrained.fit_stem(stem, source[pretrained.STEM], pictures)
    rgb = torch.from_numpy(pictures[0][:576]).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        wanted, got = pretrained.old_stem(rgb, source[pretrained.STEM]), stem(rgb)
    explained = 1 - (wanted - got).pow(2).mean((0, 2, 3)) / wanted.var((0, 2, 3))
    assert explained.mean() > 0.9


def test_the_shipped_model_is_as_good_as_its_card_says() -> None:
    import tomllib

    card = tomllib.loads((MODELS / "detector.toml").read_text())
    said = card["provenance"]["metrics_int8"]
    report = evaluate(onnx_runner(MODELS / "detector.onnx"), data_root(), said["size_px"])
    assert np.isclose(report["ap50"], said["ap50"], atol=0.01)
