"""Windows of images as columns of matrices (im2col), some images at a time, in memory that is used again."""

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

__all__ = ["Columns", "Share", "workspace"]

_LARGEST = 2**20  # entries of columns, or of products with them, at a time: 4 MB in float32
# Bytes: memory from malloc begins anywhere in it, and then 16 filters on 32x3x32x32 take 1.2 to 1.5 of the time.
_CACHE_LINE = 64

_workspaces = threading.local()


def workspace(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """This thread's memory of that name, with anything in it. To get new pages takes longer than to fill them."""
    size = prod(shape) * np.dtype(dtype).itemsize
    held = getattr(_workspaces, name, None)
    if held is None or held.size < size:
        held = np.empty(size + _CACHE_LINE, np.uint8)
        held = held[-held.ctypes.data % _CACHE_LINE :]
        setattr(_workspaces, name, held)
    return cast(Array, held[:size].view(dtype).reshape(shape))


class Share(NamedTuple):
    """A part of the work: these images, and of each these rows of windows."""

    images: slice
    rows: slice


class Columns(NamedTuple):
    """Windows of images as columns of matrices, in one of two ways.

    Plainly the rows of a matrix are the taps (c, i, j) of a group's kernels. With stride 1 they may be ``shared``: the
    rows are taps (c, j), and a few more rows of windows are columns, since what a window's row i sees, the window
    i rows below sees with row 0. The product is then a sum of kh ``terms``, of slices of one matrix, each i rows
    of windows further on. A pixel was copied kw times for it, not kh kw times.

    (On one core of an AMD EPYC, Zen 4, forward and backward take without sharing 1.39 of the time for depthwise 3x3 on
    8x96x56x56, 1.17 for 16 filters 3x3 on 32x3x32x32, 1.11 for 64 filters 3x3 on 8x64x56x56, 1.05 for 128 on half the
    size. The figures below are of the same processor.)
    """

    windows: Windows
    number: Size  # of windows on each axis
    groups: int
    filters: int  # that the columns meet in products as large as these; 0 if there are none
    shared: bool

    @property
    def terms(self) -> int:
        """Products to be summed."""
        return self.windows.kernel[0] if self.shared else 1

    @property
    def taps(self) -> Size:
        """Those in the rows of one matrix."""
        kh, kw = self.windows.kernel
        return kh // self.terms, kw

    def matrices(self, w: Array) -> Array:
        """Kernels (F, c, kh, kw) as matrices (terms, groups, F/groups, c taps)."""
        f, c = len(w) // self.groups, w.shape[1]
        w = w.reshape(self.groups, f, c, self.terms, *self.taps).transpose(3, 0, 1, 2, 4, 5)
        return np.ascontiguousarray(w).reshape(self.terms, self.groups, f, c * prod(self.taps))

    def kernels(self, matrices: Array) -> Array:
        """Matrices (terms, groups, F/groups, c taps) as kernels (F, c, kh, kw)."""
        _, groups, f, rows = matrices.shape
        c = rows // prod(self.taps)
        w = matrices.reshape(self.terms, groups, f, c, *self.taps).transpose(1, 2, 3, 0, 4, 5)
        return w.reshape(groups * f, c, *self.windows.kernel)

    def shares(self, x: Array, threads: int) -> list[Share]:
        """The work on images x in parts: some for each thread, few enough rows of windows for the memory in use."""
        height = self.number[0]
        bands = min(height, max(-(-self._row(x) * height // _LARGEST), -(-threads // max(len(x), 1))))
        return [Share(i, rows) for rows in split(height, bands) for i in split(len(x), min(len(x), threads))]

    def _row(self, x: Array) -> int:
        """Entries of columns of one row of windows, or of the products with them: a term's and the sum."""
        entries: int = max(x.shape[1] * prod(self.taps), self.filters * min(self.terms, 2))
        return entries * self.number[1]

    def blocks(self, x: Array, share: Share, dtype: Any) -> Iterator[tuple[slice, list[Array]]]:
        """A few images at a time: which they are, and the columns (n, groups, c taps, oh ow) of each term.

        They lie in memory that the next ones overwrite, or are pixels of x themselves.
        """
        images, rows = share
        width, height, below = self.number[1], rows.stop - rows.start, self.windows.dilation[0]
        tall = height + below * (self.terms - 1)
        windows = self.windows._replace(kernel=self.taps)
        step = max(1, _LARGEST // max(self._row(x) * tall, 1))
        for start in range(images.start, images.stop, step):
            block = slice(start, min(start + step, images.stop))
            cols = _columns(x[block], windows, rows.start, (tall, width), dtype)
            cols = cols.reshape(len(cols), self.groups, x.shape[1] // self.groups * prod(self.taps), tall * width)
            first = (term * below * width for term in range(self.terms))
            yield block, [cols[..., i : i + height * width] for i in first]


def _columns(x: Array, windows: Windows, top: int, number: Size, dtype: Any) -> Array:
    """(n, c, kh, kw, *number): what each tap sees of images x, zeros around them, in windows from row ``top`` on."""
    n, c, *size = x.shape
    (sh, sw), (ph, pw), (eh, ew) = windows.stride, windows.padding, windows.extent
    tall, wide = (number[0] - 1) * sh + eh, (number[1] - 1) * sw + ew  # pixels that windows see, with their border
    to_rows, of_rows = _overlap(top * sh - ph, tall, size[0])
    to_columns, of_columns = _overlap(-pw, wide, size[1])
    pixels = x[:, :, of_rows, of_columns]
    bordered, flat = pixels.shape[2:] != (tall, wide), sw == 1 and number[1] == size[1]
    if bordered:  # 1x1, which needs no border, takes 1.2 of the time with one.
        # A row begins where the one before has its last pixel (flat), or its last zero. Flat, what a tap sees of all
        # rows is one run of memory: copied row by row, 32x16x16x16 to 3 transposed takes 1.3 of the time.
        pitch = size[1] if flat else wide
        zeros = workspace("padded", (n, c, (tall - 1) * pitch + wide), x.dtype)
        zeros[...] = 0
        padded = as_strided(zeros, (n, c, tall, wide), (*zeros.strides[:2], pitch * x.itemsize, x.itemsize))
        padded[:, :, to_rows, to_columns] = pixels
        pixels = padded
    elif windows.kernel == windows.stride == (1, 1) and pixels.flags.c_contiguous:
        return pixels  # copied, 1x1 takes 1.15 of the time
    cols = workspace("columns", (n, c, *windows.kernel, *number), dtype)
    cols[...] = windows.view(pixels, number)
    if bordered and flat:  # What a tap sees beyond the end of a row is of the next one, and has to be 0.
        for j in range(windows.kernel[1]):
            if shift := j * windows.dilation[1] - pw:
                cols[:, :, :, j, :, slice(0, -shift) if shift < 0 else slice(max(0, size[1] - shift), None)] = 0
    return cols


def _overlap(start: int, number: int, size: int) -> tuple[slice, slice]:
    """Of start, start + 1, … (so many) those from 0 to size - 1: which they are, and what.

    >>> _overlap(-1, 5, 3)
    (slice(1, 4, None), slice(0, 3, None))
    """
    first, end = max(0, -start), min(number, size - start)
    end = max(first, end)
    return slice(first, end), slice(start + first, start + end)
