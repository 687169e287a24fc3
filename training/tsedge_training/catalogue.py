"""The prompt catalogue (models/prompts/*.toml): which classes exist where, and their sentences.

WORLD.toml defines every class. A region file takes classes away (`absent`) or lists the ones it has
(`present`), replaces looks, and overrides sentences, national codes and labels class by class.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .paths import MODELS

FORMAT = "tsedge-prompts/1"
PROMPTS = MODELS / "prompts"
FAMILIES = (
    "speed_limit", "prohibition", "mandatory", "warning", "priority", "information", "end",
    "other_sign", "background",
)  # fmt: skip
BACKGROUND, OTHER_SIGN = "background", "other_sign"


@dataclass(frozen=True)
class SignClass:
    """One class as one region shows it."""

    key: str
    family: str
    value: int | None
    unit: str | None
    national_code: str | None
    label_en: str
    label_local: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    code: str
    name: str
    language: str
    classes: tuple[SignClass, ...]
    rules: dict | None = None

    def keys(self) -> list[str]:
        return [c.key for c in self.classes]


@dataclass(frozen=True)
class Catalogue:
    """`world` holds every class; WORLD's sentences are the union over all regions."""

    world: Region
    regions: dict[str, Region]
    sha256: str

    def keys(self) -> list[str]:
        return self.world.keys()


def load(folder: Path = PROMPTS) -> Catalogue:
    files = sorted(folder.glob("*.toml"))
    digest = hashlib.sha256()
    tables = {}
    for file in files:
        digest.update(file.read_bytes())
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        if table.get("format") != FORMAT:
            raise ValueError(f"{file}: format is {table.get('format')!r}, expected {FORMAT!r}")
        tables[table["region"]] = table
    base = tables.pop("WORLD")
    regions = {code: _region(base, table) for code, table in tables.items()}
    world = _with_all_sentences(_region(base, base), regions.values())
    return Catalogue(world, regions, digest.hexdigest())


def _region(base: dict, table: dict) -> Region:
    looks = base["looks"] | table.get("looks", {})
    overrides = table.get("classes", {})
    unknown = set(overrides) | set(table.get("absent", [])) | set(table.get("present", []))
    unknown -= set(base["classes"])
    if unknown:
        raise ValueError(f"{table['region']}.toml: classes not in WORLD.toml: {sorted(unknown)}")
    classes = [
        _class(key, spec | overrides.get(key, {}), spec["label"], looks)
        for key, spec in base["classes"].items()
        if _exists(key, spec, table)
    ]
    limits = _speed_limits(base["speed_limit"], table, looks)
    return Region(
        table["region"], table["name"], table["language"], tuple(limits + classes), _rules(table)
    )


def _rules(table: dict) -> dict | None:
    """The region's rules of the road, as they go into its pack; the runtime checks the rest."""
    rules = table.get("rules")
    if rules and rules.get("unit") != table.get("speed_unit"):
        raise ValueError(
            f"{table['region']}.toml: rules.unit is {rules.get('unit')!r}, "
            f"speed_unit {table.get('speed_unit')!r}"
        )
    return rules


def _exists(key: str, spec: dict, table: dict) -> bool:
    if spec["family"] in (BACKGROUND, OTHER_SIGN):
        return True
    return key in table.get("present", [key]) and key not in table.get("absent", [])


def _class(key: str, spec: dict, label_en: str, looks: dict, **number) -> SignClass:
    if spec["family"] not in FAMILIES:
        raise ValueError(f"class {key}: unknown family {spec['family']!r}")
    sentences = tuple(s.format(**looks) for s in spec["S"] + spec["T"])
    return SignClass(
        key=key,
        family=spec["family"],
        value=number.get("value"),
        unit=number.get("unit"),
        national_code=spec.get("code"),
        label_en=label_en,
        label_local=spec.get("label", label_en),
        sentences=sentences,
    )


def _speed_limits(base: dict, table: dict, looks: dict) -> list[SignClass]:
    """One class per number, all from the same sentences."""
    spec = base | table.get("speed_limit", {}) | {"family": "speed_limit"}
    classes = []
    for value in table.get("speed_limits", base["values"]):
        fill = {name: look.replace("{value}", str(value)) for name, look in looks.items()}
        own = dict(spec)
        for field in ("code", "label"):
            if field in own:
                own[field] = own[field].format(value=value)
        label_en = base["label"].format(value=value)
        unit = table.get("speed_unit")
        key = f"speed_limit_{value}"
        classes.append(_class(key, own, label_en, fill | {"value": value}, value=value, unit=unit))
    return classes


def _with_all_sentences(world: Region, regions) -> Region:
    merged = []
    for sign in world.classes:
        sentences = list(sign.sentences)
        for region in regions:
            for other in region.classes:
                if other.key == sign.key:
                    sentences += [s for s in other.sentences if s not in sentences]
        merged.append(SignClass(**(vars(sign) | {"sentences": tuple(sentences)})))
    return Region(world.code, world.name, world.language, tuple(merged))
