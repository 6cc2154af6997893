"""Runs that older code saved: they load, score as they did, and go on as they would have.

The folders in saved_at_d39538c were written by the code of that commit, from the small data set of these tests: three
epochs of five iterations, stopped after the seventh. `expected.json` has its scores of the best weights, and the
history of the same training without a stop. Numbers are compared up to round-off.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from captioning.decoding.stepwise import greedy
from captioning.evaluation.split_scores import evaluate
from captioning.models.captioner import WEIGHTS
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import Solver

SAVED = Path(__file__).parent / "saved_at_d39538c"
LENGTH = 7  # the longest caption of that time


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_an_older_run_is_scored_and_goes_on(cell, small_data, tmp_path, monkeypatch):
    folder = shutil.copytree(SAVED / cell, tmp_path / "run")
    expected = json.loads((folder / "expected.json").read_text())
    assert set(mg.load(folder / "weights.safetensors")) == set(WEIGHTS)  # names of that time
    run, images = Run.open(folder), np.arange(12, 24)
    model = run.load_model()
    figures = evaluate(model, small_data.val, images, seed=2, max_length=LENGTH)
    assert {name: figures[name] for name in expected["evaluation"]} == pytest.approx(expected["evaluation"], rel=1e-5)
    assert greedy(model, small_data.val.features[images], 8).tolist() == expected["said"]
    monkeypatch.setattr("captioning.evaluation.split_scores.length_for", lambda split: LENGTH)
    solver = Solver(run.new_model(), small_data.train, small_data.val, Settings(**run.settings["training"]), run)
    solver.resume()
    assert solver.iteration == 7
    solver.train()
    for mine, theirs in zip(solver.history, expected["history"], strict=True):
        assert {key: mine[key] for key in theirs} == pytest.approx(theirs, rel=1e-4)
    again = Solver(run.new_model(), small_data.train, small_data.val, solver.settings, Run.open(folder))
    again.resume()  # the checkpoint that it left has the names of now
    np.testing.assert_equal(again.optimiser.state_dict(), solver.optimiser.state_dict())
