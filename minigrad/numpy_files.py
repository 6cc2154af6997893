"""Read .npy and .npz files without pickle: no code in a file is executed, and every size is checked first.

An .npy file is a header with the dtype, order and shape, followed by the entries. An .npz file is a zip archive of .npy
files, stored or deflated. (NumPy's documentation, ``numpy.lib.format``.)
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .io import check, must_be_regular
from .spec import Array

if TYPE_CHECKING:
    import zipfile

__all__ = ["load_numpy"]

_MAGIC = b"\x93NUMPY"
_DENSEST = {0: 1, 8: 1032}  # zipfile's number of a method: the most bytes that one stored or deflated byte can become
_PIECE = 2**20


_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load_numpy(path: str | os.PathLike[str], max_bytes: int | None = None) -> Array | dict[str, Array]:
    """Read a file written by ``np.save``, ``np.savez`` or ``np.savez_compressed``, without pickle.

    Each size is checked before memory is allocated. Arrays may be as large as the file, or 1032 times as large if
    compressed, the maximum ratio of deflate. The name of the file does not matter.

    Args:
        max_bytes: raise for a file whose arrays need more.

    Returns:
        the array of an .npy file, or a dict of arrays by name for an .npz file, in file order. The arrays are writable,
        in the machine's byte order, and of any dtype without Python objects.

    Raises:
        TypeError: if the path is neither a str nor a Path.
        ValueError: if max_bytes is not a number of at least 0. If the file is truncated, damaged or of another format,
            holds Python objects (which only pickle could read) or entries of 0 bytes, repeats a name, or has arrays
            that are too large; names the file, the problem and the array.
        OSError: if it cannot be read, or is a folder, a pipe or a device.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "data.npz")
    ...     np.savez(path, x=np.arange(3), y=np.eye(2))
    ...     load_numpy(path)
    {'x': array([0, 1, 2]), 'y': array([[1., 0.],
           [0., 1.]])}
    """
    most = math.inf if max_bytes is None else max_bytes
    check(
        isinstance(most, numbers.Real) and not isinstance(most, bool) and most >= 0,
        "load_numpy",
        f"max_bytes must be a number of at least 0, or None, not {max_bytes!r}",
    )
    where = must_be_regular("load_numpy", path)
    with open(where, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        start = file.read(len(_MAGIC))
        file.seek(0)
        if start == _MAGIC:
            return _read_array(file, where, total, most)
        check(start[:2] == b"PK", where, f"neither an .npy nor an .npz: it begins with {start!r}")
        return _read_archive(file, where, total, most)


def _read_archive(file: IO[bytes], path: str, total: int, most: float) -> dict[str, Array]:
    import zipfile  # takes 4 % of the time of importing minigrad, and few programs need it

    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check_entries(entries, total, most)
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                check(name not in arrays, name, "duplicate array")
                with archive.open(entry) as part:
                    arrays[name] = _read_array(part, name, entry.file_size, most)
                    part.read(1)  # detects the end, and verifies the checksum
    except Exception as error:  # for damaged files, zipfile raises errors of many kinds
        raise ValueError(f"{path}: {error}") from error
    return arrays


def _check_entries(entries: Sequence[zipfile.ZipInfo], total: int, most: float) -> None:
    """Raise for entries that are no arrays, and for sizes that are impossible."""
    for entry in entries:
        packed, size, method = entry.compress_size, entry.file_size, entry.compress_type
        name = entry.filename.removesuffix(".npy")
        check(name != entry.filename, name, "not an array: an .npz holds only .npy files")
        check(not entry.flag_bits & 1, name, "encrypted")
        check(method in _DENSEST, name, "neither stored nor deflated; NumPy writes only these")
        check(size <= packed * _DENSEST[method], name, f"claims {size} bytes, packed into {packed}")
    packed, claimed = sum(entry.compress_size for entry in entries), sum(entry.file_size for entry in entries)
    check(packed <= total, "arrays overlap", f"together they are larger than the {total} bytes of the file")
    check(claimed <= most, "all arrays", f"{claimed} bytes are more than max_bytes = {most}")


def _read_array(file: IO[bytes], where: str, total: int, most: float) -> Array:
    """Read the array of an .npy file of the given size in bytes."""
    try:
        version = np.lib.format.read_magic(file)
        check(
            version in _HEADERS, "its header", f"has the version {version}, not one of {', '.join(map(str, _HEADERS))}"
        )
        shape, in_columns, dtype = _HEADERS[version](file)
        size, rest, what = math.prod(shape) * dtype.itemsize, total - file.tell(), f"{dtype} {shape}"
        check(not dtype.hasobject, what, "holds Python objects, which only pickle could read: save numbers or strings")
        check(all(type(n) is int and n >= 0 for n in shape), what, "the shape is not a tuple of sizes")
        check(dtype.subdtype is None, what, "entries are arrays, whose axes belong to the shape")
        # NumPy saves empty strings with 1 character, so that every entry has bytes.
        check(dtype.itemsize > 0 or 0 in shape, what, "has entries of 0 bytes: save it with another dtype")
        check(size == rest, what, f"takes {size} bytes, but {rest} follow the header")
        check(size <= most, what, f"takes {size} bytes, more than max_bytes = {most}")
        raw = np.empty(size, np.uint8)
        for begin in range(0, size, _PIECE):
            piece = raw[begin : begin + _PIECE]
            filled = file.readinto(piece.data)  # type: ignore[attr-defined]
            check(filled == piece.size, what, "the file ends within its entries")
        array: Array = np.ndarray(shape, dtype, raw, order="F" if in_columns else "C")
        check(_has_truths(array), what, "bool entries hold bytes other than 0 and 1")
    except OSError:
        raise
    except Exception as error:  # a header is a Python literal: its parser raises whatever Python's does
        raise ValueError(f"{where}: not a readable NumPy array: {error}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _has_truths(array: Array) -> bool:
    """Return whether all bools, also in records, are 0 or 1; NumPy's results for other values are undefined."""
    if array.dtype.names:
        return all(_has_truths(array[name]) for name in array.dtype.names)
    return array.dtype.kind != "b" or bool(array.view(np.uint8).max(initial=0) <= 1)
