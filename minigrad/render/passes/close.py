"""Modules as one vertex each, from some depth on.

At depth 2 a network's parts are closed, and what stands between them stays. A scope is at the depth that is the
length of its path:

    before  x  W  b   affine (net, head)  tanh (net, head)  multiply (net)
    after   x         head (net)                            multiply (net)

>>> import minigrad as mg
>>> from minigrad.render.reading.nodes import picture_of
>>> with mg.scope("net"):
...     with mg.scope("head"):
...         y = mg.exp(mg.tanh(mg.tensor([1.0], requires_grad=True)))
...     y = y * 2.0
>>> [(vertex.label, vertex.remark) for vertex in closed(picture_of([y], {}), 2).vertices]
[('input', ''), ('head', '2 operations'), ('multiply', '')]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from ..picture import Path, Picture, Vertex
from .merge import Group, merged

__all__ = ["MANY", "closed", "readable_depth"]

MANY = 60
"""A picture with more operations is more than a person can look over."""
_READABLE = 30


def closed(picture: Picture, depth: int) -> Picture:
    """The picture with every scope at this depth as one vertex; one that is left and entered again is several."""
    groups = [
        Group(range(run[0], run[-1] + 1), path[-1], path[:-1], len(run), "module", _contents(picture, run))
        for path, run in _runs(picture, depth)
        if path and any(picture.vertices[i].kind == "operation" for i in run)
    ]
    return merged(picture, groups)


def readable_depth(picture: Picture) -> int | None:
    """The depth at which a picture of many operations shows the best number of them; None if that is the whole."""
    operations = [vertex for vertex in picture.vertices if not vertex.is_leaf]
    if len(operations) <= MANY:
        return None
    sizes: dict[int | None, int] = {None: len(operations)}
    for depth in range(1, max(len(vertex.around) for vertex in operations) + 1):
        sizes[depth] = sum(1 if path else len(run) for path, run in _runs(picture, depth))
    return min(sizes, key=lambda depth: abs(math.log(sizes[depth] / _READABLE)))


def _runs(picture: Picture, depth: int) -> Iterator[tuple[Path, list[int]]]:
    """Operations side by side with the path of the scope at a depth that they are in, which is empty of others."""

    def path(i: int) -> Path:
        around = picture.vertices[i].around
        return around[:depth] if len(around) >= depth else ()

    operations = (i for i, vertex in enumerate(picture.vertices) if not vertex.is_leaf)
    return ((key, list(run)) for key, run in groupby(operations, path))


def _contents(picture: Picture, run: Sequence[int]) -> str:
    """What a closed scope holds: its operation, or how many, and how many numbers its parameters are."""
    members = [picture.vertices[i] for i in run]
    count = sum(member.stands_for or 1 for member in members)
    leaves = {edge.source for member in members for edge in member.inputs}
    total = sum(_size(picture.vertices[i]) for i in leaves if picture.vertices[i].kind == "parameter")
    said = members[0].label if count == 1 else f"{count:,} operations"
    return f"{said}\n{total:,} parameters" if total else said


def _size(leaf: Vertex) -> int:
    return math.prod(leaf.specs[0][0])
