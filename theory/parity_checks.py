"""What the propositions of claims "3-1" and "3-1 alt" check of an example, one function each.

Where a case is a tuple, its parts are named at the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.claims import Refuted, agree, require
from theory.parity_bounds import exp_bounds, map_bounds, proves_failure, proves_parity
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
from theory.parity_one_unit import FARKAS, Unit, contradicts, first_failure, parity_inequalities, reached_pairs
from theory.parity_units import (
    Bits,
    all_sequences,
    as_bits,
    parity,
    run_unit,
    step,
    xor_unit,
)  # fmt: skip

__all__ = [
    "LONG", "LONG_ENOUGH", "SOON", "all_of_a_length", "bracket", "contradiction", "exact_bounds", "exponential",
    "fails", "gates", "gradient", "long_sequences", "one_number", "one_sequence", "one_unit_fails", "outputs",
    "random_bits", "rarely_seen", "raw_fails", "require_parity", "through_arrays", "through_tensors", "works",
    "worst_inputs",
]  # fmt: skip

Outputs = Callable[[Bits], NDArray[Any]]
"""From bits (N, T), the outputs (N, T)."""

LONG = 100_000
"""The length of the long random sequences."""
LONG_ENOUGH = 7_000
"""Steps within which 1 0 0 … 0 fails at the gain BELOW, and at every smaller one."""
SOON = 400
"""Steps up to which other inputs are tried, too."""


# Bits ------------------------------------------------------------------------------------------------


def random_bits(density: float, seed: int, shape: tuple[int, ...]) -> Bits:
    """Random bits that are 1 with a probability, by a seed.

    >>> random_bits(1.0, 0, (3,))
    array([1, 1, 1])
    """
    return (np.random.default_rng(seed).random(shape) < density).astype(np.int64)


def require_parity(y: NDArray[np.int64] | NDArray[np.float64], bits: Bits) -> None:
    """Raise Refuted unless y (N, T) are the parities of all beginnings of bits (N, T); it names the first failure.

    Raises:
        Refuted: also if y is of another shape than the bits.

    >>> require_parity(np.array([[1, 1]]), as_bits([[1, 1]]))
    Traceback (most recent call last):
    theory.claims.Refuted: y_2 = 1 after the bits 1 1, whose parity is 0
    """
    truth = parity(bits)
    require(y.shape == truth.shape, f"the outputs have the shape {y.shape}, the bits {truth.shape}")
    wrong = ~(y == truth)
    if wrong.any():
        n, t = (int(i) for i in np.argwhere(wrong)[0])
        beginning = "the bits " + " ".join(map(str, bits[n, : t + 1].tolist())) if t < 40 else f"{t + 1} bits"
        require(False, f"y_{t + 1} = {y[n, t]:g} after {beginning}, whose parity is {truth[n, t]}")


def outputs(network: Callable[[Bits], tuple[Bits, Any]]) -> Outputs:
    """A network's y without its states."""
    return lambda bits: network(bits)[0]


def one_sequence(run: Outputs) -> Callable[[tuple[int, ...]], None]:
    """The check that outputs are right on a bit sequence."""

    def check(sequence: tuple[int, ...]) -> None:
        bits = as_bits([sequence])
        require_parity(run(bits), bits)

    return check


def all_of_a_length(run: Outputs) -> Callable[[int], None]:
    """The check that outputs are right on all sequences of a length."""

    def check(length: int) -> None:
        bits = all_sequences(length)
        require_parity(run(bits), bits)

    return check


def long_sequences(run: Outputs) -> Callable[[tuple[float, int]], None]:
    """The check that outputs are right on four long random sequences, by a density and a seed."""

    def check(case: tuple[float, int]) -> None:
        bits = random_bits(*case, (4, LONG))
        require_parity(run(bits), bits)

    return check


# One unit that multiplies ----------------------------------------------------------------------------


def through_arrays(unit: Callable[[Any, Any], Any]) -> Outputs:
    """The states (N, T) of a unit on bits (N, T), in NumPy."""
    return lambda bits: np.stack(run_unit(unit, list(bits.T)), axis=1)


def through_tensors(unit: Callable[[Any, Any], Any]) -> Outputs:
    """The same in minigrad."""

    def run(bits: Bits) -> NDArray[np.float64]:
        x = [mg.tensor(column) for column in bits.T.astype(np.float64)]
        return np.stack([h.numpy() for h in run_unit(unit, x)], axis=1)

    return run


def gradient(sequence: list[int]) -> None:
    """The state is (1 - prod(1 - 2 x_i)) / 2, so each derivative is the product of the other factors."""
    x = np.array(sequence, np.float64)
    slopes = mg.grad(lambda x: run_unit(xor_unit, [x[t] for t in range(len(sequence))])[-1])(mg.tensor(x))
    others = [np.delete(1 - 2 * x, t).prod() for t in range(len(x))]
    agree(np.asarray(slopes), others, "dh_T/dx")
    agree(np.abs(np.asarray(slopes)), np.ones(len(x)), "|dh_T/dx|")


# Threshold units -------------------------------------------------------------------------------------


def gates(pair: tuple[int, int]) -> None:
    """Compare with Python's own operators."""
    a, b = pair
    or_, and_ = step(a + b - 0.5), step(a + b - 1.5)
    agree([or_, and_, step(or_ - and_ - 0.5)], [a | b, a & b, a ^ b], "OR, AND, [OR - AND - 1/2 > 0]")


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


def exponential(q: Fraction) -> None:
    """Compare the rational bounds with exp in decimal numbers of many more digits."""
    low, high = exp_bounds(q)
    require(0 <= high - low <= high / 2**79, f"{float(low)} and {float(high)} are no bounds, or loose ones")
    with localcontext(Context(prec=80)):
        value = Fraction(_decimal(q).exp())
    require(low <= value <= high, f"exp(q) = {float(value)} is below its bounds or above them")


def exact_bounds(case: tuple[Fraction, Fraction]) -> None:
    """The same for f."""
    gain, u = case
    low, high = map_bounds(gain, u)
    require(0 <= high - low <= Fraction(1, 2**85), f"{float(low)} and {float(high)} are no bounds, or loose ones")
    with localcontext(Context(prec=80)):
        value = Fraction((_tanh(gain * (u - Fraction(1, 2))) - _tanh(gain * (u - Fraction(3, 2)))) / 2)
    require(low <= value <= high, f"f(u) = {float(value)} is below its bounds or above them")


def _decimal(q: Fraction) -> Decimal:
    return Decimal(q.numerator) / q.denominator


def _tanh(q: Fraction) -> Decimal:
    """tanh(q) in decimal numbers, by another formula than that of the bounds."""
    e = (-2 * abs(_decimal(q))).exp()
    return (1 - e) / (1 + e) * (1 if q >= 0 else -1)


def _require_proof(gain: float | Fraction) -> None:
    """Raise Refuted unless intervals are found that prove this gain, and larger ones, large enough."""
    try:
        certificate = intervals(gain)
    except ValueError as error:
        raise Refuted(str(error)) from None
    require(proves_parity(certificate), f"the intervals at gain {float(gain)} are not invariant, or not of a + b = 1")


def bracket(case: tuple[str, Fraction]) -> None:
    """Prove a gain too small or large enough, and compare with the critical one."""
    side, gain = case
    if side == "fails":
        require(proves_failure(gain, LONG_ENOUGH), f"1 0 0 … 0 is not proven to fail at gain {float(gain)}")
        require(gain < critical_gain(), f"{float(gain)} is above the critical gain {critical_gain()}")
    else:
        _require_proof(gain)
        require(gain > critical_gain(), f"{float(gain)} is below the critical gain {critical_gain()}")


def works(case: tuple[float, float, int]) -> None:
    """Prove a gain large enough, and run random bits, the worst input and ones."""
    gain, density, seed = case
    _require_proof(gain)
    bits = np.vstack([random_bits(density, seed, (8, 1_000)), adversary(1_000), np.ones((1, 1_000), np.int64)])
    require_parity(tanh_network(bits, gain)[0], bits)


def fails(gain: float) -> None:
    """Find the step at which 1 0 0 … 0 fails; where it is not too late, look for a worse input and prove the step."""
    at = next((t for T in (20, SOON, LONG_ENOUGH) if (t := fails_at(adversary(T), gain)) is not None), None)
    require(at is not None, f"1 0 0 … 0 does not fail within {LONG_ENOUGH} steps")
    if at is None or at > SOON:
        return
    require(proves_failure(Fraction(gain), at), f"the failure at step {at} is not proven")
    if at > 1:
        worst = extreme_states(gain, at - 1)
        earlier = ((worst.even > 0.5) | (worst.odd <= 0.5)).any()
        require(not earlier, f"another input fails before step {at}, where 1 0 0 … 0 does")
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


def one_unit_fails(unit: Unit) -> None:
    """Find a sequence of one or two bits on which the unit errs."""
    require(first_failure(unit, 2) is not None, "it computes the parity of all sequences of one and two bits")
