"""The nodes behind tensors as a picture: what each is called, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...backward import graph_of
from ...core import Leaf, Node, Tensor
from ...primitives import Primitive
from ..names import default_name
from ..picture import Edge, Output, Path, Picture, Vertex
from .calls import owners_path, paths_of_modules
from .execution import executed

__all__ = ["picture_of"]

_Names = Mapping[tuple[Node, int], Sequence[str]]
"""The names of outputs of nodes."""


def picture_of(tensors: Sequence[Tensor], names: Mapping[str, Tensor]) -> Picture:
    """The graph behind tensors, a vertex for each node.

    tensors: each has a graph. names: names of tensors, which win over those that modules give; that of one that
    is not in the graph is a ValueError.
    """
    order = graph_of([tensor.node for tensor in tensors if tensor.node is not None]).nodes
    known = _by_output(names, set(order))
    operations = executed(order)
    paths = paths_of_modules(operations)
    uses = _uses(operations)
    leaves = [*uses, *(node for node in order if node.primitive is None and node not in uses)]
    serial = {node: i for i, node in enumerate([*leaves, *operations])}
    vertices = [_leaf(node, known, owners_path(node, uses.get(node, ()), paths)) for node in leaves]
    vertices += [_operation(node, serial, paths.get(id(node.scope), node.scope)) for node in operations]
    _leave_out_unused_hidden_outputs(vertices)
    outputs = [_output(tensor, number, len(tensors), serial, known) for number, tensor in enumerate(tensors)]
    _name_what_is_between(vertices, outputs, serial, known)
    return Picture(vertices, outputs)


def _by_output(names: Mapping[str, Tensor], nodes: set[Node]) -> _Names:
    known: dict[tuple[Node, int], list[str]] = {}
    for name, tensor in names.items():
        if tensor.node is None:
            raise ValueError(f"render: names: {name!r} is not in the graph: it is a constant, without a gradient")
        if tensor.node not in nodes:
            raise ValueError(f"render: names: {name!r} is not in the graph: nothing that is drawn was made from it")
        known.setdefault((tensor.node, tensor.index), []).append(name)
    return known


def _uses(operations: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each leaf what uses it, in order; leaves in the order of first use."""
    uses: dict[Node, list[Node]] = {}
    for node in operations:
        for parent in node.parents:
            if parent.primitive is None:
                uses.setdefault(parent, []).append(node)
    return uses


def _leaf(node: Node, known: _Names, scope: Path) -> Vertex:
    """A leaf under the name that was given, which is the whole of it, else under its own in its module's scope."""
    given = known.get((node, 0), ("",))[-1]
    own = node.name if isinstance(node, Leaf) else ""
    return Vertex(
        "parameter" if own else "input", given or own or "input", node.outputs, scope if own and not given else (),
        node=node,
    )  # fmt: skip


def _operation(node: Node, serial: Mapping[Node, int], scope: Path) -> Vertex:
    primitive = node.primitive
    assert primitive is not None
    argnums, needs, indices = node.edges
    edges = zip(node.parents, argnums, indices, strict=True)
    name = primitive.input_name
    inputs = tuple([Edge(serial[parent], index, name(argnum)) for parent, argnum, index in edges])
    constants = () if all(needs) else tuple([name(i) for i, tracked in enumerate(needs) if not tracked])
    options = _unusual(primitive, node.params)
    return Vertex("operation", primitive.name, node.outputs, scope, inputs, node, options, constants)


def _leave_out_unused_hidden_outputs(vertices: Sequence[Vertex]) -> None:
    """A node has them since it was differentiated twice, and the picture may be of its value alone."""
    used = {(edge.source, edge.slot) for vertex in vertices for edge in vertex.inputs}
    for number, vertex in enumerate(vertices):
        if not any((number, slot) in used for slot in vertex.hidden):
            vertex.specs = vertex.specs[: vertex.hidden.start]


def _unusual(primitive: Primitive, options: dict[str, Any]) -> dict[str, Any]:
    """The options that differ from their defaults: the others say nothing."""
    if not options:
        return options
    parameters = primitive.signature.parameters
    return {name: value for name, value in options.items() if not _is_default(value, parameters[name].default)}


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and isinstance(value, (int, float, str)) and value == default


def _output(tensor: Tensor, number: int, total: int, serial: Mapping[Node, int], known: _Names) -> Output:
    """An output under the name that was given; a leaf has said its own."""
    node = tensor.node
    assert node is not None
    name = known.get((node, tensor.index), ("",))[-1] if node.primitive is not None else ""
    return Output(serial[node], tensor.index, name or default_name(number, total))


def _name_what_is_between(
    vertices: Sequence[Vertex], outputs: Iterable[Output], serial: Mapping[Node, int], known: _Names
) -> None:
    """Note at its vertex each name of what is neither a leaf nor an output."""
    asked = {(output.source, output.slot) for output in outputs}
    for (node, slot), names in known.items():
        if node.primitive is not None and (serial[node], slot) not in asked:
            vertices[serial[node]].names += tuple((slot, name) for name in names)
