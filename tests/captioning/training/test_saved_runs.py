"""Runs that older code saved: they load, are judged as they were, and go on as they would have.

The folders in saved_at_d39538c were written by the code of that commit, from the small data set of these tests: three
epochs of five iterations, stopped after the seventh. `expected.json` is what that code said of the best weights, and
the history of the same training without a stop. (Numbers are compared up to rounding: other processors multiply in
another order, and so does newer code.)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from captioning.models.weights import WEIGHTS

import minigrad as mg
from captioning.decoding.stepwise import greedy
from captioning.evaluation.split_scores import evaluate
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import Solver

SAVED = Path(__file__).parent / "saved_at_d39538c"
LENGTH = 7  # of captions, which were cut there: a stored one has no more words


@pytest.fixture(params=["lstm", "rnn"])
def saved(request, tmp_path):
    """A copy of a folder, and what is expected of it."""
    folder = shutil.copytree(SAVED / request.param, tmp_path / "run")
    return folder, json.loads((folder / "expected.json").read_text())


def test_the_files_have_the_names_of_that_time():
    for cell in ("lstm", "rnn"):
        state = mg.load(SAVED / cell / "checkpoint.safetensors")
        assert set(mg.load(SAVED / cell / "weights.safetensors")) == set(WEIGHTS)
        assert {name.removeprefix("model/") for name in state if name.startswith("model/")} == set(WEIGHTS)


def test_weights_of_an_older_run_are_judged_as_they_were(saved, small_data):
    folder, expected = saved
    model = Run.open(folder).load_model()
    images = np.arange(12, 24)
    figures = evaluate(model, small_data.val, images, seed=2, max_length=LENGTH)
    assert {name: figures[name] for name in expected["evaluation"]} == pytest.approx(expected["evaluation"], rel=1e-5)
    assert greedy(model, small_data.val.features[images], 8).tolist() == expected["said"]


def test_an_older_run_goes_on(saved, small_data, monkeypatch):
    folder, expected = saved
    monkeypatch.setattr("captioning.evaluation.split_scores.length_for", lambda split: LENGTH)
    run = Run.open(folder)
    solver = Solver(run.new_model(), small_data.train, small_data.val, Settings(**run.settings["training"]), run)
    solver.resume()
    assert solver.iteration == 7
    assert len(solver.train()) == len(expected["history"])
    for mine, theirs in zip(solver.history, expected["history"], strict=True):
        assert {key: mine[key] for key in theirs} == pytest.approx(theirs, rel=1e-4)
        assert mine.keys() <= theirs.keys() | {"val_cider"}  # which it knows of validations since
    assert set(mg.load(folder / "weights.safetensors")) <= {*WEIGHTS, *WEIGHTS.values()}
    again = Solver(run.new_model(), small_data.train, small_data.val, solver.settings, Run.open(folder))
    again.resume()  # the checkpoint that it left has the names of now
    assert again.finished
    for name, array in solver.optimiser.state_dict().items():
        np.testing.assert_array_equal(again.optimiser.state_dict()[name], array)
