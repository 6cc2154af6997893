"""Batch norms with fixed statistics as part of the convolutions before them: one pass over the maps less."""

from __future__ import annotations

import numpy as np

from minigrad import nn
from minigrad.spec import Array

__all__ = ["fold"]


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Array, Array]:
    """Weight (F, C/groups, kh, kw) and bias (F,) of the one convolution that does what both do in eval mode.

    With s = norm.weight / sqrt(running_var + eps), one factor for each filter,

        norm(conv(x)) = s (w * x + b - running_mean) + norm.bias = (s w) * x + s (b - running_mean) + norm.bias

    It is computed in float64 and rounded once, to the dtype of the weight.

    Raises:
        ValueError: if the norm has no running statistics.

    >>> convolution, norm = nn.Conv2d(1, 2, 1, bias=False, rng=0), nn.BatchNorm2d(2, eps=0.0)
    >>> norm.running_var.data[...], norm.running_mean.data[...] = 4.0, 3.0
    >>> weight, bias = fold(convolution, norm)
    >>> bool((weight == convolution.weight.data / 2).all()), bias.tolist()
    (True, [-1.5, -1.5])
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("fold: the norm keeps no running statistics, so it is another map for each batch")
    wide = np.float64
    scale = 1 / np.sqrt(norm.running_var.data.astype(wide) + norm.eps)
    if norm.weight is not None:
        scale *= norm.weight.data
    before = 0.0 if convolution.bias is None else convolution.bias.data.astype(wide)
    shift = scale * (before - norm.running_mean.data)
    if norm.bias is not None:
        shift += norm.bias.data
    weight = convolution.weight.data
    return (weight * scale[:, None, None, None]).astype(weight.dtype), shift.astype(weight.dtype)
