"""The optimisers: how each turns gradients into steps."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..core import Tensor
from ..runtime.blas import axpby
from ..spec import Array
from .base import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]


class _WithMomentum(Optimizer):
    """What SGD and RMSprop share: they keep velocities only if they are made with a momentum."""

    momentum: float

    def _coefficients(self, t: int) -> tuple[float, ...]:
        if self.momentum and "velocity" not in self.state:
            raise ValueError(
                f"{type(self).__name__}: a momentum must be given when the optimiser is made, it keeps velocities then"
            )
        return ()


class SGD(_WithMomentum):
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
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self._state_names = ("velocity",) if momentum else ()  # type: ignore[misc]
        super().__init__(params, lr=lr, momentum=momentum, nesterov=bool(nesterov), weight_decay=weight_decay)

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        g = self._decayed(p, g, self.weight_decay)
        if not state:
            axpby(-self.lr, g, 1, p)
            return
        (v,) = state
        axpby(1, g, self.momentum, v)
        if self.nesterov:
            axpby(-self.lr, g, 1, p)
        axpby(-self.lr * (self.momentum if self.nesterov else 1), v, 1, p)


class RMSprop(_WithMomentum):
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
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
    ) -> None:
        self._state_names = ("v", "velocity") if momentum else ("v",)  # type: ignore[misc]
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        v, step = state[0], self._buffer(p)
        g = self._decayed(p, g, self.weight_decay)
        np.multiply(g, g, out=step)
        axpby(1 - self.alpha, step, self.alpha, v)
        np.sqrt(v, out=step)
        step += self.eps
        np.divide(g, step, out=step)
        if len(state) == 2:
            axpby(1, step, self.momentum, state[1])
            step = state[1]
        axpby(-self.lr, step, 1, p)


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
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"{type(self).__name__}: betas must be two numbers, not {betas!r}")
        first, second = betas
        super().__init__(params, lr=lr, betas=(first, second), eps=eps, weight_decay=weight_decay)

    def _coefficients(self, t: int) -> tuple[float, ...]:
        # With r = sqrt(1 - b2^t):  lr m' / (sqrt(v') + eps) = lr r / (1 - b1^t)  m / (sqrt(v) + eps r)
        b1, b2 = self.betas
        root = math.sqrt(1 - b2**t)
        return b1, b2, self.lr * root / (1 - b1**t), self.eps * root

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        b1, b2, size, eps = coefficients
        m, v = state
        step = self._buffer(p)
        g = self._with_decay(p, g)
        axpby(1 - b1, g, b1, m)
        np.multiply(g, g, out=step)
        axpby(1 - b2, step, b2, v)
        np.sqrt(v, out=step)
        step += eps
        np.divide(m, step, out=step)
        axpby(-size, step, 1, p)

    def _with_decay(self, p: Array, g: Array) -> Array:
        """Apply the weight decay, and return the gradient to go on with."""
        return self._decayed(p, g, self.weight_decay)


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
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _with_decay(self, p: Array, g: Array) -> Array:
        if self.weight_decay:
            p *= 1 - self.lr * self.weight_decay
        return g
