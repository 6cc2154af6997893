"""Layers with weights, and dropout. All are batch first: N batch, T steps, D input, H hidden.

Weights multiply from the right: ``Linear`` computes x W + b with W of shape (in, out). PyTorch keeps
the transpose, and orders an LSTM's gates i f g o where minigrad has i f o g.
Every layer takes ``dtype`` (the default is :func:`minigrad.get_default_dtype`) and ``rng``, a generator or
seed for its initial weights (the default is the library's, see :func:`minigrad.manual_seed`). One with weights also
takes ``initial``, a function that gives the first numbers of a weight for its shape, instead of the numbers that its
page names; biases are then 0 at first, but for an LSTM's forget gate.

>>> import minigrad as mg
>>> random = np.random.default_rng(0)
>>> layer = Linear(4, 2, initial=lambda shape: random.standard_normal(shape) / np.sqrt(shape[0]))
>>> layer.weight.shape, layer.bias
((4, 2), Parameter(tensor([0., 0.], requires_grad=True)))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor
from ..rng import generator
from . import init
from .module import Module
from .parameters import Parameter

__all__ = ["Dropout", "Embedding", "Linear"]


def positive(layer: str, **sizes: Any) -> None:
    """Sizes must be whole numbers above zero."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{layer}: {name} must be a positive integer, not {size!r}")


Initial = Callable[[tuple[int, ...]], Any]


def initial_weight(layer: str, initial: Initial, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """What an initialiser that was given says of a weight, if it has the weight's shape."""
    weight = init.as_weight(initial(shape), dtype)
    if weight.shape != shape:
        raise ValueError(f"{layer}: initial gave numbers of shape {weight.shape} for a weight of shape {shape}")
    return weight


def affine_weights(
    layer: str, shape: tuple[int, ...], outputs: int, bias: bool, fan_in: int, dtype: Any, rng: Any,
    initial: Initial | None,
) -> tuple[Parameter, Parameter | None]:  # fmt: skip
    """Weight and bias, uniform on [-k, k] with k = 1 / sqrt(fan_in), as PyTorch starts Linear and convolutions."""
    if initial is not None:
        weight = Parameter(initial_weight(layer, initial, shape, dtype))
        return weight, Parameter(init.zeros(outputs, dtype)) if bias else None
    random, k = generator(rng), 1 / math.sqrt(fan_in)
    weight = Parameter(init.uniform(shape, -k, k, dtype, random))
    return weight, Parameter(init.uniform(outputs, -k, k, dtype, random)) if bias else None


class Linear(Module):
    """y = x W + b on the last axis: (..., in_features) -> (..., out_features).

    ``weight`` is (in_features, out_features), ``bias`` (out_features,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(in_features), as in PyTorch.

    Raises:
        ValueError: if x has no axes, or its last one is not ``in_features``.

    >>> import minigrad as mg
    >>> layer = Linear(2, 3)
    >>> layer
    Linear(in_features=2, out_features=3, bias=True)
    >>> layer(mg.tensor([[1.0, 2.0]])).shape
    (1, 3)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = None, rng: Any = None,
        initial: Initial | None = None,
    ) -> None:  # fmt: skip
        positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        shape = in_features, out_features
        self.weight, self.bias = affine_weights("Linear", shape, out_features, bias, in_features, dtype, rng, initial)

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(x)
        if not shape or shape[-1] != self.in_features:
            raise ValueError(f"Linear: the last axis of x must be {self.in_features}, x has shape {shape}")
        return ops.affine(x, self.weight, self.bias)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A row of ``weight`` (num, dim) for each index: integers (...) -> (..., dim).

    The rows start normal with mean 0 and standard deviation 1, as in PyTorch.

    >>> Embedding(10, 4)(np.array([[1, 2, 2]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, num: int, dim: int, *, dtype: Any = None, rng: Any = None, initial: Initial | None = None
    ) -> None:
        positive("Embedding", num=num, dim=dim)
        self.num, self.dim = num, dim
        if initial is None:
            self.weight = Parameter(init.normal((num, dim), dtype=dtype, rng=rng))
        else:
            self.weight = Parameter(initial_weight("Embedding", initial, (num, dim), dtype))

    def forward(self, indices: Any) -> Tensor:
        return ops.embedding(indices, self.weight)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{self.num}, {self.dim}"


class Dropout(Module):
    """In training, zero each entry with the probability ``p`` and divide the others by 1 - p.

    In evaluation mode it returns x itself. The mean of an entry is the same in both (Srivastava et al., 2014).

    Args:
        p: in [0, 1).
        rng: a generator, or a seed for one of its own; the library's by default.

    Raises:
        ValueError: if ``p`` is not in [0, 1).

    >>> import minigrad as mg
    >>> Dropout(0.5).eval()(mg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        if not isinstance(p, (int, float, np.number)) or not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be a number in [0, 1), not {p!r}")
        self.p = p
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Tensor:
        return ops.dropout(x, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"
