"""What the propositions of claim "3-1 alt" check of an example, one function each; and the monotone units to try.

Where a case is a tuple, its parts are named at the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import atanh

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory.claims import agree, require
from theory.parity import LONG, random_bits, require_parity
from theory.parity_bounds import map_bounds, proves_failure, proves_parity
from theory.parity_gain import (
    adversary,
    critical_gain,
    extreme_states,
    fails_at,
    intervals,
    raw_network,
    state_map,
    tanh_network,
)
from theory.parity_one_unit import (
    FARKAS,
    Function,
    Unit,
    contradicts,
    first_failure,
    parity_inequalities,
    piecewise_linear,
    reached_pairs,
)
from theory.parity_units import Bits, all_sequences, as_bits, parity, threshold_network

__all__ = [
    "LONG_ENOUGH", "ONLY_RAW_GAIN", "all_of_a_length", "bracket", "contradiction", "exact_bounds", "fails",
    "long_sequences", "monotone_units", "one_number", "one_unit_fails", "rarely_seen", "raw_fails", "sequence_on",
    "works", "worst_inputs",
]  # fmt: skip

Network = Callable[[Bits], tuple[Bits, NDArray[np.float64]]]

LONG_ENOUGH = 7_000
"""Steps within which 1 0 0 … 0 fails at the gain BELOW, and at every smaller one."""
ONLY_RAW_GAIN = atanh(0.5)
"""The one gain, ln(3) / 2, at which the threshold network's own weights work in exact arithmetic."""


# Threshold units -------------------------------------------------------------------------------------


def sequence_on(network: Network) -> Callable[[tuple[int, ...]], None]:
    """The check of one bit sequence on a network."""

    def check(sequence: tuple[int, ...]) -> None:
        bits = as_bits([sequence])
        require_parity(network(bits)[0], bits)

    return check


def all_of_a_length(length: int) -> None:
    """Run the corrected threshold network on all sequences of a length."""
    bits = all_sequences(length)
    require_parity(threshold_network(bits)[0], bits)


def long_sequences(case: tuple[float, int]) -> None:
    """Run it on four long random sequences."""
    bits = random_bits(*case, (4, LONG))
    require_parity(threshold_network(bits)[0], bits)


# Tanh units ------------------------------------------------------------------------------------------


def one_number(case: tuple[float, list[int]]) -> None:
    """Follow s alone, by its map, and both units through minigrad."""
    gain, sequence = case
    s, states = 0.0, []
    for x in sequence:
        s = float(state_map(gain, s + x))
        states.append(s)
    agree(tanh_network(sequence, gain)[1], states, "s")


def worst_inputs(case: tuple[float, int]) -> None:
    """Compare with all inputs; and the inputs that are said to be worst lead to the worst states."""
    gain, length = case
    bits = all_sequences(length)
    s, truth = tanh_network(bits, gain)[1], parity(bits)
    worst = extreme_states(gain, length)
    agree(worst.even, np.where(truth == 0, s, -np.inf).max(axis=0), "the largest s at parity 0")
    agree(worst.odd, np.where(truth == 1, s, np.inf).min(axis=0), "the smallest s at parity 1")
    if length > 1:  # one bit alone: parity 0 is reached by a 0 only
        agree(tanh_network(worst.even_input, gain)[1][-1], worst.even[-1], "s after the worst input of parity 0")
    agree(tanh_network(worst.odd_input, gain)[1][-1], worst.odd[-1], "s after the worst input of parity 1")


def exact_bounds(case: tuple[Fraction, Fraction]) -> None:
    """Compare the rational bounds with each other and with f in floats."""
    gain, u = case
    low, high = map_bounds(gain, u)
    require(0 <= high - low <= Fraction(1, 2**60), f"{float(low)} and {float(high)} are no bounds, or loose ones")
    agree(float(low), state_map(float(gain), float(u)), "f(u)", tolerance=1e-12)


def bracket(case: tuple[str, Fraction]) -> None:
    """Prove a gain too small or large enough, and compare with the critical one."""
    side, gain = case
    if side == "fails":
        require(proves_failure(gain, LONG_ENOUGH), f"1 0 0 … 0 is not proven to fail at gain {float(gain)}")
        require(gain < critical_gain(), f"{float(gain)} is above the critical gain {critical_gain()}")
    else:
        require(proves_parity(intervals(gain)), f"the intervals at gain {float(gain)} are not invariant")
        require(gain > critical_gain(), f"{float(gain)} is below the critical gain {critical_gain()}")


def works(case: tuple[float, float, int]) -> None:
    """Prove a gain large enough, and run random bits, the worst input and ones."""
    gain, density, seed = case
    require(proves_parity(intervals(gain)), f"the intervals at gain {gain} are not invariant")
    bits = np.vstack([random_bits(density, seed, (8, 1_000)), adversary(1_000), np.ones((1, 1_000), np.int64)])
    require_parity(tanh_network(bits, gain)[0], bits)


def fails(gain: float) -> None:
    """Find the step at which 1 0 0 … 0 fails; where it is not too late, look for a worse input and prove the step."""
    at = next((t for T in (20, 400, LONG_ENOUGH) if (t := fails_at(adversary(T), gain)) is not None), None)
    require(at is not None, f"1 0 0 … 0 does not fail within {LONG_ENOUGH} steps")
    if at is not None and 1 < at <= 400:
        worst = extreme_states(gain, at - 1)
        earlier = ((worst.even > 0.5) | (worst.odd <= 0.5)).any()
        require(not earlier, f"another input fails before step {at}, where 1 0 0 … 0 does")
        require(proves_failure(Fraction(gain), at), f"the failure at step {at} is not proven")
        require(not proves_failure(Fraction(gain), at - 1), f"a failure before step {at} is proven, but there is none")


def rarely_seen(seed: int) -> None:
    """Run random bits for as long as 1 0 0 … 0 takes to fail."""
    gain = 2.33
    length = fails_at(adversary(LONG_ENOUGH), gain)
    require(length is not None, f"1 0 0 … 0 does not fail at gain {gain}")
    bits = random_bits(0.5, seed, (100, length or 1))
    require_parity(tanh_network(bits, gain)[0], bits)


def raw_fails(gain: float) -> None:
    """Every gain but one fails on 1 0 … 0 or 0 … 0; near the one it takes about log(distance) / log(0.14) steps."""
    bits = np.stack([adversary(40), np.zeros(40, np.int64)])
    right = (raw_network(bits, gain)[0] == parity(bits)).all()
    require(not right, f"the weights times {gain} remember 1 0 … 0 and 0 … 0 for 40 steps")


# One unit --------------------------------------------------------------------------------------------


def contradiction(case: tuple[int, Fraction, Fraction]) -> None:
    """Meet all pairs of a parity and a bit, and refute what they ask, for two states that stand for the parities."""
    length, even, odd = case
    require(len(reached_pairs(length)) == 4, f"sequences of {length} bits do not reach all pairs")
    require(contradicts(parity_inequalities(even, odd), FARKAS), "the inequalities do not add up to 0 < 0")


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


def one_unit_fails(unit: Unit) -> None:
    """Find a sequence of one or two bits on which the unit errs."""
    require(first_failure(unit, 2) is not None, "it computes the parity of all sequences of one and two bits")
