"""The order of groups of vertices: those that feed others come first."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TypeVar

from .picture import Vertex

__all__ = ["Groups", "contracted_order"]

K = TypeVar("K", bound=Hashable)
Groups = dict[str | int, list[int]]
"""Vertices by the name of their scope; one that is in none by its own number."""


def contracted_order(vertices: Sequence[Vertex], groups: Mapping[K, Sequence[int]]) -> list[K] | None:
    """The groups sorted so that those which feed others come first; None if they feed each other.

    Of those that may come next the one whose first vertex comes first: what is in order stays as it is.
    """
    first = [members[0] for members in groups.values()]
    key_of = dict(zip(first, groups, strict=True))
    group_of = {i: members[0] for members in groups.values() for i in members}
    after: dict[int, set[int]] = {i: set() for i in first}
    waits = dict.fromkeys(first, 0)
    for i, group in group_of.items():
        for edge in vertices[i].inputs:
            source = group_of.get(edge.source, group)
            if source != group and group not in after[source]:
                after[source].add(group)
                waits[group] += 1
    ready = [i for i in first if not waits[i]]
    heapify(ready)
    order: list[K] = []
    while ready:
        i = heappop(ready)
        order.append(key_of[i])
        for group in after[i]:
            waits[group] -= 1
            if not waits[group]:
                heappush(ready, group)
    return order if len(order) == len(groups) else None
