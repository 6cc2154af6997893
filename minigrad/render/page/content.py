"""What a page knows of a picture, as plain data for JSON: vertices, the boxes around them, notes and colours."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence, Set
from dataclasses import asdict
from typing import Any

from ...primitives import Primitive
from ...recording import Note, Stats, note_of
from ...units import time_text
from ..arguments import argument_order, constants_of, to_be_named, with_name
from ..heat import Heat, heat_of
from ..names import full_name, leaf_names, output_name
from ..norms import flow_norm, gradient_norm, largest, noted_slot, value_norm, was_recorded
from ..notation import option_text, option_words, shape_of
from ..picture import Edge, Picture, Vertex
from ..stubs import stubbed
from ..times import heat_of_times, seconds_of, time_rows, was_profiled
from .nesting import nested

__all__ = ["content_of"]

Json = dict[str, Any]
_MARKUP = re.compile(r":\w+:`~?([^`]+)`|``")
_LONGEST = 300
"""Letters of an option that the panel shows."""


def content_of(picture: Picture, title: str = "") -> Json:
    """Everything that the page shows, in an order that is the same for equal graphs."""
    return _Content(picture, title).everything()


class _Content:
    """Collects the data of one picture."""

    def __init__(self, picture: Picture, title: str) -> None:
        self.picture, self.title = picture, title
        self.names = leaf_names(picture)
        self.heat = _heat(picture)
        self.times = heat_of_times(picture) if was_profiled(picture) else None
        self.stubs = {number for number in stubbed(picture) if picture.vertices[number].is_leaf}
        self.series: dict[Any, int] = {}  # of a sequence's node, its place in the list
        self.series_list: list[Json] = []
        self.primitives: dict[Primitive, int] = {}  # its place in the list; two may have one name

    def everything(self) -> Json:
        boxes, box_of = nested(self.picture)
        vertices = [self._vertex(i, v, box_of[i]) for i, v in enumerate(self.picture.vertices)]
        return {
            "title": self.title,
            "vertices": vertices,
            "boxes": [asdict(box) for box in boxes],
            "outputs": [self._output(o.source, o.slot, o.name) for o in self.picture.outputs],
            "primitives": [_described(primitive) for primitive in self.primitives],
            "series": self.series_list,
            "heat": None if self.heat is None else [_coloured(self.heat, tick) for tick in self.heat.ticks()],
            "times": None if self.times is None else [self._time(tick) for tick in self.times.ticks()],
        }

    def _output(self, source: int, slot: int, name: str) -> Json:
        specs = self.picture.vertices[source].specs
        return {"name": name, "source": source, "slot": slot, "shape": shape_of(specs[slot]) if specs else ""}

    def _vertex(self, number: int, vertex: Vertex, box: int) -> Json:
        note = None if vertex.node is None or vertex.kind == "elision" else note_of(vertex.node)
        norms = [gradient_norm(vertex, slot) for slot in range(len(vertex.specs))]
        named = to_be_named(self.picture, vertex, self.stubs)
        return {
            "kind": vertex.kind,
            "stub": number in self.stubs,
            "name": self.names.get(number, vertex.label),
            "full": full_name(vertex) if vertex.kind == "parameter" else "",
            "box": box,
            "scope": list(vertex.scope),
            "step": None if vertex.kind == "elision" else vertex.step,
            "standsFor": vertex.stands_for,
            "remark": vertex.remark,
            "inputs": [self._edge(vertex, edge, named) for edge in vertex.inputs],
            "constants": [with_name(c.argument, named, c.text) for c in constants_of(vertex)],
            "arguments": _arguments(vertex),
            "outputs": [
                {
                    "name": output_name(vertex, slot),
                    "shape": shape_of(spec),
                    "value": _number(value_norm(vertex, slot)),
                    "gradient": _number(norms[slot]),
                    "values": _stats(vertex, [] if note is None else note.values, slot),
                    "gradients": _stats(vertex, [] if note is None else note.gradients, slot),
                }
                for slot, spec in enumerate(vertex.specs)
            ],
            "said": option_text(vertex.options),
            "options": list(option_words(vertex.options, _LONGEST).items()),
            "primitive": self._primitive(vertex),
            "line": "" if note is None else note.line,
            "series": self._series(vertex, note),
            "heat": _coloured(self.heat, largest(norms)),
            "time": self._time(seconds_of(vertex)),
            "spent": time_rows(vertex),
        }

    def _edge(self, vertex: Vertex, edge: Edge, named: Set[str]) -> Json:
        norm = flow_norm(self.picture, vertex, edge) if self.heat is not None else None
        return {
            "source": edge.source,
            "slot": edge.slot,
            "argument": edge.argument,
            "said": with_name(edge.argument, named),
            "part": edge.part,
            "heat": _coloured(self.heat, norm),
        }

    def _time(self, seconds: float | None) -> Json | None:
        """A time and its colours, as text too; None if there is none."""
        said = _coloured(self.times, seconds)
        return None if said is None or seconds is None else said | {"text": time_text(1e9 * seconds)}

    def _primitive(self, vertex: Vertex) -> int | None:
        """The place of the primitive that an operation shows."""
        if vertex.primitive is None or vertex.kind != "operation":
            return None
        return self.primitives.setdefault(vertex.primitive, len(self.primitives))

    def _series(self, vertex: Vertex, note: Note | None) -> int | None:
        """The place of the norms at each step, of a sequence that was recorded; all its vertices share it."""
        if note is None or not (note.value_steps or note.gradient_steps):
            return None
        assert vertex.node is not None
        assert vertex.node.primitive is not None
        steps = vertex.node.primitive.steps
        if vertex.node not in self.series:
            self.series[vertex.node] = len(self.series_list)
            self.series_list.append(
                {
                    "names": list(steps.names) if steps else [],
                    "values": [[_number(x) for x in norms] for _, norms in sorted(note.value_steps.items())],
                    "gradients": [[_number(x) for x in norms] for _, norms in sorted(note.gradient_steps.items())],
                }
            )
        return self.series[vertex.node]


def _heat(picture: Picture) -> Heat | None:
    """The scale of colours; None if no gradient was recorded."""
    return heat_of(picture) if was_recorded(picture) else None


def _coloured(scale: Heat | None, number: float | None) -> Json | None:
    """A number, its colour, and the colour of text on it; None if there is none."""
    if scale is None or number is None:
        return None
    return {"norm": _number(number), "color": scale.colour(number), "ink": scale.text_colour(number)}


def _number(x: float | None) -> float | str | None:
    """For JSON, which knows neither NaN nor infinity; six digits are enough to read."""
    if x is None:
        return None
    return float(f"{x:.6g}") if math.isfinite(x) else str(x)


def _stats(vertex: Vertex, stats: Sequence[Stats | None], slot: int) -> Json | None:
    """The statistics of an output; a single step of a sequence has none, but a norm in the series."""
    if vertex.step is not None:
        return None
    slot = noted_slot(vertex, slot)
    found = stats[slot] if slot < len(stats) else None
    if found is None:
        return None
    return {k: list(v) if isinstance(v, tuple) else _number(v) for k, v in asdict(found).items()}


def _arguments(vertex: Vertex) -> list[list[str]]:
    """The name of each argument in the order of the call, and of a constant what is known of it."""
    known = {constant.argument: "" if constant.is_unknown else constant.text for constant in constants_of(vertex)}
    fed = dict.fromkeys(edge.argument for edge in vertex.inputs)
    names = argument_order(vertex) if vertex.kind == "operation" else fed
    return [[name, known.get(name, "")] for name in names if name in fed or name in known]


def _described(primitive: Primitive) -> Json:
    text = (inspect.getdoc(primitive.forward) or "").partition("\n")[0]
    return {
        "text": _MARKUP.sub(lambda m: m[1] or "", text),
        "signature": f"{primitive.name}{_signature(primitive)}",
        "module": primitive.module,
    }


def _signature(primitive: Primitive) -> str:
    last = len(primitive.arguments) - 1
    inputs = [f"*{name}" if primitive.variadic and i == last else name for i, name in enumerate(primitive.arguments)]
    return f"({', '.join([*inputs, *primitive.options])})"
