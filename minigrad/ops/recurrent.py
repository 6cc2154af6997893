"""Recurrent primitives: one step, and a whole sequence in one primitive.

A sequence runs time-major inside, and with ``lengths`` only the rows of sequences that have not ended
(:mod:`minigrad.ops.packing`): all input projections are one GEMM, each step adds ``h @ Wh`` and applies the cell in
place, and every weight gradient is one GEMM over all steps. The step and the sequence share the cell:
pre-activations in, new state out.

Shapes: N batch, T steps, D input, H hidden. Source: the captioning exercises (CS231n), there with
the LSTM's gates in the order i, f, o, g; S. Hochreiter and J. Schmidhuber, Long short-term memory (1997).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import primitive
from ..recording import recorder
from ..spec import Array
from .packing import Packing

__all__ = ["lstm", "lstm_step", "rnn", "rnn_step"]


def _check(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, gates: int, axes: str, c: Array | None = None) -> Any:
    """Raise unless all shapes fit; the dtype to compute in."""
    if x.ndim != len(axes):
        raise ValueError(f"x must have {len(axes)} axes ({', '.join(axes)}), not shape {x.shape}")
    if h.ndim != 2 or h.shape[0] != x.shape[0]:
        raise ValueError(f"the hidden state must be (N, H) with N = {x.shape[0]} as in x, not {h.shape}")
    D, H = x.shape[-1], h.shape[1]
    wanted = {"Wx": (D, gates * H), "Wh": (H, gates * H), "b": (gates * H,)}
    for name, array in (("Wx", Wx), ("Wh", Wh), ("b", b)):
        if array.shape != wanted[name]:
            raise ValueError(f"{name} must have shape {wanted[name]} for D = {D} and H = {H}, not {array.shape}")
    if c is not None and c.shape != h.shape:
        raise ValueError(f"the cell state must have the hidden state's shape {h.shape}, not {c.shape}")
    return np.result_type(*(a for a in (x, h, Wx, Wh, b, c) if a is not None), np.float16)


def _states(first: Array, packing: Packing, dtype: Any) -> Array:
    """Room for the initial states and all others (N + M, H), the initial ones set."""
    states = np.empty((packing.N + packing.starts[-1], first.shape[1]), dtype)
    states[: packing.N] = packing.sort(first)
    return states


def _project(x: Array, Wx: Array, b: Array, dtype: Any) -> Array:
    """All input projections x Wx + b in one GEMM: (M, D) to (M, gates H)."""
    a = (x @ Wx).astype(dtype, copy=False)
    a += b
    return a


def _pull_weights(
    needs: tuple[bool, ...], da: Array, x: Array, states: Array, Wx: Array, packing: Packing
) -> tuple[Any, Any, Any, Any]:
    """Cotangents of x, Wx, Wh, b from those of all pre-activations (M, gates H): one GEMM each."""
    return (
        packing.unpack(da @ Wx.T) if needs[0] else None,
        x.T @ da if needs[2] else None,
        packing.states_before(states).T @ da if needs[3] else None,
        da.sum(axis=0) if needs[4] else None,
    )


def _pull_state(da: Array, Wh: Array, dh: Array) -> None:
    """Write the cotangent da Wh' of a step's hidden state into ``dh``.

    As (Wh da')' it reads Wh along its rows: a quarter less time than ``da @ Wh.T`` at N = 25, H = 512.
    """
    dh[...] = (Wh @ da.T).T


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
    y = (x @ Wx).astype(dtype, copy=False)
    y += h @ Wh
    y += b
    np.tanh(y, out=y)
    return y, (x, h, Wx, Wh, y)


@rnn_step.vjp
def _(g: Array, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, y: Array) -> Any:
    da = _tanh_vjp(g, y)
    return (
        da @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        x.T @ da if needs[2] else None,
        h.T @ da if needs[3] else None,
        da.sum(axis=0) if needs[4] else None,
    )


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


@primitive(states=("h0",))
def rnn(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, lengths: Any = None
) -> tuple[Array, tuple[Any, ...]]:
    """A vanilla RNN over a whole sequence: h_t = tanh(x_t Wx + h_{t-1} Wh + b).

    Args:
        x: (N, T, D). h0: (N, H). Wx: (D, H). Wh: (H, H). b: (H,).
        lengths: (N,) integers from 0 to T: only so many steps of each sequence are computed, and the states behind
            are 0. All steps if left out.

    Returns:
        all hidden states (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> rnn(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 1)), np.ones((1, 1)), np.zeros(1)).shape
    (1, 3, 1)
    """
    dtype = _check(x, h0, Wx, Wh, b, 1, "NTD")
    packing = Packing(x.shape[0], x.shape[1], lengths)
    rows = packing.pack(x)
    a = _project(rows, Wx, b, dtype)
    h = _states(h0, packing, dtype)
    after = h[packing.N :]
    for t in range(packing.steps):
        n, at, before = packing.alive[t], packing.starts[t], packing.before(t)
        new = after[at : at + n]
        np.matmul(h[before : before + n], Wh, out=new)
        new += a[at : at + n]
        np.tanh(new, out=new)
    return packing.unpack(after), (rows, h, Wx, Wh, packing)


@rnn.vjp
def _(g: Array, needs: tuple[bool, ...], rows: Array, h: Array, Wx: Array, Wh: Array, packing: Packing) -> Any:
    after = h[packing.N :]
    da = np.empty_like(after)
    dh = np.zeros_like(h[: packing.N])
    notes = recorder()
    for t in reversed(range(packing.steps)):
        live, step = dh[: packing.alive[t]], slice(packing.starts[t], packing.starts[t + 1])
        live += packing.step(g, t)
        if notes is not None:
            notes.step(t, dh)
        _tanh_vjp(live, after[step], out=da[step])
        _pull_state(da[step], Wh, live)
    dx, dWx, dWh, db = _pull_weights(needs, da, rows, h, Wx, packing)
    return dx, packing.unsort(dh), dWx, dWh, db


@rnn.reference
def _(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, lengths: Any = None) -> Tensor:
    from .elementwise import tanh

    states = [h0]
    for t in range(x.shape[1]):
        states.append(tanh(x[:, t] @ Wx + states[-1] @ Wh + b))
    return _cut(_steps(states[1:], h0), lengths)


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
    """From pre-activations ``a`` (N, 4H) and the cell state to the next states; ``a`` becomes the gates.

    i, f, o = sigmoid(a_i, a_f, a_o), g = tanh(a_g); c' = f c + i g; h' = o tanh(c').
    All four gates take one pass of tanh, for sigmoid(z) = (1 + tanh(z/2)) / 2, which cannot overflow.
    """
    H = c.shape[1]
    sigmoids = a[:, : 3 * H]
    sigmoids *= 0.5
    np.tanh(a, out=a)
    sigmoids *= 0.5
    sigmoids += 0.5
    i, f, o, g = (a[:, k * H : (k + 1) * H] for k in range(4))
    np.multiply(f, c, out=c_next)
    np.multiply(i, g, out=tanh_c)  # borrowed as scratch
    c_next += tanh_c
    np.tanh(c_next, out=tanh_c)
    np.multiply(o, tanh_c, out=h_next)


def _lstm_cell_vjp(dh: Array, dc: Array, gates: Array, c: Array, tanh_c: Array, da: Array) -> None:
    """From the cotangents of h' and c' to those of the pre-activations (into ``da``) and of c (into ``dc``).

    With dc' += dh o (1 - tanh^2 c'): da_i = dc' g i (1 - i), da_f = dc' c f (1 - f),
    da_o = dh tanh(c') o (1 - o), da_g = dc' i (1 - g^2), dc = dc' f.
    """
    H = c.shape[1]
    i, f, o, g = (gates[:, k * H : (k + 1) * H] for k in range(4))
    da_i, da_f, da_o, da_g = (da[:, k * H : (k + 1) * H] for k in range(4))
    _tanh_vjp(dh, tanh_c, out=da_g)
    da_g *= o
    dc += da_g
    sigmoids = gates[:, : 3 * H]
    slopes = da[:, : 3 * H]
    np.subtract(1, sigmoids, out=slopes)
    slopes *= sigmoids
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
    gates = (x @ Wx).astype(dtype, copy=False)
    gates += h @ Wh
    gates += b
    c_next, tanh_c, h_next = (np.empty(h.shape, dtype) for _ in range(3))
    _lstm_cell(gates, c, c_next, tanh_c, h_next)
    return (h_next, c_next), (x, h, c, Wx, Wh, gates, tanh_c)


@lstm_step.vjp
def _(
    g: Any, needs: tuple[bool, ...], x: Array, h: Array, c: Array, Wx: Array, Wh: Array, gates: Array, tanh_c: Array
) -> Any:
    dh = np.zeros_like(tanh_c) if g[0] is None else g[0]
    dc = np.zeros_like(tanh_c) if g[1] is None else g[1].copy()
    da = np.empty_like(gates)
    _lstm_cell_vjp(dh, dc, gates, c, tanh_c, da)
    return (
        da @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        dc,
        x.T @ da if needs[3] else None,
        h.T @ da if needs[4] else None,
        da.sum(axis=0) if needs[5] else None,
    )


def _reference_step(x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM step of simpler primitives; shares nothing with the cell above."""
    from .activations import sigmoid
    from .elementwise import tanh

    a = x @ Wx + h @ Wh + b
    H = h.shape[1]
    i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
    c = f * c + i * tanh(a[:, 3 * H :])
    return o * tanh(c), c


@lstm_step.reference
def _(x: Tensor, h: Tensor, c: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return _reference_step(x, h, c, Wx, Wh, b)


@primitive(states=("h0", "c0"))
def lstm(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, c0: Array | None = None, lengths: Any = None
) -> tuple[tuple[Array, Array], tuple[Any, ...]]:
    """An LSTM over a whole sequence; see :func:`lstm_step` for a step's equations.

    Args:
        x: (N, T, D). h0: (N, H). Wx: (D, 4H). Wh: (H, 4H). b: (4H,). c0: (N, H), zeros if left out.
        lengths: (N,) integers from 0 to T: only so many steps of each sequence are computed, and the states behind
            are 0. All steps if left out.

    Returns:
        ``(h, c)``: all hidden states and all cell states, each (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> h, c = lstm(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 4)), np.ones((1, 4)), np.zeros(4))
    >>> h.shape, c.shape
    ((1, 3, 1), (1, 3, 1))
    """
    dtype = _check(x, h0, Wx, Wh, b, 4, "NTD", c0)
    packing = Packing(x.shape[0], x.shape[1], lengths)
    rows = packing.pack(x)
    gates = _project(rows, Wx, b, dtype)
    h = _states(h0, packing, dtype)
    c = _states(np.zeros_like(h0) if c0 is None else c0, packing, dtype)
    h_after, c_after = h[packing.N :], c[packing.N :]
    tanh_c = np.empty_like(c_after)
    product = np.empty((packing.N, gates.shape[1]), dtype)
    for t in range(packing.steps):
        n, before, step = packing.alive[t], packing.before(t), slice(packing.starts[t], packing.starts[t + 1])
        np.matmul(h[before : before + n], Wh, out=product[:n])
        gates[step] += product[:n]
        _lstm_cell(gates[step], c[before : before + n], c_after[step], tanh_c[step], h_after[step])
    return (packing.unpack(h_after), packing.unpack(c_after)), (rows, h, c, gates, tanh_c, Wx, Wh, packing)


@lstm.vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h: Array, c: Array, gates: Array, tanh_c: Array, Wx: Array,
    Wh: Array, packing: Packing,
) -> Any:  # fmt: skip
    gh, gc = g
    da = np.empty_like(gates)
    dh, dc = np.zeros_like(h[: packing.N]), np.zeros_like(c[: packing.N])
    notes = recorder()
    for t in reversed(range(packing.steps)):
        n, before, step = packing.alive[t], packing.before(t), slice(packing.starts[t], packing.starts[t + 1])
        if gh is not None:
            dh[:n] += packing.step(gh, t)
        if gc is not None:
            dc[:n] += packing.step(gc, t)
        if notes is not None:
            notes.step(t, dh, dc)
        _lstm_cell_vjp(dh[:n], dc[:n], gates[step], c[before : before + n], tanh_c[step], da[step])
        _pull_state(da[step], Wh, dh[:n])
    dx, dWx, dWh, db = _pull_weights(needs, da, rows, h, Wx, packing)
    return dx, packing.unsort(dh), dWx, dWh, db, packing.unsort(dc)


@lstm.reference
def _(
    x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, c0: Tensor | None = None, lengths: Any = None
) -> tuple[Tensor, Tensor]:
    h, c = h0, Tensor(np.zeros_like(h0.data)) if c0 is None else c0
    hs, cs = [], []
    for t in range(x.shape[1]):
        h, c = _reference_step(x[:, t], h, c, Wx, Wh, b)
        hs.append(h)
        cs.append(c)
    return _cut(_steps(hs, h0), lengths), _cut(_steps(cs, h0), lengths)
