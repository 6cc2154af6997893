"""Build a tree of scopes. A scope that is left and re-entered becomes several scopes of the same name."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from ..graph import Order, topological_order
from .labels import LAYERS, STEP
from .picture import Picture, Vertex

__all__ = ["Row", "Scope", "call_scopes", "nested_scopes", "shows_layers"]


class Row(NamedTuple):
    """The key of a row, the steps of one loop: its name and its first vertex."""

    name: str
    first: int


class Scope:
    """A scope: its name, all vertices in it, and the vertices and scopes directly in it, in order.

    row: whether these are the steps of a loop.
    """

    def __init__(self, name: str, members: list[int], row: bool = False) -> None:
        self.name, self.members, self.row = name, members, row
        self.items: list[int | Scope] = []

    @property
    def inner(self) -> list[Scope]:
        """The scopes directly in it."""
        return [item for item in self.items if isinstance(item, Scope)]


_Keyed = tuple[Hashable, list[int]]  # a key and its vertices; the key of a vertex without a scope is its number


def _tree(vertices: Sequence[Vertex], paths: Sequence[Sequence[Hashable]], rows: bool = False) -> Scope:
    """Return the outermost scope of vertices with these paths; if `rows`, loops of scopes become rows."""
    root = Scope("", list(range(len(paths))))
    stack = [(root, 0)]
    while stack:
        scope, depth = stack.pop()
        keys = {i: paths[i][depth] if len(paths[i]) > depth else i for i in scope.members}
        groups = [(key, list(run)) for key, run in groupby(keys, keys.__getitem__)]
        if rows and not scope.row:
            groups = _with_row(vertices, groups)
        for key, members in groups:
            if isinstance(key, int):
                scope.items.append(key)
                continue
            inner = Scope(key.name, members, True) if isinstance(key, Row) else Scope(str(key), members)
            scope.items.append(inner)
            stack.append((inner, depth + (key in paths[members[0]][depth : depth + 1])))
    return root


def _joined(pairs: Iterable[_Keyed]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for key, members in pairs:
        groups.setdefault(key, []).extend(members)
    return groups


def _contracted_order(vertices: Sequence[Vertex], groups: Mapping[Hashable, Sequence[int]]) -> list[Hashable] | None:
    """Return the keys sorted so that groups come after those that feed them; None if they feed each other.

    Groups that are already in order keep their order.
    """
    group_of = {i: key for key, members in groups.items() for i in members}
    before: dict[Hashable, dict[Hashable, None]] = {key: {} for key in groups}
    for i, key in group_of.items():
        sources = [group_of.get(edge.source, key) for edge in vertices[i].inputs]
        before[key] |= dict.fromkeys(source for source in sources if source != key)
    order = topological_order(before, before.__getitem__)
    return list(order.nodes) if isinstance(order, Order) else None


def call_scopes(picture: Picture) -> Scope:
    """Return the outermost scope of a picture.

    The steps of a sequence primitive have no scopes of their own.
    """
    return _tree(picture.vertices, [() if vertex.is_leaf else vertex.around for vertex in picture.vertices])


def shows_layers(vertices: Sequence[Vertex], scope: Scope) -> bool:
    """Return whether a scope is the frame of a folded stack, which shows one of its layers."""
    return LAYERS.fullmatch(scope.name) is not None and all(vertices[i].in_stack for i in scope.members)


# Loops ------------------------------------------------------------------------------------------


def nested_scopes(picture: Picture) -> Scope:
    """Return the outermost scope of a picture, in which the steps of each loop are a row.

    The scopes directly in a scope never form a cycle, so that each can be laid out by itself.
    """
    vertices = picture.vertices
    rows: dict[object, Row] = {}
    paths: list[tuple[Hashable, ...]] = []
    for i, vertex in enumerate(vertices):
        paths.append(() if vertex.is_leaf else vertex.around)
        if vertex.in_row:
            paths[i] = (*paths[i], rows.setdefault(vertex.node, Row(vertex.called.name, i)))
    return _tree(vertices, paths, rows=True)


def _with_row(vertices: Sequence[Vertex], groups: list[_Keyed]) -> list[_Keyed]:
    """Merge the scopes of a loop's steps into one row, unless this would make a cycle with groups outside."""
    steps = {key: members for key, members in groups if isinstance(key, str) and STEP.fullmatch(key)}
    if len(steps) < 2 or len(dict(groups)) < len(groups):  # a scope that is left and re-entered is not a loop
        return groups
    first, *_, last = steps
    row = Row(f"{first} … {last}", steps[first][0])
    row_of = {i: row for members in steps.values() for i in members}
    joined = _joined((row_of.get(i, key), [i]) for key, members in groups for i in members)
    joined[row].sort()
    return groups if _contracted_order(vertices, joined) is None else list(joined.items())
