"""What an attribute of a module may hold.

Lists, tuples and dicts are searched, of any depth. What lies in other containers is not: a set has no order, so names
would change from run to run; a generator is gone once it is read; the rest is named by nothing. There, parameters and
modules would silently go untrained and unsaved, so that they are refused.
"""

from __future__ import annotations

from collections import ChainMap, UserDict, UserList, deque
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from dataclasses import fields, is_dataclass
from types import GeneratorType, MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["SEARCHED", "entries", "is_iterator", "unsearched", "walk"]

SEARCHED = (dict, list, tuple)
_SEQUENCES = (set, frozenset, deque, KeysView, ValuesView, ItemsView, UserList)
_MAPPINGS = (MappingProxyType, UserDict, ChainMap)


def entries(name: str, value: Any) -> list[tuple[str, Any]]:
    """The named contents of a list, tuple or dict; nothing of anything else."""
    if not isinstance(value, SEARCHED):
        return []
    prefix = f"{name}." if name else ""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return [(f"{prefix}{key}", entry) for key, entry in pairs]


def unsearched(value: Any) -> list[Any]:
    """What lies in a container that modules do not search; nothing if it is no such container."""
    if isinstance(value, _SEQUENCES):
        return list(value)
    if isinstance(value, _MAPPINGS):
        return list(value.values())
    if isinstance(value, SimpleNamespace):
        return list(vars(value).values())
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in fields(value)]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.ravel().tolist()
    return []


def is_iterator(value: Any) -> bool:
    """Whether its contents can be read only once."""
    return isinstance(value, (GeneratorType, map, filter, zip, reversed))


def walk(name: str, value: Any, closed: type) -> Iterator[tuple[str, Any, Any]]:
    """A value and all that lies in it, each with its name and the container (or None) that hides it from modules.

    What is of the type ``closed`` is not opened.
    """
    seen: set[int] = set()
    stack: list[tuple[str, Any, Any]] = [(name, value, None)]
    while stack:
        name, value, hiding = stack.pop()
        yield name, value, hiding
        if isinstance(value, closed):
            continue
        inside = [(key if hiding is None else name, entry, hiding) for key, entry in entries(name, value)]
        inside += [(name, entry, value if hiding is None else hiding) for entry in unsearched(value)]
        if inside and id(value) not in seen:
            seen.add(id(value))
            stack += reversed(inside)
