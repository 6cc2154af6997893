"""Convolutions of images.

All of it is one trilinear form: with windows of x lined up as columns,

    T(x, w, y) = sum over n, f, c, i, j, p, q of  y[n,f,p,q] w[f,c,i,j] x[n,c, p s + i d, q s + j d]

A convolution is its derivative in y, a transposed convolution the one in x, and each one's VJP is made of
the other two. So there are three functions below, and both primitives share them: they are adjoint by
construction. Each runs over the batch in blocks small enough for the cache, one matrix product a
block and group.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

from ..primitives import primitive
from ..spec import Array
from .windows import Size, Windows, check_images, integer, pair

Pair = tuple[Array, tuple[Any, ...]]

_COLUMNS = 2048  # windows in a block: enough for an efficient matrix product, few enough for the cache


def _blocks(images: int, windows: int) -> Iterator[slice]:
    """Runs of images, each with so many windows, that are worked on together."""
    step = max(1, _COLUMNS // max(1, windows))
    return (slice(start, min(start + step, images)) for start in range(0, images, step))


def _im2col(x: Array, windows: Windows, count: Size, groups: int) -> Iterator[tuple[slice, Array]]:
    """Block by block, which images and their windows as columns, (groups, C/groups kh kw, n oh ow).

    The columns are in one buffer, which the next block overwrites.
    """
    rows, columns = x.shape[1] * windows.kernel[0] * windows.kernel[1], count[0] * count[1]
    buffer = np.empty(0, x.dtype)
    for block in _blocks(len(x), columns):
        n = block.stop - block.start
        if buffer.size < n * rows * columns:
            buffer = np.empty(n * rows * columns, x.dtype)
        cols = buffer[: n * rows * columns].reshape(x.shape[1], *windows.kernel, n, *count)
        cols[...] = windows.view(windows.pad(x[block]), count).transpose(1, 2, 3, 0, 4, 5)
        yield block, cols.reshape(groups, rows // groups, n * columns)


def _col2im(cols: Array, windows: Windows, out: Array) -> None:
    """The adjoint of :func:`_im2col` on a block: sum columns (C, kh, kw, n, oh, ow) where they came from."""
    (n, c, height, width), (ph, pw) = out.shape, windows.padding
    padded = np.zeros((n, c, height + 2 * ph, width + 2 * pw), out.dtype)
    view = windows.view(padded, cols.shape[4:])
    for i, j in np.ndindex(windows.kernel):
        view[:, :, i, j] += cols[:, i, j].swapaxes(0, 1)
    out[...] = windows.crop(padded)


def _as_matrix(w: Array, groups: int) -> Array:
    """A kernel (F, C/groups, kh, kw) as (groups, F/groups, C/groups kh kw)."""
    return w.reshape(groups, w.shape[0] // groups, w.shape[1] * w.shape[2] * w.shape[3])


def _as_columns(y: Array, groups: int) -> Array:
    """Images (n, F, oh, ow) as (groups, F/groups, n oh ow)."""
    n, f, height, width = y.shape
    return y.swapaxes(0, 1).reshape(groups, f // groups, n * height * width)


def _correlate(x: Array, w: Array, windows: Windows, count: Size, groups: int) -> Array:
    """dT/dy (N, F, oh, ow): each window of x times each filter."""
    y = np.empty((len(x), len(w), *count), np.result_type(x, w))
    matrix = _as_matrix(w, groups)
    for block, cols in _im2col(x, windows, count, groups):
        n = block.stop - block.start
        if n == 1:
            np.matmul(matrix, cols, out=_as_columns(y[block], groups))
        else:
            y[block] = np.matmul(matrix, cols).reshape(len(w), n, *count).swapaxes(0, 1)
    return y


def _correlate_images(y: Array, w: Array, windows: Windows, size: Size, groups: int) -> Array:
    """dT/dx (N, C, *size): each entry of y times each filter, summed where the windows lie."""
    filters, part, kh, kw = w.shape
    channels = groups * part
    borders = windows.extent[0] - 1 - windows.padding[0], windows.extent[1] - 1 - windows.padding[1]
    plain = windows.stride == (1, 1) and windows.output_size(size) == y.shape[2:]  # no output_padding
    if plain and min(borders) >= 0 and filters <= channels:
        # With stride 1, substituting p -> p - i d makes this a convolution of y with the flipped
        # kernel: fewer sums over overlapping windows, if y has no more channels than x.
        flipped = w.reshape(groups, filters // groups, part, kh, kw).swapaxes(1, 2)[..., ::-1, ::-1]
        flipped = flipped.reshape(channels, filters // groups, kh, kw)
        return _correlate(y, flipped, windows._replace(padding=borders), size, groups)
    x = np.empty((len(y), channels, *size), np.result_type(y, w))
    matrix = _as_matrix(w, groups).swapaxes(1, 2)
    for block in _blocks(len(y), y.shape[2] * y.shape[3]):
        cols = np.matmul(matrix, _as_columns(y[block], groups))
        n = block.stop - block.start
        _col2im(cols.reshape(channels, kh, kw, n, *y.shape[2:]), windows, x[block])
    return x


def _correlate_filters(x: Array, y: Array, windows: Windows, groups: int) -> Array:
    """dT/dw (F, C/groups, kh, kw): each window of x times the entry of y that came of it, summed."""
    filters, channels = y.shape[1], x.shape[1] // groups
    rows = channels * windows.kernel[0] * windows.kernel[1]
    matrix = np.zeros((groups, rows, filters // groups), np.result_type(x, y))
    for block, cols in _im2col(x, windows, y.shape[2:], groups):
        matrix += np.matmul(cols, _as_columns(y[block], groups).swapaxes(1, 2))
    return matrix.swapaxes(1, 2).reshape(filters, channels, *windows.kernel)


def _check(x: Array, w: Array, groups: Any, roles: str) -> int:
    """The number of groups, if x and w have four axes and it divides x's channels and w's first axis."""
    check_images(x)
    if w.ndim != 4:
        raise ValueError(f"w must have 4 axes ({roles}, kh, kw), not {w.ndim}")
    number = integer("groups", groups, least=1)
    if x.shape[1] % number or w.shape[0] % number:
        raise ValueError(f"groups={number} must divide x's {x.shape[1]} channels and the first axis of w, {w.shape[0]}")
    return number


def _add_bias(y: Array, b: Array | None) -> Array:
    if b is None:
        return y
    if b.shape != y.shape[1:2]:
        raise ValueError(f"b must have shape ({y.shape[1]},), one entry for each output channel, not {b.shape}")
    y = y.astype(np.result_type(y, b), copy=False)
    y += b[:, None, None]
    return y


@primitive
def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int | Size = 1,
    padding: int | Size = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> Pair:
    """Convolution of images (cross-correlation: the kernel is not flipped).

    y[n,f,p,q] = b[f] + sum over c, i, j of w[f,c,i,j] x[n, c, p stride + i dilation, q stride + j dilation],
    where x is padded with zeros and c runs over the channels of f's group.

    Args:
        x: images (N, C, H, W).
        w: filters (F, C/groups, kh, kw).
        b: one bias for each filter, (F,), or None.
        stride, padding, dilation: an integer, or a (height, width) pair.
        groups: channels and filters are split into so many parts, which do not meet.

    Returns:
        (N, F, oh, ow) with oh = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1, and ow likewise.

    Raises:
        TypeError: if an option is no integer.
        ValueError: if ranks, channels or groups do not fit, or a kernel is larger than the padded image.

    >>> import minigrad as mg
    >>> conv2d(np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    groups = _check(x, w, groups, "F, C/groups")
    if w.shape[1] * groups != x.shape[1]:
        raise ValueError(
            f"w has {w.shape[1]} input channels in each of {groups} group(s), x has {x.shape[1]} channels: "
            f"w must have {x.shape[1] // groups}"
        )
    windows = Windows.of(w.shape[2:], stride, padding, dilation)
    y = _correlate(x, w, windows, windows.output_size(x.shape[2:]), groups)
    return _add_bias(y, b), (x, w, windows, groups)


@conv2d.vjp
def _(g: Any, needs: Any, x: Array, w: Array, windows: Windows, groups: int) -> Any:
    g = np.ascontiguousarray(g)
    return (
        _correlate_images(g, w, windows, x.shape[2:], groups) if needs[0] else None,
        _correlate_filters(x, g, windows, groups) if needs[1] else None,
        g.sum(axis=(0, 2, 3)) if needs[2] else None,
    )


@primitive
def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int | Size = 1,
    padding: int | Size = 0,
    output_padding: int | Size = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> Pair:
    """Transposed convolution of images: the adjoint of :func:`conv2d` as a map of images.

    y[n, f, p stride + i dilation, q stride + j dilation] sums w[c,f,i,j] x[n,c,p,q], then ``padding`` rows
    and columns are cut off on every side, and b[f] is added. Without b,
    <conv2d(y, w), x> = <y, conv_transpose2d(x, w)>.

    Args:
        x: images (N, C, H, W).
        w: filters (C, F/groups, kh, kw), as of a convolution from F to C channels.
        b: one bias for each output channel, (F,), or None.
        stride, padding, dilation: those of the convolution; an integer, or a (height, width) pair.
        output_padding: rows and columns more at the end, since a convolution of stride s gives the same size
            for s sizes of image; less than the larger of stride and dilation.
        groups: channels are split into so many parts, which do not meet.

    Returns:
        (N, F, oh, ow) with oh = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, and ow
        likewise.

    Raises:
        TypeError: if an option is no integer.
        ValueError: if ranks, channels, groups or output_padding do not fit, or nothing would be left.

    >>> import minigrad as mg
    >>> conv_transpose2d(np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 2), np.float32), stride=2)
    tensor([[[[1., 1., 1., 1.]]]])
    """
    groups = _check(x, w, groups, "C, F/groups")
    if w.shape[0] != x.shape[1]:
        raise ValueError(
            f"w has {w.shape[0]} input channels, on its first axis, x has {x.shape[1]}: they must be equal"
        )
    if min(x.shape[2:]) < 1:
        raise ValueError("x must have at least one row and one column")
    windows = Windows.of(w.shape[2:], stride, padding, dilation)
    extra = pair("output_padding", output_padding, 0)
    limits = tuple(map(max, windows.stride, windows.dilation))
    if extra[0] >= limits[0] or extra[1] >= limits[1]:
        raise ValueError(f"output_padding {extra} must be smaller than the larger of stride and dilation, {limits}")
    (sh, sw), (ph, pw), (eh, ew) = windows.stride, windows.padding, windows.extent
    height = (x.shape[2] - 1) * sh - 2 * ph + eh + extra[0]
    width = (x.shape[3] - 1) * sw - 2 * pw + ew + extra[1]
    if min(height, width) < 1:
        raise ValueError(f"the output would have {height}x{width} pixels: padding {windows.padding} is too large")
    y = _correlate_images(np.ascontiguousarray(x), w, windows, (height, width), groups)
    return _add_bias(y, b), (x, w, windows, groups)


@conv_transpose2d.vjp
def _(g: Any, needs: Any, x: Array, w: Array, windows: Windows, groups: int) -> Any:
    g = np.ascontiguousarray(g)
    return (
        _correlate(g, w, windows, x.shape[2:], groups) if needs[0] else None,
        _correlate_filters(g, x, windows, groups) if needs[1] else None,
        g.sum(axis=(0, 2, 3)) if needs[2] else None,
    )


# --- references: one term of the sum over kernel entries at a time ---------------------------------


def _pairs(*options: Any) -> Any:
    return (np.broadcast_to(option, 2).tolist() for option in options)


@conv2d.reference
def _(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    from .. import ops

    (sh, sw), (ph, pw), (dh, dw) = _pairs(stride, padding, dilation)
    (n, c, height, width), (f, _, kh, kw) = x.shape, w.shape
    oh = (height + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    x = ops.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    w = ops.reshape(w, (groups, f // groups, c // groups, kh, kw))
    terms = []
    for i, j in np.ndindex(kh, kw):
        down, right = i * dh, j * dw
        pixels = x[:, :, down : down + (oh - 1) * sh + 1 : sh, right : right + (ow - 1) * sw + 1 : sw]
        pixels = ops.reshape(pixels, (n, groups, c // groups, oh, ow))
        terms.append(ops.einsum("ngcpq,gfc->ngfpq", pixels, w[:, :, :, i, j]))
    y = ops.reshape(reduce(ops.add, terms), (n, f, oh, ow))
    return y if b is None else ops.add(y, ops.reshape(b, (f, 1, 1)))


@conv_transpose2d.reference
def _(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    from .. import ops

    (sh, sw), (ph, pw), (eh, ew), (dh, dw) = _pairs(stride, padding, output_padding, dilation)
    (n, c, height, width), (_, part, kh, kw) = x.shape, w.shape
    f = groups * part
    x = ops.reshape(x, (n, groups, c // groups, height, width))
    w = ops.reshape(w, (groups, c // groups, part, kh, kw))
    tall, wide = (height - 1) * sh + 1, (width - 1) * sw + 1  # x with stride - 1 zeros between entries
    terms = []
    for i, j in np.ndindex(kh, kw):
        term = ops.einsum("ngcpq,gcf->ngfpq", x, w[:, :, :, i, j])
        term = ops.reshape(term, (n, f, height, 1, width, 1))
        term = ops.pad(term, ((0, 0), (0, 0), (0, 0), (0, sh - 1), (0, 0), (0, sw - 1)))
        term = ops.reshape(term, (n, f, height * sh, width * sw))[:, :, :tall, :wide]
        below, right = (kh - 1 - i) * dh + eh, (kw - 1 - j) * dw + ew
        terms.append(ops.pad(term, ((0, 0), (0, 0), (i * dh, below), (j * dw, right))))
    y = reduce(ops.add, terms)
    y = y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]
    return y if b is None else ops.add(y, ops.reshape(b, (f, 1, 1)))
