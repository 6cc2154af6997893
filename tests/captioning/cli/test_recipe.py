"""Trainings in stages by a settings file."""

from __future__ import annotations

import shlex
import shutil
import signal

import numpy as np
import pytest

import minigrad as mg
from captioning.cli.entry import main
from captioning.recipes import RECIPES, read_recipe
from captioning.training.run_folder import Run
from captioning.training.self_critical import SelfCritical
from captioning.training.solver import Solver

SMALL = """
about = "two short stages"

[[stage]]
command = "train"
hidden = 12
wordvec = 8
epochs = 2
batch-size = 10
dropout = 0.0
keep = "cider"

[[stage]]
command = "reinforce"
epochs = 2
batch-size = 8
longest = 8
keep = "cider"

[evaluate]
beam = 2
"""


TUNING = """
[[stage]]
command = "refine"
rounds = 1
round-epochs = 1
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def run(recipe, data, out, *more):
    return main(["recipe", str(recipe), "--data", str(data), "--out", str(out), *more])


def test_both_stages_and_how_good_it_is(recipe, small_folder, tmp_path, capsys):
    assert run(recipe, small_folder, tmp_path / "runs", "--seed", "3") == 0
    out, err = capsys.readouterr()
    assert "step 1 of 3: captioning train --out" in err
    assert "step 2 of 3: captioning reinforce" in err
    assert "CIDEr-D" in out
    assert "part:second" in out
    first, second = (Run.open(tmp_path / "runs" / name) for name in ("1-train", "2-reinforce"))
    assert first.settings["training"]["seed"] == second.settings["training"]["seed"] == 3
    reinforcement = second.settings["reinforcement"]
    assert (reinforcement["start"], reinforcement["drafts"], reinforcement["longest"]) == ("1-train", 5, 8)
    assert len([e for e in second.history() if "val_cider" in e]) == 2


@pytest.mark.parametrize("stage", [1, 2])
def test_a_stop_tells_the_recipes_own_line_which_goes_on(recipe, small_folder, tmp_path, capsys, monkeypatch, stage):
    iterate, done = Solver._iterate, 0

    def interrupted(solver, stop):
        nonlocal done
        iterate(solver, stop)
        if isinstance(solver, SelfCritical) == (stage == 2):
            done += 1
            if done == 2:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Solver, "_iterate", interrupted)
    monkeypatch.chdir(tmp_path)
    assert run(recipe.name, small_folder, "my runs", "--seed", "3") == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("stopped after iteration 2 of ")
    command = shlex.split(told.partition("go on with: ")[2])
    assert command == ["captioning", "recipe", recipe.name, "--out", "my runs", "--data", str(small_folder), "--seed",
                       "3"]  # fmt: skip
    assert main(command[1:]) == 0


def test_a_stage_of_several_runs_is_averaged_and_the_next_goes_on_from_that(recipe, small_folder, tmp_path, capsys):
    recipe.write_text(SMALL.replace("longest = 8", "longest = 8\nruns = 2") + TUNING)
    runs = tmp_path / "runs"
    for _ in range(2):  # the second time there is nothing left to do
        assert run(recipe, small_folder, runs, "--seed", "3") == 0
        err = capsys.readouterr().err
    assert "step 5 of 5: captioning evaluate" in err
    assert "captioning average" not in err
    seeds = [Run.open(runs / f"2-reinforce-{k}").settings["training"]["seed"] for k in (1, 2)]
    assert seeds == [3, 1003]
    shutil.move(runs / "2-reinforce-1", tmp_path / "away")
    assert run(recipe, small_folder, runs, "--seed", "3") == 2
    assert "2-reinforce is there, but not what it is the mean of" in capsys.readouterr().err
    shutil.move(tmp_path / "away", runs / "2-reinforce-1")
    mean = Run.open(runs / "2-reinforce")
    assert mean.settings["average"] == ["2-reinforce-1", "2-reinforce-2"]
    assert Run.open(runs / "3-refine").settings["refinement"]["start"] == "2-reinforce"
    one, two, both = (mg.load(runs / f"2-reinforce{k}" / "weights.safetensors") for k in ("-1", "-2", ""))
    for name, array in both.items():
        np.testing.assert_allclose(array, (one[name] + two[name]) / 2, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("known", [True, False])
def test_a_first_stage_that_went_on_has_other_weights(recipe, small_folder, tmp_path, capsys, known):
    """What an older version made does not know of which, and is taken as it is."""
    runs = tmp_path / "runs"
    recipe.write_text(SMALL.replace('keep = "cider"', 'keep = "loss"'))
    assert run(recipe, small_folder, runs) == 0
    if not known:
        second = Run.open(runs / "2-reinforce")
        del second.settings["reinforcement"]["start_weights"]
        second.write_settings()
    recipe.write_text(recipe.read_text().replace("epochs = 2", "epochs = 4", 1))
    capsys.readouterr()
    assert run(recipe, small_folder, runs) == (2 if known else 0)
    assert ("was made of other weights" in capsys.readouterr().err) == known


@pytest.mark.parametrize(("old", "new", "said"), [
    ("longest = 8", "drafts = 1", "drafts must be an int from 2 to 1000; got 1"),
    ("longest = 8", "longest = 100000000000", "longest must be an int from 2 to 1000; got 100000000000"),
    ("epochs = 2", "epochs = 0", "epochs must be an int of at least 1; got 0"),
    ("beam = 2", "consensus = 5000", "--consensus: drafts must be an int from 1 to 1000; got 5000"),
    ("longest = 8", "runs = 0", "stage 2: runs must be an int from 1 to 100; got 0"),
    ("longest = 8", "runs = 1000000000", "stage 2: runs must be an int from 1 to 100; got 1000000000"),
    ("longest = 8", "help = true", "stage 2: help is for whoever carries the recipe out"),
    ("beam = 2", "part = 'first'", "evaluate: part is for whoever carries the recipe out"),
    ("hidden = 12", "runs = 2", "unrecognized arguments: --runs 2"),
    ('command = "reinforce"', 'command = "train"', "stage 2: command must be 'refine' or 'reinforce'; got 'train'"),
    ('command = "train"', 'command = "refine"', "stage 1: command must be 'train'; got 'refine'"),
    ("epochs = 2", "epochs = [2]", r"epochs must be one text, number, true or false; got [2]"),
    ("epochs = 2", "out = 'x'", "stage 1: out is for whoever carries the recipe out"),
    ("[evaluate]", "[judge]", "knows stage, evaluate, about and minutes; got judge"),
    ("[[stage]]", "[[stages]]", "knows stage, evaluate, about and minutes; got stages"),
    ("hidden = 12", "hidden =", "is no TOML"),
])  # fmt: skip
def test_a_mistake_anywhere_is_told_before_any_work(recipe, small_folder, tmp_path, capsys, old, new, said):
    recipe.write_text(SMALL.replace(old, new))
    try:
        status = run(recipe, small_folder, tmp_path / "runs")
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("judge", "told"), [
    ("with = 'zebra'", "--with: "),
    ("max-images = 0", "--max-images must be at least 1; got 0"),
    ("split = 'test'", "has no test split"),
    ("consensus = 5\nsplit = 'train'", "--consensus asks the captions of training images"),
    ("min-length = 900\nmax-length = 9", "--min-length: "),
])  # fmt: skip
@pytest.mark.parametrize("begun", [False, True])
def test_what_the_data_set_says_of_the_judging_is_told_before_any_training(
    recipe, small_folder, trained, tmp_path, capsys, judge, told, begun
):
    """Of a new recipe, and of one whose first run knows where its data is."""
    recipe.write_text(SMALL.replace("beam = 2", judge))
    runs, data = tmp_path / "runs", ["--data", str(small_folder)]
    if begun:
        runs.mkdir()
        shutil.copytree(trained, runs / "1-train")
        data = []
    assert main(["recipe", str(recipe), "--out", str(runs), *data]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"captioning recipe: {recipe}: evaluate: ")
    assert told in err
    assert len(err.splitlines()) == 1
    assert runs.exists() == begun


def test_recipes_that_come_with_the_package_are_whole(capsys):
    assert list(RECIPES) == ["flickr8k"]
    for name in RECIPES:
        assert read_recipe(name).about
    assert main(["recipe", "nowhere", "--out", "x"]) == 2
    assert "nowhere: there is no such file, and no recipe of that name; there is flickr8k" in capsys.readouterr().err
