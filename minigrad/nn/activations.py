"""Activations as modules: each calls the primitive of the same name. All but softmax work entry by entry."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core import Tensor
from .layers import Operation
from .module import Module

__all__ = ["GELU", "Identity", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    """max(x, 0), entry by entry.

    >>> ReLU()([-1.0, 2.0])
    tensor([0., 2.])
    """

    forward = staticmethod(ops.relu)


class Tanh(Module):
    """tanh(x), entry by entry.

    >>> Tanh()([0.0])
    tensor([0.])
    """

    forward = staticmethod(ops.tanh)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), entry by entry.

    >>> Sigmoid()([0.0])
    tensor([0.5])
    """

    forward = staticmethod(ops.sigmoid)


class ReLU6(Module):
    """min(max(x, 0), 6), entry by entry (Krizhevsky, 2010). The gradient is 0 at x = 0 and 1 at x = 6.

    >>> ReLU6()([-1.0, 2.0, 9.0])
    tensor([0., 2., 6.])
    """

    def forward(self, x: Any) -> Tensor:
        return ops.clip(ops.relu(x), max=6)  # type: ignore[no-any-return]


class GELU(Operation):
    """x Phi(x), entry by entry, with Phi the standard normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        approximate: "none", or "tanh" for an approximation, see ``mg.ops.gelu``.

    Raises:
        ValueError: in a call, for another approximation.

    >>> GELU()([0.0])
    tensor([0.])
    """

    function, options = ops.gelu, ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate


class SiLU(Module):
    """x / (1 + exp(-x)), entry by entry (Elfwing et al., 2017).

    >>> SiLU()([0.0])
    tensor([0.])
    """

    forward = staticmethod(ops.silu)


class Softmax(Operation):
    """exp(x) / sum(exp(x)) along the axis ``dim``: positive numbers of x's shape that sum to 1.

    Raises:
        ValueError: in a call, if x has no such axis.

    >>> Softmax()([[0.0, 0.0]])
    tensor([[0.5, 0.5]])
    """

    function, options = ops.softmax, ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Identity(Module):
    """Return x itself, as a placeholder for another module.

    >>> Identity()(3.0)
    3.0
    """

    def forward(self, x: Any) -> Any:
        return x
