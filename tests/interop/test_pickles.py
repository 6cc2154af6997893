"""The machine for pickles: what plain data become, and that nothing else is done, however a pickle asks for it."""

from __future__ import annotations

import collections
import io
import pickle
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.interop.pickles import Name, interpret, unfolded
from minigrad.interop.stored_tensors import find, storage
from tests.interop.written import call, mapping, name, number, pickled, several, text

KEYS = st.one_of(st.text(), st.integers(-(2**63), 2**63), st.booleans(), st.none(), st.floats(allow_nan=False))
SCALARS = st.one_of(KEYS, st.integers(-(2**100), 2**100))
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(KEYS, inner), st.lists(inner).map(tuple),
        st.dictionaries(st.text(), inner).map(collections.OrderedDict),
    ),
)  # fmt: skip


def run(raw: bytes) -> Any:
    return unfolded(interpret(io.BytesIO(raw), find, storage), lambda value, path: value)


@given(PLAIN)
def test_plain_data_are_what_they_were(data):
    assert run(pickle.dumps(data, 2)) == data


def test_shared_parts_become_parts_of_their_own():
    inner = [1]
    data = run(pickle.dumps([inner, inner], 2))
    assert data == [[1], [1]]
    assert data[0] is not data[1]


def test_several_pickles_are_read_one_after_the_other():
    file = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("a", 2) + b"rest")
    assert [interpret(file, find, storage) for _ in range(2)] == [1, "a"]
    assert file.read() == b"rest"


def test_bytes_and_texts_of_older_pythons():
    assert run(pickle.dumps(b"\x00\xff", 2)) == b"\x00\xff"
    assert run(pickled(b"U\x02hi")) == "hi"
    pair = b"](" + text("a") + number(1) + b"e"
    assert run(pickled(call("collections.OrderedDict", b"](" + pair + b"e"))) == {"a": 1}


SYSTEM = several(text("touch hacked"))
HOSTILE = {
    "os.system": name("os.system") + SYSTEM + b"R",
    "posix.system": name("posix.system") + SYSTEM + b"R",
    "eval": name("builtins.eval") + SYSTEM + b"R",
    "exec of Python 2": name("__builtin__.exec") + SYSTEM + b"R",
    "getattr": call("builtins.getattr", name("os.system"), text("x")),
    "unknown": name("no.such.thing"),
    "a name with dots": b"ctorch\nSize.__class__\n",
    "an allowed module, another function": name("torch._utils._import_dotted_name") + SYSTEM + b"R",
    "torch.load": name("torch.load") + SYSTEM + b"R",
    "torch.hub": name("torch.hub.load") + SYSTEM + b"R",
    "INST": b"(X\x02\x00\x00\x00lsios\nsystem\n",
    "OBJ": b"(cos\nsystem\nX\x02\x00\x00\x00lso",
    "NEWOBJ": name("collections.OrderedDict") + b")\x81",
    "NEWOBJ_EX": name("collections.OrderedDict") + b")}\x92",
    "STACK_GLOBAL": text("os") + text("system") + b"\x93",
    "EXT1": b"\x82\x01",
    "EXT2": b"\x83\x01\x00",
    "EXT4": b"\x84\x01\x00\x00\x00",
    "PERSID": b"P/etc/passwd\n",
    "a reference to a file": text("/etc/passwd") + b"Q",
    "a reference to a module": several(text("module"), b"N", text("net.py"), text("import os")) + b"Q",
    "BUILD of a name": name("collections.OrderedDict") + mapping({"__setstate__": name("torch.Size")}) + b"b",
    "BUILD of a list": b"]}b",
    "BUILD with a pair": b"}(NNtb",
    "a call of a text": text("os.system") + SYSTEM + b"R",
    "a call of a dtype": name("torch.float32") + b")R",
    "a call with a list": name("torch.Size") + b"]R",
    "a call without arguments": b")R",
    "LONG4": b"\x8b\xff\xff\xff\x7f",
    "LONG": b"L" + b"9" * 100_000 + b"L\n",
    "a text that is longer than the file": b"X\xff\xff\xff\xff",
    "a long text": b"X\xff\xff\xff\x00",
    "BINUNICODE8": b"\x8d" + b"\xff" * 8,
    "BINBYTES": b"B\xff\xff\xff\xff",
    "BYTEARRAY8": b"\x96" + b"\xff" * 8,
    "FRAME": b"\x95" + b"\xff" * 8,
    "a name without an end": b"c" + b"a" * 1_000_000,
    "no UTF-8": b"X\x01\x00\x00\x00\xff",
    "half a surrogate": text("\ud800"),
    "an empty stack": b"a",
    "below a mark": b"](Na",
    "no mark": b"N]e",
    "two values": b"NN",
    "a mark that is left": b"N(",
    "nothing in the memo": b"h\x07",
    "appends to a tuple": b")Na",
    "items of a list": b"](NNu",
    "a key alone": b"}(Nu",
    "a key that is a list": b"}]Ns",
    "a key that is a tuple": b"})Ns",
    "a key that is large": b"}" + number(2**100) + b"Ns",
    "a list that holds itself": b"]q\x00h\x00a",
    "a dict that holds itself": b"}q\x00Nh\x00s",
    "a tuple that holds itself": b"]q\x00h\x00\x85a",
    "deep lists": b"]" * 100_000 + b"a" * 99_999,
    "deep tuples": b")" + b"\x85" * 100_000,
    "a key of deep tuples": b"})" + b"\x86".join([b"q\x00h\x00"] * 60) + b"Ns",
    "laughs": b"]q\x00" + b"".join(b"](" + b"h\x00" * 10 + b"eq\x00" for _ in range(30)),
    "laughs of tuples": b")q\x00" + b"".join(b"h\x00\x86q\x00h\x00" for _ in range(60)),
    "copies of a dict": b"}(" + b"".join(number(i) + b"N" for i in range(5000)) + b"uq\x01]("
    + (name("collections.Counter") + b"h\x01\x85R") * 5000 + b"e",
    "instructions": b"](" + b"N" * 3_000_000 + b"e",
}  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_a_pickle_may_not_ask_for(body, tmp_path, monkeypatch):
    """An error at once, in little memory, and nothing was run."""
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(ValueError, match=r"it|dict|storage"):
            run(pickled(body))
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 60
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", [0, 1, 3, 4, 5])
def test_other_protocols_are_refused(protocol):
    with pytest.raises(ValueError, match="not of protocol 2"):
        run(pickle.dumps([1], protocol))


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_an_error(raw):
    with suppress(ValueError):
        run(b"\x80\x02" + raw)


INSTRUCTIONS = st.lists(
    st.one_of(
        st.sampled_from([b"(", b"N", b"\x88", b")", b"\x85", b"\x86", b"\x87", b"t", b"]", b"a", b"e", b"}", b"s", b"u",
                         b"R", b"b", b"Q", b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"\x81", b"G" + bytes(8)]),
        st.integers(-300, 2**70).map(number), st.text(max_size=3).map(text),
        st.sampled_from(["collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch.FloatStorage",
                         "torch._utils._rebuild_parameter", "torch.Size", "torch.device", "torch.float32",
                         "os.system"]).map(name),
    ), max_size=40,
)  # fmt: skip


@given(INSTRUCTIONS)
def test_any_instructions_are_data_or_an_error(instructions):
    with suppress(ValueError):
        run(pickled(b"".join(instructions)))


def test_names_are_values_that_nobody_calls():
    assert run(pickled(name("torch.float32"))) == Name("torch.float32")
