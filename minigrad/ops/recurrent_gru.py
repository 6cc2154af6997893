"""The gated recurrent unit: one step, and a whole sequence in one primitive.

What it shares with others is in :mod:`.recurrent`. The reset gate comes after the product, so that a step needs one
product of the state, as in cuDNN and PyTorch; in the paper it comes before. The two differ in n alone:
tanh(p_n + r (h Wh_n + bh_n)) here, tanh(p_n + (r h) Wh_n + bh_n) there.

Shapes: N batch, T steps, D input, H hidden. Source: K. Cho et al., Learning phrase representations using RNN
encoder-decoder for statistical machine translation (2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import Steps, primitive
from ..primitives import Shape, Shapes
from ..spec import Array
from .kernels.cells import gru_gates_vjp, gru_states, gru_states_vjp
from .kernels.copies import Copies, each, pull_weights_of_copies
from .kernels.cuts import cut_where_unreached
from .kernels.numerics import widened
from .kernels.packing import Group, Inputs, Packing
from .kernels.sequences import by_gate, project, pull_weights, run, run_back
from .recurrent import (
    added, as_sequence, begin, check_shapes, cost_of_steps, cut, inputs_too, looked_up, packed, packed_each, pull_step,
    pull_weights_on_tensors, sum_of_rows, states_before, unsorted, wide_dtype,
)  # fmt: skip
from .through_time import pull_gru_through_time

__all__ = ["gru", "gru_step"]


@primitive(residuals=("x", "h", "Wx", "Wh", "hidden 1"))
def gru_step(x: Array, h: Array, Wx: Array, Wh: Array, bx: Array, bh: Array) -> tuple[Array, tuple[Any, ...]]:
    """One step of a gated recurrent unit, gates in the order r, z, n.

    With the three blocks of p = x Wx + bx and a = h Wh + bh: r = sigmoid(p_r + a_r); z = sigmoid(p_z + a_z);
    n = tanh(p_n + r a_n); h' = (1 - z) n + z h.

    Args:
        x: (N, D). h: (N, H). Wx: (D, 3H). Wh: (H, 3H). bx, bh: (3H,). Floating; dtypes promote as in NumPy.

    Returns:
        the next hidden state (N, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> zero = np.zeros(3)
    >>> gru_step(np.ones((1, 2)), np.zeros((1, 1)), np.ones((2, 3)), np.ones((1, 3)), zero, zero).numpy().round(4)
    array([[0.1149]])
    """
    dtype = check_shapes(x, h, Wx, Wh, {"bx": bx, "bh": bh}, 3, "ND")
    wide, (N, H) = wide_dtype(dtype), h.shape
    before = h.astype(wide, copy=False)
    p = by_gate(project(x, Wx, _bias(bx, bh, wide), wide), H)
    a = np.array(by_gate(before @ Wh.astype(wide, copy=False), H), order="C")
    gates, h_next = np.empty((4, N, H), wide), np.empty((N, H), wide)
    gru_states(a, p, bh[2 * H :], before, gates, h_next)
    return h_next.astype(dtype, copy=False), (x, h, Wx, Wh, gates)


def _bias(bx: Array, bh: Array, dtype: Any) -> Array:
    """What is added to the input's part: bx, and bh but for n, whose part is multiplied by r."""
    bias = bx.astype(dtype)
    bias[: 2 * len(bias) // 3] += bh[: 2 * len(bias) // 3]
    return bias


@gru_step.vjp
def _(g: Any, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, gates: Array) -> Any:
    g, g_gates = g if isinstance(g, tuple) else (g, None)
    dh = np.zeros(h.shape, gates.dtype) if g is None else g.astype(gates.dtype)
    da, dn = np.empty((3, *h.shape), gates.dtype), np.empty(h.shape, gates.dtype)
    gru_states_vjp(dh, gates, h, da, dn)
    if g_gates is not None:
        gru_gates_vjp(g_gates, gates, da, dn)
    return _pull_products(np.concatenate(da, axis=1), dn, dh, needs, x, h, Wx, Wh)


def _pull_products(da: Any, dn: Any, dh: Any, needs: Any, x: Any, h: Any, Wx: Any, Wh: Any) -> Any:
    """Cotangents of all inputs of a step from those of a, p_n and of h on its direct path."""
    dp = _of_input(da, dn)
    dx, through_product, dWx, dWh, dbx = pull_step(da, dp, needs, x, h, Wx, Wh)
    return dx, added(through_product, dh) if needs[1] else None, dWx, dWh, dbx, sum_of_rows(da) if needs[5] else None


def _of_input(da: Any, dn: Any) -> Any:
    """The cotangent of p (…, 3H) from that of a, which differs in n alone, and dn (…, H)."""
    return np.concatenate([da[..., : -dn.shape[-1]], dn], axis=-1)


def _slopes(gates: Any, h: Any) -> tuple[Any, ...]:
    """The derivatives of h' in a_r, a_z, a_n, h (directly) and p_n: arrays or tensors.

    gates (4, N, H), as :func:`.kernels.cells.gru_states` leaves them, and the state before.
    """
    u, m, n = gates[:2], gates[2], gates[3]
    r, z = s = 1 / (1 + u)
    bent_r, bent_z = u * s * s  # s (1 - s), and no derivative of it has a factor u without s
    rest = np.where(u[1] < 1, u[1] * z, 1 - z)  # 1 - z, exact in both tails, and so are its derivatives
    k_n = rest * (1 - n * n)
    return k_n * (m * bent_r), (h - n) * bent_z, k_n * r, z, k_n


def _from_gates(d: Any, gates: Any) -> tuple[Any, ...]:
    """The cotangents of a_r, a_z, a_n and p_n from those of the gates, d (…, 4, N, H): arrays or tensors."""
    u, m, n = gates[:2], gates[2], gates[3]
    r = 1 / (1 + u[0])
    bent_r = u[0] * r * r
    d_r, d_z, d_m, d_n = (d[..., k, :, :] for k in range(4))
    dn = d_n * (1 - n * n)
    return dn * (m * bent_r) - u[0] * d_r, -u[1] * d_z, d_m + dn * r, dn


def _pull_step_by_slopes(g: Any, needs: Any, x: Any, h: Any, Wx: Any, Wh: Any, gates: Any) -> Any:
    """The VJP of a step, of tensors or of many cotangents at once, g (R, N, H)."""
    g, g_gates = g if isinstance(g, tuple) else (g, None)
    k_r, k_z, k_m, k_h, k_n = _slopes(gates, widened(h))
    inside = (0.0,) * 4 if g_gates is None else _from_gates(g_gates, gates)
    g = np.zeros(h.shape, gates.dtype) if g is None else widened(g)
    da_r, da_z, da_m, dn = (g * k + i for k, i in zip((k_r, k_z, k_m, k_n), inside, strict=True))
    return _pull_products(np.concatenate([da_r, da_z, da_m], axis=-1), dn, g * k_h, needs, x, h, Wx, Wh)


@gru_step.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], x: Any, h: Any, Wx: Any, Wh: Any, gates: Any) -> Any:
    return _pull_step_by_slopes(g, needs, x, h, Wx, Wh, gates)


@gru_step.batched_vjp
def _(g: Any, needs: tuple[bool, ...], x: Array, h: Array, Wx: Array, Wh: Array, gates: Array) -> Any:
    return _pull_step_by_slopes(g, needs, x, h, Wx, Wh, gates)


@gru_step.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@gru_step.reference
def _(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, bx: Tensor, bh: Tensor) -> Tensor:
    return _reference_step(x, h, Wx, Wh, bx, bh)


def _reference_step(x: Tensor, h: Tensor, Wx: Tensor, Wh: Tensor, bx: Tensor, bh: Tensor) -> Tensor:
    """A step of simpler primitives."""
    from .activations import sigmoid
    from .elementwise import tanh

    H = h.shape[1]
    p, a = x @ Wx + bx, h @ Wh + bh
    r, z = (sigmoid(p[:, k * H : (k + 1) * H] + a[:, k * H : (k + 1) * H]) for k in range(2))
    n = tanh(p[:, 2 * H :] + r * a[:, 2 * H :])
    return (1 - z) * n + z * h  # type: ignore[no-any-return]


@primitive(
    steps=Steps(gru_step.primitive, {"h0": "h"}, inputs="x", indices="indices", weights="Wx"),
    residuals=("hidden 1", "hidden 2", "hidden 3", "hidden 4", "Wx", "Wh", "constant", "constant"),
)
def gru(
    x: Array, h0: Array, Wx: Array, Wh: Array, bx: Array, bh: Array, lengths: Any = None, indices: Any = None
) -> tuple[Array, tuple[Any, ...]]:
    """A gated recurrent unit over a whole sequence; see :func:`gru_step` for a step's equations.

    Args:
        x: (N, T, D), or with indices rows (U, D). h0: (N, H). Wx: (D, 3H). Wh: (H, 3H). bx, bh: (3H,).
        lengths: (N,) integers from 0 to T: only so many steps of each sequence are computed, and the states behind
            are 0. All steps if left out.
        indices: (N, T) integers in 0 … U-1: step t of sequence n takes the row x[indices[n, t]], as
            ``gru(embedding(indices, x), …)`` does, but each row is projected once, however many steps take it.

    Returns:
        all hidden states (N, T, H).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.
        IndexError, TypeError: names an index of no row and its place, or says that they are not integers.

    >>> zero = np.zeros(3)
    >>> gru(np.ones((1, 4, 2)), np.zeros((1, 1)), np.ones((2, 3)), np.ones((1, 3)), zero, zero).shape
    (1, 4, 1)
    """
    packing, inputs, dtype = begin(x, h0, Wx, Wh, {"bx": bx, "bh": bh}, lengths, indices, 3)
    wide, M, H = wide_dtype(dtype), len(packing.rows), h0.shape[1]
    rows, first = inputs.rows(x), packing.sort(h0, wide)
    h, gates, b_n = np.empty((M, H), wide), np.empty((4, M, H), wide), bh[2 * H :]

    def cell(group: Group, t: int, a: Array, p: Array) -> None:
        step = group.step(t)
        gru_states(a, p, b_n, group.before(t, first, h), gates[:, step], h[step])

    run(packing, inputs, project(rows, Wx, _bias(bx, bh, wide), wide), Wh, first, h, cell)
    return packing.unpack(h).astype(dtype, copy=False), (rows, first, h, gates, Wx, Wh, packing, inputs)


@gru.vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, gates: Array, Wx: Array, Wh: Array,
    packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    ordinary = not isinstance(g, tuple)
    g, g_rows, g_first, g_states, g_gates = (g, *[None] * 4) if ordinary else g
    outside = added(packed(packing, g), g_states)
    cut = cut_where_unreached(packing, Wh, [outside]) if ordinary else None
    if cut is not None:
        packing, (inputs, rows), outside = cut.packing, cut.inputs(inputs, rows), cut.rows(outside)
        h0, h, gates = cut.first(h0), cut.rows(h), gates[:, cut.places]
    (first,), da, dn = _pull_gru(packing, Wh, outside, g_gates, h0, h, gates)
    del outside  # the peak of memory is below
    dx, dWx, dWh, dbx = pull_weights(needs, da, _of_input(da, dn), rows, h0, h, Wx, packing, inputs)
    dh0 = added(first, unsorted(packing, g_first)) if needs[1] else None
    return inputs_too(needs, inputs, dx, g_rows), dh0, dWx, dWh, dbx, sum_of_rows(da) if needs[5] else None


def _pull_gru(
    packing: Packing, Wh: Array, outside: Array | None, g_gates: Any, h0: Array, h: Array, gates: Array
) -> tuple[list[Array], Array, Array]:
    """As :func:`.kernels.sequences.run_back`, from what steps kept and cotangents of gates; and those of p_n (M, H)."""
    dn = np.empty(h.shape, h.dtype)

    def cell_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> Array:
        step = group.step(t)
        of_step = gates[:, step]
        gru_states_vjp(cotangents[0], of_step, group.before(t, h0, h), da, dn[step])
        if g_gates is not None:
            gru_gates_vjp(g_gates[:, step], of_step, da, dn[step])
        return cotangents[0]

    first, da = run_back(packing, Wh, [outside], h.dtype, cell_vjp)
    return first, da, dn


@gru.batched_vjp
def _(
    g: Any, needs: tuple[bool, ...], rows: Array, h0: Array, h: Array, gates: Array, Wx: Array, Wh: Array,
    packing: Packing, inputs: Inputs,
) -> Any:  # fmt: skip
    gs = g if isinstance(g, tuple) else (g, *[None] * 4)
    copies = Copies(packing, next(len(d) for d in gs if d is not None), h.shape[1])
    g, g_rows, g_first, g_states, g_gates = gs
    outside = added(packed_each(packing, g), g_states)
    joined = None if outside is None else copies.join(outside)
    inside = None if g_gates is None else np.stack([copies.join(d) for d in g_gates.swapaxes(0, 1)])
    kept = copies.repeat(h0), copies.repeat(h), np.repeat(gates, copies.R, axis=1)
    (first,), da, dn = _pull_gru(copies.packing, Wh, joined, inside, *kept)
    da, dn, before = copies.part(da), copies.part(dn), packing.states_before(h0, h)
    dx, *dW = pull_weights_of_copies(needs, da, _of_input(da, dn), rows, before, Wx, inputs)
    dx = added(dx, each(inputs.unpack, g_rows)) if needs[0] else None
    dh0 = added(copies.part(first), each(packing.unsort, g_first)) if needs[1] else None
    return dx, dh0, *dW, sum_of_rows(da) if needs[5] else None


@gru.vjp_on_tensors
def _(
    g: Any, needs: tuple[bool, ...], rows: Any, h0: Any, h: Any, gates: Any, Wx: Any, Wh: Any, packing: Packing,
    inputs: Inputs,
) -> Any:  # fmt: skip
    g, g_rows, g_first, g_states, g_gates = g if isinstance(g, tuple) else (g, *[None] * 4)
    before = states_before(packing, h0, h)
    *slopes, k_n = _slopes(gates, before)
    *inside, to_n = (None,) if g_gates is None else _from_gates(g_gates, gates)
    arriving = added(packed(packing, g), g_states)
    ga = np.stack(inside) if inside else None
    da, dh0, total = pull_gru_through_time(np.stack(slopes), Wh, arriving, ga, packing=packing)
    dp = _of_input(da, added(k_n * total, to_n))
    dx, dWx, dWh, dbx = pull_weights_on_tensors(needs, da, dp, rows, before, Wx, inputs)
    dh0 = added(dh0, unsorted(packing, g_first)) if needs[1] else None
    return inputs_too(needs, inputs, dx, g_rows), dh0, dWx, dWh, dbx, sum_of_rows(da) if needs[5] else None


@gru.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return cost_of_steps(inputs[0], inputs[2], inputs[3], output)


@gru.reference
def _(
    x: Tensor, h0: Tensor, Wx: Tensor, Wh: Tensor, bx: Tensor, bh: Tensor, lengths: Any = None, indices: Any = None
) -> Tensor:
    x = looked_up(x, indices)
    states = [h0]
    for t in range(x.shape[1]):
        states.append(_reference_step(x[:, t], states[-1], Wx, Wh, bx, bh))
    return cut(as_sequence(states[1:], h0), lengths)
