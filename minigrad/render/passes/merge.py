"""Vertices that stand side by side, replaced by one that stands for them.

What they took from outside feeds it, and what others take of them comes from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..notation import alike
from ..picture import Edge, Kind, Output, Path, Picture, Vertex

__all__ = ["Group", "merged"]


class Group(NamedTuple):
    """Vertices that an elision or a closed module in a scope replaces; of a repeat, blocks of `period` vertices."""

    members: range
    label: str
    scope: Path
    period: int
    kind: Kind = "elision"
    caveat: str = ""


def merged(picture: Picture, groups: Sequence[Group]) -> Picture:
    """Each group of vertices replaced by one; leaves that only groups use are left out, but for inputs of modules."""
    return _Merger(picture, groups).run() if groups else picture


class _Merger:
    """Puts one vertex in the place of each group.

    owner: the group of each vertex, or -1. ports: the outputs of each such vertex by what they stand for.
    """

    def __init__(self, picture: Picture, groups: Sequence[Group]) -> None:
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
                    result.append(self._instead(g))
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
                source = edge.source
                if g < 0 or (owner[source] != g and owner[source] >= 0) or self._is_input_of_a_module(source, g):
                    yield source, edge.slot
        for output in self.outputs:
            yield output.source, output.slot

    def _is_input_of_a_module(self, source: int, g: int) -> bool:
        """Whether a closed module shows what it is fed with: not its parameters, of which it says how many they are."""
        return self.groups[g].kind == "module" and self.vertices[source].kind == "input"

    def _port(self, source: int, slot: int) -> tuple[Any, ...]:
        """What an output of the new vertex stands for: the same output of the same vertex in every block."""
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
            g = self.owner[edge.source]
            several = g >= 0 and self.groups[g].kind == "elision"
            edges.setdefault((new[:2], alike(edge.argument)) if several else place, new)
        return vertex.with_inputs(tuple(edges.values()))

    def _instead(self, g: int) -> Vertex:
        group = self.groups[g]
        members = [self.vertices[i] for i in group.members]
        first = members[0]
        steps = group.kind == "elision" and first.node is not None and members[-1].node is first.node
        step = first.step if steps else None
        return Vertex(
            group.kind,
            group.label,
            tuple(spec for _, _, spec in self.ports[g] if spec is not None),
            group.scope,
            self._edges_into(g, members),
            first.node if step is not None else None,
            step=step,
            stands_for=sum(member.stands_for or 1 for member in members),
            caveat=group.caveat,
            names=tuple(self._names(g)),
        )

    def _names(self, g: int) -> Iterator[tuple[int, str]]:
        """Names of outputs of a closed module; of an elision each would be that of one of many."""
        group = self.groups[g]
        for i in group.members if group.kind == "module" else ():
            for slot, name in self.vertices[i].names:
                if (port := self.ports[g].get(self._port(i, slot))) is not None:
                    yield port, name

    def _edges_into(self, g: int, members: Sequence[Vertex]) -> tuple[Edge, ...]:
        edges: dict[Any, Edge] = {}
        by_name = self.groups[g].kind == "elision"
        for member in members:
            for edge in member.inputs:
                source = edge.source
                if self.owner[source] != g and self.number[source] >= 0:
                    new = Edge(self.number[source], self._slot(source, edge.slot), edge.argument)
                    edges.setdefault((new[:2], alike(edge.argument) if by_name else ""), new)
        return tuple(edges.values())
