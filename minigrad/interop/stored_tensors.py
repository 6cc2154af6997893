"""What PyTorch's pickles may name, and the tensors that they describe.

A pickle of PyTorch holds no numbers of tensors. Each tensor is a call of a function of ``torch._utils`` with a storage,
an offset into it, a shape and strides, all counted in entries; a storage is a persistent reference: its kind, such as
``torch.FloatStorage``, a key, and the number of its entries. Its bytes lie elsewhere in the file. Here the call makes a
:class:`StoredTensor`, which becomes a view of the storage's array once that has been read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..spec import Array
from .pickles import Name, checked_key

__all__ = ["Storage", "StoredTensor", "entries", "find", "short", "storage", "view"]

_CODES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "int64": "i8", "int32": "i4", "int16": "i2",
    "int8": "i1", "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1", "bool": "b1",
}  # fmt: skip
"""NumPy's codes; of bfloat16, which NumPy lacks, that of its bits."""
_KINDS = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip
"""Dtypes of entries by the first part of their storage's name: ``torch.FloatStorage``."""
_BYTES = "bytes"  # the kind of a storage that leaves it to the tensor what its bytes are
_MOST_AXES = 64  # NumPy's
_LARGEST_EXPANDED = 1 << 26  # bytes of a tensor that has an entry of its storage in many places


@dataclass(frozen=True, slots=True)
class Storage:
    """A piece of memory: ``numel`` entries of a dtype (or bytes), under a key in the file."""

    key: str
    dtype: str
    numel: int

    @property
    def nbytes(self) -> int:
        """How many bytes the file has for it."""
        return self.numel * (1 if self.dtype == _BYTES else np.dtype(_CODES[self.dtype]).itemsize)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor by its place in a storage; offset and strides are in entries."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


# --- what may be named ---------------------------------------------------------------------------------


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor:
    """A tensor (storage, offset, shape, strides, …): version 2 goes on with flags and hooks, 3 with a dtype behind."""
    match arguments:
        case (Storage() as held, int(offset), tuple(shape), tuple(strides), *more) if len(more) in (0, 2, 3, 4):
            dtype = held.dtype
        case _:
            raise ValueError("a tensor in it is described in an unknown way")
    if len(more) > 2 and isinstance(more[2], Name):  # version 3
        dtype = more[2].text.removeprefix("torch.")
        more = more[:2] + more[3:]
    if len(more) > 2 and more[2]:
        raise ValueError("a tensor in it is to be negated or conjugated: save x.resolve_neg() or x.resolve_conj()")
    if dtype not in _CODES or held.dtype not in (dtype, _BYTES):
        raise ValueError(f"a tensor in it has the dtype {dtype}, and its storage {held.dtype}")
    for what, numbers in (("offset", (offset,)), ("shape", shape), ("strides", strides)):
        _check_sizes(what, numbers)
    if len(shape) != len(strides):
        raise ValueError(f"a tensor in it has {len(shape)} axes and {len(strides)} strides")
    return StoredTensor(held, dtype, offset, shape, strides)


def _check_sizes(what: str, numbers: tuple[Any, ...]) -> None:
    """Raise unless what a pickle has for sizes are some; what else it has is not printed, for it may have no end."""
    if len(numbers) > _MOST_AXES:
        raise ValueError(f"a tensor in it has {len(numbers)} numbers as its {what}, NumPy at most {_MOST_AXES} axes")
    for place, n in enumerate(numbers):
        if type(n) is not int or not 0 <= n < 1 << 63:
            found = short(n) if type(n) is int else type(n).__name__
            raise ValueError(
                f"a tensor in it has {found} at place {place} of its {what}, not an integer from 0 to 2**63 - 1"
            )


def _parameter(arguments: tuple[Any, ...]) -> StoredTensor:
    """A parameter is its tensor: whether it requires a gradient is left out."""
    match arguments:
        case (StoredTensor() as tensor, *_):
            return tensor
    raise ValueError("a parameter in it is described in an unknown way")


def _ordered(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """An OrderedDict, empty, or of pairs as Python 2 wrote it; a Counter of a dict."""
    match arguments:
        case ():
            return {}
        case (dict(content),):
            return dict(content)
        case (list(pairs),) if all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
            return {checked_key(key): value for key, value in pairs}
    raise ValueError("an OrderedDict in it is described in an unknown way")


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    match arguments:
        case (tuple(sizes),):
            return sizes
    raise ValueError("a torch.Size in it is described in an unknown way")


def _device(arguments: tuple[Any, ...]) -> str:
    match arguments:
        case (str(kind),):
            return kind
        case (str(kind), int(number)):
            return f"{kind}:{number}"
    raise ValueError("a torch.device in it is described in an unknown way")


def _encoded(arguments: tuple[Any, ...]) -> bytes:
    """Bytes, which protocol 2 writes as a text and a call."""
    match arguments:
        case (str(text), "latin1"):
            return text.encode("latin1")
    raise ValueError("bytes in it are described in an unknown way")


_CALLS = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "collections.OrderedDict": _ordered,
    "collections.Counter": _ordered,
    "torch.Size": _size,
    "torch.device": _device,
    "_codecs.encode": _encoded,
}
_NAMES = {
    **{text: Name(text, call) for text, call in _CALLS.items()},
    **{text: Name(text) for text in [f"torch.{dtype}" for dtype in _CODES] + [f"torch.{k}Storage" for k in _KINDS]},
    "torch.storage.UntypedStorage": Name("torch.storage.UntypedStorage"),
}
_REASONS = (
    ("_sparse", "sparse tensors are not read: save x.to_dense()"),
    ("_qtensor", "quantised tensors are not read: save x.dequantize()"),
    ("torch.Q", "quantised tensors are not read: save x.dequantize()"),
    ("torch.q", "quantised tensors are not read: save x.dequantize()"),
    ("Complex", "complex numbers are not read: save torch.view_as_real(x)"),
    ("torch.complex", "complex numbers are not read: save torch.view_as_real(x)"),
    ("torch.float8", "numbers of 8 bits are not read: save x.float()"),
    ("torch._utils._rebuild", "only plain tensors are read: save x.detach().clone()"),
    ("numpy.", "of NumPy nothing is read: save x.item(), or torch.from_numpy(x)"),
)


def find(text: str) -> Name:
    """What a name in a pickle stands for.

    Raises:
        ValueError: if it is not the name of a tensor's part or of plain data; says what to save instead.

    >>> find("torch.nn.modules.linear.Linear")
    Traceback (most recent call last):
    ValueError: it holds torch.nn.modules.linear.Linear, which is neither a tensor nor plain data: of a module save its
    .state_dict(), and of other objects what they consist of
    """
    if text in _NAMES:
        return _NAMES[text]
    for part, reason in _REASONS:
        if part in text:
            raise ValueError(f"it holds {short(text)}: {reason}")
    raise ValueError(
        f"it holds {short(text)}, which is neither a tensor nor plain data: of a module save its .state_dict(), and "
        "of other objects what they consist of"
    )


def storage(reference: Any) -> Storage:
    """The storage that a persistent reference describes; PyTorch's of a module's source code are refused."""
    match reference:
        case ("storage", Name(text), str(key), str(_), int(numel), *views) if text.endswith("Storage"):
            if views not in ([], [None]):
                raise ValueError("a storage in it is a part of another one, as PyTorch before 0.4 wrote them")
            kind = text.removeprefix("torch.").removesuffix("Storage")
            if not 0 <= numel < 1 << 60 or len(key) > 64:
                raise ValueError(f"a storage in it has {short(numel)} entries and the key {short(key)}")
            return Storage(key, _KINDS.get(kind, _BYTES), numel)
        case ("module", *_):
            raise ValueError("it holds a whole module: save its .state_dict() instead")
    raise ValueError("a storage in it is described in an unknown way")


# --- from bytes to arrays ------------------------------------------------------------------------------


def entries(raw: Array, dtype: str, big_endian: bool) -> Array:
    """The entries that bytes are, in the machine's order; those of bfloat16 as float32, which has all of its numbers.

    >>> entries(np.array([0x80, 0x3F, 0x40, 0xC0], np.uint8), "bfloat16", False)
    array([ 1., -3.], dtype=float32)
    """
    code = np.dtype((">" if big_endian else "<") + _CODES[dtype])
    if raw.size % code.itemsize:
        raise ValueError(f"a storage of {raw.size} bytes is to hold entries of {dtype}")
    if dtype == "bool" and raw.max(initial=0) > 1:
        raise ValueError("a storage of bools has bytes other than 0 and 1")
    array = raw.view(code)
    if dtype == "bfloat16":  # the upper half of a float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(code.newbyteorder("="), copy=False)


def view(tensor: StoredTensor, flat: Array) -> Array:
    """A tensor's array: a view of its storage's entries, read-only if it has one of them in several places.

    Raises:
        ValueError: if it reaches beyond the storage, repeats its entries too often, or NumPy has no such array.

    >>> place = Storage("0", "float32", 6)
    >>> view(StoredTensor(place, "float32", 1, (2, 2), (1, 3)), np.arange(6, dtype=np.float32))
    array([[1., 4.],
           [2., 5.]], dtype=float32)
    """
    shape, size = tensor.shape, math.prod(tensor.shape)
    try:
        if not size:
            return np.empty(shape, flat.dtype)
        reach = sum((n - 1) * stride for n, stride in zip(shape, tensor.strides, strict=True))
        if tensor.offset + reach >= flat.size:
            raise ValueError(f"it ends at entry {tensor.offset + reach + 1} of a storage that has {flat.size}")
        repeats = size > reach + 1
        if repeats and size * flat.itemsize > _LARGEST_EXPANDED:
            raise ValueError("it repeats entries of a small storage too often: save x.clone()")
        width = flat.itemsize
        strides = [stride * width if n > 1 else 0 for n, stride in zip(shape, tensor.strides, strict=True)]
        array: Array = np.ndarray(shape, flat.dtype, flat.data, tensor.offset * width, strides)
    except (ValueError, OverflowError, MemoryError) as error:
        raise ValueError(f"a tensor of shape {short(shape)} and strides {short(tensor.strides)}: {error}") from None
    array.flags.writeable = not repeats
    return array


def short(value: Any) -> str:
    """At most 200 characters of what a file says: of a text, of bytes, or of numbers that have been checked.

    >>> short("layers.0.weight"), short("a\\n"), len(short("a" * 1000))
    ('layers.0.weight', "'a\\\\n'", 201)
    """
    value = value[:201] if isinstance(value, (str, bytes)) else value  # before it is copied
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
