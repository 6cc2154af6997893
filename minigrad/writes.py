"""Detect writes into arrays that a gradient needs.

:data:`clock` numbers nodes and writes in order. Every function of minigrad that writes into a tensor calls
:func:`written`: ``tensor[...] = …``, an optimiser's step, ``load_state_dict``. If a node is younger than the last
write, the reverse pass only compares two numbers. Otherwise it looks up the last write into the memory of each
residual. Views share memory, so writes are recorded by the array that owns the memory.

Writes through ``tensor.data``, or into an ndarray that was passed to a primitive, are not announced. :func:`guard`
protects residuals that share memory with such an ndarray: it copies small ones and keeps a checksum of large ones.
"""

from __future__ import annotations

import weakref
import zlib
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from .observers import location
from .spec import Array, describe

if TYPE_CHECKING:
    from .core import Node

__all__ = ["Guard", "arrays_in", "check_unwritten", "guard", "overwritten", "owner", "written"]

clock = count(1)
"""Numbers nodes and writes in the order in which they happen."""
last_write = 0
"""The number of the last write."""
_writes: dict[int, tuple[weakref.ref[Array], int]] = {}
"""A weak reference to the owner of the memory, and the number of the last write, by the id of the owner."""

_MAX_COPIED_BYTES = 2**20
_SAMPLES = 4096


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
    memory = owner(array)
    key = id(memory)
    _writes[key] = weakref.ref(memory, lambda _: _writes.pop(key, None)), last_write


def overwritten(values: Any, since: int) -> Array | None:
    """Return the first array in nested tuples, lists and dicts whose memory was written to after ``since``, or None."""
    for array in arrays_in(values):
        reference, time = _writes.get(id(owner(array)), (None, 0))
        if time > since and reference is not None and reference() is not None:
            return array
    return None


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
    memory = array
    base: Any = array.base
    while base is not None:  # as_strided inserts a base that is not an ndarray
        if isinstance(base, np.ndarray):
            memory = base
        base = getattr(base, "base", None)
    return memory


class Guard:
    """Checksums of arrays that a node's gradient needs, and the number of the node.

    While a node has a guard, ``node.born`` is -1, so that every pass checks it. If ``sampled``, the checksum of a large
    array covers a fixed sample of its entries.
    """

    def __init__(self, node: Node, arrays: Sequence[Array], sampled: bool) -> None:
        self.born: int = node.guard.born if hasattr(node, "guard") else node.born
        self.sampled = sampled
        self.checksums = [(array, _checksum(array, sampled), sampled) for array in arrays]
        node.guard, node.born = self, -1


def guard(node: Node, arguments: Sequence[Any]) -> None:
    """Protect what a node saved for its gradient from writes into the ndarrays among the call's arguments."""
    owners = {id(owner(array)) for array in arrays_in(arguments)}
    if not owners or node.born == -1:  # -1: it has a guard already
        return
    large: list[Array] = []
    node.residuals = _copied(node.residuals, owners, large)
    if node.primitive.keeps_inputs:
        node.inputs = _copied(node.inputs, owners, large)
    if large:
        Guard(node, large, sampled=True)


def _copied(value: Any, owners: set[int], large: list[Array]) -> Any:
    """Copy small arrays in nested containers whose memory has one of these owners; append large ones to ``large``."""
    if isinstance(value, np.ndarray):
        if id(owner(value)) not in owners:
            return value
        distinct = _distinct(value)
        if distinct.nbytes > _MAX_COPIED_BYTES:
            large.append(value)
            return value
        return value.copy("K") if distinct is value else np.broadcast_to(distinct.copy("K"), value.shape)
    if isinstance(value, dict):
        return {key: _copied(part, owners, large) for key, part in value.items()}
    if type(value) in (tuple, list) or hasattr(value, "_make"):  # a named tuple
        parts = [_copied(part, owners, large) for part in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    return value


def check_unwritten(node: Node) -> None:
    """Raise a ValueError if an array that a node's gradient needs was overwritten since the node was created."""
    saved: Guard | None = getattr(node, "guard", None)
    array = overwritten((node.residuals, getattr(node, "inputs", ())), node.born if saved is None else saved.born)
    if array is not None:
        raise ValueError(
            f"{_saved(node, array)}, or memory that it shares, was overwritten since then by tensor[...] = ..., "
            "an optimiser's step, load_state_dict, or another pass that added to a .grad. Call backward before "
            "writing, run the forward pass again afterwards, or create a new tensor (a copy of x.detach(), mg.ops.put)."
        )
    for array, expected, sampled in [] if saved is None else saved.checksums:
        if _checksum(array, sampled) != expected:
            raise ValueError(
                f"{_saved(node, array)} was overwritten since then through an ndarray that shares its memory: .data, "
                ".numpy(), or a NumPy array that was passed without a copy. Call backward before you overwrite it, or "
                "pass a copy."
            )


def _saved(node: Node, array: Array) -> str:
    return f"backward: {node.primitive.name}{location(node)} saved {describe(array)} for its gradient, and it"


def _distinct(array: Array) -> Array:
    """Return the array without entries that broadcasting repeats."""
    return array[tuple(slice(None) if step else slice(1) for step in array.strides)] if 0 in array.strides else array


def _checksum(array: Array, sampled: bool) -> int:
    if sampled and _distinct(array).nbytes > _MAX_COPIED_BYTES:
        array = array.flat[np.random.default_rng(0).integers(array.size, size=_SAMPLES)]
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
