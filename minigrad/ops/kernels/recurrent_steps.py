"""The steps of a recurrent layer, forward and backward: the code shared by RNN, LSTM and GRU.

A worked example: N = 2 sequences of up to T = 3 steps, with ``lengths`` [1, 3], in an LSTM, whose four gates make
matrices of 4H columns. Sequence 0 has one step, sequence 1 has three: four steps are computed, M = 4, and
:mod:`.packing` gives each a row. Its order is the longest sequence first, so step 0 has the rows 0 (of sequence 1) and
1 (of sequence 0), step 1 has row 2 and step 2 has row 3.

Forwards, where h holds the state after each row::

    x (2, 3, D)      inputs.rows      rows (4, D)                   the four existing inputs
    rows (4, D)      project          projected (4, 4H)             rows @ Wx, one GEMM for all steps; then + b
    h0 (2, H)        packing.sort     first (2, H)                  sequence 1, then sequence 0
    step 0           run              first      (2, H) @ Wh        a (4, 2, H), and from it h[0:2]
    step 1                            h[0:1]     (1, H) @ Wh        a (4, 1, H), and from it h[2:3]
    step 2                            h[2:3]     (1, H) @ Wh        a (4, 1, H), and from it h[3:4]
    h (4, H)         packing.unpack   (2, 3, H)                     zeros after the end of sequence 0

At each step the *cell* computes the new states from the product a = h @ Wh and the rows of ``projected``,
p = x @ Wx + b. The axis of gates comes first in both, (gates, n, H), so that each gate is a contiguous block.

Backwards, where dh (2, H) is the cotangent of the states that are carried from one step to the next, and g (4, H)
the one that arrives from outside at the state of each row::

    step 2           run_back         dh[0:1] += g[3:4]             from it da[3:4], and dh[0:1] = da[3:4] @ Wh.T
    step 1                            dh[0:1] += g[2:3]             from it da[2:3], and dh[0:1] = da[2:3] @ Wh.T
    step 0                            dh[0:2] += g[0:2]             from it da[0:2], and dh[0:2] = da[0:2] @ Wh.T
    dh (2, H)        packing.unsort   dh0 (2, H)                    sequence 0, then sequence 1
    da (4, 4H)       _pull_inputs     dWx, dWh, db, dx              one GEMM each, for all steps

A cell that uses h outside the product, as a GRU does in z h, has a direct path for cotangents too: its VJP returns
them, and they are added to da @ Wh.T.

The products of a step are thin and are computed in blocks (:mod:`.blocked_products`). Groups of sequences
(:class:`.packing.Group`) run their steps in parallel, each on a thread; if a step is compiled, threads may share its
columns instead.

:func:`run` and :func:`run_back` call a cell step by step. :func:`run_cell` and :func:`run_cell_back` take a cell that
only computes on its operands. If :func:`scans` allows it, they run all steps in one call of machine code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import compress, repeat
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ...compiler import worth_compiling
from ...compiler.scan import Layout, Rows, run_scan
from ...observers import current
from ...runtime import blas
from ...runtime.threads import get_num_threads, run_in_parallel
from ...spec import Array
from .blocked_products import block_rows, column_blocks, multiplier, packs, product, row_blocks
from .numerics import ENOUGH, rows_with_any, widened
from .packing import Group, Inputs, Packing, of_step

__all__ = [
    "Operand", "Step", "StepVJP", "Trace", "add_lanes", "by_gate", "groups_of", "project", "run", "run_back",
    "run_cell", "run_cell_back", "scans",
]  # fmt: skip

_WORTH_THREADS = 2**22  # multiplications in a step: below this, threads wait for each other
_WORTH_PIECES = 2**18  # the same for the threads that share each step of a scan
_NARROWEST = 16  # columns of a piece
_FEW_ROWS = 16  # rows for each thread: below this, threads share columns instead
_WORTH_CUTTING = 2**22  # multiplications in all steps: below this, copying the rows takes as long as it saves

Step: TypeAlias = Callable[[Group, int, Array, Array], None]
"""``cell(group, t, a, p)``: the forward of a cell at step t of a group, of which n sequences are alive.

a: the product h @ Wh (gates, n, H). The cell may write into it; its final content may be kept for the VJP.
p: the input's part x @ Wx + b (gates, n, H); the cell must not write into it.
It writes the new states into the rows ``group.step(t)`` of its own arrays (M, H).
"""

StepVJP: TypeAlias = Callable[[Group, int, list[Array], Array], "Array | None"]
"""``cell_vjp(group, t, cotangents, da)``: the VJP of a cell at step t of a group.

cotangents: those of the states after the step, each (n, H), that of h first. The VJP converts all but the first, in
    place, to those of the states before the step.
da: the VJP fills it with the cotangent of a = h @ Wh (gates, n, H).
Returns the cotangent of h before the step on its direct path, (n, H): all of it but da @ Wh.T, which is added
    afterwards. It may be ``cotangents[0]``, changed in place. None if h is used only in the product.
"""


def by_gate(rows: Array, H: int) -> Array:
    """Return rows (n, gates H) as (gates, n, H), a view.

    >>> by_gate(np.arange(8).reshape(2, 4), H=2).tolist()
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    return rows.reshape(len(rows), rows.shape[1] // H, H).swapaxes(0, 1)


def groups_of(N: int, T: int, Wh: Array, dtype: Any) -> int:
    """Return the best number of groups for N sequences of T steps: as few as suit the blocks of a product.

    If the work of a step is worth threads, each thread has the same number of groups, unless threads share the columns
    of a compiled scan, which is faster for few rows: each thread then reads only its part of W.
    """
    groups, threads = -(-N // block_rows(Wh.shape[1])), get_num_threads()
    if N * Wh.size >= _WORTH_THREADS and (N // threads >= _FEW_ROWS or not scans(N * T, Wh, dtype)):
        groups = -(-groups // threads) * threads
    return max(min(groups, N), 1)


def _pieces(packing: Packing, Wh: Array) -> int:
    """Return how many threads share each step of a scan: as many as divide its columns evenly."""
    H, threads = Wh.shape[0], get_num_threads()
    if packing.widest * Wh.size < _WORTH_PIECES or len(packing.groups) >= threads:
        return 1
    return next(n for n in range(max(min(threads, H // _NARROWEST), 1), 0, -1) if H % n == 0)


def project(rows: Array, Wx: Array, dtype: Any) -> Array:
    """Compute x @ Wx for all steps in one GEMM, without the bias: (rows, D) to (rows, gates H)."""
    return product(widened(rows), widened(Wx)).astype(dtype, copy=False)


class Trace(NamedTuple):
    """The data that a run of a layer keeps for its derivatives.

    Fields:
        inputs: how its steps are packed, and which rows they take as inputs.
        first: the initial states (N, H), in the order of packing; h first.
        states: the states after each row (M, H).
        kept: other data that the cell keeps for each step, (M, S H) in the layout of :func:`.packing.of_step`.
    """

    inputs: Inputs
    first: Sequence[Array]
    states: Sequence[Array]
    kept: Sequence[Array] = ()

    @property
    def packing(self) -> Packing:
        return self.inputs.packing

    def before(self, state: int = 0) -> Array:
        """Return a state before each row (M, H)."""
        return self.packing.states_before(self.first[state], self.states[state])

    def _moved(self, packing: Packing, places: Array, first: Sequence[Array]) -> Trace:
        """Return the trace of a new packing, of which each row was the old row in ``places``."""
        states, H = [state[places] for state in self.states], first[0].shape[1]
        kept = [self.packing.moved(x, packing, places, H) for x in self.kept]
        return Trace(Inputs(packing, self.inputs.indices), first, states, kept)

    def repeated(self, R: int) -> Trace:
        """Return R copies of every sequence, see :meth:`.packing.Packing.repeated`; without inputs."""
        first = [np.repeat(state, R, axis=0) for state in self.first]
        places = np.repeat(np.arange(len(self.packing.rows)), R)
        return self._replace(inputs=Inputs(self.packing))._moved(self.packing.repeated(R), places, first)

    def cut(self, Wh: Array, cotangents: Sequence[Array | None]) -> tuple[Trace, Sequence[Array | None]]:
        """Drop from the trace and cotangents (M, H) the steps of each sequence after the last nonzero cotangent.

        Nothing is dropped if it would not save time, or while an observer needs each step.
        """
        packing = self.packing
        if len(packing.rows) * prod(Wh.shape) < _WORTH_CUTTING or any(observer.stepwise for observer in current()):
            return self, cotangents
        reached = np.zeros(len(packing.rows), bool)
        for g in cotangents:
            if g is not None and not reached.all():
                reached |= rows_with_any(g)
        lengths = np.zeros(packing.N, np.intp)
        lengths[packing.rows[reached]] = packing.times[reached] + 1  # the last row of a sequence wins
        if lengths.sum() > (1 - ENOUGH) * len(reached):
            return self, cotangents
        shorter, places = packing.shortened(lengths)
        first = [shorter.sort(packing.unsort(state), state.dtype) for state in self.first]
        return self._moved(shorter, places, first), [None if g is None else g[places] for g in cotangents]


def run(
    inputs: Inputs, projected: Array, Wh: Array, h0: Array, h: Array, cell: Step, kept: Array | None = None
) -> None:
    """Run all steps of all groups, from the initial states h0 (N, H); write the states after each row into h (M, H).

    Args:
        projected: the input's part of all rows (P, gates H).
        kept: (M, S H), S >= gates, filled with the content of a after the cell at each step: a is the first of
            :func:`.packing.of_step`. If omitted, all steps of a group use the same memory.
    """
    (H, G), packing = Wh.shape, inputs.packing
    multiply = multiplier(Wh.astype(h.dtype, copy=False), packing.widest, G // H)
    gates = by_gate(projected, H) if inputs.which is None else None

    def steps(group: Group) -> None:
        memory = np.empty((packing.widest, G), h.dtype) if kept is None else kept
        for t in range(group.steps):
            rows = group.step(t)
            a = of_step(memory, slice(group.alive[t]) if kept is None else rows, H)[: G // H]
            multiply(group.before(t, h0, h), a)
            cell(group, t, a, by_gate(inputs.take(projected, rows), H) if gates is None else gates[:, rows])

    run_in_parallel([partial(steps, group) for group in packing.groups])


def run_back(
    packing: Packing, Wh: Array, outside: Sequence[Array | None], dtype: Any, cell_vjp: StepVJP
) -> tuple[list[Array], Array]:
    """Run all steps of all groups back, from the last to the first.

    Args:
        outside: the cotangents (M, H) from outside of each state after each row, that of h first; None for an unused
            state.

    Returns:
        the cotangents of the initial states, each (N, H), and da, those of the product h @ Wh of each row (M, gates H).
    """
    H, G = Wh.shape
    states = [np.zeros((packing.N, H), dtype) for _ in outside]
    da = np.empty((len(packing.rows), G), dtype)
    multiply = multiplier(Wh.astype(dtype, copy=False), packing.widest, transposed=True)
    gates = by_gate(da, H)

    def arrive(group: Group, t: int) -> list[Array]:
        """Return the cotangents of the states after step t: from the steps after it, and from outside."""
        live = [state[group.first][: group.alive[t]] for state in states]
        for state, g in zip(live, outside, strict=True):
            if g is not None:
                state += g[group.step(t)]
        return live

    def leave(group: Group, t: int, live: list[Array]) -> None:
        """Convert them to the cotangents of the states before step t."""
        rows = group.step(t)
        target = gates[:, rows]
        cotangent = target if target.flags.c_contiguous else np.empty(target.shape, dtype)
        direct = cell_vjp(group, t, live, cotangent)
        if cotangent is not target:
            target[...] = cotangent
        if direct is None:
            multiply(da[rows], live[0][None])
        else:
            through_product = np.empty_like(live[0])
            multiply(da[rows], through_product[None])
            np.add(direct, through_product, out=live[0])

    def steps(group: Group) -> None:
        for t in reversed(range(group.steps)):
            leave(group, t, arrive(group, t))

    observers = [observer for observer in current() if observer.stepwise]
    if not observers:
        run_in_parallel([partial(steps, group) for group in packing.groups])
    else:  # all groups step by step, so that the cotangents of a whole step exist at the same time
        for t in reversed(range(packing.steps)):
            live = [(group, arrive(group, t)) for group in packing.groups]  # finished groups have no rows
            for observer in observers:
                observer.step(t, *states)
            for group, cotangents in live:
                leave(group, t, cotangents)
    return [packing.unsort(state) for state in states], da


# --- cells that can be compiled ---------------------------------------------------------------------------

Operand: TypeAlias = "Array | tuple[Array, Array]"
"""What a cell reads or writes at each step, besides the product.

- An array (M, S H): the cell gets the step's rows as :func:`.packing.of_step` returns them, or (n, H) if S is 1.
- A pair of initial states (N, H) and the states after each row (M, H): the cell gets the states before the step.
- A row (H,): the cell gets the row itself.
"""


def scans(rows: int, Wh: Array, dtype: Any) -> bool:
    """Return whether to compile a cell: machine code is faster for this many rows, and OpenBLAS multiplies."""
    return worth_compiling(rows * Wh.shape[1]) and blas.gemm(np.dtype(dtype)) is not None and not packs(Wh, dtype)


def run_cell(
    inputs: Inputs, projected: Array, b: Array, Wh: Array, first: Array, h: Array, cell: Callable[..., None],
    operands: Sequence[Operand], kept: Array | None = None,
) -> None:  # fmt: skip
    """Like :func:`run`, for ``cell(a, p, *operands)`` and a bias b (gates H,) that ``projected`` does not contain yet.

    May overwrite ``projected``.
    """
    H, G = Wh.shape
    if scans(len(inputs.packing.rows), Wh, h.dtype):
        lanes, a = G // H, np.empty((inputs.packing.N, G), h.dtype)
        given: list[tuple[Rows, Any]] = [
            (Rows("own", lanes), a), (Rows("input", lanes), projected), (Rows("all", lanes), b.astype(h.dtype)),
            (Rows("before"), (first, h)), *([] if kept is None else [(Rows("step", lanes), kept)]),
        ]  # fmt: skip
        pieces, widest = _pieces(inputs.packing, Wh), inputs.packing.widest
        blocks = column_blocks(Wh.astype(h.dtype, copy=False), widest, pieces * lanes if pieces > 1 else 1)
        _scan(_forward(cell, kept is not None), given, operands, blocks, inputs, pieces, H)
        return
    projected += b
    views = _views(operands, inputs.packing, H)

    def step(group: Group, t: int, a: Array, p: Array) -> None:
        cell(a, p, *views[group][t])

    run(inputs, projected, Wh, first, h, step, kept)


def run_cell_back(
    packing: Packing, Wh: Array, outside: Sequence[Array | None], dtype: Any, cell_vjp: Callable[..., Array | None],
    operands: Sequence[Operand], inside: Array | None = None, last: Array | None = None,
) -> tuple[list[Array], Array]:  # fmt: skip
    """Like :func:`run_back`, for ``cell_vjp(cotangents, da, *operands)``.

    Args:
        inside, last: see :func:`add_lanes`.
    """
    H, G = Wh.shape
    if inside is None and scans(len(packing.rows), Wh, dtype) and not any(observer.stepwise for observer in current()):
        states = [np.zeros((packing.N, H), dtype) for _ in outside]
        da = np.empty((len(packing.rows), G), dtype)
        given: list[tuple[Rows, Any]] = [*((Rows("own"), state) for state in states), (Rows("row", G // H), da)]
        given += [(Rows("step"), g.astype(dtype, order="C", copy=False)) for g in outside if g is not None]
        pieces = _pieces(packing, Wh)
        blocks = row_blocks(Wh.astype(dtype, copy=False), packing.widest, pieces)[0].swapaxes(1, 2)
        function = _backward(cell_vjp, tuple(g is not None for g in outside))
        blocks = blocks.reshape(pieces, -1, *blocks.shape[1:])
        _scan(function, given, operands, blocks, Inputs(packing), pieces, H, back=True)
        return [packing.unsort(state) for state in states], da
    views = _views(operands, packing, H)

    def step_vjp(group: Group, t: int, cotangents: list[Array], da: Array) -> Array | None:
        direct = cell_vjp(cotangents, da, *views[group][t])
        if inside is not None:
            add_lanes(of_step(inside, group.step(t), H), da, last, group.step(t))
        return direct

    return run_back(packing, Wh, outside, dtype, step_vjp)


def add_lanes(inside: Array, da: Array, last: Array | None, step: slice) -> None:
    """Add cotangents of lanes (lanes, n, H) to those of h Wh (gates, n, H), and those of a last lane to rows (M, H)."""
    da += inside[: len(da)]
    if last is not None:
        last[step] += inside[-1]


def _views(operands: Sequence[Operand], packing: Packing, H: int) -> dict[Group, list[tuple[Array, ...]]]:
    """Return the operands of each step of each group."""

    def of_group(x: Operand, group: Group) -> Iterable[Array]:
        steps = range(packing.T)
        if isinstance(x, tuple):
            return map(group.before, steps, *map(repeat, x))
        rows = map(group.step, steps)
        if x.ndim == 1:
            return repeat(x)
        return map(x.__getitem__, rows) if x.shape[1] == H else map(of_step, repeat(x), rows, repeat(H))

    return {group: list(zip(*(of_group(x, group) for x in operands), strict=False)) for group in packing.groups}


@cache
def _forward(cell: Callable[..., None], keeps: bool) -> Callable[..., None]:
    """Return the cell as a function of all operands of a scan."""

    def step(a: Any, p: Any, b: Any, before: Any, *operands: Any) -> None:
        cell(a, p + b, *operands[keeps:])
        if keeps:
            operands[0][...] = a

    return step


@cache
def _backward(cell_vjp: Callable[..., Any], arrives: tuple[bool, ...]) -> Callable[..., Any]:
    """Return the VJP of a cell as a function of all operands of a scan.

    Args:
        arrives: for each state, whether it has a cotangent from outside.
    """

    def step(*given: Any) -> Any:
        states, (da, *rest) = given[: len(arrives)], given[len(arrives) :]
        for state in compress(states, arrives):
            state += rest.pop(0)
        return cell_vjp(list(states), da, *rest)

    return step


def _scan(
    function: Callable[..., Any], given: Sequence[tuple[Rows, Any]], operands: Sequence[Operand], blocks: Array,
    inputs: Inputs, pieces: int, H: int, back: bool = False,
) -> None:  # fmt: skip
    """Run a scan over given operands, with their places, and over a cell's own operands."""
    packing = inputs.packing
    index = np.asarray(np.arange(len(packing.rows)) if inputs.which is None else inputs.which, np.int64)
    places, arrays = [rows for rows, _ in given], [x for _, x in given]
    for x in operands:
        lanes = 0 if isinstance(x, tuple) or x.shape[-1] == H else x.shape[1] // H
        places.append(Rows("before" if isinstance(x, tuple) else "step" if x.ndim > 1 else "all", lanes))
    groups = [(group.first.start, group.bounds) for group in packing.groups]
    run_scan(Layout(function, blocks.dtype, tuple(places), back), [*arrays, *operands], blocks, groups, index, pieces)
