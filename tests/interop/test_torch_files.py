"""Files of torch.save: read like PyTorch, and refused if they are damaged or hostile."""

from __future__ import annotations

import contextlib
import io
import struct
import time
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest

from minigrad.interop import read_torch
from minigrad.interop.torch_files import _read
from tests.interop import written
from tests.interop.written import (
    FOLDER,
    STATE,
    archive,
    call,
    legacy,
    mapping,
    name,
    number,
    numbers,
    pickled,
    several,
    stored,
)
from tests.peers import Peer

PYTORCH = Peer(__name__)
FILES = sorted(FOLDER.glob("*.pt"), key=lambda path: path.name)


def leaves(value: Any) -> list[Any]:
    """Arrays, and keys and other values as texts, of nested data in order; of PyTorch's tensors too."""
    if isinstance(value, dict):
        return [leaf for key, entry in value.items() for leaf in [*leaves(key), *leaves(entry)]]
    if isinstance(value, (list, tuple)):
        return [leaf for entry in value for leaf in leaves(entry)]
    if isinstance(value, np.ndarray):
        return [value]
    if hasattr(value, "detach"):
        tensor = value.detach()
        return [(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy().copy()]
    return [str(value).removeprefix("torch.")]


def read(raw: bytes) -> Any:
    return _read(io.BytesIO(raw), len(raw))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_are_read_as_pytorch_reads_them(path):
    """To the bit; PyTorch's answer is frozen."""
    answer = PYTORCH.ask(path.stem, lambda torch: leaves(torch.load(path, weights_only=False)))
    mine, theirs = leaves(read_torch(path)), leaves(answer.expected)
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            assert one.tobytes() == other.tobytes()
        else:
            assert one == other


def test_tensors_of_one_storage_share_memory():
    shared, part, *_, repeated = read_torch(FOLDER / "checkpoint.pt")["views"]
    shared[1, 0, 0] = 100
    assert part[0, 0] == 100
    assert repeated.strides == (0, 0)
    with pytest.raises(ValueError, match="read-only"):
        repeated[0, 0] = 1


@pytest.mark.parametrize("write", [archive, legacy])
def test_a_file_built_by_hand(write):
    state = read(write(STATE))
    np.testing.assert_array_equal(state["a"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(state["b"], [[1, 4], [2, 5]])


def test_big_endian():
    records = {"byteorder": b"big", "data/0": struct.pack(">6f", *range(6))}
    np.testing.assert_array_equal(read(archive(STATE, records))["a"].ravel(), range(6))


def one(*arguments: Any, **storage: Any) -> bytes:
    return written.tensor(stored(**storage), *arguments)


REFUSED = {
    "a tensor beyond its storage": (one(0, (7,), (1,)), "ends at entry 7 of a storage with 6"),
    "an offset beyond it": (one(7, (1,), (1,)), "ends at entry 8"),
    "strides beyond it": (one(0, (2, 2), (5, 1)), "ends at entry 7"),
    "a negative stride": (one(5, (2,), (-1,)), "strides"),
    "a negative offset": (one(-1, (2,), (1,)), "the offset of a tensor"),
    "a negative length": (one(0, (-1,), (1,)), "the shape of a tensor"),
    "a stride too few": (one(0, (2, 3), (1,)), "2 axes but 1 strides"),
    "a huge shape": (one(0, (2**62, 2**62), (1, 1)), "ends at entry"),
    "huge and empty": (one(0, (0, 2**62, 2**62), (1, 1, 1)), "a tensor of shape"),
    "huge without strides": (one(0, (2**40,), (0,)), "too often"),
    "many axes": (one(0, (1,) * 65, (1,) * 65), "at most 64 integers"),
    "beyond 64 bits": (one(0, (2**70,), (0,)), "shape"),
    "a text for a shape": (
        call("torch._utils._rebuild_tensor_v2", stored(), number(0), written.text("a"), numbers(1)), "unknown"),
    "floats for a shape": (
        call("torch._utils._rebuild_tensor_v2", stored(), number(0), several(b"G" + bytes(8)), numbers(1)), "shape"),
    "a storage of another size": (one(0, (5,), (1,), numel=5), "instead of"),
    "a huge storage": (one(0, (6,), (1,), numel=2**61), "entries"),
    "a negative storage": (one(0, (6,), (1,), numel=-1), "entries"),
    "a storage that is not there": (one(0, (6,), (1,), key="1"), "no record|keys in its list"),
    "a key that leads out": (one(0, (6,), (1,), key="../../etc/passwd"), "no record|keys in its list"),
    "two meanings": (several(stored(), stored("torch.LongStorage")), "two ways"),
    "a storage by itself": (stored(), "a storage by itself"),
    "a function by itself": (name("torch._utils._rebuild_tensor_v2"), "by itself"),
    "a negated tensor": (
        written.tensor(stored(), 0, (6,), (1,), b"\x89", b"N", mapping({"neg": b"\x88"})), "resolve_neg"),
    "two dtypes": (
        call("torch._utils._rebuild_tensor_v3", stored(), number(0), numbers(6), numbers(1), b"\x89", b"N",
             name("torch.int64")), "dtype int64, but its storage has float32"),
    "a module": (name("torch.nn.modules.linear.Linear") + b")\x81", r"linear\.Linear.*save a module.s \.state_dict"),
    "a module of one's own": (name("__main__.Net") + b")\x81", r"__main__\.Net.*save a module.s \.state_dict\(\)"),
    "a sparse tensor": (name("torch._utils._rebuild_sparse_tensor"), "to_dense"),
    "a quantised one": (name("torch._utils._rebuild_qtensor"), "dequantize"),
    "a quantised storage": (name("torch.QInt8Storage"), "dequantize"),
    "complex numbers": (name("torch.ComplexFloatStorage"), "view_as_real"),
    "float8": (name("torch.float8_e4m3fn"), "8 bits"),
    "NumPy's numbers": (name("numpy.core.multiarray.scalar"), r"x\.item\(\)"),
    "a subclass": (name("torch._utils._rebuild_wrapper_subclass"), "plain tensors"),
}  # fmt: skip


@pytest.mark.parametrize("write", [archive, legacy])
@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_and_hostile_contents(body, message, write):
    with pytest.raises(ValueError, match=message):
        read(write(body))


def test_an_error_names_the_file_and_the_tensor_and_is_short(tmp_path):
    path, message = (
        tmp_path / "x.pt",
        r"^read_torch: .*x\.pt: .*a tensor of shape \(7,\) and strides \(1,\): it ends at entry 7",
    )
    for key in ("w", "\x00" * 2_000_000):
        path.write_bytes(archive(mapping({"model": mapping({key: one(0, (7,), (1,))})})))
        with pytest.raises(ValueError, match=message) as caught:
            read_torch(path)
        assert len(str(caught.value)) < 2000


def renamed(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    return raw.replace(old, new)


def central(raw: bytes, record: bytes) -> int:
    """Where the directory's entry of a record begins."""
    return raw.rindex(record) - 46


def patched(raw: bytes, at: int, form: str, value: int) -> bytes:
    new = struct.pack(form, value)
    return raw[:at] + new + raw[at + len(new) :]


GOOD = archive(STATE)
DATA = central(GOOD, b"archive/data/0")
ARCHIVES = {
    "compressed": (archive(STATE, compression=zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "bools beyond 1": (archive(one(0, (24,), (1,), kind="torch.BoolStorage", numel=24)), "bytes other than 0 and 1"),
    "a bomb": (archive(b"N", {"data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "encrypted": (patched(GOOD, DATA + 8, "<H", 1), "compressed or encrypted"),
    "two sizes": (patched(GOOD, DATA + 24, "<I", 2**30), "compressed or encrypted"),
    "larger than the file": (patched(patched(GOOD, DATA + 20, "<I", 2**30), DATA + 24, "<I", 2**30), "larger than"),
    "overlapping": (patched(GOOD, DATA + 42, "<I", 0), "differ"),
    "beyond the file": (patched(GOOD, DATA + 42, "<I", 2**31), "Truncated file header"),
    "another checksum": (patched(GOOD, DATA + 16, "<I", 0), "Bad CRC-32"),
    "another name in its header": (renamed(GOOD[:DATA], b"data/0", b"data/1") + GOOD[DATA:], "differ"),
    "without a pickle": (renamed(GOOD, b"data.pkl", b"data.pkk"), "0 records NAME/data.pkl"),
    "two pickles": (archive(STATE, {"/other/data.pkl": pickled(b"N")}), "2 records"),
    "without a storage": (renamed(GOOD, b"data/0", b"data/1"), "no record archive/data/0"),
    "an order of bytes": (archive(STATE, {"byteorder": b"middle"}), "neither little nor big"),
    "TorchScript": (archive(STATE, {"constants.pkl": b""}), "TorchScript"),
    "an empty file": (b"", "neither a zip archive nor a pickle"),
    "text": (b"hello", "neither a zip archive nor a pickle"),
    "a tar archive": (bytes(257) + b"ustar" + bytes(250), "tar archive"),
    "a safetensors file": (struct.pack("<Q", 2) + b"{}", r"minigrad\.load"),
    "cut off": (GOOD[:-30], "damaged zip archive"),
    "nothing but a beginning": (b"PK\x03\x04", "damaged zip archive"),
}  # fmt: skip


SIX = struct.pack("<6f", *range(6))
LEGACY = {
    "another pickle": (pickled(number(3)), "magic number"),
    "another version": (pickled(number(0x1950A86A20F9469CFC6C)) + pickled(number(1002)), "other than 1001"),
    "cut off": (legacy(STATE)[:-1], "beyond the end"),
    "more behind": (legacy(STATE) + b"x", "after the last storage"),
    "another number of entries": (legacy(STATE, {"0": (5, SIX[:20])}), "has 5 entries instead of 6"),
    "a negative number": (legacy(STATE, {"0": (-1, SIX)}), "instead of 6"),
    "a storage too many": (legacy(STATE, {"0": (6, SIX), "1": (6, SIX)}), "keys in its list"),
    "a storage too few": (legacy(STATE, {}), "keys in its list"),
    "a key twice": (legacy(STATE, keys=b"](" + written.text("0") * 2 + b"e"), "keys in its list"),
    "no list of keys": (legacy(STATE, keys=b"N"), "keys in its list"),
    "keys that are lists": (legacy(STATE, keys=b"]]a"), "keys in its list"),
    "large and cut off": (legacy(one(0, (2**40,), (1,), numel=2**40), {"0": (2**40, SIX)}), "beyond the end"),
    "another protocol": (b"\x80\x04N.", "not of protocol 2"),
    "nothing but a beginning": (b"\x80", "not of protocol 2|truncated"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "message"), [*ARCHIVES.values(), *LEGACY.values()], ids=[*ARCHIVES, *(f"legacy: {key}" for key in LEGACY)]
)
def test_damaged_and_hostile_files(raw, message):
    with pytest.raises(ValueError, match=message):
        read(raw)


@pytest.mark.parametrize(
    ("path", "error"), [(FOLDER, IsADirectoryError), ("/dev/null", OSError), ("/no/such/file", OSError), (3, TypeError)]
)
def test_the_path_must_be_a_regular_file(path, error):
    with pytest.raises(error):
        read_torch(path)


SAMPLES = [path.read_bytes() for path in FILES] + [GOOD, legacy(STATE)]


BODIES = [STATE] + [
    zipfile.ZipFile(path).read(f"{path.stem}/data.pkl")[2:-1] for path in FILES if not path.stem.endswith("legacy")
]


def damaged(raw: bytes, random: np.random.Generator) -> bytes:
    """Bytes of which some are changed, cut out or doubled."""
    for _ in range(random.integers(1, 4)):
        here, there = sorted(random.integers(0, len(raw) + 1, 2))
        there = min(there, here + 40)
        part = [random.bytes(3), b"\xff" * 4, bytes(4), b"", 2 * raw[here:there], b"q\x00h\x00"][random.integers(6)]
        raw = raw[:here] + part + raw[there if len(part) != 3 else here + 3 :]
    return raw


@pytest.mark.slow
def test_damaged_files_are_data_or_an_error(full):
    """Soon, and in little memory; also with correct checksums around a damaged pickle."""
    random = np.random.default_rng(0)
    for turn in range(2000 if full else 60):
        raw, body = (pool[turn % len(pool)] for pool in (SAMPLES, BODIES))
        for content in (damaged(raw, random), archive(damaged(body, random)), legacy(damaged(body, random))):
            tracemalloc.start()
            start = time.perf_counter()
            try:
                with contextlib.suppress(ValueError):
                    read(content)
                assert tracemalloc.get_traced_memory()[1] < 64e6
            finally:
                tracemalloc.stop()
            assert time.perf_counter() - start < 20
