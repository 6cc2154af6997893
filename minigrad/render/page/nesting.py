"""The boxes within boxes of a picture: a tree of scopes in which every box can be laid out by itself.

The boxes directly within one box must not feed each other in a circle, or no layout could put each below those that
feed it. So a scope that is left and entered again becomes several boxes of one name. The steps of a loop come
into a box of their own, a row, since time is drawn to the right.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..groups import contracted_order
from ..notation import STEP
from ..picture import Picture, Vertex

__all__ = ["Box", "nested"]


@dataclass(frozen=True, slots=True)
class Box:
    """A scope in the tree. parent: the number of the box around it, always smaller; -1 at the outside. row: whether
    the boxes in it are the steps of a loop."""

    name: str
    parent: int
    row: bool = False


@dataclass(frozen=True, slots=True)
class _Steps:
    """A key of the steps of one loop: the sequence primitive's name and first vertex, or the box of scopes."""

    name: str
    first: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A key of one stay in a scope that is entered several times."""

    key: str | _Steps
    number: int


_Path = tuple[str | _Steps, ...]
_Groups = dict[Hashable, list[int]]


def nested(picture: Picture) -> tuple[list[Box], list[int]]:
    """All boxes, and for each vertex the number of the box that it is directly in (-1: in none).

    >>> import minigrad as mg
    >>> from minigrad.render.reading.nodes import picture_of
    >>> with mg.scope("model"):
    ...     y = mg.tanh(mg.tensor([1.0], requires_grad=True))
    >>> nested(picture_of([y], {}))
    ([Box(name='model', parent=-1, row=False)], [-1, 0])
    """
    paths = _paths(picture.vertices)
    boxes: list[Box] = []
    box_of = [-1] * len(paths)
    stack: list[tuple[list[int], int, int]] = [(list(range(len(paths))), 0, -1)]
    while stack:
        members, depth, parent = stack.pop()
        in_row = parent >= 0 and boxes[parent].row
        for key, group in _level(picture.vertices, paths, members, depth, in_row).items():
            if isinstance(key, int):
                box_of[key] = parent
                continue
            plain = key.key if isinstance(key, _Run) else key
            if isinstance(plain, _Steps) and plain not in paths[group[0]]:  # a loop of scopes: they are one level on
                boxes.append(Box(plain.name, parent, row=True))
                stack.append((group, depth, len(boxes) - 1))
            else:
                name, row = (plain.name, True) if isinstance(plain, _Steps) else (str(plain), False)
                boxes.append(Box(name, parent, row))
                stack.append((group, depth + 1, len(boxes) - 1))
    return boxes, box_of


def _paths(vertices: Sequence[Vertex]) -> list[_Path]:
    """The way to each vertex from the outside. The steps of a sequence primitive share a box, without one each."""
    rows: dict[object, _Steps] = {}
    paths: list[_Path] = []
    for i, vertex in enumerate(vertices):
        if vertex.is_leaf:
            paths.append(())
        elif vertex.step is None:
            paths.append(vertex.scope)
        else:
            primitive = None if vertex.node is None else vertex.node.primitive
            row = rows.setdefault(vertex.node, _Steps(vertex.label if primitive is None else primitive.name, i))
            paths.append((*vertex.around, row))
    row_of: dict[int, str | _Steps] = {i: p[-1] for i, p in enumerate(paths) if p and isinstance(p[-1], _Steps)}
    for i, steps in _elided(vertices, row_of).items():
        if i not in row_of:
            paths[i] = (*paths[i], steps)
    return paths


def _elided(vertices: Sequence[Vertex], row_of: Mapping[int, str | _Steps]) -> dict[int, str | _Steps]:
    """The elisions that stand for steps: a step feeds them and they feed a step of the same row."""
    after: dict[int, set[str | _Steps]] = {}
    for i, vertex in enumerate(vertices):
        if vertex.kind == "elision":
            after[i] = {row_of[edge.source] for edge in vertex.inputs if edge.source in row_of}
    return {
        edge.source: row_of[i]
        for i, vertex in enumerate(vertices)
        if i in row_of
        for edge in vertex.inputs
        if row_of[i] in after.get(edge.source, ())
    }


def _level(
    vertices: Sequence[Vertex], paths: Sequence[_Path], members: Sequence[int], depth: int, in_row: bool
) -> _Groups:
    """What lies directly in a box: vertices by their number, and groups of vertices in the boxes within."""

    def key(i: int) -> Hashable:
        return paths[i][depth] if len(paths[i]) > depth else i

    groups = _collected((key(i), i) for i in members)
    if len(groups) < len(members) and _is_circular(vertices, groups):
        runs = enumerate(groupby(members, key))
        groups = {k if isinstance(k, int) else _Run(k, n): list(run) for n, (k, run) in runs}  # type: ignore[arg-type]
    steps = [k for k in groups if isinstance(k, str) and STEP.fullmatch(k)]
    return groups if in_row or len(steps) < 2 else _with_row(vertices, groups, steps)


def _with_row(vertices: Sequence[Vertex], groups: _Groups, steps: Sequence[str]) -> _Groups:
    """The groups with the scopes of a loop's steps as one, unless something between them stands outside."""
    row = _Steps(f"{steps[0]} … {steps[-1]}", groups[steps[0]][0])
    row_of: dict[int, str | _Steps] = {i: row for step in steps for i in groups[step]}
    row_of |= _elided(vertices, row_of)
    joined = _collected((row_of.get(i, k), i) for k, group in groups.items() for i in group)
    joined[row].sort()
    return groups if _is_circular(vertices, joined) else joined


def _is_circular(vertices: Sequence[Vertex], groups: _Groups) -> bool:
    """Whether groups feed each other in a circle."""
    numbered: dict[str | int, list[int]] = dict(enumerate(groups.values()))
    return contracted_order(vertices, numbered) is None


def _collected(pairs: Iterable[tuple[Hashable, int]]) -> _Groups:
    groups: _Groups = {}
    for key, i in pairs:
        groups.setdefault(key, []).append(i)
    return groups
