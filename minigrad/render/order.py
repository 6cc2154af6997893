"""The order in which a picture lists its vertices: scopes stay together.

A depth-first sort may run from one step of a loop into the next and back. So the scopes of each level are drawn
together into one vertex each, these are sorted (by the sort that serves every graph), and the same is done
within each. Where that would make a cycle, because a scope is left and entered again, the order stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Order, topological_order
from .picture import Output, Picture, Vertex

__all__ = ["Groups", "contracted_order", "grouped"]

Groups = dict[str | int, list[int]]
"""Vertices by the name of their scope; one that is in none by its own number."""


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
    while stack:
        entry = stack.pop()
        if isinstance(entry, int):
            result.append(entry)
            continue
        members, depth = entry  # they share a path of `depth` scopes
        if all(len(vertices[i].scope) <= depth for i in members):
            result.extend(members)
            continue
        groups: Groups = {}
        for i in members:
            scope = vertices[i].scope
            groups.setdefault(scope[depth] if len(scope) > depth else i, []).append(i)
        order = contracted_order(vertices, groups)
        if order is None:
            result.extend(members)
            continue
        for key in reversed(order):
            stack.append((groups[key], depth + 1) if isinstance(key, str) else key)
    return result


def contracted_order(vertices: Sequence[Vertex], groups: Groups) -> list[str | int] | None:
    """The groups sorted so that those which feed others come first; None if they feed each other."""
    group_of = {i: key for key, members in groups.items() for i in members}

    def parents(key: str | int) -> list[str | int]:
        sources = (group_of.get(edge.source) for i in groups[key] for edge in vertices[i].inputs)
        return [source for source in dict.fromkeys(sources) if source is not None and source != key]

    order = topological_order(groups, parents)
    return list(order.nodes) if isinstance(order, Order) else None
