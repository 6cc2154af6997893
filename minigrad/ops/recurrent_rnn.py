"""The vanilla RNN: one step, and a whole sequence in one primitive. What it shares with others is in :mod:`.recurrent`.

Shapes: N batch, T steps, D input, H hidden. Source: the captioning exercises (CS231n); J. Elman, Finding structure in
time (1990).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..primitives import Shape, Shapes
from ..spec import Array
from .kernels.cells import tanh_vjp
from .kernels.copies import Copies, each, pull_weights_of_copies
from .kernels.cuts import cut_where_unreached
from .kernels.numerics import widened
from .kernels.packing import Group, Inputs, Packing
from .kernels.sequences import project, pull_weights, run, run_back
from .recurrent import (
    added, as_sequence, begin, check_shapes, cost_of_steps, cut, inputs_too, looked_up, packed, packed_each,
    preactivations, pull_step, pull_weights_on_tensors, states_before, unsorted, wide_dtype,
)  # fmt: skip
from .through_time import pull_through_time

__all__ = ["rnn", "rnn_step"]


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
    dtype = check_shapes(x, h, Wx, Wh, {"b": b}, 1, "ND")
    y = preactivations(x, h, Wx, Wh, b, dtype)
    np.tanh(y, out=y)
    return y.astype(dtype, copy=False), (x, h, Wx, Wh, y)


@rnn_step.vjp
def _(g: Array, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, y: Array) -> Any:
    da = tanh_vjp(g, y)
    return pull_step(da, da, needs, x, h, Wx, Wh)


@rnn_step.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], x: Any, h: Any, Wx: Any, Wh: Any, y: Any) -> Any:
    da = widened(g) * (1 - y * y)
    return pull_step(da, da, needs, x, h, Wx, Wh)


@rnn_step.batched_vjp
def _(g: Any, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, y: Array) -> Any:
    da = widened(g) * (1 - y * y)
    return pull_step(da, da, needs, x, h, Wx, Wh)


@rnn_step.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return cost_of_steps(inputs[0], inputs[2], inputs[3], output)


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
    packing, inputs, dtype = begin(x, h0, Wx, Wh, {"b": b}, lengths, indices, 1)
    wide = wide_dtype(dtype)
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
    ordinary = not isinstance(g, tuple)
    g, g_rows, g_first, g_states = (g, None, None, None) if ordinary else g
    outside = added(packed(packing, g), g_states)
    cut = cut_where_unreached(packing, Wh, [outside]) if ordinary else None
    if cut is not None:
        packing, (inputs, rows), outside = cut.packing, cut.inputs(inputs, rows), cut.rows(outside)
        h0, h = cut.first(h0), cut.rows(h)
    (dh0,), da = _pull_rnn(packing, Wh, outside, h)
    del outside  # the peak of memory is below
    dx, dWx, dWh, db = pull_weights(needs, da, da, rows, h0, h, Wx, packing, inputs)
    return inputs_too(needs, inputs, dx, g_rows), added(dh0, unsorted(packing, g_first)), dWx, dWh, db


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
    outside = added(packed_each(packing, g), g_states)
    joined = None if outside is None else copies.join(outside)
    (dh0,), da = _pull_rnn(copies.packing, Wh, joined, copies.repeat(h))
    da, before = copies.part(da), packing.states_before(h0, h)
    dx, *dW = pull_weights_of_copies(needs, da, da, rows, before, Wx, inputs)
    dx = added(dx, each(inputs.unpack, g_rows)) if needs[0] else None
    return dx, added(copies.part(dh0), each(packing.unsort, g_first)), *dW


@rnn.vjp_on_tensors
def _(
    g: Any, needs: tuple[bool, ...], rows: Any, h0: Any, h: Any, Wx: Any, Wh: Any, packing: Packing, inputs: Inputs
) -> Any:
    g, g_rows, g_first, g_states = g if isinstance(g, tuple) else (g, None, None, None)
    arriving = added(packed(packing, g), g_states)
    da, dh0 = pull_through_time(1 - h * h, Wh, arriving, packing=packing)
    dx, dWx, dWh, db = pull_weights_on_tensors(needs, da, da, rows, states_before(packing, h0, h), Wx, inputs)
    return inputs_too(needs, inputs, dx, g_rows), added(dh0, unsorted(packing, g_first)), dWx, dWh, db


@rnn.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@rnn.reference
def _(x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor, lengths: Any = None, indices: Any = None) -> Tensor:
    from .elementwise import tanh

    x = looked_up(x, indices)
    states = [h0]
    for t in range(x.shape[1]):
        states.append(tanh(x[:, t] @ Wx + states[-1] @ Wh + b))
    return cut(as_sequence(states[1:], h0), lengths)
