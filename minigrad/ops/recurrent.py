"""Shared code of recurrent layers: checks, cotangents of all inputs, and second derivatives.

A layer is two primitives, one for a step and one for a whole sequence (:mod:`.recurrent_rnn`, :mod:`.recurrent_lstm`,
:mod:`.recurrent_gru`). :mod:`minigrad.ops.kernels.recurrent_steps` has the loops over steps, with the shapes of an
example. Half precision is computed in single; only the returned states and the gradients are rounded.

Second derivatives: small changes of the inputs change the states linearly, and the backward pass is linear in the
cotangents of the states. Both are loops over products with the partial derivatives of each step, its *slopes* k. A dot
marks a change; p. is the change of a step's input part x Wx + b, of a GRU's that of h Wh + b::

    forwards   RNN    a. = p. + h. Wh      h. = k a.
               LSTM   a. = p. + h. Wh      c. = f c. + k_i a._i + k_f a._f + k_g a._g      h. = m c. + k_o a._o
               GRU    a. = p. + h. Wh      h. = z h. + k_r a._r + k_z a._z + k_m a._n + k_n p._n
    backwards  RNN    da = k dh            dh = da Wh'
               LSTM   dc += m dh           da_i, da_f, da_g = k_i dc, k_f dc, k_g dc       da_o = k_o dh
                      dc = f dc            dh = da Wh'
               GRU    da_r, da_z, da_n = k_r dh, k_z dh, k_m dh                dh = z dh + da Wh'

The backward loop is a primitive, :func:`recurrent_pullback`. Each loop is the transpose of the other. So the VJP of the
backward loop is the forward loop, and another backward loop for the inputs that change the slopes
(:meth:`Cell.pull_slopes`).

Shapes: N batch, T steps, D input, H hidden, G columns of Wh; M packed rows (:mod:`minigrad.ops.kernels.packing`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from math import prod
from typing import Any, Protocol

import numpy as np

from ..core import Tensor
from ..observers import current
from ..primitives import PrimitiveFunction, Shape, Shapes, primitive
from ..spec import Array
from .kernels.blocked_products import product, products
from .kernels.numerics import sum_single, widened
from .kernels.packing import Group, Inputs, Packing, check_places, of_step, of_steps
from .kernels.recurrent_steps import Trace, add_lanes, groups_of, run, run_back

__all__ = [
    "Cell", "begin", "check_shapes", "declare_rules", "largest_exponent", "preactivations",
    "pull_step", "tanh_vjp", "wide_dtype", "with_last_gate",
]  # fmt: skip


def check_shapes(
    x: Array, h: Array, Wx: Array, Wh: Array, biases: dict[str, Array], gates: int, axes: str, c: Array | None = None
) -> Any:
    """Raise unless all shapes fit; return the dtype of the states."""
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
) -> tuple[Inputs, Any]:  # fmt: skip
    """Return the inputs of a layer's steps, packed, and the dtype of their states."""
    if indices is not None:
        indices = check_places(x, indices, len(h0))
    dtype = check_shapes(x, h0, Wx, Wh, biases, gates, "NTD" if indices is None else "UD", c0)
    N, T = x.shape[:2] if indices is None else indices.shape
    return Inputs(Packing(N, T, lengths, groups_of(N, T, Wh, wide_dtype(dtype))), indices), dtype


def wide_dtype(dtype: Any) -> Any:
    """Return the dtype in which to compute states of a dtype."""
    return np.result_type(dtype, np.float32)


def preactivations(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, dtype: Any) -> Array:
    """Return x Wx + h Wh + b for one step, wide enough for states of a dtype."""
    projected = widened(x).dot(widened(Wx)).astype(wide_dtype(dtype), copy=False)
    return projected + widened(h).dot(widened(Wh)) + b  # type: ignore[no-any-return]


def tanh_vjp(g: Array, y: Array, out: Array | None = None) -> Array:
    """Return the cotangent of a, given that of y = tanh(a): g (1 - y^2).

    >>> tanh_vjp(np.array([2.0]), np.array([0.5]))
    array([1.5])
    """
    out = np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)
    np.multiply(out, g, out=out)
    return out


@cache
def largest_exponent(dtype: Any) -> Array:
    """Return the largest integer whose exponential is finite, 88 in single and 709 in double."""
    return np.array(int(np.log(np.finfo(dtype).max)), dtype)


def pull_step(da: Any, dp: Any, needs: Any, x: Any, h: Any, Wx: Any, Wh: Any) -> tuple[Any, ...]:
    """Return the needed cotangents of x, h, Wx, Wh, b of a step, given those of h Wh and of x Wx + b, da and dp."""
    x, h, Wx, Wh = map(widened, (x, h, Wx, Wh))
    return (
        dp @ Wx.T if needs[0] else None,
        da @ Wh.T if needs[1] else None,
        x.T @ dp if needs[2] else None,
        h.T @ da if needs[3] else None,
        sum_single(dp, 0) if needs[4] else None,
    )


# --- a layer and its VJP --------------------------------------------------------------------------------


class Cell(Protocol):
    """The base class of cells: the equations in which recurrent layers differ.

    Attributes:
        gates: blocks of H columns of Wh.
        two_biases: whether h Wh has its own bias, as in a GRU, whose last gate needs x Wx + b and h Wh apart. So there
            are gates + 1 *lanes*: one for each gate, and one for x Wx + b of the last gate.
    """

    gates: int = 1
    two_biases: bool = False

    def pull(
        self, trace: Trace, Wh: Array, outside: Sequence[Any], inside: Array | None
    ) -> tuple[list[Array], Array, Array]:
        """Return the cotangents of initial states (N, H), h Wh (M, G) and x Wx + b (M, G), given those of the states.

        Args:
            outside: cotangents (M, H) of each state from outside; None for zeros. inside: those of the lanes,
                (M, lanes H) in the layout of :func:`.kernels.packing.of_step`, or None.
        """
        return pull_by_slopes(self, trace.packing, Wh, self.slopes(trace), outside, inside)

    def slopes(self, trace: Trace) -> Array:
        """Return the slopes of all rows, (M, S H) in the layout of :func:`.kernels.packing.of_step`."""

    def push_step(self, k: Array, a: Array, before: list[Array], after: list[Array]) -> None:
        """Write changes of the states ``after`` a step, given those ``before`` and of the lanes, a (lanes, n, H)."""

    def pull_step(self, k: Array, cotangents: list[Array], da: Array) -> Array | None:
        """A :data:`.kernels.recurrent_steps.StepVJP` with slopes k (S, n, H)."""

    def pull_slopes(
        self, kept: list[Any], states: list[Array], k: Array, a: Array, changes: list[Array], totals: list[Array],
        lanes: Array, after: Array, before: Array,
    ) -> None:  # fmt: skip
        """Compute derivatives of <cotangents of the states, changes of the states> by the arguments of the slopes.

        Args:
            kept: the data that the cell keeps, each (S, steps, n, H). states: the last state before the steps and after
                them.
            a: changes of the lanes. changes: of the last state before and after. totals: all cotangents of the states.
            lanes, after, before: outputs, the derivatives by the lanes (lanes, steps, n, H), by the last state after
                the steps, and by the last state before them. ``after`` and ``before`` are zero on entry.
        """


def _pull(cell: Cell, g: Any, needs: Any, x: Array, Wx: Array, Wh: Array, trace: Trace) -> tuple[Any, ...]:
    """The VJP of a layer: cotangents of x, h0, Wx, Wh, b, and c0 or the second bias.

    In a second derivative g has cotangents of the hidden outputs after those of the outputs: of the states after each
    row, and of the lanes.
    """
    gs, count = _several(g), len(trace.states)
    outside: Sequence[Any] = [None if d is None else trace.packing.pack(widened(d)) for d in gs[:count]]
    inside = None
    if len(gs) == count:
        trace, outside = trace.cut(Wh, outside)
    else:
        outside = [_added(d, rows) for d, rows in zip(outside, gs[count:], strict=False)]
        inside = gs[2 * count] if trace.kept else None
    first, da, dp = cell.pull(trace, Wh, outside, inside)
    del outside  # the memory peak is below
    return _pull_inputs(cell, needs, first, da, dp, x, Wx, trace)


def _added(a: Any, b: Any) -> Any:
    """Add two cotangents, of which each may be None for zeros."""
    return b if a is None else a if b is None else a + b


def _needed(found: Any, needs: Any) -> tuple[Any, ...]:
    return tuple(d if need else None for d, need in zip(found, needs, strict=True))


def _several(g: Any) -> tuple[Any, ...]:
    return g if isinstance(g, tuple) else (g,)


def _pull_inputs(
    cell: Cell, needs: Any, first: list[Array], da: Array, dp: Array, x: Array, Wx: Array, trace: Trace
) -> tuple[Any, ...]:
    """Return the needed cotangents of all inputs, with one GEMM each over all steps."""
    rows = widened(trace.inputs.rows(x))
    gathered = trace.inputs.gather(dp, len(rows))
    if needs[0] and trace.inputs.which is not None:
        for observer in current():
            observer.step_inputs(lambda: trace.packing.unpack(dp @ widened(Wx).T))
    dx, dWx, dWh = products(
        (gathered, widened(Wx).T) if needs[0] else None,
        (rows.T, gathered) if needs[2] else None,
        (trace.before().T, da) if needs[3] else None,
    )
    dx = None if dx is None else trace.inputs.unpack(dx)
    more = [sum_single(da, 0)] if cell.two_biases else []
    return dx, first[0], dWx, dWh, sum_single(gathered, 0) if needs[4] else None, *first[1:], *more


def _pull_many(cell: Cell, g: Any, needs: Any, x: Array, Wx: Array, Wh: Array, trace: Trace) -> tuple[Any, ...]:
    """Like :func:`_pull`, for R cotangents at once: the loop is linear, so they are one cotangent of R N sequences."""
    inputs, gs = trace.inputs, _several(g)
    R, N = next(len(d) for d in gs if d is not None), trace.packing.N
    if len(gs) > len(trace.states):  # with hidden outputs
        results = [
            _pull(cell, tuple(None if d is None else d[i] for d in gs), needs, x, Wx, Wh, trace) for i in range(R)
        ]
        return tuple(None if ds[0] is None else np.stack(ds) for ds in zip(*results, strict=True))

    def apart(d: Array) -> Array:
        return d.reshape(len(d) // R, R, d.shape[1]).swapaxes(0, 1)

    copies = trace.repeated(R)
    joined = [None if d is None else widened(d).swapaxes(0, 1).reshape(N * R, *d.shape[2:]) for d in gs]
    first, da, dp = cell.pull(copies, Wh, [None if d is None else copies.packing.pack(d) for d in joined], None)
    firsts, (da, dp) = list(map(apart, first)), map(apart, (da, dp))
    rows = widened(inputs.rows(x))
    gathered = np.stack([inputs.gather(d, len(rows)) for d in dp])
    return (
        np.stack([inputs.unpack(d) for d in gathered @ widened(Wx).T]) if needs[0] else None,
        firsts[0],
        rows.T @ gathered if needs[2] else None,
        trace.before().T @ da if needs[3] else None,
        sum_single(gathered, 1),
        *firsts[1:],
        *([sum_single(da, 1)] if cell.two_biases else []),
    )


def declare_rules(layer: PrimitiveFunction, cell: Cell) -> None:
    """The rules of a layer, and the cost of its step.

    Its residuals are the trace, all inputs, and its hidden outputs: the states after each row, and the data that the
    cell keeps for each lane, if any.
    """
    steps = layer.primitive.steps
    assert steps is not None
    step: Any = steps.step.reference

    @layer.vjp
    def _(g: Any, needs: Any, trace: Trace, x: Array, h0: Array, Wx: Array, Wh: Array, *rest: Any) -> Any:
        return _needed(_pull(cell, g, needs, x, Wx, Wh, trace), needs)

    @layer.batched_vjp
    def _(g: Any, needs: Any, trace: Trace, x: Array, h0: Array, Wx: Array, Wh: Array, *rest: Any) -> Any:
        return _needed(_pull_many(cell, g, needs, x, Wx, Wh, trace), needs)

    @layer.vjp_on_tensors
    def _(g: Any, needs: Any, trace: Trace, *tensors: Any) -> Any:
        inputs, hidden = tensors[: len(needs)], tensors[len(needs) :]
        gs = _several(g)[: len(trace.states)]  # the reference of the pullback does not use hidden outputs
        found = iter(recurrent_pullback(*inputs, *gs, *hidden, cell=cell, needed=needs, trace=trace, layer=layer))
        return tuple(next(found) if need else None for need in needs)

    @layer.reference
    def _(x: Tensor, *inputs: Any, lengths: Any = None, indices: Any = None) -> Any:
        from .elementwise import where
        from .indexing import embedding
        from .shaping import expand_dims, stack

        x = x if indices is None else embedding(np.asarray(indices), x)
        given = dict(zip(layer.primitive.arguments[1:], inputs, strict=False))
        states: Any = [given.pop(name, None) for name in steps.states]
        states = [Tensor(np.zeros_like(states[0].data)) if state is None else state for state in states]
        sequences = [expand_dims(state, 1)[:, :0] for state in states]  # of no steps
        after: list[Any] = []
        for t in range(x.shape[1]):
            states = _several(step(x[:, t], *states, *given.values()))
            after.append(states)
        if after:
            sequences = [stack(list(state), axis=1) for state in zip(*after, strict=True)]
        if lengths is not None:
            alive = np.asarray(lengths)[:, None] > np.arange(x.shape[1])
            sequences = [where(alive[:, :, None], sequence, 0.0) for sequence in sequences]
        return tuple(sequences) if len(sequences) > 1 else sequences[0]

    for function in (layer.primitive, steps.step):
        function.cost = partial(_cost, function.arguments.index("Wx"))


def _cost(place: int, inputs: Shapes, output: Shape, options: Any) -> int:
    """Each row of the input is multiplied by the input's weights, and each state (of each step) by the state's."""
    return int(prod(inputs[0][:-1]) * prod(inputs[place]) + prod(output[:-1]) * prod(inputs[place + 1]))


# --- second derivatives ---------------------------------------------------------------------------------


def pull_by_slopes(
    cell: Cell, packing: Packing, Wh: Array, slopes: Array, outside: Sequence[Any], inside: Array | None = None,
    totals: Sequence[Array] = (),
) -> tuple[list[Array], Array, Array]:  # fmt: skip
    """Run the backward loop: cotangents of the initial states (N, H), of h Wh and of x Wx + b (M, G).

    Args:
        outside, inside: see :meth:`Cell.pull`. totals: filled with all cotangents of each state, if given.
    """
    H = len(Wh)
    last = np.empty((len(packing.rows), H), slopes.dtype) if cell.two_biases else None

    def step_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> Array | None:
        step = group.step(t)
        k = of_step(slopes, step, H)
        for total, d in zip(totals, cotangents, strict=False):
            total[step] = d
        if last is not None:
            np.multiply(k[cell.gates], cotangents[0], out=last[step])
        direct = cell.pull_step(k, cotangents, da)
        if inside is not None:
            add_lanes(of_step(inside, step, H), da, last, step)
        return direct

    first, da = run_back(packing, Wh, outside, slopes.dtype, step_vjp)
    return first, da, da if last is None else with_last_gate(da, last)


def with_last_gate(da: Array, last: Array) -> Array:
    """Return those of x Wx + b (n, G), given those of h Wh, which differ in the last gate, and that gate's (n, H)."""
    return np.concatenate([da[:, : -last.shape[1]], last], axis=1)


@primitive(residuals=("derived",) * 8)
def recurrent_pullback(
    *inputs: Array, cell: Any, needed: Any, trace: Any, layer: Any
) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """Return the cotangents of the inputs of a recurrent layer, given those of its outputs.

    Args:
        inputs: those of the layer, x, h0, Wx, Wh, b, and c0 or the second bias; cotangents of the states (N, T, H); and
            the layer's hidden outputs, which get the cotangents of all arguments of the slopes.
        needed: for each input whether its cotangent is needed. trace: of the layer's run. layer: the primitive.

    Returns:
        the needed cotangents, in order.
    """
    x, _, Wx, Wh = inputs[:4]
    gs = inputs[len(needed) : len(needed) + len(trace.states)]
    outside = [None if g is None else trace.packing.pack(widened(g)) for g in gs]
    k = cell.slopes(trace)
    totals = [np.empty_like(state) for state in trace.states]
    first, da, dp = pull_by_slopes(cell, trace.packing, Wh, k, outside, totals=totals)
    found = _pull_inputs(cell, needed, first, da, dp, x, Wx, trace)
    wanted = tuple(d for d, need in zip(found, needed, strict=True) if need)
    return wanted, (inputs, cell, needed, trace, k, da, dp, totals)


@recurrent_pullback.vjp
def _(
    g: Any, needs: Any, inputs: Any, cell: Cell, needed: Any, trace: Trace, k: Array, da: Array, dp: Array,
    totals: list[Array],
) -> Any:  # fmt: skip
    (x, _, Wx, Wh), packing, taken = inputs[:4], trace.packing, trace.inputs
    x, Wx, Wh = map(widened, (x, Wx, Wh))
    arriving = iter(_several(g))
    ux, uh, uWx, uWh, ub, *more = (next(arriving) if need else None for need in needed)
    (M, G), (H, wide) = da.shape, (len(Wh), k.dtype)
    rows, before, u_rows = taken.rows(x), trace.before(), None if ux is None else taken.rows(ux)

    # forward: the effect of changes of the inputs on the states
    one, other, of_state = products(
        None if u_rows is None else (u_rows, Wx), None if uWx is None else (rows, uWx),
        None if uWh is None else (before, uWh),
    )  # fmt: skip
    p = np.zeros((len(rows), G), wide)
    for part in (one, other, ub):
        p += 0 if part is None else part
    p = np.array(taken.take(p, slice(None)))
    a, alone = np.empty((M, G + H * cell.two_biases), wide), None
    if cell.two_biases:
        alone, p[:, -H:] = p[:, -H:].copy(), 0
        p += 0 if more[0] is None else more[0]
    p += 0 if of_state is None else of_state
    starts = [uh] if cell.two_biases else [uh, *more]
    first = [
        np.zeros_like(d) if u is None else packing.sort(u, wide) for d, u in zip(trace.first, starts, strict=False)
    ]
    states = [np.empty((M, H), wide) for _ in first]

    def step(group: Group, t: int, through_h: Array, p: Array) -> None:
        through_h += p
        rows = group.step(t)
        lanes = of_step(a, rows, H)
        if alone is not None:
            lanes[-1] = alone[rows]
        sources = [group.before(t, f, s) for f, s in zip(first, states, strict=True)]
        cell.push_step(of_step(k, rows, H), lanes, sources, [s[rows] for s in states])

    run(Inputs(packing), p, Wh, first[0], states[0], step, a)
    befores = [packing.states_before(f, s) for f, s in zip(first, states, strict=True)]

    # the arguments of the slopes: the states after each row and before it, and the lanes
    inside, after, back = np.empty_like(a), *np.zeros((2, len(states), M, H), wide)
    pairs = [trace.before(-1), trace.states[-1]], [befores[-1], states[-1]]
    for part, n in packing.stretches(H):
        kept, (slopes, lanes, out) = ([of_steps(d, part, n, H) for d in ds] for ds in (trace.kept, (k, a, inside)))
        here, changes, arrived = ([d[part].reshape(lanes.shape[1:]) for d in ds] for ds in (*pairs, totals))
        targets = (d[-1][part].reshape(lanes.shape[1:]) for d in (after, back))
        cell.pull_slopes(kept, here, slopes, lanes, changes, arrived, out, *targets)
    if uWh is not None:
        back[0] += product(da, uWh.T)
    firsts = [packing.pull_before(d, into) for d, into in zip(back, after, strict=True)]
    gathered = taken.gather(dp, len(rows))
    dx, dWx, dWh = products(
        (gathered, uWx.T) if needs[0] and uWx is not None else None,
        (u_rows.T, gathered) if needs[2] and u_rows is not None else None,
        (befores[0].T, da) if needs[3] else None,
    )
    dx = None if dx is None else taken.unpack(dx)
    more = [*firsts[1:], *[None] * (len(needed) - 4 - len(firsts))]
    found = [
        dx,
        firsts[0],
        dWx,
        dWh,
        None,
        *more,
        *map(packing.unpack, states),
        *after,
        *([inside] if trace.kept else []),
    ]
    return tuple(
        np.zeros(given.shape, wide) if d is None and need else d
        for d, need, given in zip(found, needs, inputs, strict=True)
    )


@recurrent_pullback.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """Count the multiply-adds per row: the products with both weights, and those of the loop."""
    x, _, Wx, Wh = inputs[:4]
    needed, M = options["needed"], len(options["trace"].packing.rows)
    projected = M if len(x) == 3 else x[0]
    return int(M * prod(Wh) * (1 + needed[3]) + projected * prod(Wx) * (needed[0] + needed[2]))


@recurrent_pullback.reference
def _(*inputs: Any, cell: Cell, needed: Any, trace: Trace, layer: Any) -> tuple[Tensor, ...]:
    from ..higher_order import create_graph
    from ..transforms import vjp

    given, gs = list(inputs[: len(needed)]), inputs[len(needed) : len(needed) + len(trace.states)]
    places = [i for i, need in enumerate(needed) if need]
    options = {"lengths": trace.packing.lengths, "indices": trace.inputs.indices}

    def outputs(*wanted: Tensor) -> Any:
        for i, value in zip(places, wanted, strict=True):
            given[i] = value
        found = _several(layer.primitive.reference(*given, **options))
        return [y for y, g in zip(found, gs, strict=True) if g is not None]

    with create_graph():
        _, pullback = vjp(outputs, *(given[i] for i in places))
        return tuple(pullback([g for g in gs if g is not None]))
