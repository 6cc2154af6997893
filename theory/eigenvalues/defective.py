"""Matrices without an eigendecomposition, found and proven in whole numbers. Nothing rounds.

With A = W - λ I, a vector v with A v != 0 = A^2 v proves that W has no eigendecomposition: W = P D P^-1 would give
A = P (D - λ I) P^-1, and a diagonal matrix takes a vector to zero if its square does. Where a Jordan block of W has
the eigenvalue λ and a size above 1, there is such a v. `chain` finds it, by elimination; `proves_defective` checks it,
by two products.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_whole", "chain", "kernel", "proves_defective"]


def as_whole(A: ArrayLike, what: str, name: str = "W") -> NDArray[Any]:
    """A as an array of Python's ints; an entry that is none is a ValueError that begins with `what`.

    >>> as_whole([[0.5]], "chain")
    Traceback (most recent call last):
    ValueError: chain: the entries of W must be ints, to be exact; entry (0, 0) is 0.5
    """
    whole = np.array(A, dtype=object)  # a copy
    for at, entry in np.ndenumerate(whole):
        if not isinstance(entry, (int, np.integer)):
            raise ValueError(f"{what}: the entries of {name} must be ints, to be exact; entry {at} is {entry}")
        whole[at] = int(entry)
    return whole


def chain(W: ArrayLike, eigenvalue: int) -> NDArray[Any] | None:
    """A vector that proves that W has no eigendecomposition, (n,), of ints; None if there is none.

    W: (n, n), of ints. eigenvalue: an int. None says that W - eigenvalue I and its square take the same vectors to
    zero; another eigenvalue, perhaps not whole, may still prove it.

    >>> chain([[5, 1], [0, 5]], 5)
    array([0, 1], dtype=object)
    """
    A = _shifted(W, eigenvalue, "chain")
    return next((v for v in kernel(A @ A) if (A @ v).any()), None)


def kernel(A: ArrayLike) -> list[NDArray[Any]]:
    """A basis of the vectors that A, (m, n) with m, n >= 1, takes to zero; each (n,). All are of ints.

    >>> kernel([[1, 2], [2, 4]])
    [array([-2, 1], dtype=object)]
    """
    A = as_whole(A, "kernel", "A")
    if A.ndim != 2 or A.size == 0:
        raise ValueError(f"kernel: A must have the shape (m, n) with m, n >= 1; got {A.shape}")
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


def proves_defective(W: ArrayLike, eigenvalue: int, v: ArrayLike) -> bool:
    """Whether A v != 0 = A^2 v for A = W - eigenvalue I, see the page: the check of what `chain` found.

    W: (n, n), of ints. eigenvalue: an int. v: (n,), of ints.

    >>> proves_defective([[5, 1], [0, 5]], 5, [0, 1]), proves_defective([[5, 1], [0, 5]], 5, [1, 0])
    (True, False)
    """
    A, vector = _shifted(W, eigenvalue, "proves_defective"), as_whole(v, "proves_defective", "v")
    if vector.shape != (len(A),):
        raise ValueError(f"proves_defective: v must have the shape ({len(A)},); got {vector.shape}")
    once = A @ vector
    return bool(once.any() and not (A @ once).any())


def _shifted(W: ArrayLike, eigenvalue: int, what: str) -> NDArray[Any]:
    """W - eigenvalue I."""
    A = as_whole(W, what)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.size == 0:
        raise ValueError(f"{what}: W must be a square matrix (n, n) with n >= 1; got the shape {A.shape}")
    if not isinstance(eigenvalue, (int, np.integer)):
        raise ValueError(f"{what}: the eigenvalue must be an int, to be exact; got {eigenvalue!r}")
    return np.asarray(A - int(eigenvalue) * np.eye(len(A), dtype=int).astype(object))
