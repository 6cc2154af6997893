"""Read and write arrays in the safetensors format, without pickle.

A file consists of the length of its header (8 bytes, little-endian), the header (a JSON object in UTF-8, padded with
spaces to a multiple of 8), and the bytes of the arrays, little-endian and in C order. The header maps each name to
``dtype``, ``shape`` and ``data_offsets`` ([begin, end) counted from the end of the header). The arrays fill the rest of
the file without holes or overlaps. ``__metadata__`` maps strings to strings.
(https://github.com/huggingface/safetensors, "Format".)

:func:`save` adds the metadata entry ``minigrad_crc32``, which :func:`load` verifies. It is the CRC-32, in 8 hexadecimal
digits, of the header without this entry, as ``json.dumps`` writes it, followed by the arrays' bytes in the header's
order. Files without it, such as those of other programs, load unverified. A program that changes a file must remove the
entry.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import Any

import numpy as np

from .core import Tensor
from .runtime.files import irregular, replacing
from .spec import Array, describe

__all__ = ["load", "load_metadata", "save"]

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
           "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1"}  # fmt: skip
_NAMES = {code: name for name, code in _DTYPES.items()}
_METADATA = "__metadata__"
_CHECKSUM = "minigrad_crc32"
_LONGEST_HEADER = 100_000_000
_Entry = tuple[np.dtype[Any], tuple[int, ...], int, int]  # dtype, shape, and the begin and end of the bytes in the file


# --- writing -------------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], state: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays to a file in the safetensors format, completely or not at all, with a checksum.

    The file is written under a temporary name in the same folder, read back, verified, flushed to the disk, and only
    then renamed. If anything fails, an older file of that name stays untouched. Only a killed process leaves the
    temporary file, ``.name.<16 hexadecimal digits>.tmp``; a later save of the same name removes such files if they
    have not changed for an hour.

    Args:
        path: a str or a ``pathlib.Path``; a symbolic link is followed. An existing file must be regular, because a
            pipe or a device would be replaced by a regular file.
        state: ndarrays, tensors or numbers by name, of any shape and memory layout; bool, integers of 8 to
            64 bits, float16, float32 or float64. (Numbers become 0-d arrays of NumPy's dtype.)
        metadata: strings by name, stored in the header; :func:`load_metadata` reads them. The name
            ``minigrad_crc32`` is reserved for the checksum.

    Raises:
        TypeError: if an entry has another type, the path is neither a str nor a Path, or ``state`` or ``metadata`` is
            not a mapping.
        ValueError: if a name is reserved or not valid Unicode, or the header is too long.
        OSError: if the file system refuses, the path is a folder, a pipe or a device, or the file reads back
            differently.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save(path, {"W": np.arange(6.0).reshape(2, 3).T, "step": 3}, {"kind": "demo"})
    ...     print(load(path), load_metadata(path))
    {'W': array([[0., 3.], [1., 4.], [2., 5.]]), 'step': array(3)} {'kind': 'demo'}
    """
    where = must_be_regular("save", path)
    if not isinstance(state, Mapping):
        advice = ": pass its .state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(f"save: the state must map names to arrays, not be {describe(state)}{advice}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"save: metadata must map strings to strings, not be {describe(metadata)}")
    arrays = {name: _little_endian(name, value) for name, value in state.items()}
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # to align every array
    header = _header(arrays, order, metadata)

    with replacing(where, durable=True) as temporary:
        with open(temporary, "wb") as file:
            file.write(len(header).to_bytes(8, "little"))
            file.write(header)
            for name in order:
                file.write(_bytes(arrays[name]).data)
        try:
            with open(temporary, "rb") as written:
                for _ in _arrays(written, where):
                    pass
        except ValueError as error:
            raise OSError(f"save: {where} reads back differently from what was written") from error


def must_be_regular(caller: str, path: Any) -> str:
    """Return a path as text; raise unless it is unused or a regular file.

    Other files have no size and cannot be read twice.
    """
    where = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(where, str):
        advice = ": pass os.fsdecode(path)" if isinstance(where, bytes) else ""
        given = f"{type(where).__name__}{advice}"
        raise TypeError(f"{caller}: the path must be a str or an os.PathLike of one, not {given}")
    if found := irregular(where):
        kind = IsADirectoryError if found == "a folder" else OSError
        raise kind(f"{caller}: {where} is {found}, not a regular file")
    return where


def check(condition: Any, where: str, problem: str) -> None:
    """Raise a ValueError that says where the problem is, such as the file, unless the condition holds."""
    if not condition:
        raise ValueError(f"{where}: {problem}")


def _little_endian(name: Any, value: Any) -> Array:
    """Return an array in little-endian byte order; writing its bytes takes care of the memory layout."""
    if not isinstance(name, str):
        raise TypeError(f"save: names must be strings, not {name!r}")
    check(name != _METADATA, "save", f"the name {_METADATA} is reserved: pass metadata=")
    if isinstance(value, Tensor):
        value = value.data
    if not isinstance(value, (np.ndarray, np.generic, bool, int, float)):
        raise TypeError(f"save: {name} must be an ndarray, a tensor or a number, not {type(value).__name__}")
    if hasattr(value, "mask"):
        raise TypeError(f"save: {name} is a masked array, whose mask would be lost")
    array = np.asarray(value)
    if type(value) is int and array.dtype == np.int32:  # in WebAssembly, which has 32 bits
        array = array.astype(np.int64)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.str not in _NAMES:
        raise TypeError(f"save: {name} has the dtype {array.dtype}, which the format cannot hold")
    return array


def _header(arrays: dict[str, Array], order: list[str], metadata: Mapping[str, str] | None) -> bytes:
    kept = dict(metadata or {})
    for key, text in kept.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"save: metadata must map strings to strings, not {key!r} to {text!r}")
    check(_CHECKSUM not in kept, "save", f"the metadata name {_CHECKSUM} is reserved for the file's checksum")
    content: dict[str, Any] = {_METADATA: kept, **dict.fromkeys(arrays)}
    end = 0
    for name in order:
        code, shape, begin = _NAMES[arrays[name].dtype.str], list(arrays[name].shape), end
        end += arrays[name].nbytes
        content[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    crc = _crc_of_header(content)
    for array in arrays.values():
        crc = zlib.crc32(_bytes(array).data, crc)
    content[_METADATA] = kept | {_CHECKSUM: f"{crc:08x}"}
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        header = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"save: a name or metadata is not valid Unicode: {error}") from error
    header += b" " * (-len(header) % 8)
    check(
        len(header) <= _LONGEST_HEADER,
        "save",
        f"the header would be {len(header)} bytes, more than the format's {_LONGEST_HEADER}",
    )
    return header


def _crc_of_header(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content).encode())


def _bytes(array: Array) -> Array:
    """Return the entries in C order as a flat byte array, without a copy if they are already contiguous."""
    return np.asarray(array, order="C").reshape(-1).view(np.uint8)


# --- reading -------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read a file in the safetensors format: writeable ndarrays by name, in the order of the header.

    The whole header, and every size in it, is checked before any array is created. A file that :func:`save` wrote is
    also verified against its checksum, which detects damage to names, shapes and numbers. :func:`save` has an example.

    Raises:
        TypeError: if the path is neither a str nor a Path.
        ValueError: if the file is truncated, damaged, or of another format, or has a dtype that NumPy lacks, such as
            BF16. The message names the file, the problem and the array.
        OSError: if it cannot be read, or is a folder, a pipe or a device.
    """
    where = must_be_regular("load", path)
    with open(where, "rb") as file:
        return {name: a.astype(a.dtype.newbyteorder("="), copy=False) for name, a in _arrays(file, where)}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a file, empty if it has none. This does not read the arrays or verify the checksum.

    :func:`save` has an example.

    Raises:
        TypeError, ValueError, OSError: as :func:`load` does.
    """
    where = must_be_regular("load_metadata", path)
    with open(where, "rb") as file:
        return _read_header(file, where)[1]


def _read_header(file: BufferedReader, path: str) -> tuple[dict[str, _Entry], dict[str, str], str | None, int]:
    """Read and check a header; return its entries, metadata and checksum (or None), and the CRC-32 of the header."""
    damaged = f"{path}: not a safetensors file, or a damaged one"
    total = os.fstat(file.fileno()).st_size
    head = file.read(8)
    length = int.from_bytes(head, "little")
    check(total >= 8, damaged, f"it has {total} bytes, not even the 8 of the header's length")
    problem = f"a header of {length} bytes, more than the format's {_LONGEST_HEADER}"
    if head.startswith(b"PK"):  # a ZIP file, unless the length fits
        problem = "read .npz with mg.load_numpy, and .pt with mg.interop.read_torch"
    check(length <= _LONGEST_HEADER, damaged, problem)
    check(8 + length <= total, damaged, f"a header of {length} bytes does not fit into a file of {total} bytes")
    text = file.read(length)
    check(text.startswith(b"{"), damaged, "the header does not begin with a brace")
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{damaged}: the header is not a JSON object in UTF-8: {error}") from error
    metadata = content.pop(_METADATA, {})
    check(
        isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values()),
        damaged,
        f"{_METADATA} does not map strings to strings",
    )
    start = 8 + length
    entries = {name: _entry(f"{damaged}: {name}", fields, start) for name, fields in content.items()}
    end = start
    for name, (_, _, begin, entry_end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        how = "it overlaps the previous array" if begin < end else "it leaves a hole before it"
        problem = f"begins at byte {begin - start} of the data, where {end - start} is expected: {how}"
        check(begin == end, f"{damaged}: {name}", problem)
        end = entry_end
    check(end == total, damaged, f"the arrays need {end - start} bytes, but the file has {total - start}")
    checksum = metadata.pop(_CHECKSUM, None)
    return entries, metadata, checksum, _crc_of_header({_METADATA: metadata, **content})


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        name.encode()  # raises for half a surrogate pair, which JSON can express
        if name in content:
            raise ValueError(f"duplicate key {name!r}")
        content[name] = value
    return content


def _entry(where: str, fields: Any, start: int) -> _Entry:
    """Check the header's entry of one array by itself. start: the position of the data in the file."""
    check(
        isinstance(fields, dict) and fields.keys() == {"data_offsets", "dtype", "shape"},
        where,
        "expected an object of data_offsets, dtype, shape",
    )
    name, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    check(name != "BF16", where, "has the dtype BF16, which NumPy lacks. Save it as F32 instead.")
    check(
        isinstance(name, str) and name in _DTYPES,
        where,
        f"has the unknown dtype {name!r}; known are {', '.join(_DTYPES)}",
    )
    check(_are_sizes(shape), where, f"has the shape {shape!r}, which is not a list of sizes")
    check(
        _are_sizes(offsets) and len(offsets) == 2,
        where,
        f"has the data_offsets {offsets!r}, which are not a pair of sizes",
    )
    dtype, (begin, end) = np.dtype(_DTYPES[name]), offsets
    try:
        np.broadcast_to(dtype.type(), shape)  # takes no memory
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}: has the shape {shape!r}, which NumPy refuses: {error}") from None
    size = math.prod(shape) * dtype.itemsize
    check(end - begin == size, where, f"takes bytes {begin} to {end}, but {name} {shape} needs {size} bytes")
    return dtype, tuple(shape), start + begin, start + end


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _arrays(file: BufferedReader, path: str) -> Iterator[tuple[str, Array]]:
    """Yield each name and array; after the last, raise ValueError if the checksum differs."""
    entries, _, checksum, crc = _read_header(file, path)
    for name, (dtype, shape, begin, _) in entries.items():
        array = np.empty(shape, dtype)
        raw = _bytes(array)
        file.seek(begin)
        check(file.readinto(raw.data) == raw.nbytes, path, f"the file ends within {name}")
        if dtype.kind == "b":
            check(raw.max(initial=0) <= 1, f"{path}: {name}", "BOOL data hold bytes other than 0 and 1")
        if checksum is not None:
            crc = zlib.crc32(raw.data, crc)
        yield name, array
    check(checksum in (None, f"{crc:08x}"), path, f"the file is damaged: its checksum is {crc:08x}, but {checksum} was "
          "saved with it. Restore the file from a copy, or save it again.")  # fmt: skip
