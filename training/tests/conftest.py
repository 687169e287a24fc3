import numpy as np
import pytest

from tsedge_training import catalogue, paths


@pytest.fixture(scope="session")
def prompts():
    return catalogue.load()


@pytest.fixture(scope="session")
def root():
    """The data folder; raises, naming the variable, when it is not set."""
    return paths.data_root()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def world():
    """A class is a pattern, another one where it is drawn; a region is a shade of it."""
    import torch

    from tsedge_training.tsclip import benchmark, run
    from tsedge_training.tsclip.model import Sentences
    from tsedge_training.tsclip.pictures import (
        DRAWING,
        EMPTY,
        PHOTO,
        PX,
        STYLED,
        TEST,
        TRAIN,
        VALIDATION,
        Pictures,
    )

    defined = benchmark.load()
    defined.protocols["drift"] |= {"kinds": ["blur", "dark"], "strengths": [1, 5]}
    per_cell = {TRAIN: 6, VALIDATION: 1, TEST: 1}
    rng = np.random.default_rng(0)
    classes, regions = len(defined.classes), len(defined.regions)
    photographed, drawn = rng.integers(0, 256, (2, classes, 4, 4, 3))
    rows = []
    for label in range(classes):
        for role, count in per_cell.items():
            rows += [(label, r, PHOTO, role) for r in range(regions) for _ in range(count)]
        rows += [(label, -1, DRAWING, TRAIN)] * 10
    rows += [(-1, -1, EMPTY, role) for role in (VALIDATION, TEST) for _ in range(40)]
    rows += [(label, -1, STYLED, TRAIN) for label in range(classes)]
    label, region, source, role = np.array(rows).T
    images = np.empty((len(rows), PX, PX, 3), np.uint8)
    for i in range(len(rows)):
        looks = photographed if source[i] in (PHOTO, EMPTY) else drawn
        look = looks[label[i]] if label[i] >= 0 else rng.integers(0, 256, (4, 4, 3))
        look = look * (1 - 0.04 * max(0, region[i])) + rng.normal(0, 12, (4, 4, 3))
        images[i] = np.kron(look.clip(0, 255), np.ones((PX // 4, PX // 4, 1)))
    pictures = Pictures(
        images, label, region, source, role, np.full(len(rows), 40), np.full(len(rows), "")
    )
    text = rng.normal(0, 1, (2 * classes, 96)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    sentences = Sentences(text, np.arange(2 * classes) // 2)
    torch.set_num_threads(1)
    return run.World(pictures, sentences, defined, torch.device("cpu"), cap=2, drift=True)
