"""Modules that change the size or the shape of images, and have no weights: pools, bins, upsampling, flattening."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor
from ..ops.kernels.windows import pair
from .module import Module

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "Flatten", "MaxPool2d", "PixelShuffle", "PixelUnshuffle", "Upsample"]


class _Pool2d(Module):
    """What both pools share: the window's size, stride and padding."""

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        name = type(self).__name__
        self.kernel_size = pair(f"{name}: kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(f"{name}: stride", stride, 1)
        self.padding = pair(f"{name}: padding", padding, 0)
        if any(p >= k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"{name}: padding {self.padding} must be smaller than kernel_size {self.kernel_size}")

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """The largest entry of each window: (N, C, H, W) -> (N, C, H', W'). See ``mg.ops.max_pool2d``.

    Args:
        kernel_size, stride, padding: integers or (height, width) pairs; the stride is the window's size if it is None.

    Raises:
        ValueError: if a size or stride is not positive, or the padding negative or not smaller than the size.
        TypeError: if one of them is no integer or pair of integers.

    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).data.tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    def forward(self, x: Any) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding)  # type: ignore[no-any-return]


class AvgPool2d(_Pool2d):
    """The mean of each window, of which padding is a part: (N, C, H, W) -> (N, C, H', W'). See ``mg.ops.avg_pool2d``.

    Args:
        kernel_size, stride, padding: integers or (height, width) pairs; the stride is the window's size if it is None.

    Raises:
        ValueError: if a size or stride is not positive, or the padding negative or not smaller than the size.
        TypeError: if one of them is no integer or pair of integers.

    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).data.tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    def forward(self, x: Any) -> Tensor:
        return ops.avg_pool2d(x, self.kernel_size, self.stride, self.padding)  # type: ignore[no-any-return]


class AdaptiveAvgPool2d(Module):
    """The means of so many bins, whatever the size of the images: (N, C, H, W) -> (N, C, *output_size).

    Args:
        output_size: an integer or a (height, width) pair. See ``mg.ops.adaptive_avg_pool2d``.

    Raises:
        ValueError: if output_size is not positive. TypeError: if it is no integer or pair of integers.

    >>> AdaptiveAvgPool2d(1)(np.ones((2, 3, 5, 7))).shape
    (2, 3, 1, 1)
    """

    def __init__(self, output_size: Any) -> None:
        self.output_size = pair("AdaptiveAvgPool2d: output_size", output_size, 1)

    def forward(self, x: Any) -> Tensor:
        return ops.adaptive_avg_pool2d(x, self.output_size)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class Upsample(Module):
    """Images with several pixels in the place of each: (N, C, H, W) -> (N, C, H height, W width).

    Args:
        scale_factor: how many, an integer or a (height, width) pair.
        mode: "nearest" or "bilinear", see ``mg.ops.upsample``.

    Raises:
        ValueError: if scale_factor is not positive, or for another mode.
        TypeError: if scale_factor is no integer or pair of integers.

    >>> Upsample(scale_factor=2)(np.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, *, scale_factor: Any, mode: str = "nearest") -> None:  # PyTorch's first argument is a size
        self.scale_factor = pair("Upsample: scale_factor", scale_factor, 1)
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f"Upsample: mode must be 'nearest' or 'bilinear', not {mode!r}")
        self.mode = mode

    def forward(self, x: Any) -> Tensor:
        return ops.upsample(x, self.scale_factor, self.mode)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"


class PixelShuffle(Module):
    """Channels become pixels: (N, C r², H, W) -> (N, C, H r, W r) with r = ``upscale_factor``.

    >>> PixelShuffle(2)(np.ones((1, 8, 3, 3))).shape
    (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, x: Any) -> Tensor:
        return ops.pixel_shuffle(x, self.upscale_factor)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: (N, C, H r, W r) -> (N, C r², H, W) with r = ``downscale_factor``.

    >>> PixelUnshuffle(2)(np.ones((1, 2, 6, 6))).shape
    (1, 8, 3, 3)
    """

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def forward(self, x: Any) -> Tensor:
        return ops.pixel_unshuffle(x, self.downscale_factor)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` as one, by default all but the first: (N, C, H, W) -> (N, C H W).

    Raises:
        ValueError: if x has no such axes, or the last one comes before the first, when it is called.

    >>> Flatten()(np.ones((2, 3, 4, 5))).shape
    (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(x)
        if not all(-len(shape) <= axis < len(shape) for axis in (self.start_dim, self.end_dim)):
            raise ValueError(f"Flatten: x has no axes {self.start_dim} to {self.end_dim}, it has shape {shape}")
        start, end = self.start_dim % len(shape), self.end_dim % len(shape)
        if start > end:
            raise ValueError(f"Flatten: axis {self.end_dim} comes before axis {self.start_dim} of x, which has {shape}")
        size = math.prod(shape[start : end + 1])
        return ops.reshape(x, (*shape[:start], size, *shape[end + 1 :]))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
