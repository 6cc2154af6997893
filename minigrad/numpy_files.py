"""Read .npy and .npz files without pickle: no code in a file is executed, and every size is checked first.

An .npy file is a header with the dtype, order and shape, followed by the entries. An .npz file is a zip archive of .npy
files, stored or deflated. (NumPy's documentation, ``numpy.lib.format``.)
"""

from __future__ import annotations

import math
import numbers
import os
import zlib
from collections.abc import Callable
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


# --- archives -------------------------------------------------------------------------------------------


def _read_archive(file: IO[bytes], path: str, total: int, most: float) -> dict[str, Array]:
    import zipfile  # takes 4 % of the time of importing minigrad, and few programs need it

    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # for a damaged directory, zipfile raises errors of many kinds
        raise ValueError(f"{path}: a damaged .npz: {error}") from error
    with archive:
        entries = _checked_entries(archive, path, total)
        claimed = sum(entry.file_size for entry in entries.values())
        check(claimed <= most, path, f"its arrays need {claimed} bytes, more than max_bytes = {most}")
        arrays = {}
        for name, entry in entries.items():
            where = f"{path}: {name}"
            try:
                with archive.open(entry) as part:
                    arrays[name] = _read_array(part, where, entry.file_size, most)
                    part.read(1)  # detects the end, and verifies the checksum
            except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
                raise ValueError(f"{where}: damaged: {error}") from error
        return arrays


def _checked_entries(archive: zipfile.ZipFile, path: str, total: int) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's arrays by name; raise for duplicates, other files, and sizes that are impossible."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename.removesuffix(".npy")
        packed, size = entry.compress_size, entry.file_size
        check(name != entry.filename, path, f"{name} is not an array: an .npz holds only .npy files")
        check(name not in entries, path, f"duplicate array {name}")
        check(not entry.flag_bits & 1, path, f"{name} is encrypted")
        check(entry.compress_type in _DENSEST, path, f"{name} is neither stored nor deflated; NumPy writes only these")
        check(size <= packed * _DENSEST[entry.compress_type], path, f"{name} claims {size} bytes, packed into {packed}")
        entries[name] = entry
    packed = sum(entry.compress_size for entry in entries.values())
    check(packed <= total, path, f"its arrays overlap: together they are larger than the {total} bytes of the file")
    return entries


# --- arrays ---------------------------------------------------------------------------------------------


def _read_array(file: IO[bytes], where: str, total: int, most: float) -> Array:
    """Read the array of an .npy file of the given size in bytes."""
    shape, in_columns, dtype = _read_header(file, where)
    size, rest = math.prod(shape) * dtype.itemsize, total - file.tell()
    takes = f"{dtype} {shape} takes {size} bytes"
    check(size == rest, where, f"{takes}, but {rest} follow the header")
    check(size <= most, where, f"{takes}, more than max_bytes = {most}")
    try:
        array = np.empty(shape[::-1] if in_columns else shape, dtype)
    except (ValueError, MemoryError, OverflowError) as error:
        raise ValueError(f"{where}: cannot create {dtype} {shape}: {error}") from error
    for begin in range(0, size, _PIECE):
        piece = array.reshape(-1).view(np.uint8)[begin : begin + _PIECE]
        filled = file.readinto(piece.data) == piece.nbytes  # type: ignore[attr-defined]
        check(filled, where, "ends within its entries")
    check(_has_truths(array), where, "bool entries hold bytes other than 0 and 1")
    array = array.astype(dtype.newbyteorder("="), copy=False)
    return array.T if in_columns else array


def _has_truths(array: Array) -> bool:
    """Return whether all bools, also in records, are 0 or 1; NumPy's results for other values are undefined."""
    if array.dtype.names:
        return all(_has_truths(array[name]) for name in array.dtype.names)
    return array.dtype.kind != "b" or bool(array.view(np.uint8).max(initial=0) <= 1)


def _read_header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, whether the first axis varies fastest, and the dtype."""
    try:
        version = np.lib.format.read_magic(file)
        check(
            version in _HEADERS, "its header", f"has the version {version}, not one of {', '.join(map(str, _HEADERS))}"
        )
        shape, in_columns, dtype = _HEADERS[version](file)
    except OSError:
        raise
    except Exception as error:  # a header is a Python literal: its parser raises whatever Python's does
        raise ValueError(f"{where}: not a NumPy array, or a damaged one: {error}") from error
    check(not dtype.hasobject, where, "holds Python objects, which only pickle could read: save numbers or strings")
    check(
        all(not isinstance(n, bool) and n >= 0 for n in shape),
        where,
        f"has the shape {shape}, which is not a tuple of sizes",
    )
    check(dtype.subdtype is None, where, f"has the dtype {dtype}, whose entries are arrays: their axes belong to the "
          "shape")  # fmt: skip
    fits = dtype.itemsize > 0 or 0 in shape  # NumPy saves empty strings with 1 character, so that every entry has bytes
    check(fits, where, f"has the dtype {dtype} with entries of 0 bytes: save it with another dtype")
    return shape, in_columns, dtype
