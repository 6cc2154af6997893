"""A graph as text: a line for each operation, scopes indented, repeats written once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from ...core import Tensor
from ..arguments import argument_order, constants_of, noted_spec
from ..names import default_name, full_name
from ..notation import alike, option_span, option_text, shape_of, span
from ..passes.arrange import whole
from ..passes.repeats import Repeat, find_repeats, sequences
from ..picture import Edge, Path, Picture, Vertex, shared_path
from ..reading.nodes import picture_of
from ..request import Unroll, requested
from .references import References, shortened

__all__ = ["to_text"]

_MOST = 2000
"""Lines that are worth reading; a longer listing says how many it leaves out."""


def to_text(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_lines: int = _MOST,
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
) -> str:
    """The graph behind a tensor (or several) as a listing: leaves, operations in order, outputs.

    Each operation has a letter, its arguments (parameters by name, `·` for a constant), its options and the shape of
    what it gives, with the dtype where that is not float32. Of a call within :func:`minigrad.record` it is known which
    constants are single numbers, which are shown as such, and which were left out, `None`.

    Steps that are equal, of a sequence primitive or of a loop, are listed once, with their number. What differs from
    step to step has its first and its last value (`[:, 1 … 7]`), or if it moves unevenly only an ellipsis (`[…]`);
    `[:, t]` is what step t of a sequence primitive takes. An argument with an apostrophe is the one of the step before.
    After the steps a letter means what the last of them made, `a (step 3)` what another made, and `a × 8` what each of
    the 8 made, in order. A sequence primitive within a loop is listed by its first step, one for those between, and its
    last.

    Args:
        unroll: 'fold', the default since a listing is to be read from top to bottom, lists steps that are equal once;
            'steps' lists each one, 'primitive' a sequence primitive itself.
        max_lines: of a longer listing the middle is left out, with the number of its lines.
        names: names of tensors: inputs, outputs, and what is between, which is said behind its operation.
        expand: names of primitives to list as the composition of simpler ones that is their reference.

    Raises:
        ValueError: if a tensor has no graph, one that is named is not in the graph, or an option is unknown.
        TypeError: if these are no tensors, or names no names of tensors.

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
    request = requested(tensors, unroll=unroll, names=names, expand=expand)
    picture = picture_of(request.tensors, request.names)
    picture = whole(picture, request)
    lines = _Listing(picture, fold=unroll == "fold").write()
    if (left := len(lines) - max_lines) > 0:
        middle = max_lines // 2
        lines = [*lines[:middle], _Line(f"… {left:,} more lines"), *lines[middle + left :]]
    width = max((len(line.text) for line in lines if line.shape), default=0)
    return "\n".join(f"{text:<{width}}  {shape}" if shape else text for text, shape in lines)


class _Line(NamedTuple):
    """A line, and the shape that stands in a column to the right."""

    text: str
    shape: str = ""


class _Listing:
    """Writes the lines of a listing."""

    def __init__(self, picture: Picture, fold: bool) -> None:
        self.picture, self.vertices = picture, picture.vertices
        self.repeats = _repeats(picture) if fold else []
        self.references = References(picture, self.repeats)
        self.lines: list[_Line] = []
        self.scope: Path = ()  # of the line before

    def write(self) -> list[_Line]:
        """All lines."""
        number = self._leaves()
        for repeat in self.repeats:
            self._plain(range(number, repeat.start))
            self._repeat(repeat)
            number = repeat.stop
        self._plain(range(number, len(self.vertices)))
        outputs = self.picture.outputs
        words = [
            self.references.refer(source, slot) + ("" if name == default_name(i, len(outputs)) else f" ({name})")
            for i, (source, slot, name) in enumerate(outputs)
        ]
        self.lines.append(_Line(f"output {', '.join(shortened(words))}"))
        return [_Line(_one_line(text), shape) for text, shape in self.lines]

    def _leaves(self) -> int:
        """A line for each parameter, and one for neighbouring inputs that are alike; the number of leaves."""
        alike = {i: (self.vertices[i].kind, self.vertices[i].specs) for i in self.references.names}
        for (kind, specs), run in groupby(alike, alike.__getitem__):
            numbers = list(run)
            if kind == "parameter":
                names = [self._parameter(i) for i in numbers]
            else:
                shown = [self.references.names[i] for i in numbers]
                names = [" ".join(shown if len(shown) < 5 else [*shown[:2], "…", shown[-1]])]
            self.lines += [_Line(f"{kind} {name}", shape_of(specs[0])) for name in names]
        return len(alike)

    def _parameter(self, number: int) -> str:
        full, own = full_name(self.vertices[number]), self.references.names[number]
        return full if full.endswith(own) else own

    def _plain(self, numbers: range) -> None:
        for number in numbers:
            vertex = self.vertices[number]
            self.references.bind([number])
            self._enter(vertex.scope, len(vertex.scope))
            edges = {edge.argument: edge for edge in vertex.inputs}
            items = [edges[name] if name in edges else _constant([vertex], name) for name in argument_order(vertex)]
            words = self.references.words(vertex, items)
            self._line(number, words, option_text(vertex.options), len(vertex.scope))

    def _repeat(self, repeat: Repeat) -> None:
        """One block, for all of them. What it takes from the block before has an apostrophe."""
        block = range(repeat.start, repeat.start + repeat.period)
        for number in block:
            self.references.bind(repeat.like(number))
        first: dict[str, str] = {}
        words = {number: self._words_of_all(repeat, number, first) for number in block}
        common = self.vertices[block[0]].scope
        for number in (*block, *(number + repeat.period for number in block)):
            common = shared_path(common, self.vertices[number].scope)
        self._enter(common, len(common))
        begin = ", ".join(f"{mark} = {name}" for mark, name in first.items())
        times = f"× {repeat.times:,}{f', first with {begin}' if begin else ''}:"
        self.lines.append(_Line("  " * len(common) + times))
        for number in block:
            like = repeat.like(number)[:: 2 if repeat.more else 1]  # but for the one that stands for several
            vertices = [self.vertices[i] for i in like]
            scopes = zip(*[vertex.scope for vertex in vertices], strict=True)
            scope = tuple(span(names) or alike(names[0], "…") for names in scopes)
            self._enter(scope, len(scope), 1)
            options = option_span([vertex.options for vertex in vertices])
            self._line(number, words[number], options, len(scope) + 1)
        self.scope = common

    def _words_of_all(self, repeat: Repeat, number: int, first: dict[str, str]) -> list[str]:
        """The arguments of a vertex of the first block, as they are in all; `first` collects what states start from."""
        vertices = [self.vertices[i] for i in repeat.like(number)]
        edges = [{edge.argument: edge for edge in vertex.inputs} for vertex in vertices]
        items = [
            self._item(repeat, vertices, [here.get(name) for here in edges], first)
            if name in edges[1]
            else _constant(vertices, name)
            for name in argument_order(vertices[0])
        ]
        return self.references.words(vertices[0], items)

    def _item(
        self, repeat: Repeat, users: Sequence[Vertex], edges: Sequence[Edge | None], first: dict[str, str]
    ) -> Edge | str:
        """An argument by its edges in all blocks: an edge if that is the same in all, else a word."""
        block = range(repeat.start, repeat.start + repeat.period)
        here, there = edges[:2]
        assert there is not None
        if there.source in block:  # a state, handed on from block to block
            mark = self.references.letter(there.source, there.slot) + "'"
            start = _constant(users[:1], there.argument)
            first[mark] = start if here is None else self.references.refer(here.source, here.slot, users[0])
            return mark
        assert here is not None
        if here.source in block:
            return self.references.letter(here.source, here.slot) + self.references.times(users[0], here)
        known = [edge for edge in edges if edge is not None]
        if len({edge.source for edge in known}) == 1:
            return here if len({edge.part for edge in known}) == 1 else here._replace(part=alike(here.part, "t"))
        refer = self.references.refer
        words = [refer(e.source, e.slot, user, True) + e.part for e, user in zip(known, users, strict=True)]
        return span(words) or words[0] + "…"

    def _enter(self, scope: Path, depth: int, extra: int = 0) -> None:
        """The names of scopes that begin here."""
        for level in range(len(shared_path(self.scope, scope)), depth):
            self.lines.append(_Line(f"{'  ' * (level + extra)}{scope[level]}:"))
        self.scope = scope

    def _line(self, number: int, words: Sequence[str], options: str, depth: int) -> None:
        vertex = self.vertices[number]
        arguments = [*words, options] if options and vertex.step is None else words
        text = f"{'  ' * depth}{self.references.names[number]} = {vertex.label}({', '.join(arguments)})"
        text += f"  ({vertex.remark})" if vertex.remark else ""
        self.lines.append(_Line(text, ", ".join(map(shape_of, vertex.specs))))


def _repeats(picture: Picture) -> list[Repeat]:
    """The loops that a user wrote, and the sequences that are in none of them, in order."""
    loops = find_repeats(picture)
    within = {number for loop in loops for number in range(loop.start, loop.stop)}
    alone = [s for s in sequences(picture) if within.isdisjoint(range(s.start, s.stop))]
    return sorted([*loops, *alone], key=lambda repeat: repeat.start)


def _constant(vertices: Sequence[Vertex], name: str) -> str:
    """An argument that is no edge, as it is in all these vertices: a number, `None` for one left out, or `·`."""
    said = ""
    for vertex in vertices:
        numbers = [c.text for c in constants_of(vertex) if c.argument == name and c.number is not None]
        left_out = name in vertex.constants and noted_spec(vertex, name) == (True, None)
        word = numbers[0] if numbers else "None" if left_out else "·"
        if word == "·" or (said and word != said):
            return "·"
        said = word
    return said


def _one_line(text: str) -> str:
    """What cannot be printed, such as a line break, as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
