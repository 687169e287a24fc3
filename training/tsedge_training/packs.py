"""Region packs: class rows in the encoder's space, as one safetensors file a region.

`Pack.posterior` is the reference of the runtime's matching.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from .catalogue import BACKGROUND, OTHER_SIGN, Catalogue, Region

FORMAT = "tsedge-pack/2"
READ = (FORMAT, "tsedge-pack/1")  # the one before has no digest
PACK_VERSION = "1"
FREE = "MIT OR Apache-2.0"
LICENCE = f"{FREE}; learned from data sets that are partly for research use only"


@dataclass(frozen=True)
class Calibration:
    """Cosines to probabilities, and when a name is not believed."""

    scale: float
    min_probability: float
    min_cosine: float
    bias: dict[str, float] = field(default_factory=dict)
    min_probability_of: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Best class, its probability and cosine per embedding; `named` where the name is believed."""

    best: np.ndarray
    probability: np.ndarray
    cosine: np.ndarray
    named: np.ndarray


@dataclass(frozen=True)
class Pack:
    region: str
    classes: list[dict]
    text: np.ndarray
    class_of: np.ndarray
    image: np.ndarray
    image_class_of: np.ndarray
    calibration: Calibration
    rules: dict | None = None

    def keys(self) -> list[str]:
        return [c["key"] for c in self.classes]

    def class_cosines(self, embeddings: np.ndarray) -> np.ndarray:
        """[N, C]: the cosine to the best row of each class."""
        rows = np.concatenate([self.text, self.image])
        owner = np.concatenate([self.class_of, self.image_class_of])
        out = np.full((len(embeddings), len(self.classes)), -1.0, np.float32)
        cosines = embeddings @ rows.T
        for c in range(len(self.classes)):
            out[:, c] = cosines[:, owner == c].max(1)
        return out

    def posterior(self, cosines: np.ndarray) -> np.ndarray:
        bias = np.array([self.calibration.bias.get(k, 0.0) for k in self.keys()])
        logits = self.calibration.scale * cosines + bias
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    def judge(self, embeddings: np.ndarray) -> Verdict:
        cosines = self.class_cosines(embeddings)
        posterior = self.posterior(cosines)
        best = posterior.argmax(1)
        probability = posterior[np.arange(len(best)), best]
        cosine = cosines[np.arange(len(best)), best]
        family = np.array([c["family"] for c in self.classes])
        own = self.calibration.min_probability_of
        floor = np.array([own.get(k, self.calibration.min_probability) for k in self.keys()])
        named = ~np.isin(family[best], (BACKGROUND, OTHER_SIGN))
        named &= (probability >= floor[best]) & (cosine >= self.calibration.min_cosine)
        return Verdict(best, probability, cosine, named)


def class_table(region: Region) -> list[dict]:
    return [
        {
            "key": c.key,
            "national_code": c.national_code,
            "family": c.family,
            "value": c.value,
            "unit": c.unit,
            "label_en": c.label_en,
            "label_local": c.label_local,
        }
        for c in region.classes
    ]


def assemble(region: Region, keys, rows, sentence_count, pairs, calibration) -> Pack:
    """`rows` are all rows of the model, `pairs` the (row, world class) pairs of this region."""
    classes = class_table(region)
    own = {c["key"]: i for i, c in enumerate(classes)}
    text = [(row, own[keys[c]]) for row, c in pairs if row < sentence_count]
    image = [(row, own[keys[c]]) for row, c in pairs if row >= sentence_count]
    return Pack(
        region.code,
        classes,
        rows[[r for r, _ in text]],
        np.array([c for _, c in text], np.int32),
        rows[[r for r, _ in image]],
        np.array([c for _, c in image], np.int32),
        calibration,
        region.rules,
    )


def write(pack: Pack, folder: Path, encoder_sha256: str, catalogue: Catalogue,
          provenance: dict, licence: str = LICENCE) -> Path:  # fmt: skip
    tensors = {
        "text": np.ascontiguousarray(pack.text, np.float32),
        "class_of": pack.class_of,
    }
    if len(pack.image):
        tensors["image"] = np.ascontiguousarray(pack.image, np.float32)
        tensors["image_class_of"] = pack.image_class_of
    metadata = {
        "format": FORMAT,
        "region": pack.region,
        "pack_version": PACK_VERSION,
        "encoder_sha256": encoder_sha256,
        "classes": json.dumps(pack.classes, ensure_ascii=False),
        "calibration": json.dumps(vars(pack.calibration)),
        "prompts_sha256": catalogue.sha256,
        "provenance": json.dumps(provenance),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "licence": licence,
    }
    if pack.rules:
        metadata["rules"] = json.dumps(pack.rules, ensure_ascii=False)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{pack.region}.safetensors"
    save_file(tensors, file, metadata | {"digest": digest(metadata, tensors)})
    return file


def digest(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """Over contents, not bytes: docs/pack-format.md."""
    out = hashlib.sha256()
    for key in sorted(metadata, key=str.encode):
        if key != "digest":
            out.update(f"{key}\0{metadata[key]}\0".encode())
    for name in sorted(tensors, key=str.encode):
        array = np.ascontiguousarray(tensors[name])
        dtype = {"float32": "F32", "float16": "F16", "int32": "I32"}[str(array.dtype)]
        shape = ",".join(map(str, array.shape))
        out.update(f"{name}\0{dtype}\0{shape}\0".encode())
        out.update(array.tobytes())
    return out.hexdigest()


def read(file: Path) -> Pack:
    with safe_open(file, "numpy") as tensors:
        metadata = tensors.metadata()
        if metadata.get("format") not in READ:
            raise ValueError(f"{file}: format is {metadata.get('format')!r}, expected {FORMAT!r}")
        names = set(tensors.keys())
        text = tensors.get_tensor("text")
        none = np.empty((0, text.shape[1]), np.float32)
        return Pack(
            metadata["region"],
            json.loads(metadata["classes"]),
            text,
            tensors.get_tensor("class_of"),
            tensors.get_tensor("image") if "image" in names else none,
            tensors.get_tensor("image_class_of") if "image" in names else np.empty(0, np.int32),
            Calibration(**json.loads(metadata["calibration"])),
            json.loads(metadata["rules"]) if "rules" in metadata else None,
        )


def provenance(file: Path) -> dict:
    with safe_open(file, "numpy") as tensors:
        return json.loads(tensors.metadata()["provenance"])


def refresh(file: Path, catalogue: Catalogue) -> None:
    """Writes the catalogue's labels, rules and hash into a pack whose sentences are unchanged."""
    pack = read(file)
    world = pack.region == catalogue.world.code
    region = catalogue.world if world else catalogue.regions[pack.region]
    classes = class_table(region)
    counts = np.bincount(pack.class_of, minlength=len(classes))
    if [c["key"] for c in classes] != pack.keys() or any(
        len(c.sentences) != n for c, n in zip(region.classes, counts, strict=True)
    ):
        raise ValueError(f"{file}: classes or sentences are not the catalogue's; export it again")
    with safe_open(file, "numpy") as tensors:
        metadata = tensors.metadata()
        arrays = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    metadata["classes"] = json.dumps(classes, ensure_ascii=False)
    metadata["prompts_sha256"] = catalogue.sha256
    metadata.pop("rules", None)
    if region.rules:
        metadata["rules"] = json.dumps(region.rules, ensure_ascii=False)
    metadata["format"] = FORMAT
    metadata["digest"] = digest(metadata, arrays)
    save_file(arrays, file, metadata)
