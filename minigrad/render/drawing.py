"""Draw graphs into files and notebooks, and export them to NetworkX, graphviz and Mermaid.

The system's `dot`, or else the package graphviz-pure, does the layout. Without either, notebooks show an interactive
page.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import chain, count
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import Tensor
from ..nn.module import Module
from ..runtime.extras import how_to_install, require
from ..runtime.files import replacing
from ..spec import Array
from .display import Mermaid
from .dot import FEEDBACK, INK, to_dot
from .heat import gradient_norm, value_norm
from .labels import constants_of, leaf_names, option_span, output_name, shape_of, to_be_named, with_name
from .options import Depth, Unroll, drawn_picture
from .page import to_html
from .scopes import Scope, call_scopes

if TYPE_CHECKING:
    import graphviz

__all__ = ["Drawing", "DrawingError", "draw", "lay_out", "layout_program", "to_graphviz", "to_mermaid", "to_networkx",
           "write_layout"]  # fmt: skip

_SECONDS = 30.0  # how long a layout may take
_LARGEST = 24_000  # points: 32,000 pixels; browsers draw up to 32,767
_DARK = (  # for what is on the background, in a viewer in dark mode
    "<style>@media (prefers-color-scheme: dark) {"
    f' g [fill="{INK}"] {{ fill: #b4bcc6 }} g [stroke="{INK}"] {{ stroke: #b4bcc6 }}'
    f' g [fill="{FEEDBACK}"] {{ fill: #ffa657 }} g [stroke="{FEEDBACK}"] {{ stroke: #ffa657 }} }}</style>'
)


class DrawingError(ValueError):
    """A layout failed or took too long; the message names the file with its DOT text."""


class Drawing:
    """A drawn graph, which notebooks show as a picture, or as an interactive page without a layout program.

    Attributes:
        dot: the DOT text.
        path: the file that :func:`draw` wrote, or None.

    >>> import minigrad as mg
    >>> mg.render.draw(mg.tensor(1.0, requires_grad=True) * 2)
    a drawing, which trusted notebooks show; pass draw a path such as "graph.svg" to write it
    """

    def __init__(self, dot: str, svg: str | None = None, *, path: Path | None = None, page: str | None = None) -> None:
        self.dot, self.path, self._svg, self._page = dot, path, svg, page

    @property
    def svg(self) -> str:
        """The SVG text; laid out when it is first used, which raises as :func:`draw` does."""
        if self._svg is None:
            self._svg = _svg_of(self.dot)
        return self._svg

    def __repr__(self) -> str:
        how = ', which trusted notebooks show; pass draw a path such as "graph.svg" to write it'
        return f"a drawing in {self.path}" if self.path else f"a drawing{how}"

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg
        except (ModuleNotFoundError, DrawingError):  # a comparison then shows its text
            return None

    def _repr_html_(self) -> str | None:
        return self._page


def draw(
    tensors: Tensor | Iterable[Tensor],
    path: str | os.PathLike[str] | None = None,
    *,
    timeout: float = _SECONDS,
    **options: Any,
) -> Drawing:
    """Draw the graph of one or more tensors for a notebook, and into a file if there is a path.

    Args:
        path: the file, written atomically; its suffix is .svg, .png, .pdf or .dot.
        timeout: the time limit of the layout in seconds.
        options: those of :func:`to_dot`.

    Returns:
        a :class:`Drawing`, which notebooks show. Without a path and a layout program, they show the page of
        :func:`to_html`, which uses only the options ``unroll``, ``max_nodes``, ``names``, ``expand`` and ``title``.

    Raises:
        ValueError: for another suffix, or an invalid option. :class:`DrawingError` if the layout fails or takes too
            long, or if an SVG is larger than 24,000 points; with a path, the DOT text is then saved next to the
            picture.
        OSError: if the file cannot be written, or if it is a pipe or a device; raised before the layout begins.
        ModuleNotFoundError: if a file needs a layout program and neither `dot` nor graphviz-pure is installed; the
            message says how to install them.

    >>> import minigrad as mg, tempfile
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw(x * x, Path(folder, "square.dot")).path.read_text().splitlines()[0]
    'digraph minigrad {'
    """
    if not isinstance(path, str | os.PathLike | None):
        raise TypeError(f"draw: path must be a path, not {type(path).__name__}. Pass several tensors as a list.")
    dot = to_dot(tensors, **options)
    if path is not None:
        return Drawing(dot, path=write_layout(dot, path, timeout))
    try:
        return Drawing(dot, _svg_of(dot, timeout))
    except ModuleNotFoundError:
        shared = {name: options[name] for name in ("max_nodes", "names", "expand", "title") if name in options}
        page = to_html(tensors, unroll=options.get("unroll", "fold"), **shared)
        ignored = ", ".join(sorted({*options} - {*shared, "unroll", "gradients", "times"}))
        note = f"This page replaces the drawing, which needs Graphviz{f'; it ignores {ignored}' if ignored else ''}."
        return Drawing(dot, page=f"<div>{note}</div>{page._repr_html_()}")


def _svg_of(dot: str, timeout: float = _SECONDS) -> str:
    return lay_out(dot, "svg", timeout).decode()


def write_layout(dot: str, path: str | os.PathLike[str], timeout: float = _SECONDS) -> Path:
    """Lay out DOT text into a file, as :func:`draw` does."""
    target = Path(path)
    kind = target.suffix[1:].lower()
    if kind not in ("svg", "png", "pdf", "dot"):
        raise ValueError(f"draw: the suffix of {target.name} must be .svg, .png, .pdf or .dot")
    with replacing(target) as temporary:
        try:
            temporary.write_bytes(dot.encode() if kind == "dot" else lay_out(dot, kind, timeout))
        except DrawingError as error:
            kept = target.with_name(f"{target.name}.dot")
            with replacing(kept) as beside:
                beside.write_text(dot, encoding="utf-8")
            raise DrawingError(f"draw: {error}. The DOT text is in {kept}.") from None
    return target


def lay_out(dot: str, kind: str, timeout: float = _SECONDS) -> bytes:
    """Lay out DOT text as 'svg', 'png' or 'pdf'.

    Raise a DrawingError if that fails, takes too long or is too large. An SVG has a transparent background, and colours
    for dark mode.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or not 0 < timeout < math.inf:
        raise ValueError(f"draw: timeout must be a number of seconds above 0, not {timeout!r}")
    program = layout_program()
    name = Path(program).name
    if kind == "pdf" and name.startswith("graphviz-pure"):
        raise DrawingError("graphviz-pure cannot write PDF. Install Graphviz, or write SVG or PNG")
    try:
        options = [f"-T{kind}", *(["-Gbgcolor=transparent"] if kind == "svg" else [])]
        run = subprocess.run([program, *options], input=dot.encode(), capture_output=True, timeout=float(timeout))
    except subprocess.TimeoutExpired:
        raise DrawingError(
            f"the layout took more than {timeout:g} s. Try unroll='fold', depth=2, a smaller max_nodes or more time"
        ) from None
    if run.returncode or not run.stdout:
        words = " ".join(run.stderr.decode(errors="replace").split())
        raise DrawingError(f"{name} failed: {words[:500] or f'status {run.returncode}'}")
    size = re.search(rb'<svg width="(\d+)pt" height="(\d+)pt"', run.stdout) if kind == "svg" else None
    if size and max(int(size[1]), int(size[2])) > _LARGEST:
        raise DrawingError(
            f"the drawing is {int(size[1]):,} × {int(size[2]):,} points, but viewers show at most {_LARGEST:,}. "
            "Pass a smaller max_nodes, unroll='fold' or depth=2, or write a page with to_html"
        )
    return run.stdout.replace(b"<g ", _DARK.encode() + b"\n<g ", 1) if kind == "svg" else run.stdout


def layout_program() -> str:
    """Return the path of the system's `dot`, or else of graphviz-pure, next to this Python or on the path."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if found := shutil.which("dot") or shutil.which("graphviz-pure", path=places):
        return found
    raise ModuleNotFoundError(
        "drawing needs a layout program: Graphviz's dot (apt install graphviz, brew install graphviz), or "
        + how_to_install("viz", "graphviz_pure")
    )


# Other packages ---------------------------------------------------------------------------------


def to_graphviz(tensors: Tensor | Iterable[Tensor], **options: Any) -> graphviz.Source:
    """Return the graph of one or more tensors as a ``graphviz.Source``, the same for equal programs.

    The package graphviz can save, render and view it with the system's `dot`, and notebooks display it.
    :func:`minigrad.render.draw` has a time limit, writes files atomically, and can use graphviz-pure instead of `dot`.

    Args:
        options: those of :func:`to_dot`.

    Raises:
        ValueError, TypeError: as :func:`to_dot`.
        ModuleNotFoundError: if the package graphviz is not installed; the message says how to install it.
        graphviz.ExecutableNotFound: raised by methods of the result if there is no `dot`.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> source = to_graphviz(mg.tanh(x), names={"x": x}, direction="LR")
    >>> source.source.splitlines()[1].split()[0]
    'rankdir=LR'
    """
    return require("graphviz", "viz").Source(to_dot(tensors, **options))


def to_networkx(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "primitive",
    max_nodes: int = sys.maxsize,
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str] = (),
) -> Any:
    """Return the graph of one or more tensors as a ``networkx.MultiDiGraph``.

    You can search, measure or export it. Nodes are numbered from 0, each after those that feed it. Their attributes:

    - ``kind`` ('operation', 'parameter', 'buffer', 'input' or 'omitted') and ``label``, the name of the primitive or a
      unique name of a leaf;
    - ``shape`` and ``dtype`` of the first output, and ``outputs`` with (shape, dtype) of each;
    - ``scope``, a tuple of names, and ``step`` in an unrolled sequence, or None;
    - ``options`` as text, and ``constants``, the value ('= 2') of each constant argument of one entry;
    - ``remark``, such as the name of an intermediate tensor, if there is one;
    - ``line``, ``value_norm`` and ``gradient_norm`` of the first output, if :func:`minigrad.record` noted them; a
      folded loop has no norms, because those of its steps differ.

    An edge has ``argument``, the name of the argument that it feeds, ``slot``, the number of the output that it comes
    from, and its ``shape`` and ``dtype``. The graph has ``outputs``: (node, slot, name) of each requested tensor.

    Args:
        unroll: see :func:`minigrad.render.to_dot`. The default is 'primitive', so that the nodes are those of the
            graph, where a sequence primitive is one node. With 'fold', the edges from the previous step are left out,
            so that the graph has no cycles.
        max_nodes: see there; by default nothing is left out, because the result is for programs.
        names, expand: see there.

    Raises:
        ValueError: if a tensor has no graph, a named tensor is not in it, or an option is unknown.
        ModuleNotFoundError: if networkx is not installed; the message says how to install it.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> graph = to_networkx((x * x).sum(), names={"x": x})
    >>> list(graph.nodes(data="label"))
    [(0, 'x'), (1, 'multiply'), (2, 'sum')]
    >>> list(graph.edges(data="argument"))
    [(0, 1, 'a'), (0, 1, 'b'), (1, 2, 'x')]
    """
    picture = drawn_picture(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand)
    graph = require("networkx", "viz").MultiDiGraph()
    leaves = leaf_names(picture)
    for number, vertex in enumerate(picture.vertices):
        outputs = [(shape, str(dtype)) for shape, dtype in vertex.specs]
        first = outputs[0] if outputs else (None, None)
        noted = {
            "remark": vertex.remark,
            "line": vertex.note.line if vertex.note else None,
            "value_norm": value_norm(vertex, 0),
            "gradient_norm": gradient_norm(vertex, 0),
        }
        graph.add_node(
            number, kind=vertex.kind, label=leaves.get(number, vertex.label),
            shape=first[0], dtype=first[1], outputs=outputs, scope=vertex.scope,
            options=option_span([v.options for v in vertex.folds or (vertex,)]),
            step=vertex.step if vertex.in_row else None,
            constants={constant.argument: constant.text for constant in constants_of(vertex)},
            **{name: value for name, value in noted.items() if value not in (None, "")},
        )  # fmt: skip
        for edge in vertex.inputs:
            shape, dtype = picture.vertices[edge.source].specs[edge.slot]
            graph.add_edge(edge.source, number, argument=edge.argument, slot=edge.slot, shape=shape, dtype=str(dtype))
    graph.graph["outputs"] = [tuple(output) for output in picture.outputs]
    return graph


def to_mermaid(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_nodes: int = 200,
    names: Mapping[str, Tensor | Module | Array] | None = None,
    expand: Iterable[str] = (),
    depth: Depth = "auto",
) -> Mermaid:
    """Return the graph of one or more tensors as a Mermaid flowchart, which GitHub and JupyterLab draw.

    Put the text into a README as a code block of the language ``mermaid``. Each box names its operation, options,
    parameters with their shapes, and constants. Modules are frames.

    Args:
        max_nodes: see :func:`to_dot`; the default is lower, because Mermaid draws at most 500 arrows and reads at most
            50,000 characters.
        unroll, names, expand, depth: see there.

    Raises:
        ValueError, TypeError: as :func:`to_dot`. ValueError, too, if there are more than 500 arrows.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(to_mermaid(mg.softmax(x, axis=0), names={"x": x}))
    flowchart TD
      n0["x<br>[2]"]
      n1["softmax<br>axis=0"]
      n0 -->|"[2]"| n1
      n1 --> y0["output<br>[2]"]
    """
    picture = drawn_picture(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, depth=depth)
    vertices, known, frames = picture.vertices, leaf_names(picture), count(1)
    inside = {i for i, v in enumerate(vertices) if v.is_held} - {end.source for end in picture.outputs}
    boxes: list[str] = []
    arrows: list[str] = []
    for number, vertex in enumerate(vertices):
        named = to_be_named(picture, vertex, inside)
        uses = [(edge, vertices[edge.source]) for edge in (*vertex.inputs, *vertex.feedback)]
        lines = [
            known.get(number, vertex.label),
            *vertex.scope[len(vertex.around) :],  # the name of a step
            *(shape_of(spec) for spec in vertex.specs if vertex.is_leaf),
            option_span([v.options for v in vertex.folds or (vertex,)]),
            vertex.remark,
            *(with_name(e.argument, named, f"{s.label} {shape_of(s.specs[0])}") for e, s in uses if e.source in inside),
            *(with_name(constant.argument, named, constant.text) for constant in constants_of(vertex)),
        ]
        boxes.append("" if number in inside else f"n{number}[{_in_mermaid(*lines)}]")
        arrows += [
            f"n{e.source} {'-.->' if e in vertex.feedback else '-->'}|"
            f"{_in_mermaid(with_name(e.argument, named, output_name(s, e.slot)), e.part or shape_of(s.specs[e.slot]))}"
            f"| n{number}"
            for e, s in uses
            if e.source not in inside
        ]
    arrows += [
        f"n{source} --> y{number}[{_in_mermaid(name, shape_of(vertices[source].specs[slot]))}]"
        for number, (source, slot, name) in enumerate(picture.outputs)
    ]

    def framed(scope: Scope) -> list[str]:
        """Write a scope and everything in it."""
        inner = (framed(item) if isinstance(item, Scope) else [boxes[item]] for item in scope.items)
        return [f"subgraph s{next(frames)}[{_in_mermaid(scope.name)}]", *chain(*inner), "end"]

    if len(arrows) > 500:
        raise ValueError(
            f"to_mermaid: the graph has {len(arrows)} arrows, but Mermaid draws at most 500. Pass a smaller max_nodes "
            "or depth."
        )
    return Mermaid("\n  ".join(filter(None, ["flowchart TD", *framed(call_scopes(picture))[1:-1], *arrows])))


def _in_mermaid(*lines: str) -> str:
    """Quote lines of text for Mermaid: other characters by number, and a blank for an empty text."""
    text = re.sub(r"[^\w ×→·…:=,.()[\]\n-]", lambda found: f"#{ord(found[0])};", "\n".join(filter(None, lines)))
    return '"' + (text.replace("\n", "<br>") or " ") + '"'
