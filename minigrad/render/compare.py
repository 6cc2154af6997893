"""Compare two graphs: which operations, parameters, inputs and edges were added, removed or changed.

Both pictures list their vertices in topological order, so matching subsequences pair them, as in a diff of two texts.
The union of both is again a picture, whose vertices and edges have marks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

from ..core import Tensor
from ..nn.module import Module
from ..spec import Array
from .closing import LARGE, closed
from .display import Text
from .dot import DotWriter
from .drawing import Drawing, write_layout
from .labels import alike, constants_of, full_name, option_words, shape_of, span
from .options import Unroll, drawn_picture
from .picture import Picture, Vertex

__all__ = ["Comparison", "compare"]

_ADDED, _REMOVED, _CHANGED = "+ ", "− ", "~ "
_ABSENT = Vertex("omitted", "")  # before an added vertex, and after a removed one


class Comparison(Text):
    """The differences between two graphs as text; notebooks show both graphs in one picture.

    Attributes:
        drawing: the picture, or None if it would be too wide.
    """

    drawing: Drawing | None = None

    def _repr_svg_(self) -> str | None:
        return self.drawing._repr_svg_() if self.drawing else None


def compare(
    before: Tensor | Iterable[Tensor],
    after: Tensor | Iterable[Tensor],
    path: str | os.PathLike[str] | None = None,
    *,
    unroll: Unroll = "fold",
    max_nodes: int = 1000,
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str] = (),
    direction: Literal["TB", "BT", "LR", "RL"] = "TB",
    title: str = "+ added     − removed     ~ changed",
    timeout: float = 30.0,
) -> Comparison:
    """List the differences between two graphs, and draw both in one picture.

    A line starts with `+` for an added operation, parameter, input or output, `−` for a removed one, and `~` for one
    that changed its shape, options, constants or the source of an argument. Equal graphs give an empty text. If
    `max_nodes` leaves out operations, which are not compared, the last line tells their number.

    The picture has the same marks, so it needs no colours. With more than 60 operations and leaves, it shows each
    module without a difference as one box.

    Numbers in the names of modules do not matter, so a layer that moves from `2` to `3` is the same layer. Operations
    that run in another order may be listed as removed and added.

    Args:
        before, after: one or more tensors, each with a graph.
        path: a file for the picture, with the suffix .svg, .png, .pdf or .dot. Without it, only notebooks show the
            picture.
        names: names of tensors; each must be in both graphs.
        unroll, max_nodes, expand: see :func:`minigrad.render.to_dot`.
        direction, title, timeout: for the picture, see :func:`minigrad.render.draw`.

    Returns:
        the differences as text, one a line.

    Raises:
        ValueError, TypeError: as :func:`minigrad.render.to_dot` and, with a path, as :func:`minigrad.render.draw`.
        ModuleNotFoundError: if the file needs a layout program and none is installed.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(compare(mg.tanh(x).sum(), mg.relu(x).sum(keepdims=True), names={"x": x}))
    − tanh  [2]
    + relu  [2]
    ~ sum  shape: scalar → [1], keepdims: none → True, + x: relu, − x: tanh
    """
    union, lines = _union(
        *[
            drawn_picture(each, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, title=title,
                          direction=direction)
            for each in (before, after)
        ]
    )  # fmt: skip
    comparison = Comparison("\n".join(lines))
    try:
        dot = DotWriter(_shortened(union), direction).text(title)
    except ValueError:  # too many steps side by side
        if path is not None:
            raise
        return comparison
    comparison.drawing = Drawing(dot, path=None if path is None else write_layout(dot, path, timeout))
    return comparison


def _union(before: Picture, after: Picture) -> tuple[Picture, list[str]]:
    """Return a picture of both, with marks, and a line for each difference."""
    # leaves are sorted by name, because their order only says which is used first
    sides = [
        sorted(side.vertices, key=lambda v: (not v.is_leaf, v.is_leaf and _traits(v)[:3])) for side in (before, after)
    ]
    pairs = sorted(_paired(sides[0], sides[1]), key=lambda pair: not any(vertex.is_leaf for vertex in pair))
    places = {id(vertex): number for number, pair in enumerate(pairs) for vertex in pair}
    newest = [old if new is _ABSENT else new for old, new in pairs]
    union: list[Vertex] = []
    lines: list[str] = []

    def moved(picture: Picture, ends: Any) -> list[Any]:
        """Translate edges or outputs of a picture to the union."""
        return [end._replace(source=places[id(picture.vertices[end.source])]) for end in ends]

    for old, new in pairs:
        edges = _marked(moved(before, old.inputs), moved(after, new.inputs), "mark")
        feedback = _marked(moved(before, old.feedback), moved(after, new.feedback), "mark")
        vertex = newest[len(union)].with_inputs(tuple(edges))
        vertex.feedback = tuple(feedback)
        changes = [] if _ABSENT in (old, new) else _changes(old, new)
        vertex.specs += old.specs[len(vertex.specs) :]  # only removed edges start at these outputs
        vertex.caveat = "\n".join(changes) or vertex.caveat
        changes += [
            f"{e.mark}{e.argument}: {full_name(newest[e.source])} {e.part}".rstrip()
            for e in (*edges, *feedback)
            if e.mark
        ]
        vertex.mark = _ADDED if old is _ABSENT else _REMOVED if new is _ABSENT else _CHANGED if changes else ""
        union.append(vertex)
        said = ", ".join(changes) if vertex.mark == _CHANGED else _shapes(vertex)
        lines += [f"{vertex.mark}{full_name(vertex)}  {said}"] if vertex.mark else []
    outputs = _marked(moved(before, before.outputs), moved(after, after.outputs), "name")
    lines += [f"{end.name}  {full_name(newest[end.source])}" for end in outputs if end.name[:2] in (_ADDED, _REMOVED)]
    if left := sum(vertex.stands_for for vertex in union if vertex.kind == "omitted"):
        lines.append(f"{left:,} operations or leaves were not compared. Pass a larger max_nodes.")
    return Picture(union, outputs), lines


def _paired(
    before: Sequence[Vertex], after: Sequence[Vertex], traits: Sequence[int] = (7, 6, 3)
) -> Iterator[tuple[Vertex, Vertex]]:
    """Match vertices on traits[0] traits first, then match what is left between the matches on fewer."""
    texts = [[_traits(vertex)[: traits[0]] for vertex in vertices] for vertices in (before, after)]
    for tag, i, j, k, m in SequenceMatcher(None, texts[0], texts[1], autojunk=False).get_opcodes():
        if tag == "equal":
            yield from zip(before[i:j], after[k:m], strict=True)
        elif traits[1:]:
            yield from _paired(before[i:j], after[k:m], traits[1:])
        else:
            yield from [(vertex, _ABSENT) for vertex in before[i:j]] + [(_ABSENT, vertex) for vertex in after[k:m]]


def _traits(vertex: Vertex) -> tuple[Any, ...]:
    """Return what identifies a vertex.

    The first three traits stay if layers are added elsewhere. The others may change.
    """
    stays = (vertex.kind, bool(vertex.folds)), tuple(map(alike, vertex.scope)), alike(vertex.label)
    return *stays, _shapes(vertex), str(_options(vertex)), vertex.remark, vertex.scope


def _options(vertex: Vertex) -> dict[str, str]:
    """Return the whole text of each option, at all steps of a folded loop."""
    steps = [option_words(step.options) for step in vertex.folds or (vertex,)]
    return {name: span(texts) or ", ".join(texts) for name in steps[0] if (texts := [step[name] for step in steps])}


def _shapes(vertex: Vertex) -> str:
    return ", ".join(map(shape_of, vertex.specs))


def _marked(old: Sequence[Any], new: Sequence[Any], field: str) -> list[Any]:
    """Return edges or outputs of both versions; a field shows which version lacks them."""
    return [end for end in new if end in old] + [
        end._replace(**{field: mark + getattr(end, field)})
        for mark, here, there in ((_ADDED, new, old), (_REMOVED, old, new))
        for end in here
        if end not in there
    ]


def _changes(old: Vertex, new: Vertex) -> list[str]:
    """Describe how a vertex changed, apart from its edges."""
    facts = [
        {"label": v.label, "shape": _shapes(v), "contents": v.remark, "steps": f"{len(v.folds) or ''}"}
        | _options(v)
        | {constant.argument: constant.text.removeprefix("= ") for constant in constants_of(v)}
        for v in (old, new)
    ]
    texts = {topic: [side.get(topic) or "none" for side in facts] for topic in facts[0] | facts[1]}
    return [f"{topic}: {a} → {b}" for topic, (a, b) in texts.items() if a != b]


def _shortened(picture: Picture) -> Picture:
    """Close modules without a difference, outermost first, if the picture is large."""
    for depth in range(1, max(len(v.around) for v in picture.vertices) + 1) if len(picture.vertices) > LARGE else ():
        picture = closed(picture, depth)
    return picture
