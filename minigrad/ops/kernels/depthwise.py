"""Depthwise convolutions with stride 1: each channel has one filter, which sums shifted copies of the channel.

A channel with a border of zeros, P pixels wide, is stored as one long row, so the pixel below is P entries later. The
pixels under tap (i, j) of all windows are then a slice of this row that starts at entry (i P + j) d, for dilation d.
Some sums belong to windows that would run past the right edge; they are cut off. For a 2x2 kernel on the image
1 2 / 3 4, with zeros above and to the left, P = 3::

    0 0 0 0 1 2 0 3 4
    |-------|               tap (0,0)
      |-------|             tap (0,1)
          |-------|         tap (1,0)
            |-------|       tap (1,1) of the windows at 00, 01, past the edge, 10, 11
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...compiler import fused
from ...runtime.threads import split
from ...spec import Array
from .im2col import overlap, workspace
from .windows import Size, Windows

__all__ = ["correlate_channels", "sum_channel_windows"]

_LARGEST = 2**18  # entries of channels with their borders, which stay in a core's cache: 1 MB in float32


@fused
def _weighted(*rows_and_weights: Array) -> Any:
    """Sum rows (c, K) times weights (c, 1), given all rows first and then all weights."""
    taps = len(rows_and_weights) // 2
    rows, weights = rows_and_weights[:taps], rows_and_weights[taps:]
    total = rows[0] * weights[0]
    for row, weight in zip(rows[1:], weights[1:], strict=True):
        total = total + row * weight
    return total


@fused
def _products(g: Array, *rows: Array) -> Any:
    """Return the inner products of each row of g (c, K) with the same row of each other array: (c, 1) for each."""
    return tuple((g * row).sum(-1, keepdims=True) for row in rows)


class _Channels:
    """Memory for some channels with their borders, and the views that the taps see."""

    def __init__(self, channels: int, windows: Windows, number: Size, dtype: Any) -> None:
        (eh, ew), (kh, kw), (dh, dw) = windows.extent, windows.kernel, windows.dilation
        self.windows, self.pitch, self.height = windows, number[1] + ew - 1, number[0] + eh - 1
        self.number, self.length = number, number[0] * self.pitch - (ew - 1)
        self.planes = workspace("channels", (channels, self.height, self.pitch), dtype)
        self.planes[...] = 0
        rows = self.planes.reshape(channels, -1)
        starts = (i * dh * self.pitch + j * dw for i in range(kh) for j in range(kw))
        self.taps = [rows[:, start : start + self.length] for start in starts]

    def fill(self, x: Array) -> None:
        """Copy channels (c, H, W) into the memory, within the border."""
        (ph, pw), (_, H, W) = self.windows.padding, x.shape
        rows, of_rows = overlap(-ph, self.height, H)
        columns, of_columns = overlap(-pw, self.pitch, W)
        self.planes[:, rows, columns] = x[:, of_rows, of_columns]

    def images(self, rows: Array) -> Array:
        """View sums of taps (c, K) as images (c, oh, ow), without the windows past the edge."""
        c, item = len(rows), rows.itemsize
        return np.lib.stride_tricks.as_strided(rows, (c, *self.number), (rows.strides[0], self.pitch * item, item))


def _parts(x: Array, windows: Windows, number: Size, threads: int) -> list[slice]:
    """Split the channels of images x so that each part fits in the cache and all threads have work."""
    C, plane = x.shape[1], (number[0] + windows.extent[0]) * (number[1] + windows.extent[1])
    return split(C, min(C, max(threads, -(-C * plane // _LARGEST))))


def correlate_channels(
    x: Array, w: Array, windows: Windows, b: Array | None, y: Array, threads: int
) -> list[Callable[[], None]]:
    """Return work that writes windows of x (N, C, H, W) times filters w (C, 1, kh, kw), plus b (C, 1, 1), into y."""

    def piece(part: slice) -> None:
        channels = _Channels(part.stop - part.start, windows, (y.shape[2], y.shape[3]), y.dtype)
        weights = [np.ascontiguousarray(w[part, 0, i, j, None], y.dtype) for i, j in np.ndindex(*windows.kernel)]
        for image, out in zip(x[:, part], y[:, part], strict=True):
            channels.fill(image)
            np.add(channels.images(_weighted(*channels.taps, *weights)), 0 if b is None else b[part], out=out)

    return [partial(piece, part) for part in _parts(x, windows, (y.shape[2], y.shape[3]), threads)]


def sum_channel_windows(x: Array, y: Array, windows: Windows, into: Array, threads: int) -> list[Callable[[], None]]:
    """Return work that writes the windows of x (N, C, H, W) times entries of y, summed, into filters (C, 1, kh, kw)."""

    def piece(part: slice) -> None:
        number, c = (y.shape[2], y.shape[3]), part.stop - part.start
        channels = _Channels(c, windows, number, into.dtype)
        g = np.zeros((c, number[0] * channels.pitch), into.dtype)  # 0 for windows past the edge
        total = np.zeros((c, len(channels.taps)), np.float64)
        for image, entries in zip(x[:, part], y[:, part], strict=True):
            channels.fill(image)
            g.reshape(c, number[0], channels.pitch)[:, :, : number[1]] = entries
            total += np.hstack(_products(g[:, : channels.length], *channels.taps))
        into[part] = total.reshape(c, 1, *windows.kernel)

    return [partial(piece, part) for part in _parts(x, windows, (y.shape[2], y.shape[3]), threads)]
