"""Scopes for calls that are shown as what they are composed of: each has one of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set
from typing import Any

from ..picture import Path, Vertex

__all__ = ["Frames"]


class Frames:
    """The scope of each call that is expanded: one of its own, named after the primitive, numbered if need be.

    The steps of a sequence have scopes already; they get one more around them where others are in those too.
    """

    def __init__(self, vertices: Sequence[Vertex], calls: Set[int]) -> None:
        self.taken = {path for vertex in vertices for path in _prefixes(vertex.around)}
        self.of: dict[Any, Path] = {}  # by the call
        shared = self._shared(vertices, calls)
        alike: dict[tuple[Path, str], list[Any]] = {}
        for number in sorted(calls):
            vertex = vertices[number]
            call, parent = _call(number, vertex), vertex.around
            if call in self.of:
                continue
            self.of[call] = parent
            if vertex.step is None or shared.get((*parent, vertex.scope[-1])) != {call}:
                alike.setdefault((parent, _name(vertex)), []).append(call)
        for (parent, name), several in alike.items():
            self.of |= zip(several, self._free(parent, name, len(several)), strict=True)

    def around(self, number: int, vertex: Vertex) -> Path:
        """The scope of a call that is expanded, or of all steps of one."""
        return self.of[_call(number, vertex)]

    def _shared(self, vertices: Sequence[Vertex], calls: Set[int]) -> dict[Path, set[Any]]:
        """Who is in the scope of a step: calls that are expanded, and None for all else."""
        result: dict[Path, set[Any]] = {path: {None} for path in self.taken}
        for number, vertex in enumerate(vertices):
            if vertex.step is not None:
                result.setdefault(vertex.scope, set()).add(_call(number, vertex) if number in calls else None)
        return result

    def _free(self, parent: Path, name: str, count: int) -> list[Path]:
        """So many scopes in a scope, in which nothing is yet."""
        if count == 1 and (*parent, name) not in self.taken:
            return [(*parent, name)]
        numbered = ((*parent, f"{name} {k}") for k in itertools.count(1))
        return list(itertools.islice((path for path in numbered if path not in self.taken), count))


def _call(number: int, vertex: Vertex) -> Any:
    """What tells calls apart: all steps of a sequence are of one."""
    return number if vertex.step is None else vertex.node


def _name(vertex: Vertex) -> str:
    if vertex.step is None:
        return vertex.label
    assert vertex.node is not None
    assert vertex.node.primitive is not None
    return vertex.node.primitive.name


def _prefixes(path: Path) -> Iterator[Path]:
    return (path[:depth] for depth in range(1, len(path) + 1))
