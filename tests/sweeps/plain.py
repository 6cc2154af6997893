"""Convolutions as their definition says, with their gradients: a loop over the kernel's taps. In float64, and slow.

Nothing of minigrad is used. For each tap (i, j), ``pixels`` is the view of the padded image that the tap meets, one pixel for
each window; T = sum of g w x over all of them is the trilinear form whose derivatives are the three results.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["conv2d", "conv_transpose2d"]

Array = np.ndarray
Pair = tuple[int, int]


class Taps:
    """The windows of padded images, one tap at a time, and the options that say how they lie."""

    def __init__(self, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> None:
        self.kernel, self.stride, self.padding, self.dilation, self.groups = kernel, stride, padding, dilation, groups

    def padded(self, shape: tuple[int, ...]) -> Array:
        n, c, height, width = shape
        return np.zeros((n, c, height + 2 * self.padding[0], width + 2 * self.padding[1]))

    def inner(self, padded: Array) -> Array:
        (ph, pw), (height, width) = self.padding, padded.shape[2:]
        return padded[:, :, ph : height - ph, pw : width - pw]

    def each(self, padded: Array, number: Pair) -> Iterator[tuple[int, int, Array]]:
        """i, j and the view (n, groups, c, oh, ow) of the pixels that tap (i, j) meets."""
        (sh, sw), (dh, dw), (oh, ow) = self.stride, self.dilation, number
        n, c = padded.shape[:2]
        for i, j in np.ndindex(*self.kernel):
            rows, columns = slice(i * dh, i * dh + (oh - 1) * sh + 1, sh), slice(j * dw, j * dw + (ow - 1) * sw + 1, sw)
            view = padded.reshape(n, self.groups, c // self.groups, *padded.shape[2:])[..., rows, columns]
            yield i, j, view


def of_windows(x: Array, w: Array, number: Pair, taps: Taps) -> Array:
    """dT/dg: y[n,f,p,q] = sum of w[f,c,i,j] x[n,c,p s + i d, q s + j d]."""
    padded = taps.padded(x.shape)
    taps.inner(padded)[...] = x
    filters = w.reshape(taps.groups, -1, *w.shape[1:])
    y = np.zeros((len(x), taps.groups, filters.shape[1], *number))
    for i, j, pixels in taps.each(padded, number):
        for k in range(taps.groups):
            y[:, k] += np.einsum("fc,ncpq->nfpq", filters[k, :, :, i, j], pixels[:, k], optimize=True)
    return y.reshape(len(x), -1, *number)


def of_images(g: Array, w: Array, size: Pair, taps: Taps) -> Array:
    """dT/dx: each entry of g times each filter, summed where the window lies."""
    filters = w.reshape(taps.groups, -1, *w.shape[1:])
    padded = taps.padded((len(g), taps.groups * w.shape[1], *size))
    g = g.reshape(len(g), taps.groups, -1, *g.shape[2:])
    for i, j, pixels in taps.each(padded, g.shape[3:]):
        for k in range(taps.groups):
            pixels[:, k] += np.einsum("fc,nfpq->ncpq", filters[k, :, :, i, j], g[:, k], optimize=True)
    return taps.inner(padded)


def of_filters(x: Array, g: Array, taps: Taps) -> Array:
    """dT/dw: each entry of g times what its window saw."""
    padded = taps.padded(x.shape)
    taps.inner(padded)[...] = x
    g = g.reshape(len(g), taps.groups, -1, *g.shape[2:])
    dw = np.zeros((taps.groups, g.shape[2], x.shape[1] // taps.groups, *taps.kernel))
    for i, j, pixels in taps.each(padded, g.shape[3:]):
        for k in range(taps.groups):
            dw[k, :, :, i, j] = np.einsum("nfpq,ncpq->fc", g[:, k], pixels[:, k], optimize=True)
    return dw.reshape(-1, *dw.shape[2:])


def conv2d(x: Array, w: Array, b: Array | None, g: Array, taps: Taps) -> list[Array]:
    """y, and for the cotangent g of y the gradients dx, dw, db."""
    y = of_windows(x, w, g.shape[2:], taps) + (0 if b is None else b[:, None, None])
    return [y, of_images(g, w, x.shape[2:], taps), of_filters(x, g, taps), g.sum(axis=(0, 2, 3))]


def conv_transpose2d(x: Array, w: Array, b: Array | None, g: Array, taps: Taps) -> list[Array]:
    """The same for the adjoint: x has the place of a convolution's result, y that of its images."""
    y = of_images(x, w, g.shape[2:], taps) + (0 if b is None else b[:, None, None])
    return [y, of_windows(g, w, x.shape[2:], taps), of_filters(g, x, taps), g.sum(axis=(0, 2, 3))]
