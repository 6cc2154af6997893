"""The cells of recurrent layers: from pre-activations to the next states, and back, in place.

n rows, H hidden. Pre-activations and what they become have the gates first, (gates, n, H).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...spec import Array

__all__ = [
    "gru_gates_vjp", "gru_states", "gru_states_vjp", "lstm_gates_vjp", "lstm_states", "lstm_states_vjp", "tanh_vjp",
]  # fmt: skip


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
    np.minimum(u, _highest(u.shape[-1], u.dtype), out=u)
    np.exp(u, out=u)
    np.tanh(g, out=g)
    i, f, o = u + 1  # divided by, which spares the pass that would make sigmoids of them
    np.divide(c, f, out=c_next)
    np.divide(g, i, out=tanh_c)  # borrowed as scratch
    c_next += tanh_c
    np.tanh(c_next, out=tanh_c)
    np.divide(tanh_c, o, out=h_next)


@lru_cache(64)
def _highest(columns: int, dtype: Any) -> Array:
    """The largest integer whose exponential is finite, 88 in single and 709 in double, as a row.

    With a row np.minimum takes 4 µs for 40,000 entries, with a single number 21.
    """
    row = np.full(columns, int(np.log(np.finfo(dtype).max)), dtype)
    row.setflags(write=False)
    return row


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


def gru_states(a: Array, p: Array, b_n: Array, h: Array, gates: Array, h_next: Array) -> None:
    """From a = h Wh and the input's part p, each (3, n, H) with gates r, z, n, and the state (n, H) to the next state.

    r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z); m = a_n + b_n; n = tanh(p_n + r m); h' = (1 - z) n + z h.
    ``a`` is scratch. ``gates`` (4, n, H) gets u = e^-(a + p) of r and z, m and n: with u, whose tails
    :func:`lstm_states` tells of, h' = (u_z n + h) / (1 + u_z).
    """
    u, m, n = gates[:2], gates[2], gates[3]
    both, r = a[:2], a[0]
    both += p[:2]
    np.negative(both, out=both)
    np.minimum(both, _highest(both.shape[-1], both.dtype), out=both)
    np.exp(both, out=u)
    np.add(a[2], b_n, out=m)
    np.add(u[0], 1, out=r)
    np.divide(m, r, out=n)
    n += p[2]
    np.tanh(n, out=n)
    np.multiply(u[1], n, out=h_next)
    h_next += h
    h_next /= np.add(u[1], 1, out=r)


def gru_states_vjp(dh: Array, gates: Array, h: Array, da: Array, dn: Array) -> None:
    """From the cotangent of h' to that of a (into ``da``), of p_n (``dn``), and of h on its direct path (``dh``).

    dn = dh (1 - z) (1 - n^2); da_m = dn r; da_r = da_m m (1 - r); da_z = dh (h - n) z (1 - z); dh = dh z. p_r and p_z
    have the cotangents of a_r and a_z. ``gates`` are as :func:`gru_states` leaves them; with s = 1 / (1 + u), 1 - s is
    u s.
    """
    u, m, n = gates[:2], gates[2], gates[3]
    s = u + 1
    np.divide(1, s, out=s)
    r, z = s
    da_r, da_z, da_m = da
    np.multiply(u, s, out=da[:2])
    tanh_vjp(dh, n, out=dn)
    dn *= da_z
    np.multiply(dn, r, out=da_m)
    da_r *= da_m
    da_r *= m
    da_z *= z
    da_z *= dh
    da_z *= np.subtract(h, n, out=r)  # scratch
    dh *= z


def gru_gates_vjp(d: Array, gates: Array, da: Array, dn: Array) -> None:
    """Add to the cotangents of a and p_n those of ``gates`` (4, n, H) as :func:`gru_states` leaves them.

    u = e^-(a + p) has the derivative -u; n = tanh(p_n + r m) reaches p_n, m and r, and m is a_n + b_n.
    """
    u, m, n = gates[:2], gates[2], gates[3]
    r = 1 / (1 + u[0])
    bent = d[3] * (1 - n * n)
    dn += bent
    bent *= r
    da[:2] -= u * d[:2]
    da[0] += bent * (m * (u[0] * r))
    da[2] += d[2] + bent
