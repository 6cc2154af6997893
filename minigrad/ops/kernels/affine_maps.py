"""Affine maps of rows, x W + b, and their gradients: one GEMM each, whatever axes come before the last one.

>>> x, W, b = np.ones((2, 1, 3)), np.ones((3, 2)), np.array([0.0, 1.0])
>>> affine_rows(x, W, b)
array([[[3., 4.]],
<BLANKLINE>
       [[3., 4.]]])
>>> dx, dW, db = pull_affine(np.ones((2, 1, 2)), (True, True, True), x, W)
>>> dx.shape, dW.shape, db
((2, 1, 3), (3, 2), array([2., 2.]))
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...spec import Array
from ...summation import block_sum
from .blocks import product, products
from .numerics import widened
from .zero_rows import reached_rows

__all__ = ["affine_rows", "pull_affine", "pull_affine_batch"]


def affine_rows(x: Array, W: Array, b: Array | None) -> Array:
    """x (…, D) times W (D, M) plus b (M,), which is added in place; half precision in single, and rounded once.

    Raises:
        ValueError: if W or b does not fit.
    """
    D = x.shape[-1]
    if W.ndim != 2 or W.shape[0] != D:
        raise ValueError(f"W must be (D, M) with D = {D} as in x, not {W.shape}")
    if b is not None and b.shape != W.shape[1:]:
        raise ValueError(f"b must be (M,) = {W.shape[1:]} as W's columns, not {b.shape}")
    inputs = (x, W) if b is None else (x, W, b)
    y = product(_rows(widened(x)), widened(W)).astype(np.result_type(*map(widened, inputs)), copy=False)
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], W.shape[1]).astype(np.result_type(*inputs), copy=False)


def pull_affine(g: Array, needs: tuple[bool, ...], x: Array, W: Array) -> tuple[Any, Any, Any]:
    """Cotangents of x, W and b, each if it is needed: dx = g W', dW = x' g over all rows, db = the sum of g's rows.

    If g is large, and many of its rows are zeros, these take no part (:mod:`.zero_rows`).
    """
    g, x, W = widened(g), widened(x), widened(W)
    rows, inputs = _rows(g), _rows(x)
    reached = reached_rows(rows)
    if reached is not None:
        rows, inputs = rows[reached], inputs[reached]
    dx, dW = products((rows, W.T) if needs[0] else None, (inputs.T, rows) if needs[1] else None)
    db = block_sum(rows, 0) if needs[2] else None
    if dx is not None and reached is not None:
        dx = _put(dx, reached, x)
    return None if dx is None else dx.reshape(x.shape), dW, db


def _put(rows: Array, places: Array, like: Array) -> Array:
    """Rows (n, D) in their places among zeros, as many as the rows of ``like`` (…, D)."""
    result = np.zeros((math.prod(like.shape[:-1]), like.shape[-1]), rows.dtype)
    result[places] = rows
    return result


def pull_affine_batch(g: Array, needs: tuple[bool, ...], x: Array, W: Array) -> tuple[Any, Any, Any]:
    """The same of a batch of cotangents (B, …, M): cotangents (B, …, D), (B, D, M) and (B, M)."""
    g, x, W = widened(g), widened(x), widened(W)
    rows = g.reshape(len(g), math.prod(g.shape[1:-1]), g.shape[-1])
    dx = product(_rows(g), W.T).reshape(len(g), *x.shape) if needs[0] else None
    dW = np.tensordot(_rows(x), rows, (0, 1)).swapaxes(0, 1) if needs[1] else None
    return dx, dW, block_sum(rows, 1) if needs[2] else None


def _rows(x: Array) -> Array:
    """(…, D) as (rows, D), also if some axis has no entries."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
