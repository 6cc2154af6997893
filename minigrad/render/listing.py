"""List graphs as text: one line per operation, with scopes indented and repeats written once."""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from itertools import count, groupby
from typing import Any

from ..core import Tensor
from ..nn.module import Module
from ..spec import Array
from .display import Text
from .fold import Repeat, find_repeats, is_stack, names_of_steps
from .labels import (
    alike,
    argument_order,
    constant_of,
    default_name,
    full_name,
    leaf_names,
    number_text,
    option_span,
    option_text,
    output_name,
    path_span,
    shape_of,
    short_name,
    span,
)
from .options import Unroll, check_count, whole_picture
from .picture import Edge, Path, Picture, Vertex, shared_path

__all__ = ["to_text"]

_Starts = dict[str, dict[str, list[str]]]  # the first values of each state of a loop, and which arguments take them
_MOST = 2000  # default number of lines
_ARGUMENTS = 8  # the most arguments of an operation, or outputs, to list in full


def to_text(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_lines: int = _MOST,
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str] = (),
) -> Text:
    """List the graph of one or more tensors as text: leaves, operations in order, outputs.

    Each operation has a number, its arguments (leaves by name, constants of one entry by value, `None` for those that
    were left out), its options and the shape of its result, with the dtype unless that is float32. `%1` is the result
    of operation 1, and `%1.h` its output h. `·` is a number that differs between equal steps.

    Equal steps, of a sequence primitive or of a loop, are listed once, with their number. A value that differs between
    steps is shown as its first and last value (`[:, 1 … 7]`), or only as an ellipsis (`[…]`) if it changes irregularly.
    `[:, t]` is the part that step t of a sequence primitive takes. An argument with an apostrophe is the one from the
    previous step. After the steps, `%1` means the result of the last step, `%1 (step 3)` that of another, and `%1 × 8`
    the results of all 8, in order.

    Args:
        unroll: 'fold' (the default, because a listing is read from top to bottom) lists equal steps once; 'steps' lists
            each step, 'primitive' a sequence primitive itself.
        max_lines: a longer listing shows the number of lines left out instead of its middle.
        names: names for inputs, outputs and intermediate tensors; the last follow their operation.
        expand: names of primitives to list as their references (compositions of simpler primitives).

    Raises:
        ValueError: if a tensor has no graph, a named tensor is not in it, or an option is unknown.
        TypeError: if ``tensors`` are not tensors, or ``names`` does not map names to tensors.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(to_text(mg.tanh(x * x).sum(), names={"x": x}))
    input x              [2]
    %1 = multiply(x, x)  [2]
    %2 = tanh(%1)        [2]
    %3 = sum(%2)         scalar
    output %3
    """
    check_count("max_lines", max_lines)
    collecting = gc.isenabled()
    gc.disable()  # a picture of a million nodes creates no garbage, but the collector would visit it many times
    try:
        picture = whole_picture(tensors, unroll, names, expand)
        lines = _Listing(picture, find_repeats(picture, apart=True) if unroll == "fold" else []).write()
    finally:
        if collecting:
            gc.enable()
    if (left := len(lines) - max_lines) > 0:
        middle = max_lines // 2
        lines = [*lines[:middle], (f"… {left:,} more lines", ""), *lines[middle + left :]]
    width = max((len(text) for text, shape in lines if shape), default=0)
    return Text("\n".join(f"{text:<{width}}  {shape}" if shape else text for text, shape in lines))


class _Listing:
    """Writes the lines of a listing: each a text, and the shape in the column to the right.

    Leaves have their own names; each operation, or all at the same position of a repeat, gets a number after a `%`,
    which is neither a Python name nor an index.
    """

    def __init__(self, picture: Picture, repeats: Sequence[Repeat]) -> None:
        self.picture, self.vertices, self.repeats = picture, picture.vertices, repeats
        self.names = leaf_names(picture)
        taken = {*self.names.values(), *(vertex.label for vertex in picture.vertices if vertex.is_leaf)}
        self.free = (name for number in count(1) if (name := f"%{number}") not in taken)
        self.starts = [repeat.start for repeat in repeats]
        self.marks: dict[int, list[str]] = {}  # the labels of the blocks of a repeat, by a vertex of the first
        self.lines: list[tuple[str, str]] = []
        self.scope: Path = ()  # of the previous line

    def write(self) -> list[tuple[str, str]]:
        """Return all lines."""
        self._leaves()
        number = len(self.names)
        for repeat in self.repeats:
            self._plain(range(number, repeat.start))
            self._repeat(repeat)
            number = repeat.stop
        self._plain(range(number, len(self.vertices)))
        outputs = self.picture.outputs
        words = [
            self.refer(Edge(source, slot, "")) + ("" if name == default_name(i, len(outputs)) else f" ({name})")
            for i, (source, slot, name) in enumerate(outputs)
        ]
        self.lines.append((f"output {', '.join(_shortened(words))}", ""))
        # escape characters that cannot be printed, such as a line break
        escaped = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) for text, _ in self.lines]
        return [(text, shape) for text, (_, shape) in zip(escaped, self.lines, strict=True)]

    def _leaves(self) -> None:
        """Write a line for each parameter, and one for consecutive inputs of the same shape."""
        names = self.names
        for (kind, specs), run in groupby(names, lambda i: (self.vertices[i].kind, self.vertices[i].specs)):
            shown = [
                name if kind != "input" and (name := full_name(self.vertices[i])).endswith(names[i]) else names[i]
                for i in run
            ]
            if kind == "input":
                shown = [" ".join(shown if len(shown) < 5 else [*shown[:2], "…", shown[-1]])]
            self.lines += [(f"{kind} {name}", shape_of(specs[0])) for name in shown]

    def _plain(self, numbers: range) -> None:
        for number in numbers:
            vertex = self.vertices[number]
            self.bind([number])
            self._enter(vertex.scope)
            edges = {edge.argument: edge for edge in vertex.inputs}
            items = [edges[name] if name in edges else _constant([vertex], name) for name in argument_order(vertex)]
            self._line(number, self.words(vertex, items), option_text(vertex.options), len(vertex.scope))

    def _repeat(self, repeat: Repeat) -> None:
        """Write one block for all of them; arguments from the previous block have an apostrophe."""
        block = range(repeat.start, repeat.start + repeat.period)
        for number in block:
            self.bind(repeat.like(number))
        first: _Starts = {}
        words = {number: self._words_of_all(repeat, number, first) for number in block}
        common = reduce(
            shared_path, [vertex.scope for vertex in self.vertices[block.start : block.stop + repeat.period]]
        )
        self._enter(common)
        begin = ", ".join(
            f"{mark} = {value}" + (f" ({', '.join(users)})" if len(values) > 1 else "")
            for mark, values in first.items()
            for value, users in values.items()
        )
        times = f"{repeat.count:,} layers" if is_stack(self.vertices, repeat) else repeat.times
        times += f", first with {begin}:" if begin else ":"
        self.lines.append(("  " * len(common) + times, ""))
        for number in block:
            vertices = [self.vertices[i] for i in repeat.like(number)]
            scope = path_span([vertex.scope for vertex in vertices])
            self._enter(scope, 1)
            shown = replace(vertices[0], names=names_of_steps(vertices))
            self._line(number, words[number], option_span([v.options for v in vertices]), len(scope) + 1, shown)
        self.scope = common

    def _words_of_all(self, repeat: Repeat, number: int, first: _Starts) -> list[str]:
        """Return the arguments of a vertex in all blocks as text; `first` collects the initial states."""
        vertices = [self.vertices[i] for i in repeat.like(number)]
        edges = [{edge.argument: edge for edge in vertex.inputs} for vertex in vertices]
        items = [
            self._item(repeat, vertices, [here.get(name) for here in edges], first)
            if name in edges[1]
            else _constant(vertices, name)
            for name in argument_order(vertices[0])
        ]
        return self.words(vertices[0], items)

    def _item(self, repeat: Repeat, users: Sequence[Vertex], edges: Sequence[Any], first: _Starts) -> Edge | str:
        """Return an argument by its edges in all blocks: an edge if it is the same in all, or else a text."""
        block = range(repeat.start, repeat.start + repeat.period)
        here, there = edges[:2]
        if there.source in block:  # a state, passed from block to block
            mark = self.value(there) + "'"
            value = _constant(users[:1], there.argument) if here is None else self.refer(here, users[0])
            first.setdefault(mark, {}).setdefault(value, []).append(f"{there.argument} of {users[0].label}")
            return mark
        if here.source in block:
            return self.value(here)
        known: list[Edge] = [edge for edge in edges if edge is not None]
        if len({edge.source for edge in known}) == 1:
            return known[0] if len({e.part for e in known}) == 1 else known[0]._replace(part=alike(here.part, "t"))
        words = [self.refer(edge, user, True) + edge.part for edge, user in zip(known, users, strict=True)]
        return span(words) or words[0] + "…"

    def _enter(self, scope: Path, extra: int = 0) -> None:
        """Write the names of scopes that begin here."""
        for level in range(len(shared_path(self.scope, scope)), len(scope)):
            self.lines.append((f"{'  ' * (level + extra)}{scope[level]}:", ""))
        self.scope = scope

    def _line(self, number: int, words: Sequence[str], options: str, depth: int, vertex: Vertex | None = None) -> None:
        vertex = vertex or self.vertices[number]
        arguments = [*words, options] if options and vertex.step is None else words
        text = f"{'  ' * depth}{self.names[number]} = {vertex.label}({', '.join(arguments)})"
        text += f"  ({vertex.remark})" if vertex.remark else ""
        self.lines.append((text, ", ".join(map(shape_of, vertex.specs))))

    # References to earlier lines

    def bind(self, numbers: Iterable[int]) -> None:
        """Assign the next number to vertices."""
        self.names.update(dict.fromkeys(numbers, next(self.free)))

    def words(self, user: Vertex, items: Sequence[Edge | str]) -> list[str]:
        """Return the text of each argument; consecutive arguments from all blocks of a repeat are one text."""
        words = []
        i = 0
        while i < len(items):
            item, turns = items[i], self._turns(items, i)
            if isinstance(item, str):
                words.append(item)
            elif turns:
                words.append(f"{self.value(item)}{item.part} × {turns}")
            else:
                words.append(self.refer(item, user) + item.part)
            i += turns or 1
        runs = [(word, len(list(run))) for word, run in groupby(words)]
        return _shortened([part for word, n in runs for part in ([word] * n if n < 4 else [f"{word} × {n}"])])

    def value(self, edge: Edge) -> str:
        """Return the name of the value that an edge carries, whichever block of a repeat it comes from."""
        name, source = self.names[edge.source], self.vertices[edge.source]
        return f"{name}.{output_name(source, edge.slot).split()[-1]}" if len(source.specs) > 1 else name

    def refer(self, edge: Edge, user: Vertex | None = None, always: bool = False) -> str:
        """Name the value that an edge carries.

        The name has its block of a repeat unless that is the last, or `always`.
        """
        if user is not None and self.vertices[edge.source].is_leaf:
            return short_name(self.picture, self.names, edge.source, user)
        name, repeat = self.value(edge), self._around(edge.source)
        if repeat is None or (edge.source >= repeat.stop - repeat.period and not always):
            return name
        return f"{name} ({self._marks(repeat, edge.source)[(edge.source - repeat.start) // repeat.period]})"

    def _marks(self, repeat: Repeat, number: int) -> list[str]:
        """Return what distinguishes the blocks of a repeat: the scopes that differ, or else their numbers."""
        numbers = repeat.like(number)
        if numbers[0] not in self.marks:
            levels = zip(*[self.vertices[i].scope for i in numbers], strict=True)
            moving = [names for names in levels if len(set(names)) > 1]
            marks = [", ".join(names) for names in zip(*moving, strict=True)]
            if len(set(marks)) < len(numbers):
                marks = [f"{k + 1} of {len(numbers)}" for k in range(len(numbers))]
            self.marks[numbers[0]] = marks
        return self.marks[numbers[0]]

    def _turns(self, items: Sequence[Edge | str], i: int) -> int:
        """Return how many arguments, from the one at `i` on, the blocks of one repeat feed in order; 0 for none."""
        item = items[i]
        repeat = None if isinstance(item, str) else self._around(item.source)
        if isinstance(item, str) or repeat is None:
            return 0
        turn = [(number, item.slot, item.part) for number in repeat.like(item.source)]
        met = [(x.source, x.slot, x.part) for x in items[i : i + len(turn)] if isinstance(x, Edge)]
        return len(turn) if met == turn else 0

    def _around(self, number: int) -> Repeat | None:
        k = bisect_right(self.starts, number) - 1
        return self.repeats[k] if k >= 0 and number < self.repeats[k].stop else None


def _constant(vertices: Sequence[Vertex], name: str) -> str:
    """Return the text of an argument without an edge in all these vertices.

    This is a number, `None` if it was left out, or `·`.
    """
    words = {_constant_of(vertex, name) for vertex in vertices}
    return words.pop() if len(words) == 1 else "·"


def _constant_of(vertex: Vertex, name: str) -> str:
    number = constant_of(vertex, name)
    return "None" if number is None else number_text(number)


def _shortened(words: list[str]) -> list[str]:
    """Return a list, without its middle if it is long."""
    left = len(words) - 3
    return words if len(words) <= _ARGUMENTS else [*words[:2], f"… {left:,} more …", words[-1]]
