"""The parity network with tanh: how large its gain must be, with a certificate on either side.

In the encoding -1/+1 of the hidden bits the weights are g Wx, g Wh / 2, g b, and s = (h1 - h2) / 2 is all that a
step reads of the state: s' = f(s + x) with

    f(u) = (tanh(g (u - 1/2)) - tanh(g (u - 3/2))) / 2,

which is symmetric about u = 1 and rises up to there. For every length the network is right exactly if some b in
(1/2, 1] has f(b) >= b; the proof is that of claim "3-1 alt". As f(b) grows with the gain there, one number, the
critical gain, separates the gains that work from those that do not.

Source: homework 3-1, the alternative.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from theory.parity.bounds import Intervals
from theory.parity.units import Bits, Weights, as_bits, check_length, parity, threshold_weights

__all__ = [
    "ABOVE", "BELOW", "Extremes", "adversary", "critical_gain", "drift", "extreme_states", "fails_at",
    "intervals", "raw_network", "state_map", "tanh_network", "tanh_states", "tanh_weights",
]  # fmt: skip

BELOW, ABOVE = Fraction(233021, 100_000), Fraction(233022, 100_000)
"""A gain proven too small and one proven large enough; the critical gain lies between them."""


def _check_gain(caller: str, gain: float) -> None:
    if not (gain > 0 and isfinite(gain)):
        raise ValueError(f"{caller}: the gain must be a finite number above 0; got {gain!r}")


# The network -----------------------------------------------------------------------------------------


def tanh_weights(gain: float) -> Weights:
    """Wx (1, 2), Wh (2, 2), b (2,) of the parity network with tanh. A gain that is not above 0 is a ValueError.

    >>> tanh_weights(3)[1]
    array([[ 1.5,  1.5], [-1.5, -1.5]])
    """
    _check_gain("tanh_weights", gain)
    Wx, Wh, b = threshold_weights()
    return gain * Wx, gain * Wh / 2, gain * b


def tanh_network(bits: ArrayLike, gain: float) -> tuple[Bits, NDArray[np.float64]]:
    """Run the network with tanh through `mg.ops.rnn` from h_0 = 0.

    Args:
        bits: (T,) or (N, T). gain: above 0.

    Returns:
        y = [s > 1/2] and s = (h1 - h2) / 2, both of the shape of `bits`.

    Raises:
        ValueError: for bits that are not 0 or 1, or a gain that is not above 0.

    >>> tanh_network([1, 1, 0, 1], 3.0)[0]
    array([1, 0, 0, 1])
    """
    _check_gain("tanh_network", gain)
    h = _states(as_bits(bits, "tanh_network"), tanh_weights(gain))
    s = (h[..., 0] - h[..., 1]) / 2
    return (s > 0.5).astype(np.int64), s


def tanh_states(bits: ArrayLike, gain: float) -> NDArray[np.float64]:
    """The states h1 and h2 of the tanh network, (…, T, 2). As `tanh_network`.

    >>> tanh_states([1, 0], 3.0).round(4)
    array([[ 0.9051, -0.9051], [ 0.8383, -0.9452]])
    """
    _check_gain("tanh_states", gain)
    return _states(as_bits(bits, "tanh_states"), tanh_weights(gain))


def raw_network(bits: ArrayLike, gain: float) -> tuple[Bits, NDArray[np.float64]]:
    """The threshold network's own weights times a gain, with tanh for the step: y = [h1 - h2 > 1/2], and h1 - h2.

    Nothing maps the range (-1, 1) of tanh to the bits 0 and 1 here. As `tanh_network`.

    >>> raw_network([1, 0], 3.0)[0]
    array([1, 0])
    """
    _check_gain("raw_network", gain)
    Wx, Wh, b = (gain * w for w in threshold_weights())
    h = _states(as_bits(bits, "raw_network"), (Wx, Wh, b))
    s = h[..., 0] - h[..., 1]
    return (s > 0.5).astype(np.int64), s


def _states(bits: Bits, weights: Weights) -> NDArray[np.float64]:
    """All states (…, T, 2) of a network of two units on bits (…, T)."""
    x = np.atleast_2d(bits)[..., None].astype(np.float64)
    h: NDArray[np.float64] = mg.ops.rnn(x, np.zeros((len(x), 2)), *weights).numpy()
    return h.reshape(*bits.shape, 2)


def state_map(gain: float, u: ArrayLike) -> NDArray[np.float64]:
    """f(u), the next s for u = s + x.

    >>> state_map(3.0, [0.0, 1.0, 2.0])
    array([0.0473, 0.9051, 0.0473])
    """
    _check_gain("state_map", gain)
    u = np.asarray(u, np.float64)
    return np.asarray(np.tanh(gain * (u - 0.5)) - np.tanh(gain * (u - 1.5))) / 2


# The worst input -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Extremes:
    """After each of T bits: the largest s at parity 0, the smallest at parity 1, and inputs that lead there.

    even, odd: (T,). even_input, odd_input: T bits each, worst at the last step.
    """

    even: NDArray[np.float64]
    odd: NDArray[np.float64]
    even_input: Bits
    odd_input: Bits


def extreme_states(gain: float, length: int) -> Extremes:
    """The worst states over all 2^T inputs, in T steps.

    s lies in [0, 1], so f(s + x) rises in s at a 0 and falls at a 1. The largest even state therefore comes from the
    largest even one by a 0 or the smallest odd one by a 1; likewise the smallest odd one.

    Raises:
        ValueError: for a length below 1 or a gain that is not above 0.

    >>> extreme_states(2.0, 4).odd_input
    array([1, 0, 0, 0])
    """
    _check_gain("extreme_states", gain)
    check_length("extreme_states", length)
    even, odd = np.empty(length), np.empty(length)
    last = np.empty((length, 2), np.int64)  # the last bit on the way to either
    a, b = 0.0, np.nan  # before the first bit the parity is 0, and there is no odd state to come from
    for t in range(length):
        even_by_0, odd_by_1 = state_map(gain, [a, a + 1])
        even_by_1, odd_by_0 = state_map(gain, [b + 1, b]) if t else (-np.inf, np.inf)
        a, b = max(even_by_0, even_by_1), min(odd_by_0, odd_by_1)
        even[t], odd[t] = a, b
        last[t] = even_by_1 > even_by_0, odd_by_1 <= odd_by_0
    return Extremes(even, odd, _trace(last, 0), _trace(last, 1))


def _trace(last: Bits, state: int) -> Bits:
    """Follow the last bits back from a parity; a 1 comes from the other parity."""
    bits = np.empty(len(last), np.int64)
    for t in range(len(last) - 1, -1, -1):
        bits[t] = last[t, state]
        state ^= int(bits[t])
    return bits


def adversary(length: int) -> Bits:
    """1 0 0 … 0: one bit to remember, for as long as it takes. A length below 1 is a ValueError.

    >>> adversary(4)
    array([1, 0, 0, 0])
    """
    check_length("adversary", length)
    bits = np.zeros(length, np.int64)
    bits[0] = 1
    return bits


def fails_at(bits: ArrayLike, gain: float) -> int | None:
    """The first step, from 1, at which the tanh network errs on bits (T,); None if it is right throughout.

    Raises:
        ValueError: for bits of another shape, or that are not 0 or 1, or a gain that is not above 0.

    >>> fails_at(adversary(100), 2.2), fails_at(adversary(100), 2.4)
    (20, None)
    """
    _check_gain("fails_at", gain)
    bits = as_bits(bits, "fails_at")
    if bits.ndim != 1:
        raise ValueError(f"fails_at: bits must have shape (T,), not {bits.shape}")
    wrong = np.flatnonzero(tanh_network(bits, gain)[0] != parity(bits))
    return int(wrong[0]) + 1 if len(wrong) else None


# The critical gain -----------------------------------------------------------------------------------


def drift(gain: float) -> tuple[float, float]:
    """The largest f(s) - s on [1/2, 1], and where it is: not below 0 exactly if the network can remember a 1.

    f is concave there, as tanh(v) is for v >= 0, so the slope f'(s) - 1 changes its sign once at most.

    >>> drift(3.0)
    (0.0604, 0.705)
    """
    _check_gain("drift", gain)
    low, high = 0.5, 1.0
    for _ in range(60):
        s = (low + high) / 2
        slope = gain * (np.tanh(gain * (s - 1.5)) ** 2 - np.tanh(gain * (s - 0.5)) ** 2) / 2  # tanh' = 1 - tanh^2
        low, high = (s, high) if slope > 1 else (low, s)
    return float(state_map(gain, low) - low), low


def critical_gain(tolerance: float = 1e-12) -> float:
    """The smallest gain at which the network is right for every length, by bisection on the sign of the drift.

    >>> critical_gain()
    2.330212853
    """
    if not tolerance >= 1e-15:
        raise ValueError(f"critical_gain: the tolerance must be at least 1e-15, what a float can tell; got {tolerance}")
    low, high = 1.0, 4.0
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if drift(middle)[0] >= 0 else (middle, high)
    return high


def intervals(gain: float | Fraction) -> Intervals:
    """Invariant intervals for a gain above the critical one.

    b is where f(s) - s is largest, for the gain itself or, if that is larger, for 3, which serves all larger ones;
    a = 1 - b is then always enough, see the proof.

    Raises:
        ValueError: if the gain is too small: there is no such b.

    >>> float(intervals(3.0).b)
    0.70503
    """
    _check_gain("intervals", float(gain))
    gap, b = drift(min(float(gain), 3.0))
    if gap <= 0:
        raise ValueError(f"intervals: the gain {float(gain):g} is not above the critical one, {critical_gain():.6f}")
    rounded = Fraction(round(b * 2**20), 2**20)
    return Intervals(Fraction(gain), 1 - rounded, rounded)
