"""Windows of images as columns of matrices (im2col), some images at a time, in memory that is used again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import gcd, prod
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..spec import Array
from ..threads import split
from .windows import Size, Windows

__all__ = ["Columns", "Residue", "Share", "residues", "room"]

_LARGEST = 2**20  # entries of columns, or of products with them, at a time: 4 MB in float32

_rooms = threading.local()


def room(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """This thread's memory of that name, with anything in it. To get new pages takes longer than to fill them."""
    size = prod(shape) * np.dtype(dtype).itemsize
    held = getattr(_rooms, name, None)
    if held is None or held.size < size:
        held = np.empty(size, np.uint8)
        setattr(_rooms, name, held)
    return cast(Array, held[:size].view(dtype).reshape(shape))


class Residue(NamedTuple):
    """On one axis, the pixels that lie r modulo the stride s, and the taps of the kernel that meet them.

    Tap i of window p meets pixel p s + i d - padding = (p + k) s + r, where i d - padding = k s + r. For one r these
    taps are s / g apart, with g = gcd(s, d), and their k are d / g apart: among its pixels it is a convolution with
    stride 1 and dilation d / g.
    """

    pixels: slice
    taps: range  # may be empty
    first: int  # k of the first tap …
    last: int  # … and of the last
    dilation: int


def residues(windows: Windows, axis: int) -> Iterator[Residue]:
    """Each r from 0 to s - 1."""
    kernel, stride, padding, dilation = (option[axis] for option in windows)
    common = gcd(stride, dilation)
    for r in range(stride):
        start = next((i for i in range(kernel) if (i * dilation - padding - r) % stride == 0), kernel)
        taps = range(start, kernel, stride // common)
        first, last = ((i * dilation - padding) // stride for i in (taps[0], taps[-1])) if taps else (0, 0)
        yield Residue(slice(r, None, stride), taps, first, last, dilation // common)


class Share(NamedTuple):
    """A part of the work: these images, and of each these rows of windows."""

    images: slice
    rows: slice


class Columns(NamedTuple):
    """Windows of images as columns of matrices, in one of two ways.

    Plainly the rows of a matrix are the taps (c, i, j) of a group's kernels. With stride 1 they may be ``shared``: the
    rows are taps (c, j), and a few more rows of windows are columns, since what a window's row i sees, the window
    i rows below sees with row 0. There are kh products then, with views of one matrix, to be summed: ``terms``.
    A pixel was copied kw times for it, not kh kw times.
    """

    windows: Windows
    number: Size  # of windows on each axis
    groups: int
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

    def shares(self, x: Array, threads: int, filters: int) -> list[Share]:
        """The work on images x in parts: some for each thread, few enough rows of windows for the memory in use."""
        height, width = self.number
        size = max(x.shape[1] * prod(self.taps), filters * self.terms) * height * width
        bands = min(height, max(-(-size // _LARGEST), -(-threads // max(len(x), 1))))
        return [Share(i, rows) for rows in split(height, bands) for i in split(len(x), min(len(x), threads))]

    def blocks(self, x: Array, share: Share, dtype: Any) -> Iterator[tuple[slice, Array]]:
        """A few images at a time: which they are, and their columns (n, terms, groups, c taps, oh ow).

        The columns lie in memory that the next ones overwrite, or are x itself.
        """
        images, rows = share
        channels, (height, width), dilation = x.shape[1], self.number, self.windows.dilation[0]
        height = rows.stop - rows.start
        shape = channels, *self.taps, height + dilation * (self.terms - 1), width
        step = max(1, _LARGEST // max(prod(shape), 1))
        windows = self.windows._replace(kernel=self.taps)
        itself = self.windows[:3] == ((1, 1), (1, 1), (0, 0)) and self.number == x.shape[2:] and x.flags.c_contiguous
        for start in range(images.start, images.stop, step):
            block = slice(start, min(start + step, images.stop))
            cols = x[block, :, rows] if itself else room("columns", (block.stop - start, *shape), dtype)
            if not itself:
                _gather(x[block], windows, rows.start, cols)
            cols = cols.reshape(len(cols), self.groups, channels // self.groups * prod(self.taps), shape[-2] * width)
            n, g, k, p = cols.strides
            views = len(cols), self.terms, *cols.shape[1:3], height * width
            yield block, as_strided(cols, views, (n, dilation * width * p, g, k, p))


def _gather(x: Array, windows: Windows, top: int, cols: Array) -> None:
    """cols[n, c, i, j, p, q] = what tap (i, j) of window (top + p, q) sees of images x, zeros around them."""
    for down in residues(windows, 0):
        for right in residues(windows, 1):
            if down.taps and right.taps:
                pixels = x[:, :, down.pixels, right.pixels]
                taps = cols[:, :, down.taps.start :: down.taps.step, right.taps.start :: right.taps.step]
                _gather_densely(pixels, down._replace(first=down.first + top, last=down.last + top), right, taps)


def _gather_densely(x: Array, down: Residue, right: Residue, cols: Array) -> None:
    """The same with stride 1: x is put among zeros, of which all taps are shifted views, copied at once."""
    (n, c, height, width), (rows, columns) = x.shape, cols.shape[4:]
    tall, wide = down.last - down.first + rows, right.last - right.first + columns
    to_rows, of_rows = _overlap(down.first, tall, height)
    to_columns, of_columns = _overlap(right.first, wide, width)
    flat, pitch, start = width == columns, wide, 0
    if flat:  # No zeros between rows: a view is one run of memory. Rows of 16 to 56 pixels take 4 to 1.3 times as long.
        left, pitch = max(0, -right.first), width
        start, to_columns, of_columns = left + right.first, slice(None), slice(None)
        zeros = room("padded", (n, c, left + tall * width + max(0, right.last)), x.dtype)
        padded = zeros[:, :, left : left + tall * width].reshape(n, c, tall, width)
    else:
        zeros = padded = room("padded", (n, c, tall, wide), x.dtype)
    zeros[...] = 0
    padded[:, :, to_rows, to_columns] = x[:, :, of_rows, of_columns]
    steps = (down.dilation * pitch, right.dilation, pitch, 1)
    strides = (*zeros.strides[:2], *(step * x.itemsize for step in steps))
    cols[...] = as_strided(zeros.reshape(n, c, -1)[:, :, start:], cols.shape, strides)
    if flat:  # What a row then sees of the next one is wrong.
        for j in range(cols.shape[3]):
            if shift := right.first + j * right.dilation:
                cols[:, :, :, j, :, slice(0, -shift) if shift < 0 else slice(max(0, width - shift), None)] = 0


def _overlap(start: int, number: int, size: int) -> tuple[slice, slice]:
    """Of start, start + 1, … (so many) those from 0 to size - 1: which they are, and what.

    >>> _overlap(-1, 5, 3)
    (slice(1, 4, None), slice(0, 3, None))
    """
    first, end = max(0, -start), min(number, size - start)
    end = max(first, end)
    return slice(first, end), slice(start + first, start + end)
