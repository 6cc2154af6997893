"""Proofs about the tanh network's gain in exact arithmetic: rigorous bounds of tanh at rational numbers.

`theory.parity.gain` has the network and its map f of the state, and finds what this module proves. All arithmetic is on
integers, so a comparison that is true is proven. A bound is a multiple of 2^-bits, and every operation rounds outwards,
so fewer bits prove less, but never anything false. `theory.parity.certificates` checks the proofs by other arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = [
    "BITS", "Bounds", "Failure", "Intervals", "exp_bounds", "failure", "map_bounds", "proves_failure", "proves_parity",
    "tanh_bounds",
]  # fmt: skip

BITS = 96
"""By default bounds are multiples of 2^-BITS."""

Bounds = tuple[Fraction, Fraction]

_HALVINGS = 6
_TERMS = 12  # of the series at most 2^-6: the next one is below 2^-110
_LARGE = 32


def exp_bounds(q: Fraction, bits: int = BITS) -> Bounds:
    """Return fractions (low, high) with low <= exp(q) <= high, for a rational q >= 0.

    exp(q) = exp(q / 2^k)^(2^k), with q / 2^k <= 2^-6. There all terms of the series are positive, so its partial sum
    is below exp. Each omitted term is less than half of the one before, so they sum to less than the last one kept.

    >>> low, high = exp_bounds(Fraction(1))
    >>> 0 < high - low < Fraction(1, 2**80)
    True
    >>> float(low)
    2.718281828459045
    """
    k = _HALVINGS + (-(-q.numerator // q.denominator)).bit_length()
    scaled, divisor = q.numerator << bits, q.denominator << k
    low, high = _series(scaled // divisor, bits, up=False), _series(-(-scaled // divisor), bits, up=True)
    for _ in range(k):
        low, high = low * low >> bits, -(-high * high >> bits)
    return Fraction(low, 1 << bits), Fraction(high, 1 << bits)


def _series(p: int, bits: int, up: bool) -> int:
    """Bound exp(p) for 0 <= p <= 2^-6, both as multiples of 2^-bits: from above if `up`, else from below."""
    term = total = 1 << bits
    for n in range(1, _TERMS + 1):
        term = -(-term * p // (n << bits)) if up else term * p // (n << bits)
        total += term
    return total + term if up else total


def tanh_bounds(q: Fraction, bits: int = BITS) -> Bounds:
    """Return fractions (low, high) with low <= tanh(q) <= high, for any rational q.

    tanh is odd; for q >= 0 it is 1 - 2 / (exp(2q) + 1), which grows with exp(2q) and stays below 1.

    >>> low, high = tanh_bounds(Fraction(1, 2))
    >>> float(low), float(high)
    (0.4621171572600098, 0.4621171572600098)
    >>> tanh_bounds(Fraction(10**9))[1]
    Fraction(1, 1)
    """
    if q < 0:
        low, high = tanh_bounds(-q, bits)
        return -high, -low
    low, high = exp_bounds(2 * min(q, Fraction(_LARGE)), bits)
    return 1 - 2 / (low + 1), Fraction(1) if q > _LARGE else 1 - 2 / (high + 1)


def map_bounds(gain: Fraction, u: Fraction, bits: int = BITS) -> Bounds:
    """Bound f(u) = (tanh(g (u - 1/2)) - tanh(g (u - 3/2))) / 2 for a rational gain g and a rational u.

    >>> low, high = map_bounds(Fraction(3), Fraction(1))
    >>> float(low)
    0.9051482536448664
    """
    (or_low, or_high), (and_low, and_high) = (tanh_bounds(gain * (u - Fraction(k, 2)), bits) for k in (1, 3))
    return _down((or_low - and_high) / 2, bits), -_down((and_low - or_high) / 2, bits)


def _down(q: Fraction, bits: int) -> Fraction:
    return Fraction((q.numerator << bits) // q.denominator, 1 << bits)


# Proofs ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Intervals:
    """A certificate that a gain is large enough: at parity 0 the state s stays in [0, a], at parity 1 in [b, 1]."""

    gain: Fraction
    a: Fraction
    b: Fraction


@dataclass(frozen=True)
class Failure:
    """A certificate that a gain is too small: upper bounds of the states of 1 0 0 … 0, the last at most 1/2."""

    gain: Fraction
    states: tuple[Fraction, ...]


def proves_parity(certificate: Intervals, bits: int = BITS) -> bool:
    """Return whether intervals with a + b = 1 prove that every length is right, at their gain and at every larger one.

    f rises on [0, 1] and falls on [1, 2], so an interval's image lies between the images of its ends. Four comparisons
    of rational bounds then prove that every state and bit leads into the right interval. s_0 = 0 is in [0, a]. With
    a = 1 - b the intervals stay invariant at every larger gain, where f(b) = f(1 + a) is larger and
    f(a) = f(1 + b) < 1 - f(b).

    >>> proves_parity(Intervals(Fraction(3), Fraction(3, 10), Fraction(7, 10)))
    True
    >>> proves_parity(Intervals(Fraction(2), Fraction(3, 10), Fraction(7, 10)))
    False
    """
    g, a, b = certificate.gain, certificate.a, certificate.b
    if not (g > 0 and Fraction(1, 2) < b <= 1 and a + b == 1):
        return False
    return (
        map_bounds(g, a, bits)[1] <= a  # parity 0, bit 0: [0, a] stays below a
        and map_bounds(g, 1 + a, bits)[0] >= b  # parity 0, bit 1: u in [1, 1 + a]
        and map_bounds(g, b, bits)[0] >= b  # parity 1, bit 0: u in [b, 1]
        and map_bounds(g, 1 + b, bits)[1] <= a  # parity 1, bit 1: u in [1 + b, 2]
    )


def failure(gain: Fraction, length: int, bits: int = BITS) -> Failure | None:
    """Return a certificate that 1 0 0 … 0 of this length fails at this gain and at every smaller one, or None.

    r_1 >= f(1), r_t >= f(r_{t-1}) are upper bounds of the states s_t. f rises with s and, for s in [1/2, 3/2], with the
    gain, so they also bound the states of every smaller gain. Once r_t <= 1/2, the parity 1 is lost. For a gain of 0 or
    below there is no proof, and with fewer bits a proof needs a greater length.

    >>> [float(r) for r in failure(Fraction(1), 9).states]
    [0.46211715726000973]
    """
    if gain <= 0:
        return None
    states: list[Fraction] = []
    before = Fraction(1)
    for _ in range(length):
        r = map_bounds(gain, before, bits)[1]
        states.append(r)
        if r <= Fraction(1, 2):
            return Failure(gain, tuple(states))
        if r >= before:  # the bounds no longer fall
            return None
        before = r
    return None


def proves_failure(gain: Fraction, length: int, bits: int = BITS) -> bool:
    """Return whether `failure` proves that 1 0 0 … 0 of this length fails at this gain and at every smaller one.

    >>> proves_failure(Fraction(22, 10), 19), proves_failure(Fraction(22, 10), 20)
    (False, True)
    """
    return failure(gain, length, bits) is not None
