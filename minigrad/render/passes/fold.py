"""Pictures with less in them: the middle of every loop as one vertex, and no more than so many vertices.

Six steps of h = tanh(h @ W) are one repeat of period 2 (:mod:`.repeats` says how it is found). Its first and its last
block stay. An elision takes the place of the eight vertices between them; what they took from outside feeds it, and
what others take of them comes from it:

    before  0 h  1 W  2 matmul  3 tanh | 4 matmul  5 tanh  …  10 matmul  11 tanh | 12 matmul    13 tanh
    edges                 0 1     2          3 1     4             9 1     10          11 1        12
    after   0 h  1 W  2 matmul  3 tanh | 4 more like this                        |  5 matmul     6 tanh
    edges                 0 1     2          3 1                                        4 1         5

>>> import minigrad as mg
>>> from minigrad.render.reading.nodes import picture_of
>>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
>>> for _ in range(6):
...     h = mg.tanh(h @ W)
>>> for vertex in folded(picture_of([h], {})).vertices:
...     print(vertex.label, [edge.source for edge in vertex.inputs])
input []
input []
matmul [0, 1]
tanh [2]
4 more like this [3, 1]
matmul [4, 1]
tanh [5]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..notation import alike
from ..picture import Edge, Output, Path, Picture, Vertex, shared_path
from .repeats import Repeat, find_repeats, steps_between

__all__ = ["folded", "limited"]


class _Group(NamedTuple):
    """Vertices that one elision in a scope replaces; of a repeat, blocks of `period` vertices."""

    members: range
    label: str
    scope: Path
    period: int


def folded(picture: Picture, least: int = 4) -> Picture:
    """The picture with the middle blocks of every repeat replaced by one elision that says how many they are.

    What is left is folded again, for loops within loops. Of a sequence primitive the steps between the first and the
    last, for which :mod:`.unroll` wrote one, become an elision too.
    """
    while found := find_repeats(picture, least):
        picture = _merged(picture, [_middle(picture, repeat) for repeat in found])
    return _merged(picture, [_steps(picture, members) for members in steps_between(picture)])


def _middle(picture: Picture, repeat: Repeat) -> _Group:
    """All blocks but the first and the last."""
    members = range(repeat.start + repeat.period, repeat.start + repeat.period * (repeat.count - 1))
    steps = repeat.period == 1 and picture.vertices[members[0]].step is not None
    return _Group(members, _label(repeat.count - 2, steps), _scope_of(picture, members), repeat.period)


def _steps(picture: Picture, members: range) -> _Group:
    """The step that stands for several, in the scope that it shares with the first step."""
    first = picture.vertices[members[0]]
    scope = _scope_of(picture, range(members.start - 1, members.stop))
    return _Group(members, _label(first.stands_for, first.step is not None), scope, len(members))


def _label(count: int, steps: bool) -> str:
    return f"{count:,} more {'steps' if steps else 'like this'}"


def _scope_of(picture: Picture, members: range) -> Path:
    """The scope that vertices share."""
    scope = picture.vertices[members[0]].scope
    for i in members:
        scope = shared_path(scope, picture.vertices[i].scope)
    return scope


def limited(picture: Picture, most: int) -> Picture:
    """The picture with at most `most` operations, those nearest to the outputs, and at most as many leaves.

    An elision stands for the rest of either and says how many they are.
    """
    operations = [i for i, v in enumerate(picture.vertices) if not v.is_leaf]
    if len(operations) > most:
        rest = range(operations[0], operations[-most])
        total = sum(picture.vertices[i].stands_for or 1 for i in rest)
        picture = _left_out(picture, rest, f"and {total:,} more")
    leaves = sum(v.is_leaf for v in picture.vertices)
    if leaves > most:
        picture = _left_out(picture, range(most, leaves), f"and {leaves - most:,} more leaves")
    return picture


def _left_out(picture: Picture, members: range, label: str) -> Picture:
    return _merged(picture, [_Group(members, label, _scope_of(picture, members), 1)])


def _merged(picture: Picture, groups: Sequence[_Group]) -> Picture:
    """Each group of vertices replaced by one; leaves that only groups use are left out."""
    return _Merger(picture, groups).run() if groups else picture


class _Merger:
    """Puts elisions in the place of groups.

    owner: the group of each vertex, or -1. ports: the outputs of each elision by what they stand for.
    """

    def __init__(self, picture: Picture, groups: Sequence[_Group]) -> None:
        self.vertices, self.outputs, self.groups = picture.vertices, picture.outputs, groups
        self.owner = [-1] * len(self.vertices)
        for g, group in enumerate(groups):
            self.owner[group.members.start : group.members.stop] = [g] * len(group.members)
        self.ports: list[dict[Any, int]] = [{} for _ in groups]
        self.kept: set[int] = set()  # leaves
        self.number: list[int] = []  # of each vertex in the new picture; -1 for a leaf that is left out

    def run(self) -> Picture:
        """The new picture."""
        self._find_uses()
        result: list[Vertex] = []
        place = [-1] * len(self.groups)
        for i, vertex in enumerate(self.vertices):
            g = self.owner[i]
            if g < 0 and vertex.is_leaf and i not in self.kept:
                self.number.append(-1)
            elif g < 0:
                self.number.append(len(result))
                result.append(self._with_new_edges(vertex))
            else:
                if place[g] < 0:
                    place[g] = len(result)
                    result.append(self._elision(g))
                self.number.append(place[g])
        outputs = [Output(self.number[o.source], self._slot(o.source, o.slot), o.name) for o in self.outputs]
        return Picture(result, outputs)

    def _find_uses(self) -> None:
        """The leaves that are used outside of groups, and the outputs of groups that are used outside of them."""
        for source, slot in self._uses():
            if self.vertices[source].is_leaf:
                self.kept.add(source)
            if (g := self.owner[source]) >= 0:
                self.ports[g].setdefault(self._port(source, slot), len(self.ports[g]))

    def _uses(self) -> Iterator[tuple[int, int]]:
        owner = self.owner
        for i, vertex in enumerate(self.vertices):
            g = owner[i]
            for edge in vertex.inputs:
                if g < 0 or (owner[edge.source] != g and owner[edge.source] >= 0):
                    yield edge.source, edge.slot
        for output in self.outputs:
            yield output.source, output.slot

    def _port(self, source: int, slot: int) -> tuple[Any, ...]:
        """What an output of an elision stands for: the same output of the same vertex in every block."""
        group = self.groups[self.owner[source]]
        specs = self.vertices[source].specs
        return (source - group.members.start) % group.period, slot, specs[slot] if slot < len(specs) else None

    def _slot(self, source: int, slot: int) -> int:
        g = self.owner[source]
        return slot if g < 0 else self.ports[g][self._port(source, slot)]

    def _with_new_edges(self, vertex: Vertex) -> Vertex:
        """The vertex with edges under their new numbers; an elision gives to one kind of argument once."""
        if not vertex.inputs:
            return vertex
        edges: dict[Any, Edge] = {}
        for place, edge in enumerate(vertex.inputs):
            new = edge._replace(source=self.number[edge.source], slot=self._slot(edge.source, edge.slot))
            merged = self.owner[edge.source] >= 0
            edges.setdefault((new[:2], alike(edge.argument)) if merged else place, new)
        return vertex.with_inputs(tuple(edges.values()))

    def _elision(self, g: int) -> Vertex:
        group = self.groups[g]
        members = [self.vertices[i] for i in group.members]
        first = members[0]
        step = first.step if first.node is not None and members[-1].node is first.node else None
        return Vertex(
            "elision",
            group.label,
            tuple(spec for _, _, spec in self.ports[g] if spec is not None),
            group.scope,
            self._edges_into(g, members),
            first.node if step is not None else None,
            step=step,
            stands_for=sum(member.stands_for or 1 for member in members),
        )

    def _edges_into(self, g: int, members: Sequence[Vertex]) -> tuple[Edge, ...]:
        edges: dict[Any, Edge] = {}
        for member in members:
            for edge in member.inputs:
                source = edge.source
                if self.owner[source] != g and self.number[source] >= 0:
                    key = self.number[source], self._slot(source, edge.slot), alike(edge.argument)
                    edges.setdefault(key, Edge(*key[:2], edge.argument))
        return tuple(edges.values())
