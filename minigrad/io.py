"""Arrays in files: the safetensors format, written and read here, without pickle.

A file is the length of its header (8 bytes, little-endian), the header (a JSON object in UTF-8, padded
with spaces to a multiple of 8), and the arrays' bytes, C order and little-endian. The header maps each
name to ``dtype``, ``shape`` and ``data_offsets`` ([begin, end) counted from the end of the header); the arrays fill
the rest of the file without holes or overlaps. ``__metadata__`` maps strings to strings.
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
from contextlib import suppress
from io import BufferedReader
from typing import IO, Any, NamedTuple

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
_KEYS = {"dtype", "shape", "data_offsets"}


class _Entry(NamedTuple):
    """Where an array lies in the file: offsets from the end of the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


class _Header(NamedTuple):
    """A header: where the data start, the recorded checksum if there is one, and the CRC-32 of the header itself."""

    start: int
    entries: dict[str, _Entry]
    metadata: dict[str, str]
    checksum: str | None
    crc: int


# --- writing -------------------------------------------------------------------------------------------


def save(path: str | os.PathLike[str], state: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays to a file in the safetensors format, completely or not at all, with a checksum.

    The file is written under a temporary name in the same folder, flushed to the disk, read back, verified,
    and only then renamed; an older file of the name stays untouched if anything fails. Only a process that is killed
    leaves the temporary file, ``.name.<16 hexadecimal digits>.tmp``; a later save of the same name removes such files
    that nothing has been written to for an hour.

    Args:
        path: where, a str or a ``pathlib.Path``; a symbolic link is followed. What is there already must be a
            regular file: a pipe or a device would be replaced by one.
        state: ndarrays, tensors or numbers by name, of any shape and memory layout; bool, integers of 8 to
            64 bits, float16, float32 or float64. (Numbers become 0-d arrays of NumPy's dtype.)
        metadata: strings by name, kept in the header, from where :func:`load_metadata` reads them. The name
            ``minigrad_crc32`` is reserved for the checksum.

    Raises:
        TypeError: names the entry that is not of such a type; or the path is neither a str nor a Path, or ``state`` or
            ``metadata`` no mapping.
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
    where = path_as_text("save", path)
    must_be_regular("save", where)
    if not isinstance(state, Mapping):
        advice = ": pass its .state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(f"save: the state must map names to arrays, not be {describe(state)}{advice}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"save: metadata must map strings to strings, not be {describe(metadata)}")
    arrays = {_checked_name(name): _little_endian(name, value) for name, value in state.items()}
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # so that every array is aligned
    header = _header(arrays, order, metadata)

    def verify(written: os.PathLike[str]) -> None:
        if not _reads_back(os.fspath(written)):
            raise OSError(f"save: {where} reads back differently from what was written")

    with replacing(where, durable=True, verify=verify) as temporary, open(temporary, "wb") as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for name in order:
            file.write(_bytes(arrays[name]).data)


def path_as_text(caller: str, path: Any) -> str:
    """A path as text."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        advice = ": pass os.fsdecode(path)" if isinstance(text, bytes) else ""
        raise TypeError(f"{caller}: the path must be a str or an os.PathLike of one, not {type(text).__name__}{advice}")
    return text


def must_be_regular(caller: str, path: str) -> None:
    """An error where something else than a regular file is: only such a one has a size, and can be read twice."""
    found = irregular(path)
    if found == "a folder":
        raise IsADirectoryError(f"{caller}: {path} is a folder, not a file")
    if found:
        raise OSError(f"{caller}: {path} is {found}, not a regular file")


def filled(file: IO[bytes], place: memoryview) -> bool:
    """Read as many bytes as a place has, where a read may give fewer; whether the file had them."""
    while place:
        count = file.readinto(place)  # type: ignore[attr-defined]
        if not count:
            return False
        place = place[count:]
    return True


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"save: names must be strings, not {name!r}")
    if name == _METADATA:
        raise ValueError(f"save: the name {_METADATA} is reserved: pass metadata=")
    return name


def _little_endian(name: str, value: Any) -> Array:
    """An array as it is, but little-endian; its memory layout is put right when its bytes are written."""
    if isinstance(value, Tensor):
        value = value.data
    if not isinstance(value, (np.ndarray, np.generic, bool, int, float)):
        raise TypeError(f"save: {name} must be an ndarray, a tensor or a number, not {type(value).__name__}")
    if hasattr(value, "mask"):
        raise TypeError(f"save: {name} is a masked array, whose mask would be lost")
    array = np.asarray(value)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.str not in _NAMES:
        raise TypeError(f"save: {name} has the dtype {array.dtype}, which the format cannot hold")
    return array


def _header(arrays: dict[str, Array], order: list[str], metadata: Mapping[str, str] | None) -> bytes:
    offsets, end = {}, 0
    for name in order:
        offsets[name] = [end, end + arrays[name].nbytes]
        end += arrays[name].nbytes
    kept = dict(metadata or {})
    for key, text in kept.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"save: metadata must map strings to strings, not {key!r} to {text!r}")
    if _CHECKSUM in kept:
        raise ValueError(f"save: the metadata name {_CHECKSUM} is reserved for the file's checksum: leave it out")
    content: dict[str, Any] = {_METADATA: kept}
    for name, array in arrays.items():
        content[name] = {"dtype": _NAMES[array.dtype.str], "shape": list(array.shape),
                         "data_offsets": offsets[name]}  # fmt: skip
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
    if len(header) > _LONGEST_HEADER:
        raise ValueError(f"save: the header would be {len(header)} bytes, more than the format's {_LONGEST_HEADER}")
    return header


def _crc_of_header(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content).encode())


def _bytes(array: Array) -> Array:
    """The entries in C order as a flat array of bytes; no copy if they lie so already."""
    return np.asarray(array, order="C").reshape(-1).view(np.uint8)


def _reads_back(path: str) -> bool:
    """Whether a file that was just written has its checksum."""
    with open(path, "rb") as file, suppress(ValueError):
        header = _read_header(file, path)
        for _ in _arrays(file, path, header):
            pass
        return header.checksum is not None
    return False


# --- reading -------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read a file in the safetensors format: writeable ndarrays by name, in the order of the header.

    The whole header is checked, and every size against the file's, before any array is made. A file that :func:`save`
    wrote is also verified against its checksum, which detects damage to names, shapes and numbers. The metadata are
    read by :func:`load_metadata`.

    Raises:
        TypeError: if the path is neither a str nor a Path.
        ValueError: if the file is truncated, damaged, or of another format; names the file, what is wrong,
            and the array. BF16 and other dtypes that NumPy lacks are refused too.
        OSError: if it cannot be read, or is a folder, a pipe or a device.
    """
    where = path_as_text("load", path)
    must_be_regular("load", where)
    with open(where, "rb") as file:
        arrays = dict(_arrays(file, where, _read_header(file, where)))
    return {name: a.astype(a.dtype.newbyteorder("="), copy=False) for name, a in arrays.items()}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a file, empty if it has none; the arrays are not read, so the checksum is not verified.

    Raises:
        TypeError, ValueError, OSError: as :func:`load` does.
    """
    where = path_as_text("load_metadata", path)
    must_be_regular("load_metadata", where)
    with open(where, "rb") as file:
        return _read_header(file, where).metadata


def _read_header(file: BufferedReader, path: str) -> _Header:
    """The header of a file, all of it checked but the checksum."""

    def wrong(what: str) -> ValueError:
        return ValueError(f"{path}: not a safetensors file, or a damaged one: {what}")

    total = os.fstat(file.fileno()).st_size
    prefix = file.read(8)
    if len(prefix) < 8:
        raise wrong(f"it has {len(prefix)} bytes, not even the 8 of the header's length")
    length = int.from_bytes(prefix, "little")
    if length > _LONGEST_HEADER:
        raise wrong(f"a header of {length} bytes, more than the format's {_LONGEST_HEADER}")
    if 8 + length > total:
        raise wrong(f"a header of {length} bytes does not fit into a file of {total}")
    text = file.read(length)
    if len(text) < length:
        raise wrong("the file ends within the header")
    if not text.startswith(b"{"):
        raise wrong("the header does not begin with a brace")
    try:
        content = json.loads(text.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise wrong(f"the header is no JSON object in UTF-8: {error}") from error
    metadata = content.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise wrong(f"{_METADATA} does not map strings to strings")
    entries: dict[str, _Entry] = {}
    for name, fields in content.items():
        try:
            entries[name] = _entry(fields)
        except ValueError as error:
            raise wrong(f"{name}: {error}") from None
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            kind = "overlaps what is before it" if entry.begin < end else "leaves a hole before it"
            raise wrong(f"{name}: begins at byte {entry.begin} of the data, where {end} is expected: it {kind}")
        end = entry.end
    if 8 + length + end != total:
        raise wrong(f"the arrays take {end} bytes, the file has {total - 8 - length} for them")
    checksum = metadata.pop(_CHECKSUM, None)
    return _Header(8 + length, entries, metadata, checksum, _crc_of_header({_METADATA: metadata, **content}))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name, value in pairs:
        name.encode()  # an error for half a surrogate pair, which JSON can spell
        if name in content:
            raise ValueError(f"the key {name!r} is there twice")
        content[name] = value
    return content


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


def _entry(fields: Any) -> _Entry:
    """One array's entry of the header, checked by itself."""
    if not isinstance(fields, dict) or fields.keys() != _KEYS:
        raise ValueError(f"expected an object of {', '.join(sorted(_KEYS))}")
    name, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if name == "BF16":
        raise ValueError("has the dtype BF16, which NumPy lacks: convert it to F32 where it was made")
    if not isinstance(name, str) or name not in _DTYPES:
        raise ValueError(f"has the dtype {name!r}, which is none of {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or not all(map(_is_size, shape)):
        raise ValueError(f"has the shape {shape!r}, which is no list of sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise ValueError(f"has the data_offsets {offsets!r}, which are no pair of sizes")
    if len(shape) > 64:
        raise ValueError(f"has {len(shape)} axes, NumPy can have 64")
    dtype, (begin, end) = np.dtype(_DTYPES[name]), offsets
    size = math.prod(shape) * dtype.itemsize
    if end - begin != size:
        raise ValueError(f"takes bytes {begin} to {end}, but {name} {shape} needs {size} bytes")
    if not size:  # only then can a shape be beyond NumPy without the file being as large
        try:
            np.empty(shape, dtype)
        except (ValueError, MemoryError, OverflowError) as error:
            raise ValueError(f"has the shape {shape!r}, which NumPy refuses: {error}") from None
    return _Entry(dtype, tuple(shape), begin, end)


def _arrays(file: BufferedReader, path: str, header: _Header) -> Iterator[tuple[str, Array]]:
    """Yield each name and array; after the last, raise ValueError if the checksum differs."""
    crc = header.crc
    for name, entry in header.entries.items():
        array = _read(file, path, name, header.start, entry)
        if header.checksum is not None:
            crc = zlib.crc32(_bytes(array).data, crc)
        yield name, array
    if header.checksum not in (None, f"{crc:08x}"):
        raise ValueError(
            f"{path}: the file is damaged: its checksum is {crc:08x}, but {header.checksum} was saved with it. "
            "Restore the file from a copy, or save it again."
        )


def _read(file: BufferedReader, path: str, name: str, start: int, entry: _Entry) -> Array:
    """One array; its size has been checked against the file's."""
    array = np.empty(entry.shape, entry.dtype)
    file.seek(start + entry.begin)
    raw = array.reshape(-1).view(np.uint8)
    if raw.size and file.readinto(raw.data) != raw.size:
        raise ValueError(f"{path}: the file ends within {name}")
    if entry.dtype.kind == "b" and raw.size and raw.max() > 1:
        raise ValueError(f"{path}: {name}: BOOL data hold bytes other than 0 and 1")
    return array
