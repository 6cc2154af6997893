"""The curve of a training run, as its pixels show it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.pictures.curves import _moving_mean, _round_above, loss_curve
from tests.captioning.pictures.samples import has_colour, read


def run(iterations=60, epoch=20):
    history = []
    for i in range(1, iterations + 1):
        history.append({"iteration": i, "epoch": (i - 1) // epoch + 1, "loss": 75 / i**0.3})
        if i % epoch == 0:
            scores = {"val_loss": 60 / i**0.2, "val_bleu": i / 200, "learning_rate": 5e-3}
            history.append({"epoch": i // epoch, "iteration": i, **scores})
    return history


def test_loss_curve_draws_one_panel_or_two(tmp_path):
    loss_curve(run(), tmp_path / "two.png", title="A run that costs $5 and $6")
    loss_curve([entry for entry in run() if "loss" in entry], tmp_path / "one.png")
    loss_curve([entry | {"val_bleu": None} for entry in run() if "val_loss" in entry], tmp_path / "val.png")
    assert read(tmp_path / "two.png").shape[0] > read(tmp_path / "one.png").shape[0]
    assert has_colour(tmp_path / "two.png", (0xD9, 0x54, 0x1E))
    assert not has_colour(tmp_path / "one.png", (0xD9, 0x54, 0x1E))
    assert has_colour(tmp_path / "one.png", (0x1F, 0x6F, 0xB4))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png", "val.png"]


def test_a_self_critical_training_shows_its_reward(tmp_path):
    """And not what its iterations call loss, which lies around 0: the picture is the same whatever that is."""
    for name, scale in (("a", 1.0), ("b", -70.0)):
        history = [{"iteration": i, "epoch": 1, "loss": scale * i, "reward": 0.5 + i / 99} for i in range(1, 40)]
        loss_curve(
            [*history, {"iteration": 39, "epoch": 1, "val_cider": 0.6, "val_loss": 9.0}], tmp_path / f"{name}.png"
        )
    assert (read(tmp_path / "a.png") == read(tmp_path / "b.png")).all()
    assert has_colour(tmp_path / "a.png", (0x1F, 0x6F, 0xB4))
    assert has_colour(tmp_path / "a.png", (0xD9, 0x54, 0x1E))


def test_the_best_bleu_is_not_cut_off(tmp_path):
    rising = [{"iteration": i, "epoch": i, "loss": 1.0} for i in range(1, 4)]
    rising += [{"iteration": i, "epoch": i, "val_bleu": x} for i, x in ((1, 0.37), (2, 0.45), (3, 0.47))]
    loss_curve(rising, tmp_path / "a.png")
    orange = np.abs(read(tmp_path / "a.png")[..., :3].astype(int) - (0xD9, 0x54, 0x1E)).max(axis=2) < 40
    columns = np.flatnonzero(orange.any(axis=0))
    first, last = orange[:, columns[0] : columns[0] + 8].sum(), orange[:, columns[-1] - 7 : columns[-1] + 1].sum()
    assert abs(int(first) - int(last)) <= 2  # the halves of two discs of one size


@pytest.mark.parametrize(
    ("best", "top"), [(0.47, 0.5), (0.5, 0.6), (0.003, 0.004), (1.0, 1.5), (0.0, 1.0), (0.099, 0.15)]
)
def test_the_axis_of_bleu_ends_at_a_round_number_above_the_best(best, top):
    assert _round_above(best) == top


def test_bleu_of_nothing_is_drawn_whole(tmp_path):
    """And not half below the axis."""
    floor = [{"iteration": i, "epoch": i, "loss": 1.0} for i in range(1, 4)]
    loss_curve([*floor, {"iteration": 2, "epoch": 2, "val_bleu": 0.0}], tmp_path / "low.png")
    loss_curve([*floor, {"iteration": 2, "epoch": 2, "val_bleu": 0.3}], tmp_path / "high.png")
    low, high = (
        int((np.abs(read(tmp_path / name)[..., :3].astype(int) - (0xD9, 0x54, 0x1E)).max(axis=2) < 40).sum())
        for name in ("low.png", "high.png")
    )
    assert abs(low - high) <= 4


@pytest.mark.parametrize("losses", [[5.0], [100.0, 0.1, 1e-4], [0.0, 100.0], [1.0, np.nan, np.inf, 2.0], [np.nan] * 3])
def test_loss_curve_draws_odd_losses(tmp_path, losses):
    loss_curve([{"iteration": i, "epoch": 1, "loss": x} for i, x in enumerate(losses)], tmp_path / "a.png")
    assert has_colour(tmp_path / "a.png", (0xB3, 0x26, 0x1E), 12) == (not np.isfinite(losses).all())


def test_loss_curve_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no entry with a loss"):
        loss_curve([{"epoch": 1, "iteration": 3}], tmp_path / "a.png")
    with pytest.raises(ValueError, match="entry 1 of the history has loss but no iteration"):
        loss_curve([{"epoch": 1}, {"loss": 3.0}], tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@given(st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(np.nan)), min_size=1, max_size=30), st.integers(1, 40))
def test_the_moving_mean_is_of_the_finite_values_around(values, window):
    got = _moving_mean(np.array(values), window)
    assert got.shape == (len(values),)
    before = window - 1 - (window - 1) // 2
    for k, mean in enumerate(got):
        near = [x for x in values[max(0, k - before) : k + (window - 1) // 2 + 1] if np.isfinite(x)]
        assert mean == pytest.approx(np.mean(near), abs=1e-9) if near else np.isnan(mean)
