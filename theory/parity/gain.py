"""The parity network with tanh: how large its gain must be, with certificates of both sides.

If -1 and +1 encode the hidden bits, the weights are g Wx, g Wh / 2, g b, and a step depends on the state only through
s = (h1 - h2) / 2: the next s is f(s + x) with

    f(u) = (tanh(g (u - 1/2)) - tanh(g (u - 3/2))) / 2,

for a gain g > 0. 0 < f < 1, and f is symmetric about u = 1 and rises up to there. From s_0 = 0 the network is right for
every length if and only if some b in (1/2, 1] has f(b) >= b; claim "3-1 alt" has the proof. There f(b) grows with the
gain, so one critical gain separates the gains that work from those that do not.

Source: homework 3-1, the alternative.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from theory.parity.bounds import Intervals
from theory.parity.units import Bits, Weights, as_bits, parity, threshold_weights

__all__ = [
    "ABOVE", "BELOW", "Extremes", "adversary", "critical_gain", "drift", "extreme_states", "fails_at",
    "intervals", "raw_network", "state_map", "tanh_network", "tanh_states", "tanh_weights",
]  # fmt: skip

BELOW, ABOVE = Fraction(233021, 100_000), Fraction(233022, 100_000)
"""A gain that is proven too small, and one that is proven large enough."""


# The network -----------------------------------------------------------------------------------------


def tanh_weights(gain: float) -> Weights:
    """Return Wx (1, 2), Wh (2, 2), b (2,) of the parity network with tanh.

    >>> tanh_weights(3)[1]
    array([[ 1.5,  1.5], [-1.5, -1.5]])
    """
    Wx, Wh, b = threshold_weights()
    return gain * Wx, gain * Wh / 2, gain * b


def tanh_network(bits: ArrayLike, gain: float) -> tuple[Bits, NDArray[np.float64]]:
    """Run the network with tanh through `mg.ops.rnn` from h_0 = 0.

    Returns y = [s > 1/2] and s = (h1 - h2) / 2, both of the shape of `bits`, (T,) or (N, T).

    >>> tanh_network([1, 1, 0, 1], 3.0)[0]
    array([1, 0, 0, 1])
    """
    h = tanh_states(bits, gain)
    s = (h[..., 0] - h[..., 1]) / 2
    return (s > 0.5).astype(np.int64), s


def tanh_states(bits: ArrayLike, gain: float) -> NDArray[np.float64]:
    """Return the states h1 and h2 of the tanh network, (…, T, 2).

    >>> tanh_states([1, 0], 3.0).round(4)
    array([[ 0.9051, -0.9051], [ 0.8383, -0.9452]])
    """
    return _states(as_bits(bits), tanh_weights(gain))


def raw_network(bits: ArrayLike, gain: float) -> tuple[Bits, NDArray[np.float64]]:
    """Run the threshold network's own weights times a gain with tanh; return y = [h1 - h2 > 1/2], and h1 - h2.

    Nothing maps the range (-1, 1) of tanh to the bits 0 and 1 here.

    >>> raw_network([1, 0], 3.0)[0]
    array([1, 0])
    """
    Wx, Wh, b = (gain * w for w in threshold_weights())
    h = _states(as_bits(bits), (Wx, Wh, b))
    s = h[..., 0] - h[..., 1]
    return (s > 0.5).astype(np.int64), s


def _states(bits: Bits, weights: Weights) -> NDArray[np.float64]:
    """Return all states (…, T, 2) of a network of two units on bits (…, T)."""
    x = np.atleast_2d(bits)[..., None].astype(np.float64)
    h: NDArray[np.float64] = mg.ops.rnn(x, np.zeros((len(x), 2)), *weights).numpy()
    return h.reshape(*bits.shape, 2)


def state_map(gain: float, u: ArrayLike) -> NDArray[np.float64]:
    """Return f(u), the next s for u = s + x.

    >>> state_map(3.0, [0.0, 1.0, 2.0])
    array([0.0473, 0.9051, 0.0473])
    """
    u = np.asarray(u, np.float64)
    return np.asarray(np.tanh(gain * (u - 0.5)) - np.tanh(gain * (u - 1.5))) / 2


# The worst input -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Extremes:
    """The largest s at parity 0 and the smallest at parity 1 after each of T bits, (T,), and inputs that lead there."""

    even: NDArray[np.float64]
    odd: NDArray[np.float64]
    even_input: Bits
    odd_input: Bits


def extreme_states(gain: float, length: int) -> Extremes:
    """Find the worst states over all 2^T inputs in T steps.

    s is in [0, 1], so f(s + x) rises with s at a 0 and falls at a 1. So the largest even state comes from the largest
    even one by a 0, or from the smallest odd one by a 1; likewise the smallest odd one.

    >>> extreme_states(2.0, 4).odd_input
    array([1, 0, 0, 0])
    """
    even, odd = np.empty(length), np.empty(length)
    last = np.empty((length, 2), np.int64)  # the last bit on the way to either
    a, b = 0.0, np.nan  # before the first bit the parity is 0
    for t in range(length):
        even_by_0, odd_by_1 = state_map(gain, [a, a + 1])
        even_by_1, odd_by_0 = state_map(gain, [b + 1, b]) if t else (-np.inf, np.inf)
        a, b = max(even_by_0, even_by_1), min(odd_by_0, odd_by_1)
        even[t], odd[t] = a, b
        last[t] = even_by_1 > even_by_0, odd_by_1 <= odd_by_0
    return Extremes(even, odd, _trace(last, 0), _trace(last, 1))


def _trace(last: Bits, state: int) -> Bits:
    """Trace the last bits back from a parity; a 1 comes from the other parity."""
    bits = np.empty(len(last), np.int64)
    for t in range(len(last) - 1, -1, -1):
        bits[t] = last[t, state]
        state ^= int(bits[t])
    return bits


def adversary(length: int) -> Bits:
    """Return the worst input, 1 0 0 … 0.

    >>> adversary(4)
    array([1, 0, 0, 0])
    """
    bits = np.zeros(length, np.int64)
    bits[0] = 1
    return bits


def fails_at(bits: ArrayLike, gain: float) -> int | None:
    """Return the first step, counted from 1, at which the tanh network errs on bits (T,), or None.

    >>> fails_at(adversary(100), 2.2), fails_at(adversary(100), 2.4)
    (20, None)
    """
    wrong = np.flatnonzero(tanh_network(bits, gain)[0] != parity(bits))
    return int(wrong[0]) + 1 if len(wrong) else None


# The critical gain -----------------------------------------------------------------------------------


def drift(gain: float) -> tuple[float, float]:
    """Return the largest f(s) - s on [1/2, 1], and its s. The network can remember a 1 if and only if it is >= 0.

    f is concave there, as tanh(v) is for v >= 0, so the slope of f(s) - s changes its sign at most once.

    >>> drift(3.0)
    (0.0604, 0.705)
    """
    low, high = 0.5, 1.0
    for _ in range(60):
        s = (low + high) / 2  # the slope of tanh is 1 - tanh^2
        slope = gain * (np.tanh(gain * (s - 1.5)) ** 2 - np.tanh(gain * (s - 0.5)) ** 2) / 2
        low, high = (s, high) if slope > 1 else (low, s)
    return float(state_map(gain, low) - low), low


def critical_gain() -> float:
    """Find the smallest gain at which the network is right for every length, by bisection on the sign of the drift.

    >>> critical_gain()
    2.330212853
    """
    low, high = 1.0, 4.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if drift(middle)[0] >= 0 else (middle, high)
    return high


def intervals(gain: float | Fraction) -> Intervals:
    """Return invariant intervals for a gain above the critical one; ValueError for a smaller gain.

    b is where f(s) - s is largest for the smaller of the gain and 3, whose intervals also serve all larger gains. Then
    a = 1 - b is always small enough; see the proof.

    >>> float(intervals(3.0).b)
    0.70503
    """
    gap, b = drift(min(float(gain), 3.0))
    if gap <= 0:
        raise ValueError(f"intervals: the gain {float(gain):g} is not above the critical one, {critical_gain():.6f}")
    rounded = Fraction(round(b * 2**20), 2**20)
    return Intervals(Fraction(gain), 1 - rounded, rounded)
