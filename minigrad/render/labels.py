"""The text in drawings: shapes, numbers, options, and names of what is drawn.

A constant argument is an input if it has several entries, and else a number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from functools import lru_cache
from itertools import count, islice, pairwise
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from ..spec import Spec
from .picture import Edge, Path, Picture, Vertex

__all__ = ["LAYERS", "STEP", "Constant", "alike", "argument_order", "constants_of", "default_name", "free_names",
           "full_name", "index_text", "leaf_names", "constant_of", "number_text", "option_span", "option_text",
           "option_words", "output_name", "path_span", "shape_of", "shared_weights", "short_name", "span", "stubbed",
           "times_of", "title_parts", "title_span", "to_be_named", "with_name"]  # fmt: skip

_TITLE = re.compile(r"(?P<name>.*?)(?P<about> · .*?)?(?:, call \d+ of \d+)?", re.DOTALL)  # of a frame
STEP = re.compile(r"(?:step|time|t)[ _=]?\d+")  # the name of a scope that is a step of a loop
LAYERS = re.compile(r"(?:.*, )?[\d,]+ layers(?: \(\d+\))?")  # the name of a frame around one layer of a stack
_LONGEST = 32  # characters of an option
_NUMBER = re.compile(r"\d{1,18}")  # longer ones in parts, because `int` may raise for them
_USES = {"parameter": 0, "buffer": 0, "input": 2, "operation": 8}
# A vertex with more uses than this is drawn as a small stub next to each use, instead of one vertex with edges. `dot`
# takes minutes for a result with 60 uses, and for an attention over 8 steps whose weights have no names.

_SHARED_COLOURS = ("#dbe9fb", "#dcf2d5", "#fbdfeb", "#e6dffa", "#d5f1ee", "#f8e2cc")  # of stubs

# Shapes, numbers and options ---------------------------------------------------------------------


def shape_of(spec: Spec) -> str:
    """Format a shape in brackets, followed by the dtype unless that is float32.

    >>> shape_of(((2, 3), np.dtype("float64"))), shape_of(((), np.dtype("float32")))
    ('[2×3] float64', 'scalar')
    """
    shape, dtype = spec
    text = f"[{'×'.join(map(str, shape))}]" if shape else "scalar"
    return text if dtype == np.float32 else f"{text} {dtype}"


def number_text(number: float) -> str:
    """Format a number with at most six significant digits.

    >>> number_text(2.0), number_text(0.1234567), number_text(10**6), number_text(True)
    ('2', '0.123457', '1000000', 'True')
    """
    return f"{number:.6g}" if isinstance(number, float) else _cut(str(number), _LONGEST)


def option_text(options: Mapping[str, Any]) -> str:
    """Format options as text; leave out None, False and objects without a readable value.

    >>> option_text({"axis": 1, "keepdims": False, "key": object()})
    'axis=1'
    """
    words = option_words(
        {k: value for k, value in options.items() if value is not False and _is_readable(value)}, _LONGEST
    )
    return ", ".join(text if name == "index" else f"{name}={text}" for name, text in words.items())


def option_words(options: Mapping[str, Any], most: int | None = None) -> dict[str, str]:
    """Format the value of each option that is not None; an index is in brackets.

    most: the number of characters to cut a value to; None keeps all.

    >>> option_words({"index": (slice(None), 0), "axis": None})
    {'index': '[:, 0]'}
    """
    return {
        name: f"[{_cut(index_text(value), most)}]" if name == "index" else _cut(_value_text(value), most)
        for name, value in options.items()
        if value is not None
    }


def index_text(index: Any) -> str:
    """Format an index as you type it between brackets.

    >>> index_text((slice(None), slice(2, None), -1, ...)), index_text(np.zeros((2, 3), int))
    (':, 2:, -1, …', 'indices [2×3]')
    """
    if isinstance(index, np.ndarray) and index.ndim:
        return f"{'mask' if index.dtype == bool else 'indices'} [{'×'.join(map(str, index.shape))}]"
    if isinstance(index, tuple):
        return ", ".join(map(index_text, index)) or "()"
    if isinstance(index, slice):
        ends = ["" if end is None else str(end) for end in (index.start, index.stop, index.step)]
        return ":".join(ends if ends[2] else ends[:2])
    return "…" if isinstance(index, EllipsisType) else _value_text(index)


@lru_cache(4096)
def alike(text: str, mark: str = "#") -> str:
    """Replace every number in a text with a placeholder.

    >>> alike("step 12") == alike("step 3")
    True
    """
    return _NUMBER.sub(mark, text)


def span(texts: Sequence[str]) -> str:
    """Summarise the texts of all steps.

    This is the common text, or the first and last if numbers change evenly, or else nothing.

    >>> span(["h", "h"]), span(["step 1", "step 2", "step 3"]), span(["0", "3", "1"])
    ('h', 'step 1 … step 3', '')
    """
    if len(set(texts)) == 1:
        return texts[0]
    if len(set(map(alike, texts))) > 1:
        return ""
    columns = zip(*[map(int, _NUMBER.findall(text)) for text in texts], strict=True)
    even = all(len({b - a for a, b in pairwise(column)}) == 1 for column in columns)
    return f"{texts[0]} … {texts[-1]}" if even else ""


def path_span(paths: Sequence[Path]) -> Path:
    """Summarise the scopes of all steps at each level; `…` stands for numbers that change unevenly.

    The number of a module's call is left out.

    >>> path_span([("l.0 · GRU, call 1 of 2", "in 0"), ("l.1 · GRU", "in 3"), ("l.2 · GRU", "in 1")])
    ('l.0 … l.2 · GRU', 'in …')
    """
    return tuple([title_span(titles) for titles in zip(*paths, strict=True)])


def title_span(titles: Sequence[str]) -> str:
    names, kinds = zip(*map(title_parts, titles), strict=True)
    return (span(names) or alike(names[0], "…")) + (span(kinds) or alike(kinds[0], "…"))


def title_parts(title: str) -> tuple[str, str]:
    """Return the name in the title of a frame, and the rest without the number of the call.

    >>> title_parts("c1 · Conv2d 3→16, 3×3, call 1 of 2"), title_parts("encoder")
    (('c1', ' · Conv2d 3→16, 3×3'), ('encoder', ''))
    """
    found = _TITLE.fullmatch(title)
    assert found is not None
    return found["name"], found["about"] or ""


def option_span(several: Sequence[Mapping[str, Any]]) -> str:
    """Summarise the options of a loop's operations, which differ only in their index.

    `[…]` is an irregular index.

    >>> option_span([{"index": (slice(None), k)} for k in range(1, 8)])
    '[:, 1 … 7]'
    """
    if "index" not in several[0] or len({str(option_words(options)) for options in several}) == 1:
        return option_text(several[0])
    items = [[*map(index_text, i)] if isinstance(i := o["index"], tuple) else [index_text(i)] for o in several]
    even = len(set(map(len, items))) == 1
    spans = [span(texts) for texts in zip(*items, strict=True)] if even else [""]
    text = ", ".join(spans) if all(spans) else "…"
    rest = option_text({name: value for name, value in several[0].items() if name != "index"})
    return ", ".join(filter(None, [f"[{_cut(text, _LONGEST)}]", rest]))


def _is_readable(value: Any) -> bool:
    """Return whether the text of a value says more than its class."""
    said = isinstance(value, (tuple, slice, EllipsisType)) or _value_text(value) != type(value).__name__
    return any(map(_is_readable, value)) if isinstance(value, list) else said


def _value_text(value: Any) -> str:
    """Format a value as text, without anything that differs from run to run, such as an address."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array [{'×'.join(map(str, value.shape))}]"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_value_text, value))})"
    if value is None or isinstance(value, (bool, int, float, str, np.generic, np.dtype)):
        return str(value)
    return value.__name__ if isinstance(value, type) else type(value).__name__


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 1] + "…"


# Names ------------------------------------------------------------------------------------------


def stubbed(picture: Picture) -> set[int]:
    """Return the vertices drawn as stubs: parameters, and inputs and operations with too many edges.

    Edges to the steps of a row do not count if each step takes a part.
    """
    uses = Counter(edge.source for vertex in picture.vertices for edge in vertex.inputs if not edge.part)
    numbered = enumerate(picture.vertices)
    return {i for i, vertex in numbered if vertex.is_held or uses[i] > _USES.get(vertex.kind, uses[i])}


def default_name(number: int, total: int) -> str:
    """Return the default name of an output.

    >>> default_name(0, 1), default_name(1, 3)
    ('output', 'output 1')
    """
    return "output" if total == 1 else f"output {number}"


def free_names(name: str, number: int, taken: Set[str]) -> list[str]:
    """Return unique names for things with the same name.

    They are numbered if there are several or the name is taken.

    >>> free_names("LSTM", 1, set()), free_names("LSTM", 2, {"LSTM 1"})
    (['LSTM'], ['LSTM 2', 'LSTM 3'])
    """
    if number == 1 and name not in taken:
        return [name]
    numbered = (f"{name} {k}" for k in count(1))
    return list(islice((free for free in numbered if free not in taken), number))


def output_name(vertex: Vertex, slot: int) -> str:
    """Return the name of one of several outputs, such as `out 1`.

    For a sequence, it is the name of the state. A single output has an empty name.
    """
    if slot in vertex.hidden:
        return f"hidden {slot}"
    if len(vertex.specs) - len(vertex.hidden) < 2 or vertex.node is None or vertex.node.primitive is None:
        return ""
    steps = vertex.node.primitive.steps
    return steps.names[slot] if steps else f"out {slot}"


def full_name(leaf: Vertex) -> str:
    """Return a parameter's name with the path of its module.

    >>> full_name(Vertex("parameter", "Wx", scope=("Captioner", "cell · LSTM 4→8")))
    'Captioner.cell.Wx'
    """
    return ".".join([*_names(leaf.scope), leaf.label])


def _names(scope: Path) -> list[str]:
    return [title_parts(title)[0] for title in scope]


def times_of(leaf: Vertex) -> str:
    """Say how many leaves one leaf of a folded loop stands for."""
    return f" × {len(leaf.folds):,}" if leaf.folds else ""


def leaf_names(picture: Picture) -> dict[int, str]:
    """Return a unique name for each leaf by its number.

    It has the path of its module if others have the same label.

    >>> leaves = [Vertex("input", "x"), Vertex("parameter", "W", scope=("a",)), Vertex("parameter", "W", scope=("b",))]
    >>> leaf_names(Picture(leaves, []))
    {0: 'x', 1: 'a.W', 2: 'b.W'}
    """
    leaves = {number: vertex for number, vertex in enumerate(picture.vertices) if vertex.is_leaf}
    plain = Counter(vertex.label for vertex in leaves.values())
    names = {i: v.label if plain[v.label] == 1 else full_name(v) for i, v in leaves.items()}
    total = Counter(names.values())
    taken = {name for name, number in total.items() if number == 1}
    numbers = {name: count(1) for name in total}
    for i, name in names.items():
        if name not in taken:
            stem = f"{name}_" if name[-1:].isdigit() else name
            names[i] = next(free for k in numbers[name] if (free := f"{stem}{k}") not in taken)
    return names


def short_name(picture: Picture, names: Mapping[int, str], number: int, user: Vertex) -> str:
    """Return the name of a leaf, without the path of its module if the user is in the same frame."""
    leaf, name = picture.vertices[number], names[number]
    frame = user.scope if user.step is None else user.scope[:-1]  # a step has a frame of its own
    return leaf.label if _names(leaf.scope) == _names(frame) and name == full_name(leaf) else name


class Shared(NamedTuple):
    """The number and the colour of a weight with several users."""

    number: int
    colour: str


def shared_weights(picture: Picture) -> dict[int, Shared]:
    """Return the weights that several vertices use; the steps of a sequence count as one.

    >>> users = [Vertex("operation", name, inputs=(Edge(0, 0, "x"),)) for name in ("tanh", "exp")]
    >>> shared_weights(Picture([Vertex("parameter", "W"), *users], []))
    {0: Shared(number=1, colour='#dcf2d5')}
    """
    users = Counter(source for v in picture.vertices if not v.step for source in {edge.source for edge in v.inputs})
    weights = (i for i, vertex in enumerate(picture.vertices) if vertex.is_held and users[i] > 1)
    return {number: Shared(k, _SHARED_COLOURS[k % len(_SHARED_COLOURS)]) for k, number in enumerate(weights, 1)}


# Arguments --------------------------------------------------------------------------------------


class Constant(NamedTuple):
    """A constant argument that is a single number."""

    argument: str
    number: float

    @property
    def text(self) -> str:
        """The number after an equals sign.

        >>> Constant("b", 2.0).text
        '= 2'
        """
        return f"= {number_text(self.number)}"


def argument_order(vertex: Vertex) -> list[str]:
    """Return the names of all array arguments in the order of the call, tracked or not."""
    primitive = vertex.primitive
    if primitive is None or vertex.gathers is not None:
        return [edge.argument for edge in vertex.inputs]
    if vertex.step is not None:
        return list(primitive.arguments)
    assert vertex.node is not None
    return [primitive.input_name(i) for i in range(len(vertex.node.edges[1]))]


def constants_of(vertex: Vertex) -> list[Constant]:
    """Return the constant arguments of an operation that are numbers, the same in all steps of a folded loop."""
    found = []
    for name in vertex.constants if vertex.kind == "operation" else ():
        numbers = {constant_of(folded, name) for folded in vertex.folds or (vertex,)}
        if len(numbers) == 1 and (number := numbers.pop()) is not None:
            found.append(Constant(name, number))
    return found


def constant_of(vertex: Vertex, name: str) -> Any:
    """Return the number that an argument is, or None if it was left out."""
    seen = getattr(vertex.node, "constants", ())
    number = _number_of(vertex, name)
    return seen[number] if number < len(seen) else None


def _number_of(vertex: Vertex, name: str) -> int:
    """Return the position of an argument in the call.

    For a state of a step, this is the position of the sequence's initial state.
    """
    primitive = vertex.called
    if vertex.step is not None and primitive.steps:
        name = primitive.steps.start_of(name)
    stem, _, place = name.partition("[")
    return primitive.arguments.index(stem) + (int(place[:-1]) if place else 0)


def to_be_named(picture: Picture, vertex: Vertex, stubs: Set[int]) -> set[str]:
    """Return the arguments that a drawing labels, so that another order of arguments looks different.

    Unlabelled arguments are in order: edges first, then stubs, each in the order of the call. Nothing is labelled if
    the order does not matter or there is only one argument. Otherwise constants are always labelled.
    """
    symmetric = vertex.primitive is not None and vertex.primitive.commutative
    if vertex.kind != "operation" or vertex.gathers is not None or symmetric:
        return set()
    constants = {constant.argument for constant in constants_of(vertex)}
    inputs = [*vertex.inputs, *vertex.feedback]
    if len({edge.argument for edge in inputs} | constants) < 2:
        return set()
    # edges that a comparison shows as removed may have arguments of their own
    place = {name: i for i, name in enumerate([*(e.argument for e in inputs), *argument_order(vertex)])}
    drawn = [edge for edge in inputs if edge.source not in stubs]
    silent = [edge for edge in drawn if not _is_clear(picture, vertex, edge)]
    # edges from the same output need no label, except from omitted vertices, which may carry several values
    brought = {e if picture.vertices[e.source].kind == "omitted" else e[:2] for e in silent}
    named = {edge.argument for edge in silent}
    last = max((place[edge.argument] for edge in drawn), default=-1)
    beside = [edge for edge in inputs if edge.source in stubs]
    mixed = any(not picture.vertices[e.source].is_held or place[e.argument] < last for e in beside)
    if drawn and mixed:  # an edge and a stub: which comes first is not clear
        return constants | {edge.argument for edge in inputs}
    return constants | (named if len(brought) > 1 and len(named) > 1 else set())


def _is_clear(picture: Picture, vertex: Vertex, edge: Edge) -> bool:
    """Return whether the drawn edge identifies its argument.

    It does if it shows an index, comes from an input of that name, brings the previous step's state, or brings one
    element of omitted vertices.
    """
    source = picture.vertices[edge.source]
    if source.kind == "input" and source.label == edge.argument:
        return True
    between_steps = vertex.step is not None and source.node is vertex.node
    return "[" in edge.part or between_steps or (source.kind == "omitted" and "[" in edge.argument)


def with_name(argument: str, named: Set[str], text: str = "") -> str:
    """Prefix a text with the name of its argument if that needs a label; `#3` names element 3 of a list.

    >>> with_name("a", {"a"}, "[2×2]"), with_name("a", {"a"}, "= 2"), with_name("arrays[3]", {"arrays[3]"})
    ('a: [2×2]', 'a = 2', '#3')
    """
    stem, _, place = argument.partition("[")
    name = f"#{place[:-1]}" if place else stem
    between = "" if not text else " " if text.startswith("=") else ": "
    return f"{name}{between}{text}" if argument in named and text.split(" ")[0] != name else text
