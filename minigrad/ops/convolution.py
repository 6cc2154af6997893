"""Convolutions of images, and of sequences.

All functions come from one trilinear form: for images x (N, C, H, W), filters w (F, C, kh, kw) and their responses y
(N, F, oh, ow), with stride s and dilation d,

    T(x, w, y) = sum over n, f, c, i, j, p, q of  y[n,f,p,q] w[f,c,i,j] x[n, c, p s + i d, q s + j d]

A convolution is its derivative with respect to y, a transposed convolution the one with respect to x, and the VJP of
each consists of the other two. So there are three functions below, and both primitives share them::

                         is       in conv2d          in conv_transpose2d
    _correlate           dT/dy    the forward        cotangent of the input
    _correlate_images    dT/dx    cotangent of x     the forward
    _correlate_filters   dT/dw    cotangent of w     cotangent of w

The third is a primitive too, ``_conv2d_filters``, for derivatives of any order: the derivatives of each of the three
are the other two.

They are products with matrices whose columns are windows of x (:mod:`minigrad.ops.kernels.im2col` opens with a
picture). For x (8, 3, 32, 32), 16 filters 3x3 and a padding of 1, so that y is (8, 16, 32, 32), for n images at a
time::

    _correlate           w (16, 27)  @  columns (n, 27, 1024)              y (n, 16, 1024)
    _correlate_filters   y (n, 16, 1024)  @  columns' (n, 1024, 27)        summed over n, dw (16, 27)
    _correlate_images    _correlate of y with w rotated by 180 degrees, (3, 16, 3, 3)

With a stride the last is several correlations, one for each residue of pixels modulo the stride
(:class:`minigrad.ops.kernels.windows.Residue`).

All process a few images, or rows of images, at a time, and distribute these to threads: their columns and products stay
small, and each is used soon after it was computed. Half precision is computed in single, and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, reduce
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import ForwardResult, PrimitiveFunction, primitive
from ..runtime.threads import get_num_threads, run_in_parallel
from ..spec import Array
from .kernels.blocked_products import product_into
from .kernels.depthwise import correlate_channels, sum_channel_windows
from .kernels.im2col import Columns, Share, workspace
from .kernels.numerics import folded, narrowed_all, widened
from .kernels.windows import Size, Windows, check_images, integer, pair, residues

# Multiplications, about 0.6 ms: below twice this number, two threads take longer than one, because they wait for each
# other between short calls. (32x3x32x32 with 16 filters 3x3: 0.9 instead of 0.8 ms forward.)
_WORTH_A_THREAD = 2**24


def _threads(products: int, depth: int) -> int:
    """Return the number of threads for a result with ``products`` entries, each a sum of ``depth`` products.

    An entry costs about 16 multiplications more than its depth.
    """
    return min(get_num_threads(), max(1, products * (depth + 16) // _WORTH_A_THREAD))


def _correlate(x: Array, w: Array, windows: Windows, number: Size, groups: int, b: Array | None = None) -> Array:
    """Compute dT/dy, wide, for a number of windows, (N, F, *number): windows of x times filters, plus b (F, 1, 1)."""
    x, w = widened(x), widened(w)
    y = np.empty((len(x), len(w), *number), _dtype(x, w, b))
    run_in_parallel(_correlations(x, w, windows, groups, b, y))
    return y


def _dtype(x: Array, w: Array, b: Array | None) -> Any:
    return np.result_type(x, w) if b is None else np.result_type(x, w, b)


def _correlations(
    x: Array, w: Array, windows: Windows, groups: int, b: Array | None, y: Array
) -> list[Callable[[], None]]:
    """Split :func:`_correlate` into y into pieces of work that may run in parallel."""
    filters, c, kh, kw = w.shape
    if _depthwise(x, y, windows, groups):
        return correlate_channels(x, w, windows, b, y, _threads(y.size, kh * kw))
    # For each window, sharing saves (kh - 1) kw copies in each channel, but sums kh terms for each filter.
    shared = windows.stride[0] == 1 and kh * filters < (kh - 1) * kw * c * groups and y.dtype != np.float16
    columns = Columns(windows, (y.shape[2], y.shape[3]), groups, filters, shared)
    matrices = columns.matrices(w.astype(y.dtype, copy=False))
    shares = columns.shares(x, _threads(y.size, c * kh * kw))

    def piece(share: Share) -> None:
        for images, terms in columns.blocks(x, share, y.dtype):
            _multiply(matrices, terms, b, y[images, :, share.rows])

    return [partial(piece, share) for share in shares]


def _depthwise(x: Array, y: Array, windows: Windows, groups: int) -> bool:
    few_taps = prod(windows.kernel) <= 49  # each is an argument of the loops, and more take seconds to compile
    one_filter = x.shape[1] == y.shape[1] == groups > 1
    return one_filter and few_taps and windows.stride == (1, 1) and y.dtype.char in "fd"


def _multiply(matrices: Array, terms: list[Array], b: Array | None, y: Array) -> None:
    """Write into y (n, F, oh, ow) the sum of each matrix times the columns of its term, plus b.

    A matrix is (groups, F/groups, K), the columns of its term (n, groups, K, oh ow), with K = c taps. Several terms are
    summed in this thread's memory, because y need not be contiguous.
    """
    shape = len(y), *matrices.shape[1:3], y.shape[2] * y.shape[3]
    if len(terms) == 1 and y[:1, :1].flags.c_contiguous:  # takes 0.9 of the time for 1x1, which has one term
        product_into(matrices[0], terms[0], y.reshape(shape))
        if b is not None:
            y += b
        return
    total, *others = workspace("products", (min(len(terms), 2), *shape), y.dtype)
    product_into(matrices[0], terms[0], total)
    for matrix, cols in zip(matrices[1:], terms[1:], strict=True):
        product_into(matrix, cols, others[0])
        total += others[0]
    np.add(total.reshape(y.shape), 0 if b is None else b, out=y)


def _correlate_images(y: Array, w: Array, windows: Windows, size: Size, groups: int, b: Array | None = None) -> Array:
    """Compute dT/dx (N, C, *size), wide: entries of y times filters, summed over windows, plus b (C, 1, 1).

    Pixel t of residue r meets, at one of the residue's taps, entry t - k of y (:class:`Residue`). So the pixels of one
    residue are a correlation of y with these taps in reverse order, with stride 1 and the largest k as its padding.
    """
    y, w = widened(y), widened(w)
    filters, c, kh, kw = w.shape
    x = np.empty((len(y), groups * c, *size), _dtype(y, w, b))
    adjoint = w.reshape(groups, filters // groups, c, kh, kw).swapaxes(1, 2)
    adjoint = adjoint.reshape(groups * c, filters // groups, kh, kw)
    downs, rights = list(residues(windows, 0)), list(residues(windows, 1))
    if len(downs) * len(rights) < prod(windows.stride):  # pixels of other residues are in no window
        x[...] = 0 if b is None else b
    pieces: list[Callable[[], None]] = []
    for down, right in product(downs, rights):
        pixels = x[:, :, down.pixels, right.pixels]
        if pixels.size:
            taps = adjoint[:, :, down.taps[::-1]][..., right.taps[::-1]]
            dilation = down.dilation, right.dilation
            seen = Windows((len(down.taps), len(right.taps)), (1, 1), (down.last, right.last), dilation)
            pieces += _correlations(y, taps, seen, groups, b, pixels)
    run_in_parallel(pieces)
    return x


def _correlate_filters(x: Array, y: Array, windows: Windows, groups: int) -> Array:
    """Compute dT/dw, wide, (F, C/groups, kh, kw): each window of x times its entries of y, summed over windows."""
    return _correlate_both(x, y, None, windows, groups)[1]


def _correlate_both(x: Array, y: Array, w: Array | None, windows: Windows, groups: int) -> tuple[Array | None, Array]:
    """Compute dT/dy (None without w) and dT/dw, wide, from the same columns of x."""
    x, y, w = widened(x), widened(y), None if w is None else widened(w)
    filters, c, (kh, kw), dtype = y.shape[1], x.shape[1] // groups, windows.kernel, np.result_type(x, y)
    if _depthwise(x, y, windows, groups) and dtype.char in "fd":
        dw = np.empty((filters, 1, kh, kw), dtype)
        run_in_parallel(sum_channel_windows(x, y, windows, dw, _threads(y.size, kh * kw)))
        return None if w is None else _correlate(x, w, windows, y.shape[2:], groups), dw
    shared = windows.stride[0] == 1 and dtype != np.float16
    columns = Columns(windows, (y.shape[2], y.shape[3]), groups, 0 if w is None else filters, shared)
    dy = None if w is None else np.empty(y.shape, dtype)
    matrices = None if w is None else columns.matrices(w.astype(dtype, copy=False))
    shares = columns.shares(x, _threads(y.size, c * kh * kw))
    sums = np.zeros((len(shares), columns.terms, groups, filters // groups, c * kh * kw // columns.terms), dtype)

    def piece(share: Share, totals: Array) -> None:
        for images, terms in columns.blocks(x, share, dtype):
            if dy is not None and matrices is not None:
                _multiply(matrices, terms, None, dy[images, :, share.rows])
            entries = np.ascontiguousarray(y[images, :, share.rows], dtype)
            entries = entries.reshape(len(entries), groups, filters // groups, -1)
            for cols, total in zip(terms, totals, strict=True):
                products = workspace("products", (len(entries), *total.shape), dtype)
                product_into(entries, cols.swapaxes(-1, -2), products)
                total += products.sum(axis=0)

    run_in_parallel([partial(piece, share, totals) for share, totals in zip(shares, sums, strict=True)])
    return dy, columns.kernels(sums.sum(axis=0))


def _sum_pixels(y: Array) -> Array:
    """Sum each channel of images (N, C, H, W), wide: (C,). ``einsum`` takes a third of the time of ``sum``."""
    return np.einsum("nchw->c", widened(y))  # type: ignore[no-any-return]


def _check(x: Array, w: Array, groups: Any, roles: str) -> int:
    """Return the number of groups; raise unless it divides the channels of x and the first axis of w."""
    check_images(x)
    if w.ndim != 4:
        raise ValueError(f"w must have 4 axes ({roles}, kh, kw), not {w.ndim}")
    if not (x.shape[1] and w.shape[0] and w.shape[1]):
        raise ValueError("x and w must have at least one channel each, and w one filter")
    number = integer("groups", groups, least=1)
    if x.shape[1] % number or w.shape[0] % number:
        raise ValueError(f"groups={number} must divide x's {x.shape[1]} channels and the first axis of w, {w.shape[0]}")
    return number


def _as_bias(b: Array | None, channels: int) -> Array | None:
    """Return b with one entry for each output channel as (F, 1, 1), or None."""
    if b is None:
        return None
    if b.shape != (channels,):
        raise ValueError(f"b must have shape ({channels},), one entry for each output channel, not {b.shape}")
    return b[:, None, None]


def _narrowed(y: Array, *inputs: Array | None) -> Array:
    """Convert a wide result to the dtype of its inputs."""
    return narrowed_all(y, [x for x in inputs if x is not None])  # type: ignore[no-any-return]


@primitive(residuals=("x", "w"))
def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int | Size = 1,
    padding: int | Size | str = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> ForwardResult:
    """Convolution of images (cross-correlation: the kernel is not flipped).

    y[n,f,p,q] = b[f] + sum over c, i, j of w[f,c,i,j] x[n, c, p stride + i dilation, q stride + j dilation],
    where x is padded with zeros and c runs over the channels of f's group.

    Args:
        x: images (N, C, H, W).
        w: filters (F, C/groups, kh, kw).
        b: one bias for each filter, (F,), or None.
        stride, padding, dilation: an integer, or a (height, width) pair. "valid" means no padding. "same" adds the
            zeros that ceil(size / stride) outputs need along an axis, half before and half after the image, an odd one
            after it. With stride 1 this matches PyTorch, with other strides TensorFlow.
        groups: the number of groups; each filter sees only the channels of its own group.

    Returns:
        (N, F, oh, ow) with oh = (H + 2 padding - dilation (kh - 1) - 1) // stride + 1, and ow likewise.

    Raises:
        TypeError: if an option is not an integer.
        ValueError: if ranks, channels or groups do not fit, a kernel is larger than the padded image, or for another
            word as padding.

    >>> import minigrad as mg
    >>> conv2d(np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    groups = _check(x, w, groups, "F, C/groups")
    if w.shape[1] * groups != x.shape[1]:
        raise ValueError(
            f"w expects {w.shape[1] * groups} channels, but x has {x.shape[1]}. "
            f"Pass a w with {x.shape[1] // groups} input channels or, if x has its channels last, moveaxis(x, -1, 1)."
        )
    windows, number = Windows.over(x.shape[2:], w.shape[2:], stride, padding, dilation)
    y = _correlate(x, w, windows, number, groups, _as_bias(b, w.shape[0]))
    return _narrowed(y, x, w, b), (x, w, windows, groups)


@conv2d.vjp
def _(g: Any, needs: Any, x: Any, w: Any, windows: Windows, groups: int) -> Any:
    return (
        _images(g, w, windows, x.shape[2:], groups) if needs[0] else None,
        _filters(x, g, windows, groups) if needs[1] else None,
        _sum_pixels(g) if needs[2] else None,
    )


@primitive(residuals=("x", "w"))
def conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int | Size = 1,
    padding: int | Size = 0,
    output_padding: int | Size = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> ForwardResult:
    """Transposed convolution of images: the adjoint of :func:`conv2d` as a map of images.

    y[n, f, p stride + i dilation, q stride + j dilation] sums w[c,f,i,j] x[n,c,p,q], then ``padding`` rows
    and columns are cut off on every side, and b[f] is added. Without b,
    <conv2d(y, w), x> = <y, conv_transpose2d(x, w)>.

    Args:
        x: images (N, C, H, W).
        w: filters (C, F/groups, kh, kw), as of a convolution from F to C channels.
        b: one bias for each output channel, (F,), or None.
        stride, padding, dilation: the options of the convolution; an integer, or a (height, width) pair.
        output_padding: additional rows and columns at the end, because a convolution of stride s gives the same size
            for s sizes of image; less than the larger of stride and dilation.
        groups: the number of groups; each filter sees only the channels of its own group.

    Returns:
        (N, F, oh, ow) with oh = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, and ow
        likewise.

    Raises:
        TypeError: if an option is not an integer.
        ValueError: if ranks, channels, groups or output_padding do not fit, or nothing would be left.

    >>> import minigrad as mg
    >>> conv_transpose2d(np.ones((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 2), np.float32), stride=2)
    tensor([[[[1., 1., 1., 1.]]]])
    """
    groups = _check(x, w, groups, "C, F/groups")
    if w.shape[0] != x.shape[1]:
        raise ValueError(
            f"w has {w.shape[0]} input channels, on its first axis, but x has {x.shape[1]}; they must be equal"
        )
    if min(x.shape[2:]) < 1:
        raise ValueError("x must have at least one row and one column")
    windows = Windows.of(w.shape[2:], stride, padding, dilation)
    extra = pair("output_padding", output_padding, 0)
    limits = tuple(map(max, windows.stride, windows.dilation))
    if extra[0] >= limits[0] or extra[1] >= limits[1]:
        raise ValueError(f"output_padding {extra} must be smaller than the larger of stride and dilation, {limits}")
    reached = windows.image_size(x.shape[2:])
    height, width = reached[0] + extra[0], reached[1] + extra[1]
    if min(height, width) < 1:
        raise ValueError(f"the output would have {height}x{width} pixels: padding {windows.padding} is too large")
    y = _correlate_images(x, w, windows, (height, width), groups, _as_bias(b, w.shape[1] * groups))
    return _narrowed(y, x, w, b), (x, w, windows, groups)


@conv_transpose2d.vjp
def _(g: Any, needs: Any, x: Any, w: Any, windows: Windows, groups: int) -> Any:
    if needs[0] and needs[1] and not any(isinstance(array, Tensor) for array in (g, x, w)):
        return *_correlate_both(g, x, w, windows, groups), _sum_pixels(g) if needs[2] else None
    return (
        _responses(g, w, windows, x.shape[2:], groups) if needs[0] else None,
        _filters(g, x, windows, groups) if needs[1] else None,
        _sum_pixels(g) if needs[2] else None,
    )


# --- the filters' cotangent --------------------------------------------------------------------------


@primitive(residuals=("x", "y"))
def _conv2d_filters(x: Array, y: Array, windows: Windows, groups: int) -> ForwardResult:
    """Compute dT/dw for images x (N, C, H, W) and responses y (N, F, oh, ow): filters (F, C/groups, kh, kw).

    This is the cotangent of the filters of :func:`conv2d`, for a cotangent y of its output, and of the filters of
    :func:`conv_transpose2d`, for its input y and a cotangent x of its output.
    """
    return _narrowed(_correlate_filters(x, y, windows, groups), x, y), (x, y, windows, groups)


@_conv2d_filters.vjp
def _(g: Any, needs: Any, x: Any, y: Any, windows: Windows, groups: int) -> Any:
    return (
        _images(y, g, windows, x.shape[2:], groups) if needs[0] else None,
        _responses(x, g, windows, y.shape[2:], groups) if needs[1] else None,
    )


# Each entry of y meets a window of x.
_conv2d_filters.cost(lambda inputs, output, options: prod(inputs[1]) * prod(output[1:]))


# --- the three maps, of arrays or of tensors -----------------------------------------------------------


def _responses(x: Any, w: Any, windows: Windows, number: Size, groups: int) -> Any:
    """Compute dT/dy for a given number of windows, which output_padding or "same" padding may change."""
    if not (isinstance(x, Tensor) or isinstance(w, Tensor)):
        return _correlate(x, w, windows, number, groups)
    missing = [max(0, n - m) for n, m in zip(windows.image_size(number), x.shape[2:], strict=True)]
    if any(missing):
        x = np.pad(x, [(0, 0), (0, 0), *((0, n) for n in missing)])
    y = conv2d(x, w, None, windows.stride, windows.padding, windows.dilation, groups)
    return y if y.shape[2:] == number else y[:, :, : number[0], : number[1]]


def _images(y: Any, w: Any, windows: Windows, size: Size, groups: int) -> Any:
    """Compute dT/dx for a size, with ``output_padding`` for pixels that no window reaches."""
    if not (isinstance(y, Tensor) or isinstance(w, Tensor)):
        return _correlate_images(y, w, windows, size, groups)
    if not min(size):  # windows consist only of padding
        return np.zeros((len(y), groups * w.shape[1], *size), y.dtype)
    extra = [max(0, n - m) for n, m in zip(size, windows.image_size(y.shape[2:]), strict=True)]
    x = conv_transpose2d(y, w, None, windows.stride, windows.padding, tuple(extra), windows.dilation, groups)
    return x if x.shape[2:] == size else x[:, :, : size[0], : size[1]]


def _filters(x: Any, y: Any, windows: Windows, groups: int) -> Any:
    """dT/dw."""
    if not (isinstance(x, Tensor) or isinstance(y, Tensor)):
        return _correlate_filters(x, y, windows, groups)
    return _conv2d_filters(x, y, windows, groups)


def _declare_batched_rule(convolution: PrimitiveFunction) -> None:
    """Pull many cotangents back: for x as additional images, for w and b one by one."""

    @convolution.batched_vjp
    def _(g: Array, needs: Any, x: Array, *rest: Any) -> Any:
        vjp = convolution.primitive.vjp
        found: list[Any] = [None, None, None]
        if needs[0]:
            found[0] = vjp(folded(g), (True, False, False), x, *rest)[0].reshape(len(g), *x.shape)
        if needs[1] or needs[2]:
            results = [vjp(one, (False, *needs[1:]), x, *rest)[1:] for one in g]
            found[1:] = [None if d[0] is None else np.stack(d) for d in zip(*results, strict=True)]
        return tuple(found)


_declare_batched_rule(conv2d)
_declare_batched_rule(conv_transpose2d)


# --- references: one term of the sum over kernel entries at a time ---------------------------------


def _pairs(*options: Any) -> Any:
    return (np.broadcast_to(option, 2).tolist() for option in options)


# Each entry of the output meets one filter; padding counts as entries.
conv2d.cost(lambda inputs, output, options: prod(output) * prod(inputs[1][1:]))


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

    (f, c, kh, kw), same = w.shape, padding == "same"
    stride, padding, dilation = _pairs(stride, 0 if isinstance(padding, str) else padding, dilation)
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, (kh, kw), strict=True)]
    if same:  # TensorFlow's rule, by the remainder of the size
        zeros = [max(e - (n % s or s), 0) for n, e, s in zip(x.shape[2:], extent, stride, strict=True)]
        x = ops.pad(x, ((0, 0), (0, 0), *((n // 2, n - n // 2) for n in zeros)))
    oh, ow = ((n + 2 * p - e) // s + 1 for n, p, e, s in zip(x.shape[2:], padding, extent, stride, strict=True))
    w = ops.reshape(w, (groups, f // groups, c, kh, kw))
    terms = [
        ops.einsum("ngcpq,gfc->ngfpq", pixels, w[:, :, :, i, j])
        for (i, j), pixels in _seen(x, groups, (oh, ow), (kh, kw), stride, padding, dilation)
    ]
    y = ops.reshape(reduce(ops.add, terms), (x.shape[0], f, oh, ow))
    return y if b is None else ops.add(y, ops.reshape(b, (f, 1, 1)))


def _seen(x: Any, groups: int, number: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Iterator[Any]:
    """Yield each kernel entry (i, j) with the pixels that it meets, (N, groups, C/groups, oh, ow)."""
    from .. import ops

    (oh, ow), (sh, sw), (ph, pw), (dh, dw) = number, stride, padding, dilation
    n, c = x.shape[:2]
    x = ops.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    for i, j in np.ndindex(*kernel):
        down, right = i * dh, j * dw
        pixels = x[:, :, down : down + (oh - 1) * sh + 1 : sh, right : right + (ow - 1) * sw + 1 : sw]
        yield (i, j), ops.reshape(pixels, (n, groups, c // groups, oh, ow))


@_conv2d_filters.reference
def _(x: Any, y: Any, windows: Windows, groups: int) -> Any:
    from .. import ops

    (n, f, oh, ow), c = y.shape, x.shape[1] // groups
    y = ops.reshape(y, (n, groups, f // groups, oh, ow))
    taps = [ops.einsum("ngcpq,ngfpq->gfc", pixels, y) for _, pixels in _seen(x, groups, (oh, ow), *windows)]
    return ops.reshape(ops.stack(taps, axis=-1), (f, c, *windows.kernel))


# Each entry of the input is spread by one filter.
conv_transpose2d.cost(lambda inputs, output, options: prod(inputs[0]) * prod(inputs[1][1:]))


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
    x = ops.pad(ops.reshape(x, (n, c, height, 1, width, 1)), (*[(0, 0)] * 3, (0, sh - 1), (0, 0), (0, sw - 1)))
    x = ops.reshape(x, (n, c, height * sh, width * sw))  # with stride - 1 zeros after each entry
    x = x[:, :, : (height - 1) * sh + 1, : (width - 1) * sw + 1]
    below, right = (kh - 1) * dh, (kw - 1) * dw
    x = ops.pad(x, ((0, 0), (0, 0), (below, below + eh), (right, right + ew)))
    turned = ops.reshape(w, (groups, c // groups, part, kh, kw))[..., ::-1, ::-1]
    turned = ops.reshape(ops.swapaxes(turned, 1, 2), (groups * part, c // groups, kh, kw))
    y = conv2d.primitive.reference(x, turned, b, dilation=dilation, groups=groups)  # type: ignore[misc]
    return y[:, :, ph : y.shape[2] - ph, pw : y.shape[3] - pw]


# --- convolutions of sequences: those of images with one column -----------------------------------------
#
# An axis of length 1 costs nothing. So each rule here adds that axis to its arrays, calls the rule of images, and
# removes the axis from the result. A long sequence is computed in pieces of some rows, distributed to threads.


def _check_sequences(x: Array, w: Array, roles: str) -> None:
    """Raise unless x and w have three axes."""
    for name, array, axes in (("x", x, "N, C, L"), ("w", w, f"{roles}, K")):
        if array.ndim != 3:
            raise ValueError(f"{name} must have 3 axes ({axes}), not {array.ndim}")


@primitive(residuals=("x", "w"))
def conv1d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> ForwardResult:
    """Convolution of sequences (cross-correlation: the kernel is not flipped), as in PyTorch.

    y[n,f,p] = b[f] + sum over c, i of w[f,c,i] x[n, c, p stride + i dilation], where x is padded with zeros and c runs
    over the channels of f's group.

    Args:
        x: sequences (N, C, L).
        w: filters (F, C/groups, K).
        b: one bias for each filter, (F,), or None.
        stride, padding, dilation: integers. "valid" means no padding. "same" adds the zeros that ceil(L / stride)
            outputs need: half in front, half at the end, an odd one at the end.
        groups: the number of groups; each filter sees only the channels of its own group.

    Returns:
        (N, F, l) with l = (L + 2 padding - dilation (K - 1) - 1) // stride + 1. Dtypes promote as in NumPy.

    Raises:
        TypeError: if an option is not an integer.
        ValueError: if ranks, channels or groups do not fit, a kernel is larger than the padded sequence, or for another
            word as padding.

    >>> conv1d([[[1.0, 2.0, 4.0, 8.0]]], [[[1.0, 10.0]]], padding="same")
    tensor([[[21., 42., 84.,  8.]]])
    """
    _check_sequences(x, w, "F, C/groups")
    border = padding if isinstance(padding, str) else (integer("padding", padding, 0), 0)
    options = (integer("stride", stride, 1), 1), border, (integer("dilation", dilation, 1), 1)
    y, (*_, windows, groups) = conv2d.primitive.forward(x[..., None], w[..., None], b, *options, groups)
    return y[..., 0], (x, w, windows, groups)


@primitive(residuals=("x", "w"))
def conv_transpose1d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> ForwardResult:
    """Transposed convolution of sequences: the adjoint of :func:`conv1d` as a map of sequences, as in PyTorch.

    y[n, f, p stride + i dilation] sums w[c,f,i] x[n,c,p], then ``padding`` entries are cut off at both ends, and b[f]
    is added. Without b, <conv1d(y, w), x> = <y, conv_transpose1d(x, w)>.

    Args:
        x: sequences (N, C, L).
        w: filters (C, F/groups, K), as of a convolution from F to C channels.
        b: one bias for each output channel, (F,), or None.
        stride, padding, dilation: the options of the convolution, integers.
        output_padding: additional entries at the end, because a convolution of stride s gives the same length for s
            lengths of sequence; less than the larger of stride and dilation.
        groups: the number of groups; each filter sees only the channels of its own group.

    Returns:
        (N, F, l) with l = (L - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1.

    Raises:
        TypeError: if an option is not an integer.
        ValueError: if ranks, channels, groups or output_padding do not fit, or nothing would be left.

    >>> conv_transpose1d([[[1.0, 2.0]]], [[[1.0, 10.0]]], stride=2)
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    _check_sequences(x, w, "C, F/groups")
    given = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    least = {"stride": 1, "dilation": 1}  # also for the additional axis of length 1
    options = {name: (integer(name, n, least.get(name, 0)), least.get(name, 0)) for name, n in given.items()}
    result = conv_transpose2d.primitive.forward(x[..., None], w[..., None], b, groups=groups, **options)
    y, (*_, windows, groups) = result
    return y[..., 0], (x, w, windows, groups)


def _declare_rules(convolution: PrimitiveFunction, images: PrimitiveFunction) -> None:
    @convolution.vjp
    def _(g: Any, needs: Any, x: Any, w: Any, windows: Windows, groups: int) -> Any:
        dx, dw, db = images.primitive.vjp(g[..., None], needs, x[..., None], w[..., None], windows, groups)
        return None if dx is None else dx[..., 0], None if dw is None else dw[..., 0], db

    _declare_batched_rule(convolution)
    convolution.primitive.cost = images.primitive.cost


_declare_rules(conv1d, conv2d)
_declare_rules(conv_transpose1d, conv_transpose2d)


@conv1d.reference
def _(x: Any, w: Any, b: Any = None, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1) -> Any:
    from .. import ops

    padding = padding if isinstance(padding, str) else (0, padding)
    x, w = ops.expand_dims(x, 2), ops.expand_dims(w, 2)
    return ops.squeeze(conv2d(x, w, b, (1, stride), padding, (1, dilation), groups), 2)


@conv_transpose1d.reference
def _(
    x: Any,
    w: Any,
    b: Any = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Any:
    from .. import ops

    options = (1, stride), (0, padding), (0, output_padding), (1, dilation)
    return ops.squeeze(conv_transpose2d(ops.expand_dims(x, 2), ops.expand_dims(w, 2), b, *options, groups), 2)
