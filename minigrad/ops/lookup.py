"""Look-ups: rows of a table by integer index, and the unit vectors that do the same by a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import ForwardResult, primitive
from ..spec import Array, get_default_dtype
from .kernels.rows import check_indices, sum_rows
from .linear import mapped

__all__ = ["embedding", "one_hot"]


@primitive(residuals=("indices",))
def embedding(indices: Array, W: Array) -> ForwardResult:
    """Rows of a table, W[indices]; the gradient of a row is the sum over its uses.

    Args:
        indices: integers in 0 … V-1, of any shape (…).
        W: the table (V, D).

    Returns:
        (…, D), of W's dtype.

    Raises:
        IndexError: names an index outside the table and its place; negative ones are refused.
        TypeError: if the indices are not integers.
        ValueError: if W is not (V, D).

    Source: the captioning exercises (word embedding).

    >>> embedding([2, 0], [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    tensor([[4., 5.],
            [0., 1.]])
    """
    if W.ndim != 2:
        raise ValueError(f"W must have 2 axes (V, D), not shape {W.shape}")
    check_indices(indices, len(W), "indices")
    return W[indices], (indices, W.shape)


@embedding.vjp
def _(g: Any, needs: Any, indices: Array, shape: tuple[int, int]) -> Any:
    rows = indices.ravel()
    g = g.reshape(indices.size, shape[1])
    return None, mapped(g, lambda g: sum_rows(g, rows, shape[0]), lambda u: u[rows])


@embedding.batched_vjp
def _(g: Array, needs: Any, indices: Array, shape: tuple[int, int]) -> Any:
    rows = g.reshape(len(g), indices.size, shape[1]).swapaxes(0, 1).reshape(indices.size, len(g) * shape[1])
    sums = sum_rows(rows, indices.ravel(), shape[0])
    return None, sums.reshape(shape[0], len(g), shape[1]).swapaxes(0, 1)


@embedding.reference
def _(indices: Tensor, W: Tensor) -> Any:
    from .products import matmul

    return matmul(one_hot(indices, W.shape[0], dtype=W.dtype), W)


@primitive(differentiable=False)
def one_hot(indices: Array, size: int, dtype: Any = None) -> ForwardResult:
    """Unit vectors: 1 at the index, 0 elsewhere; a constant.

    Args:
        indices: integers in 0 … size-1, of any shape (…).
        size: the length of each vector.
        dtype: of the result; the default dtype (float32) if None.

    Returns:
        (…, size).

    Raises:
        IndexError: names an index out of range and its place.
        TypeError: if the indices are not integers.

    >>> one_hot([2, 0], 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    check_indices(indices, size, "indices")
    result = np.zeros((*indices.shape, size), get_default_dtype() if dtype is None else dtype)
    np.put_along_axis(result, indices[..., None].astype(np.intp), 1, axis=-1)
    return result, ()
