"""Prove in exact integers that a matrix has no eigendecomposition.

With A = W - λ I, a vector v with A v != 0 = A^2 v proves that W has no eigendecomposition: W = P D P^-1 would give
A = P (D - λ I) P^-1, and a diagonal matrix maps a vector to zero if its square does. Such a v exists if W has a Jordan
block of size 2 or more for λ. `chain` finds v by elimination; `theory.checker` checks it by two products.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["chain", "kernel"]


def _exact(A: ArrayLike) -> NDArray[Any]:
    """Return A as an array of Python's ints. Another number raises ValueError, since floats would round.

    >>> _exact([[0.5]])
    Traceback (most recent call last):
    ValueError: entries must be ints; got 0.5
    """
    exact = np.array(A, dtype=object)
    for at, entry in np.ndenumerate(exact):
        if not isinstance(entry, (int, np.integer)):
            raise ValueError(f"entries must be ints; got {entry}")
        exact[at] = int(entry)
    return exact


def chain(W: ArrayLike, eigenvalue: int) -> NDArray[Any] | None:
    """Return a vector (n,) of ints that proves that W has no eigendecomposition, or None if there is none.

    W: (n, n), of ints. eigenvalue: an int. After None, another eigenvalue may still prove it.

    >>> chain([[5, 1], [0, 5]], 5)
    array([0, 1], dtype=object)
    """
    A = _shifted(W, eigenvalue)
    return next((v for v in kernel(A @ A) if (A @ v).any()), None)


def kernel(A: ArrayLike) -> list[NDArray[Any]]:
    """Return a basis of the vectors (n,) that A, (m, n), maps to zero. All entries are ints.

    >>> kernel([[1, 2], [2, 4]])
    [array([-2, 1], dtype=object)]
    """
    A = _exact(A)
    rows, n = [[Fraction(x) for x in row] for row in A.tolist()], A.shape[1]
    pivots: list[int] = []
    for column in range(n):
        at = len(pivots)
        found = next((i for i in range(at, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[at], rows[found] = rows[found], rows[at]
        rows[at] = [x / rows[at][column] for x in rows[at]]
        for i in set(range(len(rows))) - {at}:
            rows[i] = [x - rows[i][column] * y for x, y in zip(rows[i], rows[at], strict=True)]
        pivots.append(column)
    basis = []
    for free in sorted(set(range(n)) - set(pivots)):
        v = np.zeros(n, dtype=object)
        v[free] = scale = math.lcm(*(row[free].denominator for row in rows))
        for row, pivot in zip(rows, pivots, strict=False):
            v[pivot] = int(-scale * row[free])
        basis.append(v)
    return basis


def _shifted(W: ArrayLike, eigenvalue: int) -> NDArray[Any]:
    """Return W - eigenvalue I."""
    A = _exact(W)
    return np.asarray(A - int(eigenvalue) * np.eye(len(A), dtype=int).astype(object))
