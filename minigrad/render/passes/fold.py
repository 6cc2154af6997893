"""Pictures with less in them: repeats shown once with a number, and no more than so many vertices.

A run of vertices repeats with period p if every vertex has the label, the shapes and (but for numbers in their
names) the scopes of the one p places before, and if from each repetition to the next the source of each edge moves
by one fixed distance: 0 for a weight that all share, p for the state of the step before, another for what an
earlier loop made. A leaf without a name, such as the input of each step, need only be another than that of the step
before. What the first repetition takes from before it, or has as a constant, may be the state of all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..picture import Edge, Output, Picture, Vertex, shared_path
from ..words import alike
from .repeats import Repeat, repeats

__all__ = ["folded", "limited"]


class _Group(NamedTuple):
    """Vertices that one elision replaces; of a repeat, blocks of `period` vertices."""

    members: range
    label: str
    period: int = 1


def folded(picture: Picture, least: int = 4) -> Picture:
    """The picture with the middle blocks of every repeat replaced by one elision that says how many they are.

    What is left is folded again, for loops within loops.
    """
    while found := repeats(picture, least):
        picture = _merged(picture, [_middle(picture, repeat) for repeat in found])
    return picture


def _middle(picture: Picture, repeat: Repeat) -> _Group:
    """All blocks but the first and the last."""
    members = range(repeat.start + repeat.period, repeat.start + repeat.period * (repeat.count - 1))
    what = "more like this" if picture.vertices[members[0]].step is None else "more steps"
    return _Group(members, f"{repeat.count - 2:,} {what}", repeat.period)


def limited(picture: Picture, most: int) -> Picture:
    """The picture with at most `most` operations, those nearest to the outputs, and at most as many leaves.

    An elision stands for the rest of either and says how many they are.
    """
    operations = [i for i, v in enumerate(picture.vertices) if not v.is_leaf]
    if len(operations) > most:
        rest = range(operations[0], operations[-most])
        total = sum(picture.vertices[i].stands_for or 1 for i in rest)
        picture = _merged(picture, [_Group(rest, f"and {total:,} more")])
    leaves = sum(v.is_leaf for v in picture.vertices)
    if leaves > most:
        picture = _merged(picture, [_Group(range(most, leaves), f"and {leaves - most:,} more leaves")])
    return picture


def _merged(picture: Picture, groups: Sequence[_Group]) -> Picture:
    """Each group of vertices replaced by one; leaves that only groups use are left out."""
    return _Merger(picture, groups).run()


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
        scope = first.scope
        for member in members:
            scope = shared_path(scope, member.scope)
        step = first.step if first.node is not None and members[-1].node is first.node else None
        return Vertex(
            "elision",
            group.label,
            tuple(spec for _, _, spec in self.ports[g] if spec is not None),
            scope,
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
