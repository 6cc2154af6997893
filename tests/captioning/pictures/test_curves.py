"""The curves of a training run."""

import numpy as np
import pytest

from captioning.pictures import curves
from captioning.pictures.figures import new_figure


def lines_of(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def drawn(training, validation=()):
    axes = new_figure(4, 3).subplots()
    curves.draw_curves(axes, *(np.array(list(points), float).reshape(-1, 2) for points in (training, validation)))
    return axes


TRAINING = [{"iteration": i, "loss": 5.0 - i} for i in (1, 2)]
VALIDATION = {"iteration": 2, "val_loss": 4.0, "val_cider": 0.6, "val_bleu": None}


@pytest.mark.parametrize(("history", "panels"), [
    (TRAINING, [("loss", {"training": [[1, 4], [2, 3]]})]),
    ([VALIDATION], [("loss", {"validation": [[2, 4]]})]),
    ([*TRAINING, VALIDATION | {"val_bleu": 0.0}], [
        ("loss", {"training": [[1, 4], [2, 3]], "validation": [[2, 4]]}), ("validation BLEU", {"validation": [[2, 0]]}),
    ]),
    ([*(entry | {"reward": 0.1} for entry in TRAINING), VALIDATION], [
        ("CIDEr-D", {"training": [[1, 0.1], [2, 0.1]], "validation": [[2, 0.6]]}),
    ]),
])  # fmt: skip
def test_a_run_has_panels_of_its_losses_or_rewards_and_of_bleu(monkeypatch, history, panels):
    figures = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, path, dpi: figures.append(figure))
    curves.loss_curve(history, "loss.png", title="A run that costs $5 and $6")
    assert [(axes.get_ylabel(), lines_of(axes)) for axes in figures[0].axes] == panels
    assert figures[0].axes[-1].get_ylim()[0] == 0 or len(panels) == 1
    assert not any(line.get_clip_on() for axes in figures[0].axes for line in axes.lines if line.get_marker() == "o")


@pytest.mark.parametrize(
    ("losses", "lost"), [([5.0, 1e-4], []), ([1.0, np.nan, np.inf, 1e300], [1, 2, 3]), ([np.nan], [0])]
)
def test_losses_that_are_not_finite_become_crosses(tmp_path, losses, lost):
    curves.loss_curve([{"iteration": i, "loss": x} for i, x in enumerate(losses)], tmp_path / "a.png")
    crosses = {name: points for name, points in lines_of(drawn(enumerate(losses))).items() if name != "training"}
    assert crosses == ({f"not finite ({len(lost)})": [[i, 0.03] for i in lost]} if lost else {})


@pytest.mark.parametrize("count", [1, 79, 80, 81, 400, 401])
def test_a_line_shows_the_mean_and_the_range_of_windows(count):
    points = np.stack([np.arange(1.0, count + 1), np.random.default_rng(count).normal(size=count)], axis=1)
    axes = drawn(points, points)
    window = -(-count // 80)
    parts = [points[start : start + window] for start in range(0, count, window)]
    mean, validation = (line.get_xydata() for line in axes.lines)
    np.testing.assert_allclose(mean, [part.mean(axis=0) for part in parts], atol=1e-9)
    np.testing.assert_array_equal(validation, points)
    band = axes.collections[0].get_paths()[0].vertices.tolist()
    edges = [[x, y] for (x, _), part in zip(mean, parts, strict=True) for y in (part[:, 1].min(), part[:, 1].max())]
    assert all(edge in band for edge in edges)


@pytest.mark.parametrize(("values", "scale"), [([1, 100], "log"), ([50, 100], "linear"), ([0, 100], "linear")])
def test_values_that_differ_by_far_get_a_logarithmic_axis(values, scale):
    axes = drawn([(1, values[0]), (2, 60)], [(2, values[1])])
    assert (axes.get_yscale(), axes.get_ylim()[0] >= 0) == (scale, True)


@pytest.mark.parametrize("values", [[1000, 1010], [0.5, 0.501], [-3, 7]])
def test_a_curve_fills_its_axis(values):
    low, high = drawn([], enumerate(values)).get_ylim()
    assert low < min(values)
    assert max(values) < high
    assert np.ptp(values) > 0.8 * (high - low)


@pytest.mark.parametrize("values", [[0.21, 0.21], [0.16348, 0.16349], [1.0, 1.0], [1e-80, 1e-80]])
def test_equal_scores_get_an_axis_around_them_within_0_and_1(values):
    low, high = drawn([], enumerate(values)).get_ylim()
    assert 0 <= low <= values[0] <= high <= 1
    assert 0.05 * values[0] <= high - low <= max(values)


def test_scores_of_0_get_an_axis_that_starts_at_0():
    low, high = drawn([], enumerate([0.0, 0.0])).get_ylim()
    assert 0 == low < high <= 1


def test_series_reads_what_is_there(tmp_path):
    history = [{"iteration": 1, "loss": 2.0}, {"iteration": 2, "loss": None}, {"loss": 3.0}, {"iteration": 4},
               {"iteration": 5, "loss": 10**400}]  # fmt: skip
    np.testing.assert_array_equal(curves.series(history, "loss"), [[1, 2], [np.nan, 3], [5, np.nan]])
    assert curves.series([], "loss").shape == (0, 2)
    with pytest.raises(ValueError, match="no entry with a loss"):
        curves.loss_curve([{"epoch": 1, "iteration": 3}], tmp_path / "a.png")
