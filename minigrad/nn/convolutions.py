"""Convolutions of sequences and images, their transposes, pools, and other layers that resize images.

N is the batch, C and F are channels, L, H and W sizes. Arguments have PyTorch's names and order, and weights its
shapes. ``weight`` and ``bias`` start uniform on [-k, k] with k = 1 / sqrt(fan_in), as in PyTorch. Here fan_in is the
number of entries of the weight without its first axis. For a transposed convolution, that is the number of *output*
channels in a group times the size of the kernel, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import ops
from ..core import Tensor
from ..ops.kernels.windows import check_word, integer, pair
from . import init
from .layers import Initial, Operation, affine_weights, positive
from .module import Module

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "MaxPool2d",
           "PixelShuffle", "PixelUnshuffle", "Upsample"]  # fmt: skip

_LEAST = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}


class _Convolution(Module):
    """The base class of convolutions: sizes, checked options, weights, and the call of a primitive."""

    function: ClassVar[Callable[..., Any]]
    axes: ClassVar[int]  # that a kernel moves along
    options: ClassVar[tuple[str, ...]]

    def _set_up(
        self, in_channels: int, out_channels: int, kernel_size: Any, groups: int, transposed: bool, bias: bool,
        dtype: Any, rng: Any, initial: Initial | None, **options: Any,
    ) -> None:  # fmt: skip
        """Store sizes and options, and initialise the weights; raise if they do not fit."""
        name, numbers = type(self).__name__, ("one number", "one number or two")[self.axes - 1]
        kernel = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * self.axes
        if len(kernel) != self.axes:
            raise ValueError(f"{name}: kernel_size must be {numbers}, not {kernel_size!r}")
        positive(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        for size in kernel:
            positive(name, kernel_size=size)
        for option, value in options.items():
            if isinstance(value, str) and option == "padding" and not transposed:
                check_word(f"{name}: {option}", value)
            else:
                (integer if self.axes == 1 else pair)(f"{name}: {option}", value, _LEAST[option])
            setattr(self, option, value)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups ({groups}) must divide in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.in_channels, self.out_channels, self.kernel_size, self.groups = in_channels, out_channels, kernel, groups
        ends = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
        shape = (*ends, *kernel)
        self.weight, self.bias = affine_weights(
            name, shape, out_channels, bias, init.fans(shape)[0], dtype, rng, initial
        )

    def forward(self, x: Any) -> Tensor:
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(x, self.weight, self.bias, **options)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        options = [f"{name}={getattr(self, name)}" for name in ("kernel_size", *self.options)]
        return ", ".join(map(str, [self.in_channels, self.out_channels, *options, f"bias={self.bias is not None}"]))


class _Direct(_Convolution):
    """The base class of Conv1d and Conv2d."""

    options = ("stride", "padding", "dilation", "groups")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: Any = None,
        rng: Any = None,
        initial: Initial | None = None,
    ) -> None:
        self._set_up(
            in_channels, out_channels, kernel_size, groups, False, bias, dtype, rng, initial,
            stride=stride, padding=padding, dilation=dilation,
        )  # fmt: skip


class _Transposed(_Convolution):
    """The base class of ConvTranspose1d and ConvTranspose2d."""

    options = ("stride", "padding", "output_padding", "dilation", "groups")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        *,
        dtype: Any = None,
        rng: Any = None,
        initial: Initial | None = None,
    ) -> None:
        self._set_up(
            in_channels, out_channels, kernel_size, groups, True, bias, dtype, rng, initial,
            stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
        )  # fmt: skip


class Conv1d(_Direct):
    """Cross-correlation of sequences with filters, plus a bias: (N, C, L) -> (N, F, L').

    ``weight`` is (out_channels, in_channels / groups, K), ``bias`` (out_channels,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(fan_in), as in PyTorch. See ``mg.ops.conv1d`` for the options, which are integers;
    ``padding`` may be "same" or "valid".

    Raises:
        ValueError: if ``kernel_size``, channels or ``groups`` are not positive integers, a stride or dilation is not
            positive, the padding is negative, or ``groups`` does not divide the channels.
        TypeError: if another option is not an integer.

    >>> import numpy as np
    >>> layer = Conv1d(8, 16, 3, stride=2, padding="same")
    >>> layer
    Conv1d(8, 16, kernel_size=(3,), stride=2, padding=same, dilation=1, groups=1, bias=True)
    >>> layer(np.ones((4, 8, 101), np.float32)).shape
    (4, 16, 51)
    """

    function, axes = ops.conv1d, 1


class Conv2d(_Direct):
    """Cross-correlation of images with filters, plus a bias: (N, C, H, W) -> (N, F, H', W').

    ``weight`` is (out_channels, in_channels / groups, kh, kw), ``bias`` (out_channels,) or None. Both start
    uniform on [-k, k] with k = 1 / sqrt(fan_in), as in PyTorch. See ``mg.ops.conv2d`` for the options;
    ``kernel_size`` is one number or a pair, and ``padding`` may be "same" or "valid".

    Raises:
        ValueError: if ``kernel_size``, channels or ``groups`` are not positive integers, a stride or dilation is not
            positive, the padding is negative, or ``groups`` does not divide the channels.
        TypeError: if another option is not an integer or pair of integers.

    >>> Conv2d(3, 8, 3, padding=1)
    Conv2d(3, 8, kernel_size=(3, 3), stride=1, padding=1, dilation=1, groups=1, bias=True)
    """

    function, axes = ops.conv2d, 2


class ConvTranspose1d(_Transposed):
    """Transposed convolution of sequences, plus a bias: (N, C, L) -> (N, F, L').

    ``weight`` is (in_channels, out_channels / groups, K), ``bias`` (out_channels,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(K out_channels / groups), as in PyTorch. See ``mg.ops.conv_transpose1d`` for the options,
    which are integers.

    Raises:
        ValueError: if ``kernel_size``, channels or ``groups`` are not positive integers, a stride or dilation is not
            positive, a padding is negative, or ``groups`` does not divide the channels; on a call if output_padding is
            not less than the larger of stride and dilation.
        TypeError: if another option is not an integer.

    >>> import numpy as np
    >>> ConvTranspose1d(8, 4, 4, stride=2, padding=1)(np.ones((2, 8, 50), np.float32)).shape
    (2, 4, 100)
    """

    function, axes = ops.conv_transpose1d, 1


class ConvTranspose2d(_Transposed):
    """Transposed convolution of images, plus a bias: (N, C, H, W) -> (N, F, H', W').

    ``weight`` is (in_channels, out_channels / groups, kh, kw), ``bias`` (out_channels,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(kh kw out_channels / groups), as in PyTorch. See ``mg.ops.conv_transpose2d`` for the
    options; ``kernel_size`` is one number or a pair.

    Raises:
        ValueError: if ``kernel_size``, channels or ``groups`` are not positive integers, a stride or dilation is not
            positive, a padding is negative, or ``groups`` does not divide the channels; on a call if output_padding is
            not less than the larger of stride and dilation.
        TypeError: if another option is not an integer or pair of integers.

    >>> import numpy as np
    >>> layer = ConvTranspose2d(8, 4, 4, stride=2, padding=1)
    >>> layer(np.ones((2, 8, 14, 14), np.float32)).shape
    (2, 4, 28, 28)
    """

    function, axes = ops.conv_transpose2d, 2


class _Pool2d(Operation):
    """The base class of pools: the window's size, stride and padding."""

    options = "kernel_size", "stride", "padding"

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        name = type(self).__name__
        self.kernel_size = pair(f"{name}: kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(f"{name}: stride", stride, 1)
        self.padding = pair(f"{name}: padding", padding, 0)
        if any(p >= k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"{name}: padding {self.padding} must be smaller than kernel_size {self.kernel_size}")


class MaxPool2d(_Pool2d):
    """The largest entry of each window: (N, C, H, W) -> (N, C, H', W'). See ``mg.ops.max_pool2d``.

    Args:
        kernel_size, stride, padding: integers or (height, width) pairs; the stride is the window's size if it is None.

    Raises:
        ValueError: if a size or stride is not positive, or the padding negative or not smaller than the size.
        TypeError: if one of them is not an integer or pair of integers.

    >>> import numpy as np
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).data.tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    function = ops.max_pool2d


class AvgPool2d(_Pool2d):
    """The mean of each window, including its padding: (N, C, H, W) -> (N, C, H', W'). See ``mg.ops.avg_pool2d``.

    Args:
        kernel_size, stride, padding: integers or (height, width) pairs; the stride is the window's size if it is None.

    Raises:
        ValueError: if a size or stride is not positive, or the padding negative or not smaller than the size.
        TypeError: if one of them is not an integer or pair of integers.

    >>> import numpy as np
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4)).data.tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    function = ops.avg_pool2d


class AdaptiveAvgPool2d(Operation):
    """Average each image over a fixed grid of bins, whatever its size: ``(N, C, H, W) -> (N, C, *output_size)``.

    Args:
        output_size: an integer or a (height, width) pair. See ``mg.ops.adaptive_avg_pool2d``.

    Raises:
        ValueError: if output_size is not positive. TypeError: if it is not an integer or pair of integers.

    >>> import numpy as np
    >>> AdaptiveAvgPool2d(1)(np.ones((2, 3, 5, 7))).shape
    (2, 3, 1, 1)
    """

    function, options = ops.adaptive_avg_pool2d, ("output_size",)

    def __init__(self, output_size: Any) -> None:
        self.output_size = pair("AdaptiveAvgPool2d: output_size", output_size, 1)


class Upsample(Operation):
    """Enlarge images by integer factors: (N, C, H, W) -> (N, C, H height, W width).

    Args:
        scale_factor: an integer or a (height, width) pair.
        mode: "nearest" or "bilinear", see ``mg.ops.upsample``.

    Raises:
        ValueError: if scale_factor is not positive, or for another mode.
        TypeError: if scale_factor is not an integer or pair of integers.

    >>> import numpy as np
    >>> Upsample(scale_factor=2)(np.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    function, options = ops.upsample, ("scale_factor", "mode")

    def __init__(self, *, scale_factor: Any, mode: str = "nearest") -> None:  # PyTorch's first argument is a size
        self.scale_factor = pair("Upsample: scale_factor", scale_factor, 1)
        if mode not in ("nearest", "bilinear"):
            raise ValueError(f"Upsample: mode must be 'nearest' or 'bilinear', not {mode!r}")
        self.mode = mode


class PixelShuffle(Operation):
    """Turn channels into pixels: (N, C r², H, W) -> (N, C, H r, W r) with r = ``upscale_factor``.

    >>> import numpy as np
    >>> PixelShuffle(2)(np.ones((1, 8, 3, 3))).shape
    (1, 2, 6, 6)
    """

    function, options = ops.pixel_shuffle, ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor


class PixelUnshuffle(Operation):
    """Turn pixels into channels: (N, C, H r, W r) -> (N, C r², H, W) with r = ``downscale_factor``.

    >>> import numpy as np
    >>> PixelUnshuffle(2)(np.ones((1, 2, 6, 6))).shape
    (1, 8, 3, 3)
    """

    function, options = ops.pixel_unshuffle, ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor
