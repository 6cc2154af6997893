"""Activations as modules: each calls the primitive of the same name.

All but Softmax and LogSoftmax work entry by entry.
"""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core import Tensor
from .layers import Operation
from .module import Module

__all__ = [
    "ELU", "GELU", "Identity", "LeakyReLU", "LogSoftmax", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softplus",
    "Tanh",
]  # fmt: skip


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


class LeakyReLU(Operation):
    """x where x > 0, negative_slope x elsewhere, entry by entry.

    >>> LeakyReLU(0.25)([-1.0, 2.0])
    tensor([-0.25,  2.  ])
    """

    function, options = ops.leaky_relu, ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope


class ELU(Operation):
    """x where x > 0, alpha (exp(x) - 1) elsewhere, entry by entry (Clevert, Unterthiner and Hochreiter, 2016).

    >>> ELU(2.0)([-1000.0, 2.0])
    tensor([-2.,  2.])
    """

    function, options = ops.elu, ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha


class Softplus(Operation):
    """log(1 + exp(beta x)) / beta, entry by entry, a smooth max(x, 0).

    It is accurate for every x, so it has no ``threshold`` as in PyTorch.

    >>> Softplus()([-1000.0, 0.0]).numpy().round(4)
    array([0.    , 0.6931], dtype=float32)
    """

    options = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Any) -> Tensor:
        return ops.softplus(x) if self.beta == 1 else ops.softplus(ops.multiply(x, self.beta)) / self.beta  # type: ignore[no-any-return]


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


class LogSoftmax(Operation):
    """x - log(sum(exp(x))) along the axis ``dim``: the logarithms of :class:`Softmax`, without overflow.

    Raises:
        ValueError: in a call, if x has no such axis.

    >>> LogSoftmax()([[0.0, 0.0]]).numpy().round(4)
    array([[-0.6931, -0.6931]], dtype=float32)
    """

    function, options = ops.log_softmax, ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim


class Identity(Module):
    """Return x itself, as a placeholder for another module.

    >>> Identity()(3.0)
    3.0
    """

    def forward(self, x: Any) -> Any:
        return x
