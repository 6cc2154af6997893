"""Claim "3-1 alt": parity by two threshold units, and by two tanh units with a gain; one unit is not enough.

The networks are in `parity_units`, the tanh network and its proofs in `parity_gain`, the single unit in
`parity_one_unit`, training in `parity_training`, the words of the claim in `parity_network_text`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import atanh

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory.claims import FALSE, Claim, Proposition, agree, every, require
from theory.parity import LONG, LONGEST, random_bits, require_parity
from theory.parity_bounds import proves_failure, proves_parity
from theory.parity_figures import draw_network
from theory.parity_gain import (
    ABOVE,
    BELOW,
    adversary,
    critical_gain,
    extreme_states,
    fails_at,
    intervals,
    raw_network,
    state_map,
    tanh_network,
)
from theory.parity_network_text import CORRECTED, PROOF, STATEMENT, show_network
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
from theory.parity_training import measure_training
from theory.parity_units import (
    Bits,
    all_sequences,
    as_bits,
    parity,
    printed_linear_network,
    printed_network,
    sequences_up_to,
    threshold_network,
)
from theory.registry import register

__all__ = ["CLAIM_3_1_ALT"]

Network = Callable[[Bits], tuple[Bits, NDArray[np.float64]]]

SEEDS = st.integers(0, 2**32 - 1)
DENSITIES = st.sampled_from([0.001, 0.5, 0.999])
LONG_ENOUGH = 7_000
"""Steps within which 1 0 0 … 0 fails at the gain BELOW, and at every smaller one."""
ONLY_RAW_GAIN = atanh(0.5)
"""The one gain, ln(3) / 2, at which the threshold network's own weights work in exact arithmetic."""


# Threshold units -------------------------------------------------------------------------------------


def _run_by(network: Network) -> Callable[[tuple[int, ...]], None]:
    """The check of one bit sequence on a network."""

    def check(sequence: tuple[int, ...]) -> None:
        bits = as_bits([sequence])
        require_parity(network(bits)[0], bits)

    return check


def _corrected(length: int) -> None:
    bits = all_sequences(length)
    require_parity(threshold_network(bits)[0], bits)


def _long(case: tuple[float, int]) -> None:
    bits = random_bits(*case, (4, LONG))
    require_parity(threshold_network(bits)[0], bits)


# Tanh units ------------------------------------------------------------------------------------------


def _one_number(case: tuple[float, list[int]]) -> None:
    """Follow s alone, by its map, and both units through minigrad."""
    gain, sequence = case
    s, states = 0.0, []
    for x in sequence:
        s = float(state_map(gain, s + x))
        states.append(s)
    agree(tanh_network(sequence, gain)[1], states, "s")


def _worst_inputs(case: tuple[float, int]) -> None:
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


def _bracket(case: tuple[str, Fraction]) -> None:
    side, gain = case
    if side == "fails":
        require(proves_failure(gain, LONG_ENOUGH), f"1 0 0 … 0 is not proven to fail at gain {float(gain)}")
        require(gain < critical_gain(), f"{float(gain)} is above the critical gain {critical_gain()}")
    else:
        require(proves_parity(intervals(gain)), f"the intervals at gain {float(gain)} are not invariant")
        require(gain > critical_gain(), f"{float(gain)} is below the critical gain {critical_gain()}")


def _works(case: tuple[float, float, int]) -> None:
    gain, density, seed = case
    require(proves_parity(intervals(gain)), f"the intervals at gain {gain} are not invariant")
    bits = np.vstack([random_bits(density, seed, (8, 1_000)), adversary(1_000), np.ones((1, 1_000), np.int64)])
    require_parity(tanh_network(bits, gain)[0], bits)


def _fails(gain: float) -> None:
    at = next((t for T in (20, 400, LONG_ENOUGH) if (t := fails_at(adversary(T), gain)) is not None), None)
    require(at is not None, f"1 0 0 … 0 does not fail within {LONG_ENOUGH} steps")
    if at is not None and 1 < at <= 400:
        worst = extreme_states(gain, at - 1)
        first = int(((worst.even > 0.5) | (worst.odd <= 0.5)).sum())
        require(first == 0, f"another input fails before step {at}, where 1 0 0 … 0 does")


def _rare(seed: int) -> None:
    gain = 2.33
    length = fails_at(adversary(LONG_ENOUGH), gain)
    require(length is not None, f"1 0 0 … 0 does not fail at gain {gain}")
    bits = random_bits(0.5, seed, (100, length or 1))
    require_parity(tanh_network(bits, gain)[0], bits)


def _raw_fails(gain: float) -> None:
    """Every gain but one fails on 1 0 … 0 or 0 … 0; near the one it takes about log(distance) / log(0.14) steps."""
    bits = np.stack([adversary(40), np.zeros(40, np.int64)])
    right = (raw_network(bits, gain)[0] == parity(bits)).all()
    require(not right, f"the weights times {gain} remember 1 0 … 0 and 0 … 0 for 40 steps")


# One unit --------------------------------------------------------------------------------------------


def _contradiction(case: tuple[int, Fraction, Fraction]) -> None:
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


def _one_unit_fails(unit: Unit) -> None:
    require(first_failure(unit, 2) is not None, "it computes the parity of all sequences of one and two bits")


# The claim -------------------------------------------------------------------------------------------

PROPOSITIONS = (
    Proposition(
        "as printed", "h1 = step(h1 + x - 1/2), h2 = step(h2 + x - 3/2), y = step(h1 - h2 - 1/2), each unit fed by its "
        "own past, gives the parity of every bit sequence", _run_by(printed_network), lambda n: sequences_up_to(10),
    ),
    Proposition(
        "as printed, without a step", "h1 = h1 + x - 1/2, h2 = h2 + x - 3/2, y = [h1 - h2 - 1/2 > 0], no function "
        "being written, gives it", _run_by(printed_linear_network), lambda n: sequences_up_to(10),
    ),
    Proposition(
        "all short sequences", "with s = h1 - h2, h1 = step(s + x - 1/2), h2 = step(s + x - 3/2), y = h1 - h2 gives "
        f"it, for all 2^T sequences of each length T = 1, …, {LONGEST}",
        _corrected, lambda n: range(1, LONGEST + 1), "corrected",
    ),
    Proposition(
        "long sequences", f"it does at every step of random sequences of {LONG:,} bits, from rare ones to rare zeros",
        _long, st.tuples(DENSITIES, SEEDS), "corrected", share=0.03,
    ),
    Proposition(
        "one number", "with tanh, s = (h1 - h2) / 2 follows s' = f(s + x) alone, for every gain", _one_number,
        st.tuples(st.floats(0.1, 20), st.lists(st.integers(0, 1), min_size=1, max_size=60)), "general",
    ),
    Proposition(
        "worst inputs", "of all inputs those found in one step a bit lead to the largest s at parity 0 and the "
        "smallest at parity 1", _worst_inputs, st.tuples(st.floats(0.1, 20), st.integers(1, 9)), "general",
    ),
    Proposition(
        "critical gain", f"exact arithmetic proves that 1 0 0 … 0 fails at every gain up to {float(BELOW)}, and that "
        f"every length is right at every gain from {float(ABOVE)} on",
        _bracket, every(("fails", BELOW), ("works", ABOVE)), "general", show=str,
    ),
    Proposition(
        "above it", f"from {float(ABOVE)} to 1000 there are invariant intervals, checked in exact arithmetic, and "
        "1,000 bits come out right through mg.ops.rnn", _works,
        st.tuples(st.just(float(ABOVE)) | st.floats(float(ABOVE), 1000), DENSITIES, SEEDS), "general",
    ),
    Proposition(
        "below it", f"at every gain up to {float(BELOW)} the input 1 0 0 … 0 fails through mg.ops.rnn, and no other "
        "input fails earlier", _fails, st.just(float(BELOW)) | st.floats(0.01, float(BELOW)), "general",
    ),
    Proposition(
        "rarely seen", "at gain 2.33, where 1 0 0 … 0 fails, 100 random sequences of the length at which it does are "
        "right at every step", _rare, SEEDS, "general", share=0.1,
    ),
    Proposition(
        "the weights as they are", "without the encoding, the threshold network's weights times a gain fail with tanh "
        "on 1 0 … 0 or 0 … 0, but for the one gain ln(3) / 2", _raw_fails,
        st.floats(0.01, 1000).filter(lambda g: abs(g - ONLY_RAW_GAIN) > 1e-6), "general",
    ),
    Proposition(
        "one unit: a certificate", "what parity asks of one threshold unit adds up to 0 < 0, whatever numbers stand "
        "for the parities, and all four cases are met from two bits on", _contradiction,
        st.tuples(st.integers(2, 8), st.fractions(max_denominator=99), st.fractions(max_denominator=99)), "general",
    ),
    Proposition(
        "one unit: monotone", "every unit h' = phi(w h + v x + c) with phi monotone and a threshold readout fails on a "
        "sequence of one or two bits", _one_unit_fails, monotone_units(), "general",
    ),
)  # fmt: skip

CLAIM_3_1_ALT = register(
    Claim(
        number="3-1 alt",
        title="Two recurrent threshold units compute parity",
        statement=STATEMENT,
        source="homework 3-1, the alternative",
        propositions=PROPOSITIONS,
        expected=FALSE,
        corrected=CORRECTED,
        proof=PROOF,
        draw=draw_network,
        display=show_network,
        measure=measure_training,
    )
)
