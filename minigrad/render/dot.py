"""DOT text from a picture: clusters for scopes, stubs for parameters, shapes on the edges.

Edges from a weight that every step of a loop uses would tangle the drawing, and `dot` would need minutes. So each
vertex has a stub beside it, which lists its parameters with their shapes. A parameter with several users has a number
and a colour. Inputs and results with many uses are in stubs, too, and constant numbers are in stubs on the other side.

A folded loop is one cluster. Dashed edges lead back from what a step computes to the step that takes it.

The steps of an unrolled sequence are boxes in a row, with time to the right. With a cluster around each step, `dot`
would reverse or mix the rows, because it ignores edges between clusters when it orders a row. Steps that are clusters
(of your own loops or of an expanded primitive) are stacked vertically.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, pairwise
from typing import Any, Literal

from ..backward import graph_of
from ..core import Tensor
from ..formatting import byte_text, time_text
from ..nn.module import Module
from ..profiling import residual_memory
from ..spec import Array
from .heat import (
    NO_NUMBER,
    Ends,
    Heat,
    flow_norm,
    gradient_heat,
    gradient_norm,
    is_noted,
    largest,
    norm_range,
    norm_span,
    seconds_of,
    strip,
    strip_colours,
    time_heat,
    time_words,
    value_norm,
    was_recorded,
)
from .labels import (
    STEP,
    constants_of,
    free_names,
    leaf_names,
    number_text,
    option_span,
    output_name,
    shape_of,
    shared_weights,
    short_name,
    stubbed,
    times_of,
    to_be_named,
    with_name,
)
from .options import Depth, Unroll, check_choice, drawn_picture, with_graphs
from .picture import Edge, Output, Picture, Vertex
from .scopes import Scope, call_scopes, shows_layers

__all__ = ["FEEDBACK", "DotWriter", "INK", "quoted", "to_dot"]

INK = "#666666"  # everything on the background, which is light or dark
FEEDBACK = "#b05a00"  # edges from the previous step

_Attributes = dict[str, str]
_SMALL = {"style": "filled", "fontsize": "9", "height": "0.2", "margin": "0.06,0.02"}
_STYLE: dict[str, _Attributes] = {
    "operation": {"style": "rounded,filled", "fillcolor": "#eef3fb", "color": "#7f93b2"},
    "input": {"style": "filled", "fillcolor": "#e3f2e1", "color": "#6aa364"},
    "parameter": _SMALL | {"fillcolor": "#fdf3d8", "color": "#c9a13b"},
    "constant": _SMALL | {"style": "rounded,filled", "fillcolor": "#ffffff", "color": "#a8a8a8",
                                 "fontcolor": "#555555"},
    "omitted": {"margin": "0.16,0.07", "style": "dashed,rounded,filled", "fillcolor": NO_NUMBER, "color": "#777777"},
    "module": {"margin": "0.16,0.07", "style": "rounded,filled", "fillcolor": "#f0ecf8", "color": "#8f80b5"},
    "output": {"style": "filled", "fillcolor": "#f9e0dc", "color": "#c4695c", "penwidth": "1.5"},
    "legend": {"shape": "note", "style": "filled", "fillcolor": "#fffaf0", "color": "#c9a13b", "fontsize": "9"},
}  # fmt: skip
_MARKED: dict[str, _Attributes] = {  # vertices and edges of a comparison
    "": {},
    "+ ": {"color": "#1a7f37", "penwidth": "2.5"},
    "− ": {"color": "#b42318", "style": "dashed,filled", "penwidth": "2"},
    "~ ": {"color": "#a15c00", "penwidth": "2.5"},
}
_STEPS = 40  # the most steps in a row
_LONGEST = 200  # characters of a line
_STRAIGHT = "weight=1000"
_SHADES = 27  # cells of the colour bar; one of them is in the middle
_BESIDE = "#a0a0a0"  # the lines beside the colour of an edge


def to_dot(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_nodes: int = 400,
    direction: Literal["TB", "BT", "LR", "RL"] = "TB",
    values: Literal["shape", "norm", "none"] = "shape",
    gradients: Ends = False,
    times: Ends = False,
    residuals: bool = False,
    title: str = "",
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str | Module] = (),
    collapse: Iterable[str | Module] = (),
    depth: Depth = "auto",
) -> str:
    """Return the graph of one or more tensors as DOT text. Equal programs give equal text.

    Parameters are drawn as stubs beside the operations that use them, as are inputs with three or more uses and results
    with more than eight. A parameter that several operations share has the same number, such as `(shared 1)`, and the
    same colour at each. If the order of arguments matters, edges are labelled with their argument; unlabelled arguments
    are in order, edges before stubs. Constant arrays are inputs, named after their argument unless ``names`` or a
    module names them; constants of one entry are stubs with their value.

    Args:
        unroll: 'primitive' shows a sequence primitive as one box, and 'steps' shows every step. 'fold' shows one of
            equal steps, also of your own loops, in a frame with their number: `step 0 … step 11 × 12`. Dashed edges
            lead back to what takes the result of the previous step, and 'first' marks what the first step takes. An
            edge out of a loop has the result of the last step, or lists steps in order, such as 'steps 7, 3'. Between
            two loops, 'step t' means equal steps, and 'step 7, 6 … 0' those that are taken one after the other. 'fold'
            is the default, so that the size of a drawing depends on the model, not on the input.
        max_nodes: a graph with more operations is always folded. If that is not enough, only the operations nearest to
            the outputs are drawn, with a count of the rest.
        direction: where data flows: 'TB' downwards, 'LR' to the right, 'BT', 'RL'.
        values: the edge labels: the shape of the value, its norm (noted by :func:`minigrad.record`), or only the name
            of the output if there are several.
        gradients: colour everything by the norm of its gradient in the last backward pass inside
            :func:`minigrad.record`. White is 1, the norm of a loss's own gradient; blue is smaller and red larger, on a
            log scale from 1e-8 to 1e4. A pair of norms (low, high) around 1 replaces these ends. After several passes
            inside one record, each box has the norm of the last pass that reached it. A folded loop has a strip of
            colours, one for each step, first to last, with the numbers at both ends. A closed module has the range.
        times: colour operations by their time in the last :func:`minigrad.profile`, forward and backward together. The
            log scale ends at the longest time and at a hundredth of it, or at a pair of seconds (low, high). The boxes
            show both times. Cannot be combined with `gradients`.
        residuals: draw the backward pass. Arrows show where cotangents go, with their shapes. Each operation lists the
            arrays that its VJP keeps, and their bytes, by the names that :func:`minigrad.primitive` declares.
            Parameters have no bytes, and shared memory counts once. A note shows the total.
        title: text above the drawing.
        names: names for inputs, outputs and intermediate tensors; the last appear in the boxes. A closed module hides
            the names inside it, except those of its results, and omitted operations have none. In a folded loop, the
            name of an earlier step tells the step.
        expand: names of primitives to replace by their references (compositions of simpler primitives), such as
            {'lstm_step'}. The operations of a reference were never part of a pass, so they have no norms. Modules and
            names of frames stay open, while all other modules are closed.
        collapse: modules and names of frames to draw as one box each.
        depth: draw each module at this depth as one box with its number of operations and parameters, and with the sum
            of their times and bytes. 1 shows the whole network as one box, 2 each of its parts, and None opens
            everything. 'auto' leaves about 30 boxes, and skip connections, if there are more than 60 operations. It
            closes nothing if you ask for steps, expand, gradients, times, norms or residuals.

    Raises:
        ValueError: if

            - a tensor has no graph, a named tensor is not in it, or an option is unknown;
            - a drawing would have more than 40 steps side by side;
            - the requested gradients, times or values were not recorded;
            - a backward pass has freed the requested residuals.
        TypeError: if ``tensors`` are not tensors, ``names`` does not map names to tensors, or ``expand`` or
            ``collapse`` holds anything but names and modules.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> dot = to_dot(mg.tanh(x), names={"x": x})
    >>> [line.split("[")[0].strip() for line in dot.splitlines() if "->" in line]
    ['n0 -> n1', 'n1 -> o0']
    """
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
        outputs, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, collapse=collapse,
        title=title, depth=depth,
        direction=direction,
    )  # fmt: skip
    if values == "norm" and not was_recorded(picture, value_norm):
        raise ValueError(
            "to_dot: values='norm' needs recorded values. Run the forward pass inside `with mg.record():`."
        )
    heat = gradient_heat(picture, gradients) if with_gradients else None
    by_time = time_heat(picture, times) if with_times else None
    return DotWriter(picture, direction, values, heat, by_time, residual_memory(nodes)).text(title)


class DotWriter:
    """Collects the lines of one drawing: vertices in their clusters, then the edges."""

    def __init__(
        self,
        picture: Picture,
        direction: str,
        values: str = "shape",
        heat: Heat | None = None,
        times: Heat | None = None,
        kept: Mapping[Any, Mapping[str, int]] | None = None,
    ) -> None:
        self.picture, self.vertices = picture, picture.vertices
        self.direction, self.values, self.heat, self.times, self.kept = direction, values, heat, times, kept or {}
        self.stubbed = stubbed(picture)
        marked = [number for number in sorted(self.stubbed) if not self.vertices[number].is_leaf]
        names = leaf_names(picture)
        self.names = names | dict(zip(marked, free_names("result", len(marked), {*names.values()}), strict=True))
        self.named = [to_be_named(picture, vertex, self.stubbed) for vertex in self.vertices]
        self.shared = shared_weights(picture)
        self.length: list[int] = []  # of the longest path to each vertex, in operations
        for vertex in self.vertices:
            own = vertex.stands_for if vertex.kind == "module" else 1
            self.length.append(own + max([self.length[edge.source] for edge in vertex.inputs], default=0))
        self.spine: set[tuple[int, int]] = set()  # the edges of the longest path to the first output, a straight column
        number = picture.outputs[0].source
        while sources := [e.source for e in self.vertices[number].inputs if e.source not in self.stubbed]:
            source = max(sources, key=self.length.__getitem__)
            self.spine.add((source, number))
            number = source
        self.rows = self._rows()
        self.lines: list[str] = []
        self.edges: list[str] = []
        self.clusters = count(1)

    def text(self, title: str) -> str:
        """The whole DOT text."""
        rows = [f"  {{ rank=same {' '.join(f'n{number}' for number in row)} }}" for row in self.rows.values()]
        # nslimit halves the time for a tangle. Rows need newrank=true, which ranks across clusters; without it, `dot`
        # also crashes on some loops. The second crossing minimisation (remincross) ignores clusters, and would mix the
        # steps of a row.
        self.lines = [
            "digraph minigrad {",
            f"  rankdir={self.direction} newrank=true{' remincross=false' if rows else ''} nslimit=10 nodesep=0.25 "
            "ranksep=0.35",
            '  fontname="Helvetica" fontsize=11',
            '  node [shape=box fontname="Helvetica" fontsize=11 height=0.3 margin="0.1,0.04"]',
            f'  edge [fontname="Helvetica" fontsize=9 color="{INK}" fontcolor="{INK}" arrowsize=0.6'
            f"{' dir=back' if self.kept else ''}]",
            *([f'  label={quoted(title)} labelloc=t fontsize=14 fontcolor="{INK}"'] if title else []),
        ]
        self._cluster(call_scopes(self.picture), "  ")
        self.lines += rows
        for i, output in enumerate(self.picture.outputs):
            self._output(i, output)
        self._legend()
        return "\n".join([*self.lines, *self.edges, "}"]) + "\n"

    def _cluster(self, scope: Scope, indent: str) -> None:
        """Write the vertices of a scope, then its inner scopes."""
        for item in scope.items:
            if isinstance(item, int):
                self._vertex(item, indent)
        for inner in scope.inner:
            style = f'labeljust=l style=rounded color="#b8b8b8" fontcolor="{INK}"'
            number = next(self.clusters)
            # a stack is a pile: two empty frames around its own
            around = 2 * shows_layers(self.vertices, inner)
            for k in range(around):
                self.lines.append(f'{indent}subgraph cluster_{number}_{k} {{ label="" margin=4 {style}')
            self.lines += [f"{indent}subgraph cluster_{number} {{", f"{indent}  label={quoted(inner.name)} {style}"]
            self.lines += [f"{indent}  margin=8"] * bool(around)
            self._cluster(inner, indent + "  ")
            self._indent(inner, number)
            self.lines.append(f"{indent}}}{' }' * around}")
        steps = [inner.members for inner in scope.inner if STEP.fullmatch(inner.name)]
        for above, below in pairwise(steps):  # stack the steps, which take more than the previous step's results
            used, own = {edge.source for i in above for edge in self.vertices[i].inputs}, set(below)
            first = [i for i in below if own.isdisjoint(edge.source for edge in self.vertices[i].inputs)]
            last = [i for i in above if i not in used]
            self.edges += [f"  n{a} -> n{b} [style=invis weight=0]" for a in last for b in first]

    def _indent(self, scope: Scope, number: int) -> None:
        """Keep edges to the first vertex of a cluster off the label.

        An invisible box to the left of the vertex does it.
        """
        first = scope.members[-1 if self.direction == "BT" else 0]
        stub = max(self._stub_texts(first)[0].split("\n"), key=len)
        width = 0.09 * len(scope.name) - 0.07 * len(stub)  # inches
        if width > 0 and self.direction in ("TB", "BT"):
            left = f"p{first}" if stub and not self.vertices[first].in_row else f"n{first}"
            self.lines.append(f'  l{number} [label="" style=invis width={width:.2f}]')
            self.lines.append(f"  {{ rank=same l{number} {left} }}")
            self.edges.append(f"  l{number} -> {left} [style=invis]")

    def _legend(self) -> None:
        """Put the legends next to the last output, where they do not widen the drawing."""
        total = byte_text(sum(size for kept in self.kept.values() for size in kept.values()))
        note = quoted(f"residuals  {total}", "no bytes: parameter,", "or shared", "", left=True)
        boxes = {"kept": f"label={note} {_text(_STYLE['legend'])}"} if self.kept else {}
        grey = {
            "dashed: not shown": any(v.kind == "omitted" for v in self.vertices),
            "strip: the steps of a loop, or the layers of a stack, first to last": any(
                strip(vertex, by_time=self.heat is None) for vertex in self.vertices
            ),
            "grey: a module": self.times is None and any(v.kind == "module" for v in self.vertices),
        }
        if self.heat is not None:
            words = "norm of the gradient, on a log scale", "blue: vanishes, red: explodes, dotted: no gradient"
            boxes["scale"] = _colour_bar(self.heat, *words, number_text, grey)
        elif self.times is not None:
            words = "time, forward + backward, on a log scale", "dotted: no time was measured"
            boxes["scale"] = _colour_bar(self.times, *words, lambda time: time_text(1e9 * time), grey)
        self.lines += [f"  {name} [{box}]" for name, box in boxes.items()]
        if boxes:
            self.lines.append(f"  {{ rank=same o{len(self.picture.outputs) - 1} {' '.join(boxes)} }}")

    def _vertex(self, number: int, indent: str) -> None:
        vertex = self.vertices[number]
        if vertex.is_leaf and number in self.stubbed:
            return  # drawn as a stub next to each user
        parameters, constants = self._stub_texts(number)
        label = [vertex.label]
        if vertex.kind == "input":
            label = [self.names[number], f"{shape_of(vertex.specs[0])}{times_of(vertex)}"]
        elif vertex.in_row:
            # an empty line separates the parameters from an underscore in the name, which would look like an overbar
            stubs = [text for text in (parameters, constants) if text]
            label = [vertex.scope[-1], vertex.label, *[""][: len(stubs)], *stubs]
        mark = f"→ {self.names[number]}" if number in self.names and vertex.kind != "input" else ""
        options = option_span([v.options for v in vertex.folds or (vertex,)]) if vertex.step is None else ""
        times = time_words(vertex) if self.times is not None else ""
        gradients = norm_range(vertex) if self.heat is not None else ""
        label += filter(None, [mark, options, vertex.remark, self._residuals(vertex), times, gradients])
        style = _text(
            _STYLE[vertex.kind],
            _MARKED[vertex.mark],
            self._fill(vertex),
            {"color": "#d00000", "penwidth": "3"} if vertex.birth else {},
        )
        label[0] = vertex.mark + label[0]
        text = self._with_strip(vertex, label) or quoted(*label)
        self.lines.append(f"{indent}n{number} [label={text} {style}]")
        if not vertex.in_row:
            self._stubs(number, parameters, constants, indent)
        self._feedback(number)
        for edge in vertex.inputs:
            if edge.source not in self.stubbed:
                self.edges.append(f"  n{edge.source} -> n{number}{self._attributes(number, edge)}")

    def _with_strip(self, vertex: Vertex, label: Sequence[str]) -> str:
        """Return a label with a strip of colours below it, a cell for each step of a folded loop, or evenly chosen."""
        scale = self.heat or self.times
        numbers = strip(vertex, by_time=self.heat is None) if scale else []
        if scale is None or not numbers:
            return ""
        text = "{:.1e}".format if self.heat else lambda time: time_text(1e9 * time)
        ends = ["none" if number is None else text(number) for number in (numbers[0], numbers[-1])]
        colours = strip_colours(scale, vertex, by_time=self.heat is None)
        cells, width = _cells(colours), len(colours)
        lines = _drawable([*label, f"{ends[0]} … {ends[1]}"])
        rows = [f'<td colspan="{width}">{html.escape(line)}</td>' for line in lines]
        return f"<{_table([*rows[:-1], cells, rows[-1]])}>"

    def _residuals(self, vertex: Vertex) -> str:
        """List what the VJPs of a vertex keep; a step of a sequence has the residuals of all steps."""
        kept: Counter[str] = Counter()
        for node in dict.fromkeys(v.node for v in vertex.operations if v.kind == "operation" and v.gathers is None):
            kept.update(self.kept.get(node, {}))
        keeps = f"{vertex.total_prefix}keep" if vertex.total_prefix else "keeps"
        if vertex.kind == "module":
            return f"{keeps} {byte_text(kept.total())}" if kept.total() else ""
        words = [f"{name} {byte_text(size) if size else ''}".strip() for name, size in kept.items()]
        return f"{keeps} {_in_lines(words)}" if words else ""

    def _stub_texts(self, number: int) -> tuple[str, str]:
        """Return the texts of the stubs with parameters and with constants; feedback leaves room for only one."""
        texts = self._parameters(number), self._constants(number)
        return ("\n".join(texts), "") if self.vertices[number].feedback and all(texts) else texts

    def _stubs(self, number: int, parameters: str, constants: str, indent: str) -> None:
        """Write stubs beside a vertex: parameters to the left, in the colour of their largest gradient."""
        vertex, row = self.vertices[number], [f"n{number}"]
        if parameters:
            edges = [edge for edge in vertex.inputs if edge.source in self.stubbed]
            shared = [self.shared[edge.source] for edge in edges if edge.source in self.shared]
            fill = {"fillcolor": shared[0].colour} if shared else {}
            line = 'color="#c9a13b"'
            if self.heat is not None and is_noted(vertex):
                fill = _filled(self.heat, largest([gradient_norm(self.vertices[e.source], e.slot) for e in edges]))
                line = _drawn(self.heat, largest([flow_norm(self.picture, vertex, edge) for edge in edges]))
            self.lines.append(f"{indent}p{number} [label={quoted(parameters)} {_text(_STYLE['parameter'], fill)}]")
            self.edges.append(f"  p{number} -> n{number} [{line}]")
            row.append(f"p{number}")
        if constants:
            ends = f"k{number} -> n{number} [" if vertex.feedback else f"n{number} -> k{number} [dir=back "
            self.lines.append(f"{indent}k{number} [label={quoted(constants)} {_text(_STYLE['constant'])}]")
            self.edges.append(f'  {ends}color="#a8a8a8"]')
            row.append(f"k{number}")
        if len(row) > 1:  # an invisible cluster keeps them together
            same = f"{{ rank=same {' '.join(row)} }}"
            self.lines.append(f'{indent}subgraph cluster_s{number} {{ peripheries=0 margin=1 label="" {same} }}')

    def _feedback(self, number: int) -> None:
        """Write the edges from the previous step of a folded loop, beside the forward edges."""
        vertex, side = self.vertices[number], "e" if self.direction in ("TB", "BT") else "s"
        by_source: dict[int, list[str]] = {}
        for edge in vertex.feedback:
            text = with_name(edge.argument, self.named[number], self._edge_label(vertex, edge))
            by_source.setdefault(edge.source, []).append(f" {edge.mark}{text}")
        for source, texts in by_source.items():
            first, last = sorted((source, number))  # written downwards, so that it pulls no vertex out of its place
            arrow = "dir=back " if source > number else ""
            ends = f"n{first}:{side} -> n{last}:{side}" if first != last else f"n{first} -> n{first}"
            style = _text({"style": "dashed", "color": FEEDBACK, "fontcolor": FEEDBACK})
            self.edges.append(f"  {ends} [{arrow}label={quoted(*texts)} weight=0 {style}]")

    def _parameters(self, number: int) -> str:
        """Return the names of the parameters and stubbed results that a vertex uses, with their shapes."""
        vertex, names = self.vertices[number], []
        for edge in [edge for edge in vertex.inputs if edge.source in self.stubbed and vertex.kind != "omitted"]:
            source, name = self.vertices[edge.source], short_name(self.picture, self.names, edge.source, vertex)
            name = source.mark + (name if source.is_leaf else f"{name} {_output_name(source, vertex, edge)}".strip())
            name += f" (shared {self.shared[edge.source].number})" if edge.source in self.shared else ""
            norm = None if self.heat is None or not source.is_leaf else gradient_norm(source, 0)
            if not vertex.in_row:
                name += f"  {source.caveat or shape_of(source.specs[edge.slot])}{times_of(source)}"
                name += "" if norm is None else f"  gradient {norm:.1e}"
            names.append(with_name(edge.argument, self.named[number], name))
        return _in_lines(names) if vertex.in_row else "\n".join(names)

    def _constants(self, number: int) -> str:
        """Describe the constant arguments of a vertex.

        `first` marks those that only the first step of a loop has.
        """
        if self.kept:
            return ""  # they take no part in the backward pass
        vertex, named = self.vertices[number], self.named[number]
        later = {edge.argument for edge in vertex.feedback}
        texts = [(c.argument, f"first {c.text}" if c.argument in later else c.text) for c in constants_of(vertex)]
        return _in_lines([with_name(argument, named, text) for argument, text in texts])

    def _fill(self, vertex: Vertex) -> _Attributes:
        """Return the colour of a vertex by its time, or by the largest gradient of its outputs."""
        if self.times is not None:
            steps = strip(vertex, by_time=True)
            return {} if steps or vertex.kind == "omitted" else _filled(self.times, seconds_of(vertex))
        if self.heat is None:
            return {}
        if not is_noted(vertex):
            return {"fillcolor": NO_NUMBER}  # its own colour might look like one of the scale
        return _filled(self.heat, largest([gradient_norm(vertex, slot) for slot in range(len(vertex.specs))]))

    def _attributes(self, number: int, edge: Edge) -> str:
        vertex = self.vertices[number]
        label = edge.mark + with_name(edge.argument, self.named[number], self._edge_label(vertex, edge))
        # the space separates it from the line
        attributes = [f"label={quoted(' ' + label)}", *filter(None, [_text(_MARKED[edge.mark])])] if label else []
        if (edge.source, number) in self.spine and not self.vertices[edge.source].in_row:
            attributes.append(_STRAIGHT)
        elif self.length[edge.source] + 1 == self.length[number]:
            attributes.append("weight=8")  # of two places for a vertex, choose the one near what it takes
        source = self.vertices[edge.source]
        if self.kept and source.is_leaf and source.node is None:
            attributes.append("dir=none style=dotted")  # no cotangent goes to a constant
        if self.heat is not None:
            norm = flow_norm(self.picture, vertex, edge)
            if norm is not None or (is_noted(vertex) and is_noted(source)):
                attributes.append(_drawn(self.heat, norm))
        return f" [{' '.join(attributes)}]" if attributes else ""

    def _edge_label(self, vertex: Vertex, edge: Edge) -> str:
        source = self.vertices[edge.source]
        name = _output_name(source, vertex, edge)
        if source.in_row and vertex.node is source.node and vertex.step is None:
            return ""  # the edge out of the stack of all steps has the label
        if self.values == "norm" and source.folds:
            return f"{name}{norm_span(source, edge.slot, value_norm)} {edge.part}".strip()
        if self.values == "norm" and source.kind != "input":
            norm = value_norm(source, edge.slot)
            return edge.part if norm is None else f"{name}{norm:.3g} {edge.part}".strip()
        if self.values == "none" or source.kind == "input":
            return edge.part or name.strip()
        shape = shape_of(source.specs[edge.slot])
        return f"{name}{shape} {edge.part}" if edge.part.startswith("×") else edge.part or name + shape

    def _rows(self) -> dict[Any, list[int]]:
        """Return the steps of each sequence that share a rank, in time order.

        With direction LR or RL, ranks are columns, and each step follows the previous one.

        Raises:
            ValueError: if there are too many steps for a screen.
        """
        rows: dict[Any, list[int]] = {}
        for number, vertex in enumerate(self.vertices):
            if vertex.in_row:
                rows.setdefault(vertex.node, []).append(number)
        if (longest := max(map(len, rows.values()), default=0)) > _STEPS:
            raise ValueError(
                f"to_dot: {longest} steps in a row are wider than a screen; the limit is {_STEPS}. Pass unroll='fold' "
                "to draw one of them, or write a page with to_html."
            )
        return rows if self.direction in ("TB", "BT") else {}

    def _output(self, i: int, output: Output) -> None:
        shape = shape_of(self.vertices[output.source].specs[output.slot])
        fill = {} if self.heat is None else self._fill(self.vertices[output.source])
        self.lines.append(f"  o{i} [label={quoted(output.name, shape)} {_text(_STYLE['output'], fill)}]")
        begin = f"n{output.source}"
        if self.vertices[output.source].is_leaf and output.source in self.stubbed:  # it has no vertex of its own
            begin = f"q{i}"
            self.lines.append(f"  {begin} [label={quoted(self.names[output.source])} {_text(_STYLE['parameter'])}]")
        self.edges.append(f"  {begin} -> o{i}{'' if i else f' [{_STRAIGHT}]'}")


def _text(*styles: _Attributes) -> str:
    """Format attributes; those of later styles replace those of earlier ones."""
    return " ".join(f'{name}="{value}"' for name, value in ChainMap(*reversed(styles)).items())


def _filled(scale: Heat, number: float | None) -> _Attributes:
    """Return the attributes of a box in the colour of a number, or dotted without one."""
    rim = {} if number else {"style": "rounded,filled,dotted"}
    return {"fillcolor": scale.colour(number), "fontcolor": scale.text_colour(number)} | rim


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


def _colour_bar(heat: Heat, title: str, white: str, text: Callable[[float], str], grey: Mapping[str, bool]) -> str:
    """Return a table: shades from low to high with numbers, values off the scale, and hidden vertices."""
    shades = _cells(map(heat.colour, heat.ticks(_SHADES)))
    marks = zip(("left", "center", "right"), heat.ticks(3), strict=True)
    numbers = "".join(f'<td colspan="{_SHADES // 3}" align="{side}">{text(norm)}</td>' for side, norm in marks)
    wide = f'<td colspan="{_SHADES}"'
    rows = [f"{wide}>{title}</td>", shades, numbers, f"{wide}>{white}</td>"]
    rows += [
        f'{wide} bgcolor="{NO_NUMBER}"><font color="#000000">{words}</font></td>'
        for words, is_there in grey.items()
        if is_there
    ]
    if heat.unusual:
        said = f'<font color="{heat.text_colour(math.nan)}">NaN or infinite</font>'
        rows.append(f'{wide} bgcolor="{heat.colour(math.nan)}">{said}</td>')
    return f'label=<{_table(rows)}> shape=plain fontsize=9 fontcolor="{INK}"'


def _cells(colours: Iterable[str]) -> str:
    return "".join(f'<td bgcolor="{colour}" width="10" height="12"></td>' for colour in colours)


def _table(rows: Iterable[str]) -> str:
    style = 'border="0" cellborder="0" cellspacing="0" cellpadding="1"'
    return f"<table {style}>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def quoted(*texts: str, left: bool = False) -> str:
    r"""Join lines into a quoted DOT string, escaped so that they are drawn literally.

    left: whether to align each line to the left.

    >>> print(quoted('say "hi"'), quoted("a\n", left=True))
    "say \"hi\"" "a\l"
    """
    lines = [line.replace("\\", "\\\\").replace('"', '\\"') for line in _drawable(texts)]
    lines = [re.sub(r"&(?=#?\w+;)", "&amp;", line) for line in lines]  # an entity that a layout program would decode
    return '"' + ("\\l" if left else "\\n").join(lines) + '"'


def _drawable(texts: Iterable[str]) -> list[str]:
    """Return the lines of texts, cut if they are long, without letters that a drawing cannot hold."""
    lines = "\n".join(texts).split("\n")
    lines = [line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…" for line in lines]
    return ["".join("\N{REPLACEMENT CHARACTER}" if _is_broken(c) else c for c in line) for line in lines]


def _is_broken(letter: str) -> bool:
    """Return whether a letter is a control character, half of a surrogate pair, or forbidden in XML."""
    return unicodedata.category(letter) in ("Cc", "Cs") or ord(letter) & 0xFFFE == 0xFFFE
