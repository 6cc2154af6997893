"""Axes: everything has a place, and round values stand beside it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captioning.report.axes import Axis, drawable
from captioning.report.numbers import number_text

numbers = st.floats(-1e90, 1e90)
some = st.lists(numbers, min_size=1, max_size=20)


@given(some, st.booleans(), st.booleans())
def test_all_values_are_on_the_axis(values, zero, log):
    axis = Axis.around(values, 200, 10, zero, log)
    places = axis.place(values)
    assert (places <= 200 + 1e-6).all()
    assert (places >= 10 - 1e-6).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(places[order]) <= 1e-6).all()  # a larger one is never lower
    if zero and not axis.log:
        assert axis.low <= 0 <= axis.high


@given(some, st.booleans())
def test_there_are_some_round_values_in_order_on_the_axis(values, log):
    axis = Axis.around(values, 0, 1, log=log)
    slack = 1e-6 * (axis.high - axis.low)
    assert len(axis.ticks) <= 13
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)
    assert axis.ticks == sorted(set(axis.ticks))
    if not axis.log:
        assert 3 <= len(axis.ticks) <= 8


def test_the_smallest_numbers_are_0_on_an_axis():
    for values in ([0.0, 5e-324], [0.0, 2e-323], [-1e-310, 1e-320], [1e-320]):
        assert Axis.around(values, 0, 1) == Axis.around([0.0], 0, 1)
    assert not Axis.around([5e-324, 1.0], 0, 1, log=True).log


def test_values_that_fall_by_far_are_on_a_logarithmic_axis_if_that_may_be():
    assert Axis.around([1, 100], 0, 1, log=True).log
    assert not Axis.around([1, 100], 0, 1).log
    assert not Axis.around([50, 100], 0, 1, log=True).log
    assert not Axis.around([0, 100], 0, 1, log=True).log
    assert Axis.around([1, 100], 0, 1, log=True).ticks == [1, 2, 5, 10, 20, 50, 100]


def test_what_cannot_be_drawn_has_no_part_in_it():
    values = [np.nan, np.inf, -np.inf, 1e300, 3.0, 4.0]
    assert drawable(values).tolist() == [False] * 4 + [True] * 2
    assert Axis.around(values, 0, 1) == Axis.around([3.0, 4.0], 0, 1)
    assert Axis.around([np.nan], 0, 1) == Axis.around([], 0, 1)


def test_numbers_for_people():
    assert [number_text(x) for x in (0.0, -0.25, 1e15, 1e-9, np.nan)] == ["0", "-0.25", "1e+15", "1e-09", "nan"]
