"""Images with fewer or more pixels: pools, repeated and interpolated pixels, and channels converted to pixels."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from ..core import plain
from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import masked, narrowed, single
from .kernels.windows import Size, Windows, check_images, integer, pair
from .linear import apply_linear
from .reductions import max, mean
from .shaping import pad, stack

# --- windows of one size -----------------------------------------------------------------------------


def _windows(x: Array, kernel: Any, stride: Any, padding: Any) -> tuple[Windows, Size]:
    """Return the windows of a pool and their number; each holds a pixel of the image, not only padding."""
    check_images(x)
    windows = Windows.of(kernel, kernel if stride is None else stride, padding)
    if any(p >= k for p, k in zip(windows.padding, windows.kernel, strict=True)):
        raise ValueError(f"padding {windows.padding} must be smaller than the kernel {windows.kernel}")
    if min(x.shape[2:]) < 1:
        raise ValueError("x must have at least one row and one column")
    return windows, windows.output_size(x.shape[2:])


@primitive(residuals=("x", "output"))
def max_pool2d(
    x: Array, kernel: int | Size, stride: int | Size | None = None, padding: int | Size = 0
) -> ForwardResult:
    """The largest entry of each window; padding counts as minus infinity.

    Entries that tie share the gradient equally; all others get an exact 0 for any cotangent. A window with a NaN gives
    NaN, in the gradient too.

    Args:
        x: images (N, C, H, W).
        kernel: the window's size, an integer or a (height, width) pair.
        stride: from one window to the next; the kernel's size if None.
        padding: less than the kernel's size.

    Returns:
        (N, C, oh, ow) of x's dtype, with oh = (H + 2 padding - kernel) // stride + 1, and ow likewise.

    Raises:
        TypeError: if an option is not an integer.
        ValueError: if x does not have four axes, or an option does not fit.

    >>> max_pool2d(np.arange(16.0, dtype=np.float32).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    windows, count = _windows(x, kernel, stride, padding)
    lowest = {"f": -np.inf, "b": False}[x.dtype.kind] if x.dtype.kind in "fb" else np.iinfo(x.dtype).min
    view = windows.view(windows.pad(x, lowest), count)
    y = view[:, :, 0, 0].copy()
    for i, j in np.ndindex(windows.kernel):
        np.maximum(y, view[:, :, i, j], out=y)
    return y, (x, y, windows)


@max_pool2d.vjp
def _(g: Any, needs: Any, x: Array, y: Array, windows: Windows) -> Any:
    x, y = plain(x), plain(y)
    return (apply_linear(g, lambda g: _spread_shares(g, x, y, windows), lambda u: _gather_shares(u, x, y, windows)),)


def _shares(x: Array, y: Array, windows: Windows, dtype: Any) -> tuple[dict[Size, Array], Array, Array]:
    """Return where each tap equals its window's maximum, how many of a window do, and which windows hold a NaN."""
    view = windows.view(windows.pad(x, np.nan), y.shape[2:])  # NaN never compares equal, so padding gets no share
    masks = {(i, j): view[:, :, i, j] == y for i, j in np.ndindex(windows.kernel)}
    ties = np.zeros(y.shape, dtype)
    for mask in masks.values():
        ties += mask
    return masks, ties, ties == 0  # only a window with a NaN has no entry that equals its maximum


def _spread_shares(g: Array, x: Array, y: Array, windows: Windows) -> Array:
    """With m = [entry equals its window's maximum], an entry gets g m / (sum of m) from each of its windows."""
    g = single(g)
    masks, ties, nan = _shares(x, y, windows, g.dtype)
    grad = windows.pad(np.zeros(x.shape, g.dtype))
    grads = windows.view(grad, y.shape[2:])
    share = g / np.where(nan, np.nan, ties) if nan.any() else g / ties
    for (i, j), mask in masks.items():
        grads[:, :, i, j] += masked(share, mask | nan)
    return windows.crop(grad)


def _gather_shares(u: Array, x: Array, y: Array, windows: Windows) -> Array:
    """Compute the transpose: each window gets the mean of those entries that are its maximum."""
    u = single(u)
    masks, ties, nan = _shares(x, y, windows, u.dtype)
    seen = windows.view(windows.pad(u), y.shape[2:])
    total = np.zeros(y.shape, u.dtype)
    for (i, j), mask in masks.items():
        total += masked(seen[:, :, i, j], mask)
    return total / np.where(nan, np.nan, ties)


@primitive(residuals=())
def avg_pool2d(
    x: Array, kernel: int | Size, stride: int | Size | None = None, padding: int | Size = 0
) -> ForwardResult:
    """The mean of each window; padding counts as zeros, which are part of the mean. Half precision is summed in single.

    Args:
        x: images (N, C, H, W).
        kernel: the window's size, an integer or a (height, width) pair.
        stride: from one window to the next; the kernel's size if None.
        padding: less than the kernel's size.

    Returns:
        (N, C, oh, ow), with oh = (H + 2 padding - kernel) // stride + 1, and ow likewise.

    Raises:
        TypeError: if an option is not an integer.
        ValueError: if x does not have four axes, or an option does not fit.

    >>> avg_pool2d(np.arange(16.0, dtype=np.float32).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]])
    """
    windows, count = _windows(x, kernel, stride, padding)
    return narrowed(_means(x, windows, count), x), (x.shape, windows)


def _means(x: Array, windows: Windows, count: Size) -> Array:
    """Return the mean of each window, in at least single precision."""
    view = windows.view(windows.pad(x), count)
    y = single(np.zeros(view.shape[:2] + count, x.dtype))
    for i, j in np.ndindex(windows.kernel):
        y += view[:, :, i, j]
    y /= windows.kernel[0] * windows.kernel[1]
    return y  # type: ignore[no-any-return]


avg_pool2d.vjp(
    lambda g, needs, shape, windows: (
        apply_linear(g, lambda g: _spread_means(g, shape, windows), lambda u: _means(u, windows, g.shape[2:])),
    )
)


def _spread_means(g: Array, shape: tuple[int, ...], windows: Windows) -> Array:
    """Transpose :func:`_means`: split each window's cotangent equally among its entries."""
    g = single(g)
    grad = windows.pad(np.zeros(shape, g.dtype))
    view = windows.view(grad, g.shape[2:])
    share = g / (windows.kernel[0] * windows.kernel[1])
    for i, j in np.ndindex(windows.kernel):
        view[:, :, i, j] += share
    return windows.crop(grad)


def _stack(x: Any, kernel: Any, stride: Any, padding: Any, value: float) -> Any:
    """Return (kh kw, N, C, oh, ow): for each kernel entry, the pixels that it meets."""
    options = (kernel, kernel if stride is None else stride, padding)
    (kh, kw), (sh, sw), (ph, pw) = (np.broadcast_to(option, 2).tolist() for option in options)
    x = pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=value)
    down, right = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    return stack([x[:, :, i : i + down : sh, j : j + right : sw] for i in range(kh) for j in range(kw)])


max_pool2d.reference(lambda x, kernel, stride=None, padding=0: max(_stack(x, kernel, stride, padding, -np.inf), axis=0))


avg_pool2d.reference(lambda x, kernel, stride=None, padding=0: mean(_stack(x, kernel, stride, padding, 0.0), axis=0))


# --- adaptive pooling ------------------------------------------------------------------------------


@primitive(residuals=())
def adaptive_avg_pool2d(x: Array, output_size: int | Size) -> ForwardResult:
    """Average each image over a grid of bins that cover it. Half precision is summed in single.

    Along an axis of n pixels, bin i of m has those from floor(i n / m) up to, but without, ceil((i + 1) n / m). If m
    does not divide n, bins overlap or differ in size, and each pixel is in at least one. If m is more than n, pixels
    are repeated.

    Args:
        x: images (N, C, H, W).
        output_size: the number of bins, an integer or a (height, width) pair.

    Returns:
        ``(N, C, *output_size)``.

    Raises:
        TypeError: if output_size is not an integer or pair of integers.
        ValueError: if x does not have four axes, or has no rows or columns, or output_size is not positive.

    >>> adaptive_avg_pool2d(np.arange(12.0, dtype=np.float32).reshape(1, 1, 3, 4), (1, 2))
    tensor([[[[4.5, 6.5]]]])
    """
    check_images(x)
    size = pair("output_size", output_size, 1)
    if min(x.shape[2:]) < 1:
        raise ValueError("x must have at least one row and one column")
    return narrowed(_bin_means(x, size), x), (x.shape, size)


def _bins(n: int, m: int) -> list[tuple[int, int]]:
    """Return where each of m bins of n pixels starts and ends."""
    return [(i * n // m, -((i + 1) * n // -m)) for i in range(m)]


def _bin_means(x: Array, size: Size) -> Array:
    """Return the mean of each bin, wide: over rows, and then over the columns of the result."""
    x = single(x)
    if size == (1, 1):
        return np.mean(x, axis=(2, 3), keepdims=True)  # type: ignore[no-any-return]
    for axis, m in zip((2, 3), size, strict=True):
        y = np.empty((*x.shape[:axis], m, *x.shape[axis + 1 :]), x.dtype)
        into, pixels = np.moveaxis(y, axis, 0), np.moveaxis(x, axis, 0)
        for i, (start, end) in enumerate(_bins(len(pixels), m)):
            into[i] = sum(pixels[start:end]) / (end - start)  # faster than NumPy's sum along a short axis
        x = y
    return x


adaptive_avg_pool2d.vjp(
    lambda g, needs, shape, size: (apply_linear(g, lambda g: _spread_bins(g, shape), lambda u: _bin_means(u, size)),)
)


def _spread_bins(g: Array, shape: tuple[int, ...]) -> Array:
    """Transpose :func:`_bin_means`: split each bin's cotangent equally among its pixels."""
    g = single(g)
    if g.shape[2:] == (1, 1):
        return np.broadcast_to(g / (shape[2] * shape[3]), shape)
    for axis in (3, 2):
        d = np.zeros((*g.shape[:axis], shape[axis], *g.shape[axis + 1 :]), g.dtype)
        pixels, bins = np.moveaxis(d, axis, 0), np.moveaxis(g, axis, 0)
        for cotangent, (start, end) in zip(bins, _bins(shape[axis], len(bins)), strict=True):
            pixels[start:end] += cotangent / (end - start)
        g = d
    return g


# --- channels to pixels ----------------------------------------------------------------------------


def _shuffled(x: Any, r: int) -> Any:
    n, c, height, width = x.shape
    squares = x.reshape(n, c // r**2, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)
    return squares.reshape(n, c // r**2, height * r, width * r)


def _unshuffled(x: Any, r: int) -> Any:
    n, c, tall, wide = x.shape
    squares = x.reshape(n, c, tall // r, r, wide // r, r).transpose(0, 1, 3, 5, 2, 4)
    return squares.reshape(n, c * r**2, tall // r, wide // r)


@primitive(residuals=())
def pixel_shuffle(x: Array, factor: int) -> ForwardResult:
    """Channels become pixels: each run of r² channels fills the r by r square of its pixel (depth to space).

    y[n, c, h r + i, w r + j] = x[n, c r² + i r + j, h, w] with r = factor.

    Args:
        x: images (N, C r², H, W).
        factor: r, at least 1.

    Returns:
        (N, C, H r, W r).

    Raises:
        TypeError: if factor is not an integer.
        ValueError: if x does not have four axes, or its channels are not a multiple of r².

    >>> pixel_shuffle(np.arange(4.0, dtype=np.float32).reshape(1, 4, 1, 1), 2)
    tensor([[[[0., 1.],
              [2., 3.]]]])
    """
    check_images(x)
    r = integer("factor", factor, least=1)
    if x.shape[1] % r**2:
        raise ValueError(f"x has {x.shape[1]} channels, which must be a multiple of factor² = {r**2}")
    return _shuffled(x, r), (r,)


pixel_shuffle.vjp(lambda g, needs, r: (_unshuffled(g, r),))


@primitive(residuals=())
def pixel_unshuffle(x: Array, factor: int) -> ForwardResult:
    """Pixels become channels, the inverse of :func:`pixel_shuffle`: each r by r square a run of r² channels.

    y[n, c r² + i r + j, h, w] = x[n, c, h r + i, w r + j] with r = factor.

    Args:
        x: images (N, C, H r, W r).
        factor: r, at least 1.

    Returns:
        (N, C r², H, W).

    Raises:
        TypeError: if factor is not an integer.
        ValueError: if x does not have four axes, or its rows or columns are not a multiple of r.

    >>> pixel_unshuffle(np.arange(4.0, dtype=np.float32).reshape(1, 1, 2, 2), 2).shape
    (1, 4, 1, 1)
    """
    check_images(x)
    r = integer("factor", factor, least=1)
    if x.shape[2] % r or x.shape[3] % r:
        raise ValueError(f"x has {x.shape[2]} rows and {x.shape[3]} columns, which must be multiples of the factor {r}")
    return _unshuffled(x, r), (r,)


pixel_unshuffle.vjp(lambda g, needs, r: (_shuffled(g, r),))


pixel_shuffle.reference(lambda x, factor: _shuffled(x, factor))
pixel_unshuffle.reference(lambda x, factor: _unshuffled(x, factor))


# --- more pixels -------------------------------------------------------------------------------------

# With a factor r, r pixels replace one. Along an axis the middle of the p-th of them is t = (p + 1/2) / r - 1/2 pixels
# after the middle of the original pixel, -1/2 < t < 1/2. Bilinear interpolation takes 1 - |t| of this pixel and |t| of
# the one before or after it; outside the image, the pixel at the edge is repeated.


@primitive(residuals=())
def upsample(x: Array, factor: int | Size, mode: str = "nearest") -> ForwardResult:
    """Replace each pixel of images by an integer number of pixels, in both directions.

    Args:
        x: images (N, C, H, W).
        factor: the number of pixels, an integer or a (height, width) pair.
        mode: "nearest" repeats pixels, of any dtype; "bilinear" interpolates between the middles of pixels, as PyTorch
            does with ``align_corners=False``; integers become float64, half precision is computed in single.

    Returns:
        (N, C, H height, W width).

    Raises:
        TypeError: if factor is not an integer or pair of integers.
        ValueError: if x does not have four axes, factor is not positive, or for another mode.

    >>> upsample([[[[0.0, 4.0]]]], (1, 2)), upsample([[[[0.0, 4.0]]]], (1, 2), "bilinear")
    (tensor([[[[0., 0., 4., 4.]]]]), tensor([[[[0., 1., 3., 4.]]]]))
    """
    check_images(x)
    factors = pair("factor", factor, 1)
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"mode must be 'nearest' or 'bilinear', not {mode!r}")
    return narrowed(_enlarged(x, factors, mode), x), (factors, mode)


upsample.vjp(
    lambda g, needs, factors, mode: (
        apply_linear(g, lambda g: _gathered(g, factors, mode), lambda u: _enlarged(u, factors, mode)),
    )
)


def _enlarged(x: Array, factors: Size, mode: str) -> Array:
    """Return the larger images; interpolated ones wide."""
    if mode == "nearest":
        return np.repeat(np.repeat(x, factors[1], 3), factors[0], 2)
    x = single(x)
    for axis, r in zip((3, 2), factors[::-1], strict=True):  # strided columns while there are few
        y = np.empty((*x.shape[:axis], x.shape[axis] * r, *x.shape[axis + 1 :]), x.dtype)
        pixels, into = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
        before, after = np.concatenate([pixels[:1], pixels[:-1]]), np.concatenate([pixels[1:], pixels[-1:]])
        for p, t in enumerate(_distances(r)):
            into[p::r] = (1 - abs(t)) * pixels + abs(t) * (before if t < 0 else after) if t else pixels
        x = y
    return x


def _distances(r: int) -> list[float]:
    """Return the offsets from the middle of a pixel at which its r replacements take their values."""
    return [(2 * p + 1 - r) / (2 * r) for p in range(r)]


def _gathered(g: Array, factors: Size, mode: str) -> Array:
    """Compute the transpose of :func:`_enlarged`, wide."""
    g = single(g)
    if mode == "nearest":
        rows = reduce(np.add, [g[:, :, i :: factors[0]] for i in range(factors[0])])
        return reduce(np.add, [rows[..., j :: factors[1]] for j in range(factors[1])])
    for axis, r in zip((2, 3), factors, strict=True):
        d = np.zeros((*g.shape[:axis], g.shape[axis] // r, *g.shape[axis + 1 :]), g.dtype)
        into = np.moveaxis(d, axis, 0)
        for p, t in enumerate(_distances(r)):
            pixels = np.moveaxis(g, axis, 0)[p::r]
            into += (1 - abs(t)) * pixels if t else pixels
            if t < 0:
                into[:-1] -= t * pixels[1:]
                into[:1] -= t * pixels[:1]
            elif t > 0:
                into[1:] += t * pixels[:-1]
                into[-1:] += t * pixels[-1:]
        g = d
    return g
