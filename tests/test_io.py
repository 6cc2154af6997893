"""Files: round trips, the safetensors package both ways, damage, and failures while writing."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import io
from tests.strategies import LAYOUTS, with_layout

DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
SHAPES = [(), (0,), (1,), (3,), (2, 3), (2, 0, 3), (4, 1, 2)]


def random_array(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Any bits at all, NaNs and infinities included."""
    if dtype == "?":
        return rng.integers(0, 2, shape).astype(bool)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(rng.bytes(size), dtype=dtype).reshape(shape).copy()


@st.composite
def states(draw: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), unique=True, max_size=6))
    state = {}
    for name in names:
        array = random_array(rng, draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES)))
        array = with_layout(array, draw(st.sampled_from(LAYOUTS)))
        state[name] = array.astype(array.dtype.newbyteorder(">")) if draw(st.booleans()) else array
    return state


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    a, b = (x.astype(x.dtype.newbyteorder("<")) for x in (a, b))
    return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def craft(path: Path, header: Any, data: bytes = b"", length: int | None = None) -> Path:
    """A file with any header: bytes, or something for JSON."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


# --- round trips ---------------------------------------------------------------------------------------


@given(states(), st.none() | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.just('é\n"')))
def test_round_trip(tmp_path_factory, state, metadata):
    path = tmp_path_factory.mktemp("io") / "a b.safetensors"
    mg.save(path, state, metadata)
    found = mg.load(path)
    assert list(found) == list(state)
    assert io.load_metadata(path) == (metadata or {})
    for name, array in found.items():
        assert same_bits(array, state[name])
        assert type(array) is np.ndarray
        assert array.dtype.isnative
        assert array.flags.writeable
        assert array.flags.c_contiguous
    assert os.listdir(path.parent) == [path.name]
    again = path.with_name("again")
    mg.save(again, found, metadata)
    assert again.read_bytes() == path.read_bytes()
    assert struct.unpack("<Q", path.read_bytes()[:8])[0] % 8 == 0


@given(states())
def test_the_package_reads_ours_and_we_read_the_package(tmp_path_factory, state):
    from safetensors import numpy as package  # which is among the tests' own requirements

    folder = tmp_path_factory.mktemp("io")
    mg.save(folder / "ours", state, {"a": "b"})
    theirs = package.load_file(folder / "ours")
    assert theirs.keys() == state.keys()
    for name, array in theirs.items():
        assert same_bits(array, state[name]), name
    with package.safe_open(folder / "ours", framework="numpy") as file:
        kept = file.metadata()
    assert kept.pop("a") == "b"
    assert list(kept) == ["minigrad_crc32"]
    # a plain copy each: the package writes other layouts wrongly
    plain = {name: np.array(a, a.dtype.newbyteorder("="), order="C") for name, a in state.items()}
    package.save_file(plain, folder / "theirs", metadata={"c": "d"})
    found = mg.load(folder / "theirs")
    assert found.keys() == state.keys()
    for name, array in found.items():
        assert same_bits(array, state[name]), name
    assert io.load_metadata(folder / "theirs") == {"c": "d"}


def test_numbers_tensors_and_alignment(tmp_path):
    path = tmp_path / "x"
    tracked = mg.tensor([1.0, 2.0], requires_grad=True)
    mg.save(str(path), {"byte": np.uint8(3), "t": tracked, "i": 3, "f": 0.1, "b": True, "n": np.float32(2)})
    found = mg.load(str(path))
    assert {name: (a.dtype.str[1:], a.shape) for name, a in found.items()} == {
        "byte": ("u1", ()), "t": ("f4", (2,)), "i": ("i8", ()), "f": ("f8", ()), "b": ("b1", ()), "n": ("f4", ())
    }  # fmt: skip
    assert found["f"] == 0.1
    raw = path.read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    del header["__metadata__"]
    for name, fields in header.items():
        assert (start + fields["data_offsets"][0]) % found[name].itemsize == 0


def test_permissions_and_links(tmp_path):
    path, link = tmp_path / "x", tmp_path / "link"
    mg.save(path, {"a": 1})
    reference = tmp_path / "plain"
    reference.write_bytes(b"")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(reference.stat().st_mode)
    path.chmod(0o600)
    link.symlink_to(path)
    mg.save(link, {"a": 2})
    assert link.is_symlink()
    assert mg.load(path)["a"] == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# --- what cannot be saved ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "metadata", "kind", "text"),
    [
        ({"w": np.ones(2, complex)}, None, TypeError, "w has the dtype complex128"),
        ({"w": np.array(["a"])}, None, TypeError, "w has the dtype <U1"),
        ({"w": np.array([None])}, None, TypeError, "w has the dtype object"),
        ({"w": 2**70}, None, TypeError, "w has the dtype object"),
        ({"w": np.ones(2, [("a", "f4")])}, None, TypeError, "w has the dtype"),
        ({"w": np.ma.masked_array([1.0])}, None, TypeError, "w is a masked array"),
        ({"w": [1.0]}, None, TypeError, "w must be an ndarray, a tensor or a number, not list"),
        ({"w": None}, None, TypeError, "not NoneType"),
        ({3: np.ones(1)}, None, TypeError, "names must be strings, not 3"),
        ({"__metadata__": np.ones(1)}, None, ValueError, "reserved"),
        ({"\ud800": np.ones(1)}, None, ValueError, "not valid Unicode"),
        (mg.nn.Linear(1, 1), None, TypeError, r"state must map .*, not be Linear: pass its \.state_dict\(\)"),
        ([1], None, TypeError, "state must map names to arrays, not be list$"),
        (np.ones(2), None, TypeError, r"state must map names to arrays, not be float64 \(2,\)"),
        (None, None, TypeError, "state must map names to arrays, not be None"),
        ({}, [("a", "b")], TypeError, "metadata must map strings to strings, not be list"),
        ({}, {"a": 1}, TypeError, "metadata must map strings to strings, not 'a' to 1"),
        ({}, {"a": "\ud800"}, ValueError, "not valid Unicode"),
        ({}, {"minigrad_crc32": "0"}, ValueError, "reserved"),
    ],
)
def test_refused_states(tmp_path, state, metadata, kind, text):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(kind, match=text):
        mg.save(path, state, metadata)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


# --- failures while writing ----------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["os.fsync", "os.replace", "reading back", "interrupt"])
def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "x"
    mg.save(path, {"a": 1})
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        assert len(os.listdir(tmp_path)) == 2  # the temporary file is there
        raise KeyboardInterrupt if failing == "interrupt" else OSError("disk full")

    if failing.startswith("os."):
        monkeypatch.setattr(failing, fail)
    else:
        monkeypatch.setattr(io, "_arrays", fail)
    with pytest.raises(KeyboardInterrupt if failing == "interrupt" else OSError):
        mg.save(path, {"a": 2})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x"]


def test_a_full_disk_names_the_path(tmp_path):
    """A limit on the size of files stands for it: the write fails with an error that names none."""
    path = tmp_path / "model"
    code = f"""if True:
        import resource, numpy as np, minigrad as mg
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            mg.save({str(path)!r}, {{"a": np.ones(10**6)}})
        except OSError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("[Errno 27]")
    assert done.stdout.endswith(f"{str(path)!r}\n")
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError, match=re.escape(repr(str(path)))):
        mg.save(path / "deeper", {"a": 1})


def test_what_a_killed_save_left_is_removed_an_hour_later(tmp_path):
    path = tmp_path / "model[1]"  # brackets mean nothing here
    code = f"""if True:
        import os, signal, minigrad as mg
        os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
        mg.save({str(path)!r}, {{"a": 1}})
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.model\[1\]\.[0-9a-f]{16}\.tmp", left.name)
    digits, old = "0123456789abcdef", time.time() - 3700
    others = [
        tmp_path / name for name in (f".model.{digits}.tmp", f".model[1].{digits[1:]}.tmp", f".model1.{digits}.tmp")
    ]
    for other in others:
        other.write_bytes(b"")
        os.utime(other, (old, old))
    mg.save(path, {"a": 2})
    assert left.exists()  # it may still be written to
    os.utime(left, (old, old))
    mg.save(path, {"a": 3})
    assert sorted(tmp_path.iterdir()) == sorted([*others, path])
    assert mg.load(path)["a"] == 3


# --- damaged and foreign files -------------------------------------------------------------------------


def test_every_truncation_and_extension_is_noticed(tmp_path):
    path = tmp_path / "whole"
    mg.save(path, {"a": np.arange(3.0), "b": np.ones((2, 2), np.int16), "c": np.zeros(0)}, {"k": "v"})
    raw = path.read_bytes()
    cut = tmp_path / "cut"
    for damaged in [*(raw[:n] for n in range(len(raw))), raw + b"\0"]:
        cut.write_bytes(damaged)
        for read in (mg.load, io.load_metadata):
            with pytest.raises(ValueError, match=r"cut: not a safetensors file, or a damaged one"):
                read(cut)


def test_single_bit_errors_are_found_or_harmless(tmp_path, full):
    """Each single-bit error raises ValueError, but in the checksum's name and the padding, where the values stay."""
    path = tmp_path / "x"
    mg.save(path, {"a": np.arange(3.0), "é": np.ones((2, 2), np.int16), "t": np.array([True, False])}, {"k": "v"})
    raw, original = path.read_bytes(), mg.load(path)
    name, end = raw.index(b"minigrad_crc32"), 8 + struct.unpack("<Q", raw[:8])[0]
    harmless = {*range(name, name + len("minigrad_crc32")), *range(raw.rindex(b"}", 0, end) + 1, end)}
    for position, bit in itertools.product(range(len(raw)), range(8) if full else (1,)):
        damaged = bytearray(raw)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = mg.load(path)
        except ValueError:
            continue
        assert position in harmless
        assert list(found) == list(original)
        assert all(same_bits(found[name], original[name]) for name in original)


BAD_HEADERS = [
    (b"[]", b"", "does not begin with a brace"),
    (b" {}", b"", "does not begin with a brace"),
    (b"\xef\xbb\xbf{}", b"", "does not begin with a brace"),
    (b"{", b"", "not a JSON object"),
    (b"{}x", b"", "not a JSON object"),
    (b'{"\xff": 1}', b"", "not a JSON object"),
    ("{}".encode("utf-16-le"), b"", "not a JSON object"),
    (b'{"a": NaN}', b"", "a: expected an object"),
    (b'{"\\ud800": 1}', b"", "not a JSON object"),
    (b'{"a":' + b"[" * 100_000, b"", "not a JSON object"),
    (b'{"a":' + b"9" * 10_000 + b"}", b"", "not a JSON object"),
    (b'{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}', b"", "duplicate key 'dtype'"),
    (b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":1}', b"", "duplicate key 'a'"),
    ({"__metadata__": {"a": 1}}, b"", "__metadata__ does not map strings to strings"),
    ({"__metadata__": []}, b"", "__metadata__ does not map"),
    ({"w": 1}, b"", "w: expected an object of data_offsets, dtype, shape"),
    ({"w": {"dtype": "F32", "shape": [2]}}, bytes(8), "w: expected an object"),
    ({"w": entry(more=1)}, bytes(8), "w: expected an object"),
    ({"w": entry("BF16", (4,))}, bytes(8), "w: has the dtype BF16, which NumPy lacks"),
    ({"w": entry("F8_E4M3", (8,))}, bytes(8), "w: has the unknown dtype 'F8_E4M3'; known are F64, F32"),
    ({"w": entry(["F32"])}, bytes(8), "w: has the unknown dtype"),
    ({"w": entry(shape=2)}, bytes(8), "w: has the shape 2"),
    ({"w": entry(shape=(-2,))}, bytes(8), "w: has the shape"),
    ({"w": entry(shape=(-2, -1))}, bytes(8), "w: has the shape"),
    ({"w": entry(shape=(2.0,))}, bytes(8), "w: has the shape"),
    ({"w": entry(shape=(True, 2))}, bytes(8), "w: has the shape"),
    ({"w": entry(shape=(3,))}, bytes(8), r"w: takes bytes 0 to 8, but F32 \[3\] needs 12 bytes"),
    ({"w": entry(shape=(2**70,))}, bytes(8), "w: has the shape .* which NumPy refuses"),
    ({"w": entry(shape=(2**62, 4, 2))}, bytes(8), "w: has the shape .* which NumPy refuses"),  # 2^65 entries
    ({"w": entry(shape=(0, 2**70), offsets=(0, 0))}, b"", "w: has the shape .* which NumPy refuses"),
    ({"w": entry(shape=(1,) * 65 + (2,))}, bytes(8), "w: has the shape .* which NumPy refuses"),
    ({"w": entry(offsets=(0,))}, bytes(8), "w: has the data_offsets"),
    ({"w": entry(offsets=(0, "8"))}, bytes(8), "w: has the data_offsets"),
    ({"w": entry(offsets=(-8, 0))}, bytes(8), "w: has the data_offsets"),
    ({"w": entry(offsets=(8, 0))}, bytes(8), "w: takes bytes 8 to 0"),
    ({"w": entry(offsets=(8, 16))}, bytes(16), "w: begins at byte 8 .* 0 is expected: it leaves a hole"),
    ({"w": entry(offsets=(0, 8)), "v": entry(offsets=(0, 8))}, bytes(8), "v: begins at byte 0 .* it overlaps"),
    ({"w": entry(offsets=(0, 8)), "v": entry(offsets=(4, 12))}, bytes(12), "v: begins at byte 4 .* it overlaps"),
    ({"w": entry(), "v": entry(offsets=(12, 20))}, bytes(20), "v: begins at byte 12 .* 8 is expected"),
    ({"w": entry()}, bytes(7), "arrays need 8 bytes, but the file has 7"),
    ({"w": entry()}, bytes(9), "arrays need 8 bytes, but the file has 9"),
    ({}, b"x", "arrays need 0 bytes, but the file has 1"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "data", "text"), BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_bad_headers(tmp_path, header, data, text):
    path = craft(tmp_path / "bad", header, data)
    with pytest.raises(ValueError, match=text) as caught:
        mg.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 20_000


def test_bad_lengths_and_bad_booleans(tmp_path):
    for length, text in [(100_000_001, "a header of 100000001 bytes"), (2**64 - 1, "more than the format's"),
                         (3, "does not fit into a file of 10"), (1, "not a JSON object")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            mg.load(craft(tmp_path / "x", b"{}", length=length))
    path = craft(tmp_path / "x", {"flag": entry("BOOL", (2,), (0, 2))}, b"\x01\x02")
    with pytest.raises(ValueError, match="flag: BOOL data hold bytes other than 0 and 1"):
        mg.load(path)


# --- paths ---------------------------------------------------------------------------------------------


def test_zip_files_are_named_but_not_a_header_whose_length_begins_with_their_letters(tmp_path):
    np.savez(tmp_path / "arrays.npz", x=np.ones(3))
    with pytest.raises(ValueError, match=r"arrays.npz: not a safetensors file.*read .npz with mg.load_numpy"):
        mg.load(tmp_path / "arrays.npz")
    header = b'{"__metadata__": {"": ""}}'.ljust(int.from_bytes(b"PK", "little"))
    (tmp_path / "header").write_bytes(len(header).to_bytes(8, "little") + header)
    assert mg.load(tmp_path / "header") == {}


def test_paths_that_are_no_text(tmp_path):
    for path, kind in ((os.fsencode(tmp_path / "state"), r"bytes: pass os\.fsdecode"), (3, "int")):
        for call in (lambda p: mg.save(p, {"a": 1.0}), mg.load, io.load_metadata):
            with pytest.raises(TypeError, match=f"path must be a str .*{kind}"):
                call(path)
    assert list(tmp_path.iterdir()) == []


def test_folders(tmp_path):
    for call in (lambda p: mg.save(p, {"a": 1.0}), mg.load, io.load_metadata):
        with pytest.raises(IsADirectoryError, match="is a folder, not a regular file"):
            call(tmp_path)
    for path in ("", f"{tmp_path}/new/"):
        with pytest.raises(IsADirectoryError, match="does not name a file"):
            mg.save(path, {"a": 1.0})
    with pytest.raises(FileNotFoundError):
        mg.save(tmp_path / "none" / "x", {"a": 1})
    with pytest.raises(FileNotFoundError):
        mg.load(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_a_socket_or_a_device_is_neither_replaced_nor_waited_for(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        for path, kind in ((pipe, "pipe"), (link, "pipe"), (tmp_path / "s", "socket"), (Path(os.devnull), "device")):
            for call in (mg.load, io.load_metadata, *([] if kind == "device" else [lambda p: mg.save(p, {"a": 1.0})])):
                with pytest.raises(OSError, match=f"is a {kind}, not a regular file"):
                    call(path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
