"""The debug twins: every strategy and protocol, on pictures made here and a tiny tower."""

import csv
import json
import re

import cv2
import numpy as np
import pytest

from tsedge_training.tsclip import (
    benchmark,
    confusions,
    edge,
    figures,
    matrix,
    metrics,
    pack,
    pictures,
    protocols,
    run,
)
from tsedge_training.tsclip.pictures import PHOTO, TEST, TRAIN
from tsedge_training.tsclip.strategies import STRATEGIES, WISE_FROM

BENCHMARK = benchmark.load()


def result(world, task, strategy, images=640):
    chosen = next(t for t in protocols.tasks(BENCHMARK) if t.name == task)
    short = matrix.replace(STRATEGIES[strategy].debug(), images=images)
    return list(run.run(world, chosen, short, seed=0))


SINGLE = [
    n for n, s in STRATEGIES.items() if n not in (*WISE_FROM, "zero-shot") and s.kind != "student"
]


def test_fine_tuning_learns_and_wise_ft_comes_with_it(world):
    (before,) = result(world, "all", "zero-shot")
    after, *wise = result(world, "all", "ft", images=3600)
    assert after["home"]["top1"] > before["home"]["top1"] + 10
    assert {"wise-0.5"} <= {row["strategy"] for row in wise} <= {"wise-0.5", "wise-tuned"}
    assert [p["alpha"] for p in wise[0]["curve"]] == [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
    assert wise[0]["curve"][-1]["validation_home"] > wise[0]["curve"][0]["validation_home"]
    assert set(after["drift"]) == {"blur", "dark"}


@pytest.mark.parametrize("strategy", [name for name, end in WISE_FROM.items() if end])
def test_wise_ft_of_others_than_ft_says_so(world, strategy):
    row, *wise = result(world, "one-DE", strategy, images=160)
    assert row["strategy"] == strategy
    half, tuned = (f"wise-{alpha}{WISE_FROM[strategy]}" for alpha in (0.5, "tuned"))
    assert {half} <= {row["strategy"] for row in wise} <= {half, tuned}


@pytest.mark.parametrize("strategy", SINGLE)
def test_every_strategy_runs_and_says_what_it_did(world, strategy):
    (row,) = result(world, "one-DE+drawings", strategy, images=160)
    assert row["strategy"] == strategy and row["pictures"] == 46 * (6 + 10)
    assert set(row["regions"]) == set(BENCHMARK.regions)
    assert row["home"]["crops"] + row["abroad"]["crops"] == 46 * 10
    adwe = STRATEGIES[strategy].adwe
    assert len(row.get("betas", ())) == (4 if adwe else 0)
    json.dumps(row)


def test_a_decaying_pull_per_step_is_as_strong_as_per_epoch(world):
    for way in ("", "-step"):
        (row,) = result(world, "one-DE", f"adwe-decaying{way}", 160)
        assert row["betas"] == pytest.approx((0.15, 0.105, 0.0735, 0.0514), abs=1e-3)


def test_tasks_never_hold_what_they_must_not(world):
    pictures = world.pictures
    for task in protocols.tasks(BENCHMARK):
        rows = protocols.training(task, pictures, BENCHMARK, seed=0)
        assert (pictures.role[rows] == TRAIN).all() and (pictures.label[rows] >= 0).all()
        seen = {BENCHMARK.regions[r] for r in np.unique(pictures.region[rows]) if r >= 0}
        assert seen == set(task.regions) | ({task.shot_region} if task.shots else set())
        assert not set(task.left_out) & set(pictures.label[rows])
        sources = {PHOTO} if task.regions else set()
        assert set(pictures.source[rows]) == sources | ({task.drawings} - {None})


def test_drawings_alone_are_judged_in_every_region(world, tmp_path):
    ft, *wise = result(world, "drawings", "ft", images=320)
    assert ft["pictures"] == 46 * 10 and "home" not in ft and ft["abroad"]["crops"] == 46 * 10
    assert ft["temperature"] != 1 and wise[0]["curve"][-1]["validation_abroad"] > 0
    results = tmp_path / "r.jsonl"
    results.write_text("".join(json.dumps(row) + "\n" for row in (ft, *wise)))
    figures.make([results], tmp_path / "none", tmp_path / "out")
    assert "| drawings | ft | 1 | 320 |" in (tmp_path / "out" / "tables.md").read_text()


def test_few_shots_are_few(world):
    task = next(t for t in protocols.tasks(BENCHMARK) if t.name == "few-CN-4")
    rows = protocols.training(task, world.pictures, BENCHMARK, seed=0)
    near = world.pictures.region[rows] == BENCHMARK.regions.index("CN")
    assert near.sum() == 4 * len(BENCHMARK.classes)


def test_results_are_gone_on_with_not_repeated(world, tmp_path, capsys):
    results = tmp_path / "some.jsonl"
    plan = list(matrix.planned(["one-DE", "continual"], ["ft", "adwe-constant"], [0], images=64))
    matrix.go(world, plan, results, tmp_path / "runs", debug=True)
    lines = results.read_text().splitlines()
    assert {json.loads(x)["task"] for x in lines} == {"one-DE", "continual"}
    with open(results, "a") as file:
        file.write(lines[0][:40])  # a run that was cut off while writing
    matrix.go(world, plan, results, debug=True)
    assert results.read_text().splitlines() == lines
    more = list(matrix.planned(["one-BE"], ["ft"], [0, 1, 2], images=64))
    matrix.go(world, more, results, debug=True)
    figures.make([results], tmp_path / "none", tmp_path / "out")
    table = (tmp_path / "out" / "tables.md").read_text()
    assert "| one-DE | ft | 1 | 64 |" in table
    assert re.search(r"\| one-BE \| ft \| 3 \| 64 \| \d+\.\d ± ", table)
    assert re.search(r"\| wise-0.5 \| 2 \| \d+\.\d \| [+-]\d+\.\d ± \d+\.\d \|", table)
    assert re.search(r"\| adwe-constant \| -?\d+\.\d \| \d", table)  # what it forgot
    assert (tmp_path / "out" / "regions-ft.svg").stat().st_size > 1000


def test_an_alpha_chosen_at_half_counts_as_tuned():
    half = {"task": "one-DE", "strategy": "wise-0.5", "seed": 0, "test_cap": None}
    (tuned,) = figures.tuned_at_half([half])
    assert tuned == half | {"strategy": "wise-tuned"}
    assert figures.tuned_at_half([half, half | {"seed": 1}, tuned]) == [tuned | {"seed": 1}]
    assert figures.tuned_at_half([half, tuned]) == []


def test_pictures_are_kept_and_errors_shown_with_their_crops(world, tmp_path):
    whole, folder = world.pictures, tmp_path / "pack"
    folder.mkdir()
    writer = pack._Writer()
    for i in np.flatnonzero(whole.role == TEST):
        columns = (getattr(whole, n)[i] for n in ("label", "region", "source", "role", "side_px"))
        writer.add(whole.images[i], *columns, "")
    writer.save(folder / "pictures.npz")
    kept = pictures.read(folder / "pictures.npz")
    assert (kept.label == whole.label[whole.role == TEST]).all()
    assert np.abs(kept.images[:50].astype(int) - whole.images[whole.role == TEST][:50]).mean() < 12

    rows = result(world, "one-DE", "ft", 64)
    results = tmp_path / "r.jsonl"
    results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    confusions.make(results, "one-DE", "ft", folder, tmp_path / "page")
    lines = (tmp_path / "page" / "confusions.md").read_text().splitlines()
    assert len(lines) > 10 and (tmp_path / "page" / "00.png").is_file()
    figures.make([results], folder, tmp_path / "out")
    table = (tmp_path / "out" / "tables.md").read_text()
    gap = rows[1]["abroad"]["top1"] - rows[0]["abroad"]["top1"]
    shown = re.search(rf"{rows[1]['strategy']} \| 1 \| 64 .*? ([+-]\d+\.\d+) \[", table)
    assert float(shown[1]) == pytest.approx(gap, abs=0.06)
    assert (tmp_path / "out" / "alpha.svg").is_file()


@pytest.mark.parametrize("strategy", ["adwe-constant", "resnet50"])
def test_kept_weights_are_judged_again_without_training(world, tmp_path, strategy):
    task = next(protocols.tasks(BENCHMARK))
    short = matrix.replace(STRATEGIES[strategy], images=160).debug()
    (first,), (again,) = (list(run.run(world, task, short, 0, tmp_path)) for _ in range(2))
    assert again["seconds"] == first["seconds"]
    assert again["home"]["top1"] == pytest.approx(first["home"]["top1"], abs=3)


def test_a_tower_has_an_int8_form_that_names_as_it_does(world, tmp_path):
    task = next(t for t in protocols.tasks(BENCHMARK) if t.name == "one-DE")
    folder = tmp_path / "one-DE-ft-0"
    folder.mkdir()
    list(run.run(world, task, matrix.replace(STRATEGIES["ft"].debug(), images=320), 0, folder))
    found = edge.row(world, folder, tmp_path)
    assert (found["task"], found["strategy"]) == ("one-DE", "ft")
    assert found["int8"]["top1"] == pytest.approx(found["fp32"]["top1"], abs=2)
    assert found["int8"]["bytes"] < 0.6 * found["fp32"]["bytes"]


def test_a_name_that_is_no_task_is_refused():
    with pytest.raises(ValueError, match="no task is named 'one-XX'"):
        list(matrix.planned(["one-XX"], ["ft"], [0]))


@pytest.fixture
def folder(tmp_path):
    """A small data folder and the definition that it fulfils."""
    rows = [("DE", "GTSRB", "stop", s, f"{s}/{i}.png") for s in ("train", "test") for i in range(3)]
    (tmp_path / "crops").mkdir()
    for split in ("train", "test"):
        (tmp_path / "crops" / split).mkdir()
    for *_, path in rows:
        cv2.imwrite(str(tmp_path / "crops" / path), np.zeros((20, 20, 3), np.uint8))
    counts = {"DE": {"sources": ["GTSRB"], "train": 3, "test": 3, "classes": 1}}
    small = matrix.replace(BENCHMARK, regions=("DE",), classes=("stop",), counts=counts)
    return tmp_path, small, rows


def write(folder, rows):
    with open(folder / "crops_manifest.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["region", "dataset", "unified_class", "split", "path", "source_path"])
        out.writerows((*row, row[-1]) if len(row) == 5 else row for row in rows)


def test_a_folder_as_defined_has_no_fault(folder):
    root, small, rows = folder
    write(root, rows)
    assert benchmark.check(root, small) == []


def test_every_fault_is_named_with_its_place(folder):
    root, small, rows = folder
    rows[0] = (*rows[0][:3], "holdout", rows[0][4])
    rows[1] = ("XX", *rows[1][1:])
    rows[4] = (*rows[4], rows[5][4])
    rows[2] = (*rows[2], rows[5][4])
    write(root, rows)
    (root / "crops" / rows[5][4]).unlink()
    cv2.imwrite(str(root / "crops" / rows[3][4]), np.zeros((4, 20, 3), np.uint8))
    faults = "\n".join(benchmark.check(root, small))
    for expected in (
        "line 2: split is 'holdout'", "line 3: region 'XX'", "is in train and in test",
        "DE has 1 train, expected 3", "FileNotFoundError", "shorter side is 4 px",
    ):  # fmt: skip
        assert expected in faults


@pytest.mark.data
def test_the_data_folder_is_the_benchmark(root):
    assert benchmark.check(root, BENCHMARK) == []


def test_refusal_counts_at_its_threshold(rng):
    def scored(best, side):
        return metrics.Scored(
            np.stack([best, best - 1], 1), np.zeros(len(best), int), np.zeros(len(best)), side
        )

    empty = scored(rng.normal(0, 1, 2000), np.full(2000, 40))
    signs = scored(np.r_[np.full(50, 10.0), np.full(50, -10.0)], np.r_[np.full(50, 40), [20] * 50])
    found = metrics.refusal(signs, empty, empty)
    assert found["empty_accepted"] == pytest.approx(1, abs=0.1) and found["signs_accepted"] == 100
