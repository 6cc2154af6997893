"""Stacks of matrices (…, M, N): which shapes fit, and what rules of decompositions share.

What returns matrices runs on arrays and on tensors, since rules do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core import plain
from ...spec import Array

__all__ = ["check_matrices", "check_square", "from_lower", "rounding_of", "skew", "transposed"]


def check_matrices(x: Any, name: str) -> None:
    """Raise unless x has the two axes of a matrix."""
    if np.ndim(x) < 2:
        raise LinAlgError(f"{name} must be a matrix or a stack of them, (…, M, N), not of shape {np.shape(x)}")


def check_square(x: Any, name: str) -> None:
    """Raise unless x is a square matrix, or a stack of them."""
    if np.ndim(x) < 2 or np.shape(x)[-1] != np.shape(x)[-2]:
        raise LinAlgError(f"{name} must be square, (…, N, N), not of shape {np.shape(x)}")


def transposed(x: Any) -> Any:
    """Each matrix of a stack transposed."""
    return np.swapaxes(x, -1, -2)


def skew(x: Any) -> Any:
    """The skew-symmetric part of each matrix, (x - x') / 2."""
    return (x - transposed(x)) / 2


def from_lower(x: Any) -> Any:
    """The symmetric matrix with the lower triangle of x.

    >>> from_lower(np.array([[1.0, 9.0], [2.0, 3.0]]))
    array([[1., 2.],
           [2., 3.]])
    """
    return np.tril(x) + transposed(np.tril(x, -1))


def rounding_of(values: Any, size: int) -> Array:
    """How far eigenvalues or singular values (…, K) of a matrix of that size may be off by rounding: (…, 1).

    The largest one's size times the number of rows or columns, whichever is more, times eps.
    """
    values = plain(values)
    bound: Array = np.max(np.abs(values), axis=-1, keepdims=True, initial=0) * (size * np.finfo(values.dtype).eps)
    return bound
