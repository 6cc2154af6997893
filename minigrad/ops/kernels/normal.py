"""The standard normal distribution and the error function of arrays: one formula for all entries, in blocks.

Beyond t >= 0 lies exp(-t^2 / 2) R(t), with R Mills' ratio over sqrt(2 pi), and erf(t) is 1 - exp(-t G(t)). R and G are
so smooth that one quotient of polynomials, with positive coefficients, gives each everywhere. Nothing cancels: that is
relative to its own size in the far tail of R, and near 0 by expm1 in erf. No entry is gathered, masked or branched for,
which took most of the time; a block of entries stays in the cache through all of it.

The coefficients are minimax fits, by least squares in 70 digits with weights that were moved to where the error was
largest (C. L. Lawson, 1961). Largest relative errors of what comes out, before rounding:

                        float32                          float64
    R, t < 15, 39       degrees 4 and 5, 7e-9            degrees 9 and 10, 6e-17
    G, t < 4, 6         degrees 4 and 3, 2e-10           degrees 8 and 7, 2e-18
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...spec import Array
from .columns import workspace

__all__ = ["below", "erf"]

_BLOCK = 2**16  # entries: three arrays of them fit the second cache, and calls take little beside their arithmetic


class _Quotient(NamedTuple):
    """Of polynomials, by their coefficients, highest power first; that of the denominator's is 1."""

    above: tuple[float, ...]
    under: tuple[float, ...]

    def __call__(self, t: Array, into: Array, scratch: Array) -> None:
        for (first, second, *others), y in ((self.above, into), (self.under, scratch)):
            np.multiply(t, first, out=y)
            y += second
            for c in others:
                y *= t
                y += c
        into /= scratch


_R32 = _Quotient(
    (0.3989464494953112, 3.9216812444144827, 17.63131754496587, 42.06744564254456, 47.83535784102400),
    (1.0, 9.830771738964564, 45.18157423142434, 115.4626161942065, 160.4691211279479, 95.67071508752809),
)  # fmt: skip
_R64 = _Quotient(
    (0.3989422804003212034, 10.7133007390780622, 140.8986720120067435, 1173.915194310182038, 6776.304663340701792,
     28007.14376788170152, 82889.92079191067118, 170083.3628205491536, 221721.7961614616059, 142972.32456811455125),
    (1.0, 26.85426254661807865, 354.1805951777254221, 2969.423277549233117, 17336.85757931318578, 73092.35569993352863,
     224063.6028907760722, 490921.5591151087701, 733049.214417330138, 671594.4131129098682, 285944.6491362291025),
)  # fmt: skip
_G32 = _Quotient(
    (0.9995512717875666, 7.531856252489560, 24.54200286588689, 40.73358550859462, 30.28862601026691),
    (1.0, 7.482420918076403, 20.95488795800432, 26.84259589957874),
)  # fmt: skip
_G64 = _Quotient(
    (0.999823144993509776, 28.4988571064151464, 295.9342988150966598, 1691.142191543887879, 6093.284592828586351,
     14495.0471260077955, 22563.98937745846947, 21310.95352471036045, 9522.361335890563601),
    (1.0, 28.47827355991804626, 291.2079707973254764, 1597.019374821214554, 5350.273342404715348, 11258.92632674980344,
     14125.16015272539201, 8438.973009756511734),
)  # fmt: skip


def below(x: Array) -> Array:
    """The probability that a standard normal variable is below x, for floats of any shape.

    >>> below(np.array([-np.inf, 0.0, 1.0])).round(4)
    array([0.    , 0.5   , 0.8413])
    """
    # Farther out it is 0 in this dtype, and t^2 could overflow.
    limit = math.ceil(math.sqrt(-2 * float(np.log(np.finfo(x.dtype).smallest_subnormal))))
    return _in_blocks(_below, _R32 if x.dtype == np.float32 else _R64, limit, x)


def erf(x: Array) -> Array:
    """The error function, for floats of any shape.

    >>> erf(np.array([-np.inf, 0.0, 1.0])).round(4)
    array([-1.    ,  0.    ,  0.8427])
    """
    narrow = x.dtype == np.float32
    return _in_blocks(_erf, _G32 if narrow else _G64, 4 if narrow else 6, x)  # farther out it rounds to 1


def _in_blocks(
    work: Callable[[_Quotient, Array, Array, Array, Array], None], quotient: _Quotient, limit: int, x: Array
) -> Array:
    """Call ``work(quotient, x, t, scratch, out)`` for all blocks, with t = |x| up to a limit."""
    out = np.empty(x.shape, x.dtype)
    flat, into = x.reshape(-1), out.reshape(-1)
    t, scratch = workspace("normal", (2, min(x.size, _BLOCK)), x.dtype)
    for start in range(0, x.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        n = len(part)
        np.absolute(part, out=t[:n])
        np.minimum(t[:n], limit, out=t[:n])
        work(quotient, part, t[:n], scratch[:n], into[start : start + n])
    return out


def _below(R: _Quotient, x: Array, t: Array, scratch: Array, out: Array) -> None:
    R(t, out, scratch)
    t *= t
    t *= -0.5
    out *= np.exp(t, out=t)
    out -= x > 0  # the tail itself, or minus what it leaves of 1
    np.absolute(out, out=out)


def _erf(G: _Quotient, x: Array, t: Array, scratch: Array, out: Array) -> None:
    G(t, out, scratch)
    out *= t
    np.negative(out, out=out)
    np.expm1(out, out=out)
    np.copysign(out, x, out=out)
