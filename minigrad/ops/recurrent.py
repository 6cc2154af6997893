"""What recurrent layers share, whatever their cell: shapes, pre-activations, and the way back to what went in.

A layer is two primitives, one step and a whole sequence (:mod:`.recurrent_rnn`, :mod:`.recurrent_lstm`,
:mod:`.recurrent_gru`), which share the cell: pre-activations in and new states out (:mod:`minigrad.ops.kernels.cells`).
How a sequence goes through its steps, only those before its end and with one GEMM for each weight gradient, is in
:mod:`minigrad.ops.kernels.sequences`, with the shapes of an example.

Half precision is computed in single; only the states that come out, and the gradients, are rounded.

The rows, states and gates that a sequence keeps are its hidden outputs, "hidden 1" and so on: when a derivative is
differentiated, cotangents of these arrive at the VJP as well, and go back through the steps with all others. The rules
on tensors are the reverse loop as a primitive (:mod:`.through_time`) between products.

Shapes: N batch, T steps, D input, H hidden.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..primitives import Shape
from ..spec import Array
from .kernels.copies import each
from .kernels.numerics import sum_single, widened
from .kernels.packing import Inputs, Packing, check_places
from .kernels.sequences import groups_of
from .linear import mapped

__all__ = [
    "added", "as_sequence", "begin", "check_shapes", "cost_of_steps", "cut", "inputs_too", "looked_up", "packed",
    "packed_each", "preactivations", "pull_step", "pull_weights_on_tensors", "sum_of_rows", "states_before",
    "unsorted", "wide_dtype",
]  # fmt: skip


def check_shapes(
    x: Array, h: Array, Wx: Array, Wh: Array, biases: dict[str, Array], gates: int, axes: str, c: Array | None = None
) -> Any:
    """Raise unless all shapes fit; the dtype of the states."""
    if x.ndim != len(axes):
        raise ValueError(f"x must have {len(axes)} axes ({', '.join(axes)}), not shape {x.shape}")
    if h.ndim != 2 or ("N" in axes and h.shape[0] != x.shape[0]):
        raise ValueError(f"the hidden state must be (N, H) with N = {x.shape[0]} as in x, not {h.shape}")
    D, H = x.shape[-1], h.shape[1]
    if not H:
        raise ValueError(f"the hidden state must have at least one column, not {h.shape}")
    wanted = {"Wx": (D, gates * H), "Wh": (H, gates * H)}
    for name, array in {"Wx": Wx, "Wh": Wh, **biases}.items():
        shape = wanted.get(name, (gates * H,))
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape} for D = {D} and H = {H}, not {array.shape}")
    if c is not None and c.shape != h.shape:
        raise ValueError(f"the cell state must have the hidden state's shape {h.shape}, not {c.shape}")
    return np.result_type(*(a for a in (x, h, Wx, Wh, *biases.values(), c) if a is not None), np.float16)


def begin(
    x: Array, h0: Array, Wx: Array, Wh: Array, biases: dict[str, Array], lengths: Any, indices: Any, gates: int,
    c0: Array | None = None,
) -> tuple[Packing, Inputs, Any]:  # fmt: skip
    """How the sequences of a layer are packed, what their steps take in, and the dtype of their states."""
    if indices is not None:
        indices = check_places(x, indices, len(h0))
    dtype = check_shapes(x, h0, Wx, Wh, biases, gates, "NTD" if indices is None else "UD", c0)
    N, T = x.shape[:2] if indices is None else indices.shape
    packing = Packing(N, T, lengths, groups_of(N, h0.shape[1], gates))
    return packing, Inputs(packing, indices), dtype


def wide_dtype(dtype: Any) -> Any:
    """The dtype to compute states of a dtype in."""
    return np.result_type(dtype, np.float32)


def preactivations(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, dtype: Any) -> Array:
    """x Wx + h Wh + b of one step, wide enough for states of a dtype."""
    wide = wide_dtype(dtype)
    y = (widened(x) @ widened(Wx)).astype(wide, copy=False)
    y += widened(h) @ widened(Wh)
    y += b
    return y  # type: ignore[no-any-return]


def pull_step(da: Any, dp: Any, needs: Any, x: Any, h: Any, Wx: Any, Wh: Any) -> tuple[Any, ...]:
    """Cotangents of x, h, Wx, Wh, b, each if it is needed, from those of h Wh and of x Wx + b, da and dp (N, gates H).

    Of arrays, tensors, or many cotangents at once (R, N, gates H).
    """
    x, h, Wx, Wh = map(widened, (x, h, Wx, Wh))
    return (
        dp @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        x.T @ dp if needs[2] else None,
        h.T @ da if needs[3] else None,
        sum_of_rows(dp) if needs[4] else None,
    )


sum_of_rows = partial(sum_single, axis=-2)  # of the rows of tensors, or of each of many cotangents


def added(*cotangents: Any) -> Any:
    """Their sum; each may be None for zeros, and so is the sum of no others."""
    there = [g for g in cotangents if g is not None]
    return sum(there[1:], there[0]) if there else None


def packed(packing: Packing, g: Any) -> Any:
    """Cotangents (N, T, H) of states that come out as those of rows (M, H), arrays or tensors."""
    return None if g is None else mapped(widened(g), packing.pack, packing.unpack)


def packed_each(packing: Packing, g: Any) -> Any:
    """As :func:`packed`, of many cotangents at once."""
    return None if g is None else each(packing.pack, widened(g))


def unpacked(inputs: Inputs, d: Any) -> Any:
    """Cotangents of the projected rows (P, D) as those of x, arrays or tensors."""
    return d if d is None or inputs.which is not None else mapped(d, inputs.packing.unpack, inputs.packing.pack)


def inputs_too(needs: Any, inputs: Inputs, dx: Any, g_rows: Any) -> Any:
    """The cotangent of x, if it is needed: what came through the products, and what arrived at the rows."""
    return added(dx, unpacked(inputs, g_rows)) if needs[0] else None


def unsorted(packing: Packing, d: Any) -> Any:
    """Cotangents of first states in the order of packing as those of h0 or c0, arrays or tensors."""
    return None if d is None else mapped(d, packing.unsort, lambda u: packing.sort(u, u.dtype))


def states_before(packing: Packing, first: Any, after: Any) -> Any:
    """The state that each row started from (M, H), of tensors."""
    places = packing.places_before()

    def back(g: Array) -> Array:
        d = np.zeros((packing.N + len(places), g.shape[1]), g.dtype)
        d[places] = g
        return d

    return mapped(np.concatenate([first, after]), lambda states: states[places], back)


def pull_weights_on_tensors(
    needs: Any, da: Any, dp: Any, rows: Any, before: Any, Wx: Any, inputs: Inputs
) -> tuple[Any, Any, Any, Any]:
    """As :func:`.kernels.sequences.pull_weights`, of tensors: cotangents of x, Wx, Wh and b."""
    gathered, table = dp, plain(rows)
    if inputs.which is not None:
        gathered = mapped(dp, lambda d: inputs.gather(d, table), lambda u: u[inputs.which])
    return (
        unpacked(inputs, gathered @ widened(Wx).T) if needs[0] else None,
        widened(rows).T @ gathered if needs[2] else None,
        before.T @ da if needs[3] else None,
        sum_of_rows(gathered) if needs[4] else None,
    )


def cost_of_steps(x: Shape, Wx: Shape, Wh: Shape, output: Shape) -> int:
    """Each row of the input meets the input's weights, and each state, of each step if there are steps, the state's."""
    return prod(x[:-1]) * prod(Wx) + prod(output[:-1]) * prod(Wh)


def looked_up(x: Tensor, indices: Any) -> Tensor:
    """The inputs (N, T, D), by their places among the rows if there are indices."""
    from .indexing import embedding

    return x if indices is None else embedding(np.asarray(indices), x)


def cut(states: Tensor, lengths: Any) -> Tensor:
    """States (N, T, H) with zeros behind the end of each sequence."""
    from .elementwise import where

    if lengths is None:
        return states
    alive = np.asarray(lengths)[:, None] > np.arange(states.shape[1])
    return where(alive[:, :, None], states, 0.0)  # type: ignore[no-any-return]


def as_sequence(states: list[Tensor], first: Tensor) -> Tensor:
    """States (N, H) as a sequence (N, T, H), also for T = 0."""
    from .shaping import expand_dims, stack

    return stack(states, axis=1) if states else expand_dims(first, 1)[:, :0]
