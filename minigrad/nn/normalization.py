"""Normalisation layers: each calls a primitive of :mod:`minigrad.ops.normalization` with its weight and bias.

Names of arguments, parameters and buffers are PyTorch's, so state dicts are interchangeable. Weights start at 1 and
biases at 0; ``rng`` is accepted as in other layers, but not used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, plain
from ..ops.kernels.numerics import as_float
from ..ops.normalization import batch_norm_with_statistics
from ..spec import as_array
from . import init
from .layers import positive
from .module import Buffer, Module, Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "RMSNorm"]


def _check_eps(layer: str, eps: Any) -> None:
    if isinstance(eps, bool) or not isinstance(eps, (int, float, np.number)) or not 0 <= eps < np.inf:
        raise ValueError(f"{layer}: eps must be a finite number of at least 0, not {eps!r}")


def _affine(shape: Any, weight: bool, bias: bool, dtype: Any, rng: Any) -> tuple[Parameter | None, Parameter | None]:
    """Return a weight of ones and a bias of zeros; None for one that is not wanted."""
    ones = Parameter(init.constant(shape, 1.0, dtype, rng)) if weight else None
    return ones, Parameter(init.zeros(shape, dtype, rng)) if bias else None


class _OverLastAxes(Module):
    """The base class of LayerNorm and RMSNorm: the last axes of x have the lengths ``normalized_shape``."""

    def _set_up(self, normalized_shape: Any, eps: Any, elementwise_affine: bool) -> None:
        name = type(self).__name__
        shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        if not shape:
            raise ValueError(f"{name}: normalized_shape must have at least one axis")
        for size in shape:
            positive(name, normalized_shape=size)
        if eps is not None:
            _check_eps(name, eps)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine

    def _axes(self, x: Any) -> tuple[int, ...]:
        """Return the axes of x to normalise; raise if x does not have them."""
        own, shape = self.normalized_shape, np.shape(plain(x))
        if shape[-len(own) :] != own:
            raise ValueError(f"{type(self).__name__}: the last axes of x must be {own}, but x has shape {shape}")
        return tuple(range(-len(own), 0))

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LayerNorm(_OverLastAxes):
    """(x - mean) / sqrt(var + eps) weight + bias over the last axes, ``(…, *normalized_shape)`` -> the same.

    ``weight`` and ``bias``, of ``normalized_shape``, are None without ``elementwise_affine``; the bias also without
    ``bias``. See ``mg.ops.layer_norm`` (Ba, Kiros and Hinton, 2016).

    Args:
        normalized_shape: the length of the last axis, or the lengths of several last axes.

    Raises:
        ValueError: if a length is not positive or eps is negative, or if the last axes of x differ.

    >>> import minigrad as mg
    >>> LayerNorm(3)(mg.tensor([[1.0, 2.0, 3.0]])).numpy().round(3)
    array([[-1.225,  0.   ,  1.225]], dtype=float32)
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, *, dtype: Any = None, rng: Any = None,
    ) -> None:  # fmt: skip
        self._set_up(normalized_shape, eps, elementwise_affine)
        self.weight, self.bias = _affine(
            self.normalized_shape, elementwise_affine, elementwise_affine and bias, dtype, rng
        )

    def forward(self, x: Any) -> Tensor:
        return ops.layer_norm(x, self.weight, self.bias, self._axes(x), self.eps)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bias={self.bias is not None}"


class RMSNorm(_OverLastAxes):
    """x / sqrt(mean(x^2) + eps) weight over the last axes, ``(…, *normalized_shape)`` -> the same.

    ``weight``, of ``normalized_shape``, is None without ``elementwise_affine``. See ``mg.ops.rms_norm`` (Zhang and
    Sennrich, 2019).

    Args:
        normalized_shape: the length of the last axis, or the lengths of several last axes.
        eps: None means the distance from 1 to the next number of x's dtype, as in PyTorch.

    Raises:
        ValueError: if a length is not positive or eps is negative, or if the last axes of x differ.

    >>> import minigrad as mg
    >>> RMSNorm(2)(mg.tensor([[1.0, 7.0]])).numpy().round(3)
    array([[0.2, 1.4]], dtype=float32)
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True, *,
        dtype: Any = None, rng: Any = None,
    ) -> None:  # fmt: skip
        self._set_up(normalized_shape, eps, elementwise_affine)
        self.weight, _ = _affine(self.normalized_shape, elementwise_affine, False, dtype, rng)

    def forward(self, x: Any) -> Tensor:
        eps = float(np.finfo(as_float(as_array(plain(x))).dtype).eps) if self.eps is None else self.eps
        return ops.rms_norm(x, self.weight, self._axes(x), eps)  # type: ignore[no-any-return]


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) weight + bias over groups of channels of a sample, (N, C, …) -> the same.

    ``weight`` and ``bias`` are (num_channels,), None without ``affine``. See ``mg.ops.group_norm`` (Wu and He, 2018).

    Args:
        num_groups: the number of groups of channels: 1 for a layer norm, C for an instance norm.

    Raises:
        ValueError: if a size is not positive, eps is negative, ``num_groups`` does not divide the channels, or x is not
            (N, C, …).

    >>> import minigrad as mg
    >>> GroupNorm(2, 4)(mg.tensor([[1.0, 3.0, 10.0, 30.0]])).numpy().round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, dtype: Any = None,
        rng: Any = None,
    ) -> None:  # fmt: skip
        positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups ({num_groups}) must divide num_channels ({num_channels})")
        _check_eps("GroupNorm", eps)
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight, self.bias = _affine((num_channels,), affine, affine, dtype, rng)

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(plain(x))
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: x must be (N, {self.num_channels}, …), but has shape {shape}")
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _BatchNorm(Module):
    """The base class of BatchNorm1d and BatchNorm2d, which differ only in the axes of x."""

    _shapes: tuple[str, ...]  # that x may have

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, *, dtype: Any = None, rng: Any = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        positive(name, num_features=num_features)
        _check_eps(name, eps)
        if momentum is not None and not (isinstance(momentum, (int, float, np.number)) and 0 <= momentum <= 1):
            raise ValueError(f"{name}: momentum must be None or a number in [0, 1], not {momentum!r}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight, self.bias = _affine((num_features,), affine, affine, dtype, rng)
        self.running_mean: Any = Buffer(init.zeros((num_features,), dtype)) if track_running_stats else None
        self.running_var: Any = Buffer(init.constant((num_features,), 1.0, dtype)) if track_running_stats else None
        self.num_batches_tracked: Any = Buffer(np.array(0)) if track_running_stats else None

    def forward(self, x: Any) -> Tensor:
        name, shape = type(self).__name__, np.shape(plain(x))
        if len(shape) not in [text.count(",") + 1 for text in self._shapes] or shape[1] != self.num_features:
            wanted = " or ".join(self._shapes).replace("C", str(self.num_features))
            raise ValueError(f"{name}: x must be {wanted}, but has shape {shape}")
        if not self.training and self.running_mean is not None:
            return ops.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, self.eps)
        count = math.prod(shape) // self.num_features  # entries of a channel
        if count == 1:
            raise ValueError(
                f"{name}: one value per channel, from x of shape {shape}, has no variance. Train on more values, or "
                "evaluate with running statistics."
            )
        y, mean, var = batch_norm_with_statistics(x, self.weight, self.bias, self.eps)
        if self.training and self.track_running_stats and count:
            batches = self.num_batches_tracked
            batches.data = np.asarray(batches.data + 1)  # NumPy turns 0-d arrays into numbers
            share = 1 / batches.item() if self.momentum is None else self.momentum
            unbiased = var.data * (count / (count - 1))
            for buffer, new in ((self.running_mean, mean.data), (self.running_var, unbiased)):
                buffer.data = ((1 - share) * buffer.data + share * new).astype(buffer.dtype, copy=False)
        return y

    def extra_repr(self) -> str:
        names = "eps", "momentum", "affine", "track_running_stats"
        return ", ".join([str(self.num_features), *(f"{name}={getattr(self, name)}" for name in names)])


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) weight + bias over each channel of a batch, (N, C) or (N, C, L) -> the same.

    Training uses the mean and variance of the batch, and updates their running averages; evaluation mode uses the
    running averages. ``weight`` and ``bias`` are (num_features,), None without ``affine``. The buffers
    ``running_mean`` and ``running_var``, (num_features,), and ``num_batches_tracked`` are None without
    ``track_running_stats``; then both modes use the statistics of the batch. The running variance averages unbiased
    variances: sums of squared deviations divided by the number of a channel's entries less 1. See
    ``mg.ops.batch_norm`` (Ioffe and Szegedy, 2015).

    Args:
        momentum: the weight of a new batch in the running averages; None for the mean of all batches so far.

    Raises:
        ValueError: if a size is not positive, eps is negative, ``momentum`` is not in [0, 1], x has another shape, or
            the statistics of the batch would come from one value per channel.

    >>> import minigrad as mg
    >>> layer = BatchNorm1d(2)
    >>> layer(mg.tensor([[1.0, 30.0], [3.0, 10.0]])).numpy().round(3)
    array([[-1.,  1.],
           [ 1., -1.]], dtype=float32)
    >>> layer.running_mean, layer.running_var
    (Buffer(tensor([0.2, 2. ])), Buffer(tensor([ 1.1, 20.9])))
    """

    _shapes = "(N, C)", "(N, C, L)"


class BatchNorm2d(_BatchNorm):
    """:class:`BatchNorm1d` for images: (N, C, H, W) -> the same.

    >>> import minigrad as mg
    >>> BatchNorm2d(3)(mg.tensor(np.ones((2, 3, 4, 4), np.float32))).shape
    (2, 3, 4, 4)
    """

    _shapes = ("(N, C, H, W)",)
