"""Learning rates, the order of captions, and intervals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from captioning.training.settings import SCHEDULES, Settings, epoch_order, learning_rate, parse_interval, reductions


@given(st.integers(0, 150), st.integers(1, 12) | st.none(), st.floats(0.5, 1.0))
def test_rates_are_those_of_the_optimisers_schedules(i, epochs, decay):
    optimiser = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=0.01)
    exponential = Settings(epochs=10, learning_rate=0.01, lr_decay=decay)
    expected = mg.optim.ExponentialLR(optimiser, decay).rate(i // 10, 0.01)
    assert learning_rate(exponential, i, epoch_length=10) == expected
    cosine = Settings(epochs=10, learning_rate=0.01, schedule="cosine", cosine_epochs=epochs)
    expected = mg.optim.CosineLR(optimiser, 10 * (epochs or 10)).rate(i, 0.01)
    assert learning_rate(cosine, i, epoch_length=10) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up(schedule):
    plain, warm = (Settings(learning_rate=1.0, schedule=schedule, warmup=warmup) for warmup in (0, 4))
    shares = [learning_rate(warm, i, 10) / learning_rate(plain, i, 10) for i in range(6)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_plateau():
    settings = Settings(learning_rate=1.0, schedule="plateau", lr_decay=0.5)
    assert [learning_rate(settings, 7, 10, reduced) for reduced in range(3)] == [1.0, 0.5, 0.25]
    found = [[], [(1.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 9.0)], [(0.1, 0.0), (0.3, 0.0), (0.2, 0.0), (0.4, 0.0)]]
    assert list(map(reductions, found)) == [0, 2, 1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 9))
def test_an_epoch_has_every_caption_once(lengths, batch_size, buckets, seed):
    order = epoch_order(np.array(lengths), batch_size, buckets, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(lengths)))


def test_buckets_leave_little_padding_and_shuffle_the_batches():
    lengths = np.random.default_rng(0).integers(5, 20, 2000)
    batches = lengths[epoch_order(lengths, 50, 20, np.random.default_rng(1))].reshape(-1, 50)
    assert (batches.max(axis=1) - batches.min(axis=1)).mean() < 2
    assert abs(np.corrcoef(batches.mean(axis=1), np.arange(len(batches)))[0, 1]) < 0.5


@pytest.mark.parametrize(("text", "interval"), [
    ("30s", (30, math.inf)), ("2h", (7200, math.inf)), ("0.5m", (30, math.inf)), ("1000", (math.inf, 1000)),
    ("never", (math.inf, math.inf)),
])  # fmt: skip
def test_intervals(text, interval):
    assert parse_interval(text) == interval


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5m", "5 minutes", "1.5", "m", "nan", "inf", "9" * 400, "9" * 400 + "s", "٣s"]
)
def test_what_is_no_interval_is_refused(text):
    with pytest.raises(ValueError, match="30s, 5m or 2h"):
        parse_interval(text)
