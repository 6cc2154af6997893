"""First-order optimisers: SGD, RMSprop, Adagrad, Adam, AdamW and Lion."""

from __future__ import annotations

import math

import numpy as np

from ..compiler import fused
from ..spec import Array
from .optimizer import Group, Optimizer, Params

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "RMSprop"]


def _with_decay(g: Array, p: Array, decay: float | None) -> Array:
    """Return the gradient of the loss plus decay/2 |p|^2."""
    return g if decay is None else decay * p + g


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

    _options = ("lr", "momentum", "nesterov", "weight_decay", "maximize")

    def __init__(
        self,
        params: Params,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, maximize=maximize
        )

    def _check_options(self, options: Group) -> None:
        if options["nesterov"] and not options["momentum"]:
            raise ValueError("SGD: nesterov needs a momentum above 0")

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        v = state[0] if state else None
        _sgd(p, g, v, self._decay(options), options["lr"], options["momentum"], options["nesterov"])


@fused(writes=(0, 2))
def _sgd(p: Array, g: Array, v: Array | None, decay: float | None, lr: float, momentum: float, nesterov: bool) -> None:
    g = _with_decay(g, p, decay)
    if v is not None:
        v *= momentum
        v += g
        g = g + momentum * v if nesterov else v
    p -= lr * g


class RMSprop(Optimizer):
    """Divide gradients by the root of a running mean of their squares (Tieleman and Hinton, 2012), as PyTorch does.

    v <- alpha v + (1 - alpha) g^2;  u <- momentum u + g / (sqrt(v) + eps);  p <- p - lr u;
    g includes weight_decay p. ``centered`` subtracts the square of a running mean of gradients from v, which then
    estimates their variance (Graves, 2013, arXiv:1308.0850).

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

    _options = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize")
    _state_names = ("v",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        mean, u = state[1] if options["centered"] else None, state[-1] if options["momentum"] else None
        _rmsprop(p, g, state[0], mean, u, self._decay(options), *map(options.get, ("lr", "alpha", "eps", "momentum")))


@fused(writes=(0, 2, 3, 4))
def _rmsprop(
    p: Array,
    g: Array,
    v: Array,
    mean: Array | None,
    u: Array | None,
    decay: float | None,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float,
) -> None:
    g = _with_decay(g, p, decay)
    v *= alpha
    v += (1 - alpha) * (g * g)
    spread = v
    if mean is not None:
        mean *= alpha
        mean += (1 - alpha) * g
        spread = np.maximum(v - mean * mean, 0)  # rounding may make the difference negative
    step = g / (np.sqrt(spread) + eps)
    if u is not None:
        u *= momentum
        u += step
        step = u
    p -= lr * step


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

    _options = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps", "maximize")
    _state_names = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        lr = options["lr"] / (1 + (t - 1) * options["lr_decay"])
        _adagrad(p, g, *state, self._decay(options), lr, options["eps"])


@fused(writes=(0, 2))
def _adagrad(p: Array, g: Array, s: Array, decay: float | None, lr: float, eps: float) -> None:
    g = _with_decay(g, p, decay)
    s += g * g
    p -= lr * (g / (np.sqrt(s) + eps))


class Adam(Optimizer):
    """Divide a running mean of gradients by the root of a running mean of their squares (Kingma and Ba, 2015).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr m' / (sqrt(v') + eps) with the corrected means
    m' = m / (1 - b1^t), v' = v / (1 - b2^t); g includes weight_decay p. ``amsgrad`` replaces v by its largest value so
    far (Reddi, Kale and Kumar, 2018).

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if an option is negative, or a beta is not below 1.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0, 1.0], requires_grad=True)
    >>> p.grad = np.array([2.0, -3.0], np.float32)
    >>> Adam([p], lr=0.5).step()
    >>> p.data.round(6)
    array([0.5, 1.5], dtype=float32)
    """

    _options = ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize")
    _state_names = ("m", "v")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize
        )

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        # With r = sqrt(1 - b2^t):  lr m' / (sqrt(v') + eps) = lr r / (1 - b1^t)  m / (sqrt(v) + eps r)
        (b1, b2), decay = options["betas"], self._decay(options)
        r = math.sqrt(1 - b2**t)
        m, v, top = (*state, None)[:3]
        rate, eps = options["lr"] * r / (1 - b1**t), options["eps"] * r
        _adam(p, g, m, v, top, decay, self._decoupled_decay, rate, b1, b2, eps)


@fused(writes=(0, 2, 3, 4))
def _adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    top: Array | None,
    decay: float | None,
    decoupled: bool,
    lr: float,
    b1: float,
    b2: float,
    eps: float,
) -> None:
    if decoupled and decay is not None:
        p *= decay
    else:
        g = _with_decay(g, p, decay)
    m *= b1
    m += (1 - b1) * g
    v *= b2
    v += (1 - b2) * (g * g)
    if top is not None:
        np.maximum(top, v, out=top)
        v = top
    p -= lr * (m / (np.sqrt(v) + eps))


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
        amsgrad: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize)


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

    _options = ("lr", "betas", "weight_decay", "maximize")
    _state_names = ("m",)
    _decoupled_decay = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize)

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        _lion(p, g, *state, self._decay(options), options["lr"], *options["betas"])


@fused(writes=(0, 2))
def _lion(p: Array, g: Array, m: Array, decay: float | None, lr: float, b1: float, b2: float) -> None:
    if decay is not None:
        p *= decay
    p -= lr * np.sign(b1 * m + (1 - b1) * g)
    m *= b2
    m += (1 - b2) * g
