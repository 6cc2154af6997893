"""DOT text from a picture: clusters for scopes, stubs for parameters, shapes on the edges.

Edges from a weight that every step of a loop uses would tangle the drawing, and `dot` would need minutes. So such a
weight is a small stub next to each vertex that uses it, and appears once in a legend with its shape. A result with many
uses is treated alike; its box shows the name of its stubs. Constants are stubs too, labelled with what is known about
them.

The steps of a sequence primitive are boxes in a row, with time to the right. With a cluster around each step, `dot`
would reverse or mix the rows, because it ignores edges between clusters when it orders a row. Steps that are clusters
(of your own loops or of an expanded primitive) are stacked vertically.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Literal

from ..backward import graph_of
from ..core import Tensor
from ..profiling import residual_memory
from ..units import byte_text, time_text
from .fold import MANY
from .heat import (
    NOTHING,
    Ends,
    Heat,
    flow_norm,
    gradient_heat,
    gradient_norm,
    is_noted,
    largest,
    seconds_of,
    time_heat,
    time_words,
    value_norm,
    was_recorded,
)
from .labels import (
    constants_of,
    leaf_names,
    number_text,
    option_text,
    output_name,
    shape_of,
    short_name,
    stubbed,
    to_be_named,
    with_name,
)
from .options import Depth, Unroll, check_choice, drawn_picture, with_graphs
from .picture import Edge, Output, Picture, Vertex, shared_path
from .scopes import Scope, call_scopes, ladders

__all__ = ["quoted", "to_dot"]

_STYLE = {
    "operation": 'shape=box style="rounded,filled" fillcolor="#eef3fb" color="#7f93b2"',
    "input": 'shape=box style="filled" fillcolor="#e3f2e1" color="#6aa364"',
    "parameter": 'shape=box style=filled fillcolor="#fdf3d8" color="#c9a13b" fontsize=9 height=0.2 margin="0.06,0.02"',
    "constant": 'shape=box style="rounded,filled" fillcolor="#ffffff" color="#a8a8a8" fontcolor="#555555" fontsize=9 '
    'height=0.2 margin="0.06,0.02"',
    "elision": f'shape=box style="dashed,rounded,filled" fillcolor="{NOTHING}" color="#777777" margin="0.16,0.07"',
    "module": 'shape=box style="rounded,filled" fillcolor="#f0ecf8" color="#8f80b5" margin="0.16,0.07"',
    "output": 'shape=box style="filled" fillcolor="#f9e0dc" color="#c4695c" penwidth=1.5',
    "legend": 'shape=note fontsize=9 style=filled fillcolor="#fffaf0" color="#c9a13b"',
}
_MARKED = {  # vertices and edges of a comparison
    "": "",
    "+ ": ' color="#1a7f37" penwidth=2.5',
    "− ": ' color="#b42318" style="dashed,filled" penwidth=2',
    "~ ": ' color="#a15c00" penwidth=2.5',
}
_SIDEWAYS = 24  # the most steps in one chain if data flows sideways: `dot` takes 0.5 s for 30 of them, 9 s for 60
_LONGEST = 200  # characters of a line
_SHADES = 27  # cells of the colour bar; one of them is in the middle
_BESIDE = "#a0a0a0"  # the lines beside the colour of an edge


def to_dot(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_nodes: int = 1000,
    direction: Literal["TB", "BT", "LR", "RL"] = "TB",
    values: Literal["shape", "norm", "none"] = "shape",
    gradients: Ends = False,
    times: Ends = False,
    residuals: bool = False,
    title: str = "",
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
    depth: Depth = "auto",
) -> str:
    """Return the graph of one or more tensors as DOT text; equal graphs give equal text.

    Parameters, and inputs with three or more uses, are drawn as stubs next to the operations that use them. If the
    order of arguments matters, edges are labelled with their argument; unlabelled arguments are in order, edges before
    stubs. Constants are separate stubs with their shape, and with the value of single numbers, if
    :func:`minigrad.record` noted them.

    Args:
        unroll: 'primitive' shows a sequence primitive as one box, and 'steps' shows every step. 'fold' shows the first
            and the last of equal steps, also in your own loops, and the number of steps between them. 'fold' is the
            default, so that the size of a drawing depends on the model, not on the input.
        max_nodes: a graph with more operations is always folded. If that is not enough, only the operations nearest to
            the outputs are drawn, with a count of the rest.
        direction: where data flows: 'TB' downwards, 'LR' to the right, 'BT', 'RL'.
        values: the edge labels: the shape of the value, its norm (noted by :func:`minigrad.record`), or only the name
            of the output if there are several.
        gradients: colour everything by the norm of its gradient in the last backward pass inside
            :func:`minigrad.record`, on a log scale: white for 1, the norm of a loss's own gradient, blue for smaller
            and red for larger norms. A pair of norms (low, high) around 1 replaces the ends of the scale, 1e-8 and 1e4.
        times: colour operations by their time in the last :func:`minigrad.profile`, forward and backward together, on a
            log scale down to a hundredth of the longest, and write both times into their boxes. A pair of seconds
            (low, high) fixes the ends of the scale. Cannot be combined with `gradients`.
        residuals: draw the backward pass. Arrows show where cotangents go, with their shapes. Each operation lists the
            arrays that its VJP keeps, and their bytes, by the names that :func:`minigrad.primitive` declares.
            Parameters have no bytes, and shared memory counts once. A note shows the total.
        title: text above the drawing.
        names: names for inputs, outputs and intermediate tensors; the last appear in the boxes.
        expand: names of primitives to replace by their references (compositions of simpler primitives), such as
            {'lstm_step'}. The operations of a reference were never part of a pass, so they have no norms.
        depth: draw each module at this depth as one box with its number of operations and parameters: 1 shows the whole
            network as one box, 2 each of its parts, None opens everything. 'auto' closes modules if there are more than
            60 operations, leaving about 30 boxes. It closes nothing if you ask for steps, expand, gradients, times,
            norms or residuals.

    Raises:
        ValueError: if a tensor has no graph, a named tensor is not in it, an option is unknown, or the requested
            gradients, times or values were not recorded. Also if a backward pass has freed the residuals.
        TypeError: if ``tensors`` are not tensors, ``names`` does not map names to tensors, or ``expand`` does not name
            primitives.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> dot = to_dot(mg.tanh(x), names={"x": x})
    >>> [line.strip() for line in dot.splitlines() if "->" in line]
    ['n0 -> n1', 'n1 -> o0']
    """
    check_choice("direction", direction, ("TB", "BT", "LR", "RL"))
    check_choice("values", values, ("shape", "norm", "none"))
    with_gradients, with_times = (option is not None and option is not False for option in (gradients, times))
    if with_gradients and with_times:
        raise ValueError("to_dot: gradients and times cannot be combined, because a box has one colour. Pass one.")
    if depth == "auto" and (values == "norm" or with_gradients or with_times or residuals):
        depth = None  # closed modules would hide the requested values
    outputs = with_graphs(tensors) if residuals else tensors
    nodes = graph_of([tensor.node for tensor in outputs if tensor.node]).nodes if residuals else []
    if any(node.residuals is None for node in nodes):
        raise ValueError(
            "to_dot: a backward pass has freed the residuals. Draw the graph before it, or pass it retain_graph=True."
        )
    picture = drawn_picture(
        outputs, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, title=title, depth=depth
    )
    if values == "norm" and not was_recorded(picture, value_norm):
        raise ValueError(
            "to_dot: values='norm' needs recorded values. Run the forward pass inside `with mg.record():`."
        )
    heat = gradient_heat(picture, gradients) if with_gradients else None
    by_time = time_heat(picture, times) if with_times else None
    return _DotWriter(picture, direction, values, heat, by_time, residual_memory(nodes)).text(title)


class _DotWriter:
    """Collects the lines of one drawing: vertices in their clusters, then the edges."""

    def __init__(
        self,
        picture: Picture,
        direction: str,
        values: str,
        heat: Heat | None,
        times: Heat | None,
        kept: Mapping[Any, Mapping[str, int]],
    ) -> None:
        self.picture, self.vertices = picture, picture.vertices
        self.direction, self.values, self.heat, self.times, self.kept = direction, values, heat, times, kept
        self.stubbed = stubbed(picture)
        marked = [number for number in sorted(self.stubbed) if not self.vertices[number].is_leaf]
        self.names = leaf_names(picture) | {number: f"v{i}" for i, number in enumerate(marked, 1)}
        self.named = [to_be_named(picture, vertex, self.stubbed) for vertex in self.vertices]
        self.rows = self._rows()
        self.scopes = call_scopes(picture)
        self.lines: list[str] = []
        self.edges: list[str] = []
        self.clusters = count(1)

    def text(self, title: str) -> str:
        """The whole DOT text."""
        rows = [f"  {{ rank=same {' '.join(f'n{number}' for number in row)} }}" for row in self.rows.values()]
        # Rows need newrank=true, which ranks across clusters; without it, `dot` also crashes on some loops. The second
        # crossing minimisation (remincross) ignores clusters, and would mix the steps of a row.
        ranking = " newrank=true remincross=false" if rows else " newrank=true"
        self.lines = [
            "digraph minigrad {",
            f"  rankdir={self.direction}{ranking} nodesep=0.25 ranksep=0.35",
            '  fontname="Helvetica" fontsize=11',
            '  node [fontname="Helvetica" fontsize=11 height=0.3 margin="0.1,0.04"]',
            '  edge [fontname="Helvetica" fontsize=9 color="#666666" fontcolor="#666666" arrowsize=0.6'
            f"{' dir=back' if self.kept else ''}]",
        ]
        if title:
            self.lines.append(f"  label={quoted(title)} labelloc=t fontsize=14")
        self._cluster(self.scopes, "  ")
        self._steps_below_each_other()
        self._frames_below_each_other()
        self.lines += rows
        for i, output in enumerate(self.picture.outputs):
            self._output(i, output)
        self._legends()
        return "\n".join([*self.lines, *self.edges, "}"]) + "\n"

    def _cluster(self, scope: Scope, indent: str) -> None:
        """Write the vertices of a scope, then its inner scopes."""
        for item in scope.items:
            if isinstance(item, int):
                self._vertex(item, indent)
        for inner in scope.inner:
            # An edge into a narrow cluster would cross its label, so pad the label to twice its length.
            label = inner.name + "\N{NO-BREAK SPACE}" * (len(inner.name) + 3 if len(inner.name) < 24 else 0)
            style = 'labeljust=l style=rounded color="#b8b8b8" fontcolor="#555555"'
            number = next(self.clusters)
            self.lines += [f"{indent}subgraph cluster_{number} {{", f"{indent}  label={quoted(label)} {style}"]
            self._cluster(inner, indent + "  ")
            self.lines.append(f"{indent}}}")

    def _steps_below_each_other(self) -> None:
        """Add invisible edges that keep each step of a loop below the previous one, instead of beside it."""
        drawn = {" ".join(edge.split()[:3]) for edge in self.edges}
        for above, below in ladders(self.picture, self.scopes):
            first = [name for i in below for name in self._stubs_of(i) or [f"n{i}"]]
            edges = [f"n{a} -> {b}" for a in above for b in first]
            self.edges += [f"  {edge} [style=invis weight=0]" for edge in edges if edge not in drawn]

    def _frames_below_each_other(self) -> None:
        """In a large drawing, add invisible edges from the inputs of a frame to the stubs in it.

        Without them, the stubs share a rank with the previous frame, so both frames are side by side. That shortens a
        drawing of few frames, but turns a deep network into a diagonal, and `dot` takes minutes.
        """
        if sum(not vertex.is_leaf for vertex in self.vertices) <= MANY:
            return
        for number, vertex in enumerate(self.vertices):
            sources = sorted({edge.source for edge in vertex.inputs if edge.source not in self.stubbed})
            for i in sources:
                scope = self.vertices[i].around
                shared = len(shared_path(scope, vertex.around))
                if shared < len(scope) and shared < len(vertex.around):  # out of a frame and into one
                    self.edges += [f"  n{i} -> {stub} [style=invis]" for stub in self._stubs_of(number)]

    def _stubs_of(self, number: int) -> list[str]:
        """Return the names of a vertex's stubs."""
        vertex = self.vertices[number]
        if vertex.kind not in ("operation", "module") or vertex.step is not None:
            return []
        return [f"p{number}"] * bool(self._parameters(number)) + [f"k{number}"] * bool(self._constants(number))

    def _legends(self) -> None:
        """Put the legends next to the last output, where they do not widen the drawing."""
        boxes = {"legend": self._stub_legend()}
        if self.kept:
            total = f"residuals  {byte_text(sum(sum(kept.values()) for kept in self.kept.values()))}"
            boxes["kept"] = (
                f"label={quoted(total, 'no bytes: parameter,', 'or shared', '', left=True)} {_STYLE['legend']}"
            )
        elided = any(vertex.kind == "elision" for vertex in self.vertices)
        if self.heat is not None:
            words = "norm of the gradient, on a log scale", "blue: vanishes, red: explodes, dotted: no gradient"
            boxes["scale"] = _colour_bar(self.heat, *words, number_text, elided)
        elif self.times is not None:
            words = "time, forward + backward, on a log scale", "dotted: no time was measured"
            boxes["scale"] = _colour_bar(self.times, *words, lambda time: time_text(1e9 * time), elided)
        names = [name for name, box in boxes.items() if box]
        self.lines += [f"  {name} [{boxes[name]}]" for name in names]
        if names:
            self.lines.append(f"  {{ rank=same o{len(self.picture.outputs) - 1} {' '.join(names)} }}")

    def _stub_legend(self) -> str:
        """Return the legend, which lists each stub once."""
        rows: dict[str, list[str]] = {"parameter": [], "input": [], "operation": []}
        for number in sorted(self.stubbed):
            vertex = self.vertices[number]
            norm = None if self.heat is None else gradient_norm(vertex, 0)
            said = "" if norm is None else f"  gradient {norm:.1e}"
            name = vertex.mark + (self.names[number] if vertex.is_leaf else f"{self.names[number]}  {vertex.label}")
            rows[vertex.kind].append(f"{name}  {vertex.caveat or shape_of(vertex.specs[0])}{said}")
        lines = [line for kind, found in rows.items() if found for line in (f"{kind}s", *found)]
        return f"label={quoted(*lines, '', left=True)} {_STYLE['legend']}" if lines else ""

    def _vertex(self, number: int, indent: str) -> None:
        vertex = self.vertices[number]
        if vertex.is_leaf and number in self.stubbed:
            return  # drawn as a stub next to each user
        parameters, constants = self._parameters(number), self._constants(number)
        row = vertex.step is not None and vertex.kind == "operation"
        label = [vertex.label]
        if vertex.kind == "input":
            label = [self.names[number], shape_of(vertex.specs[0])]
        elif row:
            # an empty line separates the parameters from an underscore in the name, which would look like an overbar
            stubs = [text for text in (parameters, constants) if text]
            label = [vertex.scope[-1], vertex.label, *[""][: len(stubs)], *stubs]
        mark = f"→ {self.names[number]}" if number in self.names and vertex.kind != "input" else ""
        options = option_text(vertex.options) if vertex.kind == "operation" and not row else ""
        label += filter(
            None,
            [
                mark,
                options,
                vertex.remark,
                self._residuals(vertex),
                time_words(vertex) if self.times is not None else "",
            ],
        )
        style = _STYLE[vertex.kind] + _MARKED[vertex.mark] + self._fill(vertex)
        style += ' color="#d00000" penwidth=3' if vertex.birth else ""
        self.lines.append(f"{indent}n{number} [label={quoted(vertex.mark + label[0], *label[1:])} {style}]")
        if parameters and not row:
            self._stub(number, parameters, indent)
        if constants and not row:
            self.lines.append(f"{indent}k{number} [label={quoted(constants)} {_STYLE['constant']}]")
            self.edges.append(f'  k{number} -> n{number} [color="#a8a8a8"]')
        for edge in vertex.inputs:
            if edge.source not in self.stubbed:
                self.edges.append(f"  n{edge.source} -> n{number}{self._attributes(number, edge)}")

    def _residuals(self, vertex: Vertex) -> str:
        """List what the VJP of a vertex keeps; a step has the residuals of all steps."""
        kept = self.kept.get(vertex.node, {}) if vertex.kind == "operation" and vertex.gathers is None else {}
        words = [f"{name} {byte_text(size) if size else ''}".strip() for name, size in kept.items()]
        return f"{'all steps keep' if vertex.step is not None else 'keeps'} {_in_lines(words)}" if words else ""

    def _stub(self, number: int, text: str, indent: str) -> None:
        """Write the parameters of a vertex, in the colour of the largest gradient that it sent them."""
        vertex, fill, line = self.vertices[number], "", 'color="#c9a13b"'
        if self.heat is not None and is_noted(vertex):
            edges = [edge for edge in vertex.inputs if edge.source in self.stubbed]
            norm = largest([flow_norm(self.picture, vertex, edge) for edge in edges])
            fill, line = _filled(self.heat, norm), _drawn(self.heat, norm)
        self.lines.append(f"{indent}p{number} [label={quoted(text)} {_STYLE['parameter']}{fill}]")
        self.edges.append(f"  p{number} -> n{number} [{line}]")

    def _parameters(self, number: int) -> str:
        """Return the names of the parameters and stubbed results that a vertex uses."""
        vertex, names = self.vertices[number], []
        for edge in [edge for edge in vertex.inputs if edge.source in self.stubbed and vertex.kind != "elision"]:
            source, name = self.vertices[edge.source], short_name(self.picture, self.names, edge.source, vertex)
            name = source.mark + (name if source.is_leaf else f"{name} {_output_name(source, vertex, edge)}".strip())
            names.append(with_name(edge.argument, self.named[number], name))
        return _in_lines(names)

    def _constants(self, number: int) -> str:
        """Describe the constant arguments of a vertex; they take no part in the backward pass."""
        named = self.named[number]
        return _in_lines(
            [with_name(c.argument, named, c.text) for c in constants_of(self.vertices[number]) if not self.kept]
        )

    def _fill(self, vertex: Vertex) -> str:
        """Return the colour of a vertex by its time, or by the largest gradient of its outputs."""
        if self.times is not None:
            return "" if vertex.kind in ("elision", "module") else _filled(self.times, seconds_of(vertex))
        if self.heat is None:
            return ""
        if not is_noted(vertex):
            return f' fillcolor="{NOTHING}"'  # its own colour might look like one of the scale
        return _filled(self.heat, largest([gradient_norm(vertex, slot) for slot in range(len(vertex.specs))]))

    def _attributes(self, number: int, edge: Edge) -> str:
        vertex = self.vertices[number]
        label = edge.mark + with_name(edge.argument, self.named[number], self._edge_label(vertex, edge))
        # the space separates it from the line
        attributes = [f"label={quoted(' ' + label)}{_MARKED[edge.mark]}"] if label else []
        if self.heat is not None:
            norm = flow_norm(self.picture, vertex, edge)
            if norm is not None or (is_noted(vertex) and is_noted(self.vertices[edge.source])):
                attributes.append(_drawn(self.heat, norm))
        return f" [{' '.join(attributes)}]" if attributes else ""

    def _edge_label(self, vertex: Vertex, edge: Edge) -> str:
        source = self.vertices[edge.source]
        name = _output_name(source, vertex, edge)
        within = source.step is not None and vertex.node is source.node
        if within and (vertex.step is None or (vertex.node in self.rows and self.direction in ("LR", "RL"))):
            return ""  # the edge out of the stack of all steps has the label; in a column, labels would overlap
        if self.values == "norm" and source.kind != "input":
            norm = value_norm(source, edge.slot)
            return "" if norm is None else f"{name}{norm:.3g}"
        if self.values == "none" or source.kind == "input":
            return edge.part or name.strip()
        return edge.part or name + shape_of(source.specs[edge.slot])

    def _rows(self) -> dict[Any, list[int]]:
        """Return the steps of each sequence that share a rank, in time order.

        With direction LR or RL, ranks are columns, and each step follows the previous one. Only the steps of long
        sequences share a column, because `dot` takes minutes for long chains.
        """
        rows: dict[Any, list[int]] = {}
        for number, vertex in enumerate(self.vertices):
            if vertex.step is not None:
                rows.setdefault(vertex.node, []).append(number)
        sideways = self.direction in ("LR", "RL")
        return {node: row for node, row in rows.items() if not sideways or len(row) > _SIDEWAYS}

    def _output(self, i: int, output: Output) -> None:
        shape = shape_of(self.vertices[output.source].specs[output.slot])
        fill = "" if self.heat is None else self._fill(self.vertices[output.source])
        self.lines.append(f"  o{i} [label={quoted(output.name, shape)} {_STYLE['output']}{fill}]")
        begin = f"n{output.source}"
        if self.vertices[output.source].is_leaf and output.source in self.stubbed:  # it has no vertex of its own
            begin = f"q{i}"
            self.lines.append(f"  {begin} [label={quoted(self.names[output.source])} {_STYLE['parameter']}]")
        self.edges.append(f"  {begin} -> o{i}")


def _filled(scale: Heat, number: float | None) -> str:
    """Return the attributes of a box in the colour of a number, or dotted without one."""
    rim = "" if number else ' style="rounded,filled,dotted"'
    return f' fillcolor="{scale.colour(number)}" fontcolor="{scale.text_colour(number)}"{rim}'


def _drawn(scale: Heat, norm: float | None) -> str:
    """Return the attributes of an edge in the colour of a norm; grey lines beside it make white visible."""
    return f'color="{_BESIDE}:{scale.colour(norm)}:{_BESIDE}" penwidth=2 arrowsize=0.8' if norm else "style=dotted"


def _in_lines(names: Sequence[str]) -> str:
    """Join names into one text, four per line."""
    return "\n".join("  ".join(names[i : i + 4]) for i in range(0, len(names), 4))


def _output_name(source: Vertex, target: Vertex, edge: Edge) -> str:
    """Name the output that an edge carries, followed by a space; between steps, name the state."""
    name = output_name(source, edge.slot)
    if name and source.step is not None and target.step is not None and target.node is source.node:
        name = edge.argument
    return name and f"{name} "


def _colour_bar(heat: Heat, title: str, white: str, text: Callable[[float], str], elided: bool) -> str:
    """Return a table: shades from low to high with numbers, values off the scale, and hidden vertices."""
    shades = "".join(f'<td bgcolor="{heat.colour(norm)}" width="10" height="12"></td>' for norm in heat.ticks(_SHADES))
    marks = zip(("left", "center", "right"), heat.ticks(3), strict=True)
    numbers = "".join(f'<td colspan="{_SHADES // 3}" align="{side}">{text(norm)}</td>' for side, norm in marks)
    wide = f'<td colspan="{_SHADES}"'
    rows = [f"{wide}>{title}</td>", shades, numbers, f"{wide}>{white}</td>"]
    if elided:
        rows.append(f'{wide} bgcolor="{NOTHING}">dashed: not shown</td>')
    if heat.unusual:
        said = f'<font color="{heat.text_colour(math.nan)}">NaN or infinite</font>'
        rows.append(f'{wide} bgcolor="{heat.colour(math.nan)}">{said}</td>')
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    style = 'border="0" cellborder="0" cellspacing="0" cellpadding="1"'
    return f"label=<<table {style}>{table}</table>> shape=plain fontsize=9"


def quoted(*texts: str, left: bool = False) -> str:
    r"""Join lines into a quoted DOT string, escaped so that they are drawn literally.

    left: whether to align each line to the left.

    >>> print(quoted('say "hi"'), quoted("a\n", left=True))
    "say \"hi\"" "a\l"
    """
    lines = []
    for line in "\n".join(texts).split("\n"):
        line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
        line = "".join("\N{REPLACEMENT CHARACTER}" if _is_broken(c) else c for c in line)
        line = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(re.sub(r"&(?=#?\w+;)", "&amp;", line))  # an entity that a layout program would decode
    return '"' + ("\\l" if left else "\\n").join(lines) + '"'


def _is_broken(letter: str) -> bool:
    """Return whether a letter is a control character, half of a surrogate pair, or forbidden in XML."""
    return unicodedata.category(letter) in ("Cc", "Cs") or ord(letter) & 0xFFFE == 0xFFFE
