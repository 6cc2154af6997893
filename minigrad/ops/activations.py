"""Activation functions of neural networks, and dropout: entry by entry, on inputs of any shape.

Float32 stays float32, and float16 float16, computed in single precision; booleans and integers become float64, except
in relu, which keeps them. Where a cotangent is not passed on, it is 0, also if it is infinite or NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..rng import generator
from ..spec import Array
from .elementwise import add, divide, exp, log1p, multiply, negative, power, tanh
from .kernels import normal
from .kernels.numerics import as_float, logistic, narrowed, single, taken


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def sigmoid(x: Array) -> ForwardResult:
    """1 / (1 + exp(-x)), entry by entry, for x of any shape; no overflow for any x.

    Value and gradient are accurate relative to their own size in both tails.

    >>> sigmoid([0.0, -1000.0])
    tensor([0.5, 0. ])
    """
    return narrowed(logistic(single(x)), x), (x,)


@sigmoid.vjp
def _(g: Any, needs: Any, x: Array) -> Any:
    # y (1 - y) from y cancels near 1, and is 0 from x = 37 on (float32: 17); with u = e^-|x| it is u / (1 + u)^2
    u = np.asarray(np.abs(single(x)))
    np.exp(np.negative(u, out=u), out=u)
    d = 1 + u
    d *= d
    u /= d
    return (g * u,)


@sigmoid.vjp_on_tensors
def _(g: Any, needs: Any, x: Any) -> Any:
    return (g * (sigmoid(x) * sigmoid(-x)),)  # smooth also at 0, where |x| is not


def sigmoid_of(x: Any) -> Any:
    """The sigmoid of arrays or of tensors."""
    return sigmoid(x) if isinstance(x, Tensor) else logistic(x)


@primitive(broadcasts=True, entrywise=True, residuals=("output",))
def relu(x: Array) -> ForwardResult:
    """max(x, 0), entry by entry, for x of any shape; the gradient at 0 is 0, and nothing passes below, not even NaN.

    >>> relu([-1.0, 2.0])
    tensor([0., 2.])
    """
    y = np.maximum(x, 0)
    return y, (y,)


@relu.vjp
def _(g: Any, needs: Any, y: Array) -> Any:
    return (taken(g, y != 0),)  # y >= 0, or NaN, which passes all on as in maximum


@primitive(entrywise=True, residuals=("x", "constant"))
def leaky_relu(x: Array, negative_slope: float = 0.01) -> ForwardResult:
    """x where x > 0, negative_slope x elsewhere, entry by entry, for x of any shape.

    The gradient at 0 is ``negative_slope``; with a slope of 0 nothing passes below 0, as in :func:`relu`.

    >>> leaky_relu([-1.0, 2.0], 0.25)
    tensor([-0.25,  2.  ])
    """
    slope = float(negative_slope)
    x = as_float(x)
    # Of two numbers x and slope x, 0 < slope <= 1, the larger one; np.where waits for each entry's sign
    y = np.maximum(x, slope * x) if 0 < slope <= 1 else np.where(x > 0, x, slope * x)
    return y, (x, slope)


@leaky_relu.vjp
def _(g: Any, needs: Any, x: Array, slope: float) -> Any:
    above = plain(x) > 0
    return (_by_side(g, slope * g, above) if slope else taken(g, above),)


def _by_side(first: Any, second: Any, mask: Array) -> Any:
    """The first where a mask holds, the second elsewhere, as np.where, in a third of the time on a random mask."""
    return taken(first, mask) + taken(second, ~mask)


@primitive(entrywise=True, residuals=("x", "constant"))
def elu(x: Array, alpha: float = 1.0) -> ForwardResult:
    """x where x > 0, alpha (exp(x) - 1) elsewhere, entry by entry, for x of any shape.

    The gradient at 0 is ``alpha``. Source: Clevert, Unterthiner and Hochreiter (2016), arXiv:1511.07289.

    >>> elu([-1.0, 2.0]).numpy().round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """
    alpha = float(alpha)
    wide = single(x)
    y = np.maximum(wide, 0) + alpha * np.expm1(np.minimum(wide, 0))
    return narrowed(y, x), (x, alpha)


@elu.vjp
def _(g: Any, needs: Any, x: Array, alpha: float) -> Any:
    x = single(x)
    above = plain(x) > 0
    return (_by_side(g, g * (alpha * np.exp(np.minimum(x, 0))), above) if alpha else taken(g, above),)


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def softplus(x: Array) -> ForwardResult:
    """log(1 + exp(x)), entry by entry, for x of any shape; no overflow for any x.

    >>> softplus([-1000.0, 0.0, 1.0]).numpy().round(4)
    array([0.    , 0.6931, 1.3133], dtype=float32)
    """
    wide = single(x)
    y = np.log1p(np.exp(-np.abs(wide)))  # log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
    y += np.maximum(wide, 0)
    return narrowed(y, x), (x,)


@softplus.vjp
def _(g: Any, needs: Any, x: Array) -> Any:
    return (g * sigmoid_of(single(x)),)


@softplus.reference
def _(x: Any) -> Any:
    return log1p(exp(x))


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def silu(x: Array) -> ForwardResult:
    """x sigmoid(x), entry by entry, for x of any shape; also known as swish.

    Source: Elfwing, Uchibe and Doya (2018), arXiv:1702.03118.

    >>> silu([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.7311], dtype=float32)
    """
    wide = single(x)
    y = logistic(wide)
    y *= wide
    return narrowed(y, x), (x,)


@silu.vjp
def _(g: Any, needs: Any, x: Array) -> Any:
    x = single(x)
    s = logistic(x)
    d = 1 - s  # the slope is s (1 + x (1 - s))
    d *= x
    d += 1
    d *= s
    return (g * d,)


@silu.vjp_on_tensors
def _(g: Any, needs: Any, x: Any) -> Any:
    return (g * (sigmoid(x) * (1 + x * sigmoid(-x))),)  # sigmoid(-x) is 1 - sigmoid(x), with its tail


@silu.reference
def _(x: Any) -> Any:
    return divide(x, add(1, exp(negative(x))))


# --- the error function and gelu ---------------------------------------------------------------------


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def normal_cdf(x: Array) -> ForwardResult:
    """The probability that a standard normal variable is below x, entry by entry, for x of any shape.

    Accurate relative to its own, tiny size for x far below 0. The function that :func:`gelu` multiplies x with.

    >>> normal_cdf([0.0, 1.0]).numpy().round(4)
    array([0.5   , 0.8413], dtype=float32)
    """
    return narrowed(normal.below(single(x)), x), (x,)


@normal_cdf.vjp
def _(g: Any, needs: Any, x: Any) -> Any:
    t = np.clip(single(x), -100, 100)  # farther out the density is 0 anyway, and t^2 could overflow
    return (g * (np.exp(-0.5 * t * t) / math.sqrt(2 * math.pi)),)


@normal_cdf.reference
def _(x: Any) -> Any:
    return multiply(0.5, add(1, erf(multiply(x, math.sqrt(0.5)))))


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def erf(x: Array) -> ForwardResult:
    """The error function 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, entry by entry.

    For x of any shape; to a few units of the last place.

    >>> erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return narrowed(normal.erf(single(x)), x), (x,)


@erf.vjp
def _(g: Any, needs: Any, x: Array) -> Any:
    with np.errstate(over="ignore"):
        return (g * (2 / math.sqrt(math.pi) * np.exp(-np.square(single(x)))),)


_SLOPE, _CUBE = math.sqrt(2 / math.pi), 0.044715  # of the tanh approximation


@primitive(entrywise=True, residuals=("x", "derived"))
def gelu(x: Array, approximate: str = "none") -> ForwardResult:
    """x Phi(x), entry by entry, with Phi the standard normal distribution function; x of any shape.

    Args:
        approximate: ``"none"`` for the exact function, ``"tanh"`` for
            x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, which differs by less than 0.0005.

    Raises:
        ValueError: for another value of ``approximate``.

    Source: Hendrycks and Gimpel (2016), arXiv:1606.08415.

    >>> gelu([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8413], dtype=float32)
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    wide = single(x)
    if approximate == "none":
        phi = normal.below(wide)
    else:  # (1 + tanh(u)) / 2 = sigmoid(2u), which does not cancel
        t = np.clip(wide, -100, 100)
        u = t * t
        u *= 2 * _SLOPE * _CUBE
        u += 2 * _SLOPE
        u *= t
        phi = logistic(u)
    return narrowed(wide * phi, x), (wide, phi, approximate)


@gelu.vjp
def _(g: Any, needs: Any, x: Array, phi: Array, approximate: str) -> Any:
    t = np.clip(x, -100, 100)  # farther out the density is 0 anyway, and t^2 could overflow
    d = np.asarray(t * t)  # becomes the density
    if approximate == "none":
        d *= -0.5
        np.exp(d, out=d)
        d *= 1 / math.sqrt(2 * math.pi)
    else:  # sigmoid(2u)' = 2u' phi (1 - phi)
        d *= 6 * _SLOPE * _CUBE
        d += 2 * _SLOPE
        d *= phi
        d *= 1 - phi
    d *= t
    d += phi
    return (g * d,)


@gelu.vjp_on_tensors
def _(g: Any, needs: Any, x: Any, phi: Any, approximate: str) -> Any:
    t = np.clip(x, -100, 100)
    if approximate == "none":
        smooth, density = normal_cdf(x), np.exp(-0.5 * t * t) / math.sqrt(2 * math.pi)
    else:
        u = 2 * _SLOPE * t * (1 + _CUBE * t * t)
        smooth = sigmoid(u)
        density = 2 * _SLOPE * (1 + 3 * _CUBE * t * t) * smooth * sigmoid(-u)
    return (g * (smooth + t * density),)


@gelu.reference
def _(x: Any, approximate: str = "none") -> Any:
    if approximate == "none":
        shape = erf(multiply(x, math.sqrt(0.5)))
    else:
        shape = tanh(multiply(_SLOPE, add(x, multiply(_CUBE, power(x, 3)))))
    return multiply(multiply(0.5, x), add(1, shape))


# --- dropout -----------------------------------------------------------------------------------------


@primitive(entrywise=True, residuals=("constant", "constant"))
def _dropout(x: Array, p: float = 0.5, rng: np.random.Generator | int | None = None) -> ForwardResult:
    if x.dtype.kind != "f":
        raise TypeError(f"x must be floating, not {x.dtype}")
    # Numbers of one dtype whatever x's, so that a seed means the same mask in all precisions.
    keep = generator(rng).random(x.shape, dtype=np.float32) >= p
    scale = 1 / (1 - float(p))
    y = taken(x, keep)
    y *= scale
    return y, (keep, scale)


@_dropout.vjp
def _(g: Any, needs: Any, keep: Array, scale: float) -> Any:
    d = taken(g, keep)
    d *= scale
    return (d,)


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """Each entry of x, of any shape, is 0 with probability p, else divided by 1 - p, so that its mean stays.

    Without ``training``, or with p = 0, x itself comes back and nothing is drawn.

    Args:
        x: floats.
        p: the probability to drop an entry, 0 <= p < 1.
        rng: a generator or a seed; by default the library's generator (``manual_seed``).

    Raises:
        ValueError: if p is not in [0, 1).
        TypeError: if x is not floating.

    Source: Srivastava et al., Dropout, JMLR 15 (2014).

    >>> dropout([1.0, 2.0, 3.0, 4.0], 0.5, rng=1)
    tensor([0., 4., 6., 8.])
    """
    if not 0 <= p < 1:
        raise ValueError(f"dropout: p must be in [0, 1), not {p}")
    if not training or p == 0:
        return x if isinstance(x, Tensor) else Tensor(x)
    result: Tensor = _dropout(x, p, rng)
    return result


dropout.primitive = _dropout.primitive  # type: ignore[attr-defined]
