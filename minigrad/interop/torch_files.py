"""Read files written by ``torch.save``, without PyTorch and without executing code from them.

There are two formats. Since PyTorch 1.6 a file is a zip archive without compression: ``NAME/data.pkl`` is the pickle,
``NAME/data/KEY`` the bytes of each storage, ``NAME/byteorder`` says ``little`` or ``big``. The older format is a
sequence of five pickles (a magic number, the version 1001, properties of the machine, the data, the list of the
storages' keys), followed by each storage: its number of entries (8 bytes) and its bytes, little-endian on every
machine. (https://docs.pytorch.org/docs/stable/notes/serialization.html, and torch/serialization.py.)

A pickle is a program for a machine with a stack and a memo. Python's own machine imports and calls the objects that a
pickle names, so a file can run any program. The machine here supports only the instructions that plain data need. It
decodes their operands with Python's description of them (`pickletools`, which executes nothing). Names and calls must
be in a table.

A pickle of PyTorch does not contain the entries of tensors. Each tensor is a call of a function of ``torch._utils``
with a storage, an offset into it, a shape and strides, all counted in entries. A storage is a persistent reference: its
kind, such as ``torch.FloatStorage``, a key, and its number of entries. The call creates a :class:`_StoredTensor`, which
becomes a view of the storage's array once that has been read.

Any number in a malicious file may be wrong. Sizes are compared with the file's before memory is allocated, instructions
are counted, strings have a maximum length, and keys of dicts are plain values. (Hashing nested tuples could take
forever.) Entries that the memo repeats are counted as often as they appear in the result.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pickletools import opcodes
from typing import Any, BinaryIO

import numpy as np

from ..io import must_be_regular
from ..spec import Array

__all__ = ["read_torch"]

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_MOST = 2_000_000  # instructions of a pickle, and entries of its result; a large checkpoint has about 100,000
_DEEPEST = 64  # lists in lists
_LONGEST_TEXT = 1 << 24  # bytes
_LONGEST_NAME = 256
_MOST_AXES = 64  # NumPy's
_LARGEST_EXPANDED = 1 << 26  # bytes of a tensor that repeats entries of its storage
# NumPy's codes of dtypes. bfloat16, which NumPy lacks, has the code of its bits; "bytes" have no dtype.
_CODES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "int64": "i8", "int32": "i4", "int16": "i2",
    "int8": "i1", "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1", "bool": "b1", "bytes": "u1",
}  # fmt: skip
_STORAGES = {
    "torch.DoubleStorage": "float64", "torch.FloatStorage": "float32", "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16", "torch.LongStorage": "int64", "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16", "torch.CharStorage": "int8", "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool", "torch.storage.UntypedStorage": "bytes",
}  # fmt: skip


def read_torch(path: str | os.PathLike[str]) -> Any:
    """Read a file written by ``torch.save``, with ndarrays for tensors; PyTorch is not needed.

    A ``state_dict`` is a dict of arrays by name. A checkpoint is a dict of plain data: dicts (also ordered dicts and
    counters), lists, tuples (also sizes), strings, bytes, numbers, None; dtypes and devices become strings. Nothing in
    the file is executed, and anything but tensors and plain data raises an error. So you can read untrusted files.

    Arrays have PyTorch's dtypes, except that bfloat16, which NumPy lacks, becomes float32 without loss. Tensors that
    share a storage share memory here too, and are views with its strides. A tensor that repeats an entry (``x.expand``)
    is read-only. Devices and ``requires_grad`` are ignored.

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
    where = must_be_regular("read_torch", path)
    with open(where, "rb") as file:
        try:
            return _read(file, os.fstat(file.fileno()).st_size)
        except ValueError as error:
            raise ValueError(f"read_torch: {where}: {error}") from None


def _read(file: BinaryIO, size: int) -> Any:
    start = file.read(512)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_archive(archive, size)
        except (
            zipfile.BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError, struct.error,
        ) as error:  # fmt: skip
            raise ValueError(f"a damaged zip archive: {error}") from None
    if start.startswith(b"\x80"):
        return _read_legacy(file, size)
    if start[257:262] == b"ustar":
        raise ValueError("a tar archive, PyTorch's format before 0.2: load it with PyTorch and save it again")
    if start[8:9] == b"{":
        raise ValueError("not a torch.save file; it looks like safetensors, which minigrad.load reads")
    raise ValueError("not a torch.save file, or a damaged one: it is neither a zip archive nor a pickle")


def _short(value: Any) -> str:
    """Show at most 200 characters of a string, of bytes, or of numbers that have been checked.

    >>> _short("layers.0.weight"), _short("a\\n"), len(_short("a" * 1000))
    ('layers.0.weight', "'a\\\\n'", 201)
    """
    value = value[:201] if isinstance(value, (str, bytes)) else value  # before it is copied
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"


# --- the two formats -----------------------------------------------------------------------------------


def _read_archive(archive: zipfile.ZipFile, size: int) -> Any:
    infos = archive.infolist()
    names = {info.filename for info in infos}
    pickles = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(names) < len(infos):
        raise ValueError("a zip archive with two records of the same name")
    if len(pickles) != 1:
        raise ValueError(f"a zip archive with {len(pickles)} records NAME/data.pkl, but torch.save writes one")
    if any(i.compress_type != zipfile.ZIP_STORED or i.compress_size != i.file_size or i.flag_bits & 1 for i in infos):
        raise ValueError("a zip archive with compressed or encrypted records, which torch.save does not write")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("a damaged zip archive: its records are larger than the file")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in names or any(name.startswith(f"{root}code/") for name in names):
        raise ValueError("a TorchScript archive, which is a program: save the module's .state_dict() with torch.save")

    def content(name: str) -> Any:
        if root + name not in names:
            raise ValueError(f"the archive has no record {_short(root + name)}")
        return bytearray(archive.read(root + name))

    def raw(storage: _Storage) -> Array:
        found = np.frombuffer(content(f"data/{storage.key}"), np.uint8)
        if found.size != storage.nbytes:
            raise ValueError(f"the record data/{storage.key} has {found.size} bytes instead of {storage.nbytes}")
        return found

    order = content("byteorder") if f"{root}byteorder" in names else b"little"
    if order not in (b"little", b"big"):
        raise ValueError(f"the byte order is {bytes(order[:20])!r}, neither little nor big")
    return _with_arrays(_interpret(io.BytesIO(content("data.pkl")), {}), raw, order == b"big")


def _read_legacy(file: BinaryIO, size: int) -> Any:
    storages: dict[str, _Storage] = {}
    if _interpret(file, storages) != _MAGIC:
        raise ValueError("a pickle, but not from torch.save: the magic number is missing")
    if _interpret(file, storages) != _VERSION:
        raise ValueError(f"a version of PyTorch's older format other than {_VERSION}")
    _, data, keys = (_interpret(file, storages) for _ in range(3))
    if type(keys) is not list or any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("the keys in its list of storages differ from those of its tensors")
    raws: dict[str, Array] = {}
    for storage in map(storages.__getitem__, keys):
        numel = int.from_bytes(file.read(8), "little")
        if numel != storage.numel:
            raise ValueError(f"the storage {storage.key} has {numel} entries instead of {storage.numel}")
        if storage.nbytes > size - file.tell():
            raise ValueError(f"the storage {storage.key} of {storage.nbytes} bytes goes beyond the end of the file")
        raws[storage.key] = np.empty(storage.nbytes, np.uint8)
        if file.readinto(raws[storage.key].data) != storage.nbytes:  # type: ignore[attr-defined]
            raise ValueError("the file ends too early")
    if file.read(1):
        raise ValueError("there are bytes after the last storage")
    return _with_arrays(data, lambda storage: raws[storage.key], big_endian=False)


# --- pickles -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Name:
    """An object of Python or PyTorch that a pickle names."""

    text: str


def _interpret(file: BinaryIO, storages: dict[str, _Storage]) -> Any:
    """Return the value of the pickle at the current position, and move past it.

    Lists and dicts may be shared, or contain themselves: :func:`_unfolded` turns the result into a tree. The storages
    that the pickle refers to are added to those given, by key.

    >>> _interpret(io.BytesIO(b"\\x80\\x02]q\\x00(K\\x01X\\x02\\x00\\x00\\x00hie."), {})
    [1, 'hi']
    >>> _interpret(io.BytesIO(b"\\x80\\x02cos\\nsystem\\nX\\x02\\x00\\x00\\x00ls\\x85R."), {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: it holds os.system, which is neither a tensor nor plain data: ...
    """
    machine, name = _Machine(file, storages), ""
    try:
        while name != "STOP":
            machine.spend(1)
            opcode = _OPCODES.get(machine.read(1))
            name = opcode.name if opcode else "unknown"
            if opcode is None or name not in _STEPS:
                raise ValueError(f"its pickle has the instruction {name}, which plain data do not need")
            _STEPS[name](machine, opcode.arg.reader(machine) if opcode.arg else None)  # type: ignore[arg-type]
    except (IndexError, KeyError):
        raise ValueError("its pickle is damaged: it takes more from its stack or memo than they hold") from None
    if len(machine.stack) != 1 or machine.below:
        raise ValueError("its pickle is damaged: it does not end with one value")
    return machine.stack[0]


class _Machine:
    """A pickle's file, the stack above the last mark, the stacks below each mark, and the memo."""

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.file, self.storages, self.spent = file, storages, 0

    def read(self, count: int) -> bytes:
        """Read exactly the given number of bytes; raise if there are too few, or the number is too large."""
        if count > _LONGEST_TEXT:
            raise ValueError(f"its pickle has a string of {count} bytes, more than {_LONGEST_TEXT}")
        raw = self.file.read(count)
        if len(raw) < count:
            raise ValueError("its pickle is truncated")
        return raw

    def readline(self) -> bytes:
        """Read a name, with its backslashes doubled: pickletools reads them as escapes, and may warn."""
        return self.file.readline(_LONGEST_NAME).replace(b"\\", b"\\\\")

    def spend(self, steps: int) -> None:
        self.spent += steps
        if self.spent > _MOST:
            raise ValueError(f"its pickle has more than {_MOST} instructions")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self, count: int) -> list[Any]:
        return [self.stack.pop() for _ in range(count)][::-1]

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_to_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values

    def append(self, values: list[Any]) -> None:
        if type(target := self.stack[-1]) is not list:
            raise ValueError("its pickle is damaged: it appends to an object that is not a list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        if type(target := self.stack[-1]) is not dict or len(values) % 2:
            raise ValueError("its pickle is damaged: it sets items of a non-dict, or a key without a value")
        target.update((_checked_key(key), value) for key, value in zip(values[::2], values[1::2], strict=True))

    def check_protocol(self, version: int) -> None:
        if version != 2:
            raise ValueError(f"its pickle is not of protocol 2, the default of torch.save, but of {version}")

    def name(self, words: str) -> None:
        text = words.replace(" ", ".")
        if text not in _NAMES:
            raise ValueError(f"it holds {_short(text)}{next(hint for part, hint in _HINTS.items() if part in text)}")
        self.push(_Name(text))

    def call(self) -> None:
        name, arguments = self.pop(2)
        if type(name) is not _Name or name.text not in _CALLS or type(arguments) is not tuple:
            raise ValueError("its pickle is damaged: it calls an object that is not a function")
        self.spend(sum(len(value) for value in arguments if isinstance(value, (list, dict, tuple, str))))
        function, kinds = _CALLS[name.text]
        try:
            if not all(map(isinstance, arguments, kinds)):
                raise TypeError
            self.push(function(*arguments))
        except TypeError:
            raise ValueError(f"a {name.text} in it is described in an unknown way") from None

    def set_state(self) -> None:
        """Ignore the attributes of a dict, such as the versions in a state's ``_metadata``."""
        target, attributes = self.pop(2)
        if type(target) is not dict or type(attributes) is not dict:
            raise ValueError("its pickle sets the state of an object other than a dict, which is not plain data")
        self.push(target)

    def refer(self) -> None:
        """Push the storage of a persistent reference; PyTorch also uses references for a module's source code."""
        match self.pop(1)[0]:
            case ("storage", _Name(text), str(key), str(), int(numel), *views) if text in _STORAGES:
                if views not in ([], [None]):
                    raise ValueError("a storage in it is a part of another one, as PyTorch before 0.4 wrote them")
                if not 0 <= numel < 1 << 60 or len(key) > 64:
                    raise ValueError(f"a storage in it has {_short(numel)} entries and the key {_short(key)}")
                found = _Storage(key, _STORAGES[text], numel)
            case ("module", *_):
                raise ValueError("it holds a whole module: save its .state_dict() instead")
            case _:
                raise ValueError("a storage in it is described in an unknown way")
        if self.storages.setdefault(key, found) != found:
            raise ValueError(f"the storage {_short(key)} is described in two ways")
        self.push(found)


# The instructions of protocol 2 that plain data need, as functions of the machine and the operand.
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda m, version: m.check_protocol(version),
    "STOP": lambda m, _: None,
    "MARK": lambda m, _: m.mark(),
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"), _Machine.push),
    "SHORT_BINSTRING": lambda m, text: m.push(text.encode("latin1").decode()),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE1": lambda m, _: m.push(tuple(m.pop(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pop(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pop(3))),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "APPEND": lambda m, _: m.append(m.pop(1)),
    "APPENDS": lambda m, _: m.append(m.pop_to_mark()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "SETITEM": lambda m, _: m.set_items(m.pop(2)),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda m, place: m.memo.update({place: m.stack[-1]})),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, place: m.push(m.memo[place])),
    "GLOBAL": _Machine.name,
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.set_state(),
    "BINPERSID": lambda m, _: m.refer(),
}
_OPCODES = {opcode.code.encode("latin1"): opcode for opcode in opcodes}


def _checked_key(key: Any) -> Any:
    """Check a key of a dict: a string, a number of 64 bits, bytes or None."""
    if type(key) not in (str, int, float, bool, bytes, type(None)) or (type(key) is int and key.bit_length() > 64):
        raise ValueError(f"a dict in it has a key that is neither a string nor a number but {type(key).__name__}")
    return key


def _unfolded(value: Any, build: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """Copy the data into new lists, tuples and dicts, without sharing.

    Args:
        build: converts each other value, given the value and its path of keys.

    Raises:
        ValueError: if lists are nested too deeply, as lists that contain themselves are, or there are too many entries.

    >>> _unfolded({"a": [1, (2,)]}, lambda value, path: (value, path))
    {'a': [(1, ('a', 0)), ((2, ('a', 1, 0)),)]}
    """
    seen = itertools.count(1)

    def walk(value: Any, path: tuple[Any, ...]) -> Any:
        if next(seen) > _MOST:
            raise ValueError(f"it holds more than {_MOST} entries, because it repeats the same ones")
        if type(value) not in (dict, list, tuple):
            return build(value, path)
        if len(path) == _DEEPEST:
            raise ValueError(f"it nests lists or dicts more than {_DEEPEST} deep, or one that contains itself")
        if type(value) is dict:
            return {key: walk(entry, (*path, key)) for key, entry in value.items()}
        entries = [walk(entry, (*path, i)) for i, entry in enumerate(value)]
        return entries if type(value) is list else tuple(entries)

    return walk(value, ())


# --- what may be named and called ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Storage:
    """A block of memory: ``numel`` entries of a dtype (or bytes), under a key in the file."""

    key: str
    dtype: str
    numel: int

    @property
    def nbytes(self) -> int:
        return self.numel * np.dtype(_CODES[self.dtype]).itemsize


@dataclass(frozen=True, slots=True)
class _StoredTensor:
    """A tensor as a part of a storage; offset and strides are in entries."""

    storage: _Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *more: Any) -> _StoredTensor:
    """A tensor, in three versions: a dtype and a dict of signs may follow the flags and hooks."""
    dtypes = [value.text.removeprefix("torch.") for value in more if type(value) is _Name]
    dtype = dtypes[0] if dtypes else storage.dtype
    if any(type(value) is dict and value for value in more[2:]):
        raise ValueError("a tensor in it is to be negated or conjugated: save x.resolve_neg() or x.resolve_conj()")
    if dtype not in _CODES or storage.dtype not in (dtype, "bytes"):
        raise ValueError(f"a tensor in it has the dtype {dtype}, but its storage has {storage.dtype}")
    for what, numbers in (("offset", (offset,)), ("shape", shape), ("strides", strides)):
        if len(numbers) > _MOST_AXES or not all(type(n) is int and 0 <= n < 1 << 63 for n in numbers):
            raise ValueError(f"the {what} of a tensor in it must be at most {_MOST_AXES} integers from 0 to 2**63 - 1")
    if len(shape) != len(strides):
        raise ValueError(f"a tensor in it has {len(shape)} axes but {len(strides)} strides")
    return _StoredTensor(storage, dtype, offset, shape, strides)


def _mapping(content: Any = ()) -> dict[Any, Any]:
    """An OrderedDict, of nothing or of pairs as Python 2 wrote it, or a Counter of a dict."""
    return {_checked_key(key): value for key, value in (content.items() if type(content) is dict else content)}


# Functions that a pickle may call, and the types of their first arguments.
_CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    **dict.fromkeys(
        ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"),
        (_tensor, (_Storage, int, tuple, tuple)),
    ),
    "torch._utils._rebuild_parameter": (lambda tensor, *_: tensor, (_StoredTensor,)),
    "collections.OrderedDict": (_mapping, ((dict, list),)),
    "collections.Counter": (_mapping, (dict,)),
    "torch.Size": (tuple, (tuple,)),
    "torch.device": (lambda kind, number=None: kind if number is None else f"{kind}:{number}", (str, int)),
    "_codecs.encode": (lambda text, encoding: text.encode("latin1"), (str, str)),
}
_NAMES = _CALLS.keys() | _STORAGES.keys() | {f"torch.{dtype}" for dtype in _CODES}
# What to save instead of unsupported objects, by a part of their names.
_HINTS = {
    "_sparse": ": sparse tensors are not supported: save x.to_dense()",
    "_qtensor": ": quantised tensors are not supported: save x.dequantize()",
    "torch.Q": ": quantised tensors are not supported: save x.dequantize()",
    "torch.q": ": quantised tensors are not supported: save x.dequantize()",
    "Complex": ": complex numbers are not supported: save torch.view_as_real(x)",
    "torch.complex": ": complex numbers are not supported: save torch.view_as_real(x)",
    "torch.float8": ": numbers of 8 bits are not supported: save x.float()",
    "torch._utils._rebuild": ": only plain tensors are supported: save x.detach().clone()",
    "numpy.": ": objects of NumPy are not supported: save x.item(), or torch.from_numpy(x)",
    "": ", which is neither a tensor nor plain data: save a module's .state_dict(), and plain data for other objects",
}


# --- arrays --------------------------------------------------------------------------------------------


def _with_arrays(data: Any, raw: Callable[[_Storage], Array], big_endian: bool) -> Any:
    """Return the data of a pickle with arrays instead of stored tensors; ``raw`` returns a storage's bytes."""
    raw = cache(raw)

    @cache
    def flat(storage: _Storage, dtype: str) -> Array:
        return _entries(raw(storage), dtype, big_endian)

    def build(value: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(value, _StoredTensor):
            try:
                return _view(value, flat(value.storage, value.dtype))
            except ValueError as error:
                raise ValueError(f"{'.'.join(map(_short, path))}: {error}" if path else str(error)) from None
        if isinstance(value, _Storage) or (isinstance(value, _Name) and value.text in _CALLS.keys() | _STORAGES.keys()):
            raise ValueError(f"it holds {getattr(value, 'text', 'a storage')} by itself, which is not plain data")
        return value.text.removeprefix("torch.") if isinstance(value, _Name) else value  # a dtype

    return _unfolded(data, build)


def _entries(raw: Array, dtype: str, big_endian: bool) -> Array:
    """Read entries in the machine's byte order from bytes; bfloat16 becomes float32 without loss.

    >>> _entries(np.array([0x80, 0x3F, 0x40, 0xC0], np.uint8), "bfloat16", False)
    array([ 1., -3.], dtype=float32)
    """
    code = np.dtype((">" if big_endian else "<") + _CODES[dtype])
    if raw.size % code.itemsize:
        raise ValueError(f"a storage of {raw.size} bytes does not hold a whole number of {dtype} entries")
    if dtype == "bool" and raw.max(initial=0) > 1:
        raise ValueError("a storage of bools has bytes other than 0 and 1")
    array = raw.view(code)
    if dtype == "bfloat16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(code.newbyteorder("="), copy=False)


def _view(tensor: _StoredTensor, flat: Array) -> Array:
    """Return a tensor's array: a view of its storage's entries, read-only if it repeats one of them.

    Raises:
        ValueError: if it reaches beyond the storage, repeats its entries too often, or NumPy has no such array.

    >>> storage = _Storage("0", "float32", 6)
    >>> _view(_StoredTensor(storage, "float32", 1, (2, 2), (1, 3)), np.arange(6, dtype=np.float32))
    array([[1., 4.],
           [2., 5.]], dtype=float32)
    """
    shape, width = tensor.shape, flat.itemsize
    try:
        if not math.prod(shape):
            return np.empty(shape, flat.dtype)
        reach = sum((n - 1) * stride for n, stride in zip(shape, tensor.strides, strict=True))
        if tensor.offset + reach >= flat.size:
            raise ValueError(f"it ends at entry {tensor.offset + reach + 1} of a storage with {flat.size} entries")
        repeats = math.prod(shape) > reach + 1
        if repeats and math.prod(shape) * width > _LARGEST_EXPANDED:
            raise ValueError("it repeats entries of a small storage too often: save x.clone()")
        strides = [stride * width if n > 1 else 0 for n, stride in zip(shape, tensor.strides, strict=True)]
        array: Array = np.ndarray(shape, flat.dtype, flat.data, tensor.offset * width, strides)
    except (ValueError, OverflowError, MemoryError) as error:
        raise ValueError(f"a tensor of shape {_short(shape)} and strides {_short(tensor.strides)}: {error}") from None
    array.flags.writeable = not repeats
    return array
