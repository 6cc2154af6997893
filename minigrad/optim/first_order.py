"""First-order optimisers: SGD, RMSprop, Adagrad, Adam, AdamW and Lion."""

from __future__ import annotations

import math

import numpy as np

from ..runtime.blas import axpby
from ..spec import Array
from .optimizer import Group, Optimizer, Params

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent with optional momentum, in the form of PyTorch and Sutskever et al. (2013).

    v <- momentum v + g;  p <- p - lr v, or with ``nesterov`` p <- p - lr (g + momentum v);
    g includes weight_decay p.

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if ``lr`` or ``weight_decay`` is negative, ``momentum`` is not in [0, 1), or ``nesterov`` is set
            without momentum.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> p.grad = np.ones(1, np.float32)
    >>> SGD([p], lr=0.5).step()
    >>> p
    tensor([0.5], requires_grad=True)
    """

    _options = ("lr", "momentum", "nesterov", "weight_decay")

    def __init__(
        self, params: Params, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay)

    def _kept(self, options: Group) -> tuple[str, ...]:
        if options["nesterov"] and not options["momentum"]:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        return super()._kept(options)

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        lr, momentum = options["lr"], options["momentum"]
        if state:
            axpby(1, g, momentum, state[0])
            if options["nesterov"]:
                axpby(-lr, g, 1, p)
                lr *= momentum
            g = state[0]
        axpby(-lr, g, 1, p)


class RMSprop(Optimizer):
    """Divide gradients by the root of a running mean of their squares (Tieleman and Hinton, 2012), as PyTorch does.

    v <- alpha v + (1 - alpha) g^2;  u <- momentum u + g / (sqrt(v) + eps);  p <- p - lr u;
    g includes weight_decay p.

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if an option is negative, or ``alpha`` or ``momentum`` is not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0], requires_grad=True)
    >>> p.grad = np.array([4.0], np.float32)
    >>> RMSprop([p], lr=0.1, alpha=0.75).step()
    >>> p
    tensor([0.8], requires_grad=True)
    """

    _options = ("lr", "alpha", "eps", "weight_decay", "momentum")
    _state_names = ("v",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        v, step = state[0], g * g
        axpby(1 - options["alpha"], step, options["alpha"], v)
        np.sqrt(v, out=step)
        step += options["eps"]
        np.divide(g, step, out=step)
        if len(state) == 2:
            axpby(1, step, options["momentum"], state[1])
            step = state[1]
        axpby(-options["lr"], step, 1, p)


class Adagrad(Optimizer):
    """Divide gradients by the root of the sum of their squares so far (Duchi, Hazan and Singer, 2011), as PyTorch does.

    s <- s + g^2;  p <- p - lr' g / (sqrt(s) + eps) with lr' = lr / (1 + (t - 1) lr_decay) at the t-th step;
    s starts at ``initial_accumulator_value``, and g includes weight_decay p.

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
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

    def __init__(
        self,
        params: Params,
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

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        (total,), step = state, g * g
        total += step
        np.sqrt(total, out=step)
        step += options["eps"]
        np.divide(g, step, out=step)
        axpby(-options["lr"] / (1 + (t - 1) * options["lr_decay"]), step, 1, p)


class Adam(Optimizer):
    """Divide a running mean of gradients by the root of a running mean of their squares (Kingma and Ba, 2015).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr m' / (sqrt(v') + eps) with the corrected means
    m' = m / (1 - b1^t), v' = v / (1 - b2^t); g includes weight_decay p.

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if an option is negative, or a beta is not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = np.array([2.0, -3.0], np.float32)
    >>> Adam([p], lr=0.5).step()
    >>> p
    tensor([0.5, 1.5], requires_grad=True)
    """

    _options = ("lr", "betas", "eps", "weight_decay")
    _state_names = ("m", "v")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        # With r = sqrt(1 - b2^t):  lr m' / (sqrt(v') + eps) = lr r / (1 - b1^t)  m / (sqrt(v) + eps r)
        (b1, b2), (m, v), step = options["betas"], state, g * g
        root = math.sqrt(1 - b2**t)
        axpby(1 - b1, g, b1, m)
        axpby(1 - b2, step, b2, v)
        np.sqrt(v, out=step)
        step += options["eps"] * root
        np.divide(m, step, out=step)
        axpby(-options["lr"] * root / (1 - b1**t), step, 1, p)


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p before each step (Loshchilov and Hutter, 2019).

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if an option is negative, or a beta is not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([2.0], requires_grad=True)
    >>> p.grad = np.array([1.0], np.float32)
    >>> AdamW([p], lr=0.5, weight_decay=0.5).step()
    >>> p
    tensor([1.], requires_grad=True)
    """

    _decoupled_decay = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


class Lion(Optimizer):
    """Take steps of equal size along the sign of a running mean of gradients (Chen et al., 2023).

    c = b1 m + (1 - b1) g;  p <- (1 - lr weight_decay) p - lr sign(c);  m <- b2 m + (1 - b2) g.
    The size of a step does not depend on the gradient, so use rates three to ten times smaller than Adam's, and weight
    decays larger by the same factor (their section 5).

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if an option is negative, or a beta is not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0, 1.0, 1.0], requires_grad=True)
    >>> p.grad = np.array([5.0, -0.01, 0.0], np.float32)
    >>> Lion([p], lr=0.5).step()
    >>> p
    tensor([0.5, 1.5, 1. ], requires_grad=True)
    """

    _options = ("lr", "betas", "weight_decay")
    _state_names = ("m",)
    _decoupled_decay = True

    def __init__(
        self, params: Params, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        (b1, b2), (m,) = options["betas"], state
        step = m * b1
        axpby(1 - b1, g, 1, step)
        np.sign(step, out=step)
        axpby(-options["lr"], step, 1, p)
        axpby(1 - b2, g, b2, m)
