"""Look-ups: rows of a table by integer index."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import primitive
from ..spec import Array, get_default_dtype

__all__ = ["embedding", "one_hot"]


def check_indices(indices: Array, size: int, name: str) -> None:
    """Raise unless an array holds integers in 0 … size-1; the message names the first wrong one and its place.

    Negative numbers are refused: counting from the end is never meant here.
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {indices.dtype}")
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        place = tuple(map(int, np.argwhere((indices < 0) | (indices >= size))[0]))
        raise IndexError(f"{name}{list(place)} is {indices[place]}: it must lie in 0 … {size - 1}")


@primitive
def embedding(indices: Array, W: Array) -> tuple[Array, tuple[Any, ...]]:
    """Rows of a table, W[indices].

    Args:
        indices: integers in 0 … V-1, of any shape (…).
        W: the table (V, D), floating.

    Returns:
        (…, D), of W's dtype.

    Raises:
        IndexError: names an index outside the table and its place; negative ones are refused.
        TypeError: if the indices are not integers.
        ValueError: if W is not (V, D).

    Source: the captioning exercises (word embedding).

    >>> embedding(np.array([2, 0]), np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])).numpy()
    array([[4., 5.],
           [0., 1.]])
    """
    if W.ndim != 2:
        raise ValueError(f"W must have 2 axes (V, D), not shape {W.shape}")
    check_indices(indices, len(W), "indices")
    return W[indices], (indices, W.shape)


@embedding.vjp
def _(g: Array, needs: tuple[bool, ...], indices: Array, shape: tuple[int, int]) -> Any:
    return None, sum_rows(g.reshape(indices.size, shape[1]), indices.ravel(), shape[0]) if needs[1] else None


def sum_rows(rows: Array, indices: Array, size: int) -> Array:
    """(size, D) from rows (M, D): row k is the sum of those with index k.

    The scatter is a product with the one-hot matrix (K, M) of the K distinct indices. For 400 rows of
    256 that takes a quarter of the time of sorting and ``np.add.reduceat``, and a tenth of ``np.add.at``;
    beyond some 10^4 rows the one-hot matrix, of M K entries, is the slower way and sorting takes over.
    """
    total = np.zeros((size, rows.shape[1]), rows.dtype)
    distinct, inverse = np.unique(indices, return_inverse=True)
    if not len(distinct):
        return total
    if len(indices) * len(distinct) <= 1 << 22:
        one_hot = np.zeros((len(distinct), len(indices)), rows.dtype)
        one_hot[inverse, np.arange(len(indices))] = 1
        total[distinct] = one_hot @ rows
    else:
        order = np.argsort(inverse, kind="stable")
        starts = np.searchsorted(inverse[order], np.arange(len(distinct)))
        total[distinct] = np.add.reduceat(rows[order], starts, axis=0)
    return total


@embedding.reference
def _(indices: Tensor, W: Tensor) -> Any:
    from .products import matmul

    return matmul(one_hot(indices, W.shape[0], dtype=W.dtype), W)


@primitive(differentiable=False)
def one_hot(indices: Array, size: int, dtype: Any = None) -> tuple[Array, tuple[Any, ...]]:
    """Unit vectors: 1 at the index, 0 elsewhere.

    Args:
        indices: integers in 0 … size-1, of any shape (…).
        size: the length of each vector.
        dtype: of the result; the default dtype (float32) if None.

    Returns:
        (…, size).

    Raises:
        IndexError: names an index out of range and its place.
        TypeError: if the indices are not integers.

    >>> one_hot(np.array([2, 0]), 3).numpy()
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    check_indices(indices, size, "indices")
    result = np.zeros((*indices.shape, size), get_default_dtype() if dtype is None else dtype)
    np.put_along_axis(result, indices[..., None].astype(np.intp), 1, axis=-1)
    return result, ()
