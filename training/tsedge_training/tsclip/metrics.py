"""Figures of one model on test crops: top-1, macro-F1, calibration, refusal of what is no sign."""

import base64
import zlib
from dataclasses import dataclass

import numpy as np

from ..scores import calibration_error, macro_f1

RESAMPLES = 1000
ACCEPTED_EMPTY = 0.01  # the threshold lets this share of non-sign crops pass
LEGIBLE_PX = 32
TEMPERATURES = np.geomspace(0.2, 5, 49)


@dataclass(frozen=True)
class Scored:
    """Logits [N, C] of crops and what they show; `label` is -1 where there is no sign."""

    logits: np.ndarray
    label: np.ndarray
    region: np.ndarray
    side_px: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        return self.logits.argmax(1)

    def take(self, mask: np.ndarray) -> "Scored":
        return Scored(*(getattr(self, n)[mask] for n in self.__dataclass_fields__))


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    z = logits / temperature
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def fit_temperature(validation: Scored) -> float:
    """The temperature of least negative log-likelihood on validation crops."""
    rows = np.arange(len(validation.label))

    def loss(temperature):
        p = probabilities(validation.logits, temperature)[rows, validation.label]
        return -np.log(np.maximum(p, 1e-12)).mean()

    return float(min(TEMPERATURES, key=loss))


def interval(right: np.ndarray, seed: int = 0) -> list[float]:
    """95 % bootstrap interval of a share, in percent."""
    rng = np.random.default_rng(seed)
    means = rng.binomial(len(right), right.mean(), RESAMPLES) / len(right)
    return [percent(v) for v in np.quantile(means, (0.025, 0.975))]


def paired_interval(right: np.ndarray, other: np.ndarray, seed: int = 0) -> list[float]:
    """95 % bootstrap interval of the difference of two models on the same crops, in points."""
    rng = np.random.default_rng(seed)
    gap = right.astype(float) - other
    means = [rng.choice(gap, len(gap)).mean() for _ in range(RESAMPLES)]
    return [percent(v) for v in np.quantile(means, (0.025, 0.975))]


def summary(test: Scored, validation: Scored, empty: tuple[Scored, Scored],
            regions: tuple[str, ...], trained: set[str], known: set[int]) -> dict:  # fmt: skip
    """`empty`: non-sign crops to set the threshold on, and to judge it; `known`: trained labels."""
    right = test.predicted == test.label
    temperature = fit_temperature(validation) if len(validation.label) else 1.0
    certainty = probabilities(test.logits, temperature).max(1)
    at = {name: test.region == i for i, name in enumerate(regions)}
    home = np.isin(test.region, [i for i, name in enumerate(regions) if name in trained])
    out = {
        "regions": {
            name: {
                "crops": int(mask.sum()),
                "top1": percent(right[mask].mean()),
                "macro_f1": percent(macro_f1(test.label[mask], test.predicted[mask])),
                "ece": round(calibration_error(certainty[mask], right[mask]), 4),
            }
            for name, mask in at.items()
            if mask.any()
        },
        "temperature": round(temperature, 3),
    }
    is_known = np.isin(test.label, list(known))
    groups = {
        "home": home, "abroad": ~home, "abroad_known": ~home & is_known, "unknown": ~is_known
    }  # fmt: skip
    for name, mask in groups.items():
        if mask.any():
            out[name] = {
                "crops": int(mask.sum()),
                "top1": percent(right[mask].mean()),
                "interval": interval(right[mask]),
                "macro_f1": percent(macro_f1(test.label[mask], test.predicted[mask])),
                "ece": round(calibration_error(certainty[mask], right[mask]), 4),
            }
    if "unknown" in out:
        out["unknown"]["top1_among_unknown"] = among(test.take(~is_known), known)
    out["refusal"] = refusal(test, *empty)
    return out


def among(unknown: Scored, known: set[int]) -> float:
    """Top-1 if no known class may be answered: what the text tells without the pull of these."""
    logits = unknown.logits.copy()
    logits[:, list(known)] = -np.inf
    return percent((logits.argmax(1) == unknown.label).mean())


def refusal(test: Scored, setting: Scored, judged: Scored) -> dict:
    """At the threshold on the best logit that ACCEPTED_EMPTY of the setting's crops pass."""
    threshold = np.quantile(setting.logits.max(1), 1 - ACCEPTED_EMPTY)
    legible = test.side_px >= LEGIBLE_PX
    return {
        "empty_accepted": percent((judged.logits.max(1) > threshold).mean()),
        "signs_accepted": percent((test.logits.max(1) > threshold)[legible].mean()),
    }


def packed(test: Scored) -> str:
    """The predictions, small: what they differ from the truth by, compressed."""
    wrong = (test.predicted.astype(np.uint8) ^ test.label.astype(np.uint8)).tobytes()
    return base64.b64encode(zlib.compress(wrong, 9)).decode()


def unpacked(text: str, label: np.ndarray) -> np.ndarray:
    wrong = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return (wrong ^ label.astype(np.uint8)).astype(np.int64)


def percent(share) -> float:
    return round(100 * float(share), 2)
