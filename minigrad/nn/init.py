"""Initialisers: constants and random numbers whose spread suits a layer's fan-in and fan-out.

A signal that passes through y = x W keeps its variance if the entries of W have the variance 1/fan_in, and its gradient
keeps its variance if they have the variance 1/fan_out. The shape determines the fans, in minigrad's layouts:

- two axes, ``Linear``, ``RNN`` and ``LSTM`` weights (in, out): fan_in = in, fan_out = out;
- three and more, convolution filters (F, C, kh, kw): fan_in = C kh kw, fan_out = F kh kw.

Numbers are drawn in float64 and then rounded, so that the same seed gives the same weights in every dtype. Each
function takes a shape and returns an untracked tensor. To initialise an existing weight, write into it:
``layer.weight.data[...] = nn.init.normal(layer.weight.shape, std=0.02).data``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor
from ..rng import generator
from ..spec import describe, get_default_dtype

__all__ = ["constant", "fans", "kaiming_normal", "kaiming_uniform", "normal", "orthogonal", "uniform",
           "xavier_normal", "xavier_uniform", "zeros"]  # fmt: skip


def as_weight(values: Any, dtype: Any) -> Tensor:
    """Return an untracked tensor of a floating dtype; None means the default dtype."""
    chosen = np.dtype(get_default_dtype() if dtype is None else dtype)
    if chosen.kind != "f":
        raise TypeError(f"init: expected a floating dtype, not {chosen}")
    return Tensor(values, dtype=chosen)


def _checked(shape: Any) -> Any:
    """Raise if a weight is passed instead of a shape, since PyTorch's initialisers write into a weight."""
    if isinstance(shape, Tensor) or (isinstance(shape, np.ndarray) and shape.dtype.kind not in "iu"):
        raise TypeError(
            f"init: expected a shape, not {describe(shape)}. An initialiser returns a new tensor: "
            "w.data[...] = nn.init.normal(w.shape).data."
        )
    return shape


def zeros(shape: Any, dtype: Any = None, rng: Any = None) -> Tensor:
    """All zeros. (``rng`` is accepted but not used, so that initialisers are interchangeable.)

    >>> zeros((2,))
    tensor([0., 0.])
    """
    return constant(shape, 0.0, dtype, rng)


def constant(shape: Any, value: float, dtype: Any = None, rng: Any = None) -> Tensor:
    """The same value everywhere. (``rng`` is accepted but not used.)

    >>> constant((2,), 1.5)
    tensor([1.5, 1.5])
    """
    return as_weight(np.full(_checked(shape), value, np.float64), dtype)


def uniform(shape: Any, low: float = 0.0, high: float = 1.0, dtype: Any = None, rng: Any = None) -> Tensor:
    """Independent numbers, uniform between ``low`` and ``high``.

    >>> uniform((2, 3), -1, 1).shape
    (2, 3)
    """
    return as_weight(generator(rng).uniform(low, high, _checked(shape)), dtype)


def normal(shape: Any, mean: float = 0.0, std: float = 1.0, dtype: Any = None, rng: Any = None) -> Tensor:
    """Independent numbers from the normal distribution with this mean and standard deviation.

    >>> normal((2, 3), std=0.01).shape
    (2, 3)
    """
    return as_weight(generator(rng).normal(mean, std, _checked(shape)), dtype)


def fans(shape: Any) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of this shape, in minigrad's layouts (see the top of this file).

    Raises:
        ValueError: if there are fewer than two axes.

    >>> fans((3, 5)), fans((16, 3, 5, 5))
    ((3, 5), (75, 400))
    """
    if np.ndim(_checked(shape)) == 0 or len(shape) < 2:
        raise ValueError(f"init: fan-in and fan-out need a shape of two axes or more, not {shape}")
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _uniform(shape: Any, variance: float, dtype: Any, rng: Any) -> Tensor:
    """Return centred uniform numbers with this variance; on [-a, a] the variance is a^2 / 3."""
    bound = math.sqrt(3 * variance)
    return uniform(shape, -bound, bound, dtype, rng)


def xavier_uniform(shape: Any, gain: float = 1.0, dtype: Any = None, rng: Any = None) -> Tensor:
    """Uniform with the variance 2 gain^2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    >>> bool(abs(xavier_uniform((3, 3)).numpy()).max() <= 1)
    True
    """
    return _uniform(shape, 2 * gain**2 / max(sum(fans(shape)), 1), dtype, rng)


def xavier_normal(shape: Any, gain: float = 1.0, dtype: Any = None, rng: Any = None) -> Tensor:
    """Normal with the variance 2 gain^2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    >>> xavier_normal((3, 5)).shape
    (3, 5)
    """
    return normal(shape, 0.0, math.sqrt(2 * gain**2 / max(sum(fans(shape)), 1)), dtype, rng)


def kaiming_uniform(shape: Any, gain: float = math.sqrt(2), dtype: Any = None, rng: Any = None) -> Tensor:
    """Uniform with the variance gain^2 / fan_in; the default gain suits ReLU (He et al., 2015).

    >>> bool(abs(kaiming_uniform((6, 3)).numpy()).max() <= 1)
    True
    """
    return _uniform(shape, gain**2 / max(fans(shape)[0], 1), dtype, rng)


def kaiming_normal(shape: Any, gain: float = math.sqrt(2), dtype: Any = None, rng: Any = None) -> Tensor:
    """Normal with the variance gain^2 / fan_in; the default gain suits ReLU (He et al., 2015).

    >>> kaiming_normal((16, 3, 5, 5)).shape
    (16, 3, 5, 5)
    """
    return normal(shape, 0.0, math.sqrt(gain**2 / max(fans(shape)[0], 1)), dtype, rng)


def orthogonal(shape: Any, gain: float = 1.0, dtype: Any = None, rng: Any = None) -> Tensor:
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer.

    The rows of the matrix are the weight's first axis, the columns all others. Such a matrix preserves the length of
    vectors, so that a recurrence neither vanishes nor explodes at the start (Saxe et al., 2014).

    Raises:
        ValueError: if there are fewer than two axes.

    >>> W = orthogonal((3, 3), dtype="float64").numpy()
    >>> bool(np.allclose(W @ W.T, np.eye(3)))
    True
    """
    fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    tall = generator(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # makes the factorisation unique, and so q uniformly distributed
    return as_weight(gain * (q if rows >= columns else q.T).reshape(shape), dtype)
