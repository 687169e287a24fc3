import numpy as np
import torch

from tsedge_training import matching, packs, train
from tsedge_training.catalogue import BACKGROUND, OTHER_SIGN
from tsedge_training.data import REGIONS


def test_rows_of_a_region_speak_for_its_classes_only(prompts):
    table = matching.row_table(prompts, prototypes=3)
    for code in REGIONS:
        keys = {table.keys[c] for _, c in table.rows_of(code)}
        assert keys == set(prompts.regions[code].keys())


def test_training_scores_equal_the_pack_s(prompts, rng):
    """The loss and the shipped pack match an embedding the same way."""
    table = matching.row_table(prompts, prototypes=3)
    count = len(table.sentences) + 6
    rows = _unit(rng, count, 16)
    embeddings = _unit(rng, 5, 16)
    region = prompts.regions["DE"]
    pack = packs.assemble(
        region, table.keys, rows, len(table.sentences), table.rows_of("DE"),
        packs.Calibration(20.0, 0.5, -1.0),
    )  # fmt: skip
    scores = matching.class_scores(
        torch.from_numpy(embeddings @ rows.T), table.rows,
        table.active[[matching.region_index("DE")] * 5],
    ).numpy()  # fmt: skip
    columns = [table.keys.index(k) for k in pack.keys()]
    assert np.allclose(scores[:, columns], pack.class_cosines(embeddings), atol=1e-6)
    absent = [c for c in range(len(table.keys)) if c not in columns]
    assert (scores[:, absent] == matching.ABSENT).all()


def test_dropping_rows_never_silences_a_class(prompts):
    table = matching.row_table(prompts, prototypes=2)
    active = table.active[[0, -1]]
    thinned = matching.drop_rows(active, table.rows, len(table.sentences) + 4, share=0.95)
    assert torch.equal(thinned.any(-1), active.any(-1))
    assert thinned.sum() < active.sum()


def test_a_set_label_is_content_with_any_of_its_classes():
    scores = torch.tensor([[9.0, 9.0, -9.0]])
    either = torch.tensor([[True, True, False]])
    first = torch.tensor([[True, False, False]])
    present = torch.ones(1, 3, dtype=torch.bool)
    assert train.loss_of(scores, either, present) < train.loss_of(scores, first, present)


def test_a_pack_names_refuses_and_rejects():
    rows = np.eye(3, dtype=np.float32)
    classes = [
        {"key": "stop", "family": "priority"},
        {"key": OTHER_SIGN, "family": OTHER_SIGN},
        {"key": BACKGROUND, "family": BACKGROUND},
    ]
    pack = packs.Pack(
        "DE", classes, rows[:2], np.array([0, 1], np.int32), rows[2:], np.array([2], np.int32),
        packs.Calibration(scale=20.0, min_probability=0.6, min_cosine=0.5),
    )  # fmt: skip
    between = np.array([[0.71, 0.70, 0.0]], np.float32)
    verdict = pack.judge(np.concatenate([rows, between, 0.4 * rows[:1]]))
    assert verdict.best.tolist() == [0, 1, 2, 0, 0]
    assert verdict.named.tolist() == [True, False, False, False, False]


def test_pack_file_round_trip(tmp_path, prompts, rng):
    table = matching.row_table(prompts, prototypes=2)
    rows = _unit(rng, len(table.sentences) + 4, 8)
    made = packs.assemble(
        prompts.world, table.keys, rows, len(table.sentences), table.rows_of("WORLD"),
        packs.Calibration(20.0, 0.5, 0.1, min_probability_of={"stop": 0.9}),
    )  # fmt: skip
    file = packs.write(made, tmp_path, "0" * 64, prompts, {})
    found = packs.read(file)
    assert found.classes == made.classes and found.calibration == made.calibration
    assert np.array_equal(found.text, made.text) and np.array_equal(found.image, made.image)


def _unit(rng, count, dim):
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_looks_share_training_whatever_their_number_of_regions(prompts):
    table = matching.row_table(prompts, prototypes=1)
    share = dict(zip(REGIONS, matching.spread_of_looks(table), strict=True))
    assert abs(sum(share.values()) - 1) < 1e-9
    assert share["DE"] == share["IT"] < share["US"]  # triangles have more regions than diamonds
