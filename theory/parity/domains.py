"""The examples on which claims "3-1" and "3-1 alt" are checked: bits, gains and monotone units.

The constants at the end are the domains, with what they promise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st

from theory.domains import enumerated, sampled
from theory.parity.gain import ABOVE, BELOW
from theory.parity.one_unit import Function, Unit, piecewise_linear
from theory.parity.units import all_sequences, sequences_up_to
from theory.refutation import require

LONGEST = 16
"""All sequences are tried up to this length."""
LONG = 100_000
"""The length of the long random sequences."""
RUN = 1_000
"""The length of the sequences at gains that work."""
LENGTHS = enumerated(range(1, LONGEST + 1), LONGEST)
DENSITIES = 0.001, 0.5, 0.999
"""How many of the bits are ones: rare ones, as many as zeros, rare zeros."""
SEEDS = st.integers(0, 2**32 - 1)
ONLY_RAW_GAIN = math.atanh(0.5)
"""ln(3) / 2, the only gain at which the threshold network's own weights compute parity (in exact arithmetic)."""

short_sequences = list(sequences_up_to(10))


def densities_and_seeds(examples: int, first_seed: int = 0) -> Iterator[tuple[float, int, int]]:
    """Every density with as many seeds, at least one, as make up a number of examples; and the length LONG."""
    seeds = range(first_seed, first_seed + -(-examples // len(DENSITIES)))
    return ((density, seed, LONG) for seed, density in product(seeds, DENSITIES))


def sequences(longest: int) -> st.SearchStrategy[list[int]]:
    """Bit sequences of 1 to `longest` bits."""
    return st.lists(st.integers(0, 1), min_size=1, max_size=longest)


def exponents(examples: int) -> list[Fraction]:
    """0, numbers so small that hardly a digit of exp is left to round, 1/7, and a grid up to 60."""
    grid = (Fraction(60 * k, examples) for k in range(1, examples + 1))
    return [Fraction(0), Fraction(1, 10**30), Fraction(1, 2**40), Fraction(1, 7), *grid]


above = st.just(float(ABOVE)) | st.floats(float(ABOVE), 1000)
below = st.just(float(BELOW)) | st.floats(0.01, float(BELOW))
raw_gains = st.floats(0.01, 1000).filter(lambda gain: abs(gain - ONLY_RAW_GAIN) > 1e-6)


@st.composite
def monotone_units(draw: st.DrawFn) -> Unit:
    """Units with piecewise linear, step-like and smooth functions, rising and falling, read either way."""
    number = st.floats(-4, 4)
    size = draw(st.integers(1, 6))
    # np.interp divides by the distance of two knots, which overflows if this is the smallest float.
    thousandths = draw(st.lists(st.integers(-4000, 4000), min_size=size, max_size=size, unique=True))
    knots = sorted(k / 1000 for k in thousandths)
    values = sorted(draw(st.lists(number, min_size=size, max_size=size)), reverse=draw(st.booleans()))
    functions: list[Function] = [piecewise_linear(knots, values), np.tanh, np.arctan, np.sign, np.floor]
    w, v, c, h0, theta = (draw(number) for _ in range(5))
    return Unit(draw(st.sampled_from(functions)), w, v, c, h0, theta, flipped=draw(st.booleans()))


# The domains, and what they promise -------------------------------------------------------------------

_gains = st.floats(0.1, 20)
_rationals = st.fractions(Fraction(1, 10), 100)
_states = st.fractions(-99, 99, max_denominator=99)  # numbers that may stand for a parity
_bits = st.sampled_from((96, 8, 12, 16, 32))


def _part(i: int, reaches: dict[str, Any]) -> dict[str, Any]:
    """Features of one part of an example."""
    return {name: lambda example, met=met: met(example[i]) for name, met in reaches.items()}


_LONG = {"20 bits or more": lambda bits: len(bits) >= 20, "both bits": lambda bits: {*bits} == {0, 1}}
_EITHER_SIDE = {"a gain below 2": lambda gain: gain < 2, "a gain above 3": lambda gain: gain > 3}

PAIRS = enumerated(list(product((0, 1), repeat=2)), 2**2)
"""Two bits."""
SHORT = sampled(short_sequences, {"10 bits": lambda bits: len(bits) == 10})
SEQUENCES = sampled(sequences(100), _LONG)
LONG_SEQUENCES = sampled(
    densities_and_seeds,
    {
        **_part(0, {f"a density of {d}": lambda density, d=d: density == d for d in DENSITIES}),
        "100,000 bits": lambda case: case[2] == 100_000,
    },
    seeded=True,
)  # fmt: skip
THREE_STATES = enumerated(list(product(((0, 0), (1, 0), (1, 1)), (0, 1))), 3 * 2)
"""The states (h1, h2) that two threshold units can be in, and a bit; the AND unit is never on alone."""
ONE_NUMBER = sampled(st.tuples(_gains, sequences(60)), {**_part(0, _EITHER_SIDE), **_part(1, _LONG)})
WORST = sampled(
    st.tuples(_gains, st.integers(1, 9)), {**_part(0, _EITHER_SIDE), "9 bits": lambda case: case[1] == 9}
)  # fmt: skip
EXPONENTS = sampled(
    exponents,
    {
        "one that no decimal number equals": lambda q: q.denominator % 7 == 0,
        "an exponent of 60": lambda q: q == 60, "an exponent below 2^-90": lambda q: 0 < q < 2**-90,
    },
)  # fmt: skip
_ratio = st.fractions(0, 1)
_ratios = st.tuples(_ratio, _ratio).map(lambda pair: (min(pair), max(pair))) | _ratio.map(lambda q: (q, q))
RANGES = sampled(
    st.tuples(_ratios, *[_ratios.map(lambda pair: (9 * pair[0], 9 * pair[1]))] * 2),
    {
        "three ranges that are not single numbers": lambda case: all(low < high for low, high in case),
        "three numbers": lambda case: all(low == high > 0 for low, high in case),
    },
)
"""Ranges of s (from 0 to 1), w and n (from 0 to 9)."""
POINTS = sampled(
    st.tuples(_rationals, st.fractions(0, 2), _bits | st.just(160)),
    {
        **_part(0, _EITHER_SIDE), **_part(2, {f"{n} bits": lambda bits, n=n: bits == n for n in (8, 16, 96, 160)}),
        "a place between 1/2 and 3/2": lambda case: Fraction(1, 2) < case[1] < Fraction(3, 2),
        "a place outside": lambda case: case[1] < Fraction(1, 2),
    },
)  # fmt: skip
"""A gain, where the map of the state is bounded, and with how many bits."""
BRACKET = enumerated([("fails", BELOW), ("works", ABOVE)], 2)
ABOVE_CRITICAL = sampled(
    st.tuples(above, st.sampled_from(DENSITIES), SEEDS, st.just(RUN)),
    {
        **_part(0, {"the smallest gain": lambda gain: gain == float(ABOVE), "a gain above 10": lambda gain: gain > 10}),
        "1,000 bits": lambda case: case[3] == 1_000,
    },
)
BELOW_CRITICAL = sampled(
    below, {"the largest gain": lambda gain: gain == float(BELOW), "a gain above 2, but below it":
            lambda gain: 2 < gain < float(BELOW), "a gain below 1": lambda gain: gain < 1}
)  # fmt: skip
RUNS = sampled(SEEDS)
PROOFS = sampled(
    st.tuples(st.fractions(Fraction(1, 2), BELOW - Fraction(1, 10)), st.fractions(ABOVE + Fraction(1, 100), 9)),
    _part(0, {"a gain that fails late": lambda gain: gain > 2}),
)
"""A gain at which 1 0 0 … 0 fails soon, and one at which the network is right."""
BITS_AND_GAINS = sampled(
    st.tuples(st.sampled_from((Fraction(2332, 1000), ABOVE)) | st.fractions(ABOVE, 4), _bits),
    {"the gain 2.332, with 16 bits": lambda case: case == (Fraction(2332, 1000), 16),
     "a gain above 3": lambda case: case[0] > 3},
)  # fmt: skip
TABLES = enumerated(
    [
        (((3, 4), (1, 4)), Fraction(34, 70)),
        (((0, 10), (10, 10)), Fraction(2, 184_756)),
        (((1, 10), (6, 7), (5, 7)), Fraction(7_462, 2_704_156)),
    ],
    3,
)
"""Rows of a table, and the p of the first. The first table is of R. A. Fisher's lady tasting tea."""
RAW_GAINS = sampled(
    raw_gains,
    {
        "a gain below ln(3) / 2": lambda gain: gain < ONLY_RAW_GAIN,
        "one of 13/5 or more": lambda gain: gain >= 2.6,
        "one between": lambda gain: ONLY_RAW_GAIN < gain < 2.6,
    },
)
STATES_AND_BITS = sampled(
    st.tuples(st.integers(2, 8), _states, _states),
    {"two different states": lambda case: case[1] != case[2], "8 bits": lambda case: case[0] == 8},
)
SYSTEMS = sampled(
    st.tuples(*[st.fractions(-9, 9, max_denominator=9)] * 3, _states, _states),
    {"a unit that is on for some inputs and off for others": lambda case: len({*_outputs(*case)}) == 2},
)
"""w, v and c of a threshold unit, and two states."""


def _outputs(w: Fraction, v: Fraction, c: Fraction, even: Fraction, odd: Fraction) -> list[bool]:
    return [w * h + v * x + c > 0 for h in (even, odd) for x in (0, 1)]


def _certify_monotone(unit: Unit) -> None:
    a = np.linspace(-9, 9, 181)
    steps = np.diff(unit.phi(a))
    rounding = 1e-12  # of an interpolation
    require((steps >= -rounding).all() or (steps <= rounding).all(), "the function is not monotone")


MONOTONE_UNITS = sampled(
    monotone_units(),
    {
        "a rising function": lambda unit: _rise(unit) > 0, "a falling function": lambda unit: _rise(unit) < 0,
        "a readout that is turned round": lambda unit: unit.flipped, "tanh": lambda unit: unit.phi is np.tanh,
        "a unit that is on and off": lambda unit: len(np.unique(unit.run(all_sequences(2)))) == 2,
    },
    _certify_monotone,
)  # fmt: skip


def _rise(unit: Unit) -> float:
    return float(np.diff(unit.phi(np.array([-9.0, 9.0])))[0])
