"""Intel's MKL, where its package ``mkl`` is installed: products of matrices, and by one that is prepared once.

A product copies both matrices into the order of its inner loop. MKL has the copying apart (*packing*), so a weight by
which every step of a recurrent layer multiplies is packed once for all steps.

MKL is asked for one thread, since the threads are minigrad's (:mod:`.threads`), and for results that do not depend on
where in memory the arrays lie. Both must be asked for before its first product; where another package of the process
has used it before, it is left alone.
"""

from __future__ import annotations

import ctypes
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
_CACHE_LINE = 64


def path() -> Path | None:
    """The library of the package ``mkl``, if this Python finds one where the package installs it."""
    names = "libmkl_rt.so*", "libmkl_rt*.dylib", "mkl_rt*.dll"
    for prefix in (sys.prefix, sys.base_prefix, site.getuserbase()):
        for folder in ("lib", "Library/bin"):
            for name in names:
                for found in sorted(Path(prefix, folder).glob(name), reverse=True):  # the newest version first
                    return found
    return None


@cache
def _opened() -> tuple[Any, str]:
    """The library, and an empty sentence; or None, and why it is not used."""
    where = path()
    if where is None:
        return None, "the package mkl is not installed"
    try:
        library = ctypes.CDLL(str(where))
        layer = library.MKL_Set_Threading_Layer(_SEQUENTIAL)
        integers = library.MKL_Set_Interface_Layer(_INTEGERS_OF_32_BITS)
        if (layer, integers) != (_SEQUENTIAL, _INTEGERS_OF_32_BITS):
            return None, "another package of this process has begun to use MKL, in another way"
        if library.MKL_CBWR_Set(_AUTOMATIC):
            return None, "another package of this process has used MKL, and its results depend on where arrays lie"
        for letter, number in (("s", ctypes.c_float), ("d", ctypes.c_double)):
            _declare(library, letter, number)
    except (OSError, AttributeError) as error:
        return None, f"{where} cannot be used: {error}"
    return library, ""


def _declare(library: Any, letter: str, number: Any) -> None:
    """The types of the routines for a dtype."""
    whole, place = ctypes.c_int, ctypes.c_void_p
    for name, result, arguments in (
        ("", None, [*[whole] * 6, number, place, whole, place, whole, number, place, whole]),
        ("_pack_get_size", ctypes.c_size_t, [whole] * 4),
        ("_pack", None, [*[whole] * 6, number, place, whole, place]),
        ("_compute", None, [*[whole] * 6, place, whole, place, whole, number, place, whole]),
    ):
        routine = getattr(library, f"cblas_{letter}gemm{name}")
        routine.restype, routine.argtypes = result, arguments


def version() -> str:
    """Of the library, such as ``2026.2``; empty if it is not used."""
    library = _opened()[0]
    if library is None:
        return ""
    text = ctypes.create_string_buffer(200)
    library.MKL_Get_Version_String(text, len(text))
    words = text.value.decode(errors="replace").split()
    return next((word.partition("-")[0] for word in words if word[:1].isdigit()), "")


def reason_against() -> str:
    """Why MKL cannot be used here; empty if it can."""
    return _opened()[1]


def _laid(x: Array) -> tuple[int, int] | None:
    """How a matrix lies: by rows or transposed, and the step from one row (of the transpose) to the next in numbers."""
    (M, N), (down, across) = x.shape, x.strides
    size = x.itemsize
    for transposition, along, step, length in ((_AS_IT_IS, across, down, N), (_TRANSPOSED, down, across, M)):
        if along == size and step % size == 0 and length * size <= step <= _LARGEST:
            return transposition, step // size
    return None


def _by_rows(x: Array) -> bool:
    """Whether the rows of a matrix are contiguous, one behind the other with or without gaps."""
    laid = _laid(x)
    return laid is not None and laid[0] == _AS_IT_IS


def gemm(a: Array, b: Array, out: Array) -> bool:
    """a (M, K) times b (K, N) into out, of one dtype, float32 or float64; whether it could be computed.

    It could not, and out is as it was, of other shapes, dtypes and layouts: the rows or the columns of a and b, and the
    rows of out, must be contiguous. `reason_against` must be empty.
    """
    letter = _LETTERS.get(out.dtype)
    if letter is None or not a.dtype == b.dtype == out.dtype or not a.size or not b.size:
        return False
    (M, K), N = a.shape, b.shape[1]
    if b.shape[0] != K or out.shape != (M, N) or max(M, K, N) > _LARGEST:
        return False
    if not (a.flags.aligned and b.flags.aligned and out.flags.behaved):
        return False
    of_a, of_b, of_out = _laid(a), _laid(b), _laid(out)
    if of_a is None or of_b is None or of_out is None or not _by_rows(out):
        return False
    routine = getattr(_opened()[0], f"cblas_{letter}gemm")
    routine(_ROW_MAJOR, of_a[0], of_b[0], M, N, K, 1.0, a.ctypes.data, of_a[1], b.ctypes.data, of_b[1], 0.0,
            out.ctypes.data, of_out[1])  # fmt: skip
    return True


class Packed:
    """A matrix that many matrices of up to ``rows`` rows are multiplied by, packed.

    Args:
        W: (K, parts M), or its transpose (parts M, K) with ``transposed``; C-contiguous, float32 or float64.

    Called with a (n, K) of at most so many rows, and out (parts, n, M), of W's dtype, the rows of out contiguous, it
    fills out.

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
