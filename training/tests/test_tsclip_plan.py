"""What makes the whole comparison fit a GPU: views made beforehand, shared plans, students."""

import json
import re
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tsedge_training import export
from tsedge_training.evaluate import OnnxEncoder
from tsedge_training.tsclip import (
    claims,
    distil,
    edge,
    figures,
    lite2,
    matrix,
    merge,
    premade,
    run,
    separation,
    students,
    views,
)


@pytest.fixture(scope="module")
def viewed(world, tmp_path_factory):
    """The same world, a fifth of what may be learned, two views of each."""
    pictures = world.pictures
    learned, every = premade.learned(pictures), np.arange(len(pictures.role))
    kept = ~np.isin(every, learned) | np.isin(every, learned[::5])
    few = replace(pictures, **{f.name: getattr(pictures, f.name)[kept] for f in fields(pictures)})
    file = tmp_path_factory.mktemp("views") / "views.npy"
    premade.make(few, file, count=2)
    made = views.read(file, few, world.device)
    return replace(world, pictures=few, views=made, drift=False, embedded=1, plain={}, starts={})


def short(task, *names, images=320, seeds=(0,)):
    runs = matrix.planned([task], list(names), list(seeds))
    return [replace(r, strategy=replace(r.strategy, images=images)) for r in runs]


def rows_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_pool_makes_the_same_views(world, viewed, tmp_path):
    few = replace(world.pictures, role=np.where(np.arange(len(world.pictures.role)) < 100, 0, 2))
    for processes in (1, 2):
        premade.make(few, tmp_path / f"{processes}.npy", 2, processes)
    one, two = (np.load(tmp_path / f"{n}.npy") for n in (1, 2))
    assert one.shape[1:] == (2, 80, 80, 3) and (one == two).all()
    with pytest.raises(ValueError, match="make it again"):
        views.read(tmp_path / "1.npy", world.pictures, world.device)


def test_batches_are_the_same_for_all_strategies_of_a_seed(viewed):
    pictures, chosen = viewed.pictures, premade.learned(viewed.pictures)[5:300]
    weights = np.full(len(chosen), 1 / len(chosen))

    def drawn(size_px, seed):
        return list(viewed.views.batches(pictures.label, chosen, weights, 3, 8, size_px, seed))

    first, other = drawn(80, 1), drawn(48, 1)
    assert len(first) == 3 and other[0][0].shape == (8, 3, 48, 48)
    for (pixels, labels, place, number), again in zip(first, other, strict=True):
        assert torch.equal(labels, again[1]) and torch.equal(place, again[2])
        rows = [int(np.flatnonzero(viewed.views.place == p)[0]) for p in place]
        assert (pictures.label[rows] == labels.numpy()).all() and set(rows) <= set(chosen)
        shown = viewed.views.table[place[0], number[0]].permute(2, 0, 1)
        assert torch.equal(pixels[0], shown)
    assert not torch.equal(first[0][2], drawn(80, 2)[0][2])


def test_every_kind_of_strategy_learns_from_views(viewed, tmp_path):
    names = ("zero-shot", "lp", "ft", "flyp", "adwe-accuracy", "efficientnet-lite2")
    matrix.go(viewed, short("one-DE", *names), tmp_path / "r.jsonl", tmp_path / "runs", debug=True)
    found = {row["strategy"]: row for row in rows_of(tmp_path / "r.jsonl")}
    assert set(names) | {"wise-0.5"} <= set(found)
    kept = np.load(tmp_path / "runs" / "one-DE-ft-0" / "wise-0.5.npz")
    assert kept["embeddings"].shape[0] == len(kept["label"]) == 46 * 10


def test_students_learn_from_their_teacher_and_alone(viewed, world, tmp_path, monkeypatch):
    monkeypatch.setattr(edge, "CALIBRATED_BY", 40)
    every = ("adwe-decaying", "student-32-xs", "student-48-hybrid", "student-32-xs-alone")
    for shown, names in ((viewed, every), (replace(world, drift=False, starts={}), every[:2])):
        results, kept = tmp_path / f"{bool(shown.views)}.jsonl", tmp_path / str(bool(shown.views))
        matrix.go(shown, short("all+drawings", *names, images=64), results, kept, debug=True)
        teacher, *pupils = rows_of(results)
        assert [p["strategy"] for p in pupils] == list(names[1:])
        assert all(p["mflops"] > 5 and 5e4 < p["parameters"] < 3e6 for p in pupils)
        assert all(set(p["regions"]) == set(teacher["regions"]) for p in pupils)
        figures.make([results], tmp_path / "none", tmp_path / "out")
        table = (tmp_path / "out" / "tables.md").read_text()
        assert re.search(r"\| student-32-xs \| 0\.11 M \| 17 \| \d", table)
        assert (tmp_path / "out" / "students.svg").stat().st_size > 1000
    folder = kept.parent / "True" / "all+drawings-student-48-hybrid-0"
    found = edge.row(replace(world, cap=1, drift=False), folder, tmp_path)
    assert found["int8"]["top1"] == pytest.approx(found["fp32"]["top1"], abs=3)
    assert found["int8"]["bytes"] < 0.4 * found["fp32"]["bytes"]
    monkeypatch.setattr(edge, "TURNS", 1)
    edge.timed([found], tmp_path)
    assert found["int8"]["ms"] > 0
    edge.draw([found], tmp_path / "edge.svg")
    assert "48-hybrid" in (tmp_path / "edge.svg").read_text()
    assert (kept.parent / "True" / "all+drawings-adwe-decaying-0" / distil.TAUGHT).is_file()


def test_int8_keeps_a_space_in_which_one_dimension_leads(world, tmp_path):
    torch.manual_seed(0)
    encoder = students.make(students.SHAPES["32-xs"], 96).eval()
    with torch.no_grad():
        encoder.head.bias[3] = 9
    pixels = run.cut(world, np.arange(60), 32, None).numpy()
    wide, narrow = tmp_path / "wide.onnx", tmp_path / "narrow.onnx"
    export.to_onnx(SimpleNamespace(encoder=encoder), 32, wide)
    export.to_int8(wide, narrow, pixels[:30])
    found = [OnnxEncoder(file)(pixels[30:]) for file in (wide, narrow)]
    assert (found[0][:, 3] > 0.9).all()
    rest = [np.delete(f, 3, axis=1) for f in found]
    near = (rest[0] * rest[1]).sum(1) / np.prod([np.linalg.norm(r, axis=1) for r in rest], axis=0)
    assert near.min() > 0.99


def test_a_pupil_comes_near_its_teacher(viewed, tmp_path):
    """Shown by the loss: cosine to the teacher on views seen again and again."""
    runs = short("one-DE+drawings", "adwe-decaying", "student-32-xs", images=160)
    matrix.go(viewed, runs[:1], tmp_path / "r.jsonl", tmp_path / "runs", debug=True)
    said = []
    loud = replace(viewed, log=said.append)
    for images in (32, 1200):
        strategy = replace(runs[1].strategy.debug(), images=images)
        taught_by = tmp_path / "runs" / "one-DE+drawings-adwe-decaying-0"
        distil.row(loud, runs[1].task, strategy, 0, None, taught_by)
    first, last = (float(line.split("loss ")[1].split()[0]) for line in said)
    assert last < first


def test_a_pupil_without_its_teacher_is_refused(world, tmp_path):
    pupil = short("all+drawings", "student-48-s")
    with pytest.raises(ValueError, match="its teacher's weights are not in"):
        matrix.go(world, pupil, tmp_path / "r.jsonl", tmp_path / "runs", debug=True)
    with pytest.raises(ValueError, match="its teacher's weights are not in"):
        matrix.go(world, pupil, tmp_path / "r.jsonl", None, tmp_path / "shares", debug=True)


@pytest.mark.parametrize("shared", [False, True])
def test_what_earlier_results_hold_is_run_again_for_a_pupil_only(viewed, tmp_path, shared):
    runs = short("all+drawings", "zero-shot", "adwe-decaying", "student-32-xs", images=64)
    known, results, kept = (tmp_path / name for name in ("known.jsonl", "r.jsonl", "runs"))
    rows = [dict(zip(("task", "strategy", "seed"), r.key, strict=True)) for r in runs[:2]]
    known.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shares = tmp_path / "shares" if shared else None
    said = []
    loud = replace(viewed, log=said.append)
    for _ in range(2):  # the second time nothing is left
        matrix.go(loud, runs, results, kept, shares, debug=True, known=(known,))
        assert [r["strategy"] for r in rows_of(results)] == ["student-32-xs"]
        begun = [line for line in said if line.endswith("seed 0")]
        assert begun == ["all+drawings adwe-decaying seed 0", "all+drawings student-32-xs seed 0"]
    with pytest.raises(ValueError, match="its teacher's weights are not in None"):
        matrix.go(viewed, runs, tmp_path / "2.jsonl", debug=True, known=(known,))


def test_a_run_is_taken_once_and_again_if_its_process_ends(tmp_path):
    first = claims.take(tmp_path, "a")
    assert first and claims.take(tmp_path, "a") is None
    first.close()  # as when the process is killed
    second = claims.take(tmp_path, "a")
    claims.close(second, claims.DONE)
    assert claims.take(tmp_path, "a") is None and claims.is_over(tmp_path, "a")
    for _ in range(claims.TRIES):
        claims.close(claims.take(tmp_path, "b"), claims.TRIED)
    assert claims.take(tmp_path, "b") is None


def test_processes_share_a_plan(world, tmp_path):
    runs, shares = short("one-DE", "zero-shot", "lp"), tmp_path / "shares"
    shares.mkdir()
    with claims.take(shares, runs[0].name):  # another process is at it
        matrix.go(world, runs, tmp_path / "1.jsonl", None, shares, debug=True)
    assert [r["strategy"] for r in rows_of(tmp_path / "1.jsonl")] == ["lp"]
    for _ in range(2):
        matrix.go(world, runs, tmp_path / "2.jsonl", None, shares, debug=True)
    assert [r["strategy"] for r in rows_of(tmp_path / "2.jsonl")] == ["zero-shot"]


def test_a_run_that_fails_is_left_to_be_tried_again(world, tmp_path):
    broken = replace(world, pictures=None)
    shares = tmp_path / "shares"
    with pytest.raises(AttributeError):
        matrix.go(broken, short("one-DE", "lp"), tmp_path / "r.jsonl", None, shares, debug=True)
    assert (shares / "one-DE-lp-0").read_text() == claims.TRIED


def test_the_whole_plan_trains_teachers_before_pupils_and_nothing_twice():
    runs = matrix.plan()
    place = {r.key: i for i, r in enumerate(runs)}
    assert len(place) == len(runs)
    for pupil in (r for r in runs if r.strategy.teacher):
        teacher = place[pupil.task.name, pupil.strategy.teacher, pupil.seed]
        assert teacher < place[pupil.key] and runs[teacher].keep
    for task in {r.task.name for r in runs}:
        budgets = {
            (r.strategy.images, r.strategy.batch)
            for r in runs
            if r.task.name == task and r.strategy.images and r.strategy.kind != "student"
        }
        assert len(budgets) == 1, task


def test_a_pull_is_one_step_for_all_weights():
    here, there = (
        {"a": torch.ones(3), "b": torch.zeros(2)},
        {"b": torch.ones(2), "a": torch.ones(3)},
    )
    merge.pull(here, there, 0.25)
    assert torch.equal(here["b"], torch.full((2,), 0.25)) and torch.equal(here["a"], torch.ones(3))


def test_kept_embeddings_are_drawn_side_by_side(tmp_path, rng):
    label = np.repeat(np.arange(12), 12)
    files = []
    for name, noise in (("zero-shot", 0.5), ("ft", 0.05)):
        files.append(tmp_path / f"{name}.npz")
        embeddings = np.eye(12)[label] + rng.normal(0, noise, (144, 12))
        np.savez(files[-1], embeddings=embeddings.astype(np.float16), label=label)
    found = separation.from_files(files, tmp_path / "out")
    assert found["ft"]["knn_purity"] > found["zero-shot"]["knn_purity"]
    assert (tmp_path / "out" / "separation.svg").stat().st_size > 1000


def test_lite2_has_the_shape_of_its_weights():
    model = lite2.Lite2(1000).eval()
    assert sum(p.numel() for p in model.parameters()) == 6_092_072
    with torch.no_grad():
        features = model._blocks[0](torch.zeros(1, 32, 8, 8))
        assert features.shape == (1, 16, 8, 8)
        assert model(torch.zeros(1, 3, 65, 65)).shape == (1, 1000)
