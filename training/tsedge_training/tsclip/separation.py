"""How well trained weights part the classes: t-SNE pictures side by side, and two scores."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from . import learn, matrix, protocols, run
from .strategies import STRATEGIES

PER_CELL = 6  # test crops of each region and class
CLASSES_SHOWN = 12
NEIGHBOURS = 10


def scores(embeddings: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Silhouette (-1 to 1) and the share of nearest neighbours of the same class."""
    finder = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, metric="cosine").fit(embeddings)
    near = finder.kneighbors(embeddings, return_distance=False)[:, 1:]
    return {
        "silhouette": round(float(silhouette_score(embeddings, label, metric="cosine")), 3),
        "knn_purity": round(float((label[near] == label[:, None]).mean()), 3),
    }


def make(pack: Path, runs: list[Path], device: str, out: Path) -> dict:
    """`separation.svg` and its scores: the zero-shot tower, then each run's weights."""
    out.mkdir(parents=True, exist_ok=True)
    world = matrix.world(pack, device, workers=0, cap=PER_CELL, drift=False)
    strategy = STRATEGIES["ft"]
    rows = protocols.thinned(
        protocols.test(world.pictures, world.benchmark), world.pictures, PER_CELL
    )
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


def draw(panels, label, benchmark, file: Path) -> None:
    """One panel a model; colour is the class, of the commonest ones."""
    shown = np.argsort(-np.bincount(label, minlength=len(benchmark.classes)))[:CLASSES_SHOWN]
    kept = np.isin(label, shown)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 4.8), squeeze=False, layout="constrained"
    )
    for axis, (name, (found, embeddings)) in zip(axes[0], panels.items(), strict=True):
        flat = TSNE(metric="cosine", init="random", random_state=0).fit_transform(embeddings[kept])
        for i, c in enumerate(shown):
            mine = label[kept] == c
            axis.scatter(*flat[mine].T, s=9, color=plt.cm.tab20(i), label=benchmark.classes[c])
        axis.set_title(
            f"{name}\nsilhouette {found['silhouette']:.2f}, kNN purity {found['knn_purity']:.2f}",
            fontsize=9,
        )
        axis.set_xticks([])
        axis.set_yticks([])
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
