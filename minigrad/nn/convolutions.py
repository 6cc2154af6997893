"""Convolution layers of sequences and images, and their transposes: N batch, C and F channels, L, H and W sizes.

Arguments have PyTorch's names and order, and weights its shapes. ``weight`` and ``bias`` start uniform on [-k, k] with
k = 1 / sqrt(fan_in), as in PyTorch, where fan_in is the number of the weight's entries but for its first axis. (Of a
transposed convolution that is the number of *output* channels in a group times the kernel's size, as PyTorch has it.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import ops
from ..core import Tensor
from ..ops.kernels.windows import check_word, integer, pair
from . import init
from .layers import Initial, affine_weights, positive
from .module import Module

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

_LEAST = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}


class _Convolution(Module):
    """What the layers share: sizes, checked options, weights, and the call of a primitive."""

    function: ClassVar[Callable[..., Any]]
    axes: ClassVar[int]  # that a kernel moves along
    options: ClassVar[tuple[str, ...]]
    words: ClassVar[tuple[str, ...]] = ()  # the options that may be "same" or "valid"

    def _start(self, channels: tuple[int, int], kernel_size: Any, groups: int, **options: Any) -> None:
        """Keep sizes and options; raise unless they fit."""
        name, (in_channels, out_channels) = type(self).__name__, channels
        kernel = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * self.axes
        if len(kernel) != self.axes:
            numbers = ("one number", "one number or two")[self.axes - 1]
            raise ValueError(f"{name}: kernel_size must be {numbers}, not {kernel_size!r}")
        positive(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        for size in kernel:
            positive(name, kernel_size=size)
        for option, value in options.items():
            if isinstance(value, str) and option in self.words:
                check_word(f"{name}: {option}", value)
            else:
                (integer if self.axes == 1 else pair)(f"{name}: {option}", value, _LEAST[option])
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups ({groups}) must divide in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.in_channels, self.out_channels, self.kernel_size, self.groups = in_channels, out_channels, kernel, groups
        for option, value in options.items():
            setattr(self, option, value)

    def _weigh(self, shape: tuple[int, ...], bias: bool, dtype: Any, rng: Any, initial: Initial | None) -> None:
        """Start the weight, of a shape but for the kernel's axes, and the bias."""
        shape = *shape, *self.kernel_size
        fan_in = init.fans(shape)[0]
        self.weight, self.bias = affine_weights(
            type(self).__name__, shape, self.out_channels, bias, fan_in, dtype, rng, initial
        )

    def forward(self, x: Any) -> Tensor:
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(x, self.weight, self.bias, **options)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        options = [f"{name}={getattr(self, name)}" for name in ("kernel_size", *self.options)]
        return ", ".join(map(str, [self.in_channels, self.out_channels, *options, f"bias={self.bias is not None}"]))


class _Direct(_Convolution):
    """What Conv1d and Conv2d share."""

    options = ("stride", "padding", "dilation", "groups")
    words = ("padding",)

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
        channels = in_channels, out_channels
        self._start(channels, kernel_size, groups, stride=stride, padding=padding, dilation=dilation)
        self._weigh((out_channels, in_channels // groups), bias, dtype, rng, initial)


class _Transposed(_Convolution):
    """What ConvTranspose1d and ConvTranspose2d share."""

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
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        self._start((in_channels, out_channels), kernel_size, groups, **options)
        self._weigh((in_channels, out_channels // groups), bias, dtype, rng, initial)


class Conv1d(_Direct):
    """Cross-correlation of sequences with filters, plus a bias: (N, C, L) -> (N, F, L').

    ``weight`` is (out_channels, in_channels / groups, K), ``bias`` (out_channels,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(fan_in), as in PyTorch. See ``mg.ops.conv1d`` for the options, which are integers;
    ``padding`` may be "same" or "valid".

    Raises:
        ValueError: if ``kernel_size``, channels or ``groups`` are not positive integers, a stride or dilation is not
            positive, the padding is negative, or ``groups`` does not divide the channels.
        TypeError: if another option is no integer.

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
        TypeError: if another option is no integer or pair of integers.

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
        TypeError: if another option is no integer.

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
        TypeError: if another option is no integer or pair of integers.

    >>> import numpy as np
    >>> layer = ConvTranspose2d(8, 4, 4, stride=2, padding=1)
    >>> layer(np.ones((2, 8, 14, 14), np.float32)).shape
    (2, 4, 28, 28)
    """

    function, axes = ops.conv_transpose2d, 2
