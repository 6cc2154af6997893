"""A graph as text: a line for each operation, scopes indented, repeats written once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import count, groupby
from typing import NamedTuple

from ..core import Tensor
from .arrange import Unroll, whole
from .picture import Edge, Picture, Vertex, leaf_names, primitive_of, shared_path
from .repeats import Repeat, repeats
from .words import option_text, shape_of

__all__ = ["to_text"]

_MOST = 2000
"""Lines that are worth reading; a longer listing says how many it leaves out."""
_NUMBER = re.compile(r"\d+")


def to_text(
    tensors: Tensor | Iterable[Tensor],
    names: Mapping[str, Tensor] | None = None,
    max_lines: int = _MOST,
    *,
    unroll: Unroll = "fold",
    expand: Iterable[str] = (),
) -> str:
    """The graph behind a tensor (or several) as a listing: leaves, operations in order, outputs.

    Each operation has a letter, its arguments (parameters by name, `·` for a constant), its options and the shape and
    dtype of what it gives. Steps that are equal are listed once, with their number; an argument with an
    apostrophe is then the one of the step before.

    Args:
        names: names of tensors, such as inputs.
        max_lines: of a longer listing the middle is left out, with the number of its lines.
        unroll: 'fold' lists one step of a sequence primitive, 'steps' each one, 'primitive' the primitive itself.
        expand: names of primitives to list as the composition of simpler ones that is their reference.

    Raises:
        ValueError: if a tensor has no graph, or an option is unknown.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(to_text(mg.tanh(x * x).sum(), names={"x": x}))
    input x             2
    a = multiply(x, x)  2
    b = tanh(a)         2
    c = sum(b)          scalar
    output c
    """
    if type(max_lines) is not int or max_lines < 1:
        raise ValueError(f"to_text: max_lines must be an int of at least 1, not {max_lines!r}")
    lines = _Listing(whole(tensors, unroll, names, expand), fold=unroll == "fold").write()
    if (left := len(lines) - max_lines) > 0:
        middle = max_lines // 2
        lines = [*lines[:middle], _Line(f"… {left:,} more lines"), *lines[middle + left :]]
    width = max((len(line.text) for line in lines if line.shape), default=0)
    return "\n".join(f"{text:<{width}}  {shape}" if shape else text for text, shape in lines)


def letters(number: int) -> str:
    """0, 1, … as a, b, …, z, aa, ab, …

    >>> letters(0), letters(25), letters(26)
    ('a', 'z', 'aa')
    """
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


class _Line(NamedTuple):
    """A line, and the shape that stands in a column to the right."""

    text: str
    shape: str = ""


class _Listing:
    """Writes the lines of a listing."""

    def __init__(self, picture: Picture, fold: bool) -> None:
        self.picture, self.vertices, self.fold = picture, picture.vertices, fold
        self.names = {number: _one_line(name) for number, name in leaf_names(picture).items()}
        taken = set(self.names.values())
        self.free = (name for number in count() if (name := letters(number)) not in taken)
        self.lines: list[_Line] = []
        self.scope: tuple[str, ...] = ()  # of the line before

    def write(self) -> list[_Line]:
        """All lines."""
        number = self._leaves()
        for repeat in repeats(self.picture) if self.fold else []:
            self._plain(range(number, repeat.start))
            self._repeat(repeat)
            number = repeat.start + repeat.period * repeat.count
        self._plain(range(number, len(self.vertices)))
        outputs = [
            self._refer(source, slot) + ("" if name.startswith("output") else f" ({_one_line(name)})")
            for source, slot, name in self.picture.outputs
        ]
        return [*self.lines, _Line(f"output {', '.join(outputs)}")]

    def _leaves(self) -> int:
        """A line for each parameter, and one for neighbouring inputs that are alike; the number of leaves."""
        alike = {i: (self.vertices[i].kind, self.vertices[i].specs) for i in self.names}
        for (kind, specs), run in groupby(alike, alike.__getitem__):
            numbers = list(run)
            if kind == "parameter":
                names = [self._parameter(i) for i in numbers]
            else:
                shown = [self.names[i] for i in numbers]
                names = [" ".join(shown if len(shown) < 5 else [*shown[:2], "…", shown[-1]])]
            self.lines += [_Line(f"{kind} {name}", shape_of(specs[0])) for name in names]
        return len(alike)

    def _parameter(self, number: int) -> str:
        full, own = _one_line(self.picture.full_name(self.vertices[number])), self.names[number]
        return full if full.endswith(own) else own

    def _plain(self, numbers: range) -> None:
        for number in numbers:
            vertex = self.vertices[number]
            self.names[number] = next(self.free)
            self._enter(vertex.scope, len(vertex.scope))
            words = {e.argument: self._refer(e.source, e.slot) + e.part for e in vertex.inputs}
            self._line(number, words, len(vertex.scope))

    def _repeat(self, repeat: Repeat) -> None:
        """One block, for all of them. What it takes from the block before has an apostrophe."""
        block = range(repeat.start, repeat.start + repeat.period)
        last = repeat.period * (repeat.count - 1)
        for number in block:
            self.names[number] = next(self.free)
        words: dict[int, dict[str, str]] = {}
        first: dict[str, str] = {}
        for number in block:
            here = {edge.argument: edge for edge in self.vertices[number].inputs}
            there = {edge.argument: edge for edge in self.vertices[number + repeat.period].inputs}
            words[number] = {name: self._word(here.get(name), edge, block, first) for name, edge in there.items()}
        common = self.vertices[block[0]].scope
        for number in (*block, *(number + repeat.period for number in block)):
            common = shared_path(common, self.vertices[number].scope)
        self._enter(common, len(common))
        begin = ", ".join(f"{mark} = {name}" for mark, name in first.items())
        times = f"× {repeat.count:,}{f', first with {begin}' if begin else ''}:"
        self.lines.append(_Line("  " * len(common) + times))
        for number in block:
            final = self.vertices[number + last].scope
            scope = tuple(
                a if a == b else f"{a} … {b}" for a, b in zip(self.vertices[number].scope, final, strict=True)
            )
            self._enter(scope, len(scope), 1)
            self._line(number, words[number], len(scope) + 1)
        self.scope = common
        for i in range(repeat.period, repeat.period * repeat.count):
            self.names[repeat.start + i] = self.names[repeat.start + i % repeat.period]

    def _word(self, here: Edge | None, there: Edge, block: range, first: dict[str, str]) -> str:
        """An argument by its edges in the first block and in the second; `first` collects what states start from."""
        if there.source in block:  # a state, handed on from block to block
            mark = self._refer(there.source, there.slot) + "'"
            first[mark] = "·" if here is None else self._refer(here.source, here.slot)
            return mark
        assert here is not None
        part = here.part if here.part == there.part else _NUMBER.sub("t", here.part)
        moving = here.source not in block and there.source != here.source
        return self._refer(here.source, here.slot) + part + ("…" if moving else "")

    def _enter(self, scope: tuple[str, ...], depth: int, extra: int = 0) -> None:
        """The names of scopes that begin here."""
        for level in range(len(shared_path(self.scope, scope)), depth):
            self.lines.append(_Line(f"{'  ' * (level + extra)}{_one_line(scope[level])}:"))
        self.scope = scope

    def _line(self, number: int, words: Mapping[str, str], depth: int) -> None:
        vertex = self.vertices[number]
        arguments = _runs([words.get(name, "·") for name in argument_order(vertex)])
        arguments += [text] if (text := option_text(vertex.options)) and vertex.step is None else []
        text = f"{'  ' * depth}{self.names[number]} = {vertex.label}({', '.join(map(_one_line, arguments))})"
        text += f"  ({vertex.remark})" if vertex.remark else ""
        self.lines.append(_Line(text, ", ".join(map(shape_of, vertex.specs))))

    def _refer(self, source: int, slot: int) -> str:
        name = self.names[source]
        return f"{name}.{slot}" if len(self.vertices[source].specs) > 1 else name


def _runs(words: list[str]) -> list[str]:
    """Equal neighbours written once."""
    runs = [(word, len(list(run))) for word, run in groupby(words)]
    return [part for word, n in runs for part in ([word] * n if n < 4 else [f"{word} × {n}"])]


def _one_line(text: str) -> str:
    """What cannot be printed, such as a line break, as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def argument_order(vertex: Vertex) -> list[str]:
    """Names of all array arguments in the order of the call, tracked or not."""
    primitive = primitive_of(vertex)
    if primitive is None:
        return [edge.argument for edge in vertex.inputs]
    if vertex.step is not None:
        return list(primitive.arguments)
    assert vertex.node is not None
    return [primitive.input_name(i) for i in range(len(vertex.node.route[1]))]
