"""Images with more pixels: each repeated, or all interpolated between.

With a factor r there are r pixels in the place of one, and along an axis the middle of the p-th of them, p = 0 … r - 1,
lies t = (p + 1/2) / r - 1/2 pixels behind the middle of that one, -1/2 < t < 1/2. Bilinear interpolation takes it from
the two middles that it lies between, along one axis and then along the other: 1 - |t| of this pixel, and |t| of the one
before it or behind it. What would lie outside of the image is its pixel at the edge. So the p-th pixels of all places
are two shifted images, weighed and added, and the VJP adds the same two back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import folded, narrowed, single
from .kernels.windows import Size, check_images, pair
from .linear import mapped

__all__ = ["upsample"]

_MODES = ("nearest", "bilinear")


@primitive(residuals=())
def upsample(x: Array, factor: int | Size, mode: str = "nearest") -> ForwardResult:
    """Images with an integer number of pixels in the place of each, in both directions.

    Args:
        x: images (N, C, H, W).
        factor: how many, an integer or a (height, width) pair.
        mode: "nearest" repeats pixels, of any dtype; "bilinear" interpolates between the middles of pixels, as PyTorch
            does with ``align_corners=False``; integers become float64, half precision is computed in single.

    Returns:
        (N, C, H height, W width).

    Raises:
        TypeError: if factor is no integer or pair of integers.
        ValueError: if x has not four axes, factor is not positive, or for another mode.

    >>> upsample([[[[0.0, 4.0]]]], (1, 2)), upsample([[[[0.0, 4.0]]]], (1, 2), "bilinear")
    (tensor([[[[0., 0., 4., 4.]]]]), tensor([[[[0., 1., 3., 4.]]]]))
    """
    check_images(x)
    factors = pair("factor", factor, 1)
    if mode not in _MODES:
        raise ValueError(f"mode must be 'nearest' or 'bilinear', not {mode!r}")
    return narrowed(_enlarged(x, factors, mode), x), (factors, mode)


@upsample.vjp
def _(g: Any, needs: Any, factors: Size, mode: str) -> Any:
    return (mapped(g, lambda g: _gathered(g, factors, mode), lambda u: _enlarged(u, factors, mode)),)


@upsample.batched_vjp
def _(g: Array, needs: Any, factors: Size, mode: str) -> Any:
    d = _gathered(folded(g), factors, mode)
    return (d.reshape(*g.shape[:2], *d.shape[1:]),)


def _enlarged(x: Array, factors: Size, mode: str) -> Array:
    """The larger images; interpolated ones wide."""
    if mode == "nearest":
        return _repeated(x, factors)
    x = single(x)
    for axis, r in zip((3, 2), factors[::-1], strict=True):  # strided columns while there are few
        if r > 1:
            x = _interpolated(x, axis, r)
    return x


def _repeated(x: Array, factors: Size) -> Array:
    n, c, height, width = x.shape
    y = np.empty((n, c, height, factors[0], width, factors[1]), x.dtype)
    y[...] = x[:, :, :, None, :, None]
    return y.reshape(n, c, height * factors[0], width * factors[1])


def _gathered(g: Array, factors: Size, mode: str) -> Array:
    """The transpose of :func:`_enlarged`, wide."""
    g = single(g)
    if mode == "nearest":
        return _sums_of_blocks(g, factors)
    for axis, r in zip((2, 3), factors, strict=True):
        if r > 1:
            g = _interpolated_back(g, axis, r)
    return g


def _sums_of_blocks(g: Array, factors: Size) -> Array:
    """The sum of each block of a pixel's copies; of slices, since NumPy sums slowly along a short axis."""
    rh, rw = factors
    rows = _sum([g[:, :, i::rh] for i in range(rh)])
    return _sum([rows[..., j::rw] for j in range(rw)])


def _sum(slices: list[Array]) -> Array:
    total = slices[0] if len(slices) == 1 else slices[0] + slices[1]
    for part in slices[2:]:
        total += part
    return total


# --- along one axis ----------------------------------------------------------------------------------

Part = tuple[float, slice, slice]  # a weight; places among the p-th pixels; the pixels that they take so much of


def _parts(r: int, n: int) -> Iterator[tuple[int, list[Part]]]:
    """For each p what the p-th pixels in the place of n are sums of; parts with the weight 0 are left out."""
    for p in range(r):
        t = (2 * p + 1 - r) / (2 * r)
        parts = [(1 - abs(t), slice(0, n), slice(0, n))]
        if t < 0:
            parts += [(-t, slice(1, n), slice(0, n - 1)), (-t, slice(0, 1), slice(0, 1))]
        elif t > 0:
            parts += [(t, slice(0, n - 1), slice(1, n)), (t, slice(n - 1, n), slice(n - 1, n))]
        yield p, parts


def _interpolated(x: Array, axis: int, r: int) -> Array:
    n, lead = x.shape[axis], (slice(None),) * axis
    y = np.empty((*x.shape[:axis], n * r, *x.shape[axis + 1 :]), x.dtype)
    for p, ((weight, *_), *others) in _parts(r, n) if n else ():
        pixels = weight * x
        for weight, places, sources in others:
            pixels[(*lead, places)] += weight * x[(*lead, sources)]
        y[(*lead, slice(p, None, r))] = pixels
    return y


def _interpolated_back(g: Array, axis: int, r: int) -> Array:
    """The transpose of :func:`_interpolated`."""
    n, lead = g.shape[axis] // r, (slice(None),) * axis
    d = np.zeros((*g.shape[:axis], n, *g.shape[axis + 1 :]), g.dtype)
    for p, parts in _parts(r, n) if n else ():
        pixels = g[(*lead, slice(p, None, r))]
        for weight, places, sources in parts:
            d[(*lead, sources)] += weight * pixels[(*lead, places)]
    return d


# --- the reference: as products with matrices --------------------------------------------------------


def _matrix(n: int, r: int, mode: str) -> Array:
    """(n r, n), by coordinates: where each pixel's middle lies among the n, and which of them it is taken from."""
    if mode == "nearest":
        return np.eye(n)[np.arange(n * r) // r]
    middles = np.clip((np.arange(n * r) + 0.5) / r - 0.5, 0, n - 1)
    return np.maximum(0, 1 - np.abs(middles[:, None] - np.arange(n)))  # type: ignore[no-any-return]


@upsample.reference
def _(x: Any, factor: Any, mode: str = "nearest") -> Any:
    from .. import ops

    down, across = (_matrix(n, r, mode) for n, r in zip(x.shape[2:], pair("factor", factor, 1), strict=True))
    return ops.matmul(down, ops.matmul(x, across.T))
