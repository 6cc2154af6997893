"""The curves of a training run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.pictures.curves import draw_curves, loss_curve, series
from captioning.pictures.figures import new_figure, svg_address
from tests.captioning.pictures.samples import has_colour, read

BLUE, ORANGE, RED = (0x1F, 0x6F, 0xB4), (0xD9, 0x54, 0x1E), (0xB3, 0x26, 0x1E)
RUN = [{"iteration": i, "loss": 75 / i**0.3} for i in range(1, 61)]
VALIDATIONS = [{"iteration": i, "val_loss": 60 / i**0.2, "val_bleu": i / 200} for i in (20, 40, 60)]


def drawn(training, validation=()):
    axes = new_figure(4, 3).subplots()
    draw_curves(axes, *(np.array(list(points), float).reshape(-1, 2) for points in (training, validation)))
    return axes


def test_loss_curve_draws_one_panel_or_two(tmp_path):
    loss_curve(RUN + VALIDATIONS, tmp_path / "two.png", title="A run that costs $5 and $6")
    loss_curve(RUN, tmp_path / "one.png")
    loss_curve([entry | {"val_bleu": None} for entry in VALIDATIONS], tmp_path / "val.png")
    assert read(tmp_path / "two.png").shape[0] > read(tmp_path / "one.png").shape[0]
    colours = {
        name: [has_colour(tmp_path / f"{name}.png", c) for c in (BLUE, ORANGE)] for name in ("two", "one", "val")
    }
    assert colours == {"two": [True, True], "one": [True, False], "val": [False, True]}


def test_a_self_critical_run_shows_its_reward_and_not_its_loss(tmp_path):
    pictures = []
    for scale in (1.0, -70.0):
        history = [{"iteration": i, "loss": scale * i, "reward": 0.5 + i / 99} for i in range(1, 40)]
        loss_curve([*history, {"iteration": 39, "val_cider": 0.6, "val_loss": scale}], tmp_path / "a.png")
        assert has_colour(tmp_path / "a.png", BLUE)
        assert has_colour(tmp_path / "a.png", ORANGE)
        pictures.append(read(tmp_path / "a.png"))
    assert (pictures[0] == pictures[1]).all()


@pytest.mark.parametrize("losses", [[5.0], [100.0, 0.1, 1e-4], [1.0, np.nan, np.inf, 1e300], [np.nan]])
def test_losses_that_are_not_finite_become_crosses(tmp_path, losses):
    loss_curve([{"iteration": i, "loss": x} for i, x in enumerate(losses)], tmp_path / "a.png")
    lost = [i for i, x in enumerate(losses) if not abs(x) < 1e100]
    assert has_colour(tmp_path / "a.png", RED, 12) == bool(lost)
    crosses = [line for line in drawn(enumerate(losses)).lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == ([lost] if lost else [])
    assert all(f"({len(lost)})" in line.get_label() for line in crosses)


def test_a_history_without_losses_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no entry with a loss"):
        loss_curve([{"epoch": 1, "iteration": 3}], tmp_path / "a.png")


def test_a_bleu_of_0_is_drawn_whole(tmp_path):
    counts = []
    for bleu in (0.0, 0.3):
        loss_curve([*RUN, {"iteration": 2, "val_bleu": bleu}], tmp_path / "a.png")
        counts.append(int((np.abs(read(tmp_path / "a.png") - ORANGE).max(axis=2) < 40).sum()))
    assert abs(counts[0] - counts[1]) <= 4


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=500))
def test_a_line_shows_the_mean_and_the_range_of_windows(values):
    points = np.stack([np.arange(1.0, len(values) + 1), values], axis=1)
    axes = drawn(points, points)
    mean, validation = (line.get_xydata() for line in axes.lines)
    window = -(-len(values) // 80)
    parts = [points[start : start + window] for start in range(0, len(values), window)]
    np.testing.assert_allclose(mean, [part.mean(axis=0) for part in parts], atol=1e-9)
    np.testing.assert_array_equal(validation, points)
    band = axes.collections[0].get_paths()[0].vertices.tolist()
    edges = [[x, y] for (x, _), part in zip(mean, parts, strict=True) for y in (part[:, 1].min(), part[:, 1].max())]
    assert all(edge in band for edge in edges)


@pytest.mark.parametrize(("values", "scale"), [([1, 100], "log"), ([50, 100], "linear"), ([0, 100], "linear")])
def test_values_that_differ_by_far_get_a_logarithmic_axis(values, scale):
    axes = drawn([(1, values[0]), (2, 60)], [(2, values[1])])
    assert axes.get_yscale() == scale
    assert axes.get_ylim()[0] >= 0
    assert svg_address(axes.figure) == svg_address(drawn([(1, values[0]), (2, 60)], [(2, values[1])]).figure)


def test_series_reads_what_is_there():
    history = [{"iteration": 1, "loss": 2.0}, {"iteration": 2, "loss": None}, {"loss": 3.0}, {"iteration": 4},
               {"iteration": 5, "loss": 10**400}]  # fmt: skip
    np.testing.assert_array_equal(series(history, "loss"), [[1, 2], [np.nan, 3], [5, np.nan]])
    assert series([], "loss").shape == (0, 2)
