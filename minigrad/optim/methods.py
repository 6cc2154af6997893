"""The optimisers: how each turns gradients into steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..core import Tensor
from ..runtime.blas import axpby
from ..spec import Array
from .base import Group, Optimizer
from .pieces import precise, scratch

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "RMSprop"]

_Params = Iterable[Tensor] | Iterable[Mapping[str, Any]]


class SGD(Optimizer):
    """Gradient descent, with momentum if asked (as PyTorch and Sutskever et al., 2013, write it).

    v <- momentum v + g;  p <- p - lr v, or with ``nesterov`` p <- p - lr (g + momentum v);
    g includes weight_decay p.

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if ``lr`` or ``weight_decay`` is negative, ``momentum`` not in [0, 1), or ``nesterov``
            is asked for without momentum.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> p.grad = np.ones(1, np.float32)
    >>> SGD([p], lr=0.5).step()
    >>> p
    tensor([0.5], requires_grad=True)
    """

    _options = ("lr", "momentum", "nesterov", "weight_decay")
    nesterov: bool
    weight_decay: float

    def __init__(
        self,
        params: _Params,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)

    def _remembered(self, options: Group) -> tuple[str, ...]:
        if options["nesterov"] and not options["momentum"]:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        return ("velocity",) if options["momentum"] else ()

    def _coefficients(self, options: Group, t: int) -> tuple[float, ...]:
        return options["lr"], options["momentum"], options["nesterov"], options["weight_decay"]

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        lr, momentum, nesterov, weight_decay = coefficients
        g = self._decayed(p, g, weight_decay)
        if not state:
            axpby(-lr, g, 1, p)
            return
        (v,) = state
        axpby(1, g, momentum, v)
        if nesterov:
            axpby(-lr, g, 1, p)
        axpby(-lr * (momentum if nesterov else 1), v, 1, p)


class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares (Tieleman and Hinton, 2012).

    v <- alpha v + (1 - alpha) g^2;  u <- momentum u + g / (sqrt(v) + eps);  p <- p - lr u;
    g includes weight_decay p. As PyTorch's.

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if an option is negative, or ``alpha`` or ``momentum`` not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> p.grad = np.array([4.0], np.float32)
    >>> RMSprop([p], lr=0.1, alpha=0.75).step()
    >>> p
    tensor([0.8], requires_grad=True)
    """

    _options = ("lr", "alpha", "eps", "weight_decay", "momentum")
    _squares = ("v",)
    alpha: float
    eps: float
    weight_decay: float

    def __init__(
        self,
        params: _Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)

    def _remembered(self, options: Group) -> tuple[str, ...]:
        return ("v", "velocity") if options["momentum"] else ("v",)

    def _coefficients(self, options: Group, t: int) -> tuple[float, ...]:
        return options["lr"], options["alpha"], options["eps"], options["weight_decay"], options["momentum"]

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        lr, alpha, eps, weight_decay, momentum = coefficients
        v, step = state[0], scratch(p)
        g = self._decayed(p, g, weight_decay)
        np.multiply(g, g, out=step)
        axpby(1 - alpha, step, alpha, v)
        np.sqrt(v, out=step)
        step += eps
        np.divide(g, step, out=step)
        if len(state) == 2:
            axpby(1, step, momentum, state[1])
            step = state[1]
        axpby(-lr, step, 1, p)


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares so far (Duchi, Hazan and Singer, 2011).

    s <- s + g^2;  p <- p - lr' g / (sqrt(s) + eps) with lr' = lr / (1 + (t - 1) lr_decay) at the t-th step;
    s starts at ``initial_accumulator_value``, and g includes weight_decay p. As PyTorch's.

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if an option is negative.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> adagrad = Adagrad([p], lr=0.5)
    >>> for _ in range(2):
    ...     p.grad = np.array([4.0], np.float32)
    ...     adagrad.step()
    >>> p.data.round(6)  # 1 - 0.5 (1 + 1 / sqrt(2))
    array([0.146447], dtype=float32)
    """

    _options = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
    _state_names = ("sum",)
    _squares = ("sum",)
    lr_decay: float
    weight_decay: float
    initial_accumulator_value: float
    eps: float

    def __init__(
        self,
        params: _Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
        )

    def _initial(self, name: str, p: Tensor, options: Group) -> Array:
        return np.full(p.shape, options["initial_accumulator_value"], precise(p.dtype))

    def _coefficients(self, options: Group, t: int) -> tuple[float, ...]:
        return options["lr"] / (1 + (t - 1) * options["lr_decay"]), options["eps"], options["weight_decay"]

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        lr, eps, weight_decay = coefficients
        (total,), step = state, scratch(p)
        g = self._decayed(p, g, weight_decay)
        np.multiply(g, g, out=step)
        total += step
        np.sqrt(total, out=step)
        step += eps
        np.divide(g, step, out=step)
        axpby(-lr, step, 1, p)


class Adam(Optimizer):
    """Steps of a running mean of gradients over the root of that of their squares (Kingma and Ba, 2015).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr m' / (sqrt(v') + eps) with the
    corrected means m' = m / (1 - b1^t), v' = v / (1 - b2^t); g includes weight_decay p.

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if an option is negative, or a beta not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = np.array([2.0, -3.0], np.float32)
    >>> Adam([p], lr=0.5).step()
    >>> p
    tensor([0.5, 1.5], requires_grad=True)
    """

    _options = ("lr", "betas", "eps", "weight_decay")
    _state_names = ("m", "v")
    _squares = ("v",)
    betas: tuple[float, float]
    eps: float
    weight_decay: float

    def __init__(
        self,
        params: _Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _coefficients(self, options: Group, t: int) -> tuple[float, ...]:
        # With r = sqrt(1 - b2^t):  lr m' / (sqrt(v') + eps) = lr r / (1 - b1^t)  m / (sqrt(v) + eps r)
        b1, b2 = options["betas"]
        root = math.sqrt(1 - b2**t)
        return b1, b2, options["lr"] * root / (1 - b1**t), options["eps"] * root, options["lr"], options["weight_decay"]

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        b1, b2, size, eps, lr, weight_decay = coefficients
        m, v = state
        step = scratch(p)
        g = self._with_decay(p, g, lr, weight_decay)
        axpby(1 - b1, g, b1, m)
        np.multiply(g, g, out=step)
        axpby(1 - b2, step, b2, v)
        np.sqrt(v, out=step)
        step += eps
        np.divide(m, step, out=step)
        axpby(-size, step, 1, p)

    def _with_decay(self, p: Array, g: Array, lr: float, weight_decay: float) -> Array:
        """Apply the weight decay, and return the gradient to go on with."""
        return self._decayed(p, g, weight_decay)


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p before each step (Loshchilov and Hutter, 2019).

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if an option is negative, or a beta not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([2.0], requires_grad=True)
    >>> p.grad = np.array([1.0], np.float32)
    >>> AdamW([p], lr=0.5, weight_decay=0.5).step()
    >>> p
    tensor([1.], requires_grad=True)
    """

    def __init__(
        self,
        params: _Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _with_decay(self, p: Array, g: Array, lr: float, weight_decay: float) -> Array:
        if weight_decay:
            p *= 1 - lr * weight_decay
        return g


class Lion(Optimizer):
    """Steps of one size: the sign of a mean of gradients (Chen et al., 2023).

    c = b1 m + (1 - b1) g;  p <- (1 - lr weight_decay) p - lr sign(c);  m <- b2 m + (1 - b2) g.
    A step is as large whatever the gradient is, so rates are three to ten times smaller than Adam's, and weight
    decays as much larger (their section 5).

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if an option is negative, or a beta not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    >>> p.grad = np.array([5.0, -0.01, 0.0], np.float32)
    >>> Lion([p], lr=0.5).step()
    >>> p
    tensor([0.5, 1.5, 1. ], requires_grad=True)
    """

    _options = ("lr", "betas", "weight_decay")
    _state_names = ("m",)
    betas: tuple[float, float]
    weight_decay: float

    def __init__(
        self,
        params: _Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def _coefficients(self, options: Group, t: int) -> tuple[float, ...]:
        return *options["betas"], options["lr"], options["weight_decay"]

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        b1, b2, lr, weight_decay = coefficients
        (m,), step = state, scratch(p)
        np.multiply(m, b1, out=step)
        axpby(1 - b1, g, 1, step)
        np.sign(step, out=step)
        if weight_decay:
            p *= 1 - lr * weight_decay
        axpby(-lr, step, 1, p)
        axpby(1 - b2, g, b2, m)
