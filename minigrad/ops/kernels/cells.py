"""The cells of recurrent layers: from pre-activations to the next states, and back, in place.

n rows, H hidden. Pre-activations and what they become have the gates first, (gates, n, H).
"""

from __future__ import annotations

import numpy as np

from ...spec import Array

__all__ = ["lstm_gates_vjp", "lstm_states", "lstm_states_vjp", "tanh_vjp"]


def tanh_vjp(g: Array, y: Array, out: Array | None = None) -> Array:
    """Cotangent of a from that of y = tanh(a): g (1 - y^2).

    >>> tanh_vjp(np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    out = np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)
    np.multiply(out, g, out=out)
    return out


def lstm_states(a: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
    """From pre-activations ``a`` (4, n, H) and the cell state (n, H) to the next states; ``a`` keeps the gates' parts.

    i, f, o = sigmoid(a_i, a_f, a_o), g = tanh(a_g); c' = f c + i g; h' = o tanh(c').
    What is left in ``a`` is u = e^-a of i, f and o, and g: from u both sigmoid = 1 / (1 + u) and 1 - sigmoid =
    u / (1 + u) keep their tails, where (1 + tanh(a / 2)) / 2 is all rounding from a = -17 on (float32). Below the
    smallest normal number, from a = -88 (float64: -709) on, a gate stays there instead of going on to 0.
    """
    u, g = a[:3], a[3]
    np.negative(u, out=u)
    np.minimum(u, _highest(u), out=u)
    np.exp(u, out=u)
    np.tanh(g, out=g)
    i, f, o = u + 1  # divided by, which spares the pass that would make sigmoids of them
    np.divide(c, f, out=c_next)
    np.divide(g, i, out=tanh_c)  # borrowed as scratch
    c_next += tanh_c
    np.tanh(c_next, out=tanh_c)
    np.divide(tanh_c, o, out=h_next)


def _highest(x: Array) -> Array:
    """The largest integer whose exponential is finite, 88 in single and 709 in double, as a row of x.

    With a row np.minimum takes 4 µs for 40,000 entries, with a single number 21.
    """
    return np.full(x.shape[-1], int(np.log(np.finfo(x.dtype).max)), x.dtype)


def lstm_states_vjp(dh: Array, dc: Array, gates: Array, c: Array, tanh_c: Array, da: Array) -> None:
    """From the cotangents of h' and c' to those of the pre-activations (into ``da``) and of c (into ``dc``).

    With dc' += dh o (1 - tanh^2 c'): da_i = dc' g i (1 - i), da_f = dc' c f (1 - f),
    da_o = dh tanh(c') o (1 - o), da_g = dc' i (1 - g^2), dc = dc' f. ``gates`` are u of i, f, o, and g, as
    :func:`lstm_states` leaves them; with s = 1 / (1 + u), s (1 - s) is u s^2.
    """
    u, g = gates[:3], gates[3]
    sigmoids = u + 1
    np.divide(1, sigmoids, out=sigmoids)
    i, f, o = sigmoids
    da_i, da_f, da_o, da_g = da
    tanh_vjp(dh, tanh_c, out=da_g)
    da_g *= o
    dc += da_g
    np.multiply(u, sigmoids, out=da[:3])
    da[:3] *= sigmoids
    tanh_vjp(dc, g, out=da_g)
    da_g *= i
    da_i *= g
    da_i *= dc
    da_f *= c
    da_f *= dc
    da_o *= tanh_c
    da_o *= dh
    dc *= f


def lstm_gates_vjp(d: Array, gates: Array, da: Array) -> None:
    """Add to the cotangents of the pre-activations, ``da``, those of ``gates`` as :func:`lstm_states` leaves them.

    u = e^-a has the derivative -u, g = tanh(a) has 1 - g^2.
    """
    u, g = gates[:3], gates[3]
    da[:3] -= u * d[:3]
    da[3] += d[3] * (1 - g * g)
