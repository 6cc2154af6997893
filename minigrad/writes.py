"""Detect writes into arrays that a gradient needs.

:data:`clock` numbers nodes and writes in order. Every function of minigrad that writes into a tensor calls
:func:`written`: ``tensor[...] = …``, an optimiser's step, ``load_state_dict``. If a node is younger than the last
write, the reverse pass only compares two numbers. Otherwise it looks up the last write into the memory of each
residual. Views share memory, so writes are recorded by the array that owns the memory.

A call copies what its gradient needs of an ndarray, so you may overwrite that array afterwards. It does not copy a
tensor, and a write through ``tensor.data`` is not announced: :class:`.detect_anomaly` detects such writes.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Iterable, MutableSequence, MutableSet
from copy import copy
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from .observers import location
from .spec import Array, describe

if TYPE_CHECKING:
    from .core import Node

__all__ = ["arrays_in", "check_unwritten", "checksum", "compact_copy", "owner", "private", "saved_by", "written"]

clock = count(1)
"""Numbers nodes and writes in the order in which they happen."""
last_write = 0
"""The number of the last write."""
_writes: dict[int, tuple[weakref.ref[Array], int]] = {}
"""A weak reference to the owner of the memory, and the number of the last write, by the id of the owner."""


def written(array: Array) -> None:
    """Announce a write into an array, so that a reverse pass that needs the old values raises.

    >>> import minigrad as mg
    >>> w, x = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0])
    >>> y = w * x
    >>> x[0] = 5  # announces it
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: backward: multiply saved float32 (1,) for its gradient, and it, or ...
    """
    global last_write
    last_write = next(clock)
    memory = array if array.base is None else owner(array)
    key = id(memory)
    known = _writes.get(key, (None, 0))[0]
    _writes[key] = (
        known if known and known() is memory else weakref.ref(memory, lambda _: _writes.pop(key, None)),
        last_write,
    )


def arrays_in(values: Any) -> list[Array]:
    """Return the arrays in nested tuples, lists and dicts."""
    found: list[Array] = []
    stack = [values]
    while stack:
        value = stack.pop()
        if isinstance(value, np.ndarray):
            found.append(value)
        elif isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, (tuple, list)):
            stack += value
    return found


def owner(array: Array) -> Array:
    """Return the array that owns the memory of an array."""
    memory, base = array, array.base
    while base is not None:  # as_strided inserts a base that is not an ndarray
        if isinstance(base, np.ndarray):
            memory = base
        base = getattr(base, "base", None)
    return memory


def private(value: Any, given: Iterable[Array]) -> Any:
    """Copy each array in nested tuples, lists and dicts that shares memory with an array in ``given``.

    The containers are rebuilt, so that a list that the caller changes later does not matter either.

    >>> buffer = np.zeros(2)
    >>> kept = private((buffer[:1], "axis"), [buffer])
    >>> buffer[:] = 5
    >>> kept
    (array([0.]), 'axis')
    """
    return _copied(value, {id(owner(array)) for array in given}, {})


_ATOMS = frozenset((bool, int, float, str, type(None)))


def _copied(value: Any, owners: set[int], copies: dict[int, Array]) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, np.ndarray):
        if id(owner(value)) not in owners:
            return value
        if id(value) not in copies:
            copies[id(value)] = compact_copy(value)
        return copies[id(value)]
    if hasattr(value, "_make"):  # a named tuple
        return value._make(_copied(part, owners, copies) for part in value)
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)([_copied(part, owners, copies) for part in value])
    if isinstance(value, dict):
        return {key: _copied(part, owners, copies) for key, part in value.items()}
    return copy(value) if isinstance(value, (MutableSequence, MutableSet)) else value


def checksum(array: Any) -> int:
    """Return a checksum of the entries of an array or number."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def check_unwritten(node: Node) -> None:
    """Raise a ValueError if an array that a node's gradient needs was overwritten since the node was created."""
    for array in arrays_in((node.residuals, getattr(node, "inputs", ()), node.params)):
        reference, time = _writes.get(id(owner(array)), (None, 0))
        if time > node.born and reference is not None and reference() is not None:
            raise ValueError(
                f"backward: {saved_by(node, array)}, or memory that it shares, was overwritten since then by "
                "tensor[...] = ..., an optimiser's step, load_state_dict, or another pass that added to a .grad. Call "
                "backward before writing, run the forward pass again afterwards, or create a new tensor (a copy of "
                "x.detach(), mg.ops.put)."
            )


def saved_by(node: Node, array: Array) -> str:
    """Say which node saved an array, to begin the message that it was overwritten."""
    return f"{node.primitive.name}{location(node)} saved {describe(array)} for its gradient, and it"


def compact_copy(array: Array) -> Array:
    """Copy an array, but each entry that broadcasting repeats only once."""
    if 0 not in array.strides:
        return array.copy("K")
    distinct = array[tuple(slice(None) if step else slice(1) for step in array.strides)]
    return np.broadcast_to(distinct.copy("K"), array.shape)
