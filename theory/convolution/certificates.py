"""Check directly from the definition whether a matrix is a permutation matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["permutation_of"]


def permutation_of(matrix: ArrayLike) -> list[int]:
    """Return the column of the 1 in each row of a permutation matrix, which certifies the matrix.

    Raises:
        ValueError: if the matrix is not square, has an entry other than 0 and 1, or a row or column whose
            entries do not sum to 1; the message says which.

    >>> permutation_of([[0, 1], [1, 0]])
    [1, 0]
    >>> permutation_of([[0, 1], [0, 1]])
    Traceback (most recent call last):
    ValueError: column 0 has 0 ones, a permutation matrix has 1
    """
    m = np.asarray(matrix)
    if m.ndim != 2 or m.shape[0] != m.shape[1]:
        raise ValueError(f"a permutation matrix is square, not of shape {m.shape}")
    if not np.isin(m, (0, 1)).all():
        raise ValueError("a permutation matrix has no entries but 0 and 1")
    for line, sums in (("row", m.sum(axis=1)), ("column", m.sum(axis=0))):
        for k in np.flatnonzero(sums != 1):
            raise ValueError(f"{line} {k} has {sums[k]:.0f} ones, a permutation matrix has 1")
    columns: list[int] = m.nonzero()[1].tolist()
    return columns
