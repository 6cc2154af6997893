"""Nested lists, tuples, dicts and modules, whose parts are what a function is differentiated in.

A *structure* is a tensor, array or number (a leaf of it), None (which has no leaves), a module (whose leaves are those
of its parameters that require a gradient), or a list, tuple, named tuple or dict of structures. What is computed for
each leaf comes in the same structure; for a module it is a dict by the names of its parameters. Lists and tuples of
nothing but numbers are one leaf, as they are the data of one tensor everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .nn import Module
from .spec import describe

__all__ = ["each_like", "filled", "leaves", "like", "matched", "outline"]


def leaves(structure: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf, and the path to it, such as ``['weights'][0]``; that of a module's parameter ends with its name.

    >>> list(leaves({"w": [[1.0, 2.0], None], "b": 3.0}))
    [("['w'][0]", [1.0, 2.0]), ("['b']", 3.0)]
    """
    if isinstance(structure, Module):
        for name, parameter in structure.named_parameters():
            if parameter.requires_grad:
                yield f"{path}.{name}", parameter
    elif isinstance(structure, dict):
        for key, part in structure.items():
            yield from leaves(part, f"{path}[{key!r}]")
    elif _has_parts(structure):
        for i, part in enumerate(structure):
            yield from leaves(part, f"{path}[{i}]")
    elif structure is not None:
        yield path, structure


def _has_parts(structure: Any) -> bool:
    return isinstance(structure, (list, tuple)) and not _is_data(structure)


def _is_data(value: Any) -> bool:
    """Whether a list or tuple holds numbers alone, nested or not."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_data, value))
    return isinstance(value, (bool, int, float, np.generic))


def filled(structure: Any, values: Iterable[Any]) -> Any:
    """The structure with other leaves; a module, which holds its own, stays itself."""
    return _filled(structure, iter(values), keep=True)


def like(structure: Any, values: Iterable[Any]) -> Any:
    """One value for each leaf, in the same structure; for a module in a dict by the names of its parameters.

    >>> like({"w": [[1.0, 2.0], None], "b": 3.0}, "xy")
    {'w': ['x', None], 'b': 'y'}
    """
    return _filled(structure, iter(values), keep=False)


def outline(structure: Any) -> Any:
    """The structure as it is now, a module as a dict of its parameters: to be filled later, whatever becomes of it."""
    return like(structure, [leaf for _, leaf in leaves(structure)])


def each_like(structures: Iterable[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    """The same for each of some structures, with values for the leaves of all of them."""
    iterator = iter(values)
    return tuple(_filled(structure, iterator, keep=False) for structure in structures)


def _filled(structure: Any, values: Iterator[Any], keep: bool) -> Any:
    if isinstance(structure, Module):
        named = {path[1:]: next(values) for path, _ in leaves(structure)}
        return structure if keep else named
    if isinstance(structure, dict):
        return {key: _filled(part, values, keep) for key, part in structure.items()}
    if _has_parts(structure):
        parts = [_filled(part, values, keep) for part in structure]
        if hasattr(structure, "_fields"):
            return type(structure)(*parts)
        return parts if isinstance(structure, list) else tuple(parts)
    return None if structure is None else next(values)


def matched(name: str, structure: Any, given: Any, path: str = "") -> Iterator[Any]:
    """The leaves of something that must have the same structure, in order.

    Raises:
        ValueError: names the place at which they differ.
    """
    if isinstance(structure, dict):
        if not isinstance(given, dict) or given.keys() != structure.keys():
            raise ValueError(f"{name}{path} must be a dict with the keys {', '.join(map(repr, structure))}")
        for key, part in structure.items():
            yield from matched(name, part, given[key], f"{path}[{key!r}]")
    elif _has_parts(structure):
        if not isinstance(given, (list, tuple)) or len(given) != len(structure):
            raise ValueError(f"{name}{path} must be a list or tuple of {len(structure)} parts, not {describe(given)}")
        for i, (part, other) in enumerate(zip(structure, given, strict=True)):
            yield from matched(name, part, other, f"{path}[{i}]")
    elif structure is not None:
        yield given
