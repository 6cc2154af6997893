"""Access the OpenBLAS that NumPy bundles: number of threads, kernel, and one routine that NumPy lacks.

NumPy has no functions for these, but the library has, under names that depend on how it was built. With another BLAS,
or if the names are not found, nothing is known and nothing can be set.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy._core._multiarray_umath as _linked

Array = np.ndarray[Any, Any]

__all__ = ["MOST_THREADS", "axpby", "gemm", "get_threads", "kernel", "processor", "set_threads"]

# A smaller coefficient may become 0 when it is rounded to the dtype.
_SMALLEST = {np.dtype(dtype): float(np.finfo(dtype).tiny) for dtype in (np.float32, np.float64)}

_WORTH_A_CALL = 2**12  # entries: the call takes 2 µs, as long as NumPy takes for this many


def _find(name: str) -> Any:
    """Look up a function of OpenBLAS, such as ``openblas_get_num_threads``; None if it is missing."""
    try:
        library = ctypes.CDLL(_linked.__file__)  # also finds what NumPy's extension is linked to
    except OSError:
        return None
    names = [f"{prefix}{name}{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")]
    return next((getattr(library, full) for full in names if hasattr(library, full)), None)


def _text(name: str) -> str:
    """Return the text that a function of OpenBLAS returns; empty if the function is missing."""
    function = _find(name)
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return (function() or b"").decode()


_get = _find("openblas_get_num_threads")
_set = _find("openblas_set_num_threads")

# The most threads that OpenBLAS was built for. It takes a larger number for this one.
MOST_THREADS = max(map(int, re.findall(r"MAX_THREADS=(\d+)", _text("openblas_get_config"))), default=1024)


def get_threads() -> int | None:
    """Return how many threads a product may use now; None if that is not known."""
    return _get() if _get else None


def set_threads(number: int) -> None:
    """Use at most this many threads in the whole process; no effect if the library does not allow it."""
    if _set:
        _set(number)


def kernel() -> str:
    """Return the processor whose kernel OpenBLAS has chosen, such as ``Haswell`` or ``SkylakeX``; empty if unknown."""
    return _text("openblas_get_corename")


def processor(path: str = "/proc/cpuinfo") -> tuple[str, int]:
    """Return the processor's vendor and family, such as ``("AuthenticAMD", 25)``; ``("", 0)`` if Linux does not say.

    One OpenBLAS kernel supports several processors, on which the same products take different times.
    """
    try:
        with open(path) as file:
            fields = dict(re.findall(r"(vendor_id|cpu family)\s*: (\w+)", file.read(500)))  # the first processor's
        return fields["vendor_id"], int(fields["cpu family"])
    except (OSError, KeyError, ValueError):
        return "", 0


@cache
def gemm(dtype: np.dtype[Any]) -> tuple[int, str] | None:
    """Return the address of OpenBLAS's matrix product and its type of integers, ``i32`` or ``i64``; None without it."""
    letter = {"f": "s", "d": "d"}.get(dtype.char)
    routine = _find(f"cblas_{letter}gemm") if letter and _get else None
    if routine is None:
        return None
    return ctypes.cast(routine, ctypes.c_void_p).value or 0, "i64" if "64" in routine.__name__ else "i32"


_axpby: dict[Any, Callable[..., None]] = {}  # by dtype, where the library has the routine
for _dtype, _letter, _number in ((np.float32, "s", ctypes.c_float), (np.float64, "d", ctypes.c_double)):
    _routine = _find(f"cblas_{_letter}axpby")
    if _routine and _get:
        _integer = ctypes.c_int64 if "64" in _routine.__name__ else ctypes.c_int
        _routine.argtypes = [_integer, _number, ctypes.c_void_p, _integer, _number, ctypes.c_void_p, _integer]
        _routine.restype = None
        _axpby[np.dtype(_dtype)] = _routine


def axpby(a: float, x: Array, b: float, y: Array) -> None:
    """Compute y <- a x + b y for arrays of one shape and dtype, in one pass if the library has the routine.

    For 131,072 float32 entries it takes 16 µs, NumPy's three passes 31. The routine leaves out a term whose coefficient
    is 0, although 0 times NaN (or infinity) is NaN. NumPy computes such calls, so that results do not depend on the
    size.

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
