"""The command `recipe`: trainings in stages by a settings file."""

from __future__ import annotations

import shlex
import shutil
import signal

import numpy as np
import pytest

import minigrad as mg
from captioning.recipes import RECIPES, read_recipe
from captioning.training.run_folder import Run
from captioning.training.self_critical import SelfCritical
from captioning.training.solver import Solver
from tests.captioning.cli.commands import refused, status_of

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
THREE = (
    SMALL.replace("longest = 8", "longest = 8\nruns = 2")
    + """
[[stage]]
command = "refine"
rounds = 1
round-epochs = 1
"""
)


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def carry_out(recipe, small_folder, capsys):
    """Run a recipe; return its status, output and errors."""

    def carry_out(out, *more, text=SMALL):
        recipe.write_text(text)
        capsys.readouterr()
        status = status_of("recipe", recipe, "--data", small_folder, "--out", out, *more)
        return status, *capsys.readouterr()

    return carry_out


def test_both_stages_and_how_good_the_result_is(recipe, carry_out, small_folder, tmp_path):
    """The same again where the first stage was stopped within its epochs, and where all is done."""
    status, out, err = carry_out(tmp_path / "runs", "--seed", "3")
    assert status == 0
    for part in ("step 1 of 3: captioning train --out", "step 2 of 3: captioning reinforce"):
        assert part in err
    assert "CIDEr-D" in out
    assert "part:second" in out
    first, second = (Run.open(tmp_path / "runs" / name).settings for name in ("1-train", "2-reinforce"))
    assert first["training"]["seed"] == second["training"]["seed"] == 3
    reinforcement = second["reinforcement"]
    assert (reinforcement["start"], reinforcement["drafts"], reinforcement["longest"]) == ("1-train", 5, 8)
    half, options = tmp_path / "half", read_recipe(str(recipe)).stages[0].options
    stopped = ["train", "--data", small_folder, "--out", half / "1-train", *options, "--seed", "3"]
    assert status_of(*stopped, "--max-iterations", "3") == 0
    for _ in range(2):
        status, _, err = carry_out(half, "--seed", "3")
        assert (status, "--resume" in err) == (0, True)
    for name in ("1-train", "2-reinforce"):
        whole, again = (tmp_path / runs / name / "weights.safetensors" for runs in ("runs", "half"))
        assert whole.read_bytes() == again.read_bytes()
    assert "--seed 1 (the run has 3)" in carry_out(half, "--seed", "1")[2]
    other = SMALL.replace("batch-size = 8", "batch-size = 4")
    assert "--batch-size 4 (the run has 8)" in carry_out(half, "--seed", "3", text=other)[2]


def test_after_a_stop_the_printed_command_resumes_the_recipe(recipe, small_folder, tmp_path, capsys, monkeypatch):
    iterate, done = Solver._iterate, []

    def interrupted(solver, stop):
        iterate(solver, stop)
        done.extend([solver] * isinstance(solver, SelfCritical))
        if len(done) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Solver, "_iterate", interrupted)
    monkeypatch.chdir(tmp_path)
    words = ["recipe", recipe.name, "--data", str(small_folder), "--out", "my runs", "--seed", "3"]
    assert status_of(*words) == 130
    command = capsys.readouterr().err.splitlines()[-1].partition("resume with: ")[2]
    assert shlex.split(command) == ["captioning", *words]
    assert status_of(*words) == 0


def test_the_runs_of_a_stage_are_averaged_and_the_next_stage_starts_from_the_mean(carry_out, tmp_path):
    runs = tmp_path / "runs"
    for _ in range(2):  # the second time there is nothing left to do
        status, _, err = carry_out(runs, "--seed", "3", text=THREE)
        assert status == 0
    assert "step 5 of 5: captioning evaluate" in err
    assert "captioning average" not in err
    seeds = [Run.open(runs / f"2-reinforce-{k}").settings["training"]["seed"] for k in (1, 2)]
    assert seeds == [3, 1003]
    assert Run.open(runs / "2-reinforce").settings["average"] == ["2-reinforce-1", "2-reinforce-2"]
    assert Run.open(runs / "3-refine").settings["refinement"]["start"] == "2-reinforce"
    one, two, both = (mg.load(runs / f"2-reinforce{k}" / "weights.safetensors") for k in ("-1", "-2", ""))
    for name, array in both.items():
        np.testing.assert_allclose(array, (one[name] + two[name]) / 2, rtol=1e-6, atol=1e-8)
    shutil.move(runs / "2-reinforce-1", tmp_path / "away")
    for text in (SMALL, THREE):  # one run without a mean, and a mean of which one run is gone
        status, _, err = carry_out(runs, "--seed", "3", "--quiet", text=text)
        assert (status, f"{runs}/2-reinforce exists, but was made from older weights" in err) == (2, True)
    assert not (runs / "2-reinforce-1").exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_stage_that_was_made_of_other_weights_is_refused(carry_out, tmp_path, known):
    """A run of an older version does not know of which weights it was made, and is taken as it is."""
    runs, text = tmp_path / "runs", SMALL.replace('keep = "cider"', 'keep = "loss"')
    assert carry_out(runs, text=text)[0] == 0
    if not known:
        second = Run.open(runs / "2-reinforce")
        del second.settings["reinforcement"]["start_weights"]
        second.write_settings()
    status, _, err = carry_out(runs, text=text.replace("epochs = 2", "epochs = 4", 1))
    assert (status, f"older weights of {runs}/1-train" in err) == ((2, True) if known else (0, False))


@pytest.mark.parametrize(("old", "new", "message"), [
    ("longest = 8", "drafts = 1", "stage 2: --drafts must be an int from 2 to 1000; got 1"),
    ("longest = 8", "longest = 'eight'", "stage 2: argument --longest: invalid int value: 'eight'"),
    ("longest = 8", "shortest = 8", "stage 2: unrecognized arguments: --shortest 8"),
    ("epochs = 2", "epochs = 0", "stage 1: --epochs must be an int of at least 1; got 0"),
    ("longest = 8", "runs = 0", "stage 2: runs must be an int from 1 to 100; got 0"),
    ("longest = 8", "help = true", "stage 2: help"), ("beam = 2", "part = 'first'", "evaluate: part"),
    ("hidden = 12", "runs = 2", "unrecognized arguments: --runs 2"),
    ('command = "reinforce"', 'command = "train"', "stage 2: command must be 'refine' or 'reinforce'; got 'train'"),
    ("epochs = 2", "epochs = [2]", "epochs must be a string, a number, true or false; got [2]"),
    ("[evaluate]", "[judge]", "unknown keys judge"), ("hidden = 12", "hidden =", "is not TOML"),
    ("beam = 2", "consensus = 5000", "evaluate: --consensus must be an int from 1 to 1000; got 5000"),
    ("beam = 2", "with = 'zebra'", "evaluate: --with: "), ("beam = 2", "split = 'test'", "evaluate: "),
    ("beam = 2", "consensus = 5\nsplit = 'train'", "evaluate: --consensus"),
    ("beam = 2", "min-length = 900\nmax-length = 9", "evaluate: --min-length, 900, is more than --max-length"),
])  # fmt: skip
def test_a_mistake_anywhere_is_reported_before_any_work(recipe, small_folder, tmp_path, capsys, old, new, message):
    recipe.write_text(SMALL.replace(old, new))
    refused(capsys, ["recipe", recipe, "--data", small_folder, "--out", tmp_path / "runs"], f"{recipe}: ", message)
    assert not (tmp_path / "runs").exists()


def test_recipes_of_the_package_and_the_words_for_true_and_false(recipe, capsys):
    assert list(RECIPES) == ["flickr8k"]
    assert read_recipe("flickr8k").about
    refused(capsys, ["recipe", "nowhere", "--out", "x"], "nowhere: there is no such file", "flickr8k")
    recipe.write_text(SMALL.replace("dropout = 0.0", "pca = false\nbuckets = true"))
    assert {"--no-pca", "--buckets"} < set(read_recipe(str(recipe)).stages[0].options)
