"""How optimisers go through large arrays: in blocks of 128K entries, which the threads share.

So the five or so arrays of one update stay in the processor's cache while a dozen NumPy calls pass over them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..runtime.threads import run_in_parallel
from ..spec import Array, DType

__all__ = ["blocks", "precise", "run", "scratch"]

_BLOCK = 131072  # entries; 256K and 512K take as long, 64K and fewer longer, on one thread and on two


class _Scratch(threading.local):
    """A block for each purpose and dtype; each thread has its own."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[int, Any], Array] = {}


_scratch = _Scratch()


def scratch(like: Array, number: int = 0) -> Array:
    """Scratch space of a block's shape and dtype; its content is whatever was left there."""
    if like.ndim != 1 or like.size > _BLOCK:
        return np.empty_like(like)
    key = (number, like.dtype)
    if key not in _scratch.arrays:
        _scratch.arrays[key] = np.empty(_BLOCK, like.dtype)
    return _scratch.arrays[key][: like.size]


def precise(dtype: DType) -> DType:
    """The dtype in which the steps of a parameter are computed and remembered."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def blocks(arrays: Sequence[Array]) -> Iterator[Sequence[Array]]:
    """Corresponding flat pieces of arrays of one shape; the whole arrays if they are not contiguous."""
    if not all(a.flags.c_contiguous for a in arrays):
        yield arrays
        return
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield [a[start : start + _BLOCK] for a in flat]


def run(updates: list[Callable[[], None]], entries: int) -> None:
    """Run what changes so many entries, on threads if there are enough to wake one for."""
    run_in_parallel(updates, worth=entries >= 2 * _BLOCK)
