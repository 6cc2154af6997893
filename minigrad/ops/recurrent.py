"""Recurrent primitives: one step, and a whole sequence in one primitive.

A step and a sequence share the cell, pre-activations in and new states out (:mod:`minigrad.ops.kernels.cells`). How a
sequence goes through its steps, only those before its end and with one GEMM for each weight gradient, is in
:mod:`minigrad.ops.kernels.sequences`, with the shapes of an example.

Half precision is computed in single; only the states that come out, and the gradients, are rounded.

The rows, states and gates that a sequence keeps are its hidden outputs, "hidden 1" and so on: when a derivative is
differentiated, cotangents of these arrive at the VJP as well, and go back through the steps with all others. The rules
on tensors are the reverse loop as a primitive (:mod:`.through_time`) between products.

Shapes: N batch, T steps, D input, H hidden. Source: the captioning exercises (CS231n), there with
the LSTM's gates in the order i, f, o, g; S. Hochreiter and J. Schmidhuber, Long short-term memory (1997).
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..primitives import Steps, primitive
from ..rules import Shape, Shapes
from ..spec import Array
from .kernels.cells import lstm_gates_vjp, lstm_states, lstm_states_vjp, tanh_vjp
from .kernels.copies import Copies, each, pull_weights_of_copies
from .kernels.numerics import column_sums, widened
from .kernels.packing import Group, Inputs, Packing, check_places
from .kernels.sequences import by_gate, groups_of, project, pull_weights, run, run_back
from .linear import mapped
from .through_time import gate_slopes, lstm_slopes, pull_through_time

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


def _pull_step(da: Any, needs: Any, x: Any, h: Any, Wx: Any, Wh: Any, sums: Any = column_sums) -> tuple[Any, ...]:
    """Cotangents of x, h, Wx, Wh, b, each if it is needed, from those of the pre-activations (N, gates H).

    Of arrays, tensors, or many cotangents at once (R, N, gates H); ``sums`` adds their rows.
    """
    x, h, Wx, Wh = map(widened, (x, h, Wx, Wh))
    return (
        da @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        x.T @ da if needs[2] else None,
        h.T @ da if needs[3] else None,
        sums(da) if needs[4] else None,
    )


_sums = partial(np.sum, axis=-2)  # of the rows of tensors, or of each of many cotangents


def _added(*cotangents: Any) -> Any:
    """Their sum; each may be None for zeros, and so is the sum of no others."""
    there = [g for g in cotangents if g is not None]
    return sum(there[1:], there[0]) if there else None


def _packed(packing: Packing, g: Any) -> Any:
    """Cotangents (N, T, H) of states that come out as those of rows (M, H), arrays or tensors."""
    return None if g is None else mapped(widened(g), packing.pack, packing.unpack)


def _packed_each(packing: Packing, g: Any) -> Any:
    """As :func:`_packed`, of many cotangents at once."""
    return None if g is None else each(packing.pack, widened(g))


def _unpacked(inputs: Inputs, d: Any) -> Any:
    """Cotangents of the projected rows (P, D) as those of x, arrays or tensors."""
    return d if d is None or inputs.which is not None else mapped(d, inputs.packing.unpack, inputs.packing.pack)


def _inputs_too(needs: Any, inputs: Inputs, dx: Any, g_rows: Any) -> Any:
    """The cotangent of x, if it is needed: what came through the products, and what arrived at the rows."""
    return _added(dx, _unpacked(inputs, g_rows)) if needs[0] else None


def _unsorted(packing: Packing, d: Any) -> Any:
    """Cotangents of first states in the order of packing as those of h0 or c0, arrays or tensors."""
    return None if d is None else mapped(d, packing.unsort, lambda u: packing.sort(u, u.dtype))


def _before(packing: Packing, first: Any, after: Any) -> Any:
    """The state that each row started from (M, H), of tensors."""
    places = packing.places_before()

    def back(g: Array) -> Array:
        d = np.zeros((packing.N + len(places), g.shape[1]), g.dtype)
        d[places] = g
        return d

    return mapped(np.concatenate([first, after]), lambda states: states[places], back)


def _pull_weights_on_tensors(
    needs: Any, da: Any, rows: Any, before: Any, Wx: Any, inputs: Inputs
) -> tuple[Any, Any, Any, Any]:
    """As :func:`.kernels.sequences.pull_weights`, of tensors: cotangents of x, Wx, Wh and b."""
    gathered, table = da, plain(rows)
    if inputs.which is not None:
        gathered = mapped(da, lambda d: inputs.gather(d, table), lambda u: u[inputs.which])
    return (
        _unpacked(inputs, gathered @ widened(Wx).T) if needs[0] else None,
        widened(rows).T @ gathered if needs[2] else None,
        before.T @ da if needs[3] else None,
        gathered.sum(axis=0) if needs[4] else None,
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


@primitive(residuals=("x", "h", "Wx", "Wh", "output"))
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


@rnn_step.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], x: Any, h: Any, Wx: Any, Wh: Any, y: Any) -> Any:
    return _pull_step(widened(g) * (1 - y * y), needs, x, h, Wx, Wh, _sums)


@rnn_step.batched_vjp
def _(g: Any, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, y: Array) -> Any:
    return _pull_step(widened(g) * (1 - y * y), needs, x, h, Wx, Wh, _sums)


@rnn_step.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@rnn_step.reference
def _(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    from .elementwise import tanh

    return tanh(x @ Wx + h @ Wh + b)  # type: ignore[no-any-return]


@primitive(
    steps=Steps(rnn_step.primitive, {"h0": "h"}, inputs="x", indices="indices", weights="Wx"),
    residuals=("hidden 1", "hidden 2", "hidden 3", "Wx", "Wh", "constant", "constant"),
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
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, Wx: Array, Wh: Array, packing: Packing,
    inputs: Inputs,
) -> Any:  # fmt: skip
    g, g_rows, g_first, g_states = g if isinstance(g, tuple) else (g, None, None, None)
    (dh0,), da = _pull_rnn(packing, Wh, _added(_packed(packing, g), g_states), h)
    dx, dWx, dWh, db = pull_weights(needs, da, da, rows, h0, h, Wx, packing, inputs)
    return _inputs_too(needs, inputs, dx, g_rows), _added(dh0, _unsorted(packing, g_first)), dWx, dWh, db


def _pull_rnn(packing: Packing, Wh: Array, outside: Array | None, h: Array) -> tuple[list[Array], Array]:
    """As :func:`.kernels.sequences.run_back`, of a vanilla RNN whose states were h (M, H)."""

    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> None:
        tanh_vjp(cotangents[0], h[group.step(t)], out=da[0])

    return run_back(packing, Wh, [outside], h.dtype, cell_vjp)


@rnn.batched_vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, Wx: Array, Wh: Array, packing: Packing,
    inputs: Inputs,
) -> Any:  # fmt: skip
    gs = g if isinstance(g, tuple) else (g, None, None, None)
    copies = Copies(packing, next(len(d) for d in gs if d is not None), h.shape[1])
    g, g_rows, g_first, g_states = gs
    outside = _added(_packed_each(packing, g), g_states)
    joined = None if outside is None else copies.join(outside)
    (dh0,), da = _pull_rnn(copies.packing, Wh, joined, copies.repeat(h))
    weights = pull_weights_of_copies(needs, copies.part(da), rows, packing.states_before(h0, h), Wx, inputs)
    dx, *dW = weights
    dx = _added(dx, each(inputs.unpack, g_rows)) if needs[0] else None
    return dx, _added(copies.part(dh0), each(packing.unsort, g_first)), *dW


@rnn.vjp_on_tensors
def _(
    g: Any, needs: tuple[bool, ...], rows: Any, h0: Any, h: Any, Wx: Any, Wh: Any, packing: Packing, inputs: Inputs
) -> Any:
    g, g_rows, g_first, g_states = g if isinstance(g, tuple) else (g, None, None, None)
    arriving = _added(_packed(packing, g), g_states)
    da, dh0 = pull_through_time(1 - h * h, Wh, arriving, packing=packing)
    dx, dWx, dWh, db = _pull_weights_on_tensors(needs, da, rows, _before(packing, h0, h), Wx, inputs)
    return _inputs_too(needs, inputs, dx, g_rows), _added(dh0, _unsorted(packing, g_first)), dWx, dWh, db


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


@primitive(residuals=("hidden 2", "c", "derived"))
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
    da = np.empty((len(c), 4 * c.shape[1]), gates.dtype)
    dc = _pull_cell(g, gates, c, tanh_c, by_gate(da, c.shape[1]))
    return da if needs[0] else None, dc if needs[1] else None


@lstm_cell.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], gates: Any, c: Any, tanh_c: Array) -> Any:
    da, dc = _pull_cell_on_tensors(g, gates, widened(c))
    return da if needs[0] else None, dc if needs[1] else None


def _pull_cell(g: Any, gates: Array, c: Array, tanh_c: Array, da: Array) -> Array:
    """The cotangent of c, and into ``da`` that of the pre-activations, from those of h', c' and gates (4, N, H).

    None stands for zeros, and the last one may be missing.
    """
    gh, gc, g_gates = (*g, None)[:3]
    dh = np.zeros(da.shape[1:], tanh_c.dtype) if gh is None else gh
    dc = np.zeros(da.shape[1:], tanh_c.dtype) if gc is None else gc.astype(tanh_c.dtype)
    lstm_states_vjp(dh, dc, gates, c, tanh_c, da)
    if g_gates is not None:
        lstm_gates_vjp(g_gates, gates, da)
    return dc


def _pull_cells(g: Any, gates: Array, c: Array, tanh_c: Array) -> tuple[Array, Array]:
    """As :func:`_pull_cell` of R cotangents at once: those of the pre-activations (R, N, 4H) and of c (R, N, H)."""
    gh, gc, g_gates = (*g, None)[:3]
    R, (N, H) = next(len(d) for d in g if d is not None), c.shape
    da = np.empty((R, N, 4 * H), gates.dtype)
    apart = None if g_gates is None else g_gates.swapaxes(0, 1)
    gates = gates[:, None]  # the same for all
    dc = _pull_cell((gh, gc, apart), gates, c, tanh_c, np.moveaxis(da.reshape(R, N, 4, H), 2, 0))
    return da, dc


def _pull_cell_on_tensors(g: Any, gates: Any, c: Any) -> tuple[Any, Any]:
    """As :func:`_pull_cell`, of tensors: cotangents of the pre-activations (N, 4H) and of c."""
    from .elementwise import tanh

    gh, gc, g_gates = (*g, None)[:3]
    u, z = gates[:3], gates[3]
    sigmoids = 1 / (1 + u)
    (i, f, o), (slope_i, slope_f, slope_o) = sigmoids, u * sigmoids * sigmoids  # s (1 - s), exact in both tails
    y = tanh(f * c + i * z)
    gh = np.zeros(c.shape, c.dtype) if gh is None else widened(gh)
    dc = _added(gh * (o * (1 - y * y)), None if gc is None else widened(gc))
    da = np.stack([dc * (z * slope_i), dc * (c * slope_f), gh * (y * slope_o), dc * (i * (1 - z * z))])
    if g_gates is not None:
        da = da + g_gates * np.concatenate([-u, (1 - z * z)[None]])
    return np.swapaxes(da, 0, 1).reshape(len(c), 4 * c.shape[1]), dc * f


@lstm_cell.batched_vjp
def _(g: Any, needs: tuple[bool, ...], gates: Array, c: Array, tanh_c: Array) -> Any:
    da, dc = _pull_cells(g, gates, c, tanh_c)
    return da if needs[0] else None, dc if needs[1] else None


@lstm_cell.reference
def _(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return _reference_cell(a, c)


@primitive(residuals=("x", "h", "c", "Wx", "Wh", "hidden 2", "derived"))
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
    gates = by_gate(_preactivations(x, h, Wx, Wh, b, dtype), h.shape[1])
    c_next, tanh_c, h_next = (np.empty(h.shape, gates.dtype) for _ in range(3))
    lstm_states(gates, c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (x, h, c, Wx, Wh, gates, tanh_c)


@lstm_step.vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    da = np.empty((len(h), Wh.shape[1]), gates.dtype)
    dc = _pull_cell(g, gates, c, tanh_c, by_gate(da, h.shape[1]))
    dx, dh, *weights = _pull_step(da, needs[:2] + needs[3:], x, h, Wx, Wh)
    return dx, dh, dc, *weights


@lstm_step.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], x: Any, h: Any, c: Any, Wx: Any, Wh: Any, gates: Any, tanh_c: Array) -> Any:
    da, dc = _pull_cell_on_tensors(g, gates, widened(c))
    dx, dh, *weights = _pull_step(da, needs[:2] + needs[3:], x, h, Wx, Wh, _sums)
    return dx, dh, dc, *weights


@lstm_step.batched_vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    da, dc = _pull_cells(g, gates, c, tanh_c)
    dx, dh, *weights = _pull_step(da, needs[:2] + needs[3:], x, h, Wx, Wh, _sums)
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
    residuals=(*(f"hidden {k}" for k in range(2, 7)), "derived", "hidden 7", "Wx", "Wh", "constant", "constant"),
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
    gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]
    outside = [_added(_packed(packing, gh), g_h), _added(_packed(packing, gc), g_c)]
    (dh0, dc0), da = _pull_lstm(packing, Wh, outside, g_gates, c0, c, tanh_c, gates)
    dx, dWx, dWh, db = pull_weights(needs, da, da, rows, h0, h, Wx, packing, inputs)
    dh0, dc0 = _added(dh0, _unsorted(packing, g_h0)), _added(dc0, _unsorted(packing, g_c0))
    return _inputs_too(needs, inputs, dx, g_rows), dh0, dWx, dWh, db, dc0


def _pull_lstm(
    packing: Packing, Wh: Array, outside: list[Any], g_gates: Any, c0: Array, c: Array, tanh_c: Array, gates: Array
) -> tuple[list[Array], Array]:
    """As :func:`.kernels.sequences.run_back`, of an LSTM, from what its steps kept and cotangents of its gates."""

    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> None:
        step = group.step(t)
        dh, dc = cotangents
        of_step = gates[step].reshape(da.shape)
        lstm_states_vjp(dh, dc, of_step, group.before(t, c0, c), tanh_c[step], da)
        if g_gates is not None:
            lstm_gates_vjp(g_gates[step].reshape(da.shape), of_step, da)

    return run_back(packing, Wh, outside, c.dtype, cell_vjp)


@lstm.batched_vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, c0: Array, c: Array, tanh_c: Array, gates: Array,
    Wx: Array, Wh: Array, packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]
    copies = Copies(packing, next(len(d) for d in g if d is not None), h.shape[1])
    outside = _added(_packed_each(packing, gh), g_h), _added(_packed_each(packing, gc), g_c)
    joined = [None if d is None else copies.join(d) for d in outside]
    inside = None if g_gates is None else copies.join_steps(g_gates)
    kept = (*(copies.repeat(x) for x in (c0, c, tanh_c)), copies.repeat_steps(gates))
    firsts, da = _pull_lstm(copies.packing, Wh, joined, inside, *kept)
    weights = pull_weights_of_copies(needs, copies.part(da), rows, packing.states_before(h0, h), Wx, inputs)
    dx, *dW = weights
    dx = _added(dx, each(inputs.unpack, g_rows)) if needs[0] else None
    dh0, dc0 = (_added(copies.part(d), each(packing.unsort, g)) for d, g in zip(firsts, (g_h0, g_c0), strict=True))
    return dx, dh0, *dW, dc0


@lstm.vjp_on_tensors
def _(
    g: Any, needs: tuple[bool, ...], rows: Any, h0: Any, h: Any, c0: Any, c: Any, tanh_c: Array, gates: Any, Wx: Any,
    Wh: Any, packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]
    outside = _added(_packed(packing, gh), g_h), _added(_packed(packing, gc), g_c)
    inside = None if g_gates is None else g_gates * gate_slopes(gates, packing)
    slopes = lstm_slopes(gates, _before(packing, c0, c), c, packing=packing)
    da, dh0, dc0 = pull_through_time(slopes, Wh, *outside, inside, packing=packing)
    dx, dWx, dWh, db = _pull_weights_on_tensors(needs, da, rows, _before(packing, h0, h), Wx, inputs)
    dh0, dc0 = _added(dh0, _unsorted(packing, g_h0)), _added(dc0, _unsorted(packing, g_c0))
    return _inputs_too(needs, inputs, dx, g_rows), dh0, dWx, dWh, db, dc0


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
