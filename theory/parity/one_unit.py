"""One monotone unit cannot compute parity: inequalities without a solution, and a sequence of two bits that fails.

The unit is h' = phi(w h + v x + c) with phi monotone and the readout y = [h > theta]; a step function, tanh, a
rectifier and any chain of slopes of one sign are of this kind.

Source: homework 3-1; the certificate is that of J. Farkas, Theorie der einfachen Ungleichungen (1902).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from theory.parity.units import Bits, all_sequences, check_length, parity

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
    """The pairs (parity before, bit) that the last step meets, over all sequences of a length of at least 1.

    >>> sorted(reached_pairs(1)), sorted(reached_pairs(2))
    ([(0, 0), (0, 1)], [(0, 0), (0, 1), (1, 0), (1, 1)])
    """
    check_length("reached_pairs", length)
    sequences = all_sequences(length)
    before = parity(sequences[:, :-1])[:, -1] if length > 1 else np.zeros(len(sequences), np.int64)
    return set(zip(before.tolist(), sequences[:, -1].tolist(), strict=True))


def parity_inequalities(even: Fraction, odd: Fraction) -> list[Inequality]:
    """What parity asks of a threshold unit [w h + v x + c > 0], at a state of either parity and for either bit.

    even, odd: any state that stands for parity 0, and for parity 1; the bits themselves are 0 and 1.

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
    """Whether multipliers prove that a system has no solution: they add it up to 0 < 0, exactly.

    They must be non-negative, all coefficients must cancel, and a strict inequality must take part.

    Raises:
        ValueError: unless there are as many multipliers as inequalities, all with as many coefficients.

    >>> contradicts(parity_inequalities(Fraction(0), Fraction(1)), FARKAS)
    True
    """
    if len(multipliers) != len(system):
        raise ValueError(f"contradicts: {len(system)} inequalities need as many multipliers, not {len(multipliers)}")
    sizes = sorted({len(q.coefficients) for q in system})
    if len(sizes) > 1:
        raise ValueError(f"contradicts: all inequalities need as many coefficients; got {sizes[0]} and {sizes[-1]}")
    if any(m < 0 for m in multipliers):
        return False
    columns = zip(*(q.coefficients for q in system), strict=True)
    sums = [sum(m * c for m, c in zip(multipliers, column, strict=True)) for column in columns]
    return not any(sums) and any(m > 0 and q.strict for m, q in zip(multipliers, system, strict=True))


# Any monotone unit -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """h' = phi(w h + v x + c) from h_0, read as y = [h > theta], or as [h < theta] if `flipped`."""

    phi: Function
    w: float
    v: float
    c: float
    h0: float = 0.0
    theta: float = 0.5
    flipped: bool = False

    def run(self, bits: Bits) -> Bits:
        """y for bits (N, T)."""
        h = np.full(len(bits), float(self.h0))
        y = np.empty(bits.shape, np.int64)
        for t in range(bits.shape[1]):
            h = self.phi(self.w * h + self.v * bits[:, t] + self.c)
            y[:, t] = h < self.theta if self.flipped else h > self.theta
        return y


def piecewise_linear(knots: Sequence[float], values: Sequence[float]) -> Function:
    """The function through (knot, value), linear between and constant beyond; monotone if the values are.

    Raises:
        ValueError: unless there are as many values as knots, the knots rise, and the values are sorted either way.

    >>> piecewise_linear([0, 1], [1, 0])(np.array([-1, 0.25, 2]))
    array([1. , 0.75, 0. ])
    """
    x, y = np.asarray(knots, np.float64), np.asarray(values, np.float64)
    if x.ndim != 1 or x.shape != y.shape or not len(x):
        raise ValueError(f"piecewise_linear: as many values as knots are needed; got {x.shape} and {y.shape}")
    if not (np.diff(x) > 0).all():
        raise ValueError("piecewise_linear: the knots must rise")
    if not ((np.diff(y) >= 0).all() or (np.diff(y) <= 0).all()):
        raise ValueError("piecewise_linear: the values must be sorted, or the function is not monotone")
    return lambda a: np.interp(a, x, y)


def first_failure(unit: Unit, length: int) -> tuple[int, ...] | None:
    """The shortest sequence of up to `length` bits on which the unit does not end at the parity; None without one.

    A length below 1 is a ValueError: of no sequences, nothing can be said.

    >>> first_failure(Unit(np.tanh, 1.0, 2.0, -1.0), 2)
    (0, 1)
    """
    check_length("first_failure", length)
    for T in range(1, length + 1):
        sequences = all_sequences(T)
        wrong = np.flatnonzero(unit.run(sequences)[:, -1] != parity(sequences)[:, -1])
        if len(wrong):
            return tuple(sequences[wrong[0]].tolist())
    return None
