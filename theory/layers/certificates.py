"""Check what claims 5-2 and 5-4 find and `theory.checker` has no kind for.

Each `check_...` raises :class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from theory.refutation import require

__all__ = ["check_ranges", "check_winners"]

Array = NDArray[np.float64]


def check_winners(words: NDArray[np.int64], states: Array, E: Array, b: Array, scores: Array) -> None:
    """Raise Refuted unless each word wins at its state, in the box, and all float64 scores are exact.

    All factors are multiples of powers of 2, so every partial sum of a score is a multiple of 2^-34. It has at most 53
    bits, so no addition rounds, whatever the order.

    >>> one, two = np.ones((1, 1)), np.array([[1.0], [2.0]])
    >>> check_winners(np.array([0]), one / 2, two, np.zeros(2), one / 2 @ two.T)
    Traceback (most recent call last):
    theory.refutation.Refuted: another word wins
    """
    require(bool((np.abs(states) < 1).all()), "a state is not in the box")
    whole = all(bool((n == np.rint(n)).all()) for n in (states * 2.0**10, E * 2.0**24, b * 2.0**34))
    require(whole and (np.abs(states) @ np.abs(E).T + np.abs(b)).max() < 2.0**18, "the scores are not exact")
    require(bool((scores == states @ E.T + b).all()), "these are not the scores of the states")
    own = scores[np.arange(len(words)), words][:, None]
    require(bool(((scores >= own).sum(axis=1) == 1).all()), "another word wins")


def check_ranges(ranges: Sequence[Sequence[tuple[Fraction, Fraction]]], J: Array) -> None:
    """Raise Refuted unless every entry of a matrix is in its range, up to 1e-9.

    >>> check_ranges([[(Fraction(0), Fraction(1))]], np.array([[2.0]]))
    Traceback (most recent call last):
    theory.refutation.Refuted: the matrix [[2.0]] leaves its ranges
    """
    low, high = np.moveaxis(np.array(ranges, dtype=np.float64), -1, 0)
    inside = J.shape == low.shape and bool(((low - 1e-9 <= J) & (high + 1e-9 >= J)).all())
    require(inside, f"the matrix {J.tolist()} leaves its ranges")
