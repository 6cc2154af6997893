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

The steps of a long sequence primitive need not be found: :mod:`.unroll` wrote three, and marked the one between.

>>> import minigrad as mg
>>> from minigrad.render.reading.nodes import picture_of
>>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
>>> for _ in range(3):
...     h = mg.tanh(h @ W)
>>> find_repeats(picture_of([h], {}))
[Repeat(start=2, period=2, count=3, more=0)]
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..notation import alike, option_text
from ..picture import Edge, Path, Picture, Vertex, shared_path

__all__ = ["Repeat", "find_repeats", "sequences", "steps_between"]

LONGEST = 128
"""The longest period that is looked for."""
_TRIES = 16
"""From so many vertices, and those of two blocks, a repeat is tried where looks alone would make one."""
_MANY = 8
"""So many arguments are told apart by their names; of more only their number counts."""
_Move = tuple[int, int, int] | None
"""From an edge to that of the next block: how far its source moves, and its output before and after; None if what the
next block takes was a constant."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """`count` blocks of `period` vertices each, from the vertex `start` on.

    more: for how many blocks besides itself the second one stands, of a sequence primitive that was unrolled to three.
    """

    start: int
    period: int
    count: int
    more: int = 0

    @property
    def times(self) -> int:
        """How often the loop ran."""
        return self.count + self.more

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


def find_repeats(picture: Picture, least: int = 3) -> list[Repeat]:
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


def sequences(picture: Picture) -> list[Repeat]:
    """Of each long sequence primitive that was unrolled the first step, that for all between, and the last.

    Not of one whose first step consists of other operations, since it starts from constants.
    """
    middles = steps_between(picture)
    vertices = picture.vertices
    found = [Repeat(m.start - len(m), len(m), 3, vertices[m.start].stands_for - 1) for m in middles]
    return [repeat for repeat in found if _is_even(vertices, repeat)]


def _is_even(vertices: Sequence[Vertex], repeat: Repeat) -> bool:
    """Whether the first block has the operations of the second, in scopes of their own, and the edges move as one."""
    block = range(repeat.start, repeat.start + repeat.period)
    pairs = [(vertices[i], vertices[i + repeat.period]) for i in block]
    alike = all(a.label == b.label and len(a.scope) == len(b.scope) for a, b in pairs)
    return alike and _regular(vertices, repeat.start, repeat.period, repeat.count) == repeat.count


def steps_between(picture: Picture) -> list[range]:
    """The vertices of each step that stands for several: one, or those that its reference consists of."""
    marked = [i for i, vertex in enumerate(picture.vertices) if vertex.kind == "operation" and vertex.stands_for]
    runs = [[i for _, i in run] for _, run in itertools.groupby(enumerate(marked), lambda pair: pair[1] - pair[0])]
    return [range(run[0], run[-1] + 1) for run in runs]


# By looks ---------------------------------------------------------------------------------------


def _kinds(vertices: Sequence[Vertex]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each vertex, the same for those that look the same; leaves and elisions are all different."""
    numbers: dict[Any, int] = {}
    plain: dict[Path, Path] = {}
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
        # in the first block what later ones take from the one before may be a constant, so both count
        names: Any = [*[edge.argument for edge in v.inputs], *v.constants]
        names = tuple(sorted(names)) if len(names) <= _MANY else len(names)
        options = option_text({k: o for k, o in v.options.items() if k != "index"}) if v.options else ""
        key = v.label, specs, scope, v.remark, names, options, v.step is None
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
    first: list[list[_Move]] = []  # from the first block to the second, for each vertex of a block
    fixed: list[list[_Move]] = []  # from the second to the third
    states = range(start + period, start + 2 * period)  # what the third block takes from here is a state
    for k in range(1, count):
        for offset in range(period):
            i = start + k * period + offset
            moves = _moves(vertices[i - period], vertices[i], first=k == 1)
            if moves is None:
                return k
            if k == 1:
                first.append(moves)
            elif k == 2:
                fixed.append(moves)
                if moves != first[offset] and not _go_on(vertices, i, moves, first[offset], states):
                    return k
            elif moves != fixed[offset] and not _go_on(vertices, i, moves, fixed[offset], range(0)):
                return k
    return count


def _moves(before: Vertex, vertex: Vertex, first: bool) -> list[_Move] | None:
    """How the edges to a vertex moved from those to its like in the block before, which may be the first.

    None if one has other arguments than the other. A constant of the first block may be the state of the others.
    """
    a, b = before.inputs, vertex.inputs
    if len(a) == len(b) and before.constants == vertex.constants:
        return [(y[0] - x[0], x[1], y[1]) for x, y in zip(a, b, strict=True)]
    if first and set(before.constants) > set(vertex.constants):
        known = {x.argument: x for x in a}
        return [(y.source - x.source, x.slot, y.slot) if (x := known.get(y.argument)) else None for y in b]
    return None


def _go_on(vertices: Sequence[Vertex], number: int, moves: list[_Move], earlier: list[_Move], states: range) -> bool:
    """Whether the edges to a vertex, by their moves and the earlier ones, go on as in the blocks before.

    states: the second block while the third is looked at, else nothing.
    """
    return all(
        _is_same_move(move, before)
        or _is_state(edge, move, states)
        or _is_input_of_its_own(vertices, edge, move, before, states)
        for edge, move, before in zip(vertices[number].inputs, moves, earlier, strict=True)
    )


def _is_same_move(move: _Move, before: _Move) -> bool:
    """Whether an edge moved as it did before: that of vertex 6 from the weight 1 by 0, as that of vertex 4 had."""
    return move == before


def _is_state(edge: Edge, move: _Move, states: range) -> bool:
    """Whether the third block takes from the second what the second took from the first, wherever the first took it.

    Vertex 6 takes 5, one period (2) after the 3 that vertex 4 takes, while from vertex 2 to 4 the move was +3.
    """
    if move is None or edge.source not in states:
        return False
    distance, slot_before, slot = move
    return distance == len(states) and slot_before == slot


def _is_input_of_its_own(vertices: Sequence[Vertex], edge: Edge, move: _Move, before: _Move, states: range) -> bool:
    """Whether each block takes another input here, by whatever distances they are apart.

    With tanh(h @ W + x_t) and the x_t at 2, 4 and 3 the moves would be +2 and -1. A move of 0 is none to another: a
    head that takes the last state and a weight of its own is no further step.
    """
    if move is None or before is None or move[0] == 0 or before[0] == 0:
        return False
    sources = [edge.source, edge.source - move[0]]
    if states:  # that of the first block has not been looked at yet
        sources.append(sources[-1] - before[0])
    return all(vertices[source].kind == "input" for source in sources)
