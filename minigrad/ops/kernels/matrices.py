"""Stacks of matrices (…, M, N): which shapes fit, and what rules of decompositions share.

What returns matrices runs on arrays and on tensors, since rules do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from ...core import Tensor, plain
from ...spec import Array

__all__ = ["check_matrices", "check_square", "from_lower", "rounding_of", "skew", "solve_upper", "solve_upper_both",
           "transposed"]  # fmt: skip


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


def solve_upper(a: Any, b: Any) -> Any:
    """a^-1 b for an upper triangular a (…, N, N) and b (…, N, K), by blocks of rows from the last one.

    Of tensors by NumPy's solver, which knows them.

    Raises:
        LinAlgError: if an entry of the diagonal is 0.

    >>> solve_upper(np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([[4.0], [8.0]]))
    array([[1.],
           [2.]])
    """
    # NumPy has no solver for triangles, and its usual one does not see the zeros. Of N x N by N x N it takes, in ms:
    #   N, float64                                100    300    500   64 of 32   16 of 64
    #   np.linalg.solve                          0.26    5.1   16.4      1.3        1.4
    #   in blocks of 16                          0.12   0.95    4.3      0.84       0.53
    #   in blocks of 32                          0.12   0.85    3.5      1.4        0.80
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return np.linalg.solve(a, b)
    return _by_blocks(a, _inverted_blocks(a), b)


def solve_upper_both(a: Any, b: Any) -> Any:
    """a^-1 b a'^-1 for an upper triangular a (…, N, N) and a symmetric b (…, N, N)."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return np.linalg.solve(a, transposed(np.linalg.solve(a, b)))
    blocks = _inverted_blocks(a)
    return _by_blocks(a, blocks, transposed(_by_blocks(a, blocks, b)))


def _inverted_blocks(a: Array) -> list[tuple[int, int, Array]]:
    """From, to, and the inverse of each block on the diagonal, the last one first."""
    n = a.shape[-1]
    size = 16 if n < 200 else 32
    ends = [(start, min(start + size, n)) for start in range(0, n, size)]
    return [(start, end, np.linalg.inv(a[..., start:end, start:end])) for start, end in reversed(ends)]


def _by_blocks(a: Array, blocks: list[tuple[int, int, Array]], b: Array) -> Array:
    """a^-1 b, of an upper triangular a with these blocks on its diagonal."""
    x = np.empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), np.result_type(a, b))
    for start, end, inverse in blocks:
        rest = b[..., start:end, :]
        if end < a.shape[-1]:
            rest = rest - a[..., start:end, end:] @ x[..., end:, :]
        np.matmul(inverse, rest, out=x[..., start:end, :])
    return x


def rounding_of(values: Any, size: int) -> Array:
    """How far eigenvalues or singular values (…, K) of a matrix of that size may be off by rounding: (…, 1).

    The largest one's size times the number of rows or columns, whichever is more, times eps.
    """
    values = plain(values)
    bound: Array = np.max(np.abs(values), axis=-1, keepdims=True, initial=0) * (size * np.finfo(values.dtype).eps)
    return bound
