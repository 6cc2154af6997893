"""A graph as text: a line for each operation, scopes indented, repeats written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from ..core import Tensor
from .dot import option_text, shape_of
from .fold import Repeat, repeats
from .order import grouped
from .picture import Picture, Vertex, leaf_names, picture_of, shared_path

__all__ = ["to_text"]

_MOST = 2000
"""Lines that are worth reading; a longer listing says how many it leaves out."""


def to_text(
    tensors: Tensor | Iterable[Tensor], names: Mapping[str, Tensor] | None = None, max_lines: int = _MOST
) -> str:
    """The graph behind a tensor (or several) as a listing: leaves, operations in order, outputs.

    Each operation has a letter, its arguments (parameters by name, `·` for a constant), its options and the shape and
    dtype of what it gives. Steps of a loop that are equal are listed once, with their number; an argument with an
    apostrophe is then the one of the step before.

    Raises:
        ValueError: if a tensor has no graph.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(to_text(mg.tanh(x * x).sum(), names={"x": x}))
    input x            2
    a = multiply(x, x)  2
    b = tanh(a)         2
    c = sum(b)          scalar
    output c
    """
    picture = grouped(picture_of(tensors, names))
    lines = _Listing(picture).write()
    if len(lines) > max_lines:
        left = len(lines) - max_lines
        lines = [*lines[: max_lines // 2], (f"… {left:,} more lines", ""), *lines[len(lines) - max_lines + max_lines // 2 :]]
    width = max((len(text) for text, shape in lines if shape), default=0)
    return "\n".join(f"{text:<{width}}  {shape}".rstrip() if shape else text for text, shape in lines)


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


class _Listing:
    """The lines of a listing, as pairs of text and shape."""

    def __init__(self, picture: Picture) -> None:
        self.picture, self.vertices = picture, picture.vertices
        self.names: dict[int, str] = leaf_names(picture)
        self.lines: list[tuple[str, str]] = []
        self.scope: tuple[str, ...] = ()  # of the line before
        self.count = 0

    def write(self) -> list[tuple[str, str]]:
        """All lines."""
        number = self._leaves()
        for repeat in repeats(self.picture):
            self._plain(range(number, repeat.start))
            self._repeat(repeat)
            number = repeat.start + repeat.period * repeat.count
        self._plain(range(number, len(self.vertices)))
        outputs = [self._refer(output.source, output.slot) for output in self.picture.outputs]
        return [*self.lines, (f"output {', '.join(outputs)}", "")]

    def _leaves(self) -> int:
        """A line for each leaf, but one for all neighbours that are alike; the number of leaves."""
        count = len(self.names)
        alike: Any = lambda i: (self.vertices[i].kind, self.vertices[i].label, self.vertices[i].specs)  # noqa: E731
        for (kind, label, specs), run in groupby(range(count), key=alike):
            numbers = list(run)
            shown = [self.names[i] for i in numbers] if len(numbers) < 4 else [self.names[numbers[0]], "…", self.names[numbers[-1]]]
            if kind == "parameter":
                shown = [self.picture.full_name(self.vertices[i]) for i in numbers]
            self.lines += [(f"{kind} {name}", shape_of(specs[0])) for name in ([" ".join(shown)] if kind == "input" else shown)]
        return count

    def _name(self, number: int) -> None:
        self.names[number] = letters(self.count)
        self.count += 1

    def _plain(self, numbers: range) -> None:
        for number in numbers:
            self._name(number)
            self._line(number, {}, 0)

    def _repeat(self, repeat: Repeat) -> None:
        """One block, for all of them. What it takes from the block before has an apostrophe."""
        block = range(repeat.start, repeat.start + repeat.period)
        for number in block:
            self._name(number)
        words: dict[tuple[int, str], str] = {}
        first: dict[str, str] = {}
        for number in block:
            second = self.vertices[number + repeat.period].inputs
            for here, there in zip(self.vertices[number].inputs, second, strict=True):
                if there.source in block:  # a state, handed on from block to block
                    mark = self._refer(there.source, there.slot) + "'"
                    words[number, here.argument] = mark
                    first[mark] = self._refer(here.source, here.slot)
                elif here.source not in block and there.source != here.source:
                    words[number, here.argument] = self._refer(here.source, here.slot) + "…"
        begin = ", ".join(f"{mark} = {name}" for mark, name in first.items())
        depth = len(self.vertices[block[0]].scope) if self.scope == self.vertices[block[0]].scope else 0
        self.lines.append((f"{'  ' * depth}{repeat.count:,} times{f', first with {begin}' if begin else ''}:", ""))
        self.scope = () if depth == 0 else self.scope
        for number in block:
            self._line(number, words, 1)
        for i in range(repeat.period, repeat.period * repeat.count):
            self.names[repeat.start + i] = self.names[repeat.start + i % repeat.period]

    def _line(self, number: int, words: Mapping[tuple[int, str], str], extra: int) -> None:
        vertex = self.vertices[number]
        for depth in range(len(shared_path(self.scope, vertex.scope)), len(vertex.scope)):
            self.lines.append((f"{'  ' * (depth + extra)}{vertex.scope[depth]}:", ""))
        self.scope = vertex.scope
        tracked = {e.argument: words.get((number, e.argument)) or self._refer(e.source, e.slot) for e in vertex.inputs}
        arguments = [tracked.get(name, "·") for name in argument_order(vertex)]
        if options := option_text(vertex.options):
            arguments.append(options)
        indent = "  " * (len(vertex.scope) + extra)
        text = f"{indent}{self.names[number]} = {vertex.label}({', '.join(arguments)})"
        self.lines.append((text, ", ".join(map(shape_of, vertex.specs))))

    def _refer(self, source: int, slot: int) -> str:
        name = self.names[source]
        return f"{name}.{slot}" if len(self.vertices[source].specs) > 1 else name


def argument_order(vertex: Vertex) -> list[str]:
    """Names of all array arguments in the order of the call, tracked or not."""
    primitive = vertex.node.primitive if vertex.node is not None else None
    if primitive is None:
        return [edge.argument for edge in vertex.inputs]
    assert vertex.node is not None
    return [primitive.input_name(i) for i in range(len(vertex.node.route[1]))]
