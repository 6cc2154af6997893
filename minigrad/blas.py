"""What NumPy's matrix products are computed by, and on how many threads: asked of the OpenBLAS that NumPy brings.

NumPy has no functions for it, but the library has, under names that depend on how it was built. Where they are
not found (another BLAS, or Windows), nothing is known and nothing can be set.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy._core._multiarray_umath as _linked

__all__ = ["get_threads", "kernel", "set_threads"]

_NAMES = [(prefix, suffix) for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")]


def _find() -> Callable[[str], Any] | None:
    """From a name as in ``openblas_<name>`` to the library's function; None if there is no such library."""
    try:
        library = ctypes.CDLL(_linked.__file__)  # a look-up in NumPy's extension finds what it is linked to
    except OSError:
        return None
    for prefix, suffix in _NAMES:
        if hasattr(library, f"{prefix}openblas_get_num_threads{suffix}"):
            return lambda name: getattr(library, f"{prefix}openblas_{name}{suffix}")
    return None


_find_function = _find()
_get = _find_function and _find_function("get_num_threads")
_set = _find_function and _find_function("set_num_threads")


def get_threads() -> int | None:
    """How many threads a product may use now; None if that cannot be asked."""
    return _get() if _get else None


def set_threads(number: int) -> None:
    """Use at most so many from now on, in the whole process; without effect where it cannot be set."""
    if _set:
        _set(number)


def kernel() -> str:
    """The processor whose kernel OpenBLAS has chosen, such as ``Haswell`` or ``SkylakeX``; empty if it is not known."""
    if _find_function is None:
        return ""
    name = _find_function("get_corename")
    name.restype = ctypes.c_char_p
    return (name() or b"").decode()
