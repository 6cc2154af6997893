"""Which arrays were written into, and when: a gradient that is computed from what was overwritten would be wrong.

A node notes the time at which it was made; what writes into an array that a tensor holds (``tensor[...] = …``, an
optimiser's step, ``load_state_dict``) says so by :func:`written`. If anything was written since a node was made, the
reverse pass asks :func:`overwritten` whether it was memory of this node's residuals. Time is the number of writes so
far, so that a pass without writes costs one comparison a node.

PyTorch keeps a version with each tensor instead, and compares it with the one that a node saved; here the question is
put to memory, which views share, and nothing is saved. The engine does not see a write through ``tensor.data`` or into
an ndarray that was passed to a primitive: :mod:`minigrad.anomaly.fingerprints` guards the latter, and
:func:`minigrad.detect_anomaly` finds both.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import numpy as np

from .spec import Array

__all__ = ["arrays_in", "overwritten", "owner", "written"]

clock = 0
"""How many writes there were."""

# By the id of the array that owns the memory: a reference that keeps nothing alive, and the time of the last write.
_writes: dict[int, tuple[weakref.ref[Array], int]] = {}


def written(array: Array) -> None:
    """Say that an array was written into, so that a gradient that needs what it held is refused.

    >>> import minigrad as mg
    >>> w, x = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0])
    >>> y = w * x
    >>> x[0] = 5  # says so
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: backward: multiply saved float32 (1,) for its gradient, and it, or ...
    """
    global clock
    clock += 1
    memory = owner(array)
    key = id(memory)
    _writes[key] = weakref.ref(memory, partial(_writes.pop, key)), clock  # in C: no interrupt is lost in it


def overwritten(values: Any, since: int) -> Array | None:
    """The first array in nested tuples, lists and dicts whose memory was written into after a time, or None."""
    for array in arrays_in(values):
        reference, time = _writes.get(id(owner(array)), (None, 0))
        if time > since and reference is not None and reference() is not None:
            return array
    return None


def arrays_in(values: Any) -> list[Array]:
    """The arrays in nested tuples, lists and dicts."""
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
    """The array whose memory an array is a view of; that of `as_strided` hides behind an object of NumPy's."""
    memory = array
    base: Any = array.base
    while base is not None:
        if isinstance(base, np.ndarray):
            memory = base
        base = getattr(base, "base", None)
    return memory
