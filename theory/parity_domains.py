"""The examples on which claims "3-1" and "3-1 alt" are checked: bits, gains and monotone units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import numpy as np
from hypothesis import strategies as st

from theory.parity_gain import ABOVE, BELOW
from theory.parity_one_unit import Function, Unit, piecewise_linear
from theory.parity_units import sequences_up_to

__all__ = [
    "DENSITIES", "LENGTHS", "LONGEST", "ONLY_RAW_GAIN", "SEEDS", "above", "below", "densities_and_seeds",
    "exponents", "monotone_units", "points", "raw_gains", "sequences", "short_sequences", "states",
]  # fmt: skip

LONGEST = 16
"""All sequences are tried up to this length."""
LENGTHS = range(1, LONGEST + 1)
DENSITIES = 0.001, 0.5, 0.999
"""How many of the bits are ones: rare ones, as many as zeros, rare zeros."""
SEEDS = st.integers(0, 2**32 - 1)
ONLY_RAW_GAIN = math.atanh(0.5)
"""The one gain, ln(3) / 2, at which the threshold network's own weights work in exact arithmetic."""

short_sequences = list(sequences_up_to(10))


def densities_and_seeds(examples: int) -> Iterator[tuple[float, int]]:
    """Every density with as many seeds, at least one, as make up a number of examples."""
    return ((density, seed) for seed, density in product(range(-(-examples // len(DENSITIES))), DENSITIES))


def sequences(longest: int) -> st.SearchStrategy[list[int]]:
    """Bit sequences of 1 to `longest` bits."""
    return st.lists(st.integers(0, 1), min_size=1, max_size=longest)


def exponents(examples: int) -> list[Fraction]:
    """0, numbers so small that hardly a digit of exp is left to round, and a grid up to 60."""
    grid = (Fraction(60 * k, examples) for k in range(1, examples + 1))
    return [Fraction(0), Fraction(1, 10**30), Fraction(1, 2**40), *grid]


above = st.just(float(ABOVE)) | st.floats(float(ABOVE), 1000)
below = st.just(float(BELOW)) | st.floats(0.01, float(BELOW))
raw_gains = st.floats(0.01, 1000).filter(lambda gain: abs(gain - ONLY_RAW_GAIN) > 1e-6)
points = st.tuples(st.fractions(Fraction(1, 10), 100), st.fractions(0, 2))
"""A gain, and where the map of the state is bounded."""
states = st.fractions(-99, 99, max_denominator=99)
"""Numbers that may stand for a parity."""


@st.composite
def monotone_units(draw: st.DrawFn) -> Unit:
    """Units with piecewise linear, step-like and smooth functions, rising and falling, read either way."""
    number = st.floats(-4, 4)
    size = draw(st.integers(1, 6))
    knots = sorted(draw(st.lists(number, min_size=size, max_size=size, unique=True)))
    values = sorted(draw(st.lists(number, min_size=size, max_size=size)), reverse=draw(st.booleans()))
    functions: list[Function] = [piecewise_linear(knots, values), np.tanh, np.arctan, np.sign, np.floor]
    w, v, c, h0, theta = (draw(number) for _ in range(5))
    return Unit(draw(st.sampled_from(functions)), w, v, c, h0, theta, flipped=draw(st.booleans()))
