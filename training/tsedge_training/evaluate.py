"""How good the shipped files are: packs and ONNX encoder on the test splits, region by region."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from . import augment, bank, data, onnx_session
from .catalogue import BACKGROUND, OTHER_SIGN
from .packs import Pack
from .scores import calibration_error, macro_f1

SCENERY_ACCEPTED = 0.01
BIG_PX = 32


class OnnxEncoder:
    """The exported encoder on one core."""

    def __init__(self, file: Path):
        self.session = onnxruntime.InferenceSession(
            file, onnx_session.options(), providers=["CPUExecutionProvider"]
        )
        self.size_px = self.session.get_inputs()[0].shape[-1]

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """[N, S, S, 3] u8 -> [N, D] unit rows."""
        planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
        name = self.session.get_inputs()[0].name
        return np.concatenate([self.session.run(None, {name: p[None]})[0] for p in planes])


@dataclass(frozen=True)
class TestCrops:
    """The test splits of all regions, embedded as the runtime would cut them from exact boxes."""

    region: np.ndarray
    key: np.ndarray
    side_px: np.ndarray  # the sign's shorter side in the picture it was cut from
    embeddings: np.ndarray


def test_crops(encoder: OnnxEncoder, root: Path) -> TestCrops:
    crops = [c for c in data.manifest(root) if c.split == "test"]
    pictures = augment.plain(data.read_crops(root, crops), encoder.size_px)
    return TestCrops(
        np.array([c.region for c in crops]),
        np.array([c.key for c in crops]),
        np.array([data.side_px(root, c) for c in crops]),
        encoder(pictures),
    )


def of_region(crops: TestCrops, pack: Pack) -> dict:
    """Figures on the test split of the pack's region (of all regions for the world)."""
    mine = (crops.region == pack.region) | (pack.region == data.WORLD)
    truth = crops.key[mine]
    verdict = pack.judge(crops.embeddings[mine])
    predicted = np.array(pack.keys())[verdict.best]
    right = predicted == truth
    return {
        "crops": len(truth),
        "top1": _percent(right.mean()),
        "macro_f1": _percent(macro_f1(truth, predicted)),
        "ece": round(calibration_error(verdict.probability, right), 4),
        "named_right": _percent((right & verdict.named).mean()),
        "named_wrong": _percent((~right & verdict.named).mean()),
    }


def scenery(encoder: OnnxEncoder, root: Path, count: int = 2000) -> np.ndarray:
    """Embeddings of frames that were never trained on, clear of labelled signs."""
    rng = np.random.default_rng(1)
    frames = [(data.read_rgb(f.path), f.boxes) for f in data.gtsdb_frames(root, judged=True)]
    pictures = []
    for i in range(count):
        scene, boxes = frames[i % len(frames)]
        pictures.append(data.cut(scene, bank.scenery_box(scene, boxes, rng, striking=i % 2 == 0)))
    return encoder(augment.plain(np.stack(pictures), encoder.size_px))


def of_scenery(embeddings: np.ndarray, pack: Pack) -> dict:
    named = pack.judge(embeddings).named
    return {"pictures": len(named), "false_names": _percent(named.mean())}


def of_acceptance(crops: TestCrops, scenery: np.ndarray, pack: Pack) -> dict:
    """Share of the region's signs told from scenery where 1 % of the scenery passes for a sign."""
    background = [c["family"] for c in pack.classes].index(BACKGROUND)

    def signness(embeddings):
        return 1 - pack.posterior(pack.class_cosines(embeddings))[:, background]

    floor = np.quantile(signness(scenery), 1 - SCENERY_ACCEPTED)
    mine = (crops.region == pack.region) | (pack.region == data.WORLD)
    big = mine & (crops.side_px >= BIG_PX)
    passed = signness(crops.embeddings) >= floor
    return {
        "signs_accepted": _percent(passed[mine].mean()),
        "big_signs": int(big.sum()),
        "big_signs_accepted": _percent(passed[big].mean()) if big.any() else 100.0,
    }


def of_strange_signs(encoder: OnnxEncoder, pack: Pack, held_out: bank.Bank) -> dict:
    """Share of drawings of signs in no class that are left unnamed."""
    strange = held_out.take((held_out.keys == OTHER_SIGN) & (held_out.source == bank.DRAWING))
    verdict = pack.judge(encoder(augment.plain(strange.images, encoder.size_px)))
    return {"pictures": len(strange.keys), "left_unnamed": _percent((~verdict.named).mean())}


def _percent(share) -> float:
    return round(100 * float(share), 2)
