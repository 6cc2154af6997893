"""Access the OpenBLAS that NumPy bundles: its number of threads, its kernel and its matrix product.

NumPy has no functions for these, but the library has, under names that depend on how it was built. What may break:
NumPy may link another BLAS, or OpenBLAS may rename a function. Then :func:`_find` returns None: minigrad counts its own
threads, BLAS keeps the number of its threads, products are plain, and no recurrent layer is compiled.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Any

import numpy as np

__all__ = ["MOST_THREADS", "gemm", "get_threads", "kernel", "processor", "set_threads"]


def _find(name: str) -> Any:
    """Look up a function of OpenBLAS, such as ``openblas_get_num_threads``; None if it is missing."""
    try:
        # The extension that NumPy's functions are from. A search in it also covers the libraries that it is linked to.
        library = ctypes.CDLL(np.empty.__self__.__file__)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
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
def gemm(dtype: Any) -> tuple[int, str] | None:
    """Return the address and the integer type (``i32`` or ``i64``) of OpenBLAS's matrix product, or None."""
    letter, config = {"f": "s", "d": "d"}.get(dtype.char), _text("openblas_get_config")
    routine = _find(f"cblas_{letter}gemm") if letter and config else None
    integer = "i64" if "USE64BITINT" in config else "i32"
    return (ctypes.cast(routine, ctypes.c_void_p).value or 0, integer) if routine else None
