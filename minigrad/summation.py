"""Sum many numbers accurately.

Along the contiguous axis NumPy adds in pairs, and the error hardly grows with the number of entries. Along other axes
it adds one row after another: the relative error is 3e-5 for 10^6 positive float32 rows, and 1e-2 for equal rows. This
module sums blocks of rows first, and then the sums of the blocks, so that these errors are below 3e-6.

Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms (2002), section 4.2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .spec import Array

__all__ = ["block_sum"]

_SEQUENCE = 256  # NumPy sums this many rows accurately enough itself
_ROWS = 32  # rows in a block
_WIDTH = 512  # short rows are joined into rows of this length, because NumPy is slow on short ones
_half, _float32 = np.dtype(np.float16), np.dtype(np.float32)


def block_sum(x: Array, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum an array of any shape over axes; float16 is summed and returned as float32.

    Args:
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the axes with length 1.

    >>> block_sum(np.ones((3, 2), np.float16), axis=0)
    array([3., 3.], dtype=float32)
    """
    dtype = _float32 if x.dtype == _half else None
    if (
        x.size > _SEQUENCE
        and x.dtype.kind == "f"
        and not (type(axis) is int and -x.ndim <= axis < x.ndim and x.shape[axis] <= _SEQUENCE)
    ):
        axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
        if len(axes) < x.ndim or not x.flags.forc:
            neighbours = min(  # the axis along which NumPy adds in pairs
                (k for k in range(x.ndim) if x.shape[k] > 1 and x.strides[k]),
                key=lambda k: abs(x.strides[k]),
                default=None,
            )
            if math.prod(x.shape[k] for k in axes if k != neighbours) > _SEQUENCE:
                for k in sorted(axes, key=lambda k: -x.shape[k]):
                    x = _sum_along(x, k, dtype)
                return x if keepdims else x.reshape([x.shape[k] for k in range(x.ndim) if k not in axes])
    return np.add.reduce(x, axis, dtype, None, keepdims)  # type: ignore[call-overload]


def _sum_along(x: Array, axis: int, dtype: Any) -> Array:
    """Sum along one axis, which stays with length 1."""
    lead, tail = x.shape[:axis], x.shape[axis + 1 :]
    while (n := x.shape[axis]) > 2 * _ROWS:
        lanes = max(1, min(n // _ROWS, _WIDTH // max(1, math.prod(tail))))
        blocks, rest = np.split(x, [n - n % (_ROWS * lanes)], axis)
        blocks = np.add.reduce(blocks.reshape(*lead, -1, _ROWS, lanes, *tail), axis=axis + 1, dtype=dtype)
        x = np.concatenate([blocks.reshape(*lead, -1, *tail), rest], axis)
    return np.add.reduce(x, axis=axis, keepdims=True, dtype=dtype)
