"""Reductions over axes; softmax, cumulative sums and products, and sorting, which run along one.

``axis`` is None for all axes, one axis or a tuple of them, counted from the end if negative; with ``keepdims`` the
reduced axes are kept with length 1. Float32 stays float32; the mean of integers is float64. Float16 stays float16, but
is summed (or multiplied) in float32 and rounded once, at the end, in gradients too. Results in its range are right, and
results beyond 65,504 are inf, with NumPy's warning. Inside this module ``sum``, ``max``, ``min``, ``any`` and ``all``
are the primitives, not Python's own.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .elementwise import absolute, constant, divide, exp, log, signed, sqrt, square, subtract
from .kernels.numerics import (
    FEW,
    along,
    as_float,
    fused_along_rows,
    masked,
    narrowed,
    refuse_axis_of_scalar,
    row_sums,
    single,
    sum_single,
    widened,
)  # fmt: skip
from .kernels.windows import integer
from .linear import apply_linear, batched

Axis: TypeAlias = "int | tuple[int, ...] | None"


def _kept(array: Any, axis: Axis, keepdims: bool) -> Any:
    """Restore the axes of a reduced array, so that it broadcasts against the original array."""
    if type(axis) is int and not keepdims:
        return array[along(axis, array.ndim + 1, None)]
    return array if keepdims or axis is None else np.expand_dims(array, axis)


def _spread(array: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast an array or a tensor. For small arrays a copy is faster than a view."""
    return np.broadcast_to(array, shape) if math.prod(shape) > FEW else array - np.zeros(shape, array.dtype)


def _count(x: Array, y: Any) -> int:
    """Return how many entries of x were reduced to one of y."""
    return int(x.size // y.size) if y.size else 1


# --- sums --------------------------------------------------------------------------------------------


@primitive(residuals=())
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The sum over axes of x, of any shape.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.])
    """
    refuse_axis_of_scalar(x, axis)
    return narrowed(sum_single(x, axis, keepdims), x), (x.shape, axis, keepdims)


# perhaps a view: the engine copies where needed
sum.vjp(lambda g, needs, shape, axis, keepdims: (_spread(_kept(g, axis, keepdims), shape),))


def _mean(x: Array, axis: Axis, keepdims: bool) -> tuple[Any, int]:
    """Return the mean, in single for half precision, and the number of entries."""
    refuse_axis_of_scalar(x, axis)
    total = sum_single(as_float(x), axis, keepdims)
    n = _count(x, total)
    return total / n, n  # NaN for no entries, with NumPy's warning


@primitive(residuals=())
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The mean over axes of x, of any shape; NaN for no entries, with NumPy's warning.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([2., 3.])
    """
    y, n = _mean(x, axis, keepdims)
    return narrowed(y, x), (x.shape, axis, keepdims, n)


mean.vjp(lambda g, needs, shape, axis, keepdims, n: (_spread(_kept(single(g), axis, keepdims) / (n or 1), shape),))


@primitive(residuals=())
def cumsum(x: Array, axis: int | None = None) -> ForwardResult:
    """Sums of the entries up to each one along an axis, of x's shape; over the flattened x if axis is None.

    >>> cumsum([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([[1., 3.],
            [3., 7.]])
    """
    refuse_axis_of_scalar(x, axis)
    return _running_sum(x, axis), (x.shape, -1 if axis is None else axis)


def _running_sum(x: Any, axis: int | None) -> Any:
    """Call np.cumsum, and add arrays of floats in double: single precision loses two digits over 10^6 entries."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return np.cumsum(x, axis)
    return x.cumsum(axis, np.result_type(x, np.float64)).astype(x.dtype, copy=False)


# an entry is part of all later sums: sum cotangents from the end
cumsum.vjp(lambda g, needs, shape, axis: (np.flip(_running_sum(np.flip(single(g), axis), axis), axis).reshape(shape),))


@primitive(residuals=("x",))
def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The product over axes of x, of any shape. The gradient is exact even if entries are 0.

    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([3., 8.])
    """
    refuse_axis_of_scalar(x, axis)
    return narrowed(widened(x).prod(axis, keepdims=keepdims), x), (x, axis, keepdims)


prod.vjp(lambda g, needs, x, axis, keepdims: (_kept(g, axis, keepdims) * product_of_others(single(x), axis),))


def product_of_others(x: Any, axis: Axis) -> Any:
    """Return for each entry of an array or tensor the product of all others that are reduced with it, without division.

    It is the product of those before the entry times that of those after it.
    """
    reduced = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    order = [i for i in range(x.ndim) if i not in reduced] + list(reduced)
    turned = x.transpose(order)
    n = math.prod(x.shape[i] for i in reduced)
    rows = turned.reshape(*turned.shape[: x.ndim - len(reduced)], n)
    one = np.ones((*rows.shape[:-1], int(n > 0)), rows.dtype)
    before = np.concatenate([one, rows[..., :-1].cumprod(-1)], -1)
    after = np.concatenate([rows[..., :0:-1].cumprod(-1)[..., ::-1], one], -1)
    return (before * after).reshape(turned.shape).transpose(sorted(range(x.ndim), key=order.__getitem__))


# --- extremes ----------------------------------------------------------------------------------------


@primitive(residuals=("x", "output"))
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The largest entry over axes of x, of any shape. Ties share the gradient equally, all others get 0.

    Raises:
        ValueError: if there is no entry to reduce.

    >>> max([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([3., 4.])
    """
    return _extreme(np.maximum, x, axis, keepdims)


@primitive(residuals=("x", "output"))
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The smallest entry over axes of x, of any shape. Ties share the gradient equally, all others get 0.

    Raises:
        ValueError: if there is no entry to reduce.

    >>> min([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([1., 2.])
    """
    return _extreme(np.minimum, x, axis, keepdims)


def _extreme(function: Any, x: Array, axis: Axis, keepdims: bool) -> ForwardResult:
    refuse_axis_of_scalar(x, axis)
    y: Any = function.reduce(x, axis, None, None, keepdims)
    return y, (x, y, axis, keepdims)


def _share(g: Any, x: Array, y: Any, axis: Axis, keepdims: bool) -> Array:
    """Split a cotangent equally among those entries of x that are the extreme y; NaNs are extreme."""
    g, x = single(g), plain(x)
    extreme = (x == _kept(plain(y), axis, keepdims)) | (x != x)
    count = np.add.reduce(extreme, axis, g.dtype, None, True)  # type: ignore[call-overload]
    return masked(_kept(g, axis, keepdims) / np.maximum(count, 1), extreme)  # type: ignore[no-any-return]


for _function in (max, min):
    _function.vjp(lambda g, needs, x, y, axis, keepdims: (_share(g, x, y, axis, keepdims),))


# --- spread and size ---------------------------------------------------------------------------------


def _centred(x: Array, axis: Axis) -> Array:
    """Subtract the mean of x, twice: the second pass removes the rounding of the first, so that a constant gives 0."""
    x = single(x)
    d: Array = x - _mean(x, axis, True)[0]
    d -= _mean(d, axis, True)[0]
    return d


def _variance(x: Array, axis: Axis, keepdims: bool, ddof: int) -> tuple[Any, int]:
    """Return the variance and its divisor, the degrees of freedom."""
    total = sum_single(np.square(_centred(x, axis)), axis, keepdims)
    freedom = n if (n := _count(x, total) - ddof) > 0 else 0
    return total / freedom, freedom  # NaN or inf without degrees of freedom, with NumPy's warning


@primitive(residuals=("x",))
def var(x: Array, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> ForwardResult:
    """The mean squared distance from the mean over axes of x, of any shape.

    Args:
        ddof: the sum of squares of n entries is divided by n - ddof; NaN or inf, with
            NumPy's warning, if that is not positive.

    >>> var([[1.0, 2.0], [3.0, 6.0]], axis=0)
    tensor([1., 4.])
    """
    y, freedom = _variance(x, axis, keepdims, ddof)
    return narrowed(y, x), (x, axis, keepdims, freedom)


var.vjp(
    lambda g, needs, x, axis, keepdims, freedom: (_kept(2 * single(g) / freedom, axis, keepdims) * _centred(x, axis),)
)


@var.reference
def _(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    y = sum(square(subtract(x, mean(x, axis, keepdims=True))), axis, keepdims)
    return divide(y, _count(x, y) - ddof)


@primitive(residuals=("x", "output"))
def std(x: Array, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> ForwardResult:
    """The standard deviation over axes of x, of any shape: the root of :func:`var`.

    The gradient is 0 if all entries are equal, for any cotangent.

    >>> std([[1.0, 2.0], [3.0, 6.0]], axis=0)
    tensor([1., 2.])
    """
    variance, freedom = _variance(x, axis, keepdims, ddof)
    y = np.sqrt(variance)
    return narrowed(y, x), (x, y, axis, keepdims, freedom)


@std.vjp
def _(g: Any, needs: Any, x: Array, y: Any, axis: Axis, keepdims: bool, freedom: int) -> Any:
    flat = y == 0
    factor = masked(g, ~flat) / (freedom * np.where(flat, 1, y))
    return (_kept(factor, axis, keepdims) * _centred(x, axis),)


std.reference(lambda x, axis=None, keepdims=False, ddof=0: sqrt(var(x, axis, keepdims, ddof)))


@primitive(residuals=("x", "output", "constant", "constant", "constant"))
def norm(x: Array, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> ForwardResult:
    """The length of x, of any shape, as a vector: over all axes or some, never a matrix norm.

    No intermediate over- or underflows. The gradient at the zero vector is 0 (with ``ord=1`` that of each zero), for
    any cotangent; equal largest entries share it (``ord=inf``).

    Args:
        ord: 2 for the root of the sum of squares, 1 for the sum of magnitudes, inf for the largest magnitude.

    Raises:
        ValueError: for another ``ord``.

    >>> norm([[3.0, 4.0], [0.0, 1e30]], axis=1)
    tensor([5.e+00, 1.e+30])
    """
    if ord not in (1, 2, np.inf):
        raise ValueError(f"ord must be 1, 2 or inf, not {ord}")
    refuse_axis_of_scalar(x, axis)
    wide = single(x)
    if ord == 2:  # in units of the largest entry, so that nothing over- or underflows
        top = np.abs(wide).max(axis, keepdims=True, initial=0)
        scale = np.where((top == 0) | (top == np.inf), 1, top)
        y = np.sqrt(sum_single(np.square(wide / scale), axis, keepdims))
        y = y * scale.reshape(y.shape)
    elif ord == 1:
        y = sum_single(np.abs(wide), axis, keepdims)
    else:
        y = np.abs(wide).max(axis, keepdims=keepdims, initial=0)
    return narrowed(y, x), (x, y, axis, keepdims, ord)


@norm.vjp
def _(g: Any, needs: Any, x: Array, y: Any, axis: Axis, keepdims: bool, ord: float) -> Any:
    if ord == 1:
        return (signed(_kept(g, axis, keepdims), x),)
    if ord == 2:
        zero = plain(y) == 0
        if zero.any():
            g, y = masked(g, ~zero), np.where(zero, 1, y)
        return (_kept(g, axis, keepdims) * (x / _kept(y, axis, keepdims)),)
    return (signed(_share(g, np.abs(x), y, axis, keepdims), x),)


@norm.reference
def _(x: Any, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Any:
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    return sqrt(sum(square(x), axis, keepdims)) if ord == 2 else max(absolute(x), axis, keepdims)


# --- softmax -----------------------------------------------------------------------------------------


@primitive(residuals=("x", "derived", "derived"))
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """log(sum(exp(x))) over axes of x, of any shape, without overflow; -inf if all entries are -inf.

    The gradient is softmax(x), which sums to 1; entries that are inf share it equally. It is 0 if all are -inf.

    >>> logsumexp([[1e3, -1e4], [-1e3, -1e3]], axis=1).numpy().round(2)
    array([1000.  , -999.31], dtype=float32)
    """
    refuse_axis_of_scalar(x, axis)
    with np.errstate(divide="ignore", invalid="ignore"):  # log(0) is -inf
        y, top, total = _logsumexp(single(x), False, axis)
        if np.count_nonzero(np.isnan(total)):
            y, top, total = _logsumexp(single(x), True, axis)
    return narrowed(y if keepdims else y.squeeze(axis), x), (x, top, total, axis, keepdims)


@fused_along_rows
def _logsumexp(x: Any, infinite: bool, axis: Axis) -> tuple[Any, Any, Any]:
    """Return y = log(sum(exp(x))), the top that it subtracts from x, and the sum of exp(x - top)."""
    top = x.max(axis, keepdims=True, initial=-np.inf)
    top = np.where(top == -np.inf, 0, top)
    total = sum_single(_weights(x, top, infinite), axis, keepdims=True)
    return np.log(total) + top, top, total


def _weights(x: Any, top: Any, infinite: bool) -> Any:
    """Return exp(x - top); if tops may be ``infinite``, an infinite x has the weight 1 instead of NaN."""
    return np.exp(np.where(x == np.inf, 0, x - top) if infinite else x - top)


@logsumexp.vjp_on_tensors
@logsumexp.vjp
def _(g: Any, needs: Any, x: Any, top: Array, total: Array, axis: Axis, keepdims: bool) -> Any:
    # Subtracting a constant from x, the largest entry, does not change e^x / sum(e^x). e^(x - y) would round.
    x, g, infinite = single(x), _kept(g, axis, keepdims), not bool(np.isfinite(top).all())
    with np.errstate(invalid="ignore"):
        if isinstance(x, Tensor):
            weights = _weights(x, top, infinite)
            return (g / np.where(plain(total) == 0, 1, sum_single(weights, axis, keepdims=True)) * weights,)
        return (_pull_logsumexp(x, top, g / np.where(total == 0, 1, total), infinite, axis),)


@fused_along_rows
def _pull_logsumexp(x: Any, top: Any, share: Any, infinite: bool, axis: Axis) -> Any:
    return share * _weights(x, top, infinite)


logsumexp.reference(lambda x, axis=None, keepdims=False: log(sum(exp(x), axis, keepdims)))


@primitive(residuals=("output",))
def softmax(x: Array, axis: Axis = -1) -> ForwardResult:
    """exp(x) / sum(exp(x)) along an axis: positive numbers of x's shape that sum to 1.

    No overflow for any finite x. A row of only -inf has no softmax: NaN.

    >>> softmax([[0.0, 0.0], [1e4, -1e4]])
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    refuse_axis_of_scalar(x, axis)
    wide = single(x)
    y = _softmax(wide, axis) if x.size else wide * row_sums(wide, axis)  # nothing, if the axis exists
    return narrowed(y, x), (y, axis)


@fused_along_rows
def _softmax(x: Any, axis: Axis) -> Any:
    y = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return y * (1 / row_sums(y, axis))


@softmax.vjp
@fused_along_rows
def _(g: Any, needs: Any, y: Any, axis: Axis) -> Any:
    # dy_i / dx_j = y_i (1[i = j] - y_j), so dx = y (g - mean), with the mean of g weighted by y. Near y = 1 that
    # difference is only rounding: subtracting twice, as in _centred, is exact in the tails, and the cotangent
    # sums to 0.
    d = g - row_sums(g * y, axis)
    return ((d - row_sums(d * y, axis)) * y,)


softmax.reference(lambda x, axis=-1: divide(y := exp(x), sum(y, axis, keepdims=True)))


@primitive(residuals=("output",))
def log_softmax(x: Array, axis: Axis = -1) -> ForwardResult:
    """x - log(sum(exp(x))) along an axis, of x's shape: the logarithm of :func:`softmax`.

    No overflow for any finite x, and no log of 0.

    >>> log_softmax([[1e3, 1e3], [0.0, -1e4]]).numpy().round(2)
    array([[-6.9e-01, -6.9e-01],
           [ 0.0e+00, -1.0e+04]], dtype=float32)
    """
    refuse_axis_of_scalar(x, axis)
    wide = single(x)
    y = _log_softmax(wide, axis) if x.size else wide * row_sums(wide, axis)  # nothing, if the axis exists
    return narrowed(y, x), (y, axis)


@fused_along_rows
def _log_softmax(x: Any, axis: Axis) -> Any:
    y = x - x.max(axis, keepdims=True, initial=-np.inf)
    return y - np.log(row_sums(np.exp(y), axis))


@log_softmax.vjp
@fused_along_rows
def _(g: Any, needs: Any, y: Any, axis: Axis) -> Any:
    # dy_i / dx_j = 1[i = j] - e^y_j, so dx = g - p sum(g) with p = e^y. Near p = 1 that cancels; the remaining sum is
    # then spread in the same way, so that the cotangent sums to 0 and is exact in the tails.
    p = np.exp(y)
    d = g - p * row_sums(single(g), axis)
    return (d - p * row_sums(d, axis),)


log_softmax.reference(lambda x, axis=-1: subtract(x, log(sum(exp(x), axis, keepdims=True))))


batched(sum, mean, cumsum, prod, max, min, var, std, norm, logsumexp, softmax, log_softmax)


# --- cumulative products -----------------------------------------------------------------------------


@primitive(residuals=("x", "derived"))
def cumprod(x: Array, axis: int | None = None) -> ForwardResult:
    """Products of the entries up to each one along an axis, of x's shape; over the flattened x if axis is None.

    The gradient is right even if entries are 0, to any order, unless products of entries after a 0 overflow. Half
    precision is multiplied in single and rounded once.

    Raises:
        ValueError: if the axis does not exist.

    >>> cumprod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([[ 1.,  2.],
            [ 3., 12.]])
    """
    refuse_axis_of_scalar(x, axis)
    y = widened(x).cumprod(axis)
    return narrowed(y, x), (x, y, axis)


@cumprod.vjp_on_tensors
@cumprod.vjp
def _(g: Any, needs: Any, x: Any, y: Array, axis: int | None) -> Any:
    # For j >= i the derivative of y_j = x_1 … x_j with respect to x_i is the product of all entries up to j except x_i:
    #     d_i = sum over j >= i of g_j y_j / x_i  =  y_(i-1) s_i   with   s_i = g_i + x_(i+1) s_(i+1).
    # The sum takes one pass; the recurrence does not divide, and is a polynomial, as higher orders need.
    shape = x.shape
    if axis is None:
        x, axis = x.reshape(-1), 0
    x, g, y = (np.moveaxis(array, axis, -1) for array in (single(x), single(g), y))
    if isinstance(x, Tensor) or isinstance(g, Tensor) or not y.all():
        before = np.concatenate([np.ones_like(plain(x)[..., :1]), np.cumprod(x[..., :-1], axis=-1)], -1)
        a, s, step = _shifted(x, 1), g, 1
        while step < x.shape[-1]:  # d_i = s_i + a_i d_(i+step), and d is 0 after the end; each turn doubles the step
            a, s, step = a * _shifted(a, step), s + a * _shifted(s, step), 2 * step
        d = before * s
    else:
        d = (g * y)[..., ::-1].cumsum(-1)[..., ::-1] / x
    return (np.moveaxis(d, -1, axis).reshape(shape),)


def _shifted(x: Any, step: int) -> Any:
    """Shift the entries by a step towards the start of the last axis; fill with 0."""
    return np.concatenate([x[..., step:], np.zeros_like(plain(x)[..., :step])], -1)


# --- entries by size ---------------------------------------------------------------------------------

# The sorted array has the entries of x in another order, so the VJP puts cotangents back at the original positions. The
# order is a constant, and the map linear. Ties keep their order, the lowest index first. NaN counts as the largest.


@primitive(residuals=("x",))
def sort(x: Array, axis: int | None = -1) -> ForwardResult:
    """The entries of x, of any shape with axes, in ascending order along an axis; flattened if it is None.

    NaN comes last, as in NumPy. Each entry gets the cotangent of its position in the order; tied entries keep their
    order.

    Raises:
        ValueError: if the axis does not exist.

    >>> sort([[3.0, 1.0], [2.0, 4.0]])
    tensor([[1., 3.],
            [2., 4.]])
    """
    return np.sort(x, axis=axis), (x, axis)  # NumPy sorts values in a tenth of the time of an argsort


@sort.vjp
def _(g: Any, needs: Any, x: Any, axis: int | None) -> Any:
    entries = plain(x)
    shape = entries.shape
    if axis is None:
        entries, axis = entries.reshape(-1), 0
    order = _stable_order(entries, axis)
    put_back = apply_linear(g, lambda g: _placed(g, order, g.shape, axis), lambda u: np.take_along_axis(u, order, axis))
    return (put_back.reshape(shape),)


def _stable_order(x: Array, axis: int) -> Array:
    """Return where the sorted entries of an axis come from, ties in their order.

    Only rows with ties or NaNs take NumPy's stable sort. The other sort takes a third of its time.
    """
    if x.ndim and x.size <= FEW:
        return x.argsort(axis, stable=True)
    x = np.moveaxis(x, axis, -1)
    order = np.argsort(x, axis=-1)
    y = np.take_along_axis(x, order, -1)
    tied = ~np.all(y[..., 1:] > y[..., :-1], axis=-1)
    order[tied] = np.argsort(x[tied], axis=-1, stable=True)
    return np.moveaxis(order, -1, axis)


def _placed(g: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Return zeros of a shape with g at indices along an axis, without repeated indices."""
    d = np.zeros(shape, g.dtype)
    np.put_along_axis(d, indices, g, axis)
    return d


@primitive(residuals=())
def topk(x: Array, k: int, axis: int = -1, largest: bool = True) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    """The k largest entries of x along an axis, the largest first, and their indices; x of any shape with axes.

    Ties are in the order of their indices, the lowest first, and NaN counts as the largest.

    Args:
        k: from 0 to the length of the axis.
        largest: false for the k smallest entries, the smallest first.

    Returns:
        (values, indices), both of x's shape except for k entries along the axis. Indices are int64, and constants.

    Raises:
        ValueError: if the axis does not exist, or has fewer than k entries, or k is negative.
        TypeError: if k is not an integer.

    >>> values, indices = topk([[1.0, 3.0, 2.0], [6.0, 4.0, 5.0]], 2)
    >>> values, indices
    (tensor([[3., 2.],
            [6., 5.]]), tensor([[1, 2],
            [0, 2]]))
    """
    axis = normalize_axis_index(axis, x.ndim)
    k = integer("k", k, least=0)
    if k > x.shape[axis]:
        raise ValueError(f"k must be in 0 … {x.shape[axis]}, the length of axis {axis}, not {k}")
    rows = np.moveaxis(x, axis, -1)
    chosen = _chosen(rows, k, largest) if rows.size and k else np.zeros((*rows.shape[:-1], k), np.int64)
    order = _ranked(np.take_along_axis(rows, chosen, -1), largest)
    indices = np.moveaxis(np.take_along_axis(chosen, order, -1), -1, axis).astype(np.int64, copy=False)
    return (np.take_along_axis(x, indices, axis), indices), (indices, x.shape, axis)


def _ranked(x: Array, largest: bool) -> Array:
    """Return where the entries of the last axis come from, the first one first, ties in their order."""
    if not largest:
        return np.argsort(x, axis=-1, stable=True)
    return x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, stable=True)[..., ::-1]  # type: ignore[no-any-return]


def _chosen(x: Array, k: int, largest: bool) -> Array:
    """Return the indices along the last axis of the k entries that come first, ascending.

    They are those beyond the k-th entry, and the first ones that equal it. For 1,000 rows of 1,000 float32 numbers this
    takes 4 ms for k = 10; sorting all of them takes 20.
    """
    n = x.shape[-1]
    place = n - k if largest else k - 1
    bound = np.partition(x, place, axis=-1)[..., place : place + 1]
    if (bound != bound).any() or (largest and (x != x).any()):  # comparisons with NaN are false
        return np.sort(_ranked(x, largest)[..., :k], axis=-1)
    mask = x >= bound if largest else x <= bound
    if np.count_nonzero(mask) > k * (x.size // n):
        tied = x == bound
        spare = k - np.count_nonzero(mask & ~tied, axis=-1, keepdims=True)
        mask &= ~tied | (np.cumsum(tied, axis=-1) <= spare)
    return (np.flatnonzero(mask) % n).reshape(*x.shape[:-1], k)  # type: ignore[no-any-return]


@topk.vjp
def _(g: Any, needs: Any, indices: Array, shape: tuple[int, ...], axis: int) -> Any:
    values = g[0]
    return (
        apply_linear(
            values, lambda g: _placed(g, indices, shape, axis), lambda u: np.take_along_axis(u, indices, axis)
        ),
    )


# --- constants: no gradient flows through these ------------------------------------------------------


@constant(np.ndarray.argmax)
def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first largest entry along an axis of x, of any shape, or in the flattened x.

    >>> argmax([[1.0, 3.0], [4.0, 2.0]], axis=1)
    tensor([1, 0])
    """


@constant(np.ndarray.argmin)
def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first smallest entry along an axis of x, of any shape, or in the flattened x.

    >>> argmin([[1.0, 3.0], [4.0, 2.0]], axis=1)
    tensor([0, 1])
    """


@constant(np.ndarray.any)
def any(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return whether any entry over axes of x, of any shape, is true (not 0): booleans.

    >>> any([[True, False], [False, False]], axis=1)
    tensor([ True, False])
    """


@constant(np.ndarray.all)
def all(x: Array, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return whether every entry over axes of x, of any shape, is true (not 0): booleans.

    >>> all([[True, True], [True, False]], axis=1)
    tensor([ True, False])
    """


@primitive(differentiable=False)
def argsort(x: Array, axis: int | None = -1) -> ForwardResult:
    """The index of each entry of :func:`sort`: integers of x's shape, any with axes; flat if axis is None.

    Ties are in the order of their indices, NaN comes last.

    Raises:
        ValueError: if the axis does not exist.

    >>> argsort([3.0, 1.0, 2.0])
    tensor([1, 2, 0])
    """
    return _stable_order(x.reshape(-1), 0) if axis is None else _stable_order(x, axis), ()
