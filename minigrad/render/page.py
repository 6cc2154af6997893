"""Write interactive pages of graphs: one HTML file with its own script, which works without a network.

The page contains the graph as JSON: vertices, the boxes around them, notes and colours. Its script does the layout and
draws the graph, so that boxes can be opened and closed. The parts of the page are the files in the folder `assets`.
"""

from __future__ import annotations

import hashlib
import html
import inspect
import json
import math
import os
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..core import Tensor
from ..formatting import time_text
from ..nn.module import Module
from ..primitives import Primitive
from ..recording import Stats
from ..runtime.files import replacing
from ..spec import Array
from .display import Page
from .heat import (
    Heat,
    flow_norm,
    gradient_heat,
    gradient_norm,
    largest,
    norm_span,
    seconds_of,
    strip_colours,
    time_heat,
    times_by_phase,
    value_norm,
    was_recorded,
)
from .labels import (
    argument_order,
    constants_of,
    full_name,
    leaf_names,
    option_span,
    option_words,
    output_name,
    shape_of,
    shared_weights,
    short_name,
    stubbed,
    times_of,
    to_be_named,
    with_name,
)
from .options import Unroll, drawn_picture
from .picture import Edge, Picture, Vertex
from .scopes import Scope, nested_scopes, shows_layers

__all__ = ["SCRIPTS", "as_json", "content_of", "filled_page", "source_of", "to_html"]

SCRIPTS = ("graph.js", "wires.js", "order.js", "layers.js", "rows.js", "layout.js", "drawing.js", "panzoom.js",
           "charts.js", "panel.js", "controls.js")  # fmt: skip
# in their order in the page; together they are one function
_MARKUP = re.compile(r":\w+:`~?([^`]+)`|``")
_LONGEST = 300  # the most characters of an option in the panel
_MOST, _GROUP = 150, 50  # a scope with more than _MOST items is drawn as groups of at most _GROUP of them
_Json = dict[str, Any]


def to_html(
    tensors: Tensor | Iterable[Tensor],
    path: str | os.PathLike[str] | None = None,
    *,
    unroll: Unroll = "steps",
    max_nodes: int = 1000,
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str] = (),
    title: str = "",
) -> Page:
    """Return a page that shows the graph of one or more tensors, and write it if there is a path.

    It opens in any browser, without a network. You can pan, zoom and search the page, close and open scopes and the
    steps of a sequence, and click on a vertex. The key ? lists the keys. A scope with more than 150 items is drawn as
    groups of at most 50. Printing shows the whole drawing on one page.

    If :func:`minigrad.record` noted the forward and backward pass, the page also shows statistics, histograms and
    source lines, and can colour everything by the norm of the gradient. It can colour by the times that
    :func:`minigrad.profile` noted.

    Args:
        path: a file for the page, written atomically.
        unroll: 'steps' (the default, because you can close parts of a page) shows every step of a sequence primitive,
            'fold' one of equal steps in a box with their number, 'primitive' one vertex.
        max_nodes: a graph with more operations is folded. If that is not enough, only the operations nearest to the
            outputs are shown.
        names: names of tensors, such as inputs and outputs.
        expand: names of primitives to replace by their references, such as {'lstm_step'}.
        title: text above the drawing.

    Returns:
        the HTML, which notebooks show in a frame; its ``path`` is the file.

    Raises:
        ValueError: if a tensor has no graph, a named tensor is not in it, or an option is unknown.
        OSError: if the file cannot be written, or if it is a pipe or a device.

    >>> import tempfile
    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> with mg.record():
    ...     y = mg.tanh(x).sum()
    ...     y.backward()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_html(y, f"{folder}/graph.html", names={"x": x}).path.name
    'graph.html'
    """
    if path is None:
        picture = drawn_picture(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, title=title)
        return Page(filled_page("page", SCRIPTS, content_of(picture, title), "graph"))
    with replacing(path) as temporary:  # raises before the drawing begins if the file cannot be written
        page = to_html(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, title=title)
        temporary.write_text(page, encoding="utf-8", newline="\n")
    page.path = Path(path)
    return page


def filled_page(name: str, scripts: Sequence[str], content: Mapping[str, Any], untitled: str) -> str:
    """Return a page from the template and style of a name, scripts, and its data.

    The scripts are together one function.

    untitled: the title of the window if the content has an empty title.
    """
    folder = files(__package__) / "assets"
    text, style, *parts = [(folder / n).read_text(encoding="utf-8") for n in (f"{name}.html", f"{name}.css", *scripts)]
    script = "\n".join(['(() => {\n"use strict";', *parts, "})();"])
    slots = {
        "title": html.escape(content["title"] or untitled).encode("ascii", "xmlcharrefreplace").decode("ascii"),
        "policy": f"default-src 'none'; img-src data:; style-src {source_of(style)}; script-src {source_of(script)}",
        "style": style,
        "data": as_json(content),
        "script": script,
    }
    return re.sub(r"{{(\w+)}}", lambda slot: slots[slot[1]], text)


def source_of(text: str) -> str:
    """Return the Content-Security-Policy source that allows exactly this script or style.

    Source: W3C, Content Security Policy Level 3, section 2.3.1.

    >>> source_of("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def as_json(content: Any) -> str:
    """Return JSON that is safe inside a script element: ASCII, without <, > and &.

    >>> print(as_json({"name": "</script>"}))
    {"name":"\\u003c/script\\u003e"}
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def content_of(picture: Picture, title: str = "") -> _Json:
    """Return everything that the page shows, in an order that is the same for equal programs."""
    return _Content(picture).everything(title)


class _Group(Scope):
    """Some items of a large scope; its name tells the most frequent operations in it, and its place."""

    def __init__(self, picture: Picture, place: str, items: list[int | Scope], row: bool) -> None:
        members = [i for item in items for i in (item.members if isinstance(item, Scope) else [item])]
        common = Counter(picture.vertices[i].label for i in members).most_common(3)
        super().__init__(f"{', '.join(sorted(label for label, _ in common))} {place}", members, row)
        self.items = items


class _Content:
    """Collects the data of one picture."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.leaves = leaf_names(picture)
        self.names = {i: name + times_of(picture.vertices[i]) for i, name in self.leaves.items()}
        shared = shared_weights(picture).items()
        self.shared = {i: {"number": k, "color": colour, "ink": "#1c2430"} for i, (k, colour) in shared}
        self.last_steps = {vertex.node: vertex.step for vertex in picture.vertices if vertex.in_row}
        self.heat = gradient_heat(picture) if was_recorded(picture) else None
        profiled = any(seconds_of(vertex) is not None for vertex in picture.vertices)
        self.times = time_heat(picture) if profiled else None
        self.stubs = {number for number in stubbed(picture) if picture.vertices[number].is_leaf}
        self.series: dict[Any, _Json] = {}  # the norms at each step, by the node of a sequence
        self.primitives: dict[Primitive, int] = {}  # its index in the list, since two may share a name

    def everything(self, title: str) -> _Json:
        vertices = self.picture.vertices
        boxes, box_of = self._boxes()
        outputs = [(o, vertices[o.source].specs) for o in self.picture.outputs]
        return {
            "title": title,
            "vertices": [self._vertex(i, vertex, box_of[i]) for i, vertex in enumerate(vertices)],
            "boxes": boxes,
            "outputs": [o._asdict() | {"shape": shape_of(specs[o.slot]) if specs else ""} for o, specs in outputs],
            "primitives": [_described(primitive) for primitive in self.primitives],
            "series": list(self.series.values()),
            "heat": None if self.heat is None else [_coloured(self.heat, tick) for tick in self.heat.ticks()],
            "times": None if self.times is None else [self._time(tick) for tick in self.times.ticks()],
        }

    def _boxes(self) -> tuple[list[_Json], list[int]]:
        """Return all boxes, parents first, and for each vertex the number of the box around it, or -1.

        A box has its name, the number of its parent (or -1), `row`: whether its items are the steps of a loop, and
        `stack`: whether it is the frame of a folded stack. The boxes of `group` are not scopes.
        """
        boxes: list[_Json] = []
        box_of = [-1] * len(self.picture.vertices)
        stack = [(nested_scopes(self.picture), -1)]
        while stack:
            scope, parent = stack.pop()
            self._group_items(scope)
            if parent >= 0:
                boxes[parent]["row"] = scope.row
            for item in scope.items:
                if isinstance(item, int):
                    box_of[item] = parent
                else:
                    stack.append((item, len(boxes)))
                    stacked = shows_layers(self.picture.vertices, item)
                    boxes.append(
                        {"name": item.name, "parent": parent, "group": isinstance(item, _Group), "stack": stacked}
                    )
        return boxes, box_of

    def _group_items(self, scope: Scope) -> None:
        """Put the items of a large scope into groups.

        Items are in topological order, so groups of consecutive items never form a cycle. Leaves stay outside, because
        their place in that order says nothing. A long loop becomes several rows.
        """
        leaves = [item for item in scope.items if item in self.names]
        items = [item for item in scope.items if item not in self.names]
        if len(items) <= _MOST:
            return
        row, scope.row = scope.row, False
        while len(items) > _GROUP:
            number = math.ceil(len(items) / _GROUP)
            cuts = pairwise(i * len(items) // number for i in range(number + 1))
            places = [(f"({k} of {number})", items[a:b]) for k, (a, b) in enumerate(cuts, start=1)]
            items = [_Group(self.picture, place, group, row) for place, group in places]
            row = False
        scope.items = [*leaves, *items]

    def _vertex(self, number: int, vertex: Vertex, box: int) -> _Json:
        note = vertex.note
        norms = [gradient_norm(vertex, slot) for slot in range(len(vertex.specs))]
        named = to_be_named(self.picture, vertex, self.stubs)
        shown = vertex.primitive
        back = [
            f"{edge.argument} from the previous {self.picture.vertices[edge.source].label} {edge.part}".strip()
            for edge in vertex.feedback
        ]
        return {
            "kind": vertex.kind,
            "stub": number in self.stubs,
            "name": self.names.get(number, vertex.label),
            "full": full_name(vertex) if vertex.is_held else "",
            "box": box,
            "scope": list(vertex.scope),
            "shared": self.shared.get(number),
            "step": vertex.step if vertex.in_row else None,
            "last": self.last_steps.get(vertex.node),
            "standsFor": vertex.stands_for,
            "remark": ", ".join(filter(None, [vertex.remark, *back, norm_span(vertex, 0, gradient_norm, "gradient ")])),
            "birth": vertex.birth,
            "inputs": [self._edge(vertex, edge, named) for edge in vertex.inputs],
            "constants": [with_name(c.argument, named, c.text) for c in constants_of(vertex)],
            "arguments": _arguments(vertex),
            "outputs": [
                {
                    "name": output_name(vertex, slot),
                    "shape": shape_of(spec),
                    "value": norm_span(vertex, slot, value_norm) or _number(value_norm(vertex, slot)),
                    "gradient": norm_span(vertex, slot, gradient_norm) or _number(norms[slot]),
                    "values": _stats(vertex, note.values if note else [], slot),
                    "gradients": _stats(vertex, note.gradients if note else [], slot),
                }
                for slot, spec in enumerate(vertex.specs)
            ],
            "said": option_span([v.options for v in vertex.folds or (vertex,)]) if vertex.step is None else "",
            "options": list(option_words(vertex.options, _LONGEST).items()),
            "primitive": self.primitives.setdefault(shown, len(self.primitives)) if shown else None,
            "line": note.line if note else "",
            "series": self._series(vertex),
            "strips": {
                key: strip_colours(scale, vertex, by_time=key == "time") if scale else []
                for key, scale in (("heat", self.heat), ("time", self.times))
            },
            "heat": _coloured(self.heat, largest(norms)),
            "time": self._time(seconds_of(vertex)),
            "spent": [(phase, time_text(time)) for phase, time in times_by_phase(vertex).items()],
        }

    def _edge(self, vertex: Vertex, edge: Edge, named: Set[str]) -> _Json:
        stub = ""
        if edge.source in self.stubs:
            name = short_name(self.picture, self.leaves, edge.source, vertex)
            stub = name + times_of(self.picture.vertices[edge.source])
        return edge._asdict() | {
            "stub": stub,
            "said": with_name(edge.argument, named, "" if vertex.in_row else edge.part),
            "heat": _coloured(self.heat, flow_norm(self.picture, vertex, edge)),
        }

    def _time(self, seconds: float | None) -> _Json | None:
        """Return a time with its text and colours; None if there is no time."""
        said = _coloured(self.times, seconds)
        return None if said is None or seconds is None else said | {"text": time_text(1e9 * seconds)}

    def _series(self, vertex: Vertex) -> int | None:
        """Return the index of a sequence's norms at each step, if it was recorded; all its vertices share it."""
        note = vertex.note
        if note is None or not (note.value_steps or note.gradient_steps):
            return None
        steps = vertex.called.steps
        self.series[vertex.node] = {
            "names": list(steps.names) if steps else [],
            "values": [[_number(x) for x in norms] for _, norms in sorted(note.value_steps.items())],
            "gradients": [[_number(x) for x in norms] for _, norms in sorted(note.gradient_steps.items())],
        }
        return list(self.series).index(vertex.node)


def _coloured(scale: Heat | None, number: float | None) -> _Json | None:
    """Return a number, its colour, and the colour of text on it; None without a number or scale."""
    if scale is None or number is None:
        return None
    return {"norm": _number(number), "color": scale.colour(number), "ink": scale.text_colour(number)}


def _number(x: float | None) -> float | str | None:
    """Return a number with six digits for JSON; NaN and infinity, which JSON lacks, become text."""
    if x is None:
        return None
    return float(f"{x:.6g}") if math.isfinite(x) else str(x)


def _stats(vertex: Vertex, stats: Sequence[Stats | None], slot: int) -> _Json | None:
    """Return the statistics of an output.

    None for a step of a sequence, which has only a norm in the series.
    """
    found = dict(enumerate(stats)).get(slot if vertex.gathers is None else vertex.gathers)
    if found is None or vertex.step is not None or vertex.folds:
        return None
    return {k: list(v) if isinstance(v, tuple) else _number(v) for k, v in asdict(found).items()}


def _arguments(vertex: Vertex) -> list[list[str]]:
    """Return the name of each argument in the order of the call, and the text of a constant, if known."""
    known = {c.argument: c.text for c in constants_of(vertex)}
    fed = dict.fromkeys(edge.argument for edge in vertex.inputs)
    names = argument_order(vertex) if vertex.kind == "operation" else fed
    return [[name, known.get(name, "")] for name in names if name in fed or name in known]


def _described(primitive: Primitive) -> _Json:
    text = (inspect.getdoc(primitive.forward) or "").partition("\n")[0]
    inputs = [*primitive.arguments]
    if primitive.variadic:
        inputs[-1] = f"*{inputs[-1]}"
    return {
        "text": _MARKUP.sub(lambda m: m[1] or "", text),
        "signature": f"{primitive.name}({', '.join([*inputs, *primitive.options])})",
        "module": primitive.module,
    }
