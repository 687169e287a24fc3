"""How well trained weights part the classes: t-SNE pictures side by side, and two scores."""

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from . import charts, learn, matrix, protocols, run
from .benchmark import load
from .strategies import STRATEGIES

CLASSES_SHOWN = 12
NEIGHBOURS = 10
ACROSS = 4  # panels in a row


def scores(embeddings: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Silhouette (-1 to 1) and the share of nearest neighbours of the same class."""
    finder = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, metric="cosine").fit(embeddings)
    near = finder.kneighbors(embeddings, return_distance=False)[:, 1:]
    return {
        "silhouette": round(float(silhouette_score(embeddings, label, metric="cosine")), 3),
        "knn_purity": round(float((label[near] == label[:, None]).mean()), 3),
    }


def make(pack: Path, runs: list[Path], device: str, cap: int, out: Path) -> dict:
    """`separation.svg` and its scores: the zero-shot tower, then each run's weights."""
    out.mkdir(parents=True, exist_ok=True)
    world = matrix.world(pack, device, cap=cap)
    strategy = STRATEGIES["ft"]
    rows = protocols.thinned(protocols.test(world.pictures, world.benchmark), world.pictures, cap)
    label = world.pictures.label[rows]
    model = run.zero_shot(world, strategy)
    panels = {}
    for folder in (None, *runs):
        if folder:
            learn.load(model, folder / "model.pt")
        embeddings = run.forward(world, model.embed, rows, strategy.size_px).cpu().numpy()
        name = folder.name if folder else "zero-shot"
        panels[name] = (scores(embeddings, label), embeddings)
    draw(panels, label, world.benchmark, out / "separation.svg")
    return {name: found for name, (found, _) in panels.items()}


def from_files(files: list[Path], out: Path) -> dict:
    """The same of embeddings that kept runs left (`matrix run --embedded`); no pictures needed."""
    out.mkdir(parents=True, exist_ok=True)
    panels = {}
    for file in files:
        with np.load(file) as kept:
            embeddings, label = kept["embeddings"].astype(np.float32), kept["label"]
        panels[file.stem] = (scores(embeddings, label), embeddings)
    draw(panels, label, load(), out / "separation.svg")
    return {name: found for name, (found, _) in panels.items()}


def draw(panels, label, benchmark, file: Path) -> None:
    """One panel a model; colour is the class, of the commonest ones."""
    shown = np.argsort(-np.bincount(label, minlength=len(benchmark.classes)))[:CLASSES_SHOWN]
    kept = np.isin(label, shown)
    across = min(len(panels), ACROSS)
    down = -(-len(panels) // across)
    figure = charts.new(4.2 * across, 0.6 + 4.2 * down)
    axes = figure.subplots(down, across, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis, (name, (found, embeddings)) in zip(axes.flat, panels.items(), strict=False):
        flat = TSNE(metric="cosine", init="random", random_state=0).fit_transform(embeddings[kept])
        for i, c in enumerate(shown):
            mine = label[kept] == c
            axis.scatter(
                *flat[mine].T, s=9, color=colormaps["tab20"](i), label=benchmark.classes[c]
            )
        axis.set_title(
            f"{name}\nsilhouette {found['silhouette']:.2f}, kNN purity {found['knn_purity']:.2f}",
            fontsize=9,
        )
        axis.set_xticks([])
        axis.set_yticks([])
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=7)
    charts.save(figure, file)
