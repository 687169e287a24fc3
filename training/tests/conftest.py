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
