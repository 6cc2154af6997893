"""Graphs for other packages: NetworkX and graphviz."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..core import Tensor
from ..runtime.extras import require
from .dot import to_dot
from .heat import gradient_norm, value_norm
from .labels import constants_of, leaf_names, option_text
from .options import Unroll, drawn_picture

if TYPE_CHECKING:
    import graphviz

__all__ = ["to_graphviz", "to_networkx"]


def to_graphviz(tensors: Tensor | Iterable[Tensor], **options: Any) -> graphviz.Source:
    """The graph behind one or several tensors as a ``graphviz.Source``, the same for equal graphs.

    The package graphviz then saves, renders and views it by the system's `dot`, and notebooks show it.
    :func:`minigrad.render.draw` has a time limit, writes files whole, and does without `dot` where graphviz-pure is
    installed.

    Args:
        options: those of :func:`to_dot`.

    Raises:
        ValueError, TypeError: as :func:`to_dot`.
        ModuleNotFoundError: if the package graphviz is not installed; says how to get it.
        graphviz.ExecutableNotFound: from its methods, where there is no `dot`.

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
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
) -> Any:
    """The graph behind one or several tensors as a ``networkx.MultiDiGraph``, to search, measure or export.

    Nodes are numbered from 0, each after those that feed it. Their attributes:

    - ``kind`` ('operation', 'parameter', 'input' or 'elision') and ``label``, the name of the primitive or a unique
      name of a leaf;
    - ``shape`` and ``dtype`` of the first output, and ``outputs`` with (shape, dtype) of each;
    - ``scope``, a tuple of names, and ``step`` within an unrolled sequence, else None;
    - ``options`` as text, and ``constants``, a text for each constant argument: its value if it was recorded and is a
      single number, else its shape, else 'constant';
    - ``remark``, such as the name of a tensor between leaves and outputs, if there is one;
    - ``line``, ``value_norm`` and ``gradient_norm`` of the first output, if :func:`minigrad.record` noted them.

    An edge has ``argument``, the name of the argument that it feeds, ``slot``, the number of the output that it comes
    from, and its ``shape`` and ``dtype``. The graph has ``outputs``: (node, slot, name) of each requested tensor.

    Args:
        unroll: see :func:`minigrad.render.to_dot`. The default is 'primitive', so that the nodes are those of the
            graph, where a sequence primitive is one.
        max_nodes: see there; by default nothing is left out, since a program reads it.
        names, expand: see there.

    Raises:
        ValueError: if a tensor has no graph, a named one is not in the graph, or an option is unknown.
        ModuleNotFoundError: if networkx is not installed; says how to get it.

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
        shape, dtype = outputs[0] if outputs else (None, None)
        noted = {
            "remark": vertex.remark,
            "line": vertex.note.line if vertex.note else None,
            "value_norm": value_norm(vertex, 0),
            "gradient_norm": gradient_norm(vertex, 0),
        }
        graph.add_node(
            number, kind=vertex.kind, label=leaves.get(number, vertex.label), shape=shape, dtype=dtype, outputs=outputs,
            scope=vertex.scope, options=option_text(vertex.options), step=vertex.step,
            constants={constant.argument: constant.text for constant in constants_of(vertex)},
            **{name: value for name, value in noted.items() if value not in (None, "")},
        )  # fmt: skip
        for edge in vertex.inputs:
            shape, dtype = picture.vertices[edge.source].specs[edge.slot]
            graph.add_edge(edge.source, number, argument=edge.argument, slot=edge.slot, shape=shape, dtype=str(dtype))
    graph.graph["outputs"] = [tuple(output) for output in picture.outputs]
    return graph
