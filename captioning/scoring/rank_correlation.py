"""Whether one list of numbers rises where another does, whatever their scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["spearman"]


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation of two lists (n,) of finite numbers, from -1 to 1: Pearson's of their ranks.

    Equal numbers share the mean of their ranks. NaN where there are fewer than two, or all of a list are equal; lists
    that differ in length are a ValueError. Source: C. Spearman, The proof and measurement of association between two
    things (1904).

    >>> spearman([0.1, 0.2, 0.9], [-5, 7, 8])
    1.0
    """
    a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"spearman: the lists must be as long; got {a.shape} and {b.shape}")
    a, b = (ranks - ranks.mean() for ranks in map(_ranks, (a, b))) if len(a) else (a, b)
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of k equal values in the order from r on, r + (k - 1) / 2 each."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts + 1) / 2)[which]
    return ranks
