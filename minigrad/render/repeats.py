"""Repeats in a picture: runs of vertices that a loop wrote, `count` blocks of `period` vertices each.

Three steps of h = tanh(h @ W) leave eight vertices:

    number  label   kind  sources of its edges  moves: how far each source is from that in the block before
    0       h       -1
    1       W       -2
    2       matmul   0    0 1
    3       tanh     1    2
    4       matmul   0    3 1                   +3 0
    5       tanh     1    4                     +2
    6       matmul   0    5 1                   +2 0
    7       tanh     1    6                     +2

They are found in two stages.

By looks: vertices of one kind have the same label, shapes, names of arguments, options but for an index, and (but for
numbers in their names) scopes. Each leaf and each elision has a kind of its own. The kinds 0 1 0 1 0 1 from vertex 2
on equal those two places before: a candidate of period 2.

By edges: from each block to the next, every source moves by one fixed distance: 0 for a weight that all share, the
period for the state of the step before, another for what an earlier loop made. Two things may differ. The first block
may take its states from anywhere, or have them as constants: here h is vertex 0, so the first move is +3. And an input,
a leaf without a name, need only be another one in each block.

>>> import minigrad as mg
>>> from minigrad.render.nodes import picture_of
>>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
>>> for _ in range(3):
...     h = mg.tanh(h @ W)
>>> find_repeats(picture_of([h], {}))
[Repeat(start=2, period=2, count=3)]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .labels import alike, option_text
from .picture import Edge, Path, Picture, Vertex, shared_path

__all__ = ["Repeat", "find_repeats"]

LONGEST = 128  # the longest period that is searched for
_TRIES = 16  # where looks alone suggest a repeat, so many starts are tried besides those of two blocks
_MANY = 8  # of more arguments than this only the number is compared, not the names
_Move = tuple[int, int, int] | None
# From an edge to that of the next block: how far its source moves, and its output before and after; None if the next
# block takes a constant.


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
        """The vertices that stand where `number` does, one in each block.

        >>> list(Repeat(start=2, period=2, count=3).like(5))
        [3, 5, 7]
        """
        return range(self.start + (number - self.start) % self.period, self.stop, self.period)


def find_repeats(picture: Picture, least: int = 3, apart: bool = False) -> list[Repeat]:
    """The repeats of at least `least` blocks, in order, none overlapping another.

    apart: whether the steps of two sequence primitives are never in one repeat.
    """
    vertices = picture.vertices
    found: list[Repeat] = []
    end = 0
    for start, length, period in _candidates(_kinds(vertices, apart), least):
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


# By looks ---------------------------------------------------------------------------------------


def _kinds(vertices: Sequence[Vertex], apart: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each vertex, the same for those that look the same; leaves and elisions are all different."""
    numbers: dict[Any, int] = {}
    plain: dict[Path, Path] = {}
    result = []
    for i, v in enumerate(vertices):
        if v.kind != "operation":
            result.append(-1 - i)
            continue
        if v.scope not in plain:
            plain[v.scope] = tuple(map(alike, v.scope))
        # hashing a dtype is slow, its number is not
        specs = tuple([(shape, dtype.num, dtype.byteorder) for shape, dtype in v.specs])
        # in the first block what later ones take from the one before may be a constant, so both count
        names: Any = [*[edge.argument for edge in v.inputs], *v.constants]
        names = tuple(sorted(names)) if len(names) <= _MANY else len(names)
        options = option_text({k: o for k, o in v.options.items() if k != "index"}) if v.options else ""
        sequence = v.step is not None and (v.node if apart else True)
        key = v.label, specs, plain[v.scope], v.remark, names, options, sequence
        result.append(numbers.setdefault(key, len(numbers)))
    return np.array(result, np.int64)


def _candidates(kinds: np.ndarray[Any, Any], least: int) -> list[tuple[int, int, int]]:
    """Runs (start, length, period) in which each kind equals the one a period before.

    >>> _candidates(np.array([-1, -2, 0, 1, 0, 1, 0, 1]), least=3)
    [(2, 6, 2)]
    """
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


# By edges ---------------------------------------------------------------------------------------


def _regular(vertices: Sequence[Vertex], start: int, period: int, count: int) -> int:
    """How many of `count` blocks from `start` on have sources that move by one fixed distance each."""
    before: list[Any] = []  # the moves into the block before, for each of its vertices
    for k in range(1, count):
        block = range(start + k * period, start + (k + 1) * period)
        states = range(block.start - period, block.start) if k == 2 else range(0)
        moves: list[Any] = [_moves(vertices[i - period], vertices[i], first=k == 1) for i in block]
        if None in moves:
            return k
        for i, now, then in zip(block, moves, before or moves, strict=True):
            if now != then and not all(
                _goes_on(vertices, edge, move, earlier, states)
                for edge, move, earlier in zip(vertices[i].inputs, now, then, strict=True)
            ):
                return k
        before = moves
    return count


def _moves(before: Vertex, vertex: Vertex, first: bool) -> list[_Move] | None:
    """How the edges to a vertex moved from those in the block before, which may be the first; None if they differ.

    A constant of the first block may be the state of the others.
    """
    a, b = before.inputs, vertex.inputs
    if len(a) == len(b) and before.constants == vertex.constants:
        return [(y[0] - x[0], x[1], y[1]) for x, y in zip(a, b, strict=True)]
    if first and set(before.constants) > set(vertex.constants):
        known = {x.argument: x for x in a}
        return [(y.source - x.source, x.slot, y.slot) if (x := known.get(y.argument)) else None for y in b]
    return None


def _goes_on(vertices: Sequence[Vertex], edge: Edge, move: _Move, before: _Move, states: range) -> bool:
    """Whether an edge goes on as in the blocks before, by its move and the one into the block before.

    It does if it moves by the same distance, as that from the weight 1 does by 0. Or if the third block takes from the
    second (`states`, else empty) what the second took from the first, wherever the first took it: vertex 6 takes 5, one
    period after the 3 that vertex 4 takes, while from vertex 2 to 4 the move was +3. Or if each block takes another
    input: with tanh(h @ W + x_t) and the x_t at 2, 4 and 3 the moves would be +2 and -1. A move of 0 is not to another
    input: a head that takes the last state and a weight of its own is no further step.
    """
    if move == before or move is None:
        return move == before
    distance, slot_before, slot = move
    if edge.source in states and distance == len(states) and slot_before == slot:
        return True
    if before is None or distance == 0 or before[0] == 0:
        return False
    sources = [edge.source, edge.source - distance, edge.source - distance - before[0]]
    return all(vertices[source].kind == "input" for source in sources)
