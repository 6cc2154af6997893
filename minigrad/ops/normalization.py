"""Normalisation: x minus its mean over some axes, divided by its standard deviation, times a weight plus a bias.

The kinds differ in what the mean is taken over: a sample's features (:func:`layer_norm`, and without the mean
:func:`rms_norm`), a group of its channels (:func:`group_norm`), or one channel of a whole batch (:func:`batch_norm`).
The variance is divided by the number of entries. Float32 stays float32, booleans and integers become float64, dtypes
promote as in NumPy; half precision is computed in single and rounded once. Neither a mean that is large relative to the
spread nor entries whose squares overflow in single precision cost accuracy. Constant entries become the bias. A NaN
makes everything normalised with it NaN.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..core import Tensor
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import as_float, single
from .kernels.standardization import pull_channels, pull_rows, standardize_channels, standardize_rows

__all__ = ["batch_norm", "batch_norm_with_statistics", "group_norm", "layer_norm", "rms_norm"]

Axis: TypeAlias = "int | tuple[int, ...]"
Axes: TypeAlias = "tuple[int, ...]"


# --- shared by all kinds ------------------------------------------------------------------------------


def _check_eps(eps: float) -> None:
    if not 0 <= eps < np.inf:
        raise ValueError(f"eps must be finite and at least 0, but is {eps}")


def _check_shapes(shape: tuple[int, ...], what: str, **given: Array | None) -> None:
    """Raise unless each given array has the shape."""
    for name, array in given.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} must be {shape}, as {what}, not {array.shape}")


def _computed(x: Array, *others: Array | None) -> tuple[list[Any], Any]:
    """Return inputs as floats of one dtype to compute in, None unchanged, and the dtype of the result."""
    dtype, given = x.dtype, [array for array in others if array is not None]
    if dtype.char in "fd" and {dtype}.issuperset([array.dtype for array in given]):
        return [x, *others], dtype
    wide = np.result_type(single(x), *map(single, given)) if given else single(x).dtype
    arrays = [None if array is None else array.astype(wide, copy=False) for array in (x, *others)]
    return arrays, np.result_type(as_float(x), *given)


def _means(x: Any, axes: Axes) -> Any:
    """Return means over axes, which are kept; 0 for no entries, without a warning."""
    return np.sum(x, axis=axes, keepdims=True) / max(math.prod(x.shape[i] for i in axes), 1)


def _centred(x: Any, axes: Axes) -> Any:
    d = single(x) - _means(single(x), axes)
    return d - _means(d, axes)  # subtract the rounding error of the first pass


def _composed(x: Any, weight: Any, bias: Any, axes: Axes, eps: float) -> Any:
    """The reference of all centred kinds: weight and bias broadcast."""
    d = _centred(x, axes)
    return _affine(d / np.sqrt(_means(d * d, axes) + eps), weight, bias, x)


def _affine(y: Any, weight: Any, bias: Any, *others: Any) -> Any:
    given = [array.dtype for array in (*others, weight, bias) if array is not None]
    y = y if weight is None else y * single(weight)
    y = y if bias is None else y + single(bias)
    return y.astype(np.float16) if np.result_type(*given) == np.float16 else y


def _shaped(array: Any, shape: tuple[int, ...] | int) -> Any:
    """Reshape an array or tensor; return None unchanged."""
    return None if array is None else array.reshape(shape)


# --- layers -------------------------------------------------------------------------------------------


def _axes(x: Array, axis: Axis) -> Axes:
    """Return the normalised axes, counted from the end, in x's order."""
    return (-1,) if axis == -1 and x.ndim else tuple(sorted(i - x.ndim for i in normalize_axis_tuple(axis, x.ndim)))


def _features(x: Any, axes: Axes) -> tuple[int, ...]:
    """Return the lengths of the normalised axes."""
    return tuple([x.shape[i] for i in axes])


def _as_rows(x: Any, axes: Axes) -> Array:
    """Return x with the normalised axes as one, (M, K)."""
    last = tuple(range(-len(axes), 0))
    x = x if axes == last else np.moveaxis(x, axes, last)
    kept = x.ndim - len(axes)
    return np.ascontiguousarray(x.reshape(math.prod(x.shape[:kept]), math.prod(x.shape[kept:])))


def _from_rows(rows: Array, x: Array, axes: Axes) -> Array:
    """Return rows (M, K) in the shape of x."""
    last = tuple(range(-len(axes), 0))
    if axes == last:
        return rows.reshape(x.shape)
    return np.moveaxis(rows.reshape(np.moveaxis(x, axes, last).shape), last, axes)


def _normalised_rows(x: Array, weight: Any, bias: Any, axis: Axis, eps: float, centred: bool) -> ForwardResult:
    """Compute the forward over some axes; the residuals name these counted from the end."""
    _check_eps(eps)
    axes = _axes(x, axis)
    features = _features(x, axes)
    _check_shapes(features, "the normalised axes", weight=weight, bias=bias)
    (wide, w, b), dtype = _computed(x, weight, bias)
    y, *statistics = standardize_rows(_as_rows(wide, axes), _shaped(w, -1), _shaped(b, -1), eps, int(centred))
    return _from_rows(y, x, axes).astype(dtype, copy=False), (x, weight, statistics, axes)


def _pull_normalised_rows(
    g: Any, needs: Any, x: Array, weight: Array | None, statistics: list[Any], axes: Axes
) -> tuple[Any, ...]:
    """Compute the VJP; without a bias there are two inputs."""
    scale, times = statistics
    g, wide, w = (None if a is None else a.astype(scale.dtype, copy=False) for a in (g, x, weight))
    features, asked = _features(x, axes), (*needs, False)[:3]
    share = 1 / max(math.prod(features), 1)
    dx, *others = pull_rows(_as_rows(g, axes), asked, _as_rows(wide, axes), _shaped(w, -1), scale, times, share)
    dx = None if dx is None else _from_rows(dx, x, axes)
    return (dx, *(_shaped(d, features) for d in others))[: len(needs)]


def _stretched(x: Any, axes: Axes) -> tuple[int, ...]:
    """Return the shape in which a weight of the normalised axes broadcasts against x."""
    return tuple(n if i in axes else 1 for i, n in enumerate(x.shape, -x.ndim))


@primitive(residuals=("x", "weight", "derived", "constant"))
def layer_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, axis: Axis = -1, eps: float = 1e-5
) -> ForwardResult:
    """(x - mean) / sqrt(var + eps) weight + bias, with mean and variance over axes of x, of any shape.

    Args:
        weight, bias: of the lengths of these axes, in x's order; or None for none.
        axis: one axis or a tuple of axes in any order, counted from the end if negative.
        eps: added to the variance; not negative.

    Returns:
        an array of x's shape.

    Raises:
        ValueError: if the weight or bias does not fit, x has no such axis, or eps is negative.

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, Layer normalization (2016), arXiv:1607.06450.

    >>> layer_norm([[1.0, 2.0, 3.0], [-10.0, 0.0, 10.0]], bias=[0.0, 0.0, 1.0]).numpy().round(3)
    array([[-1.225,  0.   ,  2.225],
           [-1.225,  0.   ,  2.225]], dtype=float32)
    """
    return _normalised_rows(x, weight, bias, axis, eps, centred=True)


layer_norm.vjp(_pull_normalised_rows)


@layer_norm.reference
def _(x: Tensor, weight: Any = None, bias: Any = None, axis: Axis = -1, eps: float = 1e-5) -> Any:
    axes = _axes(x.data, axis)
    shape = _stretched(x, axes)
    return _composed(x, _shaped(weight, shape), _shaped(bias, shape), axes, eps)


@primitive(residuals=("x", "weight", "derived", "constant"))
def rms_norm(x: Array, weight: Array | None = None, axis: Axis = -1, eps: float = 1e-6) -> ForwardResult:
    """x / sqrt(mean(x^2) + eps) weight, with the mean over axes of x, of any shape.

    Args:
        weight: of the lengths of these axes, in x's order; or None for none.
        axis: one axis or a tuple of axes in any order, counted from the end if negative.
        eps: added to the mean square; not negative.

    Returns:
        an array of x's shape.

    Raises:
        ValueError: if the weight does not fit, x has no such axis, or eps is negative.

    Source: B. Zhang and R. Sennrich, Root mean square layer normalization (2019), arXiv:1910.07467.

    >>> rms_norm([[1.0, 7.0], [-10.0, 10.0]]).numpy().round(3)
    array([[ 0.2,  1.4],
           [-1. ,  1. ]], dtype=float32)
    """
    return _normalised_rows(x, weight, None, axis, eps, centred=False)


rms_norm.vjp(_pull_normalised_rows)


@rms_norm.reference
def _(x: Tensor, weight: Any = None, axis: Axis = -1, eps: float = 1e-6) -> Any:
    axes = _axes(x.data, axis)
    wide = single(x)
    y = wide / np.sqrt(_means(wide * wide, axes) + eps)
    return _affine(y, _shaped(weight, _stretched(x, axes)), None, x)


# --- groups of channels -------------------------------------------------------------------------------


def _channels(x: Array, weight: Array | None, bias: Array | None, **given: Array | None) -> int:
    """Return the number of channels of x (N, C, …); raise unless each given array has one entry per channel."""
    if x.ndim < 2:
        raise ValueError(f"x must be (N, C, …), with the channels along axis 1, not {x.shape}")
    _check_shapes((x.shape[1],), "x has channels along axis 1", weight=weight, bias=bias, **given)
    return int(x.shape[1])


def _images(x: Any) -> Any:
    """Return x (N, C, …) as (N, C, L)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


@primitive(residuals=("x", "weight", "derived", "constant"))
def _group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, groups: int = 1, eps: float = 1e-5
) -> ForwardResult:
    _check_eps(eps)
    C = _channels(x, weight, bias)
    if isinstance(groups, bool) or not isinstance(groups, (int, np.integer)) or groups < 1 or C % groups:
        raise ValueError(f"groups must be a positive integer that divides the {C} channels, not {groups!r}")
    (wide, w, b), dtype = _computed(x, weight, bias)
    y, statistics, *_ = standardize_channels(_images(wide), w, b, eps, groups)
    return y.reshape(x.shape).astype(dtype, copy=False), (x, weight, statistics, groups)


@_group_norm.vjp
def _(g: Any, needs: Any, x: Array, weight: Array | None, statistics: Any, groups: int) -> Any:
    (wide, w, g), _ = _computed(x, weight, g)
    gs, needs = (_images(g), None, None), (*needs, False, False)
    dx, dw, db, *_ = pull_channels(gs, needs, _images(wide), w, groups, statistics)
    return None if dx is None else dx.reshape(x.shape), dw, db


@_group_norm.reference
def _(x: Tensor, weight: Any = None, bias: Any = None, groups: int = 1, eps: float = 1e-5) -> Any:
    N, C, *image = x.shape
    shape = groups, C // groups, 1
    split = x.reshape(N, *shape[:2], math.prod(image))
    return _composed(split, _shaped(weight, shape), _shaped(bias, shape), (-2, -1), eps).reshape(x.shape)


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) weight + bias, with mean and variance over groups of a sample's channels.

    With one group this is layer normalisation, with a group for each channel instance normalisation.

    Args:
        x: (N, C, …).
        groups: the number of groups of adjacent channels; must divide C.
        weight, bias: (C,), or None for none.
        eps: added to the variance; not negative.

    Returns:
        an array of x's shape.

    Raises:
        ValueError: if ``groups`` does not divide the channels, a shape does not fit, or eps is negative.

    Source: Y. Wu and K. He, Group normalization (2018), arXiv:1803.08494.

    >>> group_norm([[1.0, 3.0, 10.0, 30.0]], 2).numpy().round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    return _group_norm(x, weight, bias, groups, eps)  # type: ignore[no-any-return]


group_norm.primitive = _group_norm.primitive  # type: ignore[attr-defined]


# --- channels of a batch ------------------------------------------------------------------------------


@primitive(residuals=("x", "weight", "mean", "derived"))
def _batch_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    mean: Array | None = None,
    var: Array | None = None,
    eps: float = 1e-5,
) -> Any:
    """Return the result and, unless mean and variance are given, those of the batch, in single for half precision."""
    _check_eps(eps)
    if (mean is None) != (var is None):
        raise ValueError("mean and var must both be given, or neither")
    _channels(x, weight, bias, mean=mean, var=var)
    (wide, w, b, m, v), dtype = _computed(x, weight, bias, mean, var)
    given = None if mean is None else (m, v)
    y, statistics, *moments = standardize_channels(_images(wide), w, b, eps, None, given)
    y = y.reshape(x.shape).astype(dtype, copy=False)
    return y if given else (y, *(a.astype(wide.dtype) for a in moments)), (x, weight, mean, statistics)


@_batch_norm.vjp
def _(g: Any, needs: Any, x: Array, weight: Any, mean: Any, statistics: Any) -> Any:
    (wide, w, *gs), _ = _computed(x, weight, *(g if isinstance(g, tuple) else (g, None, None)))
    gs[0] = None if gs[0] is None else _images(gs[0])
    dx, *others = pull_channels(gs, needs, _images(wide), w, None, statistics, given=mean is not None)
    return None if dx is None else dx.reshape(x.shape), *others


@_batch_norm.reference
def _(x: Tensor, weight: Any = None, bias: Any = None, mean: Any = None, var: Any = None, eps: float = 1e-5) -> Any:
    axes = (0, *range(2, x.ndim))
    shape = (-1, *(1,) * (x.ndim - 2))
    w, b = _shaped(weight, shape), _shaped(bias, shape)
    if mean is None:
        d = _centred(x, axes)
        return _composed(x, w, b, axes, eps), _means(single(x), axes).reshape(-1), _means(d * d, axes).reshape(-1)
    y = (single(x) - single(mean).reshape(shape)) / np.sqrt(single(var).reshape(shape) + eps)
    return _affine(y, w, b, x, mean, var)


def batch_norm(
    x: Any, weight: Any = None, bias: Any = None, mean: Any = None, var: Any = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(var + eps) weight + bias, with mean and variance of each channel, the batch's or given ones.

    Gradients flow through the batch's mean and variance, or to the given ones.

    Args:
        x: (N, C, …); x[:, c] is a channel.
        weight, bias: (C,), or None for none.
        mean, var: (C,) each, such as running averages; or None for the batch's, with the variance divided by the
            number of entries.
        eps: added to the variance; not negative.

    Returns:
        an array of x's shape.

    Raises:
        ValueError: if a shape does not fit, only one of ``mean`` and ``var`` is given, or eps is negative.

    Source: S. Ioffe and C. Szegedy, Batch normalization (2015), arXiv:1502.03167.

    >>> batch_norm([[1.0, 30.0], [3.0, 10.0]]).numpy().round(3)
    array([[-1.,  1.],
           [ 1., -1.]], dtype=float32)
    >>> batch_norm([[1.0, 30.0], [3.0, 10.0]], mean=[1.0, 10.0], var=[4.0, 100.0]).numpy().round(3)
    array([[0., 2.],
           [1., 0.]], dtype=float32)
    """
    result = _batch_norm(x, weight, bias, mean, var, eps)
    return result[0] if isinstance(result, tuple) else result  # type: ignore[no-any-return]


batch_norm.primitive = _batch_norm.primitive  # type: ignore[attr-defined]


def batch_norm_with_statistics(
    x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Like :func:`batch_norm` with the batch's mean and variance; return these after the result, (C,) each.

    They are not computed again, and gradients flow through them. For half precision they are in single precision.

    >>> y, mean, var = batch_norm_with_statistics([[1.0, 30.0], [3.0, 10.0]])
    >>> mean, var
    (tensor([ 2., 20.]), tensor([  1., 100.]))
    """
    return _batch_norm(x, weight, bias, None, None, eps)  # type: ignore[no-any-return]
