"""NumPy's files: what np.save and np.savez write comes back; what is damaged, hostile or needs pickle is refused."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import minigrad as mg

DTYPES = ["?", "i1", "u1", ">i2", "<i4", "i8", "u8", "f2", ">f4", "f8", "c8", "U3", "S2", "M8[D]"]
ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "in columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "0-d": np.array(3, np.float32),
    "empty": np.zeros((0, 4)),
    "words": np.array(["red", "green"]),
    "big-endian": np.arange(3, dtype=">f4"),
    "records": np.array([(1, 2.0)], [("n", "i4"), ("x", "f8")]),
}


def same(mine, theirs):
    assert mine.dtype == theirs.dtype.newbyteorder("=")
    assert mine.dtype.isnative
    assert mine.shape == theirs.shape
    assert mine.flags.writeable
    assert mine.tobytes() == theirs.astype(mine.dtype).tobytes()


@given(
    array=npst.arrays(st.sampled_from(DTYPES).map(np.dtype), npst.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    transposed=st.booleans(),
)
def test_arrays_come_back(array, transposed, tmp_path_factory):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    array = array.T if transposed else array
    np.save(path, array)
    same(mg.load_numpy(path), array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_come_back_in_order(tmp_path, save):
    path = tmp_path / "arrays.data.npz"
    save(path, **ARRAYS)
    found = mg.load_numpy(str(path))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        same(found[name], array)
    assert found["in columns"].flags.f_contiguous
    save(path)
    assert mg.load_numpy(path) == {}


# --- what is refused --------------------------------------------------------------------------------------


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    length = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + header.encode() + content


def header(descr: str = "'<f8'", shape: str = "(2,)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n"


class Trap:
    """What must never be unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([Trap(), 1], dtype=object), allow_pickle=True)
    return stream.getvalue()


HOSTILE = {
    "objects": (pickled(), "holds Python objects, which only pickle could read"),
    "objects in records": (npy(header("[('a', '|O')]", "(1,)"), bytes(8)), "holds Python objects"),
    "a huge shape": (npy(header(shape="(1000000000000,)"), bytes(16)), "takes 8000000000000 bytes, but 16 follow"),
    "a shape beyond numbers": (npy(header(shape="(2**80,)"), bytes(16)), "not a readable NumPy array"),
    "large numbers": (npy(header(shape=f"({2**80}, {2**80})"), bytes(16)), "16 follow the header"),
    "large without entries": (npy(header(shape=f"(0, {2**80})")), "Maximum allowed dimension"),
    "too many axes": (npy(header(shape="(1,) * 70"), bytes(8)), "not a readable NumPy array"),
    "seventy axes": (npy(header(shape=str((1,) * 70)), bytes(8)), "maximum supported dimension"),
    "negative": (npy(header(shape="(-2, -1)"), bytes(16)), "not a tuple of sizes"),
    "truths for sizes": (npy(header(shape="(True, 2)"), bytes(16)), "not a tuple of sizes"),
    "cut": (npy(header(), bytes(15)), r"float64 \(2,\): takes 16 bytes, but 15 follow"),
    "more than the array": (npy(header(), bytes(17)), "takes 16 bytes, but 17 follow"),
    "cut within the header": (npy(header())[:40], "not a readable NumPy array"),
    "cut within the magic string": (b"\x93NUMP", "neither an .npy nor an .npz"),
    "nothing": (b"", "neither an .npy nor an .npz"),
    "a call in the header": (npy(header(shape="__import__('os').abort()")), "not a readable NumPy array"),
    "no literal": (npy("((((" * 2000), "not a readable NumPy array"),
    "deep": (npy("(" * 5000 + ")" * 5000), "not a readable NumPy array"),
    "a long header": (npy(header() + " " * 60000, bytes(16)), "not a readable NumPy array"),
    "no dict": (npy("3\n"), "not a readable NumPy array"),
    "no dtype": (npy(header("'<q9'"), bytes(16)), "not a readable NumPy array"),
    "another version": (npy(header(), bytes(16), b"\x07\x00"), r"its header: has the version \(7, 0\)"),
    "truths of 2": (npy(header("'|b1'"), bytes([1, 2])), "bool entries hold bytes other than 0 and 1"),
    "truths of 2 in records": (npy(header("[('a', 'i1'), ('b', '?')]"), bytes([1, 1, 1, 2])), "bytes other than 0 and"),
    "truths of 2 in arrays in records": (
        npy(header("[('a', [('b', '?', (2,))])]"), bytes([1, 0, 2, 1])),
        "bytes other than 0 and 1",
    ),
    "texts of 0 characters": (npy(header("'<U0'", "(100000000,)")), "entries of 0 bytes"),
    "bytes of 0": (npy(header("'|S0'", "(400000000,)")), "entries of 0 bytes"),
    "records of nothing": (npy(header("[]", "(400000000,)")), "entries of 0 bytes"),
    "entries that are arrays": (npy(header("('|u1', (1000,))", "(1,)"), bytes(1000)), "entries are arrays"),
    "pickle alone": (pickle.dumps(Trap()), "neither an .npy nor an .npz"),
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("key", HOSTILE)
def test_hostile_arrays(tmp_path, key, inside):
    content, text = HOSTILE[key]
    path = tmp_path / "hostile.npz"
    if inside:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("fine.npy", npy(header(), bytes(16)))
            archive.writestr("wrong.npy", content)
        text = text.replace("neither an .npy nor an .npz", "not a readable NumPy array")
    else:
        path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=text) as caught:
        mg.load_numpy(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert not inside or f"{path}: wrong: " in str(caught.value)


def archive_of(*entries, packing=zipfile.ZIP_DEFLATED) -> bytearray:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", packing) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in entries:
            archive.writestr(name, content)
    return bytearray(stream.getvalue())


def changed(content: bytearray, offset: int, value: int, size: int) -> bytearray:
    """A field of the first entry of the central directory, overwritten."""
    start = content.index(b"PK\x01\x02") + offset
    content[start : start + size] = value.to_bytes(size, "little")
    return content


FINE = npy(header(), bytes(16))
CLAIMED = len(npy(header(shape="(500000,)"))) + 4_000_000
MISSING = len(npy(header(shape="(200,)"))) + 1600
ARCHIVES = {
    "a name twice": (archive_of(("a.npy", FINE), ("a.npy", FINE)), "a: duplicate array"),
    "no array": (archive_of(("a.npy", FINE), ("README", b"hello")), "README: not an array"),
    "another packing": (archive_of(("a.npy", FINE), packing=zipfile.ZIP_LZMA), "a: neither stored nor deflated"),
    "encrypted": (changed(archive_of(("a.npy", FINE)), 8, 1, 2), "a: encrypted"),
    "a wrong check sum": (changed(archive_of(("a.npy", FINE)), 16, 5, 4), "Bad CRC-32 for file 'a.npy'"),
    "a size that deflate cannot reach": (
        changed(archive_of(("a.npy", npy(header(shape="(500000,)"), bytes(16)))), 24, CLAIMED, 4),
        f"a: claims {CLAIMED} bytes, packed into",
    ),
    "a size that is stored": (
        changed(archive_of(("a.npy", FINE), packing=zipfile.ZIP_STORED), 24, 4000, 4),
        "a: claims 4000 bytes, packed into",
    ),
    "a size that is not there": (
        changed(archive_of(("a.npy", npy(header(shape="(200,)"), bytes(16)))), 24, MISSING, 4),
        "a: .*the file ends within its entries|CRC-32",
    ),
    "no directory": (archive_of(("a.npy", FINE))[:60], "hostile.npz: File is not a zip file"),
}  # fmt: skip


@pytest.mark.parametrize("key", ARCHIVES)
def test_hostile_archives(tmp_path, key):
    content, text = ARCHIVES[key]
    path = tmp_path / "hostile.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as caught:
        mg.load_numpy(path)
    assert str(path) in str(caught.value)


def test_a_limit(tmp_path):
    zeros = np.zeros(100_000)
    np.savez_compressed(tmp_path / "a.npz", zeros=zeros, more=zeros)
    np.save(tmp_path / "a.npy", zeros)
    assert (tmp_path / "a.npz").stat().st_size < 10_000
    assert len(mg.load_numpy(tmp_path / "a.npz", max_bytes=1_700_000)) == 2
    with pytest.raises(ValueError, match=r"1600\d+ bytes .* 1500000"):
        mg.load_numpy(tmp_path / "a.npz", max_bytes=1_500_000)
    with pytest.raises(ValueError, match=r"\(100000,\): takes 800000 bytes, .* 700000"):
        mg.load_numpy(tmp_path / "a.npy", max_bytes=700_000)
