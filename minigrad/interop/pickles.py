"""A machine for pickles that builds plain data and nothing else.

A pickle is a program: instructions of one byte, each with its operands behind it, for a machine with a stack, marks on
that stack, and a numbered memo (Python's library, `pickletools`, describes each). Python's own machine imports what a
pickle names and calls it, so that a file can run any program. This one is another machine, not a guarded version of
that: it knows the instructions of protocol 2 that numbers, texts, lists, tuples and dicts need, a name is what a table
of the caller says, and a call is one of the caller's functions. Every other instruction is an error.

Nor can a file exhaust the process. Instructions are counted, a text has a largest length, keys of dicts are plain
values (hashing a tuple of tuples of tuples … could take forever, and so could integers that were chosen to have one
hash), and what the memo lets a pickle use twice is counted as often as it is used before anybody walks over it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

__all__ = ["Name", "interpret", "unfolded"]

_MOST = 2_000_000  # instructions of a pickle, and entries of what it builds; a large checkpoint has some 100,000
_DEEPEST = 64  # lists in lists
_LONGEST_TEXT = 1 << 24  # bytes
_LONGEST_NAME = 256

_REFUSED = {
    b"c"[0]: "GLOBAL", b"i"[0]: "INST", b"o"[0]: "OBJ", b"P"[0]: "PERSID", 0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2",
    0x84: "EXT4", 0x8B: "LONG4", 0x8D: "BINUNICODE8", 0x8E: "BINBYTES8", 0x92: "NEWOBJ_EX", 0x93: "STACK_GLOBAL",
    0x95: "FRAME", 0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER",
}  # fmt: skip
"""Names of some instructions that this machine lacks, for messages."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a pickle may name: with ``call`` something that it may call, which gets a tuple of arguments."""

    text: str
    call: Callable[[tuple[Any, ...]], Any] | None = None


def interpret(file: BinaryIO, find: Callable[[str], Name], persistent: Callable[[Any], Any]) -> Any:
    """What the pickle that begins at the file's position builds; afterwards the position is behind it.

    Lists and dicts may be shared, or hold themselves: :func:`unfolded` makes a tree of the result.

    Args:
        find: what a name stands for; a ValueError if it may not be named.
        persistent: what a reference to something outside of the pickle, such as a storage, stands for.

    Raises:
        ValueError: if the pickle is damaged, too large, or asks for anything else than plain data.

    >>> import io
    >>> from pickletools import dis
    >>> def find(text):
    ...     raise ValueError(f"it names {text}")
    >>> interpret(io.BytesIO(b"\\x80\\x02]q\\x00(K\\x01X\\x02\\x00\\x00\\x00hie."), find, find)
    [1, 'hi']
    >>> interpret(io.BytesIO(b"\\x80\\x02cos\\nsystem\\nX\\x02\\x00\\x00\\x00ls\\x85R."), find, find)
    Traceback (most recent call last):
    ValueError: it names os.system
    """
    return _Machine(file, find, persistent).run()


class _Machine:
    """The stack, the marks on it, the memo, and a method for each instruction."""

    def __init__(self, file: BinaryIO, find: Callable[[str], Name], persistent: Callable[[Any], Any]) -> None:
        self.file, self.find, self.persistent = file, find, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []  # how long the stack was at each
        self.memo: dict[int, Any] = {}
        self.spent = 0

    def run(self) -> Any:
        if self.read(2) != b"\x80\x02":
            raise ValueError("its pickle is not of protocol 2, which torch.save uses unless it is told otherwise")
        while (code := self.read(1)[0]) != _STOP:
            step = _STEPS.get(code)
            if step is None:
                name = _REFUSED.get(code, "unknown")
                raise ValueError(f"its pickle has the instruction {code:#04x} ({name}), which plain data do not need")
            self.spend(1)
            step(self)
        result = self.pop()
        if self.stack or self.marks:
            _damaged("ends with more than one value")
        return result

    # --- the file and the stack ------------------------------------------------------------------

    def spend(self, steps: int) -> None:
        self.spent += steps
        if self.spent > _MOST:
            raise ValueError(f"its pickle has more than {_MOST} instructions")

    def read(self, count: int) -> bytes:
        if count > _LONGEST_TEXT:
            raise ValueError(f"its pickle has a text of {count} bytes, more than {_LONGEST_TEXT}")
        raw = self.file.read(count)
        if len(raw) < count:
            _damaged("is cut off")
        return raw

    def number(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.read(width), "little", signed=signed)

    def line(self) -> str:
        raw = self.file.readline(_LONGEST_NAME)
        if not raw.endswith(b"\n"):
            _damaged("has a name that does not end")
        return raw[:-1].decode("utf-8")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            _damaged("takes more from its stack than there is")
        return self.stack.pop()

    def top(self) -> Any:
        self.push(value := self.pop())
        return value

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            _damaged("has no mark where it needs one")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def keep(self, place: int) -> None:
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        if place not in self.memo:
            _damaged(f"uses number {place} of its memo, where nothing is")
        self.push(self.memo[place])

    # --- instructions ----------------------------------------------------------------------------

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def long(self) -> None:
        self.push(self.number(self.number(1), signed=True))

    def float(self) -> None:
        self.push(struct.unpack(">d", self.read(8))[0])

    def text(self, width: int) -> None:
        self.push(self.read(self.number(width)).decode("utf-8"))

    def few(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def append(self, values: list[Any]) -> None:
        if type(target := self.top()) is not list:
            _damaged("appends to what is no list")
        target.extend(values)

    def append_one(self) -> None:
        value = self.pop()
        self.append([value])

    def set_items(self, values: list[Any]) -> None:
        if type(target := self.top()) is not dict:
            _damaged("sets items of what is no dict")
        if len(values) % 2:
            _damaged("has a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[checked_key(key)] = value

    def set_one(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def name(self) -> None:
        module, name = self.line(), self.line()
        self.push(self.find(f"{module}.{name}"))

    def reduce(self) -> None:
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, Name) or name.call is None or type(arguments) is not tuple:
            _damaged("calls what is no function")
        self.spend(sum(len(value) for value in arguments if isinstance(value, (list, dict, tuple, str))))
        self.push(name.call(arguments))

    def build(self) -> None:
        """Attributes of an object: of a dict, such as the versions in a state's ``_metadata``, they are left out."""
        attributes = self.pop()
        if type(self.top()) is not dict or type(attributes) is not dict:
            raise ValueError("its pickle sets the state of an object that is no dict: it holds more than plain data")

    def refer(self) -> None:
        self.push(self.persistent(self.pop()))


_STOP = b"."[0]
_STEPS: dict[int, Callable[[_Machine], None]] = {
    b"("[0]: _Machine.mark,
    b"N"[0]: lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    b"K"[0]: lambda m: m.push(m.number(1)),
    b"M"[0]: lambda m: m.push(m.number(2)),
    b"J"[0]: lambda m: m.push(m.number(4, signed=True)),
    0x8A: _Machine.long,
    b"G"[0]: _Machine.float,
    b"U"[0]: lambda m: m.text(1),
    b"X"[0]: lambda m: m.text(4),
    b")"[0]: lambda m: m.push(()),
    0x85: lambda m: m.few(1),
    0x86: lambda m: m.few(2),
    0x87: lambda m: m.few(3),
    b"t"[0]: lambda m: m.push(tuple(m.pop_to_mark())),
    b"]"[0]: lambda m: m.push([]),
    b"a"[0]: _Machine.append_one,
    b"e"[0]: lambda m: m.append(m.pop_to_mark()),
    b"}"[0]: lambda m: m.push({}),
    b"s"[0]: _Machine.set_one,
    b"u"[0]: lambda m: m.set_items(m.pop_to_mark()),
    b"q"[0]: lambda m: m.keep(m.number(1)),
    b"r"[0]: lambda m: m.keep(m.number(4)),
    b"h"[0]: lambda m: m.recall(m.number(1)),
    b"j"[0]: lambda m: m.recall(m.number(4)),
    b"c"[0]: _Machine.name,
    b"R"[0]: _Machine.reduce,
    b"b"[0]: _Machine.build,
    b"Q"[0]: _Machine.refer,
}
"""The instructions, in the order: marks, constants, numbers, texts, tuples, lists, dicts, the memo, names and calls."""


def _damaged(what: str) -> NoReturn:
    raise ValueError(f"its pickle is damaged: it {what}")


def checked_key(key: Any) -> Any:
    """A key of a dict: a text, a number of 64 bits, bytes or None."""
    if type(key) not in (str, int, float, bool, bytes, type(None)) or (type(key) is int and key.bit_length() > 64):
        raise ValueError(f"a dict in it has a key that is no text or number but {type(key).__name__}")
    return key


def unfolded(value: Any, build: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """The same data with new lists, tuples and dicts, none of which is there twice.

    Args:
        build: what takes the place of each other value, from it and its keys from the outside in.

    Raises:
        ValueError: if lists are nested too deeply, as those that hold themselves are, or there are too many entries.

    >>> unfolded({"a": [1, (2,)]}, lambda value, path: (value, path))
    {'a': [(1, ('a', 0)), ((2, ('a', 1, 0)),)]}
    >>> twice = [0]
    >>> for _ in range(40):
    ...     twice = [twice, twice]
    >>> unfolded(twice, lambda value, path: value)
    Traceback (most recent call last):
    ValueError: it holds more than 2000000 entries, as it uses the same ones again and again
    """
    seen = 0

    def walk(value: Any, path: tuple[Any, ...]) -> Any:
        nonlocal seen
        seen += 1
        if seen > _MOST:
            raise ValueError(f"it holds more than {_MOST} entries, as it uses the same ones again and again")
        if type(value) not in (dict, list, tuple):
            return build(value, path)
        if len(path) == _DEEPEST:
            raise ValueError(f"it nests lists or dicts more than {_DEEPEST} deep, or one that holds itself")
        if type(value) is dict:
            return {key: walk(entry, (*path, key)) for key, entry in value.items()}
        entries = [walk(entry, (*path, i)) for i, entry in enumerate(value)]
        return entries if type(value) is list else tuple(entries)

    return walk(value, ())
