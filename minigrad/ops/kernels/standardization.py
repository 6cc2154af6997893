"""Standardise arrays, (x - mean) / sqrt(var + eps) times a weight plus a bias, and compute the gradients.

With d = x - mean, scale = 1 / sqrt(var + eps), hat = d scale and v = g w, and means over the entries that are
standardised together,

    y = hat w + b        dx = (v - mean(v) - hat mean(v hat)) scale

If a mean is large relative to the spread, subtracting it leaves its rounding error as the mean of the difference. That
mean is then subtracted, too. If squares overflow in single precision, everything is computed in double.

>>> x = np.array([[1.0, 2.0, 3.0]])
>>> y, *statistics = standardize_rows(x, None, None, 0.0)
>>> y.round(4)
array([[-1.2247,  0.    ,  1.2247]])
>>> dx, dw, db = pull_rows(np.array([[1.0, 0.0, 0.0]]), (True,) * 3, x, None, *statistics, 1 / 3)
>>> dx.round(4), dw.round(4)
(array([[ 0.2041, -0.4082,  0.2041]]), array([-1.2247,  0.    ,  0.    ]))
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...compiler import fused
from ...spec import Array
from .numerics import row_sums, sum_single

__all__ = ["pull_channels", "pull_rows", "standardize_channels", "standardize_rows"]

_LEAST = 1e-15  # scales in single precision: the square of a smaller one, which gradients need, is close to underflow
_FAR = 16  # standard deviations: subtracting a mean this far from 0 loses four bits
_LONG = 16  # entries of a channel in an image: fewer are summed by columns


def _out_of_range(x: Array, scale: Array) -> bool:
    """Return whether x needs double precision: squares overflow, those of a scale underflow, or something is NaN."""
    return x.dtype == np.float32 and not scale.min(initial=1) > _LEAST


def _in_double(*arrays: Array | None) -> list[Any]:
    return [None if array is None else array.astype(np.float64) for array in arrays]


# --- rows ---------------------------------------------------------------------------------------------


def standardize_rows(x: Array, weight: Any, bias: Any, eps: float, times: int = 1) -> tuple[Array, Array, int]:
    """Standardise each row of x (M, K), multiply by weight (K,) and add bias (K,).

    Args:
        times: how often to subtract the mean. 0 divides by the root mean square.

    Returns:
        the result; the scale of each row (M, 1), in the precision that the gradient needs; and ``times``, which is 2 if
        a mean is far from 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        y, scale, far, extreme = _standardize_rows(x, weight, bias, eps, 1 / max(x.shape[1], 1), times)
    if extreme and x.dtype == np.float32:
        x_wide, weight, bias = _in_double(x, weight, bias)
        y, scale, times = standardize_rows(x_wide, weight, bias, eps, times)
        return y.astype(x.dtype), scale, times
    return standardize_rows(x, weight, bias, eps, 2) if far else (y, scale, times)


def _deviations(x: Any, share: float, times: int) -> tuple[Any, Any]:
    """Return x minus the mean of each row, and the mean that was subtracted first."""
    first = None
    for _ in range(times):
        mean = row_sums(x, -1) * share
        x, first = x - mean, mean if first is None else first
    return x, first


@fused
def _standardize_rows(x: Any, weight: Any, bias: Any, eps: float, share: float, times: int) -> Any:
    d, mean = _deviations(x, share, times)
    scale = 1 / np.sqrt(np.vecdot(d, d)[..., None] * share + eps)
    y = d * scale if weight is None else d * scale * weight
    far = (np.abs(mean) * scale > _FAR).astype(x.dtype).sum() if times == 1 else 0
    return y if bias is None else y + bias, scale, far, (~(scale > _LEAST)).astype(x.dtype).sum()


@fused
def pull_rows(g: Any, needs: Any, x: Any, weight: Any, scale: Any, times: int, share: float) -> Any:
    """Return the needed cotangents of x (M, K), weight (K,) and bias (K,), given g (M, K).

    Args:
        needs: a tuple. scale, times: from :func:`standardize_rows`. share: 1 / K.
    """
    d, _ = _deviations(x, share, times)
    dx = None
    if needs[0]:
        v = g if weight is None else g * weight
        slope = np.vecdot(v, d)[..., None] * share * scale * scale
        # NumPy reuses the memory of temporaries without a name.
        dx = (v - d * slope) * scale if not times else (d * -slope + v - row_sums(v, -1) * share) * scale
    return dx, np.vecmat(scale[..., 0], g * d) if needs[1] else None, sum_single(g, 0) if needs[2] else None


# --- channels -----------------------------------------------------------------------------------------

# A channel consists of N rows of L entries. The kernels sum each row, or, if L is small, each column over the samples.
# The few sums that remain are added in double precision. A centre is subtracted only if a mean is large relative to the
# spread: with |mean| <= 2 sqrt(var), the error of a variance grows at most by the factor 5.


class _Channels:
    """How to standardise x (N, C, L) over each group of channels of a sample or, without groups, over each channel.

    Attributes:
        shape: x's shape with groups, (N, G, C / G, L). axes: the axes of this shape to standardise over.
        matrix: x's shape as a matrix. axis: the axis of the matrix that a kernel sums. sums: the shape of the sums.
    """

    def __init__(self, x: Array, groups: int | None) -> None:
        N, C, L = x.shape
        self.shape = (N, C, 1, L) if groups is None else (N, groups, C // groups, L)
        self.axes = (0, 2, 3) if groups is None else (2, 3)
        self.count = max(math.prod(self.shape[i] for i in self.axes), 1)
        self.axis = -1 if groups is not None or L >= _LONG else 0
        self.matrix, self.sums = ((N * C, L), (*self.shape[:3], 1)) if self.axis else ((N, C * L), (1, *self.shape[1:]))
        self.dtype = x.dtype

    def spread(self, a: Array | None) -> Array | None:
        """Repeat numbers of channels or groups for each row or column of the matrix."""
        return None if a is None else np.full(self.sums, a, self.dtype).reshape((-1, 1) if self.axis else -1)

    def added(self, *sums: Array) -> list[Array]:
        """Return sums over the matrix's rows or columns in double precision, with the axes of x with groups."""
        return [a.reshape(self.sums).astype(np.float64) for a in sums]

    def mean(self, sums: Array) -> Any:
        """Return the means over all entries that are standardised together."""
        return sums.sum(self.axes, keepdims=True) / self.count

    def of_channels(self, a: Array | None, default: Any) -> Any:
        """Reshape numbers of channels (C,) so that they broadcast against x with groups."""
        return default if a is None else a.reshape(*self.shape[1:3], 1)


def standardize_channels(
    x: Array, weight: Array | None, bias: Array | None, eps: float, groups: int | None, given: Any = None
) -> tuple[Array, Any, Array, Array]:
    """Standardise x (N, C, L) over each group of channels of a sample, multiply by weight (C,) and add bias (C,).

    Args:
        groups: the number of groups; None to standardise each channel of the batch.
        given: the mean and variance (C,) to use instead of x's.

    Returns:
        the result; for :func:`pull_channels`, a tuple of the centres or None, the means of x - centre, and the scales;
        and the mean and variance of each channel (C,) or group, in double precision.
    """
    channels = _Channels(x, groups)
    matrix, centre = x.reshape(channels.matrix), None

    def moments(centre: Any) -> tuple[Array, Array]:
        total, square = channels.added(*_moments(matrix, channels.spread(centre), channels.axis))
        rest = channels.mean(total)
        return rest, np.maximum(channels.mean(square) - rest * rest, 0)

    with np.errstate(over="ignore", invalid="ignore"):
        mean, var = moments(None) if given is None else [channels.of_channels(a.astype(np.float64), 0) for a in given]
        rest = mean
        if not (4 * var >= mean * mean).all():
            centre = mean.astype(x.dtype)
            rest, var = moments(centre) if given is None else (mean - centre, var)
            mean = centre + rest
        scale = 1 / np.sqrt(var + eps)
    if _out_of_range(x, scale):
        x_wide, weight, bias = _in_double(x, weight, bias)
        y, statistics, mean, var = standardize_channels(x_wide, weight, bias, eps, groups, given)
        return y.astype(x.dtype), statistics, mean, var
    factor = scale * channels.of_channels(weight, 1)
    offset = channels.of_channels(bias, 0) - rest * factor
    y = _scaled(matrix, *map(channels.spread, (centre, factor, offset))).reshape(x.shape)
    return y, (centre, rest, scale), mean.reshape(-1), var.reshape(-1)


def pull_channels(
    gs: Any, needs: Any, x: Array, weight: Array | None, groups: int | None, statistics: Any, given: bool = False
) -> tuple[Any, Any, Any, Any, Any]:
    """Return the needed cotangents of x (N, C, L), and of weight, bias, mean and variance (C,).

    ``gs`` holds the cotangents of the output, of the batch's means and of its variances; None stands for zeros. The
    last two are None if mean and variance were ``given``.
    """
    centre, rest, scale = statistics
    if _out_of_range(x, scale):
        x, weight, *gs = _in_double(x, weight, *gs)
    channels = _Channels(x, groups)
    (g, g_mean, g_var), matrix = gs, x.reshape(channels.matrix)
    g = np.zeros_like(matrix) if g is None else np.ascontiguousarray(g.reshape(channels.matrix))
    w, count, dx = channels.of_channels(weight, 1), channels.count, None
    if any(needs[1:]) or not given:
        total, along = channels.added(*_products(g, matrix, channels.spread(centre), channels.axis))
        along = (along - rest * total) * scale  # the sums of g and of g hat
    if needs[0] and given:
        dx = g * channels.spread(w * scale)
    elif needs[0]:
        slope = scale * scale * channels.mean(w * along) - channels.of_channels(g_var, 0) * (2 / count)
        shift = scale * channels.mean(w * total) - channels.of_channels(g_mean, 0) / count - rest * slope
        dx = _pulled(g, matrix, *map(channels.spread, (centre, w * scale, slope, shift)))

    def summed(a: Array) -> Any:
        return a.sum((0, 3)).reshape(-1).astype(x.dtype)

    return (
        None if dx is None else dx.reshape(x.shape),
        summed(along) if needs[1] else None,
        summed(total) if needs[2] else None,
        summed(-w * scale * total) if needs[3] else None,
        summed(scale * scale * w * along / -2) if needs[4] else None,
    )


def _difference(x: Any, centre: Any) -> Any:
    return x if centre is None else x - centre


def _sum_of_products(a: Any, b: Any, axis: int) -> Any:
    return np.vecdot(a, b)[..., None] if axis else sum_single(a * b, 0)


@fused
def _moments(x: Any, centre: Any, axis: int) -> Any:
    d = _difference(x, centre)
    return row_sums(d, axis), _sum_of_products(d, d, axis)


@fused
def _scaled(x: Any, centre: Any, factor: Any, offset: Any) -> Any:
    return _difference(x, centre) * factor + offset


@fused
def _products(g: Any, x: Any, centre: Any, axis: int) -> Any:
    return row_sums(g, axis), _sum_of_products(g, _difference(x, centre), axis)


@fused
def _pulled(g: Any, x: Any, centre: Any, factor: Any, slope: Any, shift: Any) -> Any:
    return g * factor - _difference(x, centre) * slope - shift
