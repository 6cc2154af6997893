"""Fold each loop into one step, and each stack of equal layers into one layer.

A repeat is a run of vertices that look alike: `count` blocks of `period` vertices each. Folding keeps its first block,
in a frame with the number of blocks. In a *loop*, what a step takes from the previous one becomes a feedback edge,
which may come from a later vertex. In a *stack*, each block is a layer with parameters of its own, and there is no
feedback. Six steps of h = tanh(h @ W) are a repeat with a period of 2:

    before  0 h  1 W  2 matmul  3 tanh | 4 matmul  5 tanh | 6 matmul  7 tanh  …  12 matmul  13 tanh
    edges                 0 1     2          3 1     4          5 1     6             11 1      12
    after   0 h  1 W  2 matmul  3 tanh     in the frame "× 6"
    edges                 0 1     2        feedback from 3 to 2

>>> import minigrad as mg
>>> from minigrad.render.nodes import picture_of
>>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
>>> for _ in range(3):
...     h = mg.tanh(h @ W)
>>> find_repeats(picture_of([h], {}))
[Repeat(start=2, period=2, count=3, last=2)]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, count
from typing import Any

import numpy as np

from .labels import alike, option_words, path_span, span, title_span
from .picture import Edge, Picture, Rewriting, Vertex, parameters_of, shared_path

__all__ = ["Repeat", "find_repeats", "folded", "is_stack", "names_of_steps"]

LONGEST = 128  # the longest period to search for
_TRIES = 16  # start positions to try for a candidate, beyond those of two blocks
_COMPARED = 8  # arguments: of more, compare only the number, not the names
_Move = tuple[int, int, int] | None
# How an edge moves to the next block: the distance of its source, and its output before and after; None if the first
# block has a constant there.


def folded(picture: Picture, least: int = 4) -> Picture:
    """Replace every repeat with its first block, whose vertices stand for those of all blocks.

    Folding repeats until nothing changes, so that nested loops fold too.

    >>> import minigrad as mg
    >>> from minigrad.render.nodes import picture_of
    >>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
    >>> for _ in range(6):
    ...     h = mg.tanh(h @ W)
    >>> matmul, tanh = folded(picture_of([h], {})).vertices[2:]
    >>> matmul.scope, [edge.source for edge in matmul.inputs], [edge.source for edge in matmul.feedback]
    (('× 6',), [0, 1], [3])
    """
    while found := find_repeats(picture, least):
        picture = _Folding(picture, found).folded()
    return picture


# Folding ----------------------------------------------------------------------------------------


# (members, number, start): the vertices that become one, the position of this vertex among them, and the start of their
# repeat; None for leaves and for vertices that stay.
_Place = tuple[Sequence[int], int, int | None]


def _places(vertices: Sequence[Vertex], repeats: Sequence[Repeat]) -> dict[int, _Place]:
    """Return the place of each vertex.

    Leaves of equal shape that each block has for itself become one, too.
    """
    places: dict[int, _Place] = {number: ([number], 0, None) for number in range(len(vertices))}
    for repeat in repeats:
        for number in range(repeat.start, repeat.start + repeat.period):
            members = repeat.like(number)
            places |= {member: (members, k, repeat.start) for k, member in enumerate(members)}
            for argument in sorted({edge.argument for edge in vertices[number].inputs}):
                edges = (edge for i in members for edge in vertices[i].inputs if edge.argument == argument)
                leaves = list(dict.fromkeys(edge.source for edge in edges))
                looks = {(vertices[i].kind, vertices[i].specs, len(places[i][0])) for i in leaves}
                alike_and_free = len(looks) == 1 and len(places[leaves[0]][0]) == 1
                if len(leaves) == len(members) and vertices[leaves[0]].is_leaf and alike_and_free:
                    places |= {leaf: (leaves, k, None) for k, leaf in enumerate(leaves)}
    return places


class _Folding:
    """Replaces the blocks of repeats with one block in a frame."""

    def __init__(self, picture: Picture, repeats: Sequence[Repeat]) -> None:
        self.new, self.vertices, self.repeats = Rewriting(picture), picture.vertices, repeats
        self.places = _places(picture.vertices, repeats)
        self.stacks = {repeat.start for repeat in repeats if is_stack(picture.vertices, repeat)}

    def folded(self) -> Picture:
        """Return the picture with one block in place of each repeat."""
        for number, vertex in enumerate(self.vertices):
            members = self.places[number][0]
            if number == members[0]:
                copy = vertex.with_inputs(())
                for slot in range(len(vertex.specs)):
                    self.new.moved |= {(member, slot): (len(self.new.vertices), slot) for member in members}
                self._connect(copy, members)
                if len(members) > 1:
                    replaced = [self.vertices[member] for member in members]
                    copy.folds = tuple([v for member in replaced for v in member.folds or (member,)])
                    copy.stands_for = sum(member.stands_for or 1 for member in replaced)
                    copy.in_stack |= self.places[number][2] in self.stacks
                    copy.label = title_span([member.label for member in replaced])
                    copy.names = names_of_steps(replaced)
                self.new.vertices.append(copy)
        self._frame()
        picture = self.new.finish()
        steps = [self._step(output.source) for output in self.new.picture.outputs]
        outputs = zip(picture.outputs, steps, strict=True)
        return Picture(picture.vertices, [o._replace(name=f"{o.name} ({s})" if s else o.name) for o, s in outputs])

    def _connect(self, copy: Vertex, members: Sequence[int]) -> None:
        """Give the vertex that replaces these members one edge for each kind of edge."""
        bundles: dict[Any, dict[int, list[Edge]]] = {}  # for each kind, the edges by the number of the member
        for k, member in enumerate(members):
            for edge in self.vertices[member].inputs:
                sources, place, start = self.places[edge.source]
                back = k - place if start is not None and start == self.places[member][2] else None
                argument = alike(edge.argument) if len(sources) > 1 else edge.argument
                bundles.setdefault((sources[0], edge.slot, argument, back), {}).setdefault(k, []).append(edge)
        before = zip(*[self.vertices[member].feedback for member in members], strict=True)
        inputs, feedback = list[Edge](), [same[0]._replace(part=_common_part(same)) for same in before]
        in_stack = self.places[members[0]][2] in self.stacks
        for (*_, back), edges in bundles.items():
            edge = next(iter(edges.values()))[0]
            if not in_stack:
                (feedback if back else inputs).append(edge._replace(part=self._part(edges, len(members), back)))
            elif not back:  # to the first layer, from what each layer has for itself, or from outside to all of them
                own = len(edges) == 1 or len(self.places[edge.source][0]) == len(members)
                inputs.append(edge if own else edge._replace(part=self._part(edges, len(members), back)))
        copy.inputs, copy.feedback = self.new.edges(inputs), tuple(feedback)

    def _part(self, edges: Mapping[int, Sequence[Edge]], total: int, back: int | None) -> str:
        """Return which part or steps of its source a loop takes, after the steps that take it, if not all do."""
        part = _common_part([some[0] for some in edges.values()])
        if back is not None:
            return f"{back} steps back {part}".strip() if back > 1 else part
        when = "" if len(edges) == total else f"t = {_numbers([*map(str, edges)])}" if any(edges) else "first"
        return ": ".join(filter(None, [when, part or self._taken(edges)]))

    def _taken(self, edges: Mapping[int, Sequence[Edge]]) -> str:
        """Return which of its steps a loop passes to another loop or to a single vertex."""
        source = next(iter(edges.values()))[0].source
        total = len(self.places[source][0])
        rows = [[self.places[edge.source][1] for edge in some] for some in edges.values()]
        if total == 1 or all(row == rows[0][:1] for row in rows):
            return self._step(source)
        columns = [[*dict.fromkeys(column)] for column in zip(*rows, strict=False)]
        texts = ["t" if column == [*edges] != [0] else _numbers([*map(str, column)]) for column in columns]
        return (
            f"× {total}"
            if texts == [*map(str, range(total))]
            else f"{'step' if len(texts) == 1 else 'steps'} {_numbers(texts)}"
        )

    def _step(self, number: int) -> str:
        """Return the name of the step of a vertex, or nothing if it is the last."""
        members, place, _ = self.places[number]
        names = zip(*[self.vertices[i].scope for i in (members[0], number, members[-1])], strict=True)
        name = next((name for first, name, last in names if first != last), f"step {place}")
        return name if number != members[-1] else ""

    def _frame(self) -> None:
        """Put each folded loop into a frame with the number of its steps, in place of the frames of the steps."""
        taken = {scope[:depth] for scope in {v.scope for v in self.vertices} for depth in range(len(scope) + 1)}
        leaves = [vertex for vertex in self.new.vertices if vertex.is_leaf and vertex.scope]
        for repeat in self.repeats:
            block = range(repeat.start, repeat.start + repeat.period)
            scopes = [self.vertices[i].scope for i in (*block, *(i + repeat.period for i in block))]
            around = reduce(shared_path, scopes)
            depth = len(around)
            levels = {scope[depth : depth + 1] for scope in scopes[: repeat.period]}
            steps = levels.pop() if len(levels) == 1 else ()
            spans = {i: path_span([self.vertices[j].scope[depth:] for j in repeat.like(i)]) for i in block}
            title = spans[block.start][0] if steps else ""
            layers = ", ".join(filter(None, [title, f"{repeat.count:,} layers"]))
            name = layers if repeat.start in self.stacks else f"{title} {repeat.times}".strip()
            names = chain([name], (f"{name} ({k})" for k in count(2)))  # other loops may have the same name
            label = next(free for free in names if (*around, free) not in taken)
            taken.add((*around, label))
            inner = {self.vertices[i].scope[depth:]: path for i, path in spans.items()}
            for leaf in leaves:
                rest = leaf.scope[depth:]
                if leaf.scope[:depth] == around and (rest in inner or (steps and rest[:1] == steps)):
                    leaf.scope = (*around, label, *inner.get(rest, rest)[len(steps) :])
            for i, path in spans.items():
                self.new.vertices[self.new.moved[i, 0][0]].scope = (*around, label, *path[len(steps) :])


def is_stack(vertices: Sequence[Vertex], repeat: Repeat) -> bool:
    """Return whether each block has parameters of its own, and takes at most the result of the previous block."""
    first, second, third = (range(repeat.start + k * repeat.period, repeat.stop)[: repeat.period] for k in range(3))
    used, others = ({node for i in block for node in parameters_of(vertices, i)} for block in (first, second))
    goes_back = any(edge.source in first for i in third for edge in vertices[i].inputs)
    return bool(used) and used.isdisjoint(others) and not goes_back


def names_of_steps(members: Sequence[Vertex]) -> tuple[tuple[int, str], ...]:
    """Return the names of results in all steps of a loop; those of earlier steps tell the step."""
    last = len(members) - 1
    return tuple(
        (slot, name if k == last else f"{name} (step {k})")
        for k, member in enumerate(members)
        for slot, name in member.names
    )


def _common_part(edges: Sequence[Edge]) -> str:
    """Return the part that edges of all steps carry, with t for a number that differs."""
    return edges[0].part if len({edge.part for edge in edges}) == 1 else alike(edges[0].part, "t")


def _numbers(texts: Sequence[str]) -> str:
    """List numbers: two and the last if they change evenly, or else all.

    >>> _numbers(["7", "3"]), _numbers(["0", "2", "4", "6", "8"])
    ('7, 3', '0, 2 … 8')
    """
    even = len(texts) > 3 and span(texts)
    return f"{texts[0]}, {texts[1]} … {texts[-1]}" if even else ", ".join(texts)


# Repeats ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repeat:
    """`count` blocks of `period` vertices each, from the vertex `start` on.

    In the last block, only the first `last` vertices may be left, because no drawn tensor depends on the others.
    """

    start: int
    period: int
    count: int
    last: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "last", self.last or self.period)

    @property
    def stop(self) -> int:
        """The first vertex after the repeat."""
        return self.start + self.period * (self.count - 1) + self.last

    @property
    def times(self) -> str:
        """The number of blocks as text.

        >>> Repeat(start=2, period=2, count=3, last=1).times
        '× 3, the last in part'
        """
        return f"× {self.count:,}" + (", the last in part" if self.last < self.period else "")

    def like(self, number: int) -> range:
        """Return the vertices at the same position as `number`, one in each block.

        >>> list(Repeat(start=2, period=2, count=3).like(5))
        [3, 5, 7]
        """
        return range(self.start + (number - self.start) % self.period, self.stop, self.period)


def find_repeats(picture: Picture, least: int = 3, apart: bool = False) -> list[Repeat]:
    """Return the repeats of at least `least` blocks, in order and without overlaps.

    apart: whether to keep the steps of two sequence primitives in separate repeats.
    """
    vertices = picture.vertices
    found: list[Repeat] = []
    end = 0
    for start, length, period in _candidates(_kinds(vertices, apart), least):
        start, length = max(start, end), length - max(0, end - start)
        shift = _to_boundary(vertices, start, period)
        start, length, tries = start + shift, length - shift, 0
        while length >= least * period and tries <= 2 * period + _TRIES:  # what precedes a loop may look alike
            count = _regular(vertices, start, period, length // period)
            if count >= least:
                rest = _regular_rest(vertices, start + count * period, min(period, length - count * period), period)
                found.append(Repeat(start, period, count + (rest > 0), rest or period))
                end = found[-1].stop
                start, length, tries = end, length - (end - start), 0
            else:
                start, length, tries = start + 1, length - 1, tries + 1
    return found


# By appearance ----------------------------------------------------------------------------------
#
# The search for repeats has two stages, by appearance and by edges. Vertices of one kind have the same label, shapes,
# argument names, options (except an index) and scopes (ignoring numbers). Each leaf and each omitted vertex is its own
# kind. A run whose kinds equal those a period earlier is a candidate.
#
# In a repeat, every source moves by a fixed distance from block to block: 0 for a shared weight, the period for the
# state of the previous step, another distance for values from an earlier loop. There are two exceptions. The first
# block may take its states from anywhere, or have them as constants. Each block may take a different input, in any
# order.


def _kinds(vertices: Sequence[Vertex], apart: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return a number for each vertex, equal for those that look the same; leaves and omitted vertices differ."""
    numbers: dict[Any, int] = {}
    result = []
    for i, v in enumerate(vertices):
        if v.is_leaf or v.kind == "omitted":
            result.append(-1 - i)
            continue
        # hashing a dtype is slow; hashing its number is fast
        specs = tuple([(shape, dtype.num, dtype.byteorder) for shape, dtype in v.specs])
        # a state of later blocks may be a constant in the first block, so include constants
        names: Any = [*[edge.argument for edge in v.inputs], *v.constants]
        names = tuple(sorted(names)) if len(names) <= _COMPARED else len(names)
        options = tuple(option_words({k: o for k, o in v.options.items() if k != "index"}).items()) if v.options else ()
        sequence = v.step is not None and (v.node if apart else True)
        label = alike(v.label) if v.kind == "module" else v.label
        scope, feedback = (
            tuple(map(alike, v.scope)),
            tuple([(*edge[1:3], edge.part.partition("[")[0]) for edge in v.feedback]),
        )
        key = label, specs, scope, v.caveat, v.birth, names, options, sequence, v.stands_for, feedback
        result.append(numbers.setdefault(key, len(numbers)))
    return np.array(result, np.int64)


def _candidates(kinds: np.ndarray[Any, Any], least: int) -> list[tuple[int, int, int]]:
    """Return runs (start, length, period) in which each kind equals the one a period before.

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
    # Sort by start, then the longest run, then the shortest period: a run of period p is also one of period 2 p.
    return sorted(runs, key=lambda run: (run[0], -run[1], run[2]))


def _to_boundary(vertices: Sequence[Vertex], start: int, period: int) -> int:
    """Return the distance from `start` to the beginning of a block, where the outermost scope is entered."""
    if period == 1 or start + period > len(vertices):
        return 0

    def depth(i: int) -> int:
        return len(shared_path(vertices[i - 1].scope, vertices[i].scope)) if not vertices[i - 1].is_leaf else 0

    return min(range(period), key=lambda offset: depth(start + offset))


# By edges ---------------------------------------------------------------------------------------


def _regular(vertices: Sequence[Vertex], start: int, period: int, count: int) -> int:
    """Return how many of the `count` blocks from `start` on are regular.

    In these, each source moves by a fixed distance.
    """
    before: list[Any] = []  # the moves into the previous block, for each of its vertices
    for k in range(1, count):
        block = range(start + k * period, start + (k + 1) * period)
        states = range(block.start - period, block.start) if k == 2 else range(0)
        moves: list[Any] = [_moves(vertices[i - period], vertices[i], first=k == 1) for i in block]
        if None in moves:
            return k
        for i, now, then in zip(block, moves, before or moves, strict=True):
            if now != then and not all(
                _goes_on(vertices, edge, move, earlier, states)
                for edge, move, earlier in zip(_all_edges(vertices[i]), now, then, strict=True)
            ):
                return k
        before = moves
    return count


def _regular_rest(vertices: Sequence[Vertex], start: int, most: int, period: int) -> int:
    """Return how many of at most this many vertices continue the block before them, as the first of one more block."""
    for k in range(start, start + most):
        now, then = (_moves(vertices[i - period], vertices[i], first=False) for i in (k, k - period))
        if (
            now is None
            or then is None
            or not all(
                _goes_on(vertices, edge, move, earlier, range(0))
                for edge, move, earlier in zip(_all_edges(vertices[k]), now, then, strict=True)
            )
        ):
            return k - start
    return most


def _all_edges(vertex: Vertex) -> tuple[Edge, ...]:
    return (*vertex.inputs, *vertex.feedback)


def _moves(before: Vertex, vertex: Vertex, first: bool) -> list[_Move] | None:
    """Return how the edges to a vertex moved since the previous block; None if the edges do not match.

    first: whether the previous block is the first, where a state may be a constant.
    """
    a, b = _all_edges(before), _all_edges(vertex)
    if len(a) == len(b) and before.constants == vertex.constants:
        return [(y[0] - x[0], x[1], y[1]) for x, y in zip(a, b, strict=True)]
    if first and set(before.constants) > set(vertex.constants):
        known = {x.argument: x for x in a}
        return [(y.source - x.source, x.slot, y.slot) if (x := known.get(y.argument)) else None for y in b]
    return None


def _goes_on(vertices: Sequence[Vertex], edge: Edge, move: _Move, before: _Move, states: range) -> bool:
    """Return whether an edge continues the pattern of the previous blocks.

    It does in three cases:

    1. It moves by the same distance, such as 0 for the weight 1.
    2. The third block takes from the second (`states`, empty for other blocks) what the second took from the first,
       wherever the first took it: vertex 6 takes 5, one period after the 3 that vertex 4 takes, while from vertex 2 to
       4 the move was +3.
    3. Each block takes another input: with tanh(h @ W + x_t) and the x_t at 2, 4 and 3, the moves are +2 and -1. A move
       of 0 is not another input, so a head that takes the last state and its own weight is not a further step.

    move, before: the moves into this block and into the previous one.
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
