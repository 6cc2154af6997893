"""Recurrent layers: ONNX's RNN, LSTM and GRU, one direction each.

ONNX has sequences as (T, N, D), gates in the order i, o, f, c of an LSTM and z, r, h of a GRU, weights transposed and
with an axis for directions in front. Weights stay as the module has them, and are rearranged by operators, which
runtimes compute once, when they load the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core import Tensor
from ....spec import Array
from ..graphs import GraphWriter
from ..tracing import Call
from .table import refuse, writes

_ORDER = {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 2, 1, 3)}
"""Which of minigrad's gates, i f o g or r z n, comes in each place of ONNX's."""


@writes("rnn")
def _(graph: GraphWriter, call: Call, x: str, h0: str, Wx: str, Wh: str, b: str) -> str:
    return _layer(graph, call, x, h0, Wx, Wh, (b, ""), activations=["Tanh"])[0]


@writes("gru")
def _(graph: GraphWriter, call: Call, x: str, h0: str, Wx: str, Wh: str, bx: str, bh: str) -> str:
    return _layer(graph, call, x, h0, Wx, Wh, (bx, bh), linear_before_reset=1)[0]


@writes("lstm")
def _(graph: GraphWriter, call: Call, x: str, h0: str, Wx: str, Wh: str, b: str, c0: str) -> tuple[str, ...]:
    """The states c come out behind the last step alone."""
    uses = graph.uses.get(id(call.outputs[1]), [])
    ends = [use for use in uses if use is not None and _takes_last(use, call)]
    if len(ends) < len(uses):
        raise refuse("the cell states of an LSTM at all steps (those after the last one can be)")
    states, _, last = _layer(graph, call, x, h0, Wx, Wh, (b, ""), c0)
    for use in ends:
        graph.names[id(use.outputs[0])] = graph.op("Squeeze", last, graph.ints(0))
    return states, ""


def _takes_last(use: Call, layer: Call) -> bool:
    """Whether a call takes what each sequence ends with, of states (N, T, H)."""
    if use.name != "getitem" or type(index := use.option("index")) is not tuple or len(index) != 2:
        return False
    lengths, (N, T) = layer.option("lengths"), layer.outputs[0].shape[:2]
    if lengths is None:
        return index[0] == slice(None) and isinstance(index[1], int) and index[1] in (-1, T - 1)
    ends = np.asarray(lengths.data if isinstance(lengths, Tensor) else lengths)
    return all(isinstance(item, np.ndarray) for item in index) and bool(
        index[0].shape == index[1].shape == (N,)
        and (index[0] == np.arange(N)).all()
        and (index[1] == np.maximum(ends, 1) - 1).all()  # of one without steps the state is chosen behind
    )


def _layer(
    graph: GraphWriter, call: Call, x: str, h0: str, Wx: str, Wh: str, biases: tuple[str, str], c0: str = "",
    **attributes: Any,
) -> list[str]:  # fmt: skip
    """All states (N, T, H), and the last ones (1, N, H)."""
    H, order = np.shape(call.inputs[1])[1], _ORDER[call.name]
    columns = np.concatenate([np.arange(H) + gate * H for gate in order])
    if (indices := call.option("indices")) is not None:
        x = graph.op("Gather", x, _integers(graph, indices, np.int64), axis=0)
    rows = graph.op("Transpose", x, perm=[1, 0, 2])
    weights = [_rearranged(graph, W, columns) for W in (Wx, Wh)]
    zeros = graph.constant(np.zeros(len(columns), call.outputs[0].dtype))
    both = [graph.op("Gather", b, graph.constant(columns), axis=0) if b else zeros for b in biases]
    b = graph.op("Unsqueeze", graph.op("Concat", *both, axis=0), graph.ints(0))
    lengths = call.option("lengths")
    ends = "" if lengths is None else _integers(graph, lengths, np.int32)
    first = [graph.op("Unsqueeze", state, graph.ints(0)) if state else "" for state in (h0, c0)]
    kind, number = call.name.upper(), 3 if call.name == "lstm" else 2
    states, *last = graph.ops(kind, number, rows, *weights, b, ends, *first, hidden_size=H, **attributes)
    h = graph.op("Transpose", graph.op("Squeeze", states, graph.ints(1)), perm=[1, 0, 2])
    return [h, *last]


def _rearranged(graph: GraphWriter, W: str, columns: Array) -> str:
    """(D, gates H) as (1, gates H, D), with the gates in another order."""
    turned = graph.op("Transpose", graph.op("Gather", W, graph.constant(columns), axis=1), perm=[1, 0])
    return graph.op("Unsqueeze", turned, graph.ints(0))


def _integers(graph: GraphWriter, numbers: Any, dtype: Any) -> str:
    numbers = numbers.data if isinstance(numbers, Tensor) else numbers
    return graph.value(numbers if graph.known(numbers) else np.asarray(numbers), dtype)
