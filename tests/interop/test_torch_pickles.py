"""Pickles: plain data are read, and nothing in a pickle runs code."""

from __future__ import annotations

import collections
import io
import pickle
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.interop import torch_files
from minigrad.interop.torch_files import _interpret, _unfolded
from tests.interop.written import call, mapping, name, number, numbers, pickled, several, stored, text

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
    return _unfolded(_interpret(io.BytesIO(raw), {}), lambda value, path: value)


@settings(max_examples=10)
@given(PLAIN)
def test_plain_data(data):
    assert run(pickle.dumps(data, 2)) == data


def test_bytes_and_texts_of_older_pythons():
    assert run(pickle.dumps(b"\x00\xff", 2)) == b"\x00\xff"
    assert run(pickled(b"U\x02hi")) == "hi"
    file = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("a", 2) + b"rest")
    assert [_interpret(file, {}) for _ in range(2)] == [1, "a"]


SYSTEM = several(text("touch hacked"))
DEEP = b")" + b"q\x00h\x00\x86" * 60
"""A tuple of 60 doublings: a walk over it, or printing it, never ends."""
LAUGHS = b"(" + b"]q\x00" + b"".join(b"](" + b"h\x00" * 10 + b"eq\x00" for _ in range(30)) + b"t"
"""Lists that hold the previous one ten times; a tuple takes them all from the stack."""


def shaped(shape: bytes, strides: bytes) -> bytes:
    return call("torch._utils._rebuild_tensor_v2", stored(), number(0), shape, strides, b"\x89", b"N")


HOSTILE = {
    "os.system": (name("os.system") + SYSTEM + b"R", r"it holds os\.system, which is neither"),
    "posix.system": (name("posix.system") + SYSTEM + b"R", r"it holds posix\.system, which is neither"),
    "eval": (name("builtins.eval") + SYSTEM + b"R", r"it holds builtins\.eval, which is neither"),
    "exec of Python 2": (name("__builtin__.exec") + SYSTEM + b"R", r"it holds __builtin__\.exec, which is neither"),
    "getattr": (call("builtins.getattr", name("os.system"), text("x")), r"it holds builtins\.getattr, which is"),
    "unknown": (name("no.such.thing"), r"it holds no\.such\.thing, which is neither"),
    "a name with dots": (b"ctorch\nSize.__class__\n", r"it holds torch\.Size\.__class__, which is neither"),
    "an allowed module, another function": (
        name("torch._utils._import_dotted_name") + SYSTEM + b"R", "it holds .*_import_dotted_name, which is neither"),
    "torch.load": (name("torch.load") + SYSTEM + b"R", r"it holds torch\.load, which is neither"),
    "torch.hub": (name("torch.hub.load") + SYSTEM + b"R", r"it holds torch\.hub\.load, which is neither"),
    "INST": (b"(X\x02\x00\x00\x00lsios\nsystem\n", "the instruction INST,"),
    "OBJ": (b"(cos\nsystem\nX\x02\x00\x00\x00lso", r"it holds os\.system, which is neither"),
    "OBJ of an allowed name": (b"(" + name("collections.OrderedDict") + b"o", "the instruction OBJ,"),
    "NEWOBJ": (name("collections.OrderedDict") + b")\x81", "the instruction NEWOBJ,"),
    "NEWOBJ_EX": (name("collections.OrderedDict") + b")}\x92", "the instruction NEWOBJ_EX,"),
    "STACK_GLOBAL": (text("os") + text("system") + b"\x93", "the instruction STACK_GLOBAL,"),
    "a name with a backslash": (b"ca\\c\nb\n", r"it holds a\\c\.b, which is neither"),
    "EXT1": (b"\x82\x01", "the instruction EXT1,"),
    "EXT2": (b"\x83\x01\x00", "the instruction EXT2,"),
    "EXT4": (b"\x84\x01\x00\x00\x00", "the instruction EXT4,"),
    "PERSID": (b"P/etc/passwd\n", "the instruction PERSID,"),
    "a reference to a file": (text("/etc/passwd") + b"Q", "a storage in it is described in an unknown way"),
    "a reference to a module": (
        several(text("module"), b"N", text("net.py"), text("import os")) + b"Q", "it holds a whole module"),
    "BUILD of a name": (
        name("collections.OrderedDict") + mapping({"__setstate__": name("torch.Size")}) + b"b", "other than a dict"),
    "BUILD of a list": (b"]}b", "sets the state of an object other than a dict"),
    "BUILD with a pair": (b"}(NNtb", "sets the state of an object other than a dict"),
    "a call of a text": (text("os.system") + SYSTEM + b"R", "calls an object that is not a function"),
    "a call of a dtype": (name("torch.float32") + b")R", "calls an object that is not a function"),
    "a call with a list": (name("torch.Size") + b"]R", "calls an object that is not a function"),
    "a call without arguments": (b")R", "takes more from its stack"),
    "LONG4": (b"\x8b\xff\xff\xff\x7f", "the instruction LONG4"),
    "LONG": (b"L" + b"9" * 100_000 + b"L\n", "the instruction LONG,"),
    "a text that is longer than the file": (b"X\xff\xff\xff\x00", "is truncated"),
    "a long text": (b"X\xff\xff\xff\xff", "a string of 4294967295 bytes, more than 16777216"),
    "BINUNICODE8": (b"\x8d" + b"\xff" * 8, "the instruction BINUNICODE8,"),
    "BINBYTES": (b"B\xff\xff\xff\xff", "the instruction BINBYTES,"),
    "BYTEARRAY8": (b"\x96" + b"\xff" * 8, "the instruction BYTEARRAY8,"),
    "FRAME": (b"\x95" + b"\xff" * 8, "the instruction FRAME,"),
    "a name without an end": (b"c" + b"a" * 1_000_000, "no newline found"),
    "no UTF-8": (b"X\x01\x00\x00\x00\xff", "codec can't decode byte"),
    "an empty stack": (b"a", "takes more from its stack"),
    "below a mark": (b"](Na", "takes more from its stack"),
    "no mark": (b"N]e", "takes more from its stack"),
    "two values": (b"NN", "does not end with one value"),
    "a mark that is left": (b"(N", "does not end with one value"),
    "a value below a mark": (b"N(", "does not end with one value"),
    "nothing in the memo": (b"h\x07", "takes more from its stack or memo"),
    "appends to a tuple": (b")Na", "appends to an object that is not a list"),
    "items of a list": (b"](NNu", "sets items of a non-dict"),
    "a key alone": (b"}(Nu", "a key without a value"),
    "a key that is a list": (b"}]Ns", "a key that is neither a string nor a number but list"),
    "a key that is a tuple": (b"})Ns", "a key that is neither a string nor a number but tuple"),
    "a key that is large": (b"}" + number(2**100) + b"Ns", "a key that is neither a string nor a number but int"),
    "a list that holds itself": (b"]q\x00h\x00a", "more than 64 deep, or one that contains itself"),
    "a dict that holds itself": (b"}q\x00Nh\x00s", "more than 64 deep, or one that contains itself"),
    "a tuple that holds itself": (b"]q\x00h\x00\x85a", "more than 64 deep, or one that contains itself"),
    "deep lists": (b"]" * 9_000 + b"a" * 8_999, "more than 64 deep"),
    "deeper laughs": (b")" + b"q\x00h\x00\x86" * 100, "more than 64 deep"),
    "deep tuples": (b")" + b"\x85" * 9_000, "more than 64 deep"),
    "a key of deep tuples": (b"}" + DEEP + b"Ns", "a key that is neither a string nor a number but tuple"),
    "copies of a dict": (b"}(" + b"".join(number(i) + b"N" for i in range(500)) + b"uq\x01]("
    + (name("collections.Counter") + b"h\x01\x85R") * 500 + b"e", "more than 20000 instructions"),
    "instructions": (b"](" + b"N" * 30_000 + b"e", "more than 20000 instructions"),
    "a shape of deep tuples": (shaped(several(DEEP), numbers(1)), "the shape of a tensor"),
    "a shape of very deep tuples": (shaped(several(b")" + b"\x85" * 9_000), numbers(1)), "the shape of a tensor"),
    "strides of deep tuples": (shaped(numbers(1), several(DEEP)), "the strides of a tensor"),
    "a shape of large numbers": (shaped(numbers(2**1000), numbers(1)), "to 2[*][*]63"),
    "a shape of many axes": (shaped(*[b"(" + number(2**62) * 1_000 + b"t"] * 2), "at most 64 integers"),
    "a reference of deep tuples": (DEEP + b"Q", "a storage in it is described in an unknown way"),
    "a storage of deep tuples": (
        several(text("storage"), name("torch.FloatStorage"), text("0"), text("cpu"), number(6), DEEP) + b"Q",
        "a part of another one"),
    "a tensor of deep tuples": (call("torch._utils._rebuild_tensor_v2", DEEP), "_rebuild_tensor_v2 in it is described"),
    "a parameter of deep tuples": (call("torch._utils._rebuild_parameter", DEEP), "_rebuild_parameter in it is"),
    "a dict of deep tuples": (call("collections.OrderedDict", DEEP), "a collections.OrderedDict in it is described"),
    "a device of deep tuples": (call("torch.device", DEEP), "a torch.device in it is described"),
    "bytes of deep tuples": (call("_codecs.encode", text("a"), DEEP), "a _codecs.encode in it is described"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"),
    [
        *HOSTILE.values(),
        (LAUGHS, "it holds more than 20000 entries, because it repeats the same ones"),
        (DEEP, "it holds more than 20000 entries, because it repeats the same ones"),
    ],
    ids=[*HOSTILE, "laughs", "deep"],
)
def test_hostile_pickles(body, message, tmp_path, monkeypatch):
    """A short error, soon and in little memory, and nothing runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch_files, "_MOST", 20_000)  # entries or instructions
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            run(pickled(body))
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 60
    assert len(str(caught.value)) < 1000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("protocol", [0, 3, 4, 5])
def test_other_protocols_are_refused(protocol):
    with pytest.raises(ValueError, match="not of protocol 2" if protocol else "the instruction LIST"):
        run(pickle.dumps([1], protocol))
