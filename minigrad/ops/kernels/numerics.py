"""What keeps small numbers exact: half precision is computed in single, sums go in groups, masks give exact zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...spec import Array
from ...summation import block_sum

__all__ = [
    "as_float", "logistic", "narrowed", "narrowed_all", "row_sums", "single", "sum_single", "taken",
    "widened",
]  # fmt: skip

_half, _float32 = np.dtype(np.float16), np.dtype(np.float32)
_HELD = (np.ndarray, np.generic)  # by NumPy: what rules run on, unless they run on tensors
_LONGEST = 4096  # entries of a row that is summed by a product
_BITS = {np.dtype(f"f{size}"): np.dtype(f"i{size}") for size in (2, 4, 8)}


def widened(x: Any) -> Any:
    """Half precision in single, others (and Python's numbers) as they are.

    Half precision has 11 bits and ends at 65,504: adding ones to 2,048 leaves it there, the square of 256 overflows.
    """
    return x.astype(_float32) if getattr(x, "dtype", None) == _half else x


def single(x: Any) -> Any:
    """x as floats to compute in: half precision in single, booleans and integers in double, others as they are.

    >>> single(np.ones(1, np.float16)).dtype, single(np.ones(1, int)).dtype
    (dtype('float32'), dtype('float64'))
    """
    return widened(x) if x.dtype.kind == "f" else x.astype(np.float64)


def as_float(x: Array) -> Array:
    """Floating arrays as they are, booleans and integers as float64."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def narrowed(y: Any, x: Array) -> Any:
    """A result that was computed from x :func:`widened`: back in half precision if x has it."""
    return y.astype(_half) if x.dtype == _half else y


def narrowed_all(y: Any, inputs: Sequence[Array]) -> Any:
    """A result of several :func:`widened` inputs in the dtype that it would have of them as they are."""
    for x in inputs:
        if x.dtype == _half:
            return y.astype(np.result_type(*inputs), copy=False)
    return y


def sum_single(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum an array or a tensor over axes; half precision is summed in, and returned as, single."""
    if not isinstance(x, np.ndarray):
        return np.sum(widened(x), axis=axis, keepdims=keepdims)
    return block_sum(x, axis, keepdims)


def row_sums(x: Any, axis: Any) -> Any:
    """Sums along an axis, which stays, of floats. Of rows as they lie a product with ones: three times as fast.

    Longer rows are summed in pairs by NumPy, whose error does not grow with their length.

    >>> row_sums(np.ones((2, 3)), -1).tolist()
    [[3.0], [3.0]]
    """
    last = x.ndim > 0 and axis in (-1, x.ndim - 1)
    if not last or not isinstance(x, np.ndarray) or x.shape[-1] > _LONGEST:
        return sum_single(x, axis, keepdims=True)
    sums: Array = x @ np.ones(x.shape[-1], x.dtype)
    return sums[..., None]


def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), accurate in both tails: exp overflows only where the result is below 1e-38."""
    y = np.asarray(-x)
    with np.errstate(over="ignore"):
        np.exp(y, out=y)
    y += 1
    np.divide(1, y, out=y)
    return y


def taken(g: Any, mask: Any) -> Any:
    """g where a mask holds and an exact 0 elsewhere, also where g is infinite or NaN; the shapes broadcast.

    A product with the mask would make NaN of 0 times infinity. The *bits* of g, read as integers, times 0 or 1 do not.

    >>> taken(np.array([1.0, np.inf]), np.array([True, False]))
    array([1., 0.])
    """
    # Of 10^6 float32 in ms: a product with the mask 0.48, this 0.37, np.where 3.9; of 10^3 in µs: 1.8, 2.4 and 4.2.
    bits = _BITS.get(g.dtype)
    if bits is None or not isinstance(g, _HELD):  # an extended precision, or a tensor
        return np.where(mask, g, 0)
    return (g.view(bits) * mask).view(g.dtype)
