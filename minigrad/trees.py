"""Trees: nested containers of tensors, as arguments and results of functions that are differentiated.

A *tree* is one of

- a leaf: a tensor, an array or a number; also a list or plain tuple of only numbers, because it can become one tensor;
- None, which has no leaves;
- a list, tuple, named tuple or dict of trees;
- an object of a registered type, such as a module, whose parameters are the leaves.

A result for each leaf comes in the same structure, in which a dict of results replaces each registered object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .spec import describe

__all__ = [
    "leaves",
    "matching_leaves",
    "register_tree",
    "replace_leaves",
    "structure_of",
    "unflatten",
    "unflatten_each",
]

_registered: dict[type, Callable[[Any], Mapping[str, Any]]] = {}


def register_tree(kind: type, parameters: Callable[[Any], Mapping[str, Any]]) -> None:
    """Make functions differentiable with respect to the parameters of objects of a type.

    A function takes the object itself, and its parameters are the leaves. In results, a dict replaces the object.

    Args:
        kind: a class; its subclasses count too.
        parameters: returns the tensors of an object that require a gradient, by name.

    >>> import minigrad as mg
    >>> class Line:
    ...     def __init__(self, slope):
    ...         self.slope = mg.tensor(slope, requires_grad=True)
    >>> register_tree(Line, lambda line: {"slope": line.slope})
    >>> mg.grad(lambda line: line.slope * 3.0)(Line(2.0))["slope"].item()
    3.0
    """
    _registered[kind] = parameters
    _registration.cache_clear()


def parameters_of(tree: Any) -> Mapping[str, Any] | None:
    """Return the parameters of an object of a registered type; None for anything else."""
    if (parameters := _registration(type(tree))) is None:  # type: ignore[arg-type]
        return None
    named: Mapping[str, Any] = parameters(tree)
    for name in named:
        if name.endswith("]"):  # the path would be that of an entry of a container
            raise ValueError(f"{type(tree).__name__}: a parameter's name must not end with ']': {name!r}")
    return named


@lru_cache  # bounded, since it keeps classes alive
def _registration(kind: type) -> Any:
    return next((parameters for base, parameters in _registered.items() if issubclass(kind, base)), None)


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over paths and leaves. A path is ``['weights'][0]``, or ``[0].weight`` for a parameter of an object.

    >>> list(leaves({"w": [[1.0, 2.0], None], "b": 3.0}))
    [("['w'][0]", [1.0, 2.0]), ("['b']", 3.0)]
    """
    parts = _parts(tree)
    if parts is not None:
        for key, part in parts:
            yield from leaves(part, path + key)
    elif (parameters := parameters_of(tree)) is not None:
        yield from ((f"{path}.{name}", parameter) for name, parameter in parameters.items())
    elif tree is not None:
        yield path, tree


def _parts(tree: Any) -> list[tuple[str, Any]] | None:
    """Return the parts of a list, tuple or dict, with the last piece of their paths; None for anything else."""
    if isinstance(tree, dict):
        return [(f"[{key!r}]", part) for key, part in tree.items()]
    if isinstance(tree, (list, tuple)) and not _is_one_leaf(tree):
        return [(f"[{i}]", part) for i, part in enumerate(tree)]
    return None


def _is_one_leaf(value: Any) -> bool:
    """Return whether a value is a number, or a list or tuple of only numbers, possibly nested."""
    if isinstance(value, (list, tuple)):
        return bool(value) and not hasattr(value, "_fields") and all(map(_is_one_leaf, value))
    return isinstance(value, (bool, int, float, np.generic))


def replace_leaves(tree: Any, values: Iterable[Any]) -> Any:
    """Rebuild the tree with other leaves; an object of a registered type stays as it is."""
    return _rebuild(tree, iter(values), keep_objects=True)


def unflatten(tree: Any, values: Iterable[Any]) -> Any:
    """Rebuild the tree with a value for each leaf; a dict of values by parameter replaces each registered object.

    >>> unflatten({"w": [[1.0, 2.0], None], "b": 3.0}, "xy")
    {'w': ['x', None], 'b': 'y'}
    """
    return _rebuild(tree, iter(values), keep_objects=False)


def structure_of(tree: Any) -> Any:
    """Copy the containers, and replace registered objects by dicts, so that later changes do not matter."""
    return unflatten(tree, [leaf for _, leaf in leaves(tree)])


def unflatten_each(trees: Iterable[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    """Unflatten each of several trees, with values for the leaves of all of them, in order.

    `unflatten` cannot be used here, because it treats a tuple of numbers as one leaf.
    """
    iterator = iter(values)
    return tuple(_rebuild(tree, iterator, keep_objects=False) for tree in trees)


def _rebuild(tree: Any, values: Iterator[Any], keep_objects: bool) -> Any:
    if isinstance(tree, dict):
        return {key: _rebuild(part, values, keep_objects) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)) and not _is_one_leaf(tree):
        new = [_rebuild(part, values, keep_objects) for part in tree]
        if hasattr(tree, "_fields"):
            return type(tree)(*new)
        return new if isinstance(tree, list) else tuple(new)
    if (parameters := parameters_of(tree)) is not None:
        named = {name: next(values) for name in parameters}
        return tree if keep_objects else named
    return None if tree is None else next(values)


def matching_leaves(name: str, tree: Any, given: Any, path: str = "") -> Iterator[Any]:
    """Iterate over the leaves of ``given``, which must have the structure of ``tree`` (from :func:`structure_of`).

    Raises:
        ValueError: names the place at which the structures differ.
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
        yield from matching_leaves(name, part, other, path + key)
