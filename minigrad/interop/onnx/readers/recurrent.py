"""Recurrent layers, in one direction or both.

With the usual activations they are minigrad's layers. What these do not have, other activations, peepholes of an LSTM,
or a reset gate before the product, is composed step by step.

Shapes: N batch, T steps, D input, H hidden, K directions. ONNX has x (T, N, D), weights W (K, gates H, D) and
R (K, gates H, H), biases B (K, 2 gates H), those of W and then those of R, and states (K, N, H).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .... import ops
from ....core import Tensor
from ....spec import Array
from .table import constant, reads

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 1, 3)}
"""Which of ONNX's gates, i o f c or z r h, comes in each place of minigrad's."""
_USUAL = {"RNN": ("tanh",), "GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": ops.tanh, "sigmoid": ops.sigmoid, "relu": ops.relu, "softplus": ops.softplus,
}  # fmt: skip


class _Direction(NamedTuple):
    """One direction: x (N, T, D) in the order of its steps, weights as minigrad has them, and where it starts."""

    x: Any
    Wx: Any
    Wh: Any
    bx: Any
    bh: Any
    h0: Any
    c0: Any
    peepholes: Any
    lengths: Array | None
    activations: tuple[str, ...]


@reads("RNN", "GRU", "LSTM")
def _(
    x: Any, W: Any, R: Any, B: Any = None, lengths: Any = None, h0: Any = None, c0: Any = None, P: Any = None, *,
    kind: str, hidden_size: int = 0, direction: str = "forward", layout: int = 0, linear_before_reset: int = 0,
    activations: Any = None, input_forget: int = 0,
) -> Any:  # fmt: skip
    if input_forget:
        raise NotImplementedError("input_forget")
    states = [state if state is None or not layout else ops.swapaxes(state, 0, 1) for state in (h0, c0)]
    x = x if layout else ops.swapaxes(x, 0, 1)
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    if len(W.shape) != 3 or W.shape[0] != len(ways):
        raise ValueError(f"W must be (directions = {len(ways)}, gates H, D), not {W.shape}")
    ends_at = None if lengths is None else np.asarray(lengths.data, np.int64)
    outputs, ends = [], []
    for k, backwards in enumerate(ways):
        turned = _turned(x.shape[0], x.shape[1], ends_at) if backwards else None
        one = _direction(kind, x, (W, R, B), states, P, k, turned, ends_at, activations)
        all_states, last = _run(kind, one, bool(linear_before_reset))
        outputs.append(all_states if turned is None else all_states[turned])
        ends.append(last)
    y = ops.stack(outputs, axis=2 if layout else 0)  # (N, T, K, H), or (K, N, T, H)
    y = y if layout else ops.transpose(y, (2, 0, 1, 3))
    return (y, *(ops.stack(end, axis=1 if layout else 0) for end in zip(*ends, strict=True)))


def _turned(N: int, T: int, lengths: Array | None) -> tuple[Array, Array]:
    """An index that turns every sequence (N, T, …) round, from its own end."""
    steps, ends = np.arange(T), np.full((N, 1), T) if lengths is None else lengths[:, None]
    return np.arange(N)[:, None], np.where(steps < ends, ends - 1 - steps, steps)


def _direction(
    kind: str, x: Any, weights: Any, states: Any, P: Any, k: int, turned: Any, lengths: Array | None, activations: Any
) -> _Direction:
    W, R, B = weights
    H, gates, usual = R.shape[2], _GATES[kind], _USUAL[kind]
    zeros = Tensor(np.zeros((x.shape[0], H), x.dtype))
    bias = Tensor(np.zeros(2 * gates * H, x.dtype)) if B is None else B[k]
    h0, c0 = (zeros if state is None else state[k] for state in states)
    chosen = [name.lower() for name in activations or ()][k * len(usual) : (k + 1) * len(usual)] or usual
    if unknown := set(chosen) - set(_ACTIVATIONS):
        raise NotImplementedError(f"activations {', '.join(sorted(unknown))}")
    rows = x if turned is None else x[turned]
    Wx, Wh, bx, bh = (
        _ordered(part, kind) for part in (W[k], R[k], bias[: gates * H], bias[gates * H :])
    )  # fmt: skip
    peepholes = None if P is None else ops.split(P[k], 3)
    return _Direction(rows, Wx.T, Wh.T, bx, bh, h0, c0, peepholes, lengths, tuple(chosen))


def _ordered(weight: Any, kind: str) -> Any:
    """The blocks of a weight (gates H, …) in minigrad's order."""
    if kind == "RNN":
        return weight
    blocks = ops.split(weight, _GATES[kind])
    return ops.concatenate([blocks[i] for i in _ORDER[kind]])


def _run(kind: str, one: _Direction, linear_before_reset: bool) -> tuple[Any, tuple[Any, ...]]:
    """All hidden states (N, T, H), and what each state is after the last step of each sequence."""
    fused = one.activations == _USUAL[kind] and one.peepholes is None and (kind != "GRU" or linear_before_reset)
    if not fused or not one.x.shape[1]:
        return _composed(kind, one, linear_before_reset)
    x, Wx, Wh, bx, bh, h0, c0, _, lengths, _ = one
    if kind == "RNN":
        states = (ops.rnn(x, h0, Wx, Wh, bx + bh, lengths),)
    elif kind == "GRU":
        states = (ops.gru(x, h0, Wx, Wh, bx, bh, lengths),)
    else:
        states = ops.lstm(x, h0, Wx, Wh, bx + bh, c0, lengths)
    return states[0], tuple(_last(s, start, lengths) for s, start in zip(states, (h0, c0), strict=False))


def _last(states: Any, start: Any, lengths: Array | None) -> Any:
    if lengths is None:
        return states[:, -1]
    last = states[np.arange(len(lengths)), np.maximum(lengths, 1) - 1]
    return last if lengths.all() else ops.where(lengths[:, None] > 0, last, start)


# --- step by step -------------------------------------------------------------------------------------


def _composed(kind: str, one: _Direction, linear_before_reset: bool) -> tuple[Any, tuple[Any, ...]]:
    N, T, _ = one.x.shape
    lengths = np.full(N, T) if one.lengths is None else one.lengths
    state = (one.h0, one.c0) if kind == "LSTM" else (one.h0,)
    outputs = []
    for t, p in enumerate(_projected(one)):
        alive = constant(lengths[:, None] > t)
        after = _STEPS[kind](one, p, *state, linear_before_reset)
        state = tuple(ops.where(alive, new, old) for new, old in zip(after, state, strict=True))
        outputs.append(ops.where(alive, after[0], np.zeros((), one.x.dtype)))
    states = ops.stack(outputs, axis=1) if outputs else Tensor(np.zeros((N, 0, one.Wh.shape[0]), one.x.dtype))
    return states, state


def _projected(one: _Direction) -> Iterator[Any]:
    """x_t Wx + bx of each step, (N, gates H)."""
    rows = ops.affine(one.x, one.Wx, one.bx)
    return (rows[:, t] for t in range(one.x.shape[1]))


def _chosen(one: _Direction) -> list[Callable[[Any], Any]]:
    return [_ACTIVATIONS[name] for name in one.activations]


def _rnn_step(one: _Direction, p: Any, h: Any, _: bool) -> tuple[Any, ...]:
    (f,) = _chosen(one)
    return (f(p + ops.affine(h, one.Wh, one.bh)),)


def _gru_step(one: _Direction, p: Any, h: Any, linear_before_reset: bool) -> tuple[Any, ...]:
    """Gates r, z, n; the reset gate multiplies the product of the state, or the state before the product."""
    f, g = _chosen(one)
    H = h.shape[1]
    if linear_before_reset:
        a = ops.affine(h, one.Wh, one.bh)
        r, z = f(p[:, :H] + a[:, :H]), f(p[:, H : 2 * H] + a[:, H : 2 * H])
        n = g(p[:, 2 * H :] + r * a[:, 2 * H :])
    else:
        a = ops.affine(h, one.Wh[:, : 2 * H], one.bh[: 2 * H])
        r, z = f(p[:, :H] + a[:, :H]), f(p[:, H : 2 * H] + a[:, H:])
        n = g(p[:, 2 * H :] + ops.affine(r * h, one.Wh[:, 2 * H :], one.bh[2 * H :]))
    return ((1 - z) * n + z * h,)


def _lstm_step(one: _Direction, p: Any, h: Any, c: Any, _: bool) -> tuple[Any, ...]:
    """Gates i, f, o and the candidate; with peepholes they see the cell's state too, in ONNX's order i, o, f."""
    f, g, k = _chosen(one)
    i, forget, o, candidate = ops.split(p + ops.affine(h, one.Wh, one.bh), 4, axis=-1)
    see_i, see_o, see_f = one.peepholes or (0.0, 0.0, 0.0)
    after = f(forget + see_f * c) * c + f(i + see_i * c) * g(candidate)
    return f(o + see_o * after) * k(after), after


_STEPS: dict[str, Callable[..., tuple[Any, ...]]] = {"RNN": _rnn_step, "GRU": _gru_step, "LSTM": _lstm_step}
