"""One monotone unit cannot compute parity: inequalities without a solution, and a sequence of two bits that fails.

The unit is h_t = phi(w h_{t-1} + v x_t + c) with phi monotone and the readout y = [h > theta].

Source: homework 3-1; the certificate is from J. Farkas, Theorie der einfachen Ungleichungen (1902).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from theory.parity.units import Bits, all_sequences, parity

__all__ = [
    "FARKAS", "Function", "Inequality", "Unit", "contradicts", "first_failure", "parity_inequalities",
    "piecewise_linear", "reached_pairs",
]  # fmt: skip

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

FARKAS = (1, 1, 1, 1)
"""The multipliers of `parity_inequalities` that add up to a contradiction."""


@dataclass(frozen=True)
class Inequality:
    """coefficients . (w, v, c) < 0 if `strict`, else <= 0."""

    coefficients: tuple[Fraction, ...]
    strict: bool


def reached_pairs(length: int) -> set[tuple[int, int]]:
    """Return the pairs (parity before, bit) of the last step, over all sequences of a length.

    >>> sorted(reached_pairs(1)), sorted(reached_pairs(2))
    ([(0, 0), (0, 1)], [(0, 0), (0, 1), (1, 0), (1, 1)])
    """
    sequences = all_sequences(length)
    before = parity(sequences[:, :-1])[:, -1] if length > 1 else np.zeros(len(sequences), np.int64)
    return set(zip(before.tolist(), sequences[:, -1].tolist(), strict=True))


def parity_inequalities(even: Fraction, odd: Fraction) -> list[Inequality]:
    """Return what parity requires of a threshold unit [w h + v x + c > 0], for both parities and both bits.

    even, odd: the states that represent parity 0 and parity 1.

    >>> [q.strict for q in parity_inequalities(Fraction(0), Fraction(1))]
    [False, True, True, False]
    """
    rows = []
    for before, h in ((0, even), (1, odd)):
        for x in (0, 1):
            one = before ^ x  # then w h + v x + c > 0, that is -(w h + v x + c) < 0
            sign = -1 if one else 1
            rows.append(Inequality((sign * h, Fraction(sign * x), Fraction(sign)), bool(one)))
    return rows


def contradicts(system: Sequence[Inequality], multipliers: Sequence[int | Fraction]) -> bool:
    """Return whether multipliers, one per inequality, prove that a system has no solution by adding up to 0 < 0.

    They must be non-negative, all coefficients must cancel, and a strict inequality must take part.

    >>> contradicts(parity_inequalities(Fraction(0), Fraction(1)), FARKAS)
    True
    """
    if any(m < 0 for m in multipliers):
        return False
    columns = zip(*(q.coefficients for q in system), strict=True)
    sums = [sum(m * c for m, c in zip(multipliers, column, strict=True)) for column in columns]
    return not any(sums) and any(m > 0 and q.strict for m, q in zip(multipliers, system, strict=True))


# Any monotone unit -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """h_t = phi(w h_{t-1} + v x_t + c) from h_0 with y = [h > theta], or [h < theta] if `flipped`."""

    phi: Function
    w: float
    v: float
    c: float
    h0: float = 0.0
    theta: float = 0.5
    flipped: bool = False

    def run(self, bits: Bits) -> Bits:
        """Return y for bits (N, T)."""
        h = np.full(len(bits), float(self.h0))
        y = np.empty(bits.shape, np.int64)
        for t in range(bits.shape[1]):
            h = self.phi(self.w * h + self.v * bits[:, t] + self.c)
            y[:, t] = h < self.theta if self.flipped else h > self.theta
        return y


def piecewise_linear(knots: Sequence[float], values: Sequence[float]) -> Function:
    """Return the function through the points (knot, value), linear between them and constant beyond.

    >>> piecewise_linear([0, 1], [1, 0])(np.array([-1, 0.25, 2]))
    array([1. , 0.75, 0. ])
    """
    return lambda a: np.interp(a, knots, values)


def first_failure(unit: Unit, length: int) -> tuple[int, ...] | None:
    """Return the shortest sequence of up to `length` bits on which the unit does not end at the parity, or None.

    >>> first_failure(Unit(np.tanh, 1.0, 2.0, -1.0), 2)
    (0, 1)
    """
    for T in range(1, length + 1):
        sequences = all_sequences(T)
        wrong = np.flatnonzero(unit.run(sequences)[:, -1] != parity(sequences)[:, -1])
        if len(wrong):
            return tuple(sequences[wrong[0]].tolist())
    return None
