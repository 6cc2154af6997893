"""The LSTM: its cell, one step, and a whole sequence in one primitive.

What it shares with others is in :mod:`.recurrent`.

Shapes: N batch, T steps, D input, H hidden. Source: S. Hochreiter and J. Schmidhuber, Long short-term memory (1997);
the captioning exercises (CS231n), there with the gates in the order i, f, o, g.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..primitives import Shape, Shapes
from ..spec import Array
from .kernels.cells import lstm_gates_vjp, lstm_states, lstm_states_vjp
from .kernels.copies import Copies, each, pull_weights_of_copies
from .kernels.cuts import cut_where_unreached
from .kernels.numerics import widened
from .kernels.packing import Group, Inputs, Packing
from .kernels.sequences import by_gate, project, pull_weights, run, run_back
from .kernels.slopes import lstm_slopes as slopes_of_steps
from .kernels.slopes import pull
from .recurrent import (
    added, as_sequence, begin, check_shapes, cost_of_steps, cut, inputs_too, looked_up, packed, packed_each,
    preactivations, pull_step, pull_weights_on_tensors, states_before, unsorted, wide_dtype,
)  # fmt: skip
from .through_time import gate_slopes, lstm_slopes, pull_through_time

__all__ = ["lstm", "lstm_cell", "lstm_step"]

_FEW = 1024  # numbers of a state of a step, of all its sequences
_SLOPES = 2**20  # numbers that are computed for all steps, and kept until the last: 4 MB in float32


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
    gates = np.array(by_gate(a, c.shape[1]), wide_dtype(dtype), order="C")
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
    dc = added(gh * (o * (1 - y * y)), None if gc is None else widened(gc))
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
    dtype = check_shapes(x, h, Wx, Wh, {"b": b}, 4, "ND", c)
    gates = by_gate(preactivations(x, h, Wx, Wh, b, dtype), h.shape[1])
    c_next, tanh_c, h_next = (np.empty(h.shape, gates.dtype) for _ in range(3))
    lstm_states(gates, c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (x, h, c, Wx, Wh, gates, tanh_c)


@lstm_step.vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    da = np.empty((len(h), Wh.shape[1]), gates.dtype)
    dc = _pull_cell(g, gates, c, tanh_c, by_gate(da, h.shape[1]))
    dx, dh, *weights = pull_step(da, da, needs[:2] + needs[3:], x, h, Wx, Wh)
    return dx, dh, dc, *weights


@lstm_step.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], x: Any, h: Any, c: Any, Wx: Any, Wh: Any, gates: Any, tanh_c: Array) -> Any:
    da, dc = _pull_cell_on_tensors(g, gates, widened(c))
    dx, dh, *weights = pull_step(da, da, needs[:2] + needs[3:], x, h, Wx, Wh)
    return dx, dh, dc, *weights


@lstm_step.batched_vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    da, dc = _pull_cells(g, gates, c, tanh_c)
    dx, dh, *weights = pull_step(da, da, needs[:2] + needs[3:], x, h, Wx, Wh)
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
    return cost_of_steps(inputs[0], inputs[3], inputs[4], output)


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
    packing, inputs, dtype = begin(x, h0, Wx, Wh, {"b": b}, lengths, indices, 4, c0)
    wide = wide_dtype(dtype)
    rows, first = inputs.rows(x), packing.sort(h0, wide)
    first_c = np.zeros_like(first) if c0 is None else packing.sort(c0, wide)
    M, H = len(packing.rows), h0.shape[1]
    projected = project(rows, Wx, b, wide)  # made before what is kept, or its memory stays a gap that nothing fits into
    h, c, tanh_c, gates = (np.empty((M, columns), wide) for columns in (H, H, H, 4 * H))

    def cell(group: Group, t: int, a: Array, p: Array) -> None:
        a += p
        step = group.step(t)
        lstm_states(a, group.before(t, first_c, c), c[step], tanh_c[step], h[step])

    run(packing, inputs, projected, Wh, first, h, cell, gates)
    residuals = rows, first, h, first_c, c, tanh_c, gates, Wx, Wh, packing, inputs
    return _rounded(packing.unpack(h), packing.unpack(c), dtype), residuals


@lstm.vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, c0: Array, c: Array, tanh_c: Array, gates: Array,
    Wx: Array, Wh: Array, packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]
    outside = [added(packed(packing, gh), g_h), added(packed(packing, gc), g_c)]
    cut = cut_where_unreached(packing, Wh, outside) if len(g) == 2 else None
    if cut is not None:
        packing, (inputs, rows), outside = cut.packing, cut.inputs(inputs, rows), [cut.rows(d) for d in outside]
        h0, h, c0, c = cut.first(h0), cut.rows(h), cut.first(c0), cut.rows(c)
        tanh_c, gates = cut.rows(tanh_c), cut.steps(gates, c.shape[1])
    (dh0, dc0), da = _pull_lstm(packing, Wh, outside, g_gates, c0, c, tanh_c, gates)
    del outside  # the peak of memory is below
    dx, dWx, dWh, db = pull_weights(needs, da, da, rows, h0, h, Wx, packing, inputs)
    dh0, dc0 = added(dh0, unsorted(packing, g_h0)), added(dc0, unsorted(packing, g_c0))
    return inputs_too(needs, inputs, dx, g_rows), dh0, dWx, dWh, db, dc0


def _pull_lstm(
    packing: Packing, Wh: Array, outside: list[Any], g_gates: Any, c0: Array, c: Array, tanh_c: Array, gates: Array
) -> tuple[list[Array], Array]:
    """As :func:`.kernels.sequences.run_back`, of an LSTM, from what its steps kept and cotangents of its gates.

    Where a step has few numbers its calls are what takes the time. Then all that needs no cotangent is computed for
    many steps at once, 5 calls a step instead of 15. Where it has many, what a step computes stays in the cache.
    """
    if g_gates is None and packing.widest * c.shape[1] <= _FEW and 6 * c.size <= _SLOPES:
        slopes = slopes_of_steps(gates, packing.states_before(c0, c), c, packing)
        first, da, _ = pull(packing, Wh, slopes, outside, keep=False)
        return first, da

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
    outside = added(packed_each(packing, gh), g_h), added(packed_each(packing, gc), g_c)
    joined = [None if d is None else copies.join(d) for d in outside]
    inside = None if g_gates is None else copies.join_steps(g_gates)
    kept = (*(copies.repeat(x) for x in (c0, c, tanh_c)), copies.repeat_steps(gates))
    firsts, da = _pull_lstm(copies.packing, Wh, joined, inside, *kept)
    da, before = copies.part(da), packing.states_before(h0, h)
    dx, *dW = pull_weights_of_copies(needs, da, da, rows, before, Wx, inputs)
    dx = added(dx, each(inputs.unpack, g_rows)) if needs[0] else None
    dh0, dc0 = (added(copies.part(d), each(packing.unsort, g)) for d, g in zip(firsts, (g_h0, g_c0), strict=True))
    return dx, dh0, *dW, dc0


@lstm.vjp_on_tensors
def _(
    g: Any, needs: tuple[bool, ...], rows: Any, h0: Any, h: Any, c0: Any, c: Any, tanh_c: Array, gates: Any, Wx: Any,
    Wh: Any, packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    gh, gc, g_rows, g_h0, g_h, g_c0, g_c, g_gates = (*g, *[None] * 6)[:8]
    outside = added(packed(packing, gh), g_h), added(packed(packing, gc), g_c)
    inside = None if g_gates is None else g_gates * gate_slopes(gates, packing)
    slopes = lstm_slopes(gates, states_before(packing, c0, c), c, packing=packing)
    da, dh0, dc0 = pull_through_time(slopes, Wh, *outside, inside, packing=packing)
    dx, dWx, dWh, db = pull_weights_on_tensors(needs, da, da, rows, states_before(packing, h0, h), Wx, inputs)
    dh0, dc0 = added(dh0, unsorted(packing, g_h0)), added(dc0, unsorted(packing, g_c0))
    return inputs_too(needs, inputs, dx, g_rows), dh0, dWx, dWh, db, dc0


@lstm.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@lstm.reference
def _(
    x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, c0: Tensor | None = None, lengths: Any = None,
    indices: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    x = looked_up(x, indices)
    h, c = h0, Tensor(np.zeros_like(h0.data)) if c0 is None else c0
    hs, cs = [], []
    for t in range(x.shape[1]):
        h, c = _reference_step(x[:, t], h, c, Wx, Wh, b)
        hs.append(h)
        cs.append(c)
    return cut(as_sequence(hs, h0), lengths), cut(as_sequence(cs, h0), lengths)
