"""Windows that slide over images: their sizes, a view of them, and the pixels that meet each of their taps.

A kernel of kh x kw *taps* covers a window of the same number of pixels. Windows are ``stride`` pixels apart, the taps
within one ``dilation`` pixels, and an image has a border of ``padding`` pixels around it. On one axis, for 4 pixels a b
c d, a kernel of 3 taps, a stride of 2 and a padding of 1, there are 2 windows::

    border  a   b   c   d  border
      0     1   2                    taps of window 0
                0   1   2            taps of window 1

>>> windows = Windows.of(kernel=(1, 3), stride=(1, 2), padding=(0, 1))
>>> windows.output_size((1, 4))
(1, 2)
>>> x = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
>>> windows.view(windows.pad(x), count=(1, 2))[0, 0, 0, :, 0]  # what each tap sees in each window
array([[0., 2.],
       [1., 3.],
       [2., 4.]])
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...spec import Array

Size = tuple[int, int]  # (height, width)


def integer(name: str, value: Any, least: int) -> int:
    """An option that is an integer of at least ``least``."""
    try:
        result = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}") from None
    if result < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")
    return result


def pair(name: str, value: Any, least: int) -> Size:
    """An option that is an integer or a (height, width) pair of integers, each at least ``least``, as a pair.

    >>> pair("stride", 2, least=1), pair("stride", (2, 1), least=1)
    ((2, 2), (2, 1))
    """
    try:
        height, width = (value, value) if np.ndim(value) == 0 else value
        result = operator.index(height), operator.index(width)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be an integer or a pair of integers, not {value!r}") from None
    if min(result) < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")
    return result


def check_word(name: str, padding: str) -> None:
    """Raise unless a padding that is given as a word is a known one."""
    if padding not in ("same", "valid"):
        raise ValueError(f"{name} must be 'same', 'valid', or in numbers, not {padding!r}")


def check_images(x: Array) -> None:
    """Raise unless x has the four axes of images (N, C, H, W)."""
    if x.ndim != 4:
        raise ValueError(f"x must have 4 axes (N, C, H, W), not {x.ndim}")


class Windows(NamedTuple):
    """The way windows slide over an image: each field is a (height, width) pair.

    Window (p, q) holds, for every entry (i, j) of the kernel, the pixel (p stride + i dilation,
    q stride + j dilation) of the padded image.
    """

    kernel: Size
    stride: Size
    padding: Size
    dilation: Size

    @classmethod
    def of(cls, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Windows:
        """Create windows from integers or pairs, and check them."""
        return cls(pair("kernel", kernel, 1), pair("stride", stride, 1), pair("padding", padding, 0),
                   pair("dilation", dilation, 1))  # fmt: skip

    @classmethod
    def over(cls, image: Size, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> tuple[Windows, Size]:
        """Return windows over an image, and their number; the padding may also be "valid" (none) or "same".

        "same" is the padding that ceil(size / stride) windows need on each axis, half of it on either side, with an odd
        pixel at the end. Windows store only the border at the start; the border at the end follows from their number.

        >>> Windows.over((1, 4), (1, 2), 1, "same")  # the border is one pixel, at the end
        (Windows(kernel=(1, 2), stride=(1, 1), padding=(0, 0), dilation=(1, 1)), (1, 4))
        """
        if not isinstance(padding, str):
            windows = cls.of(kernel, stride, padding, dilation)
            return windows, windows.output_size(image)
        check_word("padding", padding)
        windows = cls.of(kernel, stride, 0, dilation)
        if padding == "valid":
            return windows, windows.output_size(image)
        if min(image) < 1:
            raise ValueError("with padding 'same' x must have at least one entry along each padded axis")
        number = -(-image[0] // windows.stride[0]), -(-image[1] // windows.stride[1])
        needed = windows.image_size(number)
        start = max(0, needed[0] - image[0]) // 2, max(0, needed[1] - image[1]) // 2
        return windows._replace(padding=start), number

    @property
    def extent(self) -> Size:
        """The size of a window from its first pixel to its last, dilation (k - 1) + 1."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    def output_size(self, image: Size) -> Size:
        """Return how many windows fit into an image, (size + 2 padding - extent) // stride + 1 on each axis."""
        (ph, pw), (eh, ew), (sh, sw) = self.padding, self.extent, self.stride
        height, width = image[0] + 2 * ph, image[1] + 2 * pw
        if eh > height or ew > width:
            dilated = f", {eh}x{ew} with its dilation," if self.extent != self.kernel else ""
            raise ValueError(
                f"a kernel of {self.kernel[0]}x{self.kernel[1]}{dilated} is larger than the padded input "
                f"of {height}x{width}"
            )
        return (height - eh) // sh + 1, (width - ew) // sw + 1

    def image_size(self, count: Size) -> Size:
        """Return the size of the smallest image for these windows: (count - 1) stride + extent - 2 padding."""
        (ph, pw), (eh, ew), (sh, sw) = self.padding, self.extent, self.stride
        return (count[0] - 1) * sh + eh - 2 * ph, (count[1] - 1) * sw + ew - 2 * pw

    def pad(self, x: Array, value: float = 0) -> Array:
        """Return images (N, C, H, W) with a border; the images themselves if there is none to add."""
        (ph, pw), (n, c, height, width) = self.padding, x.shape
        if ph == pw == 0:
            return x
        padded = np.full((n, c, height + 2 * ph, width + 2 * pw), value, x.dtype)
        self.crop(padded)[...] = x
        return padded

    def crop(self, padded: Array) -> Array:
        """Return the images within their border, a view."""
        (ph, pw), (height, width) = self.padding, padded.shape[2:]
        return padded[:, :, ph : height - ph, pw : width - pw]

    def view(self, padded: Array, count: Size) -> Array:
        """Return the first ``count`` windows of padded images (N, C, H, W) as a view (N, C, kh, kw, oh, ow).

        Windows overlap, entries ``view[:, :, i, j]`` do not: write into the view with i and j fixed.
        """
        whole = self._replace(padding=(0, 0)).output_size(padded.shape[2:])
        if count[0] > whole[0] or count[1] > whole[1]:  # would reach beyond the images' memory
            raise ValueError(f"{count} windows do not fit; the most are {whole}")
        n, c, h, w = padded.strides
        (sh, sw), (dh, dw) = map(min, self.stride, padded.shape[2:]), self.dilation  # steps that fit a C integer
        shape, strides = (*padded.shape[:2], *self.kernel, *count), (n, c, dh * h, dw * w, sh * h, sw * w)
        return as_strided(padded, shape, strides, writeable=padded.flags.writeable)


class Residue(NamedTuple):
    """On one axis, every s-th pixel from pixel r on, and the taps of the kernel that meet these pixels.

    From the point of view of the pixels, a convolution with stride s consists of s convolutions with stride 1. In the
    example of the module, s = 2, pixels a and c meet only tap 1, of one window each. Pixels b and d meet taps 0 and 2:

    >>> list(residues(Windows.of(kernel=(1, 3), stride=(1, 2), padding=(0, 1)), axis=1))
    [Residue(pixels=slice(1, None, 2), taps=range(0, 3, 2), last=0, dilation=1),
     Residue(pixels=slice(0, None, 2), taps=range(1, 3, 2), last=0, dilation=1)]

    With dilation d, tap i of window p meets pixel p s + i d - padding. If that is (p + k) s + r, it is number p + k of
    the pixels of residue r; so pixel t of them meets, at tap i, window t - k. For one r the taps are s / g apart, with
    g = gcd(s, d), and their k are d / g apart.

    Fields:
        pixels: the pixels of the residue.
        taps: the taps that meet them, at least one.
        last: k of the last tap, the largest.
        dilation: d / g, of the convolution with stride 1.
    """

    pixels: slice
    taps: range
    last: int
    dilation: int


def residues(windows: Windows, axis: int) -> Iterator[Residue]:
    """Return the residues of one axis that meet a tap, by their first tap: at most s, and at most one per tap."""
    kernel, stride, padding, dilation = (option[axis] for option in windows)
    common = gcd(stride, dilation)
    apart = stride // common
    for start in range(min(kernel, apart)):
        taps = range(start, kernel, apart)
        pixels = slice((start * dilation - padding) % stride, None, stride)
        yield Residue(pixels, taps, (taps[-1] * dilation - padding) // stride, dilation // common)
