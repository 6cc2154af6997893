"""The curves of a training."""

from __future__ import annotations

import math

import numpy as np

from captioning.report.curves import series, training_charts
from tests.captioning.report.samples import HISTORY


def titles(markup):
    return [part.partition("<")[0] for part in markup.split("<figcaption>")[1:]]


def test_each_figure_has_a_chart_and_validations_are_a_table():
    found = training_charts(HISTORY)
    assert titles(found) == ["Loss of a caption", "Corpus BLEU-4", "Learning rate"]
    assert "iteration 60: 25" in found
    assert found.count("<tr>") == 3
    assert "<td>0.2</td>" in found


def test_a_self_critical_training_shows_its_reward():
    """What its iterations call loss is no loss of a caption, and lies around 0."""
    history = [{"iteration": i, "epoch": 1, "loss": -0.01 * i, "reward": 0.5 + i / 100} for i in range(1, 11)]
    history.append({"iteration": 10, "epoch": 1, "val_loss": 40.0, "val_bleu": 0.2, "val_cider": 0.55})
    found = training_charts(history)
    assert titles(found) == ["Loss of a caption", "CIDEr-D of a caption", "Corpus BLEU-4"]
    assert "training, iterations 10 to 10: mean 0.6" in found
    assert "validation, iteration 10: 0.55" in found
    assert "mean -0.1" not in found
    assert "mean \u22120.1" not in found


def test_a_figure_that_is_new_is_drawn_under_its_own_name():
    history = [*HISTORY, {"iteration": 60, "val_some_score": 0.5, "val_": 1.0, "val__": 2.0}]
    assert titles(training_charts(history))[2:5] == ["Some score", "?", "?"]


def test_without_a_history_it_says_so():
    assert "has no history" in training_charts([])
    assert "has no history" in training_charts([{"iteration": 1, "loss": math.nan}])


def test_what_is_not_finite_is_left_out_and_counted():
    lost = [{"iteration": i, "loss": loss} for i, loss in ((61, math.nan), (10**400, 1.0), (62, 10**400))]
    found = training_charts([*HISTORY, *lost])
    assert "Left out: 3 numbers of the losses, not finite." in found
    assert "not finite" not in training_charts(HISTORY)


def test_a_long_history_is_a_small_chart_that_has_all_of_it():
    rng = np.random.default_rng(0)
    losses = rng.random(20_000) + 1
    losses[12_345] = 9.0
    history = [{"iteration": i, "loss": float(x)} for i, x in enumerate(losses, 1)]
    history += [{"iteration": i, "epoch": i, "val_loss": 2.0} for i in range(1, 5001)]
    found = training_charts(history)
    assert len(found) < 100_000
    assert "training, iterations 1 to 134: mean" in found
    assert "60 of 5,000" in found
    assert ">10<" in found  # the axis reaches to the largest


def test_series_reads_what_is_there():
    history = [{"iteration": 1, "loss": 2.0}, {"iteration": 2, "loss": None}, {"loss": 3.0}]
    found = series(history, "loss")
    assert found.shape == (2, 2)
    assert np.isnan(found[1, 0])
    assert series([], "loss").shape == (0, 2)
