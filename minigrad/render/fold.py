"""Repeats in a picture: what a loop wrote, shown once with a number.

A run of vertices repeats with period p if every vertex has the label, the shapes and (but for numbers in their
names) the scopes of the one p places before, and if from each repetition to the next the source of each edge moves
by one fixed distance: 0 for a weight that all share, p for the state of the step before, another for what an
earlier loop made. Leaves without a name, such as the input of each step, all count as equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .picture import Edge, Output, Picture, Vertex, shared_path

__all__ = ["Repeat", "folded", "limited", "repeats"]

LONGEST = 128
"""The longest period that is looked for."""
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Repeat:
    """`count` blocks of `period` vertices each, from the vertex `start` on."""

    start: int
    period: int
    count: int


def repeats(picture: Picture, least: int = 3) -> list[Repeat]:
    """The repeats of at least `least` blocks, in order, none overlapping another."""
    found: list[Repeat] = []
    end = 0
    for start, period, length in _candidates(_kinds(picture.vertices), least):
        start, length = max(start, end), length - max(0, end - start)
        while length >= least * period:
            count = _regular(picture.vertices, start, period, length // period)
            if count >= least:
                found.append(Repeat(start, period, count))
                end = start + count * period
                break
            start, length = start + 1, length - 1  # the first block may differ: it starts from h0
            if start - end > 2 * period:
                break
    return found


def _kinds(vertices: Sequence[Vertex]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A number for each vertex, the same for those that look the same; leaves are all different."""
    numbers: dict[Any, int] = {}
    plain: dict[tuple[str, ...], tuple[str, ...]] = {}
    result = np.empty(len(vertices), np.int64)
    for i, v in enumerate(vertices):
        if v.kind != "operation":
            result[i] = -1 - i
            continue
        scope = plain.get(v.scope)
        if scope is None:
            scope = plain[v.scope] = tuple(_NUMBER.sub("#", name) for name in v.scope)
        arguments = tuple((edge.argument, edge.slot) for edge in v.inputs) if len(v.inputs) < 9 else len(v.inputs)
        result[i] = numbers.setdefault((v.label, v.specs, scope, arguments, v.constants), len(numbers))
    return result


def _candidates(kinds: np.ndarray[Any, Any], least: int) -> list[tuple[int, int, int]]:
    """Runs (start, period, length) in which each kind equals the one a period before: longest first of equal starts."""
    runs = []
    for period in range(1, min(LONGEST, len(kinds) // least) + 1):
        same = np.concatenate([[False], kinds[period:] == kinds[:-period], [False]])
        change = np.flatnonzero(same[1:] != same[:-1])
        for a, b in zip(change[::2].tolist(), change[1::2].tolist(), strict=True):
            if b - a >= (least - 1) * period:
                runs.append((a, period, b - a + period))
    # A run of period p is one of 2p too: the shortest period comes first.
    return sorted(runs, key=lambda run: (run[0], run[1]))


def _regular(vertices: Sequence[Vertex], start: int, period: int, count: int) -> int:
    """How many of `count` blocks from `start` on have sources that move by one fixed distance each."""
    for offset in range(period):
        moves: list[int] | None = None
        for k in range(1, count):
            i = start + k * period + offset
            a, b = vertices[i - period].inputs, vertices[i].inputs
            if len(a) != len(b):
                count = k
                break
            here = [y.source - x.source for x, y in zip(a, b, strict=True)]
            if moves is not None and here != moves and not _but_for_inputs(vertices, b, here, moves):
                count = k
                break
            moves = moves or here
        if count < 2:
            break
    return count


def _but_for_inputs(vertices: Sequence[Vertex], edges: Sequence[Edge], here: list[int], moves: list[int]) -> bool:
    return all(
        x == y or vertices[edge.source].kind == "input" for edge, x, y in zip(edges, here, moves, strict=True)
    )


# Pictures with less in them --------------------------------------------------------------------


def folded(picture: Picture, least: int = 4) -> Picture:
    """The picture with the middle blocks of every repeat replaced by one elision that says how many they are."""
    groups = [range(r.start + r.period, r.start + r.period * (r.count - 1)) for r in repeats(picture, least)]
    labels = [f"{len(group) // r.period:,} more like this" for group, r in
              zip(groups, repeats(picture, least), strict=True)]  # fmt: skip
    return _merged(picture, groups, labels)


def limited(picture: Picture, most: int) -> Picture:
    """The picture with at most `most` operations: those nearest to the outputs, the rest one elision."""
    operations = [i for i, v in enumerate(picture.vertices) if not v.is_leaf]
    if len(operations) <= most:
        return picture
    group = range(operations[0], operations[-most])
    return _merged(picture, [group], [f"and {len(group):,} more"])


def _merged(picture: Picture, groups: Sequence[range], labels: Sequence[str]) -> Picture:
    """Each group of vertices replaced by one; leaves that only groups use are left out."""
    group_of = {i: g for g, group in enumerate(groups) for i in group}
    kept_leaves = {
        edge.source for i, v in enumerate(picture.vertices) if i not in group_of for edge in v.inputs
    } | {output.source for output in picture.outputs}
    vertices: list[Vertex] = []
    moved: dict[int, int] = {}
    place: dict[int, int] = {}  # of each group's elision
    for i, vertex in enumerate(picture.vertices):
        if i in group_of:
            g = group_of[i]
            if g not in place:
                place[g] = len(vertices)
                vertices.append(_elision(picture, groups[g], labels[g], moved))
            moved[i] = place[g]
        elif not vertex.is_leaf or i in kept_leaves:
            moved[i] = len(vertices)
            vertices.append(replace(vertex, inputs=_moved(vertex.inputs, moved)))
    outputs = [Output(moved[o.source], o.slot, o.name) for o in picture.outputs]
    return Picture(vertices, outputs)


def _moved(edges: Sequence[Edge], moved: dict[int, int]) -> tuple[Edge, ...]:
    """The edges under their new numbers; what comes from one elision to one kind of argument counts once."""
    here: dict[Any, Edge] = {}
    for edge in edges:
        if edge.source in moved:
            new = replace(edge, source=moved[edge.source])
            here.setdefault((new.source, new.slot, _NUMBER.sub("#", new.argument), new.part), new)
    return tuple(here.values())


def _elision(picture: Picture, group: range, label: str, moved: dict[int, int]) -> Vertex:
    members = [picture.vertices[i] for i in group]
    scope = members[0].scope
    for member in members:
        scope = shared_path(scope, member.scope)
    inside = set(group)
    sources = dict.fromkeys(
        (edge.source, edge.slot) for member in members for edge in member.inputs if edge.source not in inside
    )
    operations = [(s, slot) for s, slot in sources if not picture.vertices[s].is_leaf and s in moved]
    edges = tuple(dict.fromkeys(Edge(moved[s], slot, "") for s, slot in operations))
    return Vertex("elision", label, (), scope, edges, stands_for=len(group))
