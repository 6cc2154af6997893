"""Recurrent primitives: one step, and a whole sequence in one primitive.

A step and a sequence share the cell, pre-activations in and new states out (:mod:`minigrad.ops.kernels.cells`). How a
sequence goes through its steps, only those before its end and with one GEMM for each weight gradient, is in
:mod:`minigrad.ops.kernels.sequences`, with the shapes of an example.

Half precision is computed in single; only the states that come out, and the gradients, are rounded.

Shapes: N batch, T steps, D input, H hidden. Source: the captioning exercises (CS231n), there with
the LSTM's gates in the order i, f, o, g; S. Hochreiter and J. Schmidhuber, Long short-term memory (1997).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..rules import Shape, Shapes
from ..spec import Array
from .kernels.cells import lstm_states, lstm_states_vjp, tanh_vjp
from .kernels.numerics import column_sums, widened
from .kernels.packing import Group, Inputs, Packing, check_places
from .kernels.sequences import by_gate, groups_of, project, pull_weights, run, run_back

__all__ = ["lstm", "lstm_cell", "lstm_step", "rnn", "rnn_step"]

# --- what both share ----------------------------------------------------------------------------------


def _check(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, gates: int, axes: str, c: Array | None = None) -> Any:
    """Raise unless all shapes fit; the dtype of the states."""
    if x.ndim != len(axes):
        raise ValueError(f"x must have {len(axes)} axes ({', '.join(axes)}), not shape {x.shape}")
    if h.ndim != 2 or ("N" in axes and h.shape[0] != x.shape[0]):
        raise ValueError(f"the hidden state must be (N, H) with N = {x.shape[0]} as in x, not {h.shape}")
    D, H = x.shape[-1], h.shape[1]
    if not H:
        raise ValueError(f"the hidden state must have at least one column, not {h.shape}")
    wanted = {"Wx": (D, gates * H), "Wh": (H, gates * H), "b": (gates * H,)}
    for name, array in (("Wx", Wx), ("Wh", Wh), ("b", b)):
        if array.shape != wanted[name]:
            raise ValueError(f"{name} must have shape {wanted[name]} for D = {D} and H = {H}, not {array.shape}")
    if c is not None and c.shape != h.shape:
        raise ValueError(f"the cell state must have the hidden state's shape {h.shape}, not {c.shape}")
    return np.result_type(*(a for a in (x, h, Wx, Wh, b, c) if a is not None), np.float16)


def _begin(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, lengths: Any, indices: Any, gates: int, c0: Array | None = None
) -> tuple[Packing, Inputs, Any]:
    """How the sequences of either primitive are packed, what their steps take in, and the dtype of their states."""
    if indices is not None:
        indices = check_places(x, indices, len(h0))
    dtype = _check(x, h0, Wx, Wh, b, gates, "NTD" if indices is None else "UD", c0)
    N, T = x.shape[:2] if indices is None else indices.shape
    packing = Packing(N, T, lengths, groups_of(N, h0.shape[1], gates))
    return packing, Inputs(packing, indices), dtype


def _wide(dtype: Any) -> Any:
    """The dtype to compute states of a dtype in."""
    return np.result_type(dtype, np.float32)


def _preactivations(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, dtype: Any) -> Array:
    """x Wx + h Wh + b of one step, wide enough for states of a dtype."""
    wide = _wide(dtype)
    y = (widened(x) @ widened(Wx)).astype(wide, copy=False)
    y += widened(h) @ widened(Wh)
    y += b
    return y  # type: ignore[no-any-return]


def _pull_step(da: Array, needs: Any, x: Array, h: Array, Wx: Array, Wh: Array) -> tuple[Any, ...]:
    """Cotangents of x, h, Wx, Wh, b, each if it is needed, from those of the pre-activations (N, gates H)."""
    return (
        da @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        x.T @ da if needs[2] else None,
        h.T @ da if needs[3] else None,
        column_sums(da) if needs[4] else None,
    )


def _cost_of_steps(x: Shape, Wx: Shape, Wh: Shape, output: Shape) -> int:
    """Each row of the input meets the input's weights, and each state, of each step if there are steps, the state's."""
    return prod(x[:-1]) * prod(Wx) + prod(output[:-1]) * prod(Wh)


def _looked_up(x: Tensor, indices: Any) -> Tensor:
    """The inputs (N, T, D), by their places among the rows if there are indices."""
    from .lookup import embedding

    return x if indices is None else embedding(np.asarray(indices), x)


def _cut(states: Tensor, lengths: Any) -> Tensor:
    """States (N, T, H) with zeros behind the end of each sequence."""
    from .selection import where

    if lengths is None:
        return states
    alive = np.asarray(lengths)[:, None] > np.arange(states.shape[1])
    return where(alive[:, :, None], states, 0.0)  # type: ignore[no-any-return]


def _steps(states: list[Tensor], first: Tensor) -> Tensor:
    """States (N, H) as a sequence (N, T, H), also for T = 0."""
    from .shaping import expand_dims, stack

    return stack(states, axis=1) if states else expand_dims(first, 1)[:, :0]


# --- vanilla RNN ------------------------------------------------------------------------------------


@primitive(residuals=("x", "h", "Wx", "Wh", "derived"))
def rnn_step(x: Array, h: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, tuple[Any, ...]]:
    """One step of a vanilla RNN, tanh(x Wx + h Wh + b).

    Args:
        x: (N, D). h: (N, H). Wx: (D, H). Wh: (H, H). b: (H,). Floating; dtypes promote as in NumPy.

    Returns:
        the next hidden state (N, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> import minigrad as mg
    >>> rnn_step(np.ones((1, 2)), np.zeros((1, 1)), np.ones((2, 1)), np.ones((1, 1)), np.zeros(1)).numpy().round(4)
    array([[0.964]])
    """
    dtype = _check(x, h, Wx, Wh, b, 1, "ND")
    y = _preactivations(x, h, Wx, Wh, b, dtype)
    np.tanh(y, out=y)
    return y.astype(dtype, copy=False), (x, h, Wx, Wh, y)


@rnn_step.vjp
def _(g: Array, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, y: Array) -> Any:
    return _pull_step(tanh_vjp(g, y), needs, x, h, Wx, Wh)


@rnn_step.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@rnn_step.reference
def _(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    from .elementwise import tanh

    return tanh(x @ Wx + h @ Wh + b)  # type: ignore[no-any-return]


@primitive(
    steps=Steps(rnn_step.primitive, {"h0": "h"}, inputs="x", indices="indices", weights="Wx"),
    residuals=("derived", "derived", "derived", "Wx", "Wh"),
)
def rnn(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, lengths: Any = None, indices: Any = None
) -> tuple[Array, tuple[Any, ...]]:
    """A vanilla RNN over a whole sequence: h_t = tanh(x_t Wx + h_{t-1} Wh + b).

    Args:
        x: (N, T, D), or with indices rows (U, D). h0: (N, H). Wx: (D, H). Wh: (H, H). b: (H,).
        lengths: (N,) integers from 0 to T: only so many steps of each sequence are computed, and the states behind
            are 0. All steps if left out.
        indices: (N, T) integers in 0 … U-1: step t of sequence n takes the row x[indices[n, t]], as
            ``rnn(embedding(indices, x), …)`` does, but each row is projected once, however many steps take it.

    Returns:
        all hidden states (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.
        IndexError, TypeError: names an index of no row and its place, or says that they are not integers.

    >>> rnn(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 1)), np.ones((1, 1)), np.zeros(1)).shape
    (1, 3, 1)
    """
    packing, inputs, dtype = _begin(x, h0, Wx, Wh, b, lengths, indices, 1)
    wide = _wide(dtype)
    rows, first = inputs.rows(x), packing.sort(h0, wide)
    h = np.empty((len(packing.rows), h0.shape[1]), wide)

    def cell(group: Group, t: int, a: Array, p: Array) -> None:
        a += p
        np.tanh(a[0], out=h[group.step(t)])

    run(packing, inputs, project(rows, Wx, b, wide), Wh, first, h, cell)
    return packing.unpack(h).astype(dtype, copy=False), (rows, first, h, Wx, Wh, packing, inputs)


@rnn.vjp
def _(
    g: Array, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, Wx: Array, Wh: Array, packing: Packing,
    inputs: Inputs,
) -> Any:  # fmt: skip
    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> None:
        tanh_vjp(cotangents[0], h[group.step(t)], out=da[0])

    (dh0,), da = run_back(packing, Wh, (g,), h.dtype, cell_vjp)
    dx, dWx, dWh, db = pull_weights(needs, da, da, rows, h0, h, Wx, packing, inputs)
    return dx, dh0, dWx, dWh, db


@rnn.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@rnn.reference
def _(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, lengths: Any = None, indices: Any = None) -> Tensor:
    from .elementwise import tanh

    x = _looked_up(x, indices)
    states = [h0]
    for t in range(x.shape[1]):
        states.append(tanh(x[:, t] @ Wx + states[-1] @ Wh + b))
    return _cut(_steps(states[1:], h0), lengths)


# --- LSTM -------------------------------------------------------------------------------------------


@primitive(residuals=("derived", "c", "derived"))
def lstm_cell(a: Array, c: Array) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    """The LSTM's cell by itself: the next states from pre-activations, gates in the order i, f, o, g.

    ``lstm_step(x, h, c, Wx, Wh, b)`` is ``lstm_cell(x Wx + h Wh + b, c)``, for whoever has parts of a sum already.

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
    gates = np.array(by_gate(a, c.shape[1]), _wide(dtype), order="C")
    c_next, tanh_c, h_next = (np.empty(c.shape, gates.dtype) for _ in range(3))
    lstm_states(gates, c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (gates, c, tanh_c)


def _rounded(h: Array, c: Array, dtype: Any) -> tuple[Array, Array]:
    """States in the dtype in which they go out."""
    return h.astype(dtype, copy=False), c.astype(dtype, copy=False)


@lstm_cell.vjp
def _(g: Any, needs: tuple[bool, ...], gates: Array, c: Array, tanh_c: Array) -> Any:
    dh = np.zeros_like(tanh_c) if g[0] is None else g[0]
    dc = np.zeros_like(tanh_c) if g[1] is None else g[1].astype(tanh_c.dtype)
    da = np.empty((len(c), 4 * c.shape[1]), gates.dtype)
    lstm_states_vjp(dh, dc, gates, c, tanh_c, by_gate(da, c.shape[1]))
    return da if needs[0] else None, dc if needs[1] else None


@lstm_cell.reference
def _(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return _reference_cell(a, c)


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
    dtype = _check(x, h, Wx, Wh, b, 4, "ND", c)
    gates = _preactivations(x, h, Wx, Wh, b, dtype)
    c_next, tanh_c, h_next = (np.empty(h.shape, gates.dtype) for _ in range(3))
    lstm_states(by_gate(gates, h.shape[1]), c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (x, h, c, Wx, Wh, gates, tanh_c)


@lstm_step.vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    dh = np.zeros_like(tanh_c) if g[0] is None else g[0]
    dc = np.zeros_like(tanh_c) if g[1] is None else g[1].astype(tanh_c.dtype)
    da = np.empty_like(gates)
    lstm_states_vjp(dh, dc, by_gate(gates, h.shape[1]), c, tanh_c, by_gate(da, h.shape[1]))
    dx, dh, *weights = _pull_step(da, needs[:2] + needs[3:], x, h, Wx, Wh)
    return dx, dh, dc, *weights


def _reference_step(x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM step of simpler primitives."""
    return _reference_cell(x @ Wx + h @ Wh + b, c)


def _reference_cell(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The cell of simpler primitives; shares nothing with the one above."""
    from .activations import sigmoid
    from .elementwise import tanh

    H = c.shape[1]
    i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
    c = f * c + i * tanh(a[:, 3 * H :])
    return o * tanh(c), c


@lstm_step.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[3], inputs[4], output)


@lstm_step.reference
def _(x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return _reference_step(x, h, c, Wx, Wh, b)


@primitive(
    steps=Steps(lstm_step.primitive, {"h0": "h", "c0": "c"}, inputs="x", indices="indices", weights="Wx"),
    residuals=(*["derived"] * 7, "Wx", "Wh"),
)
def lstm(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, c0: Array | None = None, lengths: Any = None,
    indices: Any = None,
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:  # fmt: skip
    """An LSTM over a whole sequence; see :func:`lstm_step` for a step's equations.

    Args:
        x: (N, T, D), or with indices rows (U, D). h0: (N, H). Wx: (D, 4H). Wh: (H, 4H). b: (4H,).
        c0: (N, H), zeros if left out.
        lengths: (N,) integers from 0 to T: only so many steps of each sequence are computed, and the states behind
            are 0. All steps if left out.
        indices: (N, T) integers in 0 … U-1: step t of sequence n takes the row x[indices[n, t]], as
            ``lstm(embedding(indices, x), …)`` does, but each row is projected once, however many steps take it.

    Returns:
        ``(h, c)``: all hidden states and all cell states, each (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.
        IndexError, TypeError: names an index of no row and its place, or says that they are not integers.

    >>> h, c = lstm(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 4)), np.ones((1, 4)), np.zeros(4))
    >>> h.shape, c.shape
    ((1, 3, 1), (1, 3, 1))
    """
    packing, inputs, dtype = _begin(x, h0, Wx, Wh, b, lengths, indices, 4, c0)
    wide = _wide(dtype)
    rows, first = inputs.rows(x), packing.sort(h0, wide)
    first_c = np.zeros_like(first) if c0 is None else packing.sort(c0, wide)
    h, c, tanh_c = (np.empty((len(packing.rows), h0.shape[1]), wide) for _ in range(3))

    def cell(group: Group, t: int, a: Array, p: Array) -> None:
        a += p
        step = group.step(t)
        lstm_states(a, group.before(t, first_c, c), c[step], tanh_c[step], h[step])

    gates = run(packing, inputs, project(rows, Wx, b, wide), Wh, first, h, cell)
    residuals = rows, first, h, first_c, c, tanh_c, gates, Wx, Wh, packing, inputs
    return _rounded(packing.unpack(h), packing.unpack(c), dtype), residuals


@lstm.vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, c0: Array, c: Array, tanh_c: Array, gates: Array,
    Wx: Array, Wh: Array, packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> None:
        step = group.step(t)
        dh, dc = cotangents
        lstm_states_vjp(dh, dc, gates[step].reshape(da.shape), group.before(t, c0, c), tanh_c[step], da)

    (dh0, dc0), da = run_back(packing, Wh, g, h.dtype, cell_vjp)
    dx, dWx, dWh, db = pull_weights(needs, da, da, rows, h0, h, Wx, packing, inputs)
    return dx, dh0, dWx, dWh, db, dc0


@lstm.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@lstm.reference
def _(
    x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, c0: Tensor | None = None, lengths: Any = None,
    indices: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    x = _looked_up(x, indices)
    h, c = h0, Tensor(np.zeros_like(h0.data)) if c0 is None else c0
    hs, cs = [], []
    for t in range(x.shape[1]):
        h, c = _reference_step(x[:, t], h, c, Wx, Wh, b)
        hs.append(h)
        cs.append(c)
    return _cut(_steps(hs, h0), lengths), _cut(_steps(cs, h0), lengths)
