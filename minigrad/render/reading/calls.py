"""What a picture calls the frames of modules and the parameters in them: what is known of both from the nodes.

A scope is a path of names, and two modules of one class that no other module holds have the same one. But the path is
made anew for each call, so that the nodes of a call share one object; and two calls whose parameters of one name are
different are calls of two modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...core import Leaf, Node
from ..notation import STEP
from ..picture import Path

__all__ = ["Paths", "owners_path", "paths_of_modules"]

Paths = Mapping[int, Path]
"""Scopes under other names, by the identity of the path that the nodes hold."""
_Held = dict[str, set[Node]]
"""Parameters by their name."""


def paths_of_modules(operations: Sequence[Node]) -> Paths:
    """A path of its own for each of several modules that have the same one: `LSTM 1`, `LSTM 2`, in order of use.

    Not for one that holds modules: which of them are of which is not known.

    >>> from minigrad import nn
    >>> y = nn.Linear(2, 2)(nn.Linear(2, 2)([[1.0, 2.0]]))
    >>> sorted(paths_of_modules([y.node, y.node.parents[0]]).values())
    [('Linear 1',), ('Linear 2',)]
    """
    calls: dict[Path, dict[int, _Held]] = {}
    last: Path | None = None
    held: _Held = {}
    for node in operations:
        if node.scope is not last:
            last = node.scope
            held = calls.setdefault(last, {}).setdefault(id(last), {}) if last else {}
        for parent in node.parents:
            if isinstance(parent, Leaf) and parent.name:
                held.setdefault(parent.name, set()).add(parent)
    around = {path[:depth] for path in calls for depth in range(len(path))}
    taken = {path[-1] for path in calls if path}
    result: dict[int, Path] = {}
    for path, several in calls.items():
        if len(several) > 1 and path not in around and _is_class(path):
            modules = _modules(several)
            names = _free(path[-1], max(modules.values()) + 1, taken)
            result |= {call: (*path[:-1], names[k]) for call, k in modules.items()} if len(names) > 1 else {}
    return result


def _is_class(path: Path) -> bool:
    """Whether the name is of a class: one that is an attribute's is one module's, if that around it is one."""
    return (len(path) == 1 or path[-1][:1].isupper()) and not STEP.fullmatch(path[-1])


def _modules(calls: Mapping[int, _Held]) -> dict[int, int]:
    """For each call the number of its module: that with the same parameters, and of a call that has none the first."""
    modules: list[_Held] = []
    module_of: dict[Node, int] = {}
    result = {}
    for call, held in calls.items():
        leaves = [leaf for several in held.values() for leaf in several]
        known = {module_of[leaf] for leaf in leaves if leaf in module_of}
        k = next((k for k in sorted(known) if not _differ(modules[k], held)), len(modules))
        if k == len(modules) and modules and not _differ(modules[0], held):
            k = 0
        if k == len(modules):
            modules.append({})
        for name, several in held.items():
            modules[k].setdefault(name, set()).update(several)
        module_of |= dict.fromkeys(leaves, k)
        result[call] = k
    return result


def _differ(a: _Held, b: _Held) -> bool:
    """Whether both hold parameters of the same names, and none is the same."""
    both = a.keys() & b.keys()
    return bool(both) and all(a[name].isdisjoint(b[name]) for name in both)


def _free(name: str, count: int, taken: set[str]) -> list[str]:
    if count == 1:
        return [name]
    names: list[str] = []
    k = 0
    while len(names) < count:
        k += 1
        if f"{name} {k}" not in taken:
            names.append(f"{name} {k}")
    return names


def owners_path(leaf: Node, uses: Iterable[Node], paths: Paths) -> Path:
    """The path of the module that holds a parameter, from the scopes in which it is used; empty if none tells.

    The module's name is known, and is a part of these scopes wherever the parameter was used within a call of the
    module: also by an inner module that it was handed to. What all uses share goes first: of tied weights, where it
    can, no one use speaks for the others.
    """
    owner = leaf.owner if isinstance(leaf, Leaf) else ""
    scopes = list({id(node.scope): node.scope for node in uses}.values())
    if not owner or not scopes:
        return ()
    common = min(len(scope) for scope in scopes)
    while any(scope[:common] != scopes[0][:common] for scope in scopes):
        common -= 1
    for scope, most in [(scopes[0], common), *((scope, len(scope)) for scope in scopes)]:
        for depth in range(most, 0, -1):
            if scope[depth - 1] == owner:
                return paths.get(id(scope), scope)[:depth]
    return ()
