"""What the propositions of claims "3-1" and "3-1 alt" check of an example, one function each.

Where a case is a tuple, its parts are named at the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.checker import Range, exp_range, image, quotient_range
from theory.parity import domains
from theory.parity.bounds import (
    BITS,
    Failure,
    Intervals,
    exp_bounds,
    failure,
    map_bounds,
    proves_failure,
    proves_parity,
)  # fmt: skip
from theory.parity.certificates import check_contradiction, check_failure, check_intervals
from theory.parity.gain import (
    ABOVE,
    BELOW,
    Extremes,
    adversary,
    critical_gain,
    extreme_states,
    fails_at,
    intervals,
    raw_network,
    state_map,
    tanh_network,
)
from theory.parity.one_unit import (
    FARKAS,
    Inequality,
    Unit,
    contradicts,
    first_failure,
    parity_inequalities,
    reached_pairs,
)  # fmt: skip
from theory.parity.training import LIMIT, Setting, Trained, against_the_others
from theory.parity.units import (
    Bits,
    all_sequences,
    as_bits,
    or_unit,
    parity,
    run_unit,
    step,
    step_rnn,
    threshold_weights,
    xor_unit,
)  # fmt: skip
from theory.refutation import Refuted, accepts, agree, require

Outputs = Callable[[Bits], NDArray[Any]]
"""From bits (N, T), the outputs (N, T)."""

DIGITS = 160
"""Of the decimal numbers that bounds are compared with; f(u) may be as small as 10^-44, and the bounds have 45."""
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
    theory.refutation.Refuted: y_2 = 1 after the bits 1 1, whose parity is 0
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
        numbers = np.sort(bits @ (1 << np.arange(length)))
        require(np.array_equal(numbers, np.arange(2**length)), "these are not all sequences, each once")
        require_parity(run(bits), bits)

    return check


def long_sequences(run: Outputs) -> Callable[[tuple[float, int, int]], None]:
    """The check that outputs are right on four long random sequences, by a density, a seed and a length."""

    def check(case: tuple[float, int, int]) -> None:
        density, seed, length = case
        bits = random_bits(density, seed, (4, length))
        require(bits.shape == (4, length), f"the sequences have the length {bits.shape[1]}, not {length}")
        require(abs(bits.mean() - density) < 0.005, f"{100 * bits.mean():.3g} % of the bits are ones")  # six sigma
        require_parity(run(bits), bits)

    return check


# One unit that multiplies ----------------------------------------------------------------------------


def is_or(pair: tuple[int, int]) -> None:
    """Compare the printed formula with Python's own OR."""
    h, x = pair
    agree(float(or_unit(h, x)), h | x, "h + x - h x")


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


def one_step(case: tuple[tuple[int, int], int]) -> None:
    """The formulas of a step, the RNN with the weights that are said, and XOR; of the three states that can be."""
    (h1, h2), x = case
    agree(step([-0.5, 0.0, 0.5]), [0, 0, 1], "step")
    s = h1 - h2
    expected = [int(s + x > 0.5), int(s + x > 1.5)]
    weights: tuple[Any, ...] = [[1, 1]], [[1, 1], [-1, -1]], [-0.5, -1.5]
    for mine, said in zip(threshold_weights(), weights, strict=True):
        agree(mine, said, "the weights")
    (state,) = step_rnn([[[x]]], [[h1, h2]], *weights)[0]
    agree(state, expected, "(h1, h2)")
    agree(expected[0] - expected[1], s ^ x, "y")


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
    """Compare the rational bounds, and those of the checker, with exp in decimal numbers of many more digits."""
    low, high = exp_bounds(q)
    require(0 <= high - low <= high / 2**79, f"{float(low)} and {float(high)} are not bounds, or loose ones")
    with localcontext(Context(prec=DIGITS)):
        value, inverse = (Fraction(_decimal(p).exp()) for p in (q, -q))
    require(low <= value <= high, f"exp(q) = {float(value)} is below its bounds or above them")
    for p, exact in ((q, value), (-q, inverse)):
        low, high = exp_range(p)
        require(low <= exact <= high, f"exp({p}) = {float(exact)} is not within the bounds of the checker")
        require(high - low <= high / 2**160, f"the bounds of exp({p}) of the checker are loose")


def quotient_of_ranges(case: tuple[Range, Range, Range]) -> None:
    """The bounds of (1 - s) / (1 + s + w + n) enclose it where s, w and n are at any end of their ranges."""
    low, high = quotient_range(*case)
    for s, w, n in product(*case):
        value = (1 - s) / (1 + s + w + n)
        require(low <= value <= high, f"{float(value)} is outside of {float(low)} to {float(high)}")


def exact_bounds(case: tuple[Fraction, Fraction, int]) -> None:
    """The same for f, with any number of bits: fewer give loose bounds, never wrong ones."""
    gain, u, bits = case
    low, high = map_bounds(gain, u, bits)
    if bits == BITS:
        require(0 <= high - low <= Fraction(1, 2**85), f"{float(low)} and {float(high)} are not bounds, or loose ones")
    with localcontext(Context(prec=DIGITS)):
        f = Fraction((_tanh(gain * (u - Fraction(1, 2))) - _tanh(gain * (u - Fraction(3, 2)))) / 2)
    require(low <= f <= high, f"f(u) = {float(f)} is below its bounds or above them, with {bits} bits")
    exp_low, exp_high = exp_bounds(gain * u, bits)
    with localcontext(Context(prec=DIGITS)):
        value = Fraction(_decimal(gain * u).exp())
    require(exp_low <= value <= exp_high, f"exp(g u) = {float(value)} is outside of its bounds, with {bits} bits")
    other = image(gain, u)
    require(other[0] <= f <= other[1], f"f(u) = {float(f)} is outside of the bounds of the checker")
    require(0 <= other[1] - other[0] <= Fraction(1, 10**40), "the checker's bounds of f are loose")


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
    require(certificate.gain == Fraction(gain), f"the intervals are for the gain {float(certificate.gain)}")
    require(proves_parity(certificate), f"the intervals at gain {float(gain)} are not invariant, or not of a + b = 1")
    check_intervals(certificate)


def _require_failure(gain: Fraction, length: int, what: str) -> None:
    """Raise Refuted unless it is proven that 1 0 0 … 0 fails at this gain, or a larger one, within a length."""
    certificate = failure(gain, length)
    if certificate is None:
        raise Refuted(f"{what} is not proven")
    require(certificate.gain >= gain, f"{what} is proven for the gain {float(certificate.gain)}, which is smaller")
    require(len(certificate.states) <= length, f"{what} is proven for {len(certificate.states)} steps only")
    check_failure(certificate)


def bracket(case: tuple[str, Fraction]) -> None:
    """Prove a gain too small or large enough, and compare with the critical one."""
    side, gain = case
    if side == "fails":
        _require_failure(gain, LONG_ENOUGH, f"that 1 0 0 … 0 fails at gain {float(gain)}")
        require(gain < critical_gain(), f"{float(gain)} is above the critical gain {critical_gain()}")
    else:
        _require_proof(gain)
        require(gain > critical_gain(), f"{float(gain)} is below the critical gain {critical_gain()}")


def works(case: tuple[float, float, int, int]) -> None:
    """Prove a gain large enough, and run random bits, the worst input and ones, all of a length."""
    gain, density, seed, length = case
    _require_proof(gain)
    bits = np.vstack([random_bits(density, seed, (8, length)), adversary(length), np.ones((1, length), np.int64)])
    require(bits.shape == (10, length), f"the sequences have the length {bits.shape[1]}, not {length}")
    require_parity(tanh_network(bits, gain)[0], bits)


def fails(gain: float) -> None:
    """Find the step at which 1 0 0 … 0 fails; where it is not too late, look for a worse input and prove the step."""
    at = next((t for T in (20, SOON, LONG_ENOUGH) if (t := fails_at(adversary(T), gain)) is not None), None)
    require(at is not None, f"1 0 0 … 0 does not fail within {LONG_ENOUGH} steps")
    if at is None or at > SOON:
        return
    _require_failure(Fraction(gain), at, f"the failure at step {at}")
    if at > 1:
        worst, last = extreme_states(gain, at - 1), np.arange(at - 1) == at - 2
        require(not some_input_errs(worst), f"another input fails before step {at}, where 1 0 0 … 0 does")
        for spoilt in (replace(worst, even=worst.even + last), replace(worst, odd=worst.odd - last)):
            require(some_input_errs(spoilt), "an error in the last step is not noticed")
        require(not proves_failure(Fraction(gain), at - 1), f"a failure before step {at} is proven, but there is none")


def some_input_errs(worst: Extremes) -> bool:
    """Whether a state of parity 0 is above 1/2, or one of parity 1 is not."""
    return bool(((worst.even > 0.5) | (worst.odd <= 0.5)).any())


def nothing_false_is_proven(case: tuple[Fraction, int]) -> None:
    """At a gain that works, no failure, with however few bits; at one that does not, no intervals."""
    gain, bits = case
    fails = f"with {bits} bits a failure is proven at gain {float(gain)}, which works"
    require(not proves_failure(gain, 300, bits), fails)
    # At BELOW it is close around 0.62, where the map all but reaches the line.
    for smaller, grid in ((BELOW, range(56, 69)), (min(BELOW, BELOW * gain / 4), range(55, 101, 5))):
        for k in grid:
            certificate = Intervals(smaller, 1 - Fraction(k, 100), Fraction(k, 100))
            works = f"with {bits} bits the gain {float(smaller)} is proven, which fails"
            require(not proves_parity(certificate, bits), works)
        try:
            found = intervals(smaller)
        except ValueError:
            continue
        raise Refuted(f"the intervals [0, {float(found.a)}], [{float(found.b)}, 1] are found at gain {float(smaller)}")


def spoilt_proofs_are_refused(case: tuple[Fraction, Fraction]) -> None:
    """Reject corrupted proofs: lowered or missing states, a gain that works; intervals for a gain that fails."""
    fails, works = case
    certificate = failure(fails, 100)
    if certificate is None:
        raise Refuted(f"that 1 0 0 … 0 fails at gain {float(fails)} is not proven within 100 steps")
    check_failure(certificate)
    states = certificate.states
    spoilt = [Failure(fails, states[:-1]), Failure(fails, ()), Failure(ABOVE, states), Failure(-fails, states)]
    for t in range(len(states)):
        lowered = (*states[:t], states[t] - Fraction(1, 2**80), *states[t + 1 :])
        spoilt.append(Failure(fails, lowered))
    for wrong in spoilt:
        require(not accepts(check_failure, wrong), "a corrupted proof of failure is accepted")
    right = intervals(works)
    check_intervals(right)
    a, b = right.a, right.b
    half = Fraction(1, 2)
    for gain, low, high in ((BELOW, a, b), (works, a / 2, b), (works, a, b / 2), (works, half, half), (works, b, a),
                            (-works, a, b), (works, a - Fraction(1, 50), b),
                            (BELOW, Fraction(38, 100), Fraction(62, 100))):  # at parity 1 alone it fails # fmt: skip
        wrong_intervals = Intervals(gain, low, high)
        accepted = proves_parity(wrong_intervals) or accepts(check_intervals, wrong_intervals)
        require(not accepted, f"[0, {float(low)}] and [{float(high)}, 1] are accepted at gain {float(gain)}")


def rarely_seen(seed: int) -> None:
    """Run random bits for as long as 1 0 0 … 0 takes to fail."""
    gain = 2.33
    length = fails_at(adversary(LONG_ENOUGH), gain)
    require(length is not None, f"1 0 0 … 0 does not fail at gain {gain}")
    bits = random_bits(0.5, seed, (100, length or 1))
    require(bits.shape[1] == length, f"the sequences have the length {bits.shape[1]}, not {length}")
    require_parity(tanh_network(bits, gain)[0], bits)


def raw_fails(gain: float) -> None:
    """Run the input that fails; near ln(3) / 2 it takes about log(distance) / log(0.14) steps."""
    if gain < domains.ONLY_RAW_GAIN:
        bits = adversary(40)
    else:
        bits = as_bits([1, 0]) if gain >= 2.6 else np.zeros(40, np.int64)
    y = raw_network(bits, gain)[0]
    require(bool((y != parity(bits)).any()), f"the weights times {gain} remember {' '.join(map(str, bits))}")


def p_of_the_first_row(case: tuple[tuple[tuple[int, int], ...], Fraction]) -> None:
    """Compare the p of a row of the table with a known number. Rows are networks without an error, of how many."""
    rows, p = case
    network: Any = None  # the test only counts
    results = {
        Setting(str(i)): [Trained(network, LIMIT, LIMIT if k < right else 0) for k in range(number)]
        for i, (right, number) in enumerate(rows)
    }
    agree(against_the_others(next(iter(results)), results), float(p), "p of the first row")


# One unit --------------------------------------------------------------------------------------------


def contradiction(case: tuple[int, Fraction, Fraction]) -> None:
    """Meet all pairs of a parity and a bit, and refute what they ask, for two states that stand for the parities."""
    length, even, odd = case
    require(len(reached_pairs(length)) == 4, f"sequences of {length} bits do not reach all pairs")
    system = parity_inequalities(even, odd)
    require(contradicts(system, FARKAS), "the inequalities do not add up to 0 < 0")
    check_contradiction(system, FARKAS)
    expected = []  # of (w, v, c): a state of parity p and a bit x must lead above 0 if and only if p xor x
    for p, h in ((0, even), (1, odd)):
        expected += [Inequality((-h, -x, -1) if p ^ x else (h, x, 1), bool(p ^ x)) for x in (0, 1)]  # type: ignore[arg-type]
    require(system == expected, "the inequalities are not those of parity")


def only_contradictions(case: tuple[Fraction, Fraction, Fraction, Fraction, Fraction]) -> None:
    """A unit solves the inequalities that say what it computes, so nothing may refute them."""
    w, v, c, even, odd = case
    system, signs = [], []
    for h in (even, odd):
        for x in (0, 1):
            on = w * h + v * x + c > 0
            signs.append(-1 if on else 1)
            system.append(Inequality((signs[-1] * h, Fraction(signs[-1] * x), Fraction(signs[-1])), on))
    # (h, x, 1) with the multipliers 1, -1, -1, 1 adds up to 0, so these times the signs make all coefficients cancel.
    cancelling = tuple(sign * m for sign, m in zip(signs, (1, -1, -1, 1), strict=True))
    for multipliers in (FARKAS, cancelling, tuple(-m for m in cancelling), (0, 0, 0, 0), (1, 1, 0, 0), (0, 0, 1, 1)):
        accepted = contradicts(system, multipliers) or accepts(check_contradiction, system, multipliers)
        require(not accepted, f"the multipliers {multipliers} refute what w = {w}, v = {v}, c = {c} solves")
    weak = [Inequality((Fraction(s),), strict=False) for s in (1, -1)]
    for system, multipliers in ((weak, (1, 1)), ([Inequality((Fraction(1),), strict=True)], (1,))):
        accepted = contradicts(system, multipliers) or accepts(check_contradiction, system, multipliers)
        require(not accepted, "0 <= 0, or x < 0, is taken for a contradiction")


def one_unit_fails(unit: Unit) -> None:
    """Find a sequence of one or two bits on which the unit errs."""
    require(first_failure(unit, 2) is not None, "it computes the parity of all sequences of one and two bits")
    first = float(unit.phi(np.array([unit.w * unit.h0 + unit.c]))[0])
    for flipped in (False, True):
        tied = replace(unit, theta=first, flipped=flipped).run(np.zeros((1, 1), np.int64))
        require(not tied.any(), "a state at the threshold is read as 1")
