"""A recurrent layer to first order: the slopes of its cell, and the loops through them in both directions.

What a small change of the inputs does to the states is linear, and so is what cotangents of states do on their way
back. With the partial derivatives of each step, its *slopes*, both are loops of products. For an RNN the slope is
k = 1 - h^2, for an LSTM there are six, k_i = g i (1 - i), k_f = c f (1 - f), k_o = tanh(c') o (1 - o),
k_g = i (1 - g^2), f, and m = o (1 - tanh^2 c'). For a GRU, with k_n = (1 - z) (1 - n^2) and a_n = h Wh_n + bh_n, there
are four: k_r = k_n a_n r (1 - r), k_z = (h - n) z (1 - z), k_m = k_n r, and z. A dot marks a change, p that of a step's
input part x Wx + b, but of a GRU what is added to a.:

    push   RNN    a. = p. + h. Wh      h. = k a.
           LSTM   a. = p. + h. Wh      c. = f c. + k_i a._i + k_f a._f + k_g a._g      h. = m c. + k_o a._o
           GRU    a. = p. + h. Wh      h. = z h. + k_r a._r + k_z a._z + k_m a._n
    pull   RNN    da = k dh            dh = da Wh'
           LSTM   dc += m dh           da_i, da_f, da_g = k_i dc, k_f dc, k_g dc       da_o = k_o dh
                  dc = f dc            dh = da Wh'
           GRU    da_r, da_z, da_n = k_r dh, k_z dh, k_m dh                       dh = z dh + da Wh'

Each is the transpose of the other, and so the derivatives of pulling are found by pushing
(:mod:`minigrad.ops.through_time`).

Slopes, gates and a. of M rows are in the order in which :func:`.sequences.run` keeps them: the entries of a step of n
rows are (S, n, H) in the memory of these rows, :func:`of_step`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...spec import Array
from .packing import Group, Inputs, Packing
from .sequences import run, run_back

__all__ = [
    "lstm_slopes", "lstm_slopes_vjp", "of_step", "of_steps", "pull", "pull_gru", "pull_slopes", "push", "push_gru",
    "steps_of",
]  # fmt: skip

_IN_CACHE = 2**14  # entries of a state at a time: of short steps many, so that calls are few


def of_step(kept: Array, step: slice, H: int) -> Array:
    """The entries of a step of n rows in (M, S H), as (S, n, H), a view."""
    rows = kept[step]
    return rows.reshape(rows.shape[1] // H, len(rows), H)


def of_steps(kept: Array, rows: slice, n: int, H: int) -> Array:
    """The entries of some steps of n rows each in (M, S H), as (S, steps, n, H), a view."""
    return kept[rows].reshape(-1, kept.shape[1] // H, n, H).swapaxes(0, 1)


def steps_of(packing: Packing) -> list[slice]:
    """The rows of all steps of all groups, in order."""
    return [group.step(t) for group in packing.groups for t in range(group.steps)]


# --- the slopes of an LSTM --------------------------------------------------------------------------


def lstm_slopes(gates: Array, before: Array, c: Array, packing: Packing) -> Array:
    """The slopes (M, 6H) of an LSTM's steps, in the order k_i, k_f, k_o, k_g, f, m.

    Args:
        gates: (M, 4H), u = e^-a of i, f and o, and g, as :func:`.cells.lstm_states` leaves them.
        before, c: (M, H), the cell state before and after each row.
    """
    H = c.shape[1]
    slopes = np.empty((len(c), 6 * H), c.dtype)
    for rows, n in packing.stretches(_IN_CACHE // H):
        kept, k = of_steps(gates, rows, n, H), of_steps(slopes, rows, n, H)
        u, g = kept[:3], kept[3]
        tanh_c = np.tanh(c[rows]).reshape(g.shape)
        s = 1 / (1 + u)
        np.multiply(u, s, out=k[:3])
        k[:3] *= s  # s (1 - s), exact in both tails
        k[0] *= g
        k[1] *= before[rows].reshape(g.shape)
        k[2] *= tanh_c
        k[3] = s[0] * (1 - g * g)
        k[4] = s[1]
        k[5] = s[2] * (1 - tanh_c * tanh_c)
    return slopes


def lstm_slopes_vjp(d: Array, gates: Array, before: Array, c: Array, packing: Packing) -> tuple[Array, Array, Array]:
    """The cotangents of gates, before and c from those of the slopes, d (M, 6H).

    With s = 1 / (1 + u): the derivative of s is -s^2, that of s (1 - s) = u s^2 is (1 - u) s^3.
    """
    H = c.shape[1]
    d_gates, d_before, d_c = (np.empty(x.shape, x.dtype) for x in (gates, before, c))
    for step in steps_of(packing):
        u, (g,) = np.split(of_step(gates, step, H), [3])
        tanh_c = np.tanh(c[step])
        d_i, d_f, d_o, d_g, d_forget, d_m = of_step(d, step, H)
        s = 1 / (1 + u)
        squares = s * s
        bent = squares * ((1 - u) * s)
        flat, flat_c = 1 - g * g, 1 - tanh_c * tanh_c
        out = of_step(d_gates, step, H)
        out[0] = d_i * g * bent[0] - d_g * flat * squares[0]
        out[1] = d_f * before[step] * bent[1] - d_forget * squares[1]
        out[2] = d_o * tanh_c * bent[2] - d_m * flat_c * squares[2]
        out[3] = d_i * (u[0] * squares[0]) - 2 * g * s[0] * d_g
        d_before[step] = d_f * (u[1] * squares[1])
        d_c[step] = (d_o * (u[2] * squares[2]) - 2 * tanh_c * s[2] * d_m) * flat_c
    return d_gates, d_before, d_c


# --- loops ------------------------------------------------------------------------------------------


def push(packing: Packing, Wh: Array, slopes: Array, p: Array, first: Sequence[Array]) -> tuple[Array, list[Array]]:
    """Changes of the states (M, H) from those of the input parts p (M, G) and of the first states (N, H).

    Args:
        slopes: (M, H) of an RNN, (M, 6H) of an LSTM. first: of h, and of an LSTM of c, in the order of packing.

    Returns:
        those of the pre-activations, (M, G) in the order of steps, and of each state after each row.
    """
    H = len(Wh)
    states = [np.empty((len(p), H), slopes.dtype) for _ in first]

    def cell(group: Group, t: int, a: Array, p: Array) -> None:
        a += p
        step = group.step(t)
        k = of_step(slopes, step, H)
        if len(first) == 1:
            np.multiply(k[0], a[0], out=states[0][step])
            return
        k_i, k_f, k_o, k_g, f, m = k
        h, c = (state[step] for state in states)
        np.multiply(f, group.before(t, first[1], states[1]), out=c)
        for slope, gate in ((k_i, 0), (k_f, 1), (k_g, 3)):
            c += np.multiply(slope, a[gate], out=h)  # h is scratch
        np.multiply(m, c, out=h)
        h += k_o * a[2]

    a = np.empty(p.shape, slopes.dtype)
    run(packing, Inputs(packing, None), p, Wh, first[0], states[0], cell, a)
    return a, states


def pull(
    packing: Packing, Wh: Array, slopes: Array, outside: Sequence[Array | None], inside: Array | None = None,
    keep: bool = True,
) -> tuple[list[Array], Array, list[Array]]:  # fmt: skip
    """The transpose: cotangents of the input parts and first states from those of the states.

    Args:
        outside: those of each state after each row (M, H), None for zeros. inside: those of the pre-activations, (M, G)
            in the order of steps, if there are any. keep: whether the last result is wanted.

    Returns:
        those of the first states, each (N, H); of the input parts (M, G); and all that came to each state (M, H), none
        of these if they are not kept.
    """
    H = len(Wh)
    totals = [np.empty((len(slopes), H), slopes.dtype) for _ in outside] if keep else []

    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> None:
        step = group.step(t)
        k = of_step(slopes, step, H)
        if len(cotangents) == 1:
            np.multiply(k, cotangents[0], out=da)
        else:
            dh, dc = cotangents
            through = da[2]
            np.multiply(k[5], dh, out=through)  # scratch
            dc += through
            if keep:
                totals[1][step] = dc
            np.multiply(k[:4], dc, out=da)
            np.multiply(k[2], dh, out=through)
            dc *= k[4]
        if keep:
            totals[0][step] = cotangents[0]
        if inside is not None:
            da += of_step(inside, step, H)

    first, da = run_back(packing, Wh, outside, slopes.dtype, cell_vjp)
    return first, da, totals


def pull_slopes(
    packing: Packing, a: Array, first: Sequence[Array], states: Sequence[Array], totals: Sequence[Array]
) -> Array:
    """Cotangents of the slopes: each slope's two ends, what :func:`push` brings to one and :func:`pull` to the other.

    Args:
        a, first, states: changes, as of :func:`push`. totals: as of :func:`pull`.
    """
    if len(states) == 1:
        return a * totals[0]
    before = packing.states_before(first[1], states[1])
    H = before.shape[1]
    d = np.empty((len(before), 6 * H), before.dtype)
    for step in steps_of(packing):
        (dh, dc), out = (total[step] for total in totals), of_step(d, step, H)
        a_of_step = of_step(a, step, H)
        np.multiply(a_of_step, dc, out=out[:4])
        np.multiply(a_of_step[2], dh, out=out[2])
        np.multiply(before[step], dc, out=out[4])
        np.multiply(states[1][step], dh, out=out[5])
    return d


# --- the loops of a GRU -----------------------------------------------------------------------------


def push_gru(
    packing: Packing, Wh: Array, slopes: Array, p: Array, arriving: Array | None, first: Array
) -> tuple[Array, Array]:
    """As :func:`push`, of a GRU: changes of the products h @ Wh (3, M, H), and of the state after each row (M, H).

    Args:
        slopes: (4, M, H), k_r, k_z, k_m and z. p: (M, 3H), what is added to a., in the order of rows. arriving: (M, H),
            what is added to each state. first: of h0, in the order of packing.
    """
    H = len(Wh)
    a_all, h = np.empty((3, len(p), H), slopes.dtype), np.empty((len(p), H), slopes.dtype)

    def cell(group: Group, t: int, a: Array, p: Array) -> None:
        step = group.step(t)
        np.add(a, p, out=a_all[:, step])
        np.multiply(slopes[3, step], group.before(t, first, h), out=h[step])
        for gate in np.multiply(slopes[:3, step], a_all[:, step], out=a):
            h[step] += gate
        if arriving is not None:
            h[step] += arriving[step]

    run(packing, Inputs(packing, None), p, Wh, first, h, cell)
    return a_all, h


def pull_gru(
    packing: Packing, Wh: Array, slopes: Array, outside: Array | None, inside: Array | None
) -> tuple[Array, Array, Array]:
    """As :func:`pull`, of a GRU: cotangents of h @ Wh (M, 3H), of h0 (N, H), and all that came to each state (M, H).

    Args:
        slopes: (4, M, H), k_r, k_z, k_m and z. outside: (M, H), of each state after each row. inside: (3, M, H), of
            h @ Wh.
    """
    total = np.empty((slopes.shape[1], len(Wh)), slopes.dtype)

    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> Array:
        step, (dh,) = group.step(t), cotangents
        total[step] = dh
        np.multiply(slopes[:3, step], dh, out=da)
        if inside is not None:
            da += inside[:, step]
        dh *= slopes[3, step]
        return dh

    (dh0,), da = run_back(packing, Wh, [outside], slopes.dtype, cell_vjp)
    return da, dh0, total
