"""Learning rates: they follow from the settings alone, and from validations."""

from __future__ import annotations

import math

import pytest
from captioning.training.schedules import SCHEDULES, learning_rate, reductions
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from captioning.training.settings import Settings


def optimiser():
    return mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=0.01)


@given(st.integers(0, 99), st.floats(0.5, 1.0))
def test_exponential_is_the_optimisers_schedule(i, decay):
    schedule = mg.optim.ExponentialLR(optimiser(), decay)
    settings = Settings(epochs=10, learning_rate=0.01, lr_decay=decay)
    assert learning_rate(settings, i, epoch_length=10) == schedule.rate(i // 10, 0.01)


@given(st.integers(0, 150), st.integers(1, 12) | st.none())
def test_cosine_is_the_optimisers_schedule(i, epochs):
    settings = Settings(epochs=10, learning_rate=0.01, schedule="cosine", cosine_epochs=epochs)
    schedule = mg.optim.CosineLR(optimiser(), 10 * (epochs or 10))
    assert learning_rate(settings, i, epoch_length=10) == pytest.approx(schedule.rate(i, 0.01), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_rises_to_where_the_schedule_is(schedule):
    plain = Settings(learning_rate=1.0, schedule=schedule)
    warm = Settings(learning_rate=1.0, schedule=schedule, warmup=4)
    shares = [learning_rate(warm, i, 10) / learning_rate(plain, i, 10) for i in range(6)]
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_a_plateau_reduces():
    settings = Settings(learning_rate=1.0, schedule="plateau", lr_decay=0.5)
    assert [learning_rate(settings, 7, 10, reduced) for reduced in range(3)] == [1.0, 0.5, 0.25]
    assert reductions([]) == 0
    assert reductions([(1.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 9.0)]) == 2
    assert reductions([(math.inf, 0.0)] * 4) == 3
