"""Files that ``torch.save`` wrote, read without PyTorch and without running anything that is in them.

There are two formats. Since PyTorch 1.6 a file is a zip archive without compression: ``NAME/data.pkl`` is the pickle,
``NAME/data/KEY`` the bytes of each storage, ``NAME/byteorder`` says ``little`` or ``big``. The older one is five
pickles one after the other (a magic number, the version 1001, properties of the machine, the data, the list of the
storages' keys) and then each storage: its number of entries (8 bytes) and its bytes, little-endian on every machine.
(https://docs.pytorch.org/docs/stable/notes/serialization.html, and torch/serialization.py.)

In a file from a stranger every number may be a lie. Sizes and places are compared with the file's before memory is
taken, so what is taken is in proportion to the file; what its pickle may do is in :mod:`minigrad.interop.pickles`.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..io import filled, must_be_regular, path_as_text
from ..spec import Array
from .pickles import Name, interpret, unfolded
from .stored_tensors import Storage, StoredTensor, entries, find, short, storage, view

__all__ = ["read_torch"]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a record in a zip archive: the lengths of its name and of extra fields


def read_torch(path: str | os.PathLike[str]) -> Any:
    """What ``torch.save`` wrote to a file, with ndarrays for tensors; PyTorch is not needed.

    A ``state_dict`` is a dict of arrays by name, a checkpoint a dict with whatever was put in: dicts (ordered ones and
    counters too), lists, tuples (sizes too), texts, bytes, numbers, None; dtypes and devices become texts. Nothing in
    the file is executed, and what is neither tensor nor plain data is refused: files from strangers may be read.

    Arrays have PyTorch's dtypes, but float32 for bfloat16, which NumPy lacks; all of its numbers are there. Tensors
    that share a storage share memory here too, and are views with its strides; one that has an entry in several places
    (``x.expand``) is read-only. Devices and ``requires_grad`` are left out.

    Raises:
        ValueError: if the file is damaged, of another format (also PyTorch's first, a tar archive, and TorchScript), or
            holds something else: whole modules, classes, functions, sparse, quantised or complex tensors, NumPy's
            objects, or more than is plausible. Names the file and the reason.
        TypeError: if the path is neither a str nor a Path.
        OSError: if it cannot be read, or is a folder, a pipe or a device.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "exit.pt")
    ...     _ = path.write_bytes(b"\\x80\\x02cos\\nsystem\\nX\\x02\\x00\\x00\\x00ls\\x85R.")
    ...     read_torch(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: read_torch: ...exit.pt: it holds os.system, which is neither a tensor nor plain data: ...
    """
    where = path_as_text("read_torch", path)
    must_be_regular("read_torch", where)
    with open(where, "rb") as file:
        try:
            return _read(file, os.fstat(file.fileno()).st_size)
        except ValueError as error:
            raise ValueError(f"read_torch: {where}: {error}") from None


def _read(file: BinaryIO, size: int) -> Any:
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        return _read_archive(file, size)
    if start.startswith(b"\x80"):
        return _read_legacy(file, size)
    if start[257:262] == b"ustar":
        raise ValueError("a tar archive, PyTorch's format before 0.2: load it with PyTorch and save it again")
    if start[8:9] == b"{":
        raise ValueError("no file of torch.save, but it looks like safetensors, which minigrad.load reads")
    raise ValueError("no file of torch.save, or a damaged one: it is neither a zip archive nor a pickle")


class _References:
    """The storages that a pickle refers to, by their keys; each key has one meaning."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}

    def __call__(self, reference: Any) -> Storage:
        found = storage(reference)
        if self.storages.setdefault(found.key, found) != found:
            raise ValueError(f"the storage {found.key} is described in two ways")
        return found


def _with_arrays(data: Any, raw: Callable[[Storage], Array], big_endian: bool) -> Any:
    """The data of a pickle with arrays in place of stored tensors; ``raw`` gives a storage's bytes."""
    read: dict[str, Array] = {}
    flats: dict[tuple[str, str], Array] = {}

    def flat(place: Storage, dtype: str) -> Array:
        if place.key not in read:
            read[place.key] = raw(place)
        if (place.key, dtype) not in flats:
            flats[place.key, dtype] = entries(read[place.key], dtype, big_endian)
        return flats[place.key, dtype]

    def build(value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, StoredTensor):
            try:
                return view(value, flat(value.storage, value.dtype))
            except ValueError as error:
                raise ValueError(f"{'.'.join(map(short, path))}: {error}" if path else str(error)) from None
        if isinstance(value, Name) and value.call is None and not value.text.endswith("Storage"):
            return value.text.removeprefix("torch.")  # a dtype
        if isinstance(value, (Name, Storage)):
            raise ValueError(f"it holds {getattr(value, 'text', 'a storage')} by itself, which is no plain data")
        return value

    return unfolded(data, build)


def _exactly(file: BinaryIO, size: int) -> Array:
    """The next bytes of the file; the size has been compared with the file's."""
    raw = np.empty(size, np.uint8)
    if not filled(file, raw.data):
        raise ValueError("it ends while it is read")
    return raw


# --- zip archives --------------------------------------------------------------------------------------


class _Record(NamedTuple):
    """Where the bytes of a record lie, and their checksum."""

    begin: int
    size: int
    crc: int


def _read_archive(file: BinaryIO, size: int) -> Any:
    records = _records(file, size)
    pickles = [name for name in records if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError(f"a zip archive with {len(pickles)} records NAME/data.pkl, where torch.save writes one")
    root = pickles[0].removesuffix("data.pkl")
    if any(name.startswith((f"{root}code/", f"{root}constants.pkl")) for name in records):
        raise ValueError("a TorchScript archive, which is a program: save the module's .state_dict() with torch.save")

    def content(name: str) -> Array:
        if root + name not in records:
            raise ValueError(f"the archive has no record {short(root + name)}")
        begin, length, crc = records[root + name]
        file.seek(begin)
        raw = _exactly(file, length)
        if zlib.crc32(raw.data) != crc:
            raise ValueError(f"the record {short(root + name)} has another checksum than it should: it is damaged")
        return raw

    def raw(place: Storage) -> Array:
        if not place.key.isdecimal():
            raise ValueError(f"a storage has the key {place.key!r}, which is no number")
        found = content(f"data/{place.key}")
        if found.size != place.nbytes:
            raise ValueError(
                f"the record {short(f'{root}data/{place.key}')} has {found.size} bytes instead of {place.nbytes}"
            )
        return found

    order = content("byteorder").tobytes() if f"{root}byteorder" in records else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"the byte order is {order[:20]!r}, neither little nor big")
    data = interpret(io.BytesIO(content("data.pkl").data), find, _References())
    return _with_arrays(data, raw, order == b"big")


def _records(file: BinaryIO, size: int) -> dict[str, _Record]:
    """The records of an archive by name: uncompressed, each with a name and bytes of its own."""
    try:
        with zipfile.ZipFile(file) as archive:
            infos, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeError, OSError, RuntimeError) as error:
        raise ValueError(f"a damaged zip archive: {error}") from None
    records: dict[str, _Record] = {}
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        name = info.orig_filename
        if name in records or ".." in name.split("/") or name.startswith("/") or "\\" in name or "\0" in name:
            raise ValueError(f"the archive has the name {name[:200]!r}, twice or leading out of it")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise ValueError(f"the record {name[:200]!r} is compressed or encrypted, which torch.save does not do")
        begin = _begin(file, info.header_offset, name)
        if begin + info.file_size > min(end, size):
            raise ValueError(f"the record {name[:200]!r} overlaps what is behind it")
        records[name] = _Record(begin, info.file_size, info.CRC)
        end = info.header_offset
    return dict(reversed(records.items()))


def _begin(file: BinaryIO, header: int, name: str) -> int:
    """Where the bytes of a record begin: behind its own header, whose name must be that of the directory."""
    file.seek(max(header, 0))
    raw = file.read(_LOCAL_HEADER.size)
    if header < 0 or len(raw) < _LOCAL_HEADER.size or not raw.startswith(b"PK\x03\x04"):
        raise ValueError(f"the record {name[:200]!r} is not where the archive's directory says")
    _, length, extra = _LOCAL_HEADER.unpack(raw)
    if file.read(length).decode("utf-8", "replace") != name:
        raise ValueError(f"the record {name[:200]!r} has another name in the archive's directory")
    begin: int = header + _LOCAL_HEADER.size + length + extra
    return begin


# --- the older format ----------------------------------------------------------------------------------


def _read_legacy(file: BinaryIO, size: int) -> Any:
    references = _References()
    if interpret(file, find, references) != _MAGIC:
        raise ValueError("a pickle, but not one of torch.save: it does not begin with that one's magic number")
    version = interpret(file, find, references)
    if version != _VERSION:
        raise ValueError(f"a version of PyTorch's older format other than {_VERSION}")
    interpret(file, find, references)  # byte order and sizes of C's types where it was written: it has no use for them
    data = interpret(file, find, references)
    keys = interpret(file, find, references)
    if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) != len(keys):
        raise ValueError("the list of storages is no list of different keys")
    if set(keys) != references.storages.keys():
        raise ValueError("the list of storages has other keys than the tensors")
    raws: dict[str, Array] = {}
    for key in keys:
        place = references.storages[key]
        numel = int.from_bytes(_exactly(file, 8).tobytes(), "little")
        if numel != place.numel:
            raise ValueError(f"the storage {key} has {numel} entries instead of {place.numel}")
        if place.nbytes > size - file.tell():
            raise ValueError(f"the storage {key} of {place.nbytes} bytes goes beyond the end of the file")
        raws[key] = _exactly(file, place.nbytes)
    if file.read(1):
        raise ValueError("there are bytes behind the last storage")
    return _with_arrays(data, lambda place: raws[place.key], big_endian=False)
