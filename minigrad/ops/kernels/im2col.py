"""Windows of images as columns of matrices (im2col), a few images at a time, in reused memory.

A worked example: one image of 4x4 pixels, one channel, and a kernel of 3x3 taps, which fits into 2x2 windows::

     0  1  2  3
     4  5  6  7        window (0,0) sees the pixels  0 1 2 / 4 5 6 / 8 9 10,
     8  9 10 11        window (0,1) those one further right, window (1,0) those one further down
    12 13 14 15

In the *plain* form each window is a column, with a separate row for the pixels that each tap (i, j) of the kernel sees.
A convolution with F filters is then one product, (F, 9) @ (9, 4) = (F, 4), which is (F, 2, 2)::

                window (0,0)  (0,1)  (1,0)  (1,1)
    tap (0,0)          0      1      4      5
    tap (0,1)          1      2      5      6
    tap (0,2)          2      3      6      7
    tap (1,0)          4      5      8      9
    …                  …
    tap (2,2)         10     11     14     15

>>> x, windows = np.arange(16.0).reshape(1, 1, 4, 4), Windows.of((3, 3), stride=1, padding=0)
>>> plain = Columns(windows, number=(2, 2), groups=1, filters=1, shared=False)
>>> [(images, [matrix])] = plain.blocks(x, Share(slice(0, 1), slice(0, 2)), x.dtype)
>>> matrix.shape, matrix[0, 0, 3].tolist()  # (n, groups, taps, windows), and tap (1, 0)
((1, 1, 9, 4), [4.0, 5.0, 8.0, 9.0])

Every pixel is copied up to nine times. But with stride 1, tap (1, j) of a window sees the pixel that tap (0, j) sees of
the window one row below. So the rows of the taps (0, j) are enough, if there are kh - 1 more rows of windows; the other
taps *share* them. Each row i of the kernel takes one column per window, from row i of the windows on::

                window (0,0)  (0,1)  (1,0)  (1,1)  (2,0)  (2,1)  (3,0)  (3,1)
    tap (·,0)          0      1      4      5      8      9     12     13
    tap (·,1)          1      2      5      6      9     10     13     14
    tap (·,2)          2      3      6      7     10     11     14     15
                       |-------- i = 0 --------|
                                     |-------- i = 1 --------|
                                                   |-------- i = 2 --------|

The convolution is a sum of kh = 3 terms, (F, 3) @ (3, 4) each, of slices of one matrix. The result is the same, and
every pixel is copied up to three times.

>>> shared = plain._replace(shared=True)
>>> [(images, terms)] = shared.blocks(x, Share(slice(0, 1), slice(0, 2)), x.dtype)
>>> [term.shape for term in terms], terms[1][0, 0, 0].tolist()
([(1, 1, 3, 4), (1, 1, 3, 4), (1, 1, 3, 4)], [4.0, 5.0, 8.0, 9.0])

With c channels a matrix has c times as many rows. Each group of channels has its own matrix.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...runtime.threads import split
from ...spec import Array
from .windows import Size, Windows

__all__ = ["Columns", "Share", "overlap", "workspace"]

_LARGEST = 2**20  # entries of columns, or of products with them, at a time: 4 MB in float32
# Bytes: memory from malloc begins anywhere in it, and then 16 filters on 32x3x32x32 take 1.2 to 1.5 of the time.
_CACHE_LINE = 64

_workspaces = threading.local()


def workspace(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array in this thread's memory of this name, which the next call with the name reuses.

    Its entries are arbitrary. Getting new pages from the system takes longer than filling them.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    held = getattr(_workspaces, name, None)
    if held is None or held.size < size:
        held = np.empty(size + _CACHE_LINE, np.uint8)
        held = held[-held.ctypes.data % _CACHE_LINE :]
        setattr(_workspaces, name, held)
    return cast(Array, held[:size].view(dtype).reshape(shape))


class Share(NamedTuple):
    """A part of the work: some images, and some rows of windows of each."""

    images: slice
    rows: slice


class Columns(NamedTuple):
    """The layout of windows as columns of matrices: plain, or ``shared``; see the module for a picture of both.

    Fields:
        windows: how they slide over the images. Shared columns need a vertical stride of 1.
        number: the number of windows, (oh, ow).
        groups: the number of groups of channels; each has its own matrix.
        filters: the number of filters that multiply the columns, for the size of the products; 0 if there are none.
        shared: whether the taps of one column of the kernel share a row.

    (On one core of an AMD EPYC, Zen 4, forward and backward without sharing take 1.39 times as long for depthwise 3x3
    on 8x96x56x56, 1.17 times for 16 filters 3x3 on 32x3x32x32, 1.11 times for 64 filters 3x3 on 8x64x56x56, 1.05 times
    for 128 on half the size. The figures below are from the same processor.)
    """

    windows: Windows
    number: Size
    groups: int
    filters: int
    shared: bool

    @property
    def terms(self) -> int:
        """The number of products to sum: one, or if shared one for each row of the kernel."""
        return self.windows.kernel[0] if self.shared else 1

    @property
    def taps(self) -> Size:
        """The taps that have rows in a term's matrix: all (kh, kw), or if shared those of one row (1, kw)."""
        kh, kw = self.windows.kernel
        return kh // self.terms, kw

    def matrices(self, w: Array) -> Array:
        """Return filters (F, c, kh, kw) as matrices (terms, groups, F/groups, c taps), one to multiply each term with.

        >>> windows = Windows.of((3, 3), stride=1, padding=0)
        >>> Columns(windows, (2, 2), groups=1, filters=5, shared=True).matrices(np.ones((5, 2, 3, 3))).shape
        (3, 1, 5, 6)
        """
        f, c = len(w) // self.groups, w.shape[1]
        w = w.reshape(self.groups, f, c, self.terms, *self.taps).transpose(3, 0, 1, 2, 4, 5)
        return np.ascontiguousarray(w).reshape(self.terms, self.groups, f, c * prod(self.taps))

    def kernels(self, matrices: Array) -> Array:
        """Invert :meth:`matrices`: return (terms, groups, F/groups, c taps) as filters (F, c, kh, kw)."""
        _, groups, f, rows = matrices.shape
        c = rows // prod(self.taps)
        w = matrices.reshape(self.terms, groups, f, c, *self.taps).transpose(1, 2, 3, 0, 4, 5)
        return w.reshape(groups * f, c, *self.windows.kernel)

    def shares(self, x: Array, threads: int) -> list[Share]:
        """Split the work on images x into parts: enough for all threads, and small enough for their memory."""
        height = self.number[0]
        bands = min(height, max(-(-self._row(x) * height // _LARGEST), -(-threads // max(len(x), 1))))
        return [Share(i, rows) for rows in split(height, bands) for i in split(len(x), min(len(x), threads))]

    def _row(self, x: Array) -> int:
        """Return the memory for one row of windows of an image, in entries.

        This is the maximum of its columns and of the products with them: those of one term and, if there are several
        terms, their sum.
        """
        return int(max(x.shape[1] * prod(self.taps), self.filters * min(self.terms, 2)) * self.number[1])

    def blocks(self, x: Array, share: Share, dtype: Any) -> Iterator[tuple[slice, list[Array]]]:
        """Iterate over the columns of a share, a few images at a time.

        Yields:
            the images, and for each term the columns (n, groups, c taps, windows). These are in memory that the next
            ones overwrite, or are views of x.
        """
        images, rows = share
        width, height, below = self.number[1], rows.stop - rows.start, self.windows.dilation[0]
        tall = height + below * (self.terms - 1)  # rows of windows, with those that the taps further down share
        windows = self.windows._replace(kernel=self.taps)
        step = max(1, _LARGEST // max(self._row(x) * tall, 1))
        for start in range(images.start, images.stop, step):
            block = slice(start, min(start + step, images.stop))
            cols = _columns(x[block], windows, rows.start, (tall, width), dtype)
            cols = cols.reshape(len(cols), self.groups, x.shape[1] // self.groups * prod(self.taps), tall * width)
            first = (term * below * width for term in range(self.terms))
            yield block, [cols[..., i : i + height * width] for i in first]


def _columns(x: Array, windows: Windows, top: int, number: Size, dtype: Any) -> Array:
    """Return the pixels that each tap sees of images x (n, c, H, W) with a border of zeros: (n, c, kh, kw, *number).

    There are ``number`` windows, starting with row ``top`` of windows.
    """
    (sh, sw), (ph, pw), (eh, ew) = windows.stride, windows.padding, windows.extent
    seen = (number[0] - 1) * sh + eh, (number[1] - 1) * sw + ew  # rows and columns of pixels, with the border
    rows, of_rows = overlap(top * sh - ph, seen[0], x.shape[2])
    columns, of_columns = overlap(-pw, seen[1], x.shape[3])
    pixels = x[:, :, of_rows, of_columns]
    bordered = pixels.shape[2:] != seen  # 1x1, which needs no border, takes 1.2 times as long with one
    flat = bordered and sw == 1 and number[1] == x.shape[3]
    if bordered:
        pixels = _with_border(pixels, rows, columns, seen, x.shape[3] if flat else seen[1])
    elif windows.kernel == windows.stride == (1, 1) and pixels.flags.c_contiguous:
        return pixels  # a copy takes 1.15 times as long for 1x1
    cols = workspace("columns", (*x.shape[:2], *windows.kernel, *number), dtype)
    cols[...] = windows.view(pixels, number)
    if flat:
        _clear_beyond_rows(cols, windows)
    return cols


def _with_border(pixels: Array, rows: slice, columns: slice, size: Size, pitch: int) -> Array:
    """Return images of a size (n, c, *size) with the pixels in these rows and columns, and zeros around them.

    Each row begins ``pitch`` entries after the previous one. With a pitch of the whole width, rows follow each other.
    If a row has as many windows as pixels, W, a pitch of W is faster ("flat"). For the image 1 2 3 / 4 5 6 / 7 8 9 with
    a border of one, of whose rows five entries are seen, memory then holds::

        0 0 0 0 1 2 3 4 5 6 7 8 9 0 0 0 0
              |-------|                     row 1, seen as 0 1 2 3 4 instead of 0 1 2 3 0
                    |-------|               row 2, seen as 3 4 5 6 7 instead of 0 4 5 6 0

    The pixels that a tap sees in all windows are contiguous in memory, and copied in one run. (Row by row, 32x16x16x16
    to 3 transposed takes 1.3 times as long.) The rows overlap: entries beyond the end of a row belong to the next or
    the previous row, and :func:`_clear_beyond_rows` sets them to zero in the columns.
    """
    n, c = pixels.shape[:2]
    zeros = workspace("padded", (n, c, (size[0] - 1) * pitch + size[1]), pixels.dtype)
    zeros[...] = 0
    strides = *zeros.strides[:2], pitch * pixels.itemsize, pixels.itemsize
    padded = as_strided(zeros, (n, c, *size), strides)
    padded[:, :, rows, columns] = pixels
    return padded


def _clear_beyond_rows(cols: Array, windows: Windows) -> None:
    """Set columns (n, c, kh, kw, oh, W) to zero where a tap sees beyond the ends of its row of W pixels."""
    width = cols.shape[-1]
    for j in range(windows.kernel[1]):
        if shift := j * windows.dilation[1] - windows.padding[1]:  # window q sees pixel q + shift
            cols[:, :, :, j, :, slice(0, -shift) if shift < 0 else slice(max(0, width - shift), None)] = 0


def overlap(start: int, number: int, size: int) -> tuple[slice, slice]:
    """Return which of ``number`` integers from ``start`` on lie between 0 and size - 1, and these integers.

    >>> overlap(-1, 5, 3)  # of -1, 0, 1, 2, 3 those numbered 1, 2, 3 are 0, 1, 2
    (slice(1, 4, None), slice(0, 3, None))
    """
    first, end = max(0, -start), min(number, size - start)
    end = max(first, end)
    return slice(first, end), slice(start + first, start + end)
