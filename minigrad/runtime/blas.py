"""What NumPy's matrix products are computed by, and on how many threads: asked of the OpenBLAS that NumPy brings.

NumPy has no functions for it, but the library has, under names that depend on how it was built. Where they are
not found (another BLAS, or Windows), nothing is known and nothing can be set. One routine is called from here, too.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import numpy as np
import numpy._core._multiarray_umath as _linked

Array = np.ndarray[Any, Any]

__all__ = ["axpby", "get_threads", "kernel", "processor", "set_threads", "setter"]

# What is nearer to 0 may become 0 where it is rounded to the dtype.
_SMALLEST = {np.dtype(dtype): float(np.finfo(dtype).tiny) for dtype in (np.float32, np.float64)}
_WORTH_A_CALL = 2**12  # numbers: the call takes 2 µs, as long as NumPy takes for so many

_NAMES = [(prefix, suffix) for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")]


def _find(kind: Callable[[str], Any] = ctypes.CDLL) -> Callable[[str], Any] | None:
    """From a name such as ``openblas_get_num_threads`` to the library's function; None if there is no such library."""
    try:
        library = kind(_linked.__file__)  # a look-up in NumPy's extension finds what it is linked to
    except OSError:
        return None
    for prefix, suffix in _NAMES:
        if hasattr(library, f"{prefix}openblas_get_num_threads{suffix}"):
            return lambda name: getattr(library, f"{prefix}{name}{suffix}")
    return None


_find_function = _find()
_find_setting = _find(ctypes.PyDLL)  # keeps the interpreter's lock in a call: minigrad.runtime.threads relies on it
_get = _find_setting and _find_setting("openblas_get_num_threads")
_set = _find_setting and _find_setting("openblas_set_num_threads")
if _set:
    _set.restype = None


def get_threads() -> int | None:
    """How many threads a product may use now; None if that cannot be asked."""
    return _get() if _get else None


def set_threads(number: int) -> None:
    """Use at most so many from now on, in the whole process; without effect where it cannot be set."""
    if _set:
        _set(number)


def setter() -> Callable[[int], None]:
    """What `set_threads` calls: a function written in C, which no interrupt ends halfway."""
    assert _set is not None, "ask get_threads first"
    return _set  # type: ignore[no-any-return]


def kernel() -> str:
    """The processor whose kernel OpenBLAS has chosen, such as ``Haswell`` or ``SkylakeX``; empty if it is not known."""
    if _find_function is None:
        return ""
    name = _find_function("openblas_get_corename")
    name.restype = ctypes.c_char_p
    return (name() or b"").decode()


def processor(path: str = "/proc/cpuinfo") -> tuple[str, int]:
    """The processor's vendor and family, such as ``("AuthenticAMD", 25)``; ``("", 0)`` where Linux does not say it.

    One kernel of OpenBLAS serves processors on which the same products take different times.
    """
    try:
        with open(path) as file:
            lines = takewhile(str.strip, file)  # the first processor's, up to an empty line
            fields = dict([part.strip() for part in line.split(":", 1)] for line in lines if ":" in line)
        return fields["vendor_id"], int(fields["cpu family"])
    except (OSError, KeyError, ValueError):
        return "", 0


def _find_axpby() -> dict[Any, Callable[..., None]]:
    """The routine for each dtype, where the library has it."""
    routines = {}
    for dtype, letter, number in ((np.float32, "s", ctypes.c_float), (np.float64, "d", ctypes.c_double)):
        try:
            routine = _find_function and _find_function(f"cblas_{letter}axpby")
        except AttributeError:
            continue
        if routine:
            integer = ctypes.c_int64 if "64" in routine.__name__ else ctypes.c_int
            routine.argtypes = [integer, number, ctypes.c_void_p, integer, number, ctypes.c_void_p, integer]
            routine.restype = None
            routines[np.dtype(dtype)] = routine
    return routines


_axpby = _find_axpby()


def axpby(a: float, x: Array, b: float, y: Array) -> None:
    """y <- a x + b y for arrays of one shape and dtype, in one pass where the library has the routine.

    Of 131,072 float32 it takes 16 µs, NumPy's three passes 31. The routine leaves out a term whose coefficient
    is 0, where 0 times NaN (or infinity) is NaN: such calls are NumPy's, so that an entry's fate never depends on
    how many there are.

    >>> y = np.array([1.0, 2.0])
    >>> axpby(10, np.array([3.0, 4.0]), 0.5, y)
    >>> y
    array([30.5, 41. ])
    """
    routine = _axpby.get(y.dtype) if y.size >= _WORTH_A_CALL and y.dtype == x.dtype and x.shape == y.shape else None
    if routine and y.flags.carray and x.flags.c_contiguous and x.flags.aligned:  # carray: also writeable
        smallest = _SMALLEST[y.dtype]
        if abs(a) >= smallest <= abs(b):
            routine(y.size, a, x.ctypes.data, 1, b, y.ctypes.data, 1)
            return
    if b != 1:
        y *= b
    y += a * x
