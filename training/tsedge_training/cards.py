"""Model cards: what the runtime must know of an ONNX file, as TOML beside it."""

import hashlib
import time
from pathlib import Path

from . import packs
from .augment import CONTEXT
from .recipes import Recipe

INPUT, OUTPUT = "image", "embedding"
PHOTO_SETS = (
    "GTSRB", "GTSDB 00000-00499", "BTSC", "TT100K", "TSRD", "RTSD", "PL-Suchta", "IT-Roma3",
    "HR-Kos", "FR-SY32", "French street photos", "US-Gallacher", "LISA", "JP-stop", "roadsign877",
)  # fmt: skip


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def head(name: str, file: Path, licence: str, size_px: int, dim: int) -> str:
    """The part that the runtime checks."""
    return f"""\
format = "tsedge-model/1"
kind = "encoder"
name = "{name}"
file = "{file.name}"
sha256 = "{sha256(file)}"
size_bytes = {file.stat().st_size}
licence = "{licence}"

[input]
name = "{INPUT}"
dtype = "u8"
layout = "NCHW"
colour = "RGB"
shape = [1, 3, {size_px}, {size_px}]
resize = "triangle"
context = {CONTEXT}

[output]
name = "{OUTPUT}"
dim = {dim}
"""


def licence(record: dict) -> str:
    return packs.FREE if record["own"] else packs.LICENCE


def sources(record: dict) -> str:
    """What the encoder learned from, and on whose terms."""
    rendered = "; own drawings of `tsedge simulate --crops`" if "rendered" in record else ""
    if record["own"]:
        return f"""\
drawings = "own drawings on made-up scenes{rendered}"
photos_terms = "none: no photo, no official drawing and no road picture was learned from"
photos = []
"""
    photos = "\n".join(f'  "{name}",' for name in PHOTO_SETS)
    return f"""\
drawings = "mapillary_sprite_source 1.8.0 (MIT) and own drawings, pasted on GTSDB frames{rendered}"
photos_terms = "partly research use only; no picture is part of this file"
photos = [
{photos}
]
"""


def edge(recipe: Recipe, file: Path, record: dict, metrics: dict) -> str:
    """Card of the trained encoder; `record` is its run.json."""
    seen, started, earlier = 0, "", record
    while earlier:
        seen += earlier.get("pictures_seen", earlier["recipe"]["images"])
        if "started_from_encoder_sha256" in earlier:
            started = f'started_from_encoder_sha256 = "{earlier["started_from_encoder_sha256"]}"\n'
        earlier = earlier.get("started_from")
    if "share_of_start_kept" in record:
        started += f"share_of_start_kept = {record['share_of_start_kept']}\n"
    tests = "\n".join(
        f"{region} = {{ crops = {m['crops']}, top1_percent = {m['top1']}, "
        f"macro_f1_percent = {m['macro_f1']}, ece = {m['ece']}, "
        f"named_right_percent = {m['named_right']}, named_wrong_percent = {m['named_wrong']}, "
        f"big_signs_accepted_percent = {m['big_signs_accepted']}, "
        f"false_names_on_scenery_percent = {metrics['scenery'][region]['false_names']} }}"
        for region, m in metrics["test"].items()
    )
    return f"""\
{head(recipe.name, file, licence(record), recipe.size_px, recipe.dim)}
[provenance]
recipe = "{recipe.name}"
commit = "{record["commit"]}"
date = "{time.strftime("%Y-%m-%d", time.gmtime())}"
seed = {recipe.seed}
pictures_seen = {seen}
precision = "{metrics["precision"]["shipped"]}"
cosine_int8_to_fp32 = {metrics["precision"]["cosine_mean"]}
text_encoder = "all-MiniLM-L6-v2 (Apache-2.0), frozen, with a trained projection (text_head)"
{started}{sources(record)}
# One crop, as a detector cuts it at best. named: the pack's thresholds believe the name.
# big_signs_accepted: of 32 px and more, told from scenery where 1 % of the scenery is not.
[provenance.test]
{tests}

[provenance.drawings_of_other_signs]
left_unnamed_percent = {metrics["strange_signs"]["left_unnamed"]}

[provenance.speed]
one_core_median_ms = {metrics["speed"]["latency_ms"]}
load_average = {metrics["speed"]["load_average"]}
"""
