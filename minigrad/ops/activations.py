"""Activation functions of neural networks, and dropout: entry by entry, on inputs of any shape.

Float32 stays float32, and float16 float16, computed in single precision; booleans and integers become float64, except
in relu, which keeps them. A cotangent that is not passed on becomes 0, even if it is infinite or NaN.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..compiler import fused
from ..core import Tensor, plain
from ..primitives import ForwardResult, primitive
from ..rng import generator
from ..spec import Array, as_array
from .elementwise import add, astype, divide, exp, log, log1p, multiply, negative, power, tanh
from .kernels.numerics import FEW, as_float, logistic, masked, narrowed, single
from .reductions import sum
from .shaping import expand_dims, squeeze


@primitive(broadcasts=True, entrywise=True, residuals=("x", "output"))
def sigmoid(x: Array) -> ForwardResult:
    """1 / (1 + exp(-x)), entry by entry, for x of any shape; no overflow for any x.

    Value and gradient are accurate relative to their own size in both tails, as long as they are normal numbers.

    >>> sigmoid([0.0, -1000.0])
    tensor([0.5, 0. ])
    """
    y = logistic(single(x))
    return narrowed(y, x), (x, y)


# 1 - y would cancel near a y of 1
sigmoid.vjp(fused(lambda g, needs, x, y: (g * (y * sigmoid_of(-single(x))),)))


def sigmoid_of(x: Any) -> Any:
    """Return the sigmoid of arrays or tensors."""
    return sigmoid(x) if isinstance(x, Tensor) else logistic(x)


@primitive(broadcasts=True, entrywise=True, residuals=("output",))
def relu(x: Array) -> ForwardResult:
    """max(x, 0), entry by entry, for x of any shape; the gradient at 0 is 0, and nothing passes below, not even NaN.

    >>> relu([-1.0, 2.0])
    tensor([0., 2.])
    """
    y = np.maximum(x, 0)
    return y, (y,)


relu.vjp(lambda g, needs, y: (masked(g, y != 0),))  # y is never negative; a NaN passes g on, as in maximum


@primitive(entrywise=True, residuals=("x", "constant"))
def leaky_relu(x: Array, negative_slope: float = 0.01) -> ForwardResult:
    """x where x > 0, negative_slope x elsewhere, entry by entry, for x of any shape.

    The gradient at 0 is ``negative_slope``; with a slope of 0 nothing passes below 0, as in :func:`relu`.

    >>> leaky_relu([-1.0, 2.0], 0.25)
    tensor([-0.25,  2.  ])
    """
    slope = float(negative_slope)
    x = as_float(x)
    # The larger of x and slope x, for 0 < slope <= 1; np.where waits for each entry's sign
    y = _leaky_relu(x, slope) if 0 < slope <= 1 else np.where(x > 0, x, slope * x)
    return y, (x, slope)


_leaky_relu = fused(lambda x, slope: np.maximum(x, slope * x))


@leaky_relu.vjp
def _(g: Any, needs: Any, x: Array, slope: float) -> Any:
    return (_pull_leaky_relu(g, x, slope) if slope else masked(g, plain(x) > 0),)


@fused
def _pull_leaky_relu(g: Any, x: Any, slope: float) -> Any:
    return _by_side(g, slope * g, plain(x) > 0)


def _by_side(first: Any, second: Any, mask: Any) -> Any:
    """Select like np.where, in a third of its time on a long random mask."""
    if type(first) is np.ndarray and first.size <= FEW:
        return np.where(mask, first, second)
    return masked(first, mask) + masked(second, ~mask)


@primitive(entrywise=True, residuals=("x", "constant"))
def elu(x: Array, alpha: float = 1.0) -> ForwardResult:
    """x where x > 0, alpha (exp(x) - 1) elsewhere, entry by entry, for x of any shape.

    The gradient at 0 is ``alpha``. Source: Clevert, Unterthiner and Hochreiter (2016), arXiv:1511.07289.

    >>> elu([-1.0, 2.0]).numpy().round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """
    alpha = float(alpha)
    return narrowed(_elu(single(x), alpha), x), (x, alpha)


_elu = fused(lambda x, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)))


@elu.vjp
def _(g: Any, needs: Any, x: Array, alpha: float) -> Any:
    return (_pull_elu(g, single(x), alpha) if alpha else masked(g, plain(x) > 0),)


@fused
def _pull_elu(g: Any, x: Any, alpha: float) -> Any:
    return _by_side(g, g * (alpha * np.exp(np.minimum(x, 0))), plain(x) > 0)


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def softplus(x: Array) -> ForwardResult:
    """log(1 + exp(x)), entry by entry, for x of any shape; no overflow for any x.

    >>> softplus([-1000.0, 0.0, 1.0]).numpy().round(4)
    array([0.    , 0.6931, 1.3133], dtype=float32)
    """
    return narrowed(_softplus(single(x)), x), (x,)


# log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
_softplus = fused(lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))
softplus.vjp(fused(lambda g, needs, x: (g * sigmoid_of(single(x)),)))


softplus.reference(lambda x: log1p(exp(x)))


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def silu(x: Array) -> ForwardResult:
    """x sigmoid(x), entry by entry, for x of any shape; also known as swish.

    Source: Elfwing, Uchibe and Doya (2018), arXiv:1702.03118.

    >>> silu([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.7311], dtype=float32)
    """
    return narrowed(_silu(single(x)), x), (x,)


_silu = fused(lambda x: x * logistic(x))


@silu.vjp
@fused
def _(g: Any, needs: Any, x: Any) -> Any:
    x = single(x)
    s = sigmoid_of(x)
    rest = sigmoid(-x) if isinstance(x, Tensor) else 1 - s  # 1 - s would cancel in higher derivatives
    return (g * (s * (1 + x * rest)),)


silu.reference(lambda x: divide(x, add(1, exp(negative(x)))))


# --- the standard normal distribution and the error function -----------------------------------------

# The tail beyond t >= 0 is exp(-t^2 / 2) R(t), with R Mills' ratio over sqrt(2 pi), and erf(t) is 1 - exp(-t G(t)). R
# and G are so smooth that one quotient of polynomials with positive coefficients gives each everywhere. Nothing
# cancels: the result is accurate relative to its size in the far tail of R, and near 0 by expm1 in erf.
#
# The coefficients, highest power first, are minimax fits by least squares in 70 digits (C. L. Lawson, 1961). The
# largest relative errors before rounding:
#
#                         float32                          float64
#     R, t < 15, 39       degrees 4 and 5, 7e-9            degrees 9 and 10, 6e-17
#     G, t < 4, 6         degrees 4 and 3, 2e-10           degrees 8 and 7, 2e-18
_R32 = (
    (0.3989464494953112, 3.9216812444144827, 17.63131754496587, 42.06744564254456, 47.83535784102400),
    (1.0, 9.830771738964564, 45.18157423142434, 115.4626161942065, 160.4691211279479, 95.67071508752809),
)  # fmt: skip
_R64 = (
    (0.3989422804003212034, 10.7133007390780622, 140.8986720120067435, 1173.915194310182038, 6776.304663340701792,
     28007.14376788170152, 82889.92079191067118, 170083.3628205491536, 221721.7961614616059, 142972.32456811455125),
    (1.0, 26.85426254661807865, 354.1805951777254221, 2969.423277549233117, 17336.85757931318578, 73092.35569993352863,
     224063.6028907760722, 490921.5591151087701, 733049.214417330138, 671594.4131129098682, 285944.6491362291025),
)  # fmt: skip
_G32 = (
    (0.9995512717875666, 7.531856252489560, 24.54200286588689, 40.73358550859462, 30.28862601026691),
    (1.0, 7.482420918076403, 20.95488795800432, 26.84259589957874),
)  # fmt: skip
_G64 = (
    (0.999823144993509776, 28.4988571064151464, 295.9342988150966598, 1691.142191543887879, 6093.284592828586351,
     14495.0471260077955, 22563.98937745846947, 21310.95352471036045, 9522.361335890563601),
    (1.0, 28.47827355991804626, 291.2079707973254764, 1597.019374821214554, 5350.273342404715348, 11258.92632674980344,
     14125.16015272539201, 8438.973009756511734),
)  # fmt: skip


def _quotient(coefficients: tuple[tuple[float, ...], tuple[float, ...]], t: Any) -> Any:
    """Return the quotient of two polynomials of t."""
    above, under = (functools.reduce(lambda y, c: y * t + c, polynomial) for polynomial in coefficients)
    return above / under


@fused
def _below(x: Any) -> Any:
    """The probability that a standard normal variable is below x."""
    narrow = x.dtype == np.float32
    t = np.minimum(np.abs(x), 15 if narrow else 39)  # beyond, it is 0, and t^2 could overflow
    tail = _quotient(_R32 if narrow else _R64, t) * np.exp(t * t * -0.5)
    return np.abs(tail - (x > 0))  # the tail itself, or 1 minus it


@fused
def _erf(x: Any) -> Any:
    """The error function."""
    narrow = x.dtype == np.float32
    t = np.minimum(np.abs(x), 4 if narrow else 6)  # beyond, it rounds to 1
    return np.copysign(np.expm1(-t * _quotient(_G32 if narrow else _G64, t)), x)


# --- functions of the normal distribution -------------------------------------------------------------


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def normal_cdf(x: Array) -> ForwardResult:
    """The probability that a standard normal variable is below x, entry by entry, for x of any shape.

    Accurate relative to its own, tiny size for x far below 0. :func:`gelu` multiplies x by this function.

    >>> normal_cdf([0.0, 1.0]).numpy().round(4)
    array([0.5   , 0.8413], dtype=float32)
    """
    return narrowed(_below(single(x)), x), (x,)


# beyond 100 the density is 0 anyway, and the square could overflow
normal_cdf.vjp(
    fused(lambda g, needs, x: (g * (np.exp(-0.5 * np.square(single(x).clip(-100, 100))) / math.sqrt(2 * math.pi)),))
)


@primitive(broadcasts=True, entrywise=True, residuals=("x",))
def erf(x: Array) -> ForwardResult:
    """The error function 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, entry by entry.

    For x of any shape; to a few units of the last place.

    >>> erf([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return narrowed(_erf(single(x)), x), (x,)


@erf.vjp
@fused
def _(g: Any, needs: Any, x: Array) -> Any:
    with np.errstate(over="ignore"):
        return (g * (2 / math.sqrt(math.pi) * np.exp(-np.square(single(x)))),)


# B_2k / (2k (2k - 1)), with the Bernoulli numbers
_STIRLING = np.array([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156])


def gammaln(x: Any) -> Tensor:
    """The logarithm of the gamma function, for positive x of any shape: ``scipy.special.gammaln``.

    Its derivative is the digamma function. Both are computed in float64, with an error below 1e-14 relative to the
    larger of the result and 1, from Stirling's series for x + 10 and the recurrence log(gamma(x + 1)) = log(gamma(x)) +
    log(x). The result is NaN for negative x and for infinity, and infinite at 0.

    Source: M. Abramowitz and I. Stegun, Handbook of mathematical functions (1964), 6.1.15 and 6.1.41.

    >>> gammaln([1.0, 5.0]).numpy().round(4)  # log(0!) and log(4!)
    array([0.    , 3.1781], dtype=float32)
    """
    each: Any = expand_dims(astype(x, np.float64), -1)  # the last axis is for the terms of sums
    z = each + 10
    sums = sum(_STIRLING / z ** np.arange(1, 14, 2), -1) - sum(log(each + np.arange(10)), -1)
    y = squeeze((z - 0.5) * (log(z) - 1), -1) + (math.log(2 * math.pi) - 1) / 2 + sums
    return astype(y, as_float(as_array(plain(x))).dtype)  # type: ignore[no-any-return]


normal_cdf.reference(lambda x: multiply(0.5, add(1, erf(multiply(x, math.sqrt(0.5))))))

_SLOPE, _CUBE = math.sqrt(2 / math.pi), 0.044715  # of the tanh approximation


@primitive(entrywise=True, residuals=("x", "derived", "constant"))
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
    y, phi = _gelu(wide, approximate)
    return narrowed(y, x), (wide, phi, approximate)


@fused
def _gelu(x: Any, approximate: str) -> tuple[Any, Any]:
    phi = _phi(x, approximate)
    return x * phi, phi


def _phi(x: Any, approximate: str) -> Any:
    """Return the factor by which gelu multiplies x, for an array or a tensor."""
    if approximate == "none":
        return normal_cdf(x) if isinstance(x, Tensor) else _below(x)
    t = x.clip(-100, 100)
    return sigmoid_of(t * (2 * _SLOPE + 2 * _SLOPE * _CUBE * (t * t)))  # (1 + tanh) / 2, which would cancel


@gelu.vjp_on_tensors
@gelu.vjp
@fused
def _(g: Any, needs: Any, x: Any, phi: Any, approximate: str) -> Any:
    phi = _phi(x, approximate) if isinstance(x, Tensor) else phi  # as a function of x
    t = x.clip(-100, 100)  # beyond, the density is 0 anyway, and t^2 could overflow
    if approximate == "none":
        density = np.exp(-0.5 * (t * t)) * (1 / math.sqrt(2 * math.pi))
    else:  # sigmoid(u)' = u' phi (1 - phi)
        density = (2 * _SLOPE + 6 * _SLOPE * _CUBE * (t * t)) * phi * (1 - phi)
    return (g * (phi + t * density),)


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
    # Numbers of one dtype for all dtypes of x, so that a seed gives the same mask in all precisions.
    keep = generator(rng).random(x.shape, dtype=np.float32) >= p
    scale = 1 / (1 - float(p))
    return masked(x, keep) * scale, (keep, scale)


_dropout.vjp(lambda g, needs, keep, scale: (masked(g, keep) * scale,))


def dropout(x: Any, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None) -> Tensor:
    """Set each entry of x, of any shape, to 0 with probability p, and divide the others by 1 - p to keep the mean.

    Without ``training``, or with p = 0, it returns x itself and draws nothing.

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
    return _dropout(x, p, rng)  # type: ignore[no-any-return]


dropout.primitive = _dropout.primitive  # type: ignore[attr-defined]
