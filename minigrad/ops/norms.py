"""Norms of vectors and matrices, of every order that NumPy has, made of reductions and singular values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..spec import Array, as_array, explain
from . import reductions
from .decompositions import svdvals
from .elementwise import absolute, power, signed
from .kernels.numerics import as_float, narrowed, single, sum_single
from .linear import from_the_end
from .selection import astype, not_equal
from .shaping import expand_dims, moveaxis

__all__ = ["norm"]

Axis = int | tuple[int, ...] | None
_OF_MATRICES = (None, "fro", "f", "nuc", 1, -1, 2, -2, np.inf, -np.inf)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors or matrices, as ``numpy.linalg.norm``.

    The gradient where x is 0 is 0: a subgradient where the norm has a kink. Equal largest (or smallest) entries, sums
    or singular values share it.

    Args:
        x: of any shape.
        ord: of vectors a number p: the p-th root of the sum of |x|^p; inf and -inf for the largest and the smallest
            size; 0 for how many are not 0, which has no gradient; None is 2. Of matrices None and "fro" for the root of
            the sum of squares; 1 and -1 for the largest and the smallest sum of sizes of a column, inf and -inf of
            a row; 2 and -2 for the largest and the smallest singular value, "nuc" for their sum.
        axis: an integer for vectors along it, a pair for matrices with these rows and columns. None is all axes, of
            which there must be one or two unless ord is None, too.
        keepdims: true to keep the reduced axes with length 1.

    Returns:
        x's shape without the axes.

    Raises:
        TypeError: if an axis is no integer.
        ValueError: for an order that vectors or matrices do not have, axes that are neither one nor two, or a smallest
            one of none.

    >>> norm([[3.0, 0.0], [4.0, 0.0]], 1), norm([[3.0, 0.0], [4.0, 0.0]], "nuc")
    (tensor(7.), tensor(5.))
    """
    ndim = np.ndim(plain(x))
    if axis is None and ord is None:
        return reductions.norm(x, None, keepdims)  # type: ignore[no-any-return]
    axes = _axes(x, range(ndim) if axis is None else axis, ndim)
    if len(axes) == 1:
        return _of_vectors(x, ord, axes[0], keepdims)  # type: ignore[no-any-return]
    if len(axes) == 2:
        return _of_matrices(x, ord, axes, keepdims)  # type: ignore[no-any-return]
    raise ValueError(f"norm: ord {ord!r} is of vectors, one axis, or of matrices, two, not {len(axes)}: choose by axis")


def _axes(x: Any, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes as numbers from 0; an error that names the function unless they are some of x's."""
    try:
        return normalize_axis_tuple(axis, ndim)
    except TypeError:
        raise TypeError(f"norm: axis must be an integer, a pair of them, or None, not {axis!r}") from None
    except ValueError as error:
        raise explain("norm", [("x", x)], error) from None


def _of_vectors(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is not None and not isinstance(ord, (int, float, np.integer, np.floating)):
        raise ValueError(f"norm: vectors have no order {ord!r}: it must be a number, inf, -inf or None")
    if ord is None or ord in (1, 2, np.inf):
        return reductions.norm(x, axis, keepdims, 2 if ord is None else ord)
    if ord == -np.inf:
        return reductions.min(absolute(x), axis, keepdims)
    if ord == 0:
        return reductions.sum(astype(not_equal(x, 0), as_float(as_array(plain(x))).dtype), axis, keepdims)
    return _power_norm(x, axis, keepdims, ord)


def _of_matrices(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    if ord not in _OF_MATRICES:
        raise ValueError(f"norm: matrices have no order {ord!r}: it must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    if ord in (None, "fro", "f"):
        return reductions.norm(x, axes, keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        sums = reductions.sum(absolute(x), axes[0] if abs(ord) == 1 else axes[1], keepdims=True)
        return reductions.norm(sums, axes, keepdims, np.inf) if ord > 0 else reductions.min(sums, axes, keepdims)
    y = _of_singular_values(moveaxis(x, axes, (-2, -1)), ord)
    return expand_dims(y, axes) if keepdims else y


def _of_singular_values(x: Any, ord: Any) -> Any:
    """The sum, or the end, of the singular values of matrices (…, M, N)."""
    if ord != "nuc":  # sizes of what is never negative: their gradient at 0 is 0
        s = svdvals(x)
        return reductions.norm(s, -1, ord=np.inf) if ord == 2 else reductions.min(absolute(s), -1)
    dtype = as_array(plain(x)).dtype
    wide = astype(x, np.float32) if dtype == np.float16 else x  # so that half precision is rounded once
    y = reductions.norm(svdvals(wide), -1, ord=1)
    return astype(y, dtype) if dtype == np.float16 else y


@primitive(residuals=("x", "output", "constant", "constant", "constant"))
def _power_norm(x: Array, axis: int, keepdims: bool, ord: float) -> ForwardResult:
    """The p-th root of the sum of |x|^p along an axis, for p, ``ord``, other than 0; see :func:`norm`."""
    size = np.abs(single(x))
    # In units of the largest entry, or of the smallest one if p < 0, no power over- or underflows that matters.
    end = np.max(size, axis, keepdims=True, initial=0) if ord > 0 else np.min(size, axis, keepdims=True, initial=np.inf)
    unit = np.where((end == 0) | (end == np.inf), 1, end)
    with np.errstate(over="ignore", divide="ignore"):  # of p < 0, what is huge beside the smallest entry counts nothing
        powers = (size / unit) ** ord
    with np.errstate(divide="ignore"):
        y = unit * sum_single(powers, axis, keepdims=True) ** (1 / ord)
    y = y if keepdims else np.squeeze(y, axis)
    return narrowed(y, x), (x, y, from_the_end(axis, x.ndim), keepdims, ord)


@_power_norm.reference
def _(x: Any, axis: int, keepdims: bool, ord: float) -> Any:
    return power(reductions.sum(power(absolute(x), ord), axis, keepdims), 1 / ord)


@_power_norm.batched_vjp
@_power_norm.vjp
def _(g: Any, needs: Any, x: Any, y: Any, axis: int, keepdims: bool, ord: float) -> Any:
    # The derivative is (|x| / y)^(p - 1) with the sign of x. Where x is 0 it is 0, whatever p: of p < 1 infinite else.
    g, y = (part if keepdims else np.expand_dims(part, axis) for part in (g, y))
    zero = (plain(x) == 0) | (plain(y) == 0)
    with np.errstate(over="ignore"):  # of p < 0, as before
        ratio = np.abs(single(x)) / np.where(plain(y) == 0, 1, y)
    share = np.where(zero, 1, ratio) ** (ord - 1)
    return (signed(g, np.where(zero, 0, plain(x))) * share,)
