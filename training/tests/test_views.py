import subprocess
import sys

# Without a limit of its own a worker that waits for ever would stop the tests.
LIMIT_S = 240
TRAINS = """
from dataclasses import replace
import numpy as np
from tsedge_training import augment, catalogue, recipes, train
from tsedge_training.bank import DRAWING, Bank

prompts, count = catalogue.load(), 64
pictures = np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)
keys = np.array(prompts.keys()[:count])
plain = np.full(count, DRAWING), np.zeros(count, bool), np.array([""] * count)
bank = Bank(pictures, keys, np.full(count, -1), *plain)
recipe = replace(recipes.DEBUG, images=256)
augment.augment(pictures, recipe.size_px, np.random.default_rng(0))


def embed(sentences):
    return np.random.default_rng(0).normal(size=(len(sentences), 384)).astype(np.float32)


print(train.train(recipe, prompts, bank, workers=1, embed=embed).pictures_seen)
"""


def test_workers_make_views_for_a_parent_that_has_changed_pictures_itself():
    command = [sys.executable, "-c", TRAINS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.stdout.split()[-1:] == ["256"], done.stderr
