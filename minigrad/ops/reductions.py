"""Reductions over axes, and softmax and cumulative sums, which run along one.

``axis`` is None for all axes, one axis or a tuple of them, counted from the end if negative; with
``keepdims`` the reduced axes stay with length 1. Float32 stays float32; the mean of integers is float64. Float16 stays
float16, but is summed (or multiplied) in float32 and rounded once, at the end, in gradients too: what lies within its
range comes out, what lies beyond 65,504 is inf, with NumPy's warning.
Inside this module ``sum``, ``max``, ``min``, ``any`` and ``all`` are the primitives, not Python's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..core import plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .elementwise import absolute, divide, exp, log, signed, sqrt, square, subtract
from .kernels.axes import from_the_end, refuse_axis_of_scalar
from .kernels.numerics import as_float, narrowed, row_sums, single, sum_single, taken, widened

Axis: TypeAlias = "int | tuple[int, ...] | None"

_BLOCK = 2**18  # entries at a time, which stay in the processor's cache


def _kept(array: Any, axis: Axis, keepdims: bool) -> Any:
    """A reduced array with its axes put back, so that it broadcasts against what was reduced."""
    return array if keepdims or axis is None else np.expand_dims(array, axis)


def _count(x: Array, y: Any) -> int:
    """How many entries of x were reduced to one of y."""
    return x.size // math.prod(np.shape(y)) if np.size(y) else 1


def _behind(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule for many cotangents at once: the same one, with axes counted from the end.

    Its first residual is an array with the axes of what was reduced, or the shape of that.
    """
    place = rule.__code__.co_varnames.index("axis") - 2  # among the residuals, behind g and needs

    def batched(g: Array, needs: Any, first: Any, *others: Any) -> Any:
        shape = first if isinstance(first, tuple) else first.shape
        residuals = [(len(g), *shape) if first is shape else first, *others]
        residuals[place] = from_the_end(residuals[place], len(shape))
        return rule(g, needs, *residuals)

    return batched


# --- sums --------------------------------------------------------------------------------------------


@primitive(residuals=())
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The sum over axes of x, of any shape.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([4., 6.])
    """
    refuse_axis_of_scalar(x, axis)
    return narrowed(sum_single(x, axis, keepdims), x), (x.shape, axis, keepdims)


@sum.vjp
def _(g: Any, needs: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    return (np.broadcast_to(_kept(g, axis, keepdims), shape),)  # a view: the engine copies where needed


def _mean(x: Array, axis: Axis, keepdims: bool) -> tuple[Any, int]:
    """The mean, of half precision in single, and the number of entries."""
    refuse_axis_of_scalar(x, axis)
    total = sum_single(as_float(x), axis, keepdims)
    n = _count(x, total)
    return total / n, n  # of none NaN, with NumPy's warning


@primitive(residuals=())
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The mean over axes of x, of any shape; of no entries NaN, with NumPy's warning.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([2., 3.])
    """
    y, n = _mean(x, axis, keepdims)
    return narrowed(y, x), (x.shape, axis, keepdims, n)


@mean.vjp
def _(g: Any, needs: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool, n: int) -> Any:
    return (np.broadcast_to(_kept(single(g), axis, keepdims) / (n or 1), shape),)


@primitive(residuals=())
def cumsum(x: Array, axis: int | None = None) -> ForwardResult:
    """Sums of the entries up to each one along an axis, of x's shape; of the flattened x if axis is None.

    >>> cumsum([[1.0, 2.0], [3.0, 4.0]], axis=1)
    tensor([[1., 3.],
            [3., 7.]])
    """
    refuse_axis_of_scalar(x, axis)
    return _running_sum(x, axis), (x.shape, axis)


def _running_sum(x: Any, axis: int | None) -> Any:
    """np.cumsum, which adds an array of floats in double: single precision loses two digits over 10^6 entries."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return np.cumsum(x, axis)
    return np.cumsum(x, axis, dtype=np.result_type(x, np.float64)).astype(x.dtype, copy=False)


@cumsum.vjp
def _(g: Any, needs: Any, shape: tuple[int, ...], axis: int | None) -> Any:
    axis = 0 if axis is None else axis  # an entry is in all later sums: sum cotangents from the end
    return (np.flip(_running_sum(np.flip(single(g), axis), axis), axis).reshape(shape),)


@cumsum.batched_vjp
def _(g: Array, needs: Any, shape: tuple[int, ...], axis: int | None) -> Any:
    behind = -1 if axis is None else from_the_end(axis, g.ndim - 1)
    return cumsum.primitive.vjp(g, needs, (len(g), *shape), behind)


@primitive(residuals=("x",))
def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The product over axes of x, of any shape. The gradient is exact also where entries are 0.

    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([3., 8.])
    """
    refuse_axis_of_scalar(x, axis)
    return narrowed(np.prod(widened(x), axis=axis, keepdims=keepdims), x), (x, axis, keepdims)


@prod.vjp
def _(g: Any, needs: Any, x: Array, axis: Axis, keepdims: bool) -> Any:
    return (_kept(g, axis, keepdims) * product_of_others(single(x), axis),)


@prod.vjp_on_tensors
def _(g: Any, needs: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    x = single(x)
    rows, turned, order = _reduced_last(x, axis)
    return (_kept(g, axis, keepdims) * _products_by_pairs(rows).reshape(turned).transpose(np.argsort(order).tolist()),)


def _products_by_pairs(rows: Any) -> Any:
    """For each entry of the last axis the product of all others: a polynomial, and made as one, by halving.

    Entries are multiplied in pairs, these products in pairs, and so on. Back from the whole, the product of all others
    is that of all other pairs times the other one of the pair.
    """
    pairs, n = [], rows.shape[-1]
    while rows.shape[-1] > 1:
        if rows.shape[-1] % 2:
            rows = np.concatenate([rows, np.ones((*rows.shape[:-1], 1), rows.dtype)], -1)
        pairs.append(rows.reshape(*rows.shape[:-1], rows.shape[-1] // 2, 2))
        rows = pairs[-1][..., 0] * pairs[-1][..., 1]
    others: Any = np.ones(rows.shape, rows.dtype)
    for pair in reversed(pairs):
        others = np.expand_dims(others[..., : pair.shape[-2]], -1) * np.flip(pair, -1)
        others = others.reshape(*pair.shape[:-2], 2 * pair.shape[-2])
    return others[..., :n]


def _reduced_last(x: Any, axis: Axis) -> tuple[Any, tuple[int, ...], list[int]]:
    """x with the axes that are reduced as one, the last; its shape before they became one; and the order of axes."""
    reduced = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    order = [i for i in range(x.ndim) if i not in reduced] + list(reduced)
    turned = x.transpose(order)
    kept = turned.shape[: x.ndim - len(reduced)]
    return turned.reshape(*kept, math.prod(x.shape[i] for i in reduced)), turned.shape, order


def product_of_others(x: Array, axis: Axis) -> Array:
    """For each entry the product of all others that are reduced with it, without a division.

    The product of those before it times that of those after it, both by cumulative products.
    """
    rows, turned, order = _reduced_last(x, axis)
    before, after = np.ones_like(rows), np.ones_like(rows)
    np.cumprod(rows[..., :-1], axis=-1, out=before[..., 1:])
    np.cumprod(rows[..., :0:-1], axis=-1, out=after[..., -2::-1])
    before *= after
    others: Array = before.reshape(turned).transpose(np.argsort(order))
    return others


# --- extremes ----------------------------------------------------------------------------------------


@primitive(residuals=("x", "output"))
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The largest entry over axes of x, of any shape. Ties share the gradient equally, all others get 0.

    Raises:
        ValueError: if there is no entry to reduce.

    >>> max([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([3., 4.])
    """
    refuse_axis_of_scalar(x, axis)
    y = np.max(x, axis=axis, keepdims=keepdims)
    return y, (x, y, axis, keepdims)


@primitive(residuals=("x", "output"))
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """The smallest entry over axes of x, of any shape. Ties share the gradient equally, all others get 0.

    Raises:
        ValueError: if there is no entry to reduce.

    >>> min([[1.0, 2.0], [3.0, 4.0]], axis=0)
    tensor([1., 2.])
    """
    refuse_axis_of_scalar(x, axis)
    y = np.min(x, axis=axis, keepdims=keepdims)
    return y, (x, y, axis, keepdims)


def _share(g: Any, x: Array, y: Any, axis: Axis, keepdims: bool) -> Array:
    """A cotangent in equal parts for those entries of x that are the extreme y; NaNs are extreme."""
    g = single(g)
    extreme = (x == _kept(y, axis, keepdims)) | (x != x)
    count = np.sum(extreme, axis=axis, keepdims=True, dtype=g.dtype)
    shares: Array = taken(_kept(g, axis, keepdims) / np.maximum(count, 1), extreme)
    return shares


@max.vjp
@min.vjp
def _(g: Any, needs: Any, x: Array, y: Any, axis: Axis, keepdims: bool) -> Any:
    return (_share(g, x, y, axis, keepdims),)


# --- spread and size ---------------------------------------------------------------------------------


def _centred(x: Array, axis: Axis) -> Array:
    """x minus its mean, twice: the second pass removes the rounding of the first, so that a constant gives 0."""
    x = single(x)
    d: Array = x - _mean(x, axis, True)[0]
    d -= _mean(d, axis, True)[0]
    return d


def _variance(x: Array, axis: Axis, keepdims: bool, ddof: int) -> tuple[Any, int]:
    """The variance and its divisor, the degrees of freedom."""
    squares = np.square(_centred(x, axis))
    total = sum_single(squares, axis, keepdims)
    freedom = _count(x, total) - ddof
    freedom = freedom if freedom > 0 else 0
    return total / freedom, freedom  # without freedom NaN or inf, with NumPy's warning


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


@var.vjp
def _(g: Any, needs: Any, x: Array, axis: Axis, keepdims: bool, freedom: int) -> Any:
    return (_kept(2 * single(g) / freedom, axis, keepdims) * _centred(x, axis),)


@var.reference
def _(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    squares = square(subtract(x, mean(x, axis, keepdims=True)))
    y = sum(squares, axis, keepdims)
    return divide(y, _count(x, y) - ddof)


@primitive(residuals=("x", "output"))
def std(x: Array, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> ForwardResult:
    """The standard deviation over axes of x, of any shape: the root of :func:`var`.

    The gradient is 0 where all entries are equal, whatever the cotangent.

    >>> std([[1.0, 2.0], [3.0, 6.0]], axis=0)
    tensor([1., 2.])
    """
    variance, freedom = _variance(x, axis, keepdims, ddof)
    y = np.sqrt(variance)
    return narrowed(y, x), (x, y, axis, keepdims, freedom)


@std.vjp
def _(g: Any, needs: Any, x: Array, y: Any, axis: Axis, keepdims: bool, freedom: int) -> Any:
    flat = y == 0
    factor = taken(g, ~flat) / (freedom * np.where(flat, 1, y))
    return (_kept(factor, axis, keepdims) * _centred(x, axis),)


@std.reference
def _(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Any:
    squares = square(subtract(x, mean(x, axis, keepdims=True)))
    y = sum(squares, axis, keepdims)
    return sqrt(divide(y, _count(x, y) - ddof))


@primitive(residuals=("x", "output", "constant", "constant", "constant"))
def norm(x: Array, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> ForwardResult:
    """The length of x, of any shape, as a vector: over all axes or some, never a matrix norm.

    No intermediate over- or underflows. The gradient at the zero vector is 0 (with ``ord=1`` that of each zero),
    whatever the cotangent; equal largest entries share it (``ord=inf``).

    Args:
        ord: 2 for the root of the sum of squares, 1 for the sum of sizes, inf for the largest size.

    Raises:
        ValueError: for another ``ord``.

    >>> norm([[3.0, 4.0], [0.0, 1e30]], axis=1)
    tensor([5.e+00, 1.e+30])
    """
    if ord not in (1, 2, np.inf):
        raise ValueError(f"ord must be 1, 2 or inf, not {ord}")
    refuse_axis_of_scalar(x, axis)
    wide = single(x)
    if ord == 2:
        y = _length(wide, axis, keepdims)
    elif ord == 1:
        y = sum_single(np.abs(wide), axis, keepdims)
    else:
        y = np.max(np.abs(wide), axis=axis, keepdims=keepdims, initial=0)
    return narrowed(y, x), (x, y, axis, keepdims, ord)


def _length(x: Array, axis: Axis, keepdims: bool) -> Any:
    """The root of the sum of squares: as it is said, or, where that could over- or underflow, by the largest entry."""
    with np.errstate(over="ignore"):
        squares = sum_single(np.square(x), axis, keepdims)
    limits = np.finfo(x.dtype)
    least = limits.tiny / limits.eps**2 * np.maximum(_count(x, squares), 1)  # what squares lost is nothing beside it
    if ((squares >= least) & (squares <= limits.max)).all():
        return np.sqrt(squares)
    size = np.abs(x)
    top = np.max(size, axis=axis, keepdims=True, initial=0)
    scale = np.where((top == 0) | (top == np.inf), 1, top)
    y = np.sqrt(sum_single(np.square(size / scale), axis, keepdims))
    return y * scale.reshape(y.shape)


@norm.vjp
def _(g: Any, needs: Any, x: Array, y: Any, axis: Axis, keepdims: bool, ord: float) -> Any:
    if ord == 1:
        return (signed(_kept(g, axis, keepdims), x),)
    if ord == 2:
        zero = y == 0
        direction = x / _kept(np.where(zero, 1, y), axis, keepdims)
        return (_kept(taken(g, ~zero), axis, keepdims) * direction,)
    return (signed(_share(g, np.abs(x), y, axis, keepdims), x),)


@norm.reference
def _(x: Any, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Any:
    if ord == 1:
        return sum(absolute(x), axis, keepdims)
    return sqrt(sum(square(x), axis, keepdims)) if ord == 2 else max(absolute(x), axis, keepdims)


# --- softmax -----------------------------------------------------------------------------------------


@primitive(residuals=("x", "derived", "derived"))
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """log(sum(exp(x))) over axes of x, of any shape, without overflow; -inf where all entries are -inf.

    The gradient is softmax(x), which sums to 1; entries that are inf share it equally. It is 0 where all are -inf.

    >>> logsumexp([[1e3, -1e4], [-1e3, -1e3]], axis=1).numpy().round(2)
    array([1000.  , -999.31], dtype=float32)
    """
    top = np.max(single(x), axis=axis, keepdims=True, initial=-np.inf)
    total = sum_single(_weights(x, top), axis, keepdims=True)
    with np.errstate(divide="ignore"):  # log(0) is -inf
        y = np.log(total) + np.where(top == -np.inf, 0, top)
    return narrowed(y if keepdims else np.squeeze(y, _axes(x, axis)), x), (x, top, total, axis, keepdims)


def _axes(x: Array, axis: Axis) -> Any:
    """The axes that are reduced, as a tuple."""
    return normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)


def _weights(x: Array, top: Array) -> Array:
    """exp(x - top) without inf - inf: infinite tops weigh 1, and where all entries are -inf they weigh 0."""
    if np.isfinite(top).all():
        return np.exp(x - top)  # type: ignore[no-any-return]
    with np.errstate(invalid="ignore"):
        return np.exp(np.where((x == top) & (top > 0), 0, x - np.where(top == -np.inf, 0, top)))


@logsumexp.vjp
def _(g: Any, needs: Any, x: Array, top: Array, total: Array, axis: Axis, keepdims: bool) -> Any:
    # e^(x - y) would round with y: by the sum of e^(x - top) the gradient sums to 1, however large x is
    share = _kept(g, axis, keepdims) / np.where(total == 0, 1, total)
    return (share * _weights(x, top),)


@logsumexp.vjp_on_tensors
def _(g: Any, needs: Any, x: Any, top: Array, total: Any, axis: Axis, keepdims: bool) -> Any:
    # e^x / sum(e^x) does not change by what is taken off x: the largest entry, as a constant
    x = single(x)
    total = sum_single(_weights(x, top), axis, keepdims=True)
    share = _kept(g, axis, keepdims) / np.where(plain(total) == 0, 1, total)
    return (share * _weights(x, top),)


@logsumexp.reference
def _(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    return log(sum(exp(x), axis, keepdims))


@primitive(residuals=("output",))
def softmax(x: Array, axis: Axis = -1) -> ForwardResult:
    """exp(x) / sum(exp(x)) along an axis: positive numbers of x's shape that sum to 1.

    No overflow for any finite x. A row of -inf alone has no softmax: NaN, with NumPy's warning.

    >>> softmax([[0.0, 0.0], [1e4, -1e4]])
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    wide = single(x)
    y = np.asarray(wide - np.max(wide, axis=axis, keepdims=True, initial=-np.inf))
    np.exp(y, out=y)
    y /= row_sums(y, axis)
    return narrowed(y, x), (y, axis)


@softmax.vjp
def _(g: Any, needs: Any, y: Array, axis: Axis) -> Any:
    # dy_i / dx_j = y_i (1[i = j] - y_j), so dx = y (g - mean), with the mean of g weighted by y. Near a y of 1 that
    # difference is all rounding: taken twice, as in _centred, it is exact in the tails, and the cotangent sums to 0.
    d = g - row_sums(g * y, axis)
    d -= row_sums(d * y, axis)
    d *= y
    return (d,)


@softmax.reference
def _(x: Any, axis: Axis = -1) -> Any:
    e = exp(x)
    return divide(e, sum(e, axis, keepdims=True))


@primitive(residuals=("output",))
def log_softmax(x: Array, axis: Axis = -1) -> ForwardResult:
    """x - log(sum(exp(x))) along an axis, of x's shape: the logarithm of :func:`softmax`.

    No overflow for any finite x, and no log of 0.

    >>> log_softmax([[1e3, 1e3], [0.0, -1e4]]).numpy().round(2)
    array([[-6.9e-01, -6.9e-01],
           [ 0.0e+00, -1.0e+04]], dtype=float32)
    """
    y = _in_blocks(_log_softmax, axis, single(x))
    return narrowed(y, x), (y, axis)


def _log_softmax(axis: Axis, x: Array) -> Array:
    y: Array = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    with np.errstate(divide="ignore"):  # log(0) only of no entries
        y -= np.log(row_sums(np.exp(y), axis))
    return y


def _pull_log_softmax(axis: Axis, y: Any, g: Any) -> Any:
    # dy_i / dx_j = 1[i = j] - e^y_j, so dx = g - p sum(g) with p = e^y. Near a p of 1 that cancels; what is left of the
    # sum is then spread in the same way, so that the cotangent sums to 0 and is exact in the tails.
    p = np.exp(y)
    d = g - p * row_sums(single(g), axis)
    d -= p * row_sums(d, axis)
    return d


def _in_blocks(function: Callable[..., Array], axis: Axis, *arrays: Array) -> Array:
    """Apply a function along the last axis to blocks of rows, so that its temporaries stay small."""
    first = arrays[0]
    if axis not in (-1, first.ndim - 1) or first.size <= 4 * _BLOCK:
        return function(axis, *arrays)
    n = first.shape[-1]
    rows = [array.reshape(-1, n) for array in arrays]
    out = np.empty(rows[0].shape, first.dtype.newbyteorder("="))
    step = _BLOCK // n or 1
    for start in range(0, len(out), step):
        out[start : start + step] = function(-1, *(array[start : start + step] for array in rows))
    return out.reshape(first.shape)


@log_softmax.vjp
def _(g: Any, needs: Any, y: Array, axis: Axis) -> Any:
    if g.shape != y.shape:  # many cotangents
        return (_pull_log_softmax(axis, y, g),)
    return (_in_blocks(_pull_log_softmax, axis, y, g),)


@log_softmax.vjp_on_tensors
def _(g: Any, needs: Any, y: Any, axis: Axis) -> Any:
    return (_pull_log_softmax(axis, y, g),)


@log_softmax.reference
def _(x: Any, axis: Axis = -1) -> Any:
    return subtract(x, log(sum(exp(x), axis, keepdims=True)))


for _function in (sum, mean, prod, max, min, var, std, norm, logsumexp, softmax, log_softmax):
    _function.batched_vjp(_behind(_function.primitive.vjp))


# --- constants: no gradient flows through these ------------------------------------------------------


@primitive(differentiable=False)
def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> ForwardResult:
    """The index of the first largest entry along an axis of x, of any shape, or in the flattened x.

    >>> argmax([[1.0, 3.0], [4.0, 2.0]], axis=1)
    tensor([1, 0])
    """
    return np.argmax(x, axis=axis, keepdims=keepdims), ()


@primitive(differentiable=False)
def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> ForwardResult:
    """The index of the first smallest entry along an axis of x, of any shape, or in the flattened x.

    >>> argmin([[1.0, 3.0], [4.0, 2.0]], axis=1)
    tensor([0, 1])
    """
    return np.argmin(x, axis=axis, keepdims=keepdims), ()


@primitive(differentiable=False)
def any(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """Whether some entry over axes of x, of any shape, is true (not 0): booleans.

    >>> any([[True, False], [False, False]], axis=1)
    tensor([ True, False])
    """
    return np.any(x, axis=axis, keepdims=keepdims), ()


@primitive(differentiable=False)
def all(x: Array, axis: Axis = None, keepdims: bool = False) -> ForwardResult:
    """Whether every entry over axes of x, of any shape, is true (not 0): booleans.

    >>> all([[True, True], [True, False]], axis=1)
    tensor([ True, False])
    """
    return np.all(x, axis=axis, keepdims=keepdims), ()
