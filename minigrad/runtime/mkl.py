"""Compute matrix products with Intel's MKL, if its package ``mkl`` is installed.

A product copies both matrices into the order of its inner loop. MKL offers the copying separately (*packing*), so a
weight that every step of a recurrent layer multiplies by is packed once for all steps.

MKL runs on one thread, because minigrad has its own threads (:mod:`.threads`), and gives results that do not depend on
where the arrays are in memory. Both must be set before its first product. If another package in the process has already
used MKL, minigrad does not use it.
"""

from __future__ import annotations

import ctypes
import re
import site
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

__all__ = ["Packed", "gemm", "path", "reason_against", "version"]

_SEQUENTIAL, _INTEGERS_OF_32_BITS, _AUTOMATIC = 1, 0, 2  # of MKL's enumerations, and these are of CBLAS's:
_ROW_MAJOR, _AS_IT_IS, _TRANSPOSED, _PACKED, _RIGHT_MATRIX = 101, 111, 112, 151, 162
_LARGEST = 2**31 - 1  # a length, or a step from row to row
_LETTERS = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
_INT, _PLACE = ctypes.c_int, ctypes.c_void_p
_CACHE_LINE = 64


def path() -> Path | None:
    """Return the newest library that the package ``mkl`` installed; None if there is none."""
    folders = [Path(prefix, folder) for prefix in (sys.prefix, sys.base_prefix, site.getuserbase() or sys.prefix)
               for folder in ("lib", "Library/bin")]  # fmt: skip
    names = "libmkl_rt.so*", "libmkl_rt*.dylib", "mkl_rt*.dll"
    found = (path for folder in folders for name in names for path in sorted(folder.glob(name), reverse=True))
    return next(found, None)


@cache
def _opened() -> tuple[Any, str]:
    """Return the library and an empty string, or None and why it is not used."""
    where = path()
    if where is None:
        return None, "the package mkl is not installed"
    try:
        library = ctypes.CDLL(str(where))
        layer = library.MKL_Set_Threading_Layer(_SEQUENTIAL)
        integers = library.MKL_Set_Interface_Layer(_INTEGERS_OF_32_BITS)
        if (layer, integers) != (_SEQUENTIAL, _INTEGERS_OF_32_BITS) or library.MKL_CBWR_Set(_AUTOMATIC):
            return None, "another package in this process has already used MKL with its own settings"
        for letter, number in (("s", ctypes.c_float), ("d", ctypes.c_double)):
            for name, result, arguments in (
                ("", None, [*[_INT] * 6, number, _PLACE, _INT, _PLACE, _INT, number, _PLACE, _INT]),
                ("_pack_get_size", ctypes.c_size_t, [_INT] * 4),
                ("_pack", None, [*[_INT] * 6, number, _PLACE, _INT, _PLACE]),
                ("_compute", None, [*[_INT] * 6, _PLACE, _INT, _PLACE, _INT, number, _PLACE, _INT]),
            ):
                routine = getattr(library, f"cblas_{letter}gemm{name}")
                routine.restype, routine.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        return None, f"{where} cannot be used: {error}"
    return library, ""


def version() -> str:
    """Return the version of the library, such as ``2026.2``; empty if it is not used."""
    library, _ = _opened()
    if library is None:
        return ""
    text = ctypes.create_string_buffer(200)
    library.MKL_Get_Version_String(text, len(text))
    return re.search(rb"[\d.]+|$", text.value)[0].decode()  # type: ignore[index]


def reason_against() -> str:
    """Return why MKL cannot be used here; empty if it can."""
    return _opened()[1]


def _layout(x: Array) -> tuple[int, int] | None:
    """Return CBLAS's transposition flag and leading dimension, or None if neither axis is contiguous."""
    (M, N), (down, across) = x.shape, x.strides
    size = x.itemsize
    for transposition, along, step, length in ((_AS_IT_IS, across, down, N), (_TRANSPOSED, down, across, M)):
        if along == size and step % size == 0 and length * size <= step <= _LARGEST:
            return transposition, step // size
    return None


def _by_rows(x: Array) -> bool:
    """Return whether the rows of a matrix are contiguous, with or without gaps between them."""
    return (_layout(x) or (None,))[0] == _AS_IT_IS


def gemm(a: Array, b: Array, out: Array) -> bool:
    """Write a (M, K) times b (K, N) into out, if MKL can compute it; return whether it could.

    All are of one dtype, float32 or float64. The rows or the columns of a and b, and the rows of out, are contiguous.
    For other shapes, dtypes and layouts out is not changed. `reason_against` must be empty.
    """
    letter, (M, K), N = _LETTERS.get(out.dtype), a.shape, b.shape[1]
    fits = a.dtype == b.dtype == out.dtype and b.shape[0] == K and out.shape == (M, N) and min(M, K, N) > 0
    if not letter or not fits or not (a.flags.aligned and b.flags.aligned and out.flags.behaved):
        return False
    of_a, of_b, of_out = _layout(a), _layout(b), _layout(out)
    if of_a is None or of_b is None or of_out is None or of_out[0] != _AS_IT_IS or max(M, K, N) > _LARGEST:
        return False
    routine = getattr(_opened()[0], f"cblas_{letter}gemm")
    routine(_ROW_MAJOR, of_a[0], of_b[0], M, N, K, 1.0, a.ctypes.data, of_a[1], b.ctypes.data, of_b[1], 0.0,
            out.ctypes.data, of_out[1])  # fmt: skip
    return True


class Packed:
    """A packed matrix, by which to multiply many matrices of up to ``rows`` rows.

    Args:
        W: (K, parts M), or its transpose (parts M, K) with ``transposed``; C-contiguous, float32 or float64.

    Call it with a (n, K) and out (parts, n, M), both of W's dtype. It writes into out, whose rows must be
    contiguous.

    Raises:
        ValueError: for other shapes and dtypes, which would be read or written beyond their memory.
    """

    def __init__(self, W: Array, rows: int, parts: int = 1, transposed: bool = False) -> None:
        library, letter = _opened()[0], _LETTERS[W.dtype]
        self.K, columns = W.shape[::-1] if transposed else W.shape
        self.M, self.rows, self.dtype = columns // parts, rows, W.dtype
        self.compute = getattr(library, f"cblas_{letter}gemm_compute")
        pack = getattr(library, f"cblas_{letter}gemm_pack")
        size = getattr(library, f"cblas_{letter}gemm_pack_get_size")(_RIGHT_MATRIX, rows, self.M, self.K)
        self.memory = [np.empty(size + _CACHE_LINE, np.uint8) for _ in range(parts)]
        self.places = [-(-memory.ctypes.data // _CACHE_LINE) * _CACHE_LINE for memory in self.memory]
        turn = _TRANSPOSED if transposed else _AS_IT_IS
        for part, place in enumerate(self.places):
            first = W[part * self.M :] if transposed else W[:, part * self.M :]
            pack(_ROW_MAJOR, _RIGHT_MATRIX, turn, rows, self.M, self.K, 1.0, first.ctypes.data, W.shape[1], place)

    def __call__(self, a: Array, out: Array) -> None:
        n, behaved = len(a), out.flags.behaved and (not out.size or _by_rows(out[0]))
        fits = a.shape == (n, self.K) and n <= self.rows and out.shape == (len(self.places), n, self.M)
        if not fits or not a.dtype == out.dtype == self.dtype or not behaved:
            raise ValueError(
                f"{a.dtype} {a.shape} cannot be multiplied by a packed {self.dtype} matrix ({self.K}, {self.M}), for up"
                f" to {self.rows} rows, into {out.dtype} {out.shape} of strides {out.strides}"
            )
        if not _by_rows(a) or not a.flags.aligned:
            a = np.ascontiguousarray(a)
        step = max(a.strides[0] // a.itemsize, self.K)
        for part, place in zip(out, self.places, strict=True):
            self.compute(_ROW_MAJOR, _AS_IT_IS, _PACKED, n, self.M, self.K, a.ctypes.data, step, place, self.M, 0.0,
                         part.ctypes.data, max(part.strides[0] // part.itemsize, self.M))  # fmt: skip
