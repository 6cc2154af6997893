"""The gated recurrent unit: one step, and a whole sequence in one primitive.

The code shared with other layers is in :mod:`.recurrent`. The reset gate comes after the product, so that a step needs
one product of the state, as in cuDNN and PyTorch; in the paper it comes before. The two differ only in n:
tanh(p_n + r (h Wh_n + bh_n)) here, tanh(p_n + (r h) Wh_n + bh_n) there.

Shapes: N batch, T steps, D input, H hidden. Source: K. Cho et al., Learning phrase representations using RNN
encoder-decoder for statistical machine translation (2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..spec import Array
from .kernels.numerics import sum_single
from .kernels.packing import of_steps
from .kernels.recurrent_steps import Operand, Trace, by_gate, project, run_cell, run_cell_back
from .recurrent import (
    Cell, begin, check_shapes, declare_rules, largest_exponent, pull_step, tanh_vjp, wide_dtype, with_last_gate,
)  # fmt: skip

__all__ = ["gru", "gru_step"]

# --- the cell, n rows in place --------------------------------------------------------------------------


def gru_states(a: Array, p: Array, b_n: Array, h: Array, gates: Array, h_next: Array) -> None:
    """Compute the next state from a = h Wh and p, each (3, n, H) with gates r, z, n, and the state (n, H).

    r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z); m = a_n + b_n; n = tanh(p_n + r m); h' = (1 - z) n + z h.
    ``a`` is scratch. ``gates`` (4, n, H) gets u = e^-(a + p) of r and z, m and n: with u, whose tails
    :func:`.recurrent_lstm.lstm_states` describes, h' = (u_z n + h) / (1 + u_z).
    """
    u, m, n = gates[:2], gates[2], gates[3]
    both, r = a[:2], a[0]
    both += p[:2]
    np.negative(both, out=both)
    np.minimum(both, largest_exponent(both.dtype), out=both)
    np.exp(both, out=u)
    np.add(a[2], b_n, out=m)
    np.add(u[0], 1, out=r)
    np.divide(m, r, out=n)
    n += p[2]
    np.tanh(n, out=n)
    np.multiply(u[1], n, out=h_next)
    h_next += h
    h_next /= np.add(u[1], 1, out=r)


def gru_states_vjp(cotangents: list[Array], da: Array, gates: Array, h: Array, dn: Array) -> Array:
    """Convert the cotangent of h' to those of a (into ``da``), of p_n (``dn``), and of h on its direct path (``dh``).

    dn = dh (1 - z) (1 - n^2); da_m = dn r; da_r = da_m m (1 - r); da_z = dh (h - n) z (1 - z); dh = dh z. p_r and p_z
    have the cotangents of a_r and a_z. ``gates`` are as :func:`gru_states` leaves them; with s = 1 / (1 + u), 1 - s is
    u s.
    """
    (dh,), u, m, n = cotangents, gates[:2], gates[2], gates[3]
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
    return dh


@primitive(residuals=("x", "h", "Wx", "Wh", "derived"))
def gru_step(x: Array, h: Array, Wx: Array, Wh: Array, bx: Array, bh: Array) -> tuple[Array, tuple[Any, ...]]:
    """One step of a gated recurrent unit, gates in the order r, z, n.

    With the three blocks of p = x Wx + bx and a = h Wh + bh: r = sigmoid(p_r + a_r); z = sigmoid(p_z + a_z);
    n = tanh(p_n + r a_n); h' = (1 - z) n + z h.

    Args:
        x: (N, D). h: (N, H). Wx: (D, 3H). Wh: (H, 3H). bx, bh: (3H,). Floating; dtypes promote as in NumPy.

    Returns:
        the next hidden state (N, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> zero = np.zeros(3)
    >>> gru_step(np.ones((1, 2)), np.zeros((1, 1)), np.ones((2, 3)), np.ones((1, 3)), zero, zero).numpy().round(4)
    array([[0.1149]])
    """
    dtype = check_shapes(x, h, Wx, Wh, {"bx": bx, "bh": bh}, 3, "ND")
    wide, (N, H) = wide_dtype(dtype), h.shape
    before = h.astype(wide, copy=False)
    p = by_gate(project(x, Wx, wide) + _bias(bx, bh, wide), H)
    a = np.array(by_gate(before @ Wh.astype(wide, copy=False), H), order="C")
    gates, h_next = np.empty((4, N, H), wide), np.empty((N, H), wide)
    gru_states(a, p, bh[2 * H :], before, gates, h_next)
    return h_next.astype(dtype, copy=False), (x, h, Wx, Wh, gates)


def _bias(bx: Array, bh: Array, dtype: Any) -> Array:
    """Return the bias of the input's part: bx, plus bh except for n, whose part is multiplied by r."""
    bias = bx.astype(dtype)
    bias[: 2 * len(bias) // 3] += bh[: 2 * len(bias) // 3]
    return bias


@gru_step.vjp
def _(g: Any, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, gates: Array) -> Any:
    dh = g.astype(gates.dtype)
    da, dn = np.empty((len(h), 3 * h.shape[1]), gates.dtype), np.empty(h.shape, gates.dtype)
    gru_states_vjp([dh], by_gate(da, h.shape[1]), gates, h, dn)
    dx, through_product, dWx, dWh, dbx = pull_step(da, with_last_gate(da, dn), needs, x, h, Wx, Wh)
    return dx, through_product + dh if needs[1] else None, dWx, dWh, dbx, sum_single(da, 0) if needs[5] else None


@gru_step.reference
def _reference_step(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, bx: Tensor, bh: Tensor) -> Tensor:
    """Compute a step from simpler primitives."""
    from .activations import sigmoid

    H = h.shape[1]
    p, a = x @ Wx + bx, h @ Wh + bh
    r, z = (sigmoid(p[:, k * H : (k + 1) * H] + a[:, k * H : (k + 1) * H]) for k in range(2))
    n = np.tanh(p[:, 2 * H :] + r * a[:, 2 * H :])
    return (1 - z) * n + z * h  # type: ignore[no-any-return]


# --- the layer ------------------------------------------------------------------------------------------


class _GRU(Cell):
    """For each row the trace keeps the gates as :func:`gru_states` leaves them."""

    gates, two_biases = 3, True

    def pull(
        self, trace: Trace, Wh: Array, outside: Sequence[Any], inside: Array | None
    ) -> tuple[list[Array], Array, Array]:
        (h,), (gates,) = trace.states, trace.kept
        dn = np.empty(h.shape, h.dtype)
        operands: list[Operand] = [gates, (trace.first[0], h), dn]
        first, da = run_cell_back(trace.packing, Wh, outside, h.dtype, gru_states_vjp, operands, inside, dn)
        return first, da, with_last_gate(da, dn)

    def slopes(self, trace: Trace) -> Array:
        """Return k_r, k_z, k_m, k_n and z."""
        before, (gates,), H = trace.before(), trace.kept, trace.states[0].shape[1]
        slopes = np.empty((len(before), 5 * H), before.dtype)
        for rows, n in trace.packing.stretches(H):
            (u_r, u_z, m, n_), k = of_steps(gates, rows, n, H), of_steps(slopes, rows, n, H)
            r, z = 1 / (1 + u_r), 1 / (1 + u_z)
            k[3] = u_z * z * (1 - n_ * n_)  # 1 - z is u z, exact in both tails
            k[0] = k[3] * (m * (u_r * r * r))
            k[1] = (before[rows].reshape(m.shape) - n_) * (u_z * z * z)
            k[2] = k[3] * r
            k[4] = z
        return slopes

    def push_step(self, k: Array, a: Array, before: list[Array], after: list[Array]) -> None:
        after[0][...] = k[4] * before[0] + (k[:4] * a).sum(axis=0)

    def pull_step(self, k: Array, cotangents: list[Array], da: Array) -> Array:
        (dh,) = cotangents
        np.multiply(k[:3], dh, out=da)
        dh *= k[4]
        return dh

    def pull_slopes(
        self, kept: list[Any], states: list[Array], k: Array, a: Array, changes: list[Array], totals: list[Array],
        lanes: Array, after: Array, before: Array,
    ) -> None:  # fmt: skip
        """With q = p_n + r m, n = tanh(q), and sigmoids as those of an LSTM."""
        ((u_r, u_z, m, n),) = kept
        r, z, (dh,) = 1 / (1 + u_r), 1 / (1 + u_z), totals
        bent_r, bent_z, bent_n = u_r * r * r, u_z * z * z, 1 - n * n
        q = a[3] + bent_r * m * a[0] + r * a[2]  # the change of q
        to_q = -dh * (bent_n * bent_z * a[1] + 2 * n * k[3] * q)
        dq = dh * k[3]
        lanes[0] = dq * bent_r * ((u_r - 1) * r * m * a[0] + a[2]) + to_q * (bent_r * m)
        lanes[1] = dh * (bent_z * (changes[0] - bent_n * q) + (u_z - 1) * z * k[1] * a[1])
        lanes[2] = dq * bent_r * a[0] + to_q * r
        lanes[3] = to_q
        before[...] = dh * bent_z * a[1]


@primitive(
    steps=Steps(gru_step.primitive, {"h0": "h"}, inputs="x", indices="indices", weights="Wx"),
    residuals=("derived", "x", "h0", "Wx", "Wh", "bx", "bh", "hidden 1", "hidden 2"),
)
def gru(
    x: Array, h0: Array, Wx: Array, Wh: Array, bx: Array, bh: Array, lengths: Any = None, indices: Any = None
) -> tuple[Array, tuple[Any, ...]]:
    """A gated recurrent unit over a whole sequence; see :func:`gru_step` for a step's equations.

    Args:
        x: (N, T, D), or with indices rows (U, D). h0: (N, H). Wx: (D, 3H). Wh: (H, 3H). bx, bh: (3H,).
        lengths: (N,) integers from 0 to T: the number of steps of each sequence to compute; later states are 0. By
            default all steps.
        indices: (N, T) integers in 0 … U-1: step t of sequence n takes the row x[indices[n, t]], as
            ``gru(embedding(indices, x), …)`` does, but each row is projected once, even if many steps take it.

    Returns:
        all hidden states (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.
        IndexError, TypeError: if an index is out of range (names it and its position), or the indices are not integers.

    >>> zero = np.zeros(3)
    >>> gru(np.ones((1, 4, 2)), np.zeros((1, 1)), np.ones((2, 3)), np.ones((1, 3)), zero, zero).shape
    (1, 4, 1)
    """
    inputs, dtype = begin(x, h0, Wx, Wh, {"bx": bx, "bh": bh}, lengths, indices, 3)
    wide, packing, H = wide_dtype(dtype), inputs.packing, h0.shape[1]
    first, b_n = packing.sort(h0, wide), bh[2 * H :].astype(wide)
    h, gates = (np.empty((len(packing.rows), columns), wide) for columns in (H, 4 * H))
    projected = project(inputs.rows(x), Wx, wide)
    run_cell(inputs, projected, _bias(bx, bh, wide), Wh, first, h, gru_states, [b_n, (first, h), gates, h])
    trace = Trace(inputs, [first], [h], [gates])
    return packing.unpack(h).astype(dtype, copy=False), (trace, x, h0, Wx, Wh, bx, bh, h, gates)


declare_rules(gru, _GRU())
