"""Check the certificates of claims 5-2 and 5-4, without the code that finds them.

Each `check_...` raises :class:`theory.Refuted` if a certificate is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from theory.refutation import require

__all__ = ["check_never", "check_ranges", "check_winners", "check_witness"]

Array = NDArray[np.float64]


def check_witness(words: Sequence[tuple[Sequence[int], int]], word: int, state: Sequence[Fraction]) -> None:
    """Raise Refuted unless the state is in (-1, 1)^d and gives the word a larger score than every other word.

    >>> check_witness([([0], 0), ([1], 0)], 0, [Fraction(1, 2)])
    Traceback (most recent call last):
    theory.refutation.Refuted: the word 0 does not win: the scores are 0, 1/2
    """
    require(all(-1 < u < 1 for u in state), "the state is not in the box")
    scores = [sum((e * u for e, u in zip(E, state, strict=True)), Fraction(b)) for E, b in words]
    wins = all(score < scores[word] for other, score in enumerate(scores) if other != word)
    require(wins, f"the word {word} does not win: the scores are {', '.join(map(str, scores))}")


def check_never(words: Sequence[tuple[Sequence[int], int]], word: int, multipliers: Sequence[Fraction]) -> None:
    """Raise Refuted unless a weighted mean of other words scores at least as high as the word in the whole box.

    Let the multipliers m_v >= 0 have the sum 1. In the box the word's score exceeds the mean's by at most
    sum_k |E_w - sum_v m_v E_v|_k + b_w - sum_v m_v b_v, which must not be above 0.

    >>> check_never([([0], 0), ([1], 0), ([3], 0)], 1, [Fraction(1), Fraction(0), Fraction(1)])
    Traceback (most recent call last):
    theory.refutation.Refuted: the word may exceed the mean of the others
    """
    require(len(multipliers) == len(words) and multipliers[word] == 0, "each other word needs a multiplier")
    require(min(multipliers) >= 0 and any(multipliers), "the multipliers must be at least 0, and not all 0")
    (E, bias), others = words[word], list(zip(words, multipliers, strict=True))
    sums = [sum((m * (E[k] - e[k]) for (e, _), m in others), Fraction(0)) for k in range(len(E))]
    excess = sum(map(abs, sums), Fraction(0)) + sum(m * (bias - b) for (_, b), m in others)
    require(excess <= 0, "the word may exceed the mean of the others")


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
