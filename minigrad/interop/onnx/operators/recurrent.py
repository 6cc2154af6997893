"""Recurrent layers: ONNX's RNN, GRU and LSTM.

Shapes: N batch, T steps, D input, H hidden, K directions. ONNX has x (T, N, D), weights W (K, gates H, D) and
R (K, gates H, H), biases B (K, 2 gates H), those of W and then those of R, and states (K, N, H). Its gates are in the
order z, r, h of a GRU and i, o, f, c of an LSTM.

Weights are written in the module's layout, and rearranged by operators, which runtimes compute once, when they load the
file. Imported layers become minigrad's. Features that these lack (other activations, peepholes of an LSTM, or a reset
gate before the product) are composed step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .... import ops
from ....core import Tensor, plain
from ....spec import Array
from ..graph_writer import Call, GraphWriter
from .registry import READERS, write

# ONNX's place of each of minigrad's gates, r z n or i f o g; minigrad's place of each of ONNX's is the same.
_ORDER = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 1, 3)}

# --- writing ------------------------------------------------------------------------------------------


_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "RNN": {"activations": ["Tanh"]}, "GRU": {"linear_before_reset": 1}, "LSTM": {},
}  # fmt: skip


def _layer(
    graph: GraphWriter, call: Call, x: str, h0: str, Wx: str, Wh: str, b: str, more: str = ""
) -> tuple[str, ...]:  # fmt: skip
    """Write all states h (N, T, H), and cell states for an LSTM. more: the second bias of a GRU, or c0 of an LSTM."""
    kind, H = call.name.upper(), np.shape(call.inputs[1])[1]
    columns = graph.constant(np.concatenate([np.arange(H) + gate * H for gate in _ORDER[kind]]))
    zeros = graph.constant(np.zeros(len(_ORDER[kind]) * H, call.dtype))
    indices, lengths = plain(call.option("indices")), plain(call.option("lengths"))

    def integers(numbers: Any, dtype: Any) -> str:
        return graph.value(numbers if graph.known(numbers) else np.asarray(numbers), dtype)

    def with_directions(name: str) -> str:
        return graph.op("Unsqueeze", name, graph.ints(0)) if name else ""

    x = x if indices is None else graph.op("Gather", x, integers(indices, np.int64), axis=0)
    rows = graph.op("Transpose", x, perm=[1, 0, 2])
    turned = (graph.op("Transpose", graph.op("Gather", w, columns, axis=1), perm=[1, 0]) for w in (Wx, Wh))
    biases = [
        graph.op("Gather", b, columns, axis=0),
        graph.op("Gather", more, columns, axis=0) if kind == "GRU" else zeros,
    ]
    weights = map(with_directions, (*turned, graph.op("Concat", *biases, axis=0)))
    ends = "" if lengths is None else integers(lengths, np.int32)
    first = [with_directions(h0), *([with_directions(more)] if kind == "LSTM" else [])]
    outputs = 1 + len(first)
    states, *last = graph.ops(kind, outputs, rows, *weights, ends, *first, hidden_size=H, **_ATTRIBUTES[kind])
    h = graph.op("Transpose", graph.op("Squeeze", states, graph.ints(1)), perm=[1, 0, 2])
    if kind != "LSTM":
        return (h,)
    cells = graph.unique("cells")
    graph.cells[cells] = graph.op("Squeeze", last[1], graph.ints(0)), call
    return h, cells


write(dict.fromkeys(("rnn", "gru", "lstm"), _layer))

# --- reading ------------------------------------------------------------------------------------------

_USUAL = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": ops.tanh, "sigmoid": ops.sigmoid, "relu": ops.relu, "softplus": ops.softplus,
}  # fmt: skip


def _recurrent(
    kind: str, x: Any, W: Any, R: Any, B: Any = None, lengths: Any = None, h0: Any = None, c0: Any = None,
    P: Any = None, *, hidden_size: int = 0, direction: str = "forward", layout: int = 0, linear_before_reset: int = 0,
    activations: Any = None, input_forget: int = 0,
) -> Any:  # fmt: skip
    if input_forget:
        raise NotImplementedError("input_forget")
    h0, c0 = (state if state is None or not layout else ops.swapaxes(state, 0, 1) for state in (h0, c0))
    x = x if layout else ops.swapaxes(x, 0, 1)
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
    if len(W.shape) != 3 or W.shape[0] != len(directions):
        raise ValueError(f"W must be (directions = {len(directions)}, gates H, D), not {W.shape}")
    (N, T, _), (K, columns, H), usual = x.shape, R.shape, len(_USUAL[kind])
    ends_at = None if lengths is None else np.asarray(lengths.data, np.int64)
    zeros = Tensor(np.zeros((K, N, H), x.dtype))
    B = Tensor(np.zeros((K, 2 * columns), x.dtype)) if B is None else B
    h0, c0 = (zeros if state is None else state for state in (h0, c0))
    outputs, ends = [], []
    for k, backwards in enumerate(directions):
        turned = _turned(N, T, ends_at) if backwards else None
        rows = x if turned is None else x[turned]
        names = [name.lower() for name in activations or ()][k * usual : (k + 1) * usual] or _USUAL[kind]
        if unknown := set(names) - set(_ACTIVATIONS):
            raise NotImplementedError(f"activations {', '.join(sorted(unknown))}")
        Wx, Wh, bx, bh = (_ordered(part, kind) for part in (W[k], R[k], B[k, :columns], B[k, columns:]))
        if names == _USUAL[kind] and P is None and (kind != "GRU" or linear_before_reset) and T:
            states, last = _fused(kind, rows, (Wx, Wh, bx, bh), h0[k], c0[k], ends_at)
        else:
            peepholes = [0.0, 0.0, 0.0] if P is None else ops.split(P[k], 3)
            functions = [_ACTIVATIONS[name] for name in names]
            step = partial(_step, kind, functions, Wh, bh, linear_before_reset, peepholes)
            start = (h0[k], c0[k]) if kind == "LSTM" else (h0[k],)
            states, last = _composed(step, ops.affine(rows, Wx, bx), start, ends_at)
        outputs.append(states if turned is None else states[turned])
        ends.append(last)
    y = ops.stack(outputs, axis=2 if layout else 0)  # (N, T, K, H), or (K, N, T, H)
    y = y if layout else ops.transpose(y, (2, 0, 1, 3))
    return (y, *(ops.stack(end, axis=1 if layout else 0) for end in zip(*ends, strict=True)))


def _turned(N: int, T: int, lengths: Array | None) -> Any:
    """Return an index that reverses every sequence (N, T, …) from its own end."""
    steps, ends = np.arange(T), np.full((N, 1), T) if lengths is None else lengths[:, None]
    return np.arange(N)[:, None], np.where(steps < ends, ends - 1 - steps, steps)


def _ordered(weight: Any, kind: str) -> Any:
    """Return a weight (gates H, …) with the gates in minigrad's order, transposed."""
    blocks = ops.split(weight, len(_ORDER[kind])) if kind != "RNN" else [weight]
    return (ops.concatenate([blocks[i] for i in _ORDER[kind]]) if kind != "RNN" else weight).T


def _fused(
    kind: str, x: Any, weights: tuple[Any, ...], h0: Any, c0: Any, lengths: Array | None
) -> tuple[Any, tuple[Any, ...]]:
    """Return all hidden states (N, T, H), and each state after the last step of each sequence."""
    Wx, Wh, bx, bh = weights
    if kind == "RNN":
        states = (ops.rnn(x, h0, Wx, Wh, bx + bh, lengths),)
    elif kind == "GRU":
        states = (ops.gru(x, h0, Wx, Wh, bx, bh, lengths),)
    else:
        states = ops.lstm(x, h0, Wx, Wh, bx + bh, c0, lengths)
    if lengths is None:
        return states[0], tuple(s[:, -1] for s in states)
    last = [s[np.arange(len(lengths)), np.maximum(lengths, 1) - 1] for s in states]
    return states[0], tuple(ops.where(lengths[:, None] > 0, *pair) for pair in zip(last, (h0, c0), strict=False))


def _composed(step: Any, rows: Any, state: Any, lengths: Array | None) -> tuple[Any, tuple[Any, ...]]:
    """Like :func:`_fused`, step by step. step: the states after a step, given a row x_t Wx + bx and those before."""
    N, T, _ = rows.shape
    outputs = []
    for t in range(T):
        alive = np.full((N, 1), T) > t if lengths is None else lengths[:, None] > t
        after = step(rows[:, t], *state)
        state = tuple(ops.where(alive, new, old) for new, old in zip(after, state, strict=True))
        outputs.append(ops.where(alive, after[0], np.zeros((), rows.dtype)))
    return ops.stack(outputs, axis=1) if outputs else Tensor(np.zeros((N, 0, state[0].shape[1]), rows.dtype)), state


def _step(
    kind: str, activations: Any, Wh: Any, bh: Any, linear_before_reset: int, peepholes: Any, p: Any, h: Any, *c: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Return the states after a step, given p = x_t Wx + bx and the states before it."""
    if kind == "RNN":
        return (activations[0](p + ops.affine(h, Wh, bh)),)
    if kind == "GRU":  # the reset gate multiplies the product of the state, or the state before the product
        f, g = activations
        (Wr, Wz, Wn), (br, bz, bn), (r, z, n) = ops.split(Wh, 3, axis=1), ops.split(bh, 3), ops.split(p, 3, axis=1)
        r, z = f(r + ops.affine(h, Wr, br)), f(z + ops.affine(h, Wz, bz))
        n = g(n + (r * ops.affine(h, Wn, bn) if linear_before_reset else ops.affine(r * h, Wn, bn)))
        return ((1 - z) * n + z * h,)
    (f, g, k), (see_i, see_o, see_f) = activations, peepholes  # with these the gates see the cell's state
    i, forget, o, candidate = ops.split(p + ops.affine(h, Wh, bh), 4, axis=-1)
    after = f(forget + see_f * c[0]) * c[0] + f(i + see_i * c[0]) * g(candidate)
    return f(o + see_o * after) * k(after), after


READERS.update({kind: partial(_recurrent, kind) for kind in _ORDER})
