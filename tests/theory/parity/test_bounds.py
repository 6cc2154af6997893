"""Bounds in exact arithmetic, and what they prove of the tanh network's gain."""

from __future__ import annotations

import dataclasses
import decimal
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from theory.parity.bounds import Intervals, exp_bounds, map_bounds, proves_failure, proves_parity, tanh_bounds
from theory.parity.gain import ABOVE, BELOW, adversary, fails_at, intervals, state_map

decimal.getcontext().prec = 60


def exact(q):
    return Decimal(q.numerator) / q.denominator


@given(st.fractions(0, 60))
@example(Fraction(0))
@example(Fraction(64))
@example(Fraction(1, 64))
@example(Fraction(1, 10**30))
def test_exp_is_between_its_bounds(q):
    low, high = exp_bounds(q)
    assert exact(low) <= exact(q).exp() <= exact(high)
    assert high - low <= high / 2**72


@given(st.fractions(-40, 40))
@example(Fraction(0))
@example(Fraction(32))
@example(Fraction(-32))
@example(Fraction(10**9, 7))
def test_tanh_is_between_its_bounds(q):
    low, high = tanh_bounds(q)
    e = (-2 * abs(exact(q))).exp()
    value = (1 - e) / (1 + e) * (1 if q >= 0 else -1)
    slack = Decimal(10) ** -55  # of the reference's own rounding
    assert exact(low) - slack <= value <= exact(high) + slack
    assert high - low < Fraction(1, 2**70)
    assert -1 <= low <= high <= 1


@given(st.fractions(Fraction(1, 10), 20), st.fractions(0, 2))
def test_map_is_between_its_bounds(gain, u):
    low, high = map_bounds(gain, u)
    assert float(low) - 1e-14 <= float(state_map(float(gain), float(u))) <= float(high) + 1e-14
    assert 0 <= high - low < Fraction(1, 2**70)
    assert low.denominator <= 2**96


def test_proofs_on_either_side():
    assert proves_failure(BELOW, 7_000)
    assert proves_parity(intervals(ABOVE))
    assert not proves_failure(ABOVE, 1_000)
    with pytest.raises(ValueError, match=r"intervals: the gain 2\.33021 is not above the critical one, 2\.330213"):
        intervals(BELOW)


@given(st.fractions(Fraction(1, 10), Fraction(23, 10), max_denominator=100))
def test_proven_failures_are_failures(gain):
    at = fails_at(adversary(200), float(gain))
    assert proves_failure(gain, at)
    assert at == 1 or not proves_failure(gain, at - 1)
    assert proves_failure(gain / 2, at)
    assert not proves_failure(-gain, at)


@given(st.fractions(Fraction(1, 2), 8), st.fractions(0, Fraction(1, 2)), st.fractions(Fraction(1, 2), 1), st.booleans())
def test_only_invariant_intervals_are_certificates(gain, a, b, complements):
    """Compare with the images of a fine grid of states; where the grid decides by a hair, say nothing."""
    b = 1 - a if complements else b
    g, low, high = float(gain), np.linspace(0, float(a), 200), np.linspace(float(b), 1, 200)
    excess = max(
        state_map(g, low).max() - a, b - state_map(g, low + 1).min(),
        b - state_map(g, high).min(), state_map(g, high + 1).max() - a,
    )  # fmt: skip
    if abs(excess) > 1e-9:
        assert proves_parity(Intervals(gain, a, b)) == (excess < 0 and a + b == 1)


def test_intervals_that_are_invariant_at_one_gain_are_not_enough():
    """All four images lie inside, but nothing is said of larger gains: a and b do not add up to 1."""
    b = intervals(3.0).b
    a = 1 - b - Fraction(1, 50)
    assert max(map_bounds(3, a)[1], map_bounds(3, 1 + b)[1]) < a
    assert min(map_bounds(3, b)[0], map_bounds(3, 1 + a)[0]) > b
    assert not proves_parity(Intervals(Fraction(3), a, b))


@pytest.mark.parametrize(
    "change", [{"a": Fraction(1, 2)}, {"a": Fraction(1, 100)}, {"b": Fraction(1, 2)}, {"b": Fraction(99, 100)},
               {"gain": Fraction(2)}, {"gain": Fraction(-3)}, {"a": Fraction(-1, 9)}, {"b": Fraction(10, 9)}], ids=str
)  # fmt: skip
def test_a_spoilt_certificate_is_refused(change):
    assert not proves_parity(dataclasses.replace(intervals(3.0), **change))
