"""The order in which a picture lists its vertices: scopes stay together.

A depth-first sort may run from one step of a loop into the next and back. So the scopes of each level are drawn
together into one vertex each, these are sorted (by the sort that serves every graph), and the same is done
within each. Where that would make a cycle, because a scope is left and entered again, the order stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...core import Node
from ..groups import contracted_order
from ..picture import Output, Picture, Vertex

__all__ = ["grouped"]

_Key = str | int | tuple[str, int]
"""The name of a scope; of a vertex that is in none its own number; of a sequence's step also that of the sequence."""


def grouped(picture: Picture) -> Picture:
    """The same picture, with the operations of each scope side by side wherever that is possible."""
    first = next((i for i, v in enumerate(picture.vertices) if not v.is_leaf), len(picture.vertices))
    order = [*range(first), *_sorted_by_scope(picture.vertices, range(first, len(picture.vertices)))]
    if all(old == new for new, old in enumerate(order)):
        return picture
    new_number = {old: new for new, old in enumerate(order)}
    vertices = []
    for old in order:
        vertex = picture.vertices[old]
        vertices.append(
            vertex.with_inputs(tuple([edge._replace(source=new_number[edge.source]) for edge in vertex.inputs]))
        )
    return Picture(vertices, [Output(new_number[o.source], o.slot, o.name) for o in picture.outputs])


def _sorted_by_scope(vertices: Sequence[Vertex], numbers: Sequence[int]) -> list[int]:
    result: list[int] = []
    stack: list[int | tuple[Sequence[int], int]] = [(numbers, 0)]
    sequences: dict[Node | None, int] = {}
    keys = {i: _keys(vertices[i], sequences) for i in numbers}
    while stack:
        entry = stack.pop()
        if isinstance(entry, int):
            result.append(entry)
            continue
        members, depth = entry  # they share a path of `depth` scopes
        if all(len(vertices[i].scope) <= depth for i in members):
            result.extend(members)
            continue
        groups: dict[_Key, list[int]] = {}
        for i in members:
            groups.setdefault(keys[i][depth] if len(keys[i]) > depth else i, []).append(i)
        order = contracted_order(vertices, groups)
        if order is None:
            result.extend(members)
            continue
        for key in reversed(order):
            stack.append(key if isinstance(key, int) else (groups[key], depth + 1))
    return result


def _keys(vertex: Vertex, sequences: dict[Node | None, int]) -> Sequence[_Key]:
    """The path of a vertex; the steps of two sequences in one scope have the same names and are not the same."""
    if vertex.step is None:
        return vertex.scope
    return (*vertex.around, (vertex.scope[-1], sequences.setdefault(vertex.node, len(sequences))))
