"""Layers with weights, and dropout. All are batch first: N batch, T steps, D input, H hidden.

Weights multiply from the right: ``Linear`` computes x W + b with W of shape (in, out). PyTorch stores the transpose,
and orders an LSTM's gates i f g o where minigrad has i f o g.
Every layer takes ``dtype`` (the default is :func:`minigrad.get_default_dtype`) and ``rng``, a generator or seed for its
initial weights (the default is the library's generator, see :func:`minigrad.manual_seed`). A layer with weights also
takes ``initial``, a function that returns the initial values of a weight of a given shape, instead of the default.
Biases then start at 0, except for an LSTM's forget gate.

>>> import minigrad as mg
>>> random = np.random.default_rng(0)
>>> layer = Linear(4, 2, initial=lambda shape: random.standard_normal(shape) / np.sqrt(shape[0]))
>>> layer.weight.shape, layer.bias
((4, 2), Parameter(tensor([0., 0.], requires_grad=True)))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..core import Tensor, plain
from ..rng import generator
from ..spec import as_whole
from . import init
from .module import Module, Parameter

__all__ = ["Dropout", "Embedding", "Flatten", "Linear"]


def positive(layer: str, **sizes: Any) -> None:
    """Check that sizes are positive integers."""
    for name, size in sizes.items():
        as_whole(layer, name, size)


def probability(what: str, value: Any) -> Any:
    """Check a dropout rate: a number in [0, 1)."""
    if not isinstance(value, (int, float, np.number)) or not 0 <= value < 1:
        raise ValueError(f"{what} must be a number in [0, 1), not {value!r}")
    return value


Initial = Callable[[tuple[int, ...]], Any]


def first_weight(
    layer: str, shape: tuple[int, ...], dtype: Any, initial: Initial | None, default: Callable[[], Tensor]
) -> Parameter:
    """Return a weight with the values that ``initial`` returns for its shape, or with the default values."""
    weight = default() if initial is None else init.as_weight(initial(shape), dtype)
    if weight.shape != shape:
        raise ValueError(f"{layer}: initial returned values of shape {weight.shape} for a weight of shape {shape}")
    return Parameter(weight)


def affine_weights(
    layer: str, shape: tuple[int, ...], outputs: int, bias: bool, fan_in: int, dtype: Any, rng: Any,
    initial: Initial | None,
) -> tuple[Parameter, Parameter | None]:  # fmt: skip
    """Return weight and bias, uniform on [-k, k] with k = 1 / sqrt(fan_in), as in PyTorch's Linear and convolutions."""
    random, k = generator(rng), 1 / math.sqrt(fan_in)
    weight = first_weight(layer, shape, dtype, initial, lambda: init.uniform(shape, -k, k, dtype, random))
    if not bias:
        return weight, None
    return weight, Parameter(init.zeros(outputs, dtype) if initial else init.uniform(outputs, -k, k, dtype, random))


class Operation(Module):
    """The base class of modules without weights, which call one primitive with their options."""

    function: ClassVar[Callable[..., Any]]
    options: ClassVar[tuple[str, ...]] = ()  # attributes, in the order of the primitive's arguments

    def forward(self, x: Any) -> Tensor:
        return type(self).function(x, *[getattr(self, name) for name in self.options])  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.options)


class Linear(Module):
    """y = x W + b on the last axis: (..., in_features) -> (..., out_features).

    ``weight`` is (in_features, out_features), ``bias`` (out_features,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(in_features), as in PyTorch.

    Raises:
        ValueError: if x has no axes, or its last axis is not ``in_features``.

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
        self.weight, self.bias = affine_weights(
            "Linear", (in_features, out_features), out_features, bias, in_features, dtype, rng, initial
        )

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(plain(x))
        if not shape or shape[-1] != self.in_features:
            raise ValueError(f"Linear: the last axis of x must be {self.in_features}, but x has shape {shape}")
        return ops.affine(x, self.weight, self.bias)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """Look up a row of ``weight`` (num, dim) for each index: integers (...) -> (..., dim).

    The rows start normal with mean 0 and standard deviation 1, as in PyTorch.

    >>> Embedding(10, 4)(np.array([[1, 2, 2]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, num: int, dim: int, *, dtype: Any = None, rng: Any = None, initial: Initial | None = None
    ) -> None:
        positive("Embedding", num=num, dim=dim)
        self.num, self.dim = num, dim
        self.weight = first_weight(
            "Embedding", (num, dim), dtype, initial, lambda: init.normal((num, dim), dtype=dtype, rng=rng)
        )

    def forward(self, indices: Any) -> Tensor:
        return ops.embedding(indices, self.weight)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{self.num}, {self.dim}"


class Dropout(Operation):
    """In training, zero each entry with the probability ``p`` and divide the others by 1 - p.

    In evaluation mode it returns x itself. The mean of an entry is the same in both (Srivastava et al., 2014).

    Args:
        p: in [0, 1).
        rng: a generator, or a seed for the layer's own generator; by default the library's generator.

    Raises:
        ValueError: if ``p`` is not in [0, 1).

    >>> import minigrad as mg
    >>> Dropout(0.5).eval()(mg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    options = ("p",)

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        self.p = probability("Dropout: p", p)
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Tensor:
        return ops.dropout(x, self.p, self.training, self.rng)


class Flatten(Operation):
    """Merge the axes from ``start_dim`` to ``end_dim``, by default all but the first: (N, C, H, W) -> (N, C H W).

    Raises:
        ValueError: in a call, if x has no such axes, or ``end_dim`` comes before ``start_dim``.

    >>> Flatten()(np.ones((2, 3, 4, 5))).shape
    (2, 60)
    """

    options = "start_dim", "end_dim"

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(plain(x))
        if not all(-len(shape) <= axis < len(shape) for axis in (self.start_dim, self.end_dim)):
            raise ValueError(f"Flatten: x of shape {shape} has no axes {self.start_dim} to {self.end_dim}")
        start, end = self.start_dim % len(shape), self.end_dim % len(shape)
        if start > end:
            raise ValueError(f"Flatten: axis {self.end_dim} comes before axis {self.start_dim} of x {shape}")
        return ops.reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))  # type: ignore[no-any-return]
