"""DOT text from a picture: clusters for scopes, stubs for parameters, shapes on the edges.

A weight that every step of a loop shares would tie the whole drawing into a knot (and take `dot` minutes). So it
stands as a small stub beside each vertex that uses it, and once in a legend with its shape. So does a result of many
uses, whose box says under which name. Constants are stubs too, with what is known of them.

The steps of a sequence primitive are boxes in a row, with time to the right. (A cluster around each would look the
same, but `dot` then draws rows from right to left, or mixes them: its order of a row does not heed edges between
clusters.) Steps that are clusters, of loops that a user wrote or of an expanded primitive, stand below each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arguments import constants_of, to_be_named, with_name
from ..heat import NOT_SHOWN, Heat
from ..names import leaf_names, output_name, short_name
from ..norms import flow_norm, gradient_norm, is_noted, largest, value_norm
from ..notation import option_text, shape_of
from ..passes.close import MANY
from ..picture import Edge, Output, Picture, Vertex, shared_path
from ..scopes import Scope, ladders, scopes_of
from ..stubs import marks, stubbed
from ..times import seconds_of, time_words
from .escape import quoted
from .legend import norm_bar, stub_legend, time_bar

__all__ = ["DotWriter"]

_STYLE = {
    "operation": 'shape=box style="rounded,filled" fillcolor="#eef3fb" color="#7f93b2"',
    "input": 'shape=box style="filled" fillcolor="#e3f2e1" color="#6aa364"',
    "parameter": 'shape=box style=filled fillcolor="#fdf3d8" color="#c9a13b" fontsize=9 height=0.2 margin="0.06,0.02"',
    "constant": 'shape=box style="rounded,filled" fillcolor="#ffffff" color="#a8a8a8" fontcolor="#555555" fontsize=9 '
    'height=0.2 margin="0.06,0.02"',
    "elision": f'shape=box style="dashed,rounded,filled" fillcolor="{NOT_SHOWN}" color="#777777" margin="0.16,0.07"',
    "module": 'shape=box style="rounded,filled" fillcolor="#f0ecf8" color="#8f80b5" margin="0.16,0.07"',
    "output": 'shape=box style="filled" fillcolor="#f9e0dc" color="#c4695c" penwidth=1.5',
}
_SIDEWAYS = 24
"""Steps that follow each other where data flows to the right: `dot` takes 0.5 s for 30 of them, 9 s for 60."""


class DotWriter:
    """Collects the lines of one drawing: vertices in their clusters, then the edges."""

    def __init__(
        self, picture: Picture, direction: str, values: str, heat: Heat | None, times: Heat | None, title: str
    ) -> None:
        self.picture, self.direction, self.values, self.title = picture, direction, values, title
        self.heat, self.times = heat, times
        self.stubbed = stubbed(picture)
        self.names = leaf_names(picture) | marks(picture, self.stubbed)
        self.said = [to_be_named(picture, vertex, self.stubbed) for vertex in picture.vertices]
        self.rows = self._rows()
        self.scopes = scopes_of(picture)
        self.lines: list[str] = []
        self.edges: list[str] = []

    def text(self) -> str:
        """The whole DOT text."""
        rows = [f"  {{ rank=same {' '.join(f'n{number}' for number in row)} }}" for row in self.rows.values()]
        # The ranking is that which looks across clusters: rows need it, and `dot` crashes without it on some loops. The
        # second sort ignores clusters, and would mix the steps of a row.
        ranking = " newrank=true remincross=false" if rows else " newrank=true"
        self.lines = [
            "digraph minigrad {",
            f"  rankdir={self.direction}{ranking} nodesep=0.25 ranksep=0.35",
            '  fontname="Helvetica" fontsize=11',
            '  node [fontname="Helvetica" fontsize=11 height=0.3 margin="0.1,0.04"]',
            '  edge [fontname="Helvetica" fontsize=9 color="#666666" fontcolor="#666666" arrowsize=0.6]',
        ]
        if self.title:
            self.lines.append(f"  label={quoted(self.title)} labelloc=t fontsize=14")
        self._clusters()
        self._steps_below_each_other()
        self._frames_below_each_other()
        self.lines += rows
        for i, output in enumerate(self.picture.outputs):
            self._output(i, output)
        self._legends()
        return "\n".join([*self.lines, *self.edges, "}"]) + "\n"

    def _clusters(self) -> None:
        """The vertices of each scope, then its inner scopes."""
        count = 0
        stack: list[tuple[str, Scope | None, str]] = [("", self.scopes, "  ")]
        while stack:
            name, tree, indent = stack.pop()
            if tree is None:
                self.lines.append(f"{indent}}}")
                continue
            outer = indent
            if count:
                # The edge into a narrow cluster would run through its name, so half of that line stays empty.
                label = quoted(name + "\N{NO-BREAK SPACE}" * (len(name) + 3 if len(name) < 24 else 0))
                style = 'labeljust=l style=rounded color="#b8b8b8" fontcolor="#555555"'
                self.lines += [f"{indent}subgraph cluster_{count} {{", f"{indent}  label={label} {style}"]
                indent += "  "
                stack.append(("", None, outer))
            count += 1
            for number in tree.vertices:
                self._vertex(number, indent)
            stack += [(inner.name, inner, indent) for inner in reversed(tree.inner)]

    def _steps_below_each_other(self) -> None:
        """Invisible edges that keep each step of a loop below the one before; `dot` would put some beside it."""
        drawn = {" ".join(edge.split()[:3]) for edge in self.edges}
        for above, below in ladders(self.picture, self.scopes):
            first = [name for i in below for name in self._stubs_of(i) or [f"n{i}"]]
            edges = [f"n{a} -> {b}" for a in above for b in first]
            self.edges += [f"  {edge} [style=invis weight=0]" for edge in edges if edge not in drawn]

    def _frames_below_each_other(self) -> None:
        """Invisible edges from what feeds a frame to the stubs in it, in a large drawing.

        Else these share a rank with the frame before, so that the two stand side by side: of few frames that makes the
        drawing shorter, but a deep network runs down a diagonal, and `dot` takes minutes.
        """
        if sum(not vertex.is_leaf for vertex in self.picture.vertices) <= MANY:
            return
        for number, vertex in enumerate(self.picture.vertices):
            sources = {edge.source for edge in vertex.inputs if edge.source not in self.stubbed}
            before = sorted(i for i in sources if self._leaves_a_frame(i, vertex))
            self.edges += [f"  n{i} -> {stub} [style=invis]" for i in before for stub in self._stubs_of(number)]

    def _leaves_a_frame(self, source: int, target: Vertex) -> bool:
        """Whether an edge from a vertex to another goes out of a frame and into one."""
        scope = self.picture.vertices[source].around
        shared = len(shared_path(scope, target.around))
        return shared < len(scope) and shared < len(target.around)

    def _stubs_of(self, number: int) -> list[str]:
        """The stubs that stand beside a vertex."""
        vertex = self.picture.vertices[number]
        if vertex.kind not in ("operation", "module") or vertex.step is not None:
            return []
        return [f"p{number}"] * bool(self._parameters(number)) + [f"k{number}"] * bool(self._constants(number))

    def _legends(self) -> None:
        """Beside the last output, where they make the drawing no wider."""
        legend = stub_legend(self.picture, self.names, self.stubbed, self.heat is not None)
        scale = [] if self.heat is None else [norm_bar(self.heat, self._elides())]
        scale += [] if self.times is None else [time_bar(self.times, self._elides())]
        self.lines += [*legend, *scale]
        if legend or scale:
            names = [f"o{len(self.picture.outputs) - 1}", *["legend"] * len(legend), *["scale"] * len(scale)]
            self.lines.append(f"  {{ rank=same {' '.join(names)} }}")

    def _elides(self) -> bool:
        return any(vertex.kind == "elision" for vertex in self.picture.vertices)

    def _vertex(self, number: int, indent: str) -> None:
        vertex = self.picture.vertices[number]
        if vertex.is_leaf and number in self.stubbed:
            return  # a stub beside each that uses it
        stubs, constants = self._parameters(number), self._constants(number)
        row = vertex.step is not None and vertex.kind == "operation"
        # The empty line keeps the parameters off an underscore in the name, which would look like a bar over one.
        within = ["", *stubs, *constants] if stubs or constants else []
        label = [vertex.scope[-1], vertex.label, *within] if row else [vertex.label]
        if vertex.kind == "input":
            label = [self.names[number], shape_of(vertex.specs[0])]
        elif number in self.names:
            label.append(f"→ {self.names[number]}")
        if vertex.kind == "operation" and vertex.step is None and (text := option_text(vertex.options)):
            label.append(text)
        label += [vertex.remark] if vertex.remark else []
        label += [time_words(vertex)] if self.times is not None and time_words(vertex) else []
        self.lines.append(
            f"{indent}n{number} [label={quoted(chr(10).join(label))} {_STYLE[vertex.kind]}{self._fill(vertex)}]"
        )
        if stubs and not row:
            self._stub(number, stubs[0], indent)
        if constants and not row:
            self.lines.append(f"{indent}k{number} [label={quoted(constants[0])} {_STYLE['constant']}]")
            self.edges.append(f'  k{number} -> n{number} [color="#a8a8a8"]')
        for edge in vertex.inputs:
            if edge.source not in self.stubbed:
                self.edges.append(f"  n{edge.source} -> n{number}{self._attributes(number, edge)}")

    def _stub(self, number: int, text: str, indent: str) -> None:
        """The parameters of a vertex, in the colour of the largest gradient that it sent them."""
        vertex, fill, line = self.picture.vertices[number], "", 'color="#c9a13b"'
        if self.heat is not None and is_noted(vertex):
            edges = [edge for edge in vertex.inputs if edge.source in self.stubbed]
            norm = largest([flow_norm(self.picture, vertex, edge) for edge in edges])
            fill, line = _filled(self.heat, norm), self._drawn(norm)
        self.lines.append(f"{indent}p{number} [label={quoted(text)} {_STYLE['parameter']}{fill}]")
        self.edges.append(f"  p{number} -> n{number} [{line}]")

    def _parameters(self, number: int) -> list[str]:
        """The names of the parameters that a vertex takes, as one text; none if there are none."""
        vertex, named = self.picture.vertices[number], self.said[number]
        edges = [edge for edge in vertex.inputs if edge.source in self.stubbed]
        if vertex.kind == "elision":
            return []
        return _in_lines([with_name(e.argument, named, self._stub_name(e, vertex)) for e in edges])

    def _constants(self, number: int) -> list[str]:
        """What is known of the constants that a vertex takes, as one text; none if there are none."""
        constants = constants_of(self.picture.vertices[number])
        return _in_lines([with_name(constant.argument, self.said[number], constant.text) for constant in constants])

    def _stub_name(self, edge: Edge, user: Vertex) -> str:
        """What a stub beside a vertex says: a parameter's name, or a result's mark and which output it is."""
        source = self.picture.vertices[edge.source]
        if source.is_leaf:
            return short_name(self.picture, self.names, edge.source, user)
        return f"{self.names[edge.source]} {_output_name(source, user, edge)}".strip()

    def _fill(self, vertex: Vertex) -> str:
        """The colour of a vertex by its time, or by the largest gradient of its outputs."""
        if self.times is not None:
            return "" if vertex.kind in ("elision", "module") else _filled(self.times, seconds_of(vertex))
        if self.heat is None or not is_noted(vertex):
            return ""
        return _filled(self.heat, largest([gradient_norm(vertex, slot) for slot in range(len(vertex.specs))]))

    def _drawn(self, norm: float | None) -> str:
        assert self.heat is not None
        return f'color="{self.heat.colour(norm)}" penwidth=2.5' if norm else "style=dotted"

    def _attributes(self, number: int, edge: Edge) -> str:
        vertex = self.picture.vertices[number]
        label = with_name(edge.argument, self.said[number], self._label(vertex, edge))
        attributes = [f"label={quoted(' ' + label)}"] if label else []  # the space keeps it off the line
        if self.heat is not None:
            norm = flow_norm(self.picture, vertex, edge)
            if norm is not None or (is_noted(vertex) and is_noted(self.picture.vertices[edge.source])):
                attributes.append(self._drawn(norm))
        return f" [{' '.join(attributes)}]" if attributes else ""

    def _label(self, vertex: Vertex, edge: Edge) -> str:
        source = self.picture.vertices[edge.source]
        name = _output_name(source, vertex, edge)
        if source.step is not None and vertex.node is source.node:
            if vertex.step is None:
                return ""  # into the stack of all steps, whose own edge says it
            if vertex.node in self.rows and self.direction in ("LR", "RL"):
                return ""  # in a column, where two would overlap
        if self.values == "norm" and source.kind != "input":
            norm = value_norm(source, edge.slot)
            return "" if norm is None else f"{name}{norm:.3g}"
        if self.values == "none" or source.kind == "input":
            return edge.part or name.strip()
        return edge.part or name + (shape_of(source.specs[edge.slot]) if edge.slot < len(source.specs) else "")

    def _rows(self) -> dict[Any, list[int]]:
        """The steps of each sequence that stand side by side, as time is drawn: in a row, edges point to the right.

        Where data flows sideways the ranks themselves are columns, and each step comes after the one before. Only of
        many steps that would take `dot` minutes, for all that is long in it: they share a column.
        """
        rows: dict[Any, list[int]] = {}
        for number, vertex in enumerate(self.picture.vertices):
            if vertex.step is not None:
                rows.setdefault(vertex.node, []).append(number)
        sideways = self.direction in ("LR", "RL")
        return {node: row for node, row in rows.items() if not sideways or len(row) > _SIDEWAYS}

    def _output(self, i: int, output: Output) -> None:
        source = self.picture.vertices[output.source]
        shape = shape_of(source.specs[output.slot]) if output.slot < len(source.specs) else ""
        self.lines.append(f"  o{i} [label={quoted(output.name + chr(10) + shape)} {_STYLE['output']}]")
        begin = f"n{output.source}"
        if source.is_leaf and output.source in self.stubbed:  # which has no vertex of its own
            begin = f"q{i}"
            self.lines.append(f"  {begin} [label={quoted(self.names[output.source])} {_STYLE['parameter']}]")
        self.edges.append(f"  {begin} -> o{i}")


def _filled(scale: Heat, number: float | None) -> str:
    """The attributes of a box in the colour of a number."""
    return f' fillcolor="{scale.colour(number)}" fontcolor="{scale.text_colour(number)}"'


def _in_lines(names: Sequence[str]) -> list[str]:
    """Names as one text, four in a line; nothing if there are none."""
    return ["\n".join("  ".join(names[i : i + 4]) for i in range(0, len(names), 4))] if names else []


def _output_name(source: Vertex, target: Vertex, edge: Edge) -> str:
    """Which of several outputs an edge carries, with a space; of a sequence the name of the state."""
    name = output_name(source, edge.slot)
    if name and source.step is not None and target.step is not None and target.node is source.node:
        name = edge.argument
    return name and f"{name} "
