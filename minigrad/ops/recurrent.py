"""Recurrent primitives: one step, and a whole sequence in one primitive.

A sequence runs time-major inside, and with ``lengths`` only the rows of sequences that have not ended
(:mod:`minigrad.ops.kernels.packing`): all input projections are one GEMM, each step adds ``h @ Wh`` and applies the
cell in place, and every weight gradient is one GEMM over all steps. The products of a step are thin and go in blocks
(:mod:`minigrad.ops.kernels.blocks`); groups of sequences go through their steps side by side, each on a thread. The
step and the sequence share the cell: pre-activations in, new state out.

Half precision is computed in single; only the states that come out, and the gradients, are rounded.

Shapes: N batch, T steps, D input, H hidden. Source: the captioning exercises (CS231n), there with
the LSTM's gates in the order i, f, o, g; S. Hochreiter and J. Schmidhuber, Long short-term memory (1997).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..recording import recorder
from ..rules import Shape, Shapes
from ..runtime.threads import get_num_threads, run_in_parallel
from ..spec import Array
from .kernels.blocks import block_rows, column_blocks, multiply, product, products, row_blocks
from .kernels.numerics import widened
from .kernels.packing import Group, Inputs, Packing, check_places
from .reductions import column_sums

__all__ = ["lstm", "lstm_cell", "lstm_step", "rnn", "rnn_step"]

_WORTH_THREADS = 2**22  # multiplications in a step: with less to do the threads wait for each other


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
    packing = Packing(N, T, lengths, _groups(N, h0.shape[1], gates))
    return packing, Inputs(packing, indices), dtype


def _wide(dtype: Any) -> Any:
    """The dtype to compute states of a dtype in."""
    return np.result_type(dtype, np.float32)


def _groups(N: int, H: int, gates: int) -> int:
    """As few groups as go well in blocks; one for each thread at least if the work of a step is worth it."""
    groups = -(-N // block_rows(gates * H))
    if N * gates * H * H >= _WORTH_THREADS:
        groups = -(-groups // get_num_threads()) * get_num_threads()
    return max(min(groups, N), 1)


def _project(rows: Array, Wx: Array, b: Array, dtype: Any) -> Array:
    """All input projections x Wx + b in one GEMM: (rows, D) to (rows, gates H)."""
    projected = product(widened(rows), widened(Wx)).astype(dtype, copy=False)
    projected += b
    return projected


def _run(
    packing: Packing, inputs: Inputs, projected: Array, Wh: Array, h0: Array, h: Array,
    cell: Callable[[Group, int, Array], None],
) -> Array:  # fmt: skip
    """All steps of all groups: ``cell`` makes states of pre-activations a (gates, n, H), and writes into h (M, H).

    Returns what the cell left of all a: that of a step of n rows lies in the memory of these n rows of (M, gates H).
    """
    H, G = Wh.shape
    kept = np.empty((len(h), G), h.dtype)
    blocks = column_blocks(Wh.astype(h.dtype, copy=False), packing.widest, G // H)

    def steps(group: Group) -> None:
        for t in range(group.steps):
            step = group.step(t)
            a = kept[step].reshape(G // H, group.alive[t], H)
            multiply(group.before(t, h0, h), blocks, out=a)
            a += _by_gate(inputs.take(projected, step), H)
            cell(group, t, a)

    run_in_parallel([partial(steps, group) for group in packing.groups])
    return kept


def _run_back(
    packing: Packing, Wh: Array, outside: tuple[Array | None, ...], dtype: Any,
    cell_vjp: Callable[[Group, int, list[Array], Array], None],
) -> tuple[list[Array], Array]:  # fmt: skip
    """The cotangents of the initial states (N, H), and of all pre-activations (M, gates H).

    ``outside``: the cotangent of each output (N, T, H), that of h first. ``cell_vjp`` takes the cotangents of the
    states after a step, makes them those of the states before it but for the way through h @ Wh, and writes that of the
    pre-activations (gates, n, H) into its last argument.
    """
    H, G = Wh.shape
    arriving = [None if g is None else packing.pack(g) for g in outside]
    states = [np.zeros((packing.N, H), dtype) for _ in outside]
    da = np.empty((len(packing.rows), G), dtype)
    blocks = row_blocks(Wh.astype(dtype, copy=False), packing.widest)

    def arrive(group: Group, t: int) -> list[Array]:
        live = [state[group.first][: group.alive[t]] for state in states]
        for state, g in zip(live, arriving, strict=True):
            if g is not None:
                state += g[group.step(t)]
        return live

    def leave(group: Group, t: int, live: list[Array]) -> None:
        cotangent = np.empty((G // H, group.alive[t], H), dtype)
        cell_vjp(group, t, live, cotangent)
        rows = da[group.step(t)]
        _by_gate(rows, H)[...] = cotangent
        multiply(rows, blocks, out=live[0][None])

    def steps(group: Group) -> None:
        for t in reversed(range(group.steps)):
            leave(group, t, arrive(group, t))

    notes = recorder()
    if notes is None:
        run_in_parallel([partial(steps, group) for group in packing.groups])
    else:  # step by step, for there must be a moment at which the cotangents of a step are whole
        for t in reversed(range(packing.steps)):
            live = [(group, arrive(group, t)) for group in packing.groups]  # no rows of a group that has ended
            notes.step(t, *states)
            for group, cotangents in live:
                leave(group, t, cotangents)
    return [packing.unsort(state) for state in states], da


def _pull_weights(
    needs: tuple[bool, ...], da: Array, rows: Array, h0: Array, h: Array, Wx: Array, packing: Packing, inputs: Inputs
) -> tuple[Any, Any, Any, Any]:
    """Cotangents of x, Wx, Wh, b from those of all pre-activations (M, gates H): one GEMM each."""
    gathered = inputs.gather(da, rows)
    dx, dWx, dWh = products(
        (gathered, Wx.T) if needs[0] else None,
        (rows.T, gathered) if needs[2] else None,
        (packing.states_before(h0, h).T, da) if needs[3] else None,
    )
    return None if dx is None else inputs.unpack(dx), dWx, dWh, column_sums(gathered) if needs[4] else None


def _by_gate(rows: Array, H: int) -> Array:
    """Rows (n, gates H) as (gates, n, H), a view."""
    return rows.reshape(len(rows), rows.shape[1] // H, H).swapaxes(0, 1)


def _cost_of_steps(x: Shape, Wx: Shape, Wh: Shape, output: Shape) -> int:
    """Each row of the input meets the input's weights, and each state, of each step if there are steps, the state's."""
    return prod(x[:-1]) * prod(Wx) + prod(output[:-1]) * prod(Wh)


# --- vanilla RNN ------------------------------------------------------------------------------------


@primitive
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


def _preactivations(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, dtype: Any) -> Array:
    """x Wx + h Wh + b of one step, wide enough for states of a dtype."""
    wide = _wide(dtype)
    y = (widened(x) @ widened(Wx)).astype(wide, copy=False)
    y += widened(h) @ widened(Wh)
    y += b
    return y  # type: ignore[no-any-return]


@rnn_step.vjp
def _(g: Array, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, y: Array) -> Any:
    return _pull_step(_tanh_vjp(g, y), needs, x, h, Wx, Wh)


def _pull_step(da: Array, needs: Any, x: Array, h: Array, Wx: Array, Wh: Array) -> tuple[Any, ...]:
    """Cotangents of x, h, Wx, Wh, b, each if it is needed, from those of the pre-activations (N, gates H)."""
    return (
        da @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        x.T @ da if needs[2] else None,
        h.T @ da if needs[3] else None,
        column_sums(da) if needs[4] else None,
    )


@rnn_step.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@rnn_step.reference
def _(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Tensor:
    from .elementwise import tanh

    return tanh(x @ Wx + h @ Wh + b)  # type: ignore[no-any-return]


def _tanh_vjp(g: Array, y: Array, out: Array | None = None) -> Array:
    """Cotangent of a from that of y = tanh(a): g (1 - y^2)."""
    out = np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)
    np.multiply(out, g, out=out)
    return out


@primitive(steps=Steps(rnn_step.primitive, {"h0": "h"}, inputs="x", indices="indices", weights="Wx"))
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

    def cell(group: Group, t: int, a: Array) -> None:
        np.tanh(a[0], out=h[group.step(t)])

    _run(packing, inputs, _project(rows, Wx, b, wide), Wh, first, h, cell)
    return packing.unpack(h).astype(dtype, copy=False), (rows, first, h, Wx, Wh, packing, inputs)


@rnn.vjp
def _(
    g: Array, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, Wx: Array, Wh: Array, packing: Packing,
    inputs: Inputs,
) -> Any:  # fmt: skip
    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> None:
        _tanh_vjp(cotangents[0], h[group.step(t)], out=da[0])

    (dh0,), da = _run_back(packing, Wh, (g,), h.dtype, cell_vjp)
    dx, dWx, dWh, db = _pull_weights(needs, da, rows, h0, h, Wx, packing, inputs)
    return dx, dh0, dWx, dWh, db


@rnn.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return _cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@rnn.reference
def _(
    x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, lengths: Any = None, indices: Any = None
) -> Tensor:
    from .elementwise import tanh

    x = _looked_up(x, indices)
    states = [h0]
    for t in range(x.shape[1]):
        states.append(tanh(x[:, t] @ Wx + states[-1] @ Wh + b))
    return _cut(_steps(states[1:], h0), lengths)


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


# --- LSTM -------------------------------------------------------------------------------------------


def _lstm_cell(a: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
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


def _lstm_cell_vjp(dh: Array, dc: Array, gates: Array, c: Array, tanh_c: Array, da: Array) -> None:
    """From the cotangents of h' and c' to those of the pre-activations (into ``da``) and of c (into ``dc``).

    With dc' += dh o (1 - tanh^2 c'): da_i = dc' g i (1 - i), da_f = dc' c f (1 - f),
    da_o = dh tanh(c') o (1 - o), da_g = dc' i (1 - g^2), dc = dc' f. ``gates`` are u of i, f, o, and g, as
    :func:`_lstm_cell` leaves them; with s = 1 / (1 + u), s (1 - s) is u s^2.
    """
    u, g = gates[:3], gates[3]
    sigmoids = u + 1
    np.divide(1, sigmoids, out=sigmoids)
    i, f, o = sigmoids
    da_i, da_f, da_o, da_g = da
    _tanh_vjp(dh, tanh_c, out=da_g)
    da_g *= o
    dc += da_g
    np.multiply(u, sigmoids, out=da[:3])
    da[:3] *= sigmoids
    _tanh_vjp(dc, g, out=da_g)
    da_g *= i
    da_i *= g
    da_i *= dc
    da_f *= c
    da_f *= dc
    da_o *= tanh_c
    da_o *= dh
    dc *= f


@primitive
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
    gates = np.array(_by_gate(a, c.shape[1]), _wide(dtype), order="C")
    c_next, tanh_c, h_next = (np.empty(c.shape, gates.dtype) for _ in range(3))
    _lstm_cell(gates, c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (gates, c, tanh_c)


def _rounded(h: Array, c: Array, dtype: Any) -> tuple[Array, Array]:
    """States in the dtype in which they go out."""
    return h.astype(dtype, copy=False), c.astype(dtype, copy=False)


@lstm_cell.vjp
def _(g: Any, needs: tuple[bool, ...], gates: Array, c: Array, tanh_c: Array) -> Any:
    dh = np.zeros_like(tanh_c) if g[0] is None else g[0]
    dc = np.zeros_like(tanh_c) if g[1] is None else g[1].astype(tanh_c.dtype)
    da = np.empty((len(c), 4 * c.shape[1]), gates.dtype)
    _lstm_cell_vjp(dh, dc, gates, c, tanh_c, _by_gate(da, c.shape[1]))
    return da if needs[0] else None, dc if needs[1] else None


@lstm_cell.reference
def _(a: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return _reference_cell(a, c)


@primitive
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
    _lstm_cell(_by_gate(gates, h.shape[1]), c, c_next, tanh_c, h_next)
    return _rounded(h_next, c_next, dtype), (x, h, c, Wx, Wh, gates, tanh_c)


@lstm_step.vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    dh = np.zeros_like(tanh_c) if g[0] is None else g[0]
    dc = np.zeros_like(tanh_c) if g[1] is None else g[1].astype(tanh_c.dtype)
    da = np.empty_like(gates)
    _lstm_cell_vjp(dh, dc, _by_gate(gates, h.shape[1]), c, tanh_c, _by_gate(da, h.shape[1]))
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
    steps=Steps(lstm_step.primitive, {"h0": "h", "c0": "c"}, inputs="x", indices="indices", weights="Wx")
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

    def cell(group: Group, t: int, a: Array) -> None:
        step = group.step(t)
        _lstm_cell(a, group.before(t, first_c, c), c[step], tanh_c[step], h[step])

    gates = _run(packing, inputs, _project(rows, Wx, b, wide), Wh, first, h, cell)
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
        _lstm_cell_vjp(dh, dc, gates[step].reshape(da.shape), group.before(t, c0, c), tanh_c[step], da)

    (dh0, dc0), da = _run_back(packing, Wh, g, h.dtype, cell_vjp)
    dx, dWx, dWh, db = _pull_weights(needs, da, rows, h0, h, Wx, packing, inputs)
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
