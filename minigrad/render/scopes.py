"""The scopes of a picture as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise

from .groups import Groups, contracted_order
from .notation import STEP
from .picture import Picture

__all__ = ["Scope", "ladders", "scopes_of"]


class Scope:
    """A scope: its name, all vertices in it, and what is directly in it, in order: vertices and scopes.

    One that is left and entered again is several scopes of one name, each after what feeds it.
    """

    def __init__(self, name: str, members: list[int]) -> None:
        self.name, self.members = name, members
        self.items: list[int | Scope] = []

    @property
    def vertices(self) -> list[int]:
        """The vertices directly in it."""
        return [item for item in self.items if isinstance(item, int)]

    @property
    def inner(self) -> list[Scope]:
        """The scopes directly in it."""
        return [item for item in self.items if isinstance(item, Scope)]


def scopes_of(picture: Picture) -> Scope:
    """The outermost scope of a picture. A step that stands in a row needs no scope of its own; leaves are outside."""
    paths = [() if vertex.is_leaf else vertex.around for vertex in picture.vertices]
    root = Scope("", list(range(len(paths))))
    stack = [(root, 0)]
    while stack:
        scope, depth = stack.pop()
        keys = {i: paths[i][depth] if len(paths[i]) > depth else i for i in scope.members}
        for key, members in _separated(picture, keys):
            scope.items.append(key if isinstance(key, int) else Scope(key, members))
        stack += [(inner, depth + 1) for inner in scope.inner]
    return root


def _separated(picture: Picture, keys: dict[int, str | int]) -> Iterable[tuple[str | int, list[int]]]:
    """The vertices by their keys, each group after those that feed it; in several groups where that is a circle."""
    runs = [(key, list(run)) for key, run in groupby(keys, keys.__getitem__)]
    groups: Groups = {}
    for key, run in runs:
        groups.setdefault(key, []).extend(run)
    if len(groups) == len(runs):
        return runs
    order = contracted_order(picture.vertices, groups)
    return runs if order is None else [(key, groups[key]) for key in order]


def ladders(picture: Picture, root: Scope) -> Iterator[tuple[list[int], list[int]]]:
    """For each step of a loop and the next what is last in the one and first in the other.

    What stands for the steps between two counts as a step.
    """
    stack = [root]
    while stack:
        scope = stack.pop()
        stack += scope.inner
        steps = [i for i, item in enumerate(scope.items) if isinstance(item, Scope) and STEP.fullmatch(item.name)]
        if len(steps) < 2:
            continue
        between = [item for item in scope.items[steps[0] : steps[-1] + 1] if _is_rung(picture, item)]
        rungs = [item.members if isinstance(item, Scope) else [item] for item in between]
        yield from ((_last(picture, above), _first(picture, below)) for above, below in pairwise(rungs))


def _is_rung(picture: Picture, item: int | Scope) -> bool:
    if isinstance(item, Scope):
        return STEP.fullmatch(item.name) is not None
    return picture.vertices[item].kind == "elision"


def _last(picture: Picture, members: list[int]) -> list[int]:
    """Those that feed no other."""
    used = {edge.source for i in members for edge in picture.vertices[i].inputs}
    return [i for i in members if i not in used]


def _first(picture: Picture, members: list[int]) -> list[int]:
    """Those that no other feeds."""
    own = set(members)
    return [i for i in members if not any(edge.source in own for edge in picture.vertices[i].inputs)]
