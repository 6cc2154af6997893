"""Which words a softmax can predict: a witness in the box (-1, 1)^d, or multipliers that prove there is none.

A word w has an embedding E_w and a bias b_w. It wins at a state u if <E_w, u> + b_w is larger than the score of every
other word, so that its probability is the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from operator import mul

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.shipped import shipped_folder

__all__ = ["Words", "captioner", "corners", "decide", "solve"]

Words = Sequence[tuple[Sequence[int], int]]
"""The embedding and the bias of each word."""

Row = Sequence[int | Fraction]


def solve(rows: Sequence[Row]) -> tuple[list[Fraction] | None, list[Fraction]]:
    """Return x with row . (1, x) > 0 for all rows; or None and multipliers >= 0, not all 0, of a false sum c > 0.

    For each unknown some row must have a positive and some a negative coefficient. The last unknown is eliminated first
    (J. Fourier, 1826; T. Motzkin, 1936).

    >>> solve([(1, 2), (0, -1)])
    ([Fraction(-1, 4)], [])
    >>> solve([(-1, 1), (1, -1)])
    (None, [Fraction(1, 1), Fraction(1, 1)])
    """
    if len(rows[0]) == 1:
        false = [Fraction(row[0] <= 0) for row in rows]
        return (None, false) if any(false) else ([], [])
    above, below = ([i for i, row in enumerate(rows) if sign * row[-1] > 0] for sign in (1, -1))
    sums = [{i: Fraction(-rows[j][-1]), j: Fraction(rows[i][-1])} for i in above for j in below]
    sums += [{i: Fraction(1)} for i, row in enumerate(rows) if row[-1] == 0]
    x, y = solve([[sum(m * rows[i][k] for i, m in s.items()) for k in range(len(rows[0]) - 1)] for s in sums])
    if x is None:
        return None, [
            sum((m * s.get(i, 0) for m, s in zip(y, sums, strict=True)), Fraction(0)) for i in range(len(rows))
        ]
    ends = [row[-1] and -Fraction(sum(map(mul, row, [1, *x]))) / row[-1] for row in rows]  # where row . (1, x) is 0
    return [*x, (max(ends[i] for i in above) + min(ends[j] for j in below)) / Fraction(2)], []


def decide(words: Words, word: int) -> tuple[list[Fraction] | None, list[Fraction]]:
    """Return a state in the box where the word wins; or None, and multipliers of all words that prove it never does.

    >>> decide([([0], 0), ([1], 0), ([2], 0)], 1)
    (None, [Fraction(1, 1), Fraction(0, 1), Fraction(1, 1)])
    """
    (E, bias), others = words[word], [*words[:word], *words[word + 1 :]]
    rows: list[Row] = [(bias - b, *np.subtract(E, e).tolist()) for e, b in others]
    box = [(1, *row) for row in np.kron(np.eye(len(E), dtype=int), [[-1], [1]]).tolist()]
    state, multipliers = solve([*rows, *box])
    return state, multipliers and [*multipliers[:word], Fraction(0), *multipliers[word : len(others)]]


# The captioner ----------------------------------------------------------------------------------------------


def captioner() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return embeddings (2917, 256) and biases (2917,) of the captioner trained on Flickr8k.

    It computes scores from 2 tanh(…), so the embeddings are those of its file times 2, for a state in (-1, 1)^256.
    Raises a ModuleNotFoundError that says how to install it if it is missing.
    """
    state = mg.load(shipped_folder() / "weights.safetensors")
    return 2 * state["embed.weight"].astype(np.float64), state["bias"].astype(np.float64)


def corners(E: NDArray[np.float64], words: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each word the signs of its embedding minus the mean embedding, times 1 - 2^-10."""
    return np.asarray(np.sign(E[words] - E.mean(axis=0)) * (1 - 2.0**-10))
