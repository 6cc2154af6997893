"""Repeats in a picture: runs of vertices that a loop wrote. What counts as one is said in :mod:`.fold`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..picture import Edge, Picture, Vertex, shared_path
from ..words import alike, option_text

__all__ = ["Repeat", "repeats"]

LONGEST = 128
"""The longest period that is looked for."""
_TRIES = 16
"""From so many vertices, and those of two blocks, a repeat is tried where looks alone would make one."""
_Move = tuple[int, int, int] | None
"""From an edge to that of the next block: how far its source moves, and its output before and after; None if what the
next block takes was a constant."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """`count` blocks of `period` vertices each, from the vertex `start` on."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        """The first vertex after it."""
        return self.start + self.period * self.count

    def like(self, number: int) -> range:
        """The vertices that stand where `number` does, one in each block."""
        return range(self.start + (number - self.start) % self.period, self.stop, self.period)


def repeats(picture: Picture, least: int = 3) -> list[Repeat]:
    """The repeats of at least `least` blocks, in order, none overlapping another."""
    vertices = picture.vertices
    found: list[Repeat] = []
    end = 0
    for start, length, period in _candidates(_kinds(vertices), least):
        start, length = max(start, end), length - max(0, end - start)
        shift = _to_boundary(vertices, start, period)
        start, length, tries = start + shift, length - shift, 0
        while length >= least * period and tries <= 2 * period + _TRIES:  # what is before a loop may look like it
            count = _regular(vertices, start, period, length // period)
            if count >= least:
                found.append(Repeat(start, period, count))
                end = start + count * period
                start, length, tries = end, length - count * period, 0
            else:
                start, length, tries = start + 1, length - 1, tries + 1
    return found


def _kinds(vertices: Sequence[Vertex]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each vertex, the same for those that look the same; leaves and elisions are all different."""
    numbers: dict[Any, int] = {}
    plain: dict[tuple[str, ...], tuple[str, ...]] = {}
    result = []
    for i, v in enumerate(vertices):
        if v.kind != "operation":
            result.append(-1 - i)
            continue
        scope = plain.get(v.scope)
        if scope is None:
            scope = plain[v.scope] = tuple(map(alike, v.scope))
        # hashing a dtype is slow, its number is not
        specs = tuple([(shape, dtype.num, dtype.byteorder) for shape, dtype in v.specs])
        key: Any = (v.label, specs, scope, v.remark)
        if v.step is None:
            names: Any = [edge.argument for edge in v.inputs]
            # Sorted: in the first block what later ones take from the one before may be constant.
            names = sorted([*names, *v.constants])
            names = tuple(names) if len(names) < 9 else len(names)
            options = option_text({k: o for k, o in v.options.items() if k != "index"}) if v.options else ""
            key = (*key, names, options)
        result.append(numbers.setdefault(key, len(numbers)))
    return np.array(result, np.int64)


def _candidates(kinds: np.ndarray[Any, Any], least: int) -> list[tuple[int, int, int]]:
    """Runs (start, length, period) in which each kind equals the one a period before."""
    runs = []
    for period in range(1, min(LONGEST, len(kinds) // least) + 1):
        same = np.concatenate([[False], kinds[period:] == kinds[:-period], [False]])
        change = np.flatnonzero(same[1:] != same[:-1])
        starts, lengths = change[::2], change[1::2] - change[::2]
        for k in np.flatnonzero(lengths >= (least - 1) * period):
            runs.append((int(starts[k]), int(lengths[k]) + period, period))
    # From one start the longest first; a run of period p is one of 2 p too, then the shortest period.
    return sorted(runs, key=lambda run: (run[0], -run[1], run[2]))


def _to_boundary(vertices: Sequence[Vertex], start: int, period: int) -> int:
    """How far it is from `start` to where a block begins: where the outermost scope is entered."""
    if period == 1 or start + period > len(vertices):
        return 0

    def depth(i: int) -> int:
        return len(shared_path(vertices[i - 1].scope, vertices[i].scope)) if not vertices[i - 1].is_leaf else 0

    return min(range(period), key=lambda offset: depth(start + offset))


def _regular(vertices: Sequence[Vertex], start: int, period: int, count: int) -> int:
    """How many of `count` blocks from `start` on have sources that move by one fixed distance each.

    The first block may take a state from anywhere, or as a constant: later ones take it from the block before.
    """
    first: list[list[_Move]] = []
    moves: list[list[_Move]] = []
    for k in range(1, count):
        for offset in range(period):
            i = start + k * period + offset
            before, vertex = vertices[i - period], vertices[i]
            a, b = before.inputs, vertex.inputs
            if vertex.step is not None and vertex.node is before.node:
                a = b  # steps of one sequence, which may start from constants
            same = len(a) == len(b) and before.constants == vertex.constants
            if same or a is b:
                here: list[_Move] = [(y[0] - x[0], x[1], y[1]) for x, y in zip(a, b, strict=True)]
            elif k == 1 and set(before.constants) > set(vertex.constants):
                known = {x.argument: x for x in a}
                here = [(y.source - x.source, x.slot, y.slot) if (x := known.get(y.argument)) else None for y in b]
            else:
                return k
            if k == 1:
                first.append(here)
            elif k == 2:
                moves.append(here)
                states = range(start + period, start + 2 * period)
                if here != first[offset] and not _but_for(vertices, b, here, first[offset], states):
                    return k
            elif here != moves[offset] and not _but_for(vertices, b, here, moves[offset], range(0)):
                return k
    return count


def _but_for(
    vertices: Sequence[Vertex], edges: Sequence[Edge], here: list[_Move], moves: list[_Move], states: range
) -> bool:
    """Whether the moves are the same but for those of states that come from the block before, and of inputs.

    An input is another one in each block, or the same in all: a head that takes the last state and a weight of its own
    is no further step.
    """
    return all(
        x == y
        or (x is not None and edge.source in states and x[0] == len(states) and x[1] == x[2])
        or (x and y and x[0] != 0 != y[0] and _inputs(vertices, edge.source, x[0], y[0] if states else 0))
        for edge, x, y in zip(edges, here, moves, strict=True)
    )


def _inputs(vertices: Sequence[Vertex], source: int, *moves: int) -> bool:
    """Whether a source is an input, and so were those of the blocks before, from which it moved so far."""
    sources = itertools.accumulate(moves, int.__sub__, initial=source)
    return all(vertices[i].kind == "input" for i in sources)
