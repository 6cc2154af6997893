"""A transposed convolution as a convolution and a pixel shuffle (a depth-to-space permutation).

Along one axis, with stride r and a kernel of k r entries, entry a r + m of the kernel (0 <= m < r) carries pixel t - a
of x to pixel t r + m of y:

    y[t r + m] = sum over a of  w[a r + m] x[t - a].

So the pixels with remainder m are a convolution of x with the reversed sub-kernel w[m], w[r + m], w[2 r + m], …
The plane has r² sub-kernels. Their results are r² channels, which the pixel shuffle interleaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import minigrad as mg
from minigrad.ops.kernels.windows import Size, integer, pair
from theory.convolution.matrices import Array, SparseMatrix, filters, transposed_size

__all__ = ["shuffle_matrix", "subpixel_conv", "subpixel_kernel"]


def shuffle_matrix(input_shape: tuple[int, int, int], factor: int | Size) -> SparseMatrix:
    """Return the permutation matrix P of depth to space: P vec(x) = vec(pixel_shuffle(x, factor)).

    Channel (c rh + i) rw + j of pixel (h, w) becomes pixel (h rh + i, w rw + j) of channel c.

    Args:
        input_shape: (C rh rw, H, W).
        factor: r, or a pair (rh, rw), which `mg.ops.pixel_shuffle` does not take.

    Returns:
        A SparseMatrix (n, n) of integers, n = C rh rw H W.

    Source: homework 1-3.

    >>> shuffle_matrix((4, 1, 2), 2).columns  # where each pixel of the picture comes from
    array([0, 2, 1, 3, 4, 6, 5, 7])
    """
    rh, rw = pair("factor", factor, 1)
    channels, height, width = input_shape
    if channels % (rh * rw):
        raise ValueError(f"shuffle_matrix: {channels} channels must be a multiple of {rh}·{rw} = {rh * rw}")
    channel, h, w = np.indices((channels, height, width)).reshape(3, -1)
    c, i, j = channel // (rh * rw), channel // rw % rh, channel % rw
    rows = (c * height * rh + h * rh + i) * width * rw + w * rw + j
    columns = np.argsort(rows)
    n = len(rows)
    return SparseMatrix(np.arange(n), columns, np.ones(n, int), (n, n))


def subpixel_kernel(
    w: ArrayLike, stride: int | Size, output_padding: int | Size = 0, dilation: int | Size = 1, groups: int = 1
) -> Array:
    """Return the filters of the convolution with stride 1 that replaces a transposed convolution.

    The kernel is spread by its dilation and padded with zeros at the end to k r entries, where
    k = ceil((dilation (K - 1) + 1 + output_padding) / r). Its reversed sub-kernels are the filters.

    Args:
        w: filters of the transposed convolution, (C, F/groups, Kh, Kw).
        stride: r, at least 1, or a pair (rh, rw).
        output_padding, dilation, groups: the transposed convolution's.

    Returns:
        Filters (F rh rw, C/groups, kh, kw) for :func:`mg.ops.conv2d` with padding (kh - 1, kw - 1).

    Source: homework 1-3, where the kernel is as large as the stride, so that k = 1.

    >>> subpixel_kernel([[[[1, 2], [3, 4]]]], 2)[:, 0, 0, 0]
    array([1, 2, 3, 4])
    >>> subpixel_kernel([[[[1, 2, 3, 4, 5]]]], (1, 2))[:, 0]  # two sub-kernels: 1 3 5 and 2 4 0
    array([[[5, 3, 1]],
           [[0, 4, 2]]])
    """
    w, groups = filters(w, "(C, F/groups, Kh, Kw)"), integer("groups", groups, 1)
    channels, part, height, width = w.shape
    if channels % groups:
        raise ValueError(f"subpixel_kernel: groups={groups} must divide the first axis of w, {channels}")
    (rh, rw), (dh, dw) = pair("stride", stride, 1), pair("dilation", dilation, 1)
    eh, ew = pair("output_padding", output_padding, 0)
    tall, wide = dh * (height - 1) + 1, dw * (width - 1) + 1
    kh, kw = -(-(tall + eh) // rh), -(-(wide + ew) // rw)

    filled = np.zeros((channels, part, kh * rh, kw * rw), w.dtype)
    filled[:, :, :tall:dh, :wide:dw] = w
    parts = filled.reshape(groups, channels // groups, part, kh, rh, kw, rw)[:, :, :, ::-1, :, ::-1, :]
    return parts.transpose(0, 2, 4, 6, 1, 3, 5).reshape(groups * part * rh * rw, channels // groups, kh, kw)


def subpixel_conv(
    x: Any,
    w: ArrayLike,
    factor: int,
    padding: int | Size = 0,
    output_padding: int | Size = 0,
    dilation: int | Size = 1,
    groups: int = 1,
) -> mg.Tensor:
    """Compute `mg.ops.conv_transpose2d` with stride `factor` by a convolution and a pixel shuffle.

    It crops the padding, and the rows and columns that the zeros at the kernel's end add.

    Args:
        x: pictures (N, C, H, W). w: filters (C, F/groups, Kh, Kw). factor: the stride, one for both axes.
        padding, output_padding, dilation, groups: as for `mg.ops.conv_transpose2d`.

    Returns:
        (N, F, oh, ow), a tensor that carries gradients to x.

    Source: homework 1-3.

    >>> x, w = np.array([[[[1.0, 10.0]]]]), np.array([[[[1.0, 2.0, 3.0]]]])
    >>> y = subpixel_conv(x, w, 2)
    >>> y.shape, y.numpy()[0, 0, 0]
    ((1, 1, 1, 5), array([ 1.,  2., 13., 20., 30.]))
    """
    v = subpixel_kernel(w, factor, output_padding, dilation, groups)
    border = v.shape[2] - 1, v.shape[3] - 1
    whole = mg.ops.pixel_shuffle(mg.ops.conv2d(x, v, padding=border, groups=groups), factor)
    top, left = pair("padding", padding, 0)
    oh, ow = transposed_size(np.shape(x)[2:], np.shape(w)[2:], factor, padding, output_padding, dilation)
    y: mg.Tensor = whole[:, :, top : top + oh, left : left + ow]
    return y
