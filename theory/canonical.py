"""The canonical text of an example: equal examples have equal texts, so that one that comes twice is known.

It is made of what is in the example. `repr` does not serve: NumPy's writes an array of more than 1,000 entries with an
ellipsis, and an object's own may be its address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

import minigrad as mg

__all__ = ["canonical_text"]

_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
_BY_NAME = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def canonical_text(value: Any, within: tuple[int, ...] = ()) -> str:
    """The types and values that make up a value, through containers, arrays, tensors and attributes of objects.

    Equal texts mean equal contents: the bytes of arrays are there, with dtype and shape, and nan is nan. The order of
    sets and dicts is not. What has neither attributes nor a repr of its own, and functions, are told apart by identity.
    within: the objects that it is a part of; one of them is written by its place among them.

    >>> canonical_text((1, [2.0, "a"]))
    "tuple(1, list(2.0, 'a'))"
    >>> canonical_text(np.array([1, 2], np.int8))
    'array(int8, (2,), 0102)'
    """
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if id(value) in within:
        return f"<{within.index(id(value))}>"
    inner = (*within, id(value))
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return f"array({value.dtype}, {value.shape}, {_listed(value.ravel().tolist(), inner)})"
        return f"array({value.dtype}, {value.shape}, {value.tobytes().hex()})"
    if isinstance(value, mg.Tensor):
        return f"Tensor({canonical_text(value.data)})"
    name = kind.__qualname__
    if isinstance(value, (tuple, list)):
        return f"{name}({_listed(value, inner)})"
    if isinstance(value, (set, frozenset)):
        return f"{name}({', '.join(sorted(canonical_text(item, inner) for item in value))})"
    if isinstance(value, Mapping):
        return f"{name}({_paired(value, inner)})"
    attributes = {} if isinstance(value, _BY_NAME) else _attributes(value)
    return f"{name}({_paired(attributes, inner)})" if attributes else repr(value)


def _listed(values: Iterable[Any], within: tuple[int, ...]) -> str:
    return ", ".join([canonical_text(value, within) for value in values])


def _paired(values: Mapping[Any, Any], within: tuple[int, ...]) -> str:
    pairs = ((canonical_text(key, within), canonical_text(value, within)) for key, value in values.items())
    return ", ".join(sorted(f"{key}: {value}" for key, value in pairs))


def _attributes(value: Any) -> dict[str, Any]:
    """What is in an object's `__dict__` and slots."""
    slots = (slot for kind in type(value).__mro__ for slot in _names(kind.__dict__.get("__slots__", ())))
    found = {slot: getattr(value, slot) for slot in slots if slot != "__dict__" and hasattr(value, slot)}
    return found | getattr(value, "__dict__", {})


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
