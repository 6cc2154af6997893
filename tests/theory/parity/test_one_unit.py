"""One monotone unit cannot compute parity."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from theory.parity.one_unit import (
    FARKAS,
    Inequality,
    Unit,
    contradicts,
    first_failure,
    parity_inequalities,
    reached_pairs,
)  # fmt: skip
from theory.parity.units import all_sequences, parity

FRACTIONS = st.fractions(-9, 9, max_denominator=9)


# --- inequalities -----------------------------------------------------------------------------------


def test_pairs_are_all_met_from_two_bits_on():
    assert reached_pairs(1) == {(0, 0), (0, 1)}
    for length in range(2, 9):
        assert reached_pairs(length) == {(0, 0), (0, 1), (1, 0), (1, 1)}


@given(FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS)
def test_inequalities_say_what_parity_asks(even, odd, w, v, c):
    system = parity_inequalities(even, odd)
    pairs = [(h, x, one) for h, p in ((even, 0), (odd, 1)) for x in (0, 1) for one in [p ^ x]]
    for q, (h, x, one) in zip(system, pairs, strict=True):
        value = sum(k * z for k, z in zip(q.coefficients, (w, v, c), strict=True))
        assert (value < 0 if q.strict else value <= 0) == ((w * h + v * x + c > 0) == bool(one))
    assert contradicts(system, FARKAS)


@given(st.lists(st.integers(-2, 3), min_size=4, max_size=4), FRACTIONS, FRACTIONS)
def test_multipliers_that_prove_nothing_are_refused(multipliers, even, odd):
    """Where even and odd states differ, only multiples of the certificate cancel the coefficients."""
    if even != odd:
        proves = min(multipliers) == max(multipliers) > 0
        assert contradicts(parity_inequalities(even, odd), multipliers) == proves


def test_a_system_with_a_solution_has_no_certificate():
    weak = [dataclasses.replace(q, strict=False) for q in parity_inequalities(Fraction(0), Fraction(1))]
    assert not contradicts(weak, FARKAS)  # w = v = c = 0 solves it
    below = Inequality((Fraction(1),), True)
    above = Inequality((Fraction(-1),), True)
    assert contradicts([below, above], (1, 1))
    assert not contradicts([below, above], (1, 2))
    assert not contradicts([below, above], (0, 0))
    assert not contradicts([below, below], (1, -1))
    assert not contradicts([], ())  # of nothing, everything is a solution


# --- monotone units ---------------------------------------------------------------------------------


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.sampled_from([np.tanh, np.sign, np.arctan]),
       st.booleans(), st.integers(0, 999))  # fmt: skip
def test_run_is_the_recurrence(numbers, phi, flipped, seed):
    unit = Unit(phi, *numbers, flipped=flipped)
    w, v, c, h0, theta = numbers
    bits = np.random.default_rng(seed).integers(0, 2, (3, 6))
    for row, y in zip(bits, unit.run(bits), strict=True):
        h = h0
        for x, one in zip(row, y, strict=True):
            h = float(phi(w * h + v * x + c))
            assert one == (h < theta if flipped else h > theta)


def test_a_unit_that_is_not_monotone_can_do_it():
    """A hat of the sum: 0, 1, 0 at 0, 1, 2. It is the monotony that is in the way, not the number of units."""
    unit = Unit(lambda a: np.interp(a, [0, 1, 2], [0, 1, 0]), 1.0, 1.0, 0.0)
    assert first_failure(unit, 12) is None
    bits = all_sequences(10)
    assert (unit.run(bits) == parity(bits)).all()
    assert first_failure(dataclasses.replace(unit, flipped=True), 3) == (0,)
