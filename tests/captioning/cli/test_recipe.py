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
from tests.captioning.cli.commands import refused

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
    """Then the same where the first stage was stopped within its epochs, and where all is done."""
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
    half, options = tmp_path / "half", read_recipe(str(recipe)).stages[0].options
    stopped = ["train", "--data", str(small_folder), "--out", str(half / "1-train"), *options, "--seed", "3"]
    assert main([*stopped, "--max-iterations", "3"]) == 0
    for _ in range(2):
        capsys.readouterr()
        assert run(recipe, small_folder, half, "--seed", "3") == 0
        assert "--resume" in capsys.readouterr().err
    for name in ("1-train", "2-reinforce"):
        whole, again = (tmp_path / runs / name / "weights.safetensors" for runs in ("runs", "half"))
        assert whole.read_bytes() == again.read_bytes()
    assert run(recipe, small_folder, half, "--seed", "1") == 2
    assert "--seed 1 (the run has 3)" in capsys.readouterr().err
    recipe.write_text(SMALL.replace("batch-size = 8", "batch-size = 4"))
    assert run(recipe, small_folder, half, "--seed", "3") == 2
    assert "--batch-size 4 (the run has 8)" in capsys.readouterr().err


def test_a_stop_tells_the_recipes_own_line_which_goes_on(recipe, small_folder, tmp_path, capsys, monkeypatch):
    iterate, done = Solver._iterate, []

    def interrupted(solver, stop):
        iterate(solver, stop)
        done.extend([solver] * isinstance(solver, SelfCritical))
        if len(done) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Solver, "_iterate", interrupted)
    monkeypatch.chdir(tmp_path)
    assert run(recipe.name, small_folder, "my runs", "--seed", "3") == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("stopped after iteration 2 of ")
    command = shlex.split(told.partition("go on with: ")[2])
    assert command == ["captioning", "recipe", recipe.name, "--data", str(small_folder), "--out", "my runs", "--seed",
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
    mean = Run.open(runs / "2-reinforce")
    assert mean.settings["average"] == ["2-reinforce-1", "2-reinforce-2"]
    assert Run.open(runs / "3-refine").settings["refinement"]["start"] == "2-reinforce"
    one, two, both = (mg.load(runs / f"2-reinforce{k}" / "weights.safetensors") for k in ("-1", "-2", ""))
    for name, array in both.items():
        np.testing.assert_allclose(array, (one[name] + two[name]) / 2, rtol=1e-6, atol=1e-8)
    told = f"{runs}/2-reinforce is there, but was made of other weights than "
    recipe.write_text(SMALL)  # one run, and no mean
    assert run(recipe, small_folder, runs, "--seed", "3", "--quiet") == 2
    assert told in capsys.readouterr().err
    recipe.write_text(SMALL.replace("longest = 8", "longest = 8\nruns = 2") + TUNING)
    shutil.move(runs / "2-reinforce-1", tmp_path / "away")
    assert run(recipe, small_folder, runs, "--seed", "3", "--quiet") == 2
    assert told in capsys.readouterr().err
    assert not (runs / "2-reinforce-1").exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_first_stage_that_went_on_has_other_weights(recipe, small_folder, tmp_path, capsys, known):
    """A run of an older version does not know of which weights it was made, and is taken as it is."""
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
    assert (f"was made of other weights than {runs}/1-train have now" in capsys.readouterr().err) == known


@pytest.mark.parametrize(("old", "new", "said"), [
    ("longest = 8", "drafts = 1", "stage 2: drafts must be an int from 2 to 1000; got 1"),
    ("longest = 8", "longest = 'eight'", "stage 2: argument --longest: invalid int value: 'eight'"),
    ("longest = 8", "shortest = 8", "stage 2: unrecognized arguments: --shortest 8 (captioning reinforce --help says"),
    ("hidden = 12", "schedule = 'quick'", "stage 1: argument --schedule: invalid choice: 'quick'"),
    ("epochs = 2", "epochs = 0", "stage 1: epochs must be an int of at least 1; got 0"),
    ("longest = 8", "runs = 0", "stage 2: runs must be an int from 1 to 100; got 0"),
    ("longest = 8", "help = true", "stage 2: help is for whoever carries the recipe out"),
    ("beam = 2", "part = 'first'", "evaluate: part is for whoever carries the recipe out"),
    ("hidden = 12", "runs = 2", "unrecognized arguments: --runs 2"),
    ('command = "reinforce"', 'command = "train"', "stage 2: command must be 'refine' or 'reinforce'; got 'train'"),
    ("epochs = 2", "epochs = [2]", r"epochs must be one text, number, true or false; got [2]"),
    ("[evaluate]", "[judge]", "knows stage, evaluate, about and minutes; got judge"),
    ("hidden = 12", "hidden =", "is no TOML"),
    ("beam = 2", "width = 2", "evaluate: unrecognized arguments: --width 2"),
    ("beam = 2", "consensus = 5000", "evaluate: --consensus: drafts must be an int from 1 to 1000; got 5000"),
    ("beam = 2", "with = 'zebra'", "evaluate: --with: "),
    ("beam = 2", "max-images = 0", "evaluate: argument --max-images: must be an int of at least 1; got 0"),
    ("beam = 2", "split = 'test'", "evaluate: "),
    ("beam = 2", "consensus = 5\nsplit = 'train'", "evaluate: --consensus with --split train"),
    ("beam = 2", "min-length = 900\nmax-length = 9", "evaluate: --min-length: "),
    ("beam = 2", "out = 'a.txt'", "evaluate: out is for whoever carries the recipe out"),
])  # fmt: skip
def test_a_mistake_anywhere_is_told_before_any_work(recipe, small_folder, tmp_path, capsys, old, new, said):
    recipe.write_text(SMALL.replace(old, new))
    refused(capsys, ["recipe", recipe, "--data", small_folder, "--out", tmp_path / "runs"], f"{recipe}: ", said)
    assert not (tmp_path / "runs").exists()


def test_the_data_of_the_first_run_judges_the_last_stage(recipe, trained, tmp_path, capsys):
    recipe.write_text(SMALL.replace("beam = 2", "with = 'zebra'"))
    (tmp_path / "runs").mkdir()
    shutil.copytree(trained, tmp_path / "runs" / "1-train")
    refused(capsys, ["recipe", recipe, "--out", tmp_path / "runs"], f"{recipe}: evaluate: --with: ")


def test_recipes_that_come_with_the_package_are_whole(capsys):
    assert list(RECIPES) == ["flickr8k"]
    assert read_recipe("flickr8k").about
    refused(capsys, ["recipe", "nowhere", "--out", "x"], "nowhere: there is no such file", "there is flickr8k")
    refused(capsys, ["recipe", "flickr8k", "--out", "x", "--seed", "-1"], "argument --seed: ")
