"""Trees: nested containers whose leaves a function is differentiated in.

A *tree* is a leaf (a tensor, array or number), None (which has no leaves), or a container of trees: a list, tuple,
named tuple or dict, or an object of a registered type, such as a module. Results for each leaf come in the same tree,
with a dict of its parameters in place of a registered object. Lists and tuples of nothing but numbers are one leaf, as
they are the data of one tensor everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .spec import describe

__all__ = ["each_like", "filled", "leaves", "like", "matched", "outline", "register_tree"]

_registered: dict[type, Callable[[Any], Mapping[str, Any]]] = {}


def register_tree(kind: type, parameters: Callable[[Any], Mapping[str, Any]]) -> None:
    """Let functions be differentiated in the parameters that objects of a type hold.

    Functions get the object itself, whose parameters are the leaves; results come as a dict in its place.

    Args:
        kind: a class; its subclasses count too.
        parameters: gives the tensors of an object that require a gradient, by name.

    >>> import minigrad as mg
    >>> class Line:
    ...     def __init__(self, slope):
    ...         self.slope = mg.tensor(slope, requires_grad=True)
    >>> register_tree(Line, lambda line: {"slope": line.slope})
    >>> mg.grad(lambda line: line.slope * 3.0)(Line(2.0))["slope"].item()
    3.0
    """
    _registered[kind] = parameters


def held(tree: Any) -> Mapping[str, Any] | None:
    """The parameters that an object of a registered type holds; None for anything else."""
    for kind, parameters in _registered.items():
        if isinstance(tree, kind):
            return parameters(tree)
    return None


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf and the path to it: ``['weights'][0]``, or ``[0].weight`` for a parameter of a registered object.

    >>> list(leaves({"w": [[1.0, 2.0], None], "b": 3.0}))
    [("['w'][0]", [1.0, 2.0]), ("['b']", 3.0)]
    """
    parts = _parts(tree)
    if parts is not None:
        for key, part in parts:
            yield from leaves(part, path + key)
    elif (parameters := held(tree)) is not None:
        yield from ((f"{path}.{name}", parameter) for name, parameter in parameters.items())
    elif tree is not None:
        yield path, tree


def _parts(tree: Any) -> list[tuple[str, Any]] | None:
    """The parts of a container of Python's, and the ends of their paths; None for anything else."""
    if isinstance(tree, dict):
        return [(f"[{key!r}]", part) for key, part in tree.items()]
    if isinstance(tree, (list, tuple)) and not _is_data(tree):
        return [(f"[{i}]", part) for i, part in enumerate(tree)]
    return None


def _is_data(value: Any) -> bool:
    """Whether a list or tuple holds numbers alone, nested or not."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_data, value))
    return isinstance(value, (bool, int, float, np.generic))


def filled(tree: Any, values: Iterable[Any]) -> Any:
    """The tree with other leaves; an object of a registered type, which holds its own, stays itself."""
    return _filled(tree, iter(values), keep=True)


def like(tree: Any, values: Iterable[Any]) -> Any:
    """One value for each leaf, in the same tree; for a registered object in a dict by the names of its parameters.

    >>> like({"w": [[1.0, 2.0], None], "b": 3.0}, "xy")
    {'w': ['x', None], 'b': 'y'}
    """
    return _filled(tree, iter(values), keep=False)


def outline(tree: Any) -> Any:
    """The tree as it is now, registered objects as dicts: to be filled later, whatever becomes of it."""
    return like(tree, [leaf for _, leaf in leaves(tree)])


def each_like(trees: Iterable[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    """The same for each of some trees, with values for the leaves of all of them."""
    iterator = iter(values)
    return tuple(_filled(tree, iterator, keep=False) for tree in trees)


def _filled(tree: Any, values: Iterator[Any], keep: bool) -> Any:
    parts = _parts(tree)
    if parts is not None:
        new = [_filled(part, values, keep) for _, part in parts]
        if isinstance(tree, dict):
            return dict(zip(tree, new, strict=True))
        if hasattr(tree, "_fields"):
            return type(tree)(*new)
        return new if isinstance(tree, list) else tuple(new)
    if (parameters := held(tree)) is not None:
        named = {name: next(values) for name in parameters}
        return tree if keep else named
    return None if tree is None else next(values)


def matched(name: str, tree: Any, given: Any, path: str = "") -> Iterator[Any]:
    """The leaves of something that must have the same structure as an outline, in order.

    Raises:
        ValueError: names the place at which they differ.
    """
    parts = _parts(tree)
    if parts is None:
        if tree is not None:
            yield given
        return
    if isinstance(tree, dict):
        if not isinstance(given, dict) or given.keys() != tree.keys():
            raise ValueError(f"{name}{path} must be a dict with the keys {', '.join(map(repr, tree))}")
        given = [given[key] for key in tree]
    elif not isinstance(given, (list, tuple)) or len(given) != len(parts):
        raise ValueError(f"{name}{path} must be a list or tuple of {len(parts)} parts, not {describe(given)}")
    for (key, part), other in zip(parts, given, strict=True):
        yield from matched(name, part, other, path + key)
