"""DOT text from a picture: clusters for scopes, stubs for parameters, shapes on the edges.

A weight that every step of a loop shares would tie the whole drawing into a knot (and take `dot` minutes). So it stands
as a small stub beside each vertex that uses it, and once in a legend with its shape. The steps of a sequence
primitive are boxes in a row, with time to the right. (A cluster around each would look the same, but `dot` then draws
rows from right to left, or mixes them: its order of a row does not heed edges between clusters.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..core import Tensor
from ..spec import Spec
from .fold import folded, limited
from .heat import flow_norm, gradient_norm, heat_of, value_norm
from .order import grouped
from .picture import Edge, Picture, Vertex, leaf_names, picture_of, unrolled

__all__ = ["Direction", "Unroll", "Values", "arranged", "quoted", "to_dot"]

Unroll = Literal["steps", "fold", "primitive"]
Direction = Literal["TB", "BT", "LR", "RL"]
Values = Literal["shape", "norm", "none"]

_STYLE = {
    "operation": 'shape=box style="rounded,filled" fillcolor="#eef3fb" color="#7f93b2"',
    "input": 'shape=box style="filled" fillcolor="#e3f2e1" color="#6aa364"',
    "parameter": 'shape=box style="filled" fillcolor="#fdf3d8" color="#c9a13b" fontsize=9 height=0.2 margin="0.06,0.02"',
    "elision": 'shape=box style="dashed,rounded" color="#777777" fontcolor="#555555"',
    "output": 'shape=box style="filled" fillcolor="#f9e0dc" color="#c4695c" penwidth=1.5',
}


def arranged(
    tensors: Tensor | Iterable[Tensor],
    unroll: Unroll = "fold",
    max_nodes: int = 1000,
    names: Mapping[str, Tensor] | None = None,
) -> Picture:
    """The picture that a drawing shows: unrolled, folded and cut down as asked for.

    unroll: 'primitive' shows a sequence primitive as one box; 'steps' every step; 'fold' the first and the last of
    equal steps, and how many are between them. max_nodes: a picture with more operations is folded in any case, and if
    that is not enough the nearest to the outputs are kept, with the number of the others.
    """
    if unroll not in ("steps", "fold", "primitive"):
        raise ValueError(f"render: unroll must be 'steps', 'fold' or 'primitive', not {unroll!r}")
    if type(max_nodes) is not int or max_nodes < 1:
        raise ValueError(f"render: max_nodes must be an int of at least 1, not {max_nodes!r}")
    picture = picture_of(tensors, names)
    if unroll != "primitive":
        picture = unrolled(picture)
    if unroll == "fold" or len(picture.vertices) > max_nodes:
        picture = folded(grouped(picture))
    return limited(picture, max_nodes)


def to_dot(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_nodes: int = 1000,
    direction: Direction = "TB",
    values: Values = "shape",
    gradients: bool | tuple[float, float] = False,
    title: str = "",
    names: Mapping[str, Tensor] | None = None,
) -> str:
    """The graph behind a tensor (or several) as DOT text, the same for equal graphs.

    Args:
        unroll, max_nodes, names: see :func:`arranged`. names: names of tensors, such as inputs and outputs.
        direction: where data flows: 'TB' downwards, 'LR' to the right, 'BT', 'RL'.
        values: what stands on the edges: the shape of what flows there, the norm of its value (noted by
            :func:`minigrad.record`), or nothing.
        gradients: colour everything by the norm of the gradient that flowed there in the last backward pass within
            :func:`minigrad.record`, on a log scale; a pair of norms (low, high) fixes the ends of the scale.
        title: stands above the drawing.

    Raises:
        ValueError: if a tensor has no graph, or an option is unknown.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(to_dot(mg.tanh(x), names={"x": x}))
    """
    if direction not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"to_dot: direction must be 'TB', 'BT', 'LR' or 'RL', not {direction!r}")
    if values not in ("shape", "norm", "none"):
        raise ValueError(f"to_dot: values must be 'shape', 'norm' or 'none', not {values!r}")
    return _Writer(arranged(tensors, unroll, max_nodes, names), direction, values, gradients, title).text()


def quoted(text: str) -> str:
    """A DOT string of the text: quotes, backslashes and line breaks escaped, control characters replaced.

    >>> print(quoted('say "hi"'))
    "say \\"hi\\""
    """
    visible = "".join(c if c >= " " or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return '"' + visible.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def shape_of(spec: Spec) -> str:
    """A shape and, where it is not float32, the dtype.

    >>> shape_of(((2, 3), np.dtype("float64")))
    '2×3 float64'
    """
    shape, dtype = spec
    text = "×".join(map(str, shape)) if shape else "scalar"
    return text if dtype == np.float32 else f"{text} {dtype}"


def option_text(options: Mapping[str, Any]) -> str:
    """Options in a few words."""
    parts = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        text = f"{type(value).__name__} {value.shape}" if isinstance(value, np.ndarray) else repr(value)
        parts.append(f"{name}={text if len(text) <= 24 else text[:23] + '…'}")
    return ", ".join(parts)


class _Writer:
    """Collects the lines of one drawing."""

    def __init__(self, picture: Picture, direction: str, values: str, gradients: Any, title: str) -> None:
        self.picture, self.direction, self.values, self.title = picture, direction, values, title
        self.names = leaf_names(picture)
        self.heat = heat_of(picture, None if gradients is True else gradients) if gradients else None
        self.lines: list[str] = []
        self.edges: list[str] = []

    def text(self) -> str:
        self.lines = [
            "digraph minigrad {",
            f'  rankdir={self.direction} newrank=true fontname="Helvetica" fontsize=11 nodesep=0.25 ranksep=0.35',
            '  node [fontname="Helvetica" fontsize=11 height=0.3 margin="0.1,0.04"]',
            '  edge [fontname="Helvetica" fontsize=9 color="#666666" fontcolor="#666666" arrowsize=0.6]',
        ]
        if self.title:
            self.lines.append(f"  label={quoted(self.title)} labelloc=t fontsize=14")
        self._cluster(_tree(self.picture), "  ")
        self._rows()
        self._outputs()
        self._legend()
        return "\n".join([*self.lines, *self.edges, "}"]) + "\n"

    def _cluster(self, tree: _Tree, indent: str) -> None:
        """The vertices of one scope, then its inner scopes."""
        for number in tree.vertices:
            self._vertex(number, indent)
        for name, inner in tree.inner.items():
            self.lines.append(f"{indent}subgraph cluster_{inner.number} {{")
            self.lines.append(f'{indent}  label={quoted(name)} labeljust=l style=rounded color="#b8b8b8" fontcolor="#555555"')
            self._cluster(inner, indent + "  ")
            self.lines.append(f"{indent}}}")

    def _vertex(self, number: int, indent: str) -> None:
        vertex = self.picture.vertices[number]
        if vertex.kind == "parameter":
            return  # a stub beside each that uses it
        label = vertex.label
        if vertex.kind == "input":
            label += "\n" + shape_of(vertex.specs[0])
        elif vertex.step is not None:
            label = "\n".join([vertex.scope[-1], label, *self._parameters(number)])
        elif text := option_text(vertex.options):
            label += "\n" + text
        self.lines.append(f"{indent}n{number} [label={quoted(label)} {_STYLE[vertex.kind]}{self._fill(vertex)}]")
        if vertex.step is None:
            for stub in self._parameters(number):
                self.lines.append(f"{indent}p{number} [label={quoted(stub)} {_STYLE['parameter']}]")
                self.edges.append(f'  p{number} -> n{number} [color="#c9a13b"]')
        for edge in vertex.inputs:
            if self.picture.vertices[edge.source].kind != "parameter":
                self.edges.append(f"  n{edge.source} -> n{number}{self._attributes(vertex, edge)}")

    def _parameters(self, number: int) -> list[str]:
        """The names of the parameters that a vertex takes, as one text; none if there are none."""
        sources = [edge.source for edge in self.picture.vertices[number].inputs]
        names = [self.names[i] for i in sources if self.picture.vertices[i].kind == "parameter"]
        return ["  ".join(names)] if names else []

    def _fill(self, vertex: Vertex) -> str:
        """The colour of a vertex by the largest gradient of its outputs."""
        if self.heat is None or vertex.kind == "elision":
            return ""
        norms = [gradient_norm(vertex, slot) for slot in range(len(vertex.specs))]
        norm = max((norm for norm in norms if norm is not None), default=None)
        return f' fillcolor="{self.heat.color(norm)}" fontcolor="{self.heat.text_color(norm)}"'

    def _gradient(self, leaf: Vertex) -> str:
        norm = None if self.heat is None else gradient_norm(leaf, 0)
        return "" if norm is None else f"  gradient {norm:.1e}"

    def _attributes(self, vertex: Vertex, edge: Edge) -> str:
        attributes = [f"label={quoted(label)}"] if (label := self._label(edge)) else []
        if self.heat is not None:
            norm = flow_norm(self.picture, vertex, edge)
            attributes += [f'color="{self.heat.color(norm)}" penwidth=2.5'] if norm else ['style=dotted']
        return f" [{' '.join(attributes)}]" if attributes else ""

    def _label(self, edge: Edge) -> str:
        source = self.picture.vertices[edge.source]
        name = f"{edge.argument} " if len(source.specs) > 1 and edge.argument.isalnum() else ""
        if self.values == "none" or source.kind in ("input", "elision"):
            return edge.part
        if self.values == "norm":
            norm = value_norm(source, edge.slot)
            return "" if norm is None else f"{name}{norm:.3g}"
        return edge.part or name + shape_of(source.specs[edge.slot])

    def _rows(self) -> None:
        """The steps of a sequence side by side, as time is drawn: in a row, edges point to the right."""
        rows: dict[Any, list[int]] = {}
        for number, vertex in enumerate(self.picture.vertices):
            if vertex.step is not None:
                rows.setdefault(vertex.node, []).append(number)
        self.lines += [f"  {{ rank=same {' '.join(f'n{number}' for number in row)} }}" for row in rows.values()]

    def _outputs(self) -> None:
        for i, output in enumerate(self.picture.outputs):
            source = self.picture.vertices[output.source]
            shape = shape_of(source.specs[output.slot]) if source.specs else ""
            self.lines.append(f"  o{i} [label={quoted(output.name + chr(10) + shape)} {_STYLE['output']}]")
            self.edges.append(f"  n{output.source} -> o{i}")

    def _legend(self) -> None:
        leaves = [(number, v) for number, v in enumerate(self.picture.vertices) if v.kind == "parameter"]
        if leaves:
            rows = [f"{self.names[number]}  {shape_of(v.specs[0])}{self._gradient(v)}" for number, v in leaves]
            text = quoted("\n".join(["parameters", *rows, ""])).replace("\\n", "\\l")
            self.lines.append(f'  legend [label={text} shape=note fontsize=9 style=filled fillcolor="#fffaf0" color="#c9a13b"]')
        if self.heat is not None:
            cells = [f'<td bgcolor="{self.heat.color(tick)}"><font color="{self.heat.text_color(tick)}">{tick:.1e}</font></td>'
                     for tick in self.heat.ticks()]  # fmt: skip
            table = f'<table border="0" cellborder="0" cellspacing="0"><tr><td colspan="{len(cells)}">norm of the gradient (dotted: none)</td></tr><tr>{"".join(cells)}</tr></table>'
            self.lines.append(f"  scale [label=<{table}> shape=plain fontsize=9]")


class _Tree:
    """A scope: the vertices directly in it, and the scopes in it."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.vertices: list[int] = []
        self.inner: dict[str, _Tree] = {}


def _tree(picture: Picture) -> _Tree:
    root, count = _Tree(), 0
    for number, vertex in enumerate(picture.vertices):
        tree = root
        path = () if vertex.is_leaf else vertex.scope if vertex.step is None else vertex.scope[:-1]
        for name in path:
            if name not in tree.inner:
                count += 1
                tree.inner[name] = _Tree(count)
            tree = tree.inner[name]
        tree.vertices.append(number)
    return root
