"""Standardised arrays, (x - mean) / sqrt(var + eps) times a weight plus a bias, and their gradients, on plain arrays.

For *rows*, x (M, K), the mean and variance are those of each row, and weight and bias are (K,). For *channels*,
x (N, C, L), they are those of the N L entries of a channel, and for *groups* those of adjacent channels of a sample;
weight and bias are (C,). With d = x - centre, which is x itself if the mean is small relative to the spread, and
hat = (d - shift) scale, the computations per entry are

    y  = d S + T         S = scale w,      T = b - shift S
    dx = g S - d A - B   A = scale^2 mean(g w hat),   B = scale mean(g w) - shift A

>>> x = np.array([[1.0, 2.0, 3.0]])
>>> y, statistics = standardise_rows(x, np.ones(3), np.zeros(3), eps=0.0)
>>> y.round(4)
array([[-1.2247,  0.    ,  1.2247]])
>>> dx, dw, db = pull_rows(np.array([[1.0, 0.0, 0.0]]), (True, True, True), x, np.ones(3), statistics)
>>> dx.round(4), dw.round(4)
(array([[ 0.2041, -0.4082,  0.2041]]), array([-1.2247,  0.    ,  0.    ]))

Arrays are processed in blocks that stay in a core's cache, because NumPy reads and writes them once for each operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...spec import Array
from ...summation import block_sum

__all__ = [
    "Statistics", "pull_channels", "pull_groups", "pull_rows", "standardise_channels", "standardise_groups",
    "standardise_rows",
]  # fmt: skip

_BLOCK = 2**16  # entries
_LEAST = 1e-15  # scales in single precision: the square of a smaller one, which gradients need, is close to underflow
_LONG = 16  # entries of a channel in an image; this many or more are summed by products


class Statistics(NamedTuple):
    """Statistics to standardise x, (x - centre - shift) * scale: one per row (M,), group (N G,) or channel (C,).

    The centre is 0 if the mean is small relative to the spread, so that x is as accurate as x - mean. Otherwise
    x - centre is computed first, and the shift is its remaining mean after rounding.
    """

    centre: Array
    shift: Array
    scale: Array


def _step(size: int) -> int:
    """Return how many items of a size fit in a block; at least one."""
    return max(1, _BLOCK // max(size, 1))


def _underflow(statistics: Statistics) -> bool:
    """Return whether some scale is so small that its gradient must be computed in double precision."""
    return statistics.scale.dtype == np.float32 and bool(statistics.scale.min(initial=1) < _LEAST)


def _in_double(*arrays: Array | None) -> list[Any]:
    return [None if array is None else array.astype(np.float64) for array in arrays]


def _blocks(count: int, size: int) -> Iterator[slice]:
    """Return slices of a number of equal items, each slice as large as fits in a block."""
    step = _step(size)
    return (slice(start, start + step) for start in range(0, count, step))


def _far(mean: Array, var: Array) -> Array:
    """Return where x - mean must be computed first, because x is far from 0 relative to its spread, or overflows.

    With |mean| <= 2 sqrt(var), squares lose at most 5 units of rounding, and entries 2. NaN counts as far.
    """
    with np.errstate(over="ignore"):
        return ~((4 * var >= mean * mean) & (var < np.inf))


# --- rows ---------------------------------------------------------------------------------------------


def standardise_rows(
    x: Array, weight: Array, bias: Array | None, eps: float, centred: bool = True
) -> tuple[Array, Statistics]:
    """Standardise each row of x (M, K), multiply by weight (K,) and add bias (K,).

    Without ``centred`` the mean counts as 0, which divides by root mean squares.
    """
    M, K = x.shape
    y = np.empty(x.shape, x.dtype)
    statistics = Statistics(*np.zeros((3, M), x.dtype))
    scaled, shifted = _columns(weight), _columns(weight, bias)
    part = np.empty((min(M, _step(K)), K), x.dtype)
    for block in _blocks(M, K):
        d = _row_moments(x[block], eps, centred, *(s[block] for s in statistics))
        out, r = y[block], statistics.scale[block]
        _combined(r, 0.0, scaled, out)
        out *= d
        if centred or bias is not None:
            out += _combined(-statistics.shift[block] * r, 1.0, shifted, part[: len(out)])
    return y, statistics


def _row_moments(x: Array, eps: float, centred: bool, centre: Array, shift: Array, scale: Array) -> Array:
    """Write the statistics of rows x (m, K) into arrays (m,), and return x - centre."""
    K = x.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):  # these rows are recomputed
        var = np.vecdot(x, x)
        var /= max(K, 1)
        if centred:
            np.matmul(x, np.full(K, 1 / max(K, 1), x.dtype), out=shift)
            var -= shift * shift
    far = _far(shift, var)
    if far.any():
        var = var.astype(np.float64)
        centre[far], shift[far], var[far] = _exactly(x[far], (-1,), centred)
        x = x - centre[:, None]
    scale[...] = 1 / np.sqrt(np.maximum(var, 0) + eps)  # rounding may have left a variance below 0
    return x


def _exactly(x: Array, axes: tuple[int, ...], centred: bool = True) -> tuple[Array, Array, Array]:
    """Return centres, shifts and variances over axes, in double precision; a centre that is not wanted is 0."""
    wide = x.astype(np.float64)
    centre = wide.mean(axes, keepdims=True).astype(x.dtype) if centred else np.zeros((len(x), 1))
    wide -= centre
    shift = wide.mean(axes, keepdims=True) if centred else centre
    return centre.reshape(-1), shift.reshape(-1), np.square(wide - shift).mean(axes)


def _columns(weight: Array, bias: Array | None = None) -> Array:
    """Stack the weight on the bias, or on zeros: (2, K)."""
    return np.array([weight, np.zeros_like(weight) if bias is None else bias])  # np.stack takes 4 µs longer


def _combined(first: Any, second: Any, columns: Array, out: Array) -> Array:
    """Compute out[m] = first[m] columns[0] + second[m] columns[1], as a product.

    For (64, 768) in float32 in µs: this takes 9, and multiplying by it in place 6; multiplying each row by a factor
    takes 20.
    """
    factors = np.empty((len(out), 2), out.dtype)
    factors[:, 0], factors[:, 1] = first, second
    return np.matmul(factors, columns, out=out)


def pull_rows(
    g: Array, needs: Any, x: Array, weight: Array, statistics: Statistics, centred: bool = True
) -> tuple[Any, Any, Any]:
    """Return the needed cotangents of x (M, K), weight (K,) and bias (K,), given g (M, K)."""
    if _underflow(statistics):
        g, x, weight, *wide = _in_double(g, x, weight, *statistics)
        return pull_rows(g, needs, x, weight, Statistics(*wide), centred)
    M, K = x.shape
    count = max(K, 1)
    dx = np.empty(x.shape, x.dtype) if needs[0] else None
    dw, db = (np.zeros(K, x.dtype) if need else None for need in needs[1:])
    scaled, ones = _columns(weight), _columns(np.ones(K, x.dtype))
    part = np.empty((min(M, _step(K)), K), x.dtype)
    for block in _blocks(M, K):
        u, (c, s, r) = g[block], (a[block] for a in statistics)
        products = part[: len(u)]
        if needs[0] or needs[1]:
            d = x[block] - c[:, None] if c.any() else x[block]
            np.multiply(u, d, out=products)
        if db is not None:
            db += np.ones_like(r) @ u
        if dw is not None:
            dw += r @ products
            dw -= (s * r) @ u if centred else 0
        if dx is not None:
            out = dx[block]
            total = u @ weight / count if centred else np.zeros_like(s)
            a = r * r * r * (products @ weight / count - s * total)
            _combined(r, 0.0, scaled, out)
            out *= u
            _combined(a, 0.0, ones, products)
            products *= d
            out -= products
            if centred:
                out -= (r * total - s * a)[:, None]
    return dx, dw, db


# --- groups -------------------------------------------------------------------------------------------


def standardise_groups(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Statistics]:
    """Standardise each group of channels of a sample of x (N, C, L), multiply by weight (C,) and add bias (C,)."""
    N, C, L = x.shape
    y = np.empty(x.shape, x.dtype)
    statistics = Statistics(*np.zeros((3, N * groups), x.dtype))
    for block in _blocks(N, C * L):
        rows = slice(block.start * groups, block.stop * groups)
        samples = x[block]
        of_groups = samples.reshape(len(samples) * groups, C // groups * L)
        d = _row_moments(of_groups, eps, True, *(s[rows] for s in statistics))
        _, s, r = (_each_channel(a[rows], groups, C) for a in statistics)
        factor = r if weight is None else r * weight
        offset = -s * factor if bias is None else bias - s * factor
        out = y[block]
        np.multiply(d.reshape(out.shape), factor[..., None], out=out)
        out += offset[..., None]
    return y, statistics


def pull_groups(
    g: Array, needs: Any, x: Array, weight: Array | None, statistics: Statistics, groups: int
) -> tuple[Any, Any, Any]:
    """Return the needed cotangents of x (N, C, L), weight (C,) and bias (C,), given g (N, C, L)."""
    if _underflow(statistics):
        g, x, weight, *wide = _in_double(g, x, weight, *statistics)
        return pull_groups(g, needs, x, weight, Statistics(*wide), groups)
    N, C, L = x.shape
    w = np.ones(C, x.dtype) if weight is None else weight
    dx = np.empty(x.shape, x.dtype) if needs[0] else None
    dw, db = (np.zeros(C, x.dtype) if need else None for need in needs[1:])
    for block in _blocks(N, C * L):
        u, d = g[block], x[block]
        rows = slice(block.start * groups, block.stop * groups)
        c, s, r = (_each_channel(a[rows], groups, C) for a in statistics)
        d = d - c[..., None] if c.any() else d
        total = u @ np.ones(L, x.dtype)
        along = r * (np.vecdot(u, d) - s * total) if needs[0] or needs[1] else total
        if dw is not None:
            dw += along.sum(0)
        if db is not None:
            db += total.sum(0)
        if dx is not None:
            a = r * r * _group_means(along * w, groups, L)
            b = r * _group_means(total * w, groups, L) - s * a
            out = dx[block]
            np.multiply(u, (r * w)[..., None], out=out)
            out -= d * a[..., None]
            out -= b[..., None]
    return dx, dw, db


def _each_channel(rows: Array, groups: int, C: int) -> Array:
    """Repeat a number for each group (n G,) for each of its channels: (n, C)."""
    return np.repeat(rows, C // groups).reshape(len(rows) // groups, C)


def _group_means(sums: Array, groups: int, L: int) -> Array:
    """Return the mean of each group for each of its channels (n, C), given sums over channels of L entries."""
    n, C = sums.shape
    means = sums.reshape(n * groups, C // groups).sum(1) / max(C // groups * L, 1)
    return _each_channel(means, groups, C)


# --- channels -----------------------------------------------------------------------------------------


def standardise_channels(
    x: Array, weight: Array | None, bias: Array | None, eps: float, given: tuple[Array, Array] | None = None
) -> tuple[Array, Statistics, Array, Array]:
    """Standardise each channel of x (N, C, L), times weight (C,) plus bias (C,); also return means and variances (C,).

    It uses the mean and variance that are ``given``, or those of x.
    """
    _, C, L = x.shape
    y = np.empty(x.shape, x.dtype)
    statistics = Statistics(*np.zeros((3, C), x.dtype))
    mean, var = np.zeros((2, C), x.dtype) if given is None else given
    for block in _channel_blocks(x):
        d = x[:, block]
        centre, shift, scale = (s[block] for s in statistics)
        if given is None:
            d = _channel_moments(d, eps, centre, shift, scale, var[block])
            mean[block] = centre + shift
        else:
            far = _far(mean[block], var[block])
            centre[far] = mean[block][far]
            shift[...] = mean[block] - centre
            scale[...] = 1 / np.sqrt(var[block] + eps)
            d = d - centre[:, None] if far.any() else d
        factor = scale if weight is None else scale * weight[block]
        offset = -shift * factor if bias is None else bias[block] - shift * factor
        out = _rows(y[:, block])
        np.multiply(_rows(d), np.repeat(factor, L), out=out)
        out += np.repeat(offset, L)
    return y, statistics, mean, var


def _channel_moments(x: Array, eps: float, centre: Array, shift: Array, scale: Array, var: Array) -> Array:
    """Write the statistics of channels x (N, c, L) into arrays (c,), and return x - centre."""
    count = max(len(x) * x.shape[2], 1)
    with np.errstate(over="ignore", invalid="ignore"):  # these channels are recomputed
        shift[...] = _channel_sums(x) / count
        exact = _channel_products(x, x) / count - shift * shift
    far = _far(shift, exact)
    if far.any():
        exact = exact.astype(np.float64)
        centre[far], shift[far], exact[far] = _exactly(x[:, far], (0, 2))
        x = x - centre[:, None]
    var[...] = np.maximum(exact, 0)
    scale[...] = 1 / np.sqrt(np.maximum(exact, 0) + eps)
    return x


def pull_channels(
    gs: Sequence[Array | None], needs: Any, x: Array, weight: Array | None, statistics: Statistics, given: bool
) -> tuple[Any, Any, Any, Any, Any]:
    """Return the needed cotangents of x (N, C, L), and of weight, bias, mean and variance (C,).

    They follow from those of the output, of the batch's means and of its variances, None for zeros. The latter two are
    None if mean and variance were ``given``.
    """
    if _underflow(statistics):
        x, weight, *wide = _in_double(x, weight, *statistics)
        return pull_channels(_in_double(*gs), needs, x, weight, Statistics(*wide), given)
    g, g_mean, g_var = gs
    N, C, L = x.shape
    count = max(N * L, 1)
    g = np.zeros_like(x) if g is None else g
    dx = np.empty(x.shape, x.dtype) if needs[0] else None
    total, along = np.zeros((2, C), x.dtype)  # the sums of g and of g hat
    factors = statistics.scale if weight is None else statistics.scale * weight
    for block in _channel_blocks(x):
        u, (c, s, r), f = g[:, block], (a[block] for a in statistics), factors[block]
        d = x[:, block] - c[:, None] if c.any() else x[:, block]
        if any(needs[1:]) or not given:
            total[block] = _channel_sums(u)
            along[block] = r * (_channel_products(u, d) - s * total[block])
        if dx is None:
            continue
        out = _rows(dx[:, block])
        np.multiply(_rows(u), np.repeat(f, L), out=out)
        if given:
            continue
        a = f * r * along[block] / count
        b = f * total[block] / count
        if g_var is not None:
            a -= g_var[block] * (2 / count)
        if g_mean is not None:
            b -= g_mean[block] / count
        out -= _rows(d) * np.repeat(a, L)
        out -= np.repeat(b - s * a, L)
    w = 1 if weight is None else weight
    return (
        dx,
        along if needs[1] else None,
        total if needs[2] else None,
        -factors * total if needs[3] else None,
        statistics.scale**2 * w * along / -2 if needs[4] else None,
    )


def _channel_blocks(x: Array) -> Iterator[slice]:
    """Return slices of channels of x (N, C, L), in larger blocks, because their entries are in N places.

    For (32, 64, 1024) in float32, forward and backward take 6 ms in blocks of 2^18 entries, 13 ms in blocks of 2^16.
    """
    return _blocks(x.shape[1], len(x) * x.shape[2] // 4)


def _rows(x: Array) -> Array:
    """Return (N, c, L) as (N, c L)."""
    return x.reshape(len(x), x.shape[1] * x.shape[2])


def _channel_sums(x: Array) -> Array:
    """Sum channels (N, c, L): (c,)."""
    if x.shape[2] >= _LONG:
        return block_sum(x @ np.ones(x.shape[2], x.dtype), 0)  # type: ignore[no-any-return]
    return block_sum(_rows(x), 0).reshape(x.shape[1:]).sum(1)  # type: ignore[no-any-return]


def _channel_products(a: Array, b: Array) -> Array:
    """Sum a b over channels (N, c, L): (c,)."""
    return block_sum(np.vecdot(a, b), 0) if a.shape[2] >= _LONG else _channel_sums(a * b)
