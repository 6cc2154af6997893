"""The LSTM: its cell, one step, and a whole sequence in one primitive.

The code shared with other layers is in :mod:`.recurrent`.

Shapes: N batch, T steps, D input, H hidden. Source: S. Hochreiter and J. Schmidhuber, Long short-term memory (1997);
the captioning exercises (CS231n), which have the gates in the order i, f, o, g.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..spec import Array
from .kernels.packing import of_steps
from .kernels.recurrent_steps import Operand, Trace, by_gate, project, run_cell, run_cell_back, scans
from .recurrent import (
    Cell, begin, check_shapes, declare_rules, largest_exponent, preactivations, pull_step, tanh_vjp, wide_dtype,
)  # fmt: skip

__all__ = ["lstm", "lstm_cell", "lstm_step"]

_FEW = 1024  # entries of a state of a step, over all its sequences
_SLOPES = 2**20  # entries that are computed for all steps, and kept until the last: 4 MB in float32

# --- the cell, n rows in place --------------------------------------------------------------------------


def lstm_states(a: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
    """Compute the next states from pre-activations ``a`` (4, n, H) and the cell state (n, H); ``a`` keeps the gates.

    i, f, o = sigmoid(a_i, a_f, a_o), g = tanh(a_g); c' = f c + i g; h' = o tanh(c').
    Afterwards ``a`` holds u = e^-a of i, f and o, and g. With u, both sigmoid = 1 / (1 + u) and
    1 - sigmoid = u / (1 + u) keep their tails, while (1 + tanh(a / 2)) / 2 is only rounding from a = -17 on (float32).
    From a = -88 (float64: -709) on, a gate stays at the smallest normal number instead of approaching 0.
    """
    u, g = a[:3], a[3]
    np.negative(u, out=u)
    np.minimum(u, largest_exponent(u.dtype), out=u)
    np.exp(u, out=u)
    np.tanh(g, out=g)
    i, f, o = u + 1  # divide by these, which saves the pass that would convert them to sigmoids
    np.divide(c, f, out=c_next)
    np.divide(g, i, out=tanh_c)  # borrowed as scratch
    c_next += tanh_c
    np.tanh(c_next, out=tanh_c)
    np.divide(tanh_c, o, out=h_next)


def lstm_states_vjp(cotangents: list[Array], da: Array, gates: Array, c: Array, tanh_c: Array) -> None:
    """Convert the cotangents of h' and c' to those of the pre-activations (into ``da``) and of c (into ``dc``).

    With dc' += dh o (1 - tanh^2 c'): da_i = dc' g i (1 - i), da_f = dc' c f (1 - f),
    da_o = dh tanh(c') o (1 - o), da_g = dc' i (1 - g^2), dc = dc' f. ``gates`` are u of i, f, o, and g, as
    :func:`lstm_states` leaves them; with s = 1 / (1 + u), s (1 - s) is u s^2.
    """
    (dh, dc), u, g = cotangents, gates[:3], gates[3]
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


@primitive(residuals=("derived", "c", "derived"))
def lstm_cell(a: Array, c: Array) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    """The LSTM's cell by itself: the next states from pre-activations, gates in the order i, f, o, g.

    ``lstm_step(x, h, c, Wx, Wh, b)`` is ``lstm_cell(x Wx + h Wh + b, c)``, for callers that have already computed part
    of the sum.

    Args:
        a: (N, 4H). c: (N, H).

    Returns:
        ``(h', c')``, each (N, H).

    Raises:
        ValueError: if the shapes do not fit.

    >>> h, c = lstm_cell(np.zeros((1, 4)), np.ones((1, 1)))
    >>> h.numpy().round(4), c.numpy()
    (array([[0.2311]]), array([[0.5]]))
    """
    if c.ndim != 2 or a.shape != (len(c), 4 * c.shape[1]):
        raise ValueError(f"a must be (N, 4H) and c (N, H), not {a.shape} and {c.shape}")
    dtype = np.result_type(a, c, np.float16)
    gates = np.array(by_gate(a, c.shape[1]), wide_dtype(dtype), order="C")
    c_next, tanh_c, h_next = (np.empty(c.shape, gates.dtype) for _ in range(3))
    lstm_states(gates, c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (gates, c, tanh_c)


def _rounded(h: Array, c: Array, dtype: Any) -> tuple[Array, Array]:
    """Return states in the dtype of the outputs."""
    return h.astype(dtype, copy=False), c.astype(dtype, copy=False)


@lstm_cell.vjp
def _(g: Any, needs: tuple[bool, ...], gates: Array, c: Array, tanh_c: Array) -> Any:
    da, dc = _pull_cell(g, gates, c, tanh_c)
    return da if needs[0] else None, dc if needs[1] else None


def _pull_cell(g: Any, gates: Array, c: Array, tanh_c: Array) -> tuple[Array, Array]:
    """Return the cotangents of pre-activations (N, 4H) and c, given those of h' and c'; None stands for zeros."""
    gh, gc = g
    da = np.empty((len(c), 4 * c.shape[1]), gates.dtype)
    dh = np.zeros(c.shape, gates.dtype) if gh is None else gh
    dc = np.zeros(c.shape, gates.dtype) if gc is None else gc.astype(gates.dtype)
    lstm_states_vjp([dh, dc], by_gate(da, c.shape[1]), gates, c, tanh_c)
    return da, dc


@primitive(residuals=("x", "h", "c", "Wx", "Wh", "derived", "derived"))
def lstm_step(
    x: Array, h: Array, c: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    """One step of an LSTM, gates in the order i, f, o, g.

    i, f, o = sigmoid and g = tanh of the four blocks of x Wx + h Wh + b; c' = f c + i g; h' = o tanh(c').

    Args:
        x: (N, D). h, c: (N, H). Wx: (D, 4H). Wh: (H, 4H). b: (4H,).

    Returns:
        ``(h', c')``, each (N, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> zero = np.zeros((1, 1))
    >>> h, c = lstm_step(np.ones((1, 2)), zero, zero, np.ones((2, 4)), np.ones((1, 4)), np.zeros(4))
    >>> h.numpy().round(4), c.numpy().round(4)
    (array([[0.6082]]), array([[0.8491]]))
    """
    dtype = check_shapes(x, h, Wx, Wh, {"b": b}, 4, "ND", c)
    gates = by_gate(preactivations(x, h, Wx, Wh, b, dtype), h.shape[1])
    c_next, tanh_c, h_next = (np.empty(h.shape, gates.dtype) for _ in range(3))
    lstm_states(gates, c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (x, h, c, Wx, Wh, gates, tanh_c)


@lstm_step.vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    da, dc = _pull_cell(g, gates, c, tanh_c)
    dx, dh, *weights = pull_step(da, da, needs[:2] + needs[3:], x, h, Wx, Wh)
    return dx, dh, dc, *weights


@lstm_cell.reference
def _reference_cell(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the cell from simpler primitives; this shares nothing with the one above."""
    from .activations import sigmoid

    H = c.shape[1]
    i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
    c = f * c + i * np.tanh(a[:, 3 * H :])
    return o * np.tanh(c), c


@lstm_step.reference
def _reference_step(x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return _reference_cell(x @ Wx + h @ Wh + b, c)  # type: ignore[no-any-return]


# --- the layer ------------------------------------------------------------------------------------------


def _next_states(a: Array, p: Array, *operands: Array) -> None:
    a += p
    lstm_states(a, *operands)


class _LSTM(Cell):
    """For each row the trace keeps tanh(c) and the gates as :func:`lstm_states` leaves them."""

    gates = 4

    def pull(
        self, trace: Trace, Wh: Array, outside: Sequence[Any], inside: Array | None
    ) -> tuple[list[Array], Array, Array]:
        """Small steps compute everything that needs no cotangent at once: 5 calls per step instead of 15.

        For large steps, the results of a step stay in the cache.
        """
        c, (tanh_c, gates), packing = trace.states[1], trace.kept, trace.packing
        few = packing.widest * c.shape[1] <= _FEW and 6 * c.size <= _SLOPES
        if few and not scans(len(packing.rows), Wh, c.dtype):
            return Cell.pull(self, trace, Wh, outside, inside)
        operands: list[Operand] = [gates, (trace.first[1], c), tanh_c]
        first, da = run_cell_back(packing, Wh, outside, c.dtype, lstm_states_vjp, operands, inside)
        return first, da, da

    def slopes(self, trace: Trace) -> Array:
        """Return k_i, k_f, k_o, k_g, f and m = o (1 - tanh^2 c')."""
        before, (tanh_c, gates), H = trace.before(1), trace.kept, trace.states[0].shape[1]
        slopes = np.empty((len(before), 6 * H), before.dtype)
        for rows, n in trace.packing.stretches(H):
            kept, k = of_steps(gates, rows, n, H), of_steps(slopes, rows, n, H)
            u, g = kept[:3], kept[3]
            y = tanh_c[rows].reshape(g.shape)
            s = 1 / (1 + u)
            np.multiply(u, s, out=k[:3])
            k[:3] *= s  # s (1 - s), exact in both tails
            k[0] *= g
            k[1] *= before[rows].reshape(g.shape)
            k[2] *= y
            k[3] = s[0] * (1 - g * g)
            k[4] = s[1]
            k[5] = s[2] * (1 - y * y)
        return slopes

    def push_step(self, k: Array, a: Array, before: list[Array], after: list[Array]) -> None:
        h, c = after
        c[...] = k[4] * before[1] + k[0] * a[0] + k[1] * a[1] + k[3] * a[3]
        h[...] = k[5] * c + k[2] * a[2]

    def pull_step(self, k: Array, cotangents: list[Array], da: Array) -> None:
        dh, dc = cotangents
        dc += np.multiply(k[5], dh, out=da[2])  # scratch
        np.multiply(k[:4], dc, out=da)
        np.multiply(k[2], dh, out=da[2])
        dc *= k[4]

    def pull_slopes(
        self, kept: list[Any], states: list[Array], k: Array, a: Array, changes: list[Array], totals: list[Array],
        lanes: Array, after: Array, before: Array,
    ) -> None:  # fmt: skip
        """With s = 1 / (1 + u), s' = u s^2 and s'' = s' (u - 1) s, which are exact in both tails."""
        (y,), (u_i, u_f, u_o, g) = kept
        i, f, o = 1 / (1 + u_i), 1 / (1 + u_f), 1 / (1 + u_o)
        bent_i, bent_f, bent_o, bent_g, bent_y = u_i * i * i, u_f * f * f, u_o * o * o, 1 - g * g, 1 - y * y
        c, c_next = changes
        dh, dc = totals[0], totals[1] + k[5] * totals[0]
        lanes[0] = dc * ((u_i - 1) * i * k[0] * a[0] + bent_i * bent_g * a[3])
        lanes[1] = dc * ((u_f - 1) * f * k[1] * a[1] + bent_f * c)
        lanes[2] = dh * ((u_o - 1) * o * k[2] * a[2] + bent_o * bent_y * c_next)
        lanes[3] = dc * (bent_i * bent_g * a[0] - 2 * g * k[3] * a[3])
        after[...] = dh * (bent_o * bent_y * a[2] - 2 * y * k[5] * c_next)
        before[...] = dc * bent_f * a[1]


@primitive(
    steps=Steps(lstm_step.primitive, {"h0": "h", "c0": "c"}, inputs="x", indices="indices", weights="Wx"),
    residuals=("derived", "x", "h0", "Wx", "Wh", "b", "c0", "hidden 2", "hidden 3", "hidden 4"),
)
def lstm(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, c0: Array | None = None, lengths: Any = None,
    indices: Any = None,
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:  # fmt: skip
    """An LSTM over a whole sequence; see :func:`lstm_step` for a step's equations.

    Args:
        x: (N, T, D), or with indices rows (U, D). h0: (N, H). Wx: (D, 4H). Wh: (H, 4H). b: (4H,).
        c0: (N, H), zeros by default.
        lengths: (N,) integers from 0 to T: the number of steps of each sequence to compute; later states are 0. By
            default all steps.
        indices: (N, T) integers in 0 … U-1: step t of sequence n takes the row x[indices[n, t]], as
            ``lstm(embedding(indices, x), …)`` does, but each row is projected once, even if many steps take it.

    Returns:
        ``(h, c)``: all hidden states and all cell states, each (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.
        IndexError, TypeError: if an index is out of range (names it and its position), or the indices are not integers.

    >>> h, c = lstm(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 4)), np.ones((1, 4)), np.zeros(4))
    >>> h.shape, c.shape
    ((1, 3, 1), (1, 3, 1))
    """
    inputs, dtype = begin(x, h0, Wx, Wh, {"b": b}, lengths, indices, 4, c0)
    wide, packing = wide_dtype(dtype), inputs.packing
    first = packing.sort(h0, wide)
    first_c = np.zeros_like(first) if c0 is None else packing.sort(c0, wide)
    M, H = len(packing.rows), h0.shape[1]
    projected = project(inputs.rows(x), Wx, wide)  # before the kept arrays, to leave no gap among them when it is freed
    h, c, tanh_c, gates = (np.empty((M, columns), wide) for columns in (H, H, H, 4 * H))

    run_cell(inputs, projected, b, Wh, first, h, _next_states, [(first_c, c), c, tanh_c, h], gates)
    trace = Trace(inputs, [first, first_c], [h, c], [tanh_c, gates])
    return _rounded(packing.unpack(h), packing.unpack(c), dtype), (trace, x, h0, Wx, Wh, b, c0, h, c, gates)


declare_rules(lstm, _LSTM())
