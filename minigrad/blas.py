"""How many threads NumPy's matrix products use: asked of and told to the OpenBLAS that NumPy's wheels bring.

NumPy has no function for it, but the library has, under a name that depends on how it was built. Where it is
not found (another BLAS, or Windows), nothing is known and nothing can be set.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy._core._multiarray_umath as _linked

__all__ = ["get_threads", "set_threads"]

_NAMES = [(prefix, suffix) for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")]


def _find() -> tuple[Callable[[], int], Callable[[int], Any]] | None:
    """The library's two functions; a look-up in NumPy's own extension finds what it is linked to."""
    try:
        library = ctypes.CDLL(_linked.__file__)
    except OSError:
        return None
    for prefix, suffix in _NAMES:
        name = f"{prefix}openblas_{{}}_num_threads{suffix}"
        if hasattr(library, name.format("get")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None


_functions = _find()


def get_threads() -> int | None:
    """How many threads a product may use now; None if that cannot be asked."""
    return None if _functions is None else _functions[0]()


def set_threads(number: int) -> None:
    """Use at most so many from now on, in the whole process; without effect where it cannot be set."""
    if _functions is not None:
        _functions[1](number)
