"""The vanilla RNN: one step, and a whole sequence in one primitive. :mod:`.recurrent` has the shared code.

Shapes: N batch, T steps, D input, H hidden. Source: the captioning exercises (CS231n); J. Elman, Finding structure in
time (1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..spec import Array
from .kernels.numerics import widened
from .kernels.recurrent_steps import Trace, project, run_cell, run_cell_back
from .recurrent import (
    Cell, begin, check_shapes, declare_rules, preactivations, pull_step, tanh_vjp, wide_dtype,
)  # fmt: skip

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
def _(g: Any, needs: tuple[bool, ...], x: Any, h: Any, Wx: Any, Wh: Any, y: Any) -> Any:
    da = widened(g) * (1 - y * y)
    return pull_step(da, da, needs, x, h, Wx, Wh)


@rnn_step.reference
def _(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, b: Tensor) -> Any:
    return np.tanh(x @ Wx + h @ Wh + b)


def _state(a: Array, p: Array, h: Array) -> None:
    a += p
    np.tanh(a[0], out=h)


def _state_vjp(cotangents: list[Array], da: Array, h: Array) -> None:
    tanh_vjp(cotangents[0], h, out=da[0])


class _RNN(Cell):
    def pull(self, trace: Trace, Wh: Array, outside: Sequence[Any], inside: Any) -> tuple[list[Array], Array, Array]:
        """Compute it from the states, without slopes, which would take as much memory as all cotangents."""
        (h,) = trace.states
        first, da = run_cell_back(trace.packing, Wh, outside, h.dtype, _state_vjp, [h])
        return first, da, da

    def slopes(self, trace: Trace) -> Array:
        h = trace.states[0]
        slopes: Array = h * h
        return np.subtract(1, slopes, out=slopes)

    def push_step(self, k: Array, a: Array, before: list[Array], after: list[Array]) -> None:
        np.multiply(k[0], a[0], out=after[0])

    def pull_step(self, k: Array, cotangents: list[Array], da: Array) -> None:
        np.multiply(k[0], cotangents[0], out=da[0])

    def pull_slopes(
        self, kept: list[Any], states: list[Array], k: Array, a: Array, changes: list[Array], totals: list[Array],
        lanes: Array, after: Array, before: Array,
    ) -> None:  # fmt: skip
        after[...] = -2 * states[1] * a[0] * totals[0]


@primitive(
    steps=Steps(rnn_step.primitive, {"h0": "h"}, inputs="x", indices="indices", weights="Wx"),
    residuals=("derived", "x", "h0", "Wx", "Wh", "b", "hidden 1"),
)
def rnn(
    x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, lengths: Any = None, indices: Any = None
) -> tuple[Array, tuple[Any, ...]]:
    """A vanilla RNN over a whole sequence: h_t = tanh(x_t Wx + h_{t-1} Wh + b).

    Args:
        x: (N, T, D), or with indices rows (U, D). h0: (N, H). Wx: (D, H). Wh: (H, H). b: (H,).
        lengths: (N,) integers from 0 to T: the number of steps of each sequence to compute; later states are 0. By
            default all steps.
        indices: (N, T) integers in 0 … U-1: step t of sequence n takes the row x[indices[n, t]], as
            ``rnn(embedding(indices, x), …)`` does, but each row is projected once, even if many steps take it.

    Returns:
        all hidden states (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.
        IndexError, TypeError: if an index is out of range (names it and its position), or the indices are not integers.

    >>> rnn(np.ones((1, 3, 2)), np.zeros((1, 1)), np.ones((2, 1)), np.ones((1, 1)), np.zeros(1)).shape
    (1, 3, 1)
    """
    inputs, dtype = begin(x, h0, Wx, Wh, {"b": b}, lengths, indices, 1)
    wide, packing = wide_dtype(dtype), inputs.packing
    first = packing.sort(h0, wide)
    h = np.empty((len(packing.rows), h0.shape[1]), wide)
    run_cell(inputs, project(inputs.rows(x), Wx, wide), b, Wh, first, h, _state, [h])
    return packing.unpack(h).astype(dtype, copy=False), (Trace(inputs, [first], [h]), x, h0, Wx, Wh, b, h)


declare_rules(rnn, _RNN())
