"""The content of an example as text, so that one that comes twice is known by what is in it.

`repr` does not serve: NumPy's writes an array of more than 1,000 entries with an ellipsis, and an object's own may be
its address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

import minigrad as mg

__all__ = ["content"]

_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})
_BY_NAME = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def content(value: Any, within: tuple[int, ...] = ()) -> str:
    """The types and values that make up a value, through containers, arrays, tensors and attributes of objects.

    Equal texts mean equal contents: the bytes of arrays are there, with dtype and shape, and nan is nan. The order of
    sets and dicts is not. What has neither attributes nor a repr of its own, and functions, are told apart by identity.
    within: the objects that it is a part of; one of them is written by its place among them.

    >>> content((1, [2.0, "a"]))
    "tuple(1, list(2.0, 'a'))"
    >>> content(np.array([1, 2], np.int8))
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
        return f"Tensor({content(value.data)})"
    name = kind.__qualname__
    if isinstance(value, (tuple, list)):
        return f"{name}({_listed(value, inner)})"
    if isinstance(value, (set, frozenset)):
        return f"{name}({', '.join(sorted(content(item, inner) for item in value))})"
    if isinstance(value, Mapping):
        return f"{name}({_paired(value, inner)})"
    attributes = {} if isinstance(value, _BY_NAME) else _attributes(value)
    return f"{name}({_paired(attributes, inner)})" if attributes else repr(value)


def _listed(values: Iterable[Any], within: tuple[int, ...]) -> str:
    return ", ".join([content(value, within) for value in values])


def _paired(values: Mapping[Any, Any], within: tuple[int, ...]) -> str:
    return ", ".join(sorted(f"{content(key, within)}: {content(value, within)}" for key, value in values.items()))


def _attributes(value: Any) -> dict[str, Any]:
    """What is in an object's `__dict__` and slots."""
    slots = (slot for kind in type(value).__mro__ for slot in _names(kind.__dict__.get("__slots__", ())))
    found = {slot: getattr(value, slot) for slot in slots if slot != "__dict__" and hasattr(value, slot)}
    return found | getattr(value, "__dict__", {})


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)
