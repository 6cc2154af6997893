"""The reverse loop of a recurrent layer as a primitive, so that derivatives of derivatives run through it as fast.

A layer's VJP on tensors is this loop between products: cotangents of the states in, those of each step's input part
out (:mod:`minigrad.ops.kernels.slopes` has the equations). It is linear in the cotangents, and bilinear in these and
the slopes of the steps, or Wh. So its own VJP is one loop forwards, the transpose, and products.

Inside: not exported, and used by the recurrent layers alone. M rows, of :class:`.kernels.packing.Packing`; G columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import ForwardResult, Shape, Shapes, primitive
from ..spec import Array
from .kernels import slopes as kernels
from .kernels.blocks import product
from .kernels.copies import Copies, each
from .kernels.packing import Packing

__all__ = ["gate_slopes", "lstm_slopes", "pull_gru_through_time", "pull_through_time"]

# --- the loop ---------------------------------------------------------------------------------------


@primitive(residuals=("slopes", "Wh", "output", "derived", "constant"))
def pull_through_time(
    slopes: Array, Wh: Array, gh: Array | None = None, gc: Array | None = None, ga: Array | None = None,
    packing: Any = None,
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:  # fmt: skip
    """Cotangents of the input parts of all steps, and of the first states, from those of the states after each step.

    Args:
        slopes: (M, H) for an RNN, (M, 6H) for an LSTM. Wh: (H, G). gh, gc: (M, H), of h and of an LSTM's c; zeros if
            left out. ga: (M, G), of the pre-activations, in the order of steps. packing: of the M rows.

    Returns:
        ``(da, dh0)``, of an LSTM ``(da, dh0, dc0)``: (M, G) and (N, H).
    """
    lstm = slopes.shape[1] > len(Wh)
    first, da, totals = kernels.pull(packing, Wh, slopes, (gh, gc) if lstm else (gh,), ga)
    return (da, *first), (slopes, Wh, da, totals, packing)


@pull_through_time.vjp
def _(
    g: Any, needs: tuple[bool, ...], slopes: Array, Wh: Array, da: Array, totals: list[Array], packing: Packing
) -> Any:
    p = np.zeros_like(da) if g[0] is None else g[0]
    shape = packing.N, len(Wh)
    first = [np.zeros(shape, da.dtype) if d is None else packing.sort(d, da.dtype) for d in g[1:]]
    a, states = kernels.push(packing, Wh, slopes, p, first)
    return (
        kernels.pull_slopes(packing, a, first, states, totals) if needs[0] else None,
        product(packing.states_before(first[0], states[0]).T, da) if needs[1] else None,
        states[0] if needs[2] else None,
        states[1] if needs[3] else None,
        a if needs[4] else None,
    )


@pull_through_time.batched_vjp
def _(
    g: Any, needs: tuple[bool, ...], slopes: Array, Wh: Array, da: Array, totals: list[Array], packing: Packing
) -> Any:
    R, H = next(len(d) for d in g if d is not None), len(Wh)
    copies = Copies(packing, R, H)
    p = np.zeros((len(da) * R, da.shape[1]), da.dtype) if g[0] is None else copies.join(g[0])
    firsts = [each(lambda d: packing.sort(d, da.dtype), d) for d in g[1:]]
    first = [np.zeros((packing.N * R, H), da.dtype) if d is None else copies.join(d) for d in firsts]
    many = copies.repeat_steps(slopes)
    a, states = kernels.push(copies.packing, Wh, many, p, first)
    arrived = [copies.repeat(total) for total in totals]
    before = copies.part(copies.packing.states_before(first[0], states[0]))
    return (
        copies.part_steps(kernels.pull_slopes(copies.packing, a, first, states, arrived)) if needs[0] else None,
        before.swapaxes(1, 2) @ da if needs[1] else None,
        copies.part(states[0]) if needs[2] else None,
        copies.part(states[1]) if needs[3] else None,
        copies.part_steps(a) if needs[4] else None,
    )


@pull_through_time.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return output[0] * inputs[1][0] * inputs[1][1]  # type: ignore[no-any-return]


@pull_through_time.reference
def _(slopes: Tensor, Wh: Tensor, gh: Any, gc: Any, ga: Any, packing: Any) -> tuple[Tensor, ...]:
    from .shaping import concatenate, stack, swapaxes

    H, G = Wh.shape
    lstm = slopes.shape[1] > H
    parts: list[Tensor] = []
    first: list[list[Tensor]] = [[], []]
    for group in packing.groups:
        dh = dc = Tensor(np.zeros((0, H), slopes.dtype))
        steps: list[Tensor] = []
        for t in reversed(range(group.steps)):
            step, n = group.step(t), group.alive[t]
            k = slopes[step].reshape(slopes.shape[1] // H, n, H)
            dh, dc = _arrived(dh, gh, step, n), _arrived(dc, gc, step, n)
            if lstm:
                dc = dc + k[5] * dh
                da = stack([k[0] * dc, k[1] * dc, k[2] * dh, k[3] * dc])
                dc = dc * k[4]
            else:
                da = k * dh
            if ga is not None:
                da = da + ga[step].reshape(G // H, n, H)
            steps.append(swapaxes(da, 0, 1).reshape(n, G))
            dh = steps[-1] @ Wh.T
        parts += reversed(steps)
        n = group.first.stop - group.first.start
        first[0].append(_arrived(dh, None, slice(0), n))
        first[1].append(_arrived(dc, None, slice(0), n))
    places = np.argsort(packing.order)
    states = [concatenate(d)[places] for d in first[: 1 + lstm]]
    return concatenate([np.zeros((0, G), slopes.dtype), *parts]), *states


def _arrived(carried: Tensor, g: Any, step: slice, n: int) -> Tensor:
    """What comes to the n rows of a step: from the next one, which has as many rows or fewer, and from outside."""
    from .shaping import pad

    carried = pad(carried, ((0, n - len(carried)), (0, 0)))
    return carried if g is None else carried + g[step]


# --- the loop of a GRU ------------------------------------------------------------------------------


@primitive(residuals=("slopes", "Wh", "output", "derived", "constant"))
def pull_gru_through_time(
    slopes: Array, Wh: Array, gh: Array | None = None, ga: Array | None = None, packing: Any = None
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """As :func:`pull_through_time`, of a GRU: cotangents of the products h @ Wh of all steps, and of the first state.

    Args:
        slopes: (4, M, H), in a_r, a_z, a_n and h. Wh: (H, 3H). gh: (M, H), of the state after each row; zeros if left
            out. ga: (3, M, H), of h @ Wh. packing: of the M rows.

    Returns:
        ``(da, dh0, total)``: (M, 3H), (N, H), and all that came to the state after each row (M, H).
    """
    da, dh0, total = kernels.pull_gru(packing, Wh, slopes, gh, ga)
    return (da, dh0, total), (slopes, Wh, da, total, packing)


@pull_gru_through_time.vjp
def _(g: Any, needs: tuple[bool, ...], slopes: Array, Wh: Array, da: Array, total: Array, packing: Packing) -> Any:
    p = np.zeros_like(da) if g[0] is None else g[0]
    first = np.zeros((packing.N, len(Wh)), da.dtype) if g[1] is None else packing.sort(g[1], da.dtype)
    a, h = kernels.push_gru(packing, Wh, slopes, p, g[2], first)
    before = packing.states_before(first, h)
    return (
        np.concatenate([a * total, (before * total)[None]]) if needs[0] else None,
        product(before.T, da) if needs[1] else None,
        h if needs[2] else None,
        a if needs[3] else None,
    )


@pull_gru_through_time.batched_vjp
def _(g: Any, needs: tuple[bool, ...], slopes: Array, Wh: Array, da: Array, total: Array, packing: Packing) -> Any:
    R, H = next(len(d) for d in g if d is not None), len(Wh)
    copies = Copies(packing, R, H)
    p = np.zeros((len(da) * R, da.shape[1]), da.dtype) if g[0] is None else copies.join(g[0])
    firsts = each(lambda d: packing.sort(d, da.dtype), g[1])
    first = np.zeros((packing.N * R, H), da.dtype) if firsts is None else copies.join(firsts)
    arriving = None if g[2] is None else copies.join(g[2])
    joined, h = kernels.push_gru(copies.packing, Wh, np.repeat(slopes, R, axis=1), p, arriving, first)
    before = copies.part(copies.packing.states_before(first, h))
    a = np.stack([copies.part(gate) for gate in joined], axis=1)
    return (
        np.concatenate([a * total, (before * total)[:, None]], axis=1) if needs[0] else None,
        before.swapaxes(1, 2) @ da if needs[1] else None,
        copies.part(h) if needs[2] else None,
        a if needs[3] else None,
    )


@pull_gru_through_time.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    return output[0] * inputs[1][0] * inputs[1][1]  # type: ignore[no-any-return]


@pull_gru_through_time.reference
def _(slopes: Tensor, Wh: Tensor, gh: Any, ga: Any, packing: Any) -> tuple[Tensor, ...]:
    from .shaping import concatenate

    H, G = Wh.shape
    das, totals, first = [], [], []
    for group in packing.groups:
        dh = Tensor(np.zeros((0, H), slopes.dtype))
        parts: list[tuple[Tensor, Tensor]] = []
        for t in reversed(range(group.steps)):
            step = group.step(t)
            dh = _arrived(dh, gh, step, group.alive[t])
            gates = [slopes[k, step] * dh + (0 if ga is None else ga[k, step]) for k in range(3)]
            parts.insert(0, (concatenate(gates, axis=1), dh))
            dh = slopes[3, step] * dh + parts[0][0] @ Wh.T
        das += [da for da, _ in parts]
        totals += [total for _, total in parts]
        first.append(_arrived(dh, None, slice(0), group.first.stop - group.first.start))
    return (
        concatenate([np.zeros((0, G), slopes.dtype), *das]),
        concatenate(first)[np.argsort(packing.order)],
        concatenate([np.zeros((0, H), slopes.dtype), *totals]),
    )


# --- the slopes of an LSTM --------------------------------------------------------------------------


@primitive(residuals=("derived", "derived", "derived", "constant"))
def lstm_slopes(gates: Array, before: Array, c: Array, packing: Any) -> ForwardResult:
    """The slopes (M, 6H) of an LSTM's steps.

    Args:
        gates: (M, 4H), as the cell leaves them, in the order of steps. before, c: (M, H), the cell state before and
            after each row. packing: of the M rows.
    """
    return kernels.lstm_slopes(gates, before, c, packing), (gates, before, c, packing)


@lstm_slopes.vjp
def _(g: Array, needs: tuple[bool, ...], gates: Array, before: Array, c: Array, packing: Packing) -> Any:
    found = kernels.lstm_slopes_vjp(g, gates, before, c, packing)
    return tuple(d if need else None for d, need in zip(found, needs, strict=True))


@lstm_slopes.batched_vjp
def _(g: Array, needs: tuple[bool, ...], gates: Array, before: Array, c: Array, packing: Packing) -> Any:
    copies = Copies(packing, len(g), c.shape[1])
    kept = copies.repeat_steps(gates), copies.repeat(before), copies.repeat(c)
    d_gates, d_before, d_c = kernels.lstm_slopes_vjp(copies.join_steps(g), *kept, copies.packing)
    found = copies.part_steps(d_gates), copies.part(d_before), copies.part(d_c)
    return tuple(d if need else None for d, need in zip(found, needs, strict=True))


@lstm_slopes.reference
def _(gates: Tensor, before: Tensor, c: Tensor, packing: Any) -> Tensor:
    from .elementwise import tanh
    from .shaping import concatenate, stack

    H = c.shape[1]
    parts: list[Any] = [np.zeros((0, 6 * H), gates.dtype)]
    for group in packing.groups:
        for t in range(group.steps):
            step, n = group.step(t), group.alive[t]
            u_i, u_f, u_o, g = gates[step].reshape(4, n, H)
            i, f, o = 1 / (1 + u_i), 1 / (1 + u_f), 1 / (1 + u_o)
            y = tanh(c[step])
            k = [g * u_i * i * i, before[step] * u_f * f * f, y * u_o * o * o, i * (1 - g * g), f, o * (1 - y * y)]
            parts.append(stack(k).reshape(n, 6 * H))
    return concatenate(parts)


def gate_slopes(gates: Any, packing: Packing) -> Any:
    """The derivatives of an LSTM's gates, as its cell leaves them, in the pre-activations; of tensors (M, 4H).

    Of u = e^-a it is -u, of g = tanh(a) it is 1 - g^2.
    """
    is_g = np.zeros(gates.shape, bool)
    for step in kernels.steps_of(packing):
        kernels.of_step(is_g, step, gates.shape[1] // 4)[3] = True
    return np.where(is_g, 1 - gates * gates, -gates)
