"""Graphs for other programs: NetworkX."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ..core import Tensor
from ..recording import note_of
from ..runtime.extras import require
from .arguments import constants_of
from .names import leaf_names
from .norms import gradient_norm, value_norm
from .notation import option_text
from .passes.arrange import arranged
from .picture import Vertex
from .reading.nodes import picture_of
from .request import Unroll, requested

__all__ = ["to_networkx"]


def to_networkx(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "primitive",
    max_nodes: int = sys.maxsize,
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
) -> Any:
    """The graph behind a tensor (or several) as a ``networkx.MultiDiGraph``, to be searched, measured and exported.

    Nodes are numbered from 0, each after those that feed it. They have the attributes ``kind`` ('operation',
    'parameter', 'input' or 'elision'), ``label`` (the primitive's name; a leaf's name, no two alike), ``shape`` and
    ``dtype`` of the first output, ``outputs`` with (shape, dtype) of each, ``scope`` (a tuple of names), ``options`` (a
    text), ``constants`` (a text for each constant argument: its value if that was noted and is a single number, else
    its shape, else 'constant') and ``step`` (within an unrolled sequence, else None); ``remark``, such as the name of
    what is between leaves and outputs; and what :func:`minigrad.record` noted: ``line``, ``value_norm`` and
    ``gradient_norm`` of the first output. An edge has ``argument``, the name of the argument that it feeds, ``slot``,
    the number of the output that it comes from, and its ``shape`` and ``dtype``.
    The graph itself has ``outputs``: (node, slot, name) of each tensor asked for.

    Args:
        unroll: see :func:`minigrad.render.to_dot`. The default is 'primitive', so that the nodes are those of the
            graph, where a sequence primitive is one.
        max_nodes: see there; by default nothing is left out, since a program reads it.
        names, expand: see there.

    Raises:
        ValueError: if a tensor has no graph, one that is named is not in the graph, or an option is unknown.
        ModuleNotFoundError: if networkx is not installed; says how to get it.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> graph = to_networkx((x * x).sum(), names={"x": x})
    >>> list(graph.nodes(data="label"))
    [(0, 'x'), (1, 'multiply'), (2, 'sum')]
    >>> list(graph.edges(data="argument"))
    [(0, 1, 'a'), (0, 1, 'b'), (1, 2, 'x')]
    """
    request = requested(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand)
    picture = picture_of(request.tensors, request.names)
    picture = arranged(picture, request)
    graph = require("networkx", "viz").MultiDiGraph()
    leaves = leaf_names(picture)
    for number, vertex in enumerate(picture.vertices):
        graph.add_node(number, **_attributes(vertex, leaves.get(number, vertex.label)))
    for number, vertex in enumerate(picture.vertices):
        for edge in vertex.inputs:
            shape, dtype = picture.vertices[edge.source].specs[edge.slot]
            about = {"argument": edge.argument, "slot": edge.slot, "shape": shape, "dtype": str(dtype)}
            graph.add_edge(edge.source, number, **about)
    graph.graph["outputs"] = [(output.source, output.slot, output.name) for output in picture.outputs]
    return graph


def _attributes(vertex: Vertex, label: str) -> dict[str, Any]:
    outputs = [(shape, str(dtype)) for shape, dtype in vertex.specs]
    shape, dtype = outputs[0] if outputs else (None, None)
    attributes = {
        "kind": vertex.kind, "label": label, "shape": shape, "dtype": dtype, "outputs": outputs, "scope": vertex.scope,
        "options": option_text(vertex.options), "step": vertex.step,
        "constants": {constant.argument: constant.text for constant in constants_of(vertex)},
    }  # fmt: skip
    note = None if vertex.node is None else note_of(vertex.node)
    noted = {
        "remark": vertex.remark,
        "line": note.line if note else None,
        "value_norm": value_norm(vertex, 0),
        "gradient_norm": gradient_norm(vertex, 0),
    }
    return attributes | {name: value for name, value in noted.items() if value not in (None, "")}
