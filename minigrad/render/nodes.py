"""Build pictures of the graphs of tensors, with names of modules and parameters.

A scope is a path of names, and two modules of one class that no module holds have the same path. But each call creates
a new path object, which all nodes of the call share. Two calls with different parameters of the same name are calls of
two modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from ..backward import graph_of
from ..core import Leaf, Node, Tensor
from .labels import STEP, default_name, free_names
from .picture import Edge, Output, Path, Picture, Vertex, shared_path

__all__ = ["executed", "paths_of_modules", "picture_of"]

_Paths = Mapping[int, Path]  # new paths of scopes, by the identity of the nodes' paths


def picture_of(tensors: Sequence[Tensor], names: Mapping[str, Tensor]) -> Picture:
    """Return the graph of tensors, with a vertex for each node.

    Args:
        tensors: each has a graph.
        names: names of tensors, which take precedence over those from modules.

    Raises:
        ValueError: if a named tensor is not in the graph.
    """
    order = graph_of([tensor.node for tensor in tensors if tensor.node is not None]).nodes
    known = _by_output(names, set(order))
    operations = executed(order)
    paths = paths_of_modules(operations)
    uses: dict[Node, list[Node]] = {}  # of each leaf, in order
    for node in operations:
        for parent in node.parents:
            if parent.primitive is None:
                uses.setdefault(parent, []).append(node)
    leaves = [*uses, *(node for node in order if node.primitive is None and node not in uses)]
    serial = {node: i for i, node in enumerate([*leaves, *operations])}
    vertices = [_leaf(node, known, _owners_path(node, uses.get(node, ()), paths)) for node in leaves]
    vertices += [_operation(node, serial, paths.get(id(node.scope), node.scope)) for node in operations]
    used = {(edge.source, edge.slot) for vertex in vertices for edge in vertex.inputs}
    for number, vertex in enumerate(vertices):
        if not any((number, slot) in used for slot in vertex.hidden):  # the picture may show only the value
            vertex.specs = vertex.specs[: vertex.hidden.start]
    outputs = []
    for number, place in enumerate((tensor.node, tensor.index) for tensor in tensors if tensor.node is not None):
        name = "" if place[0].primitive is None else known.get(place, ("",))[-1]
        outputs.append(Output(serial[place[0]], place[1], name or default_name(number, len(tensors))))
    asked = {(output.source, output.slot) for output in outputs}
    for (node, slot), several in known.items():
        if node.primitive is not None and (serial[node], slot) not in asked:
            vertices[serial[node]].names += tuple((slot, name) for name in several)
    return Picture(vertices, outputs)


def _by_output(names: Mapping[str, Tensor], nodes: set[Node]) -> dict[tuple[Node, int], list[str]]:
    """Return the names of outputs of nodes."""
    known: dict[tuple[Node, int], list[str]] = {}
    for name, tensor in names.items():
        if tensor.node is None:
            raise ValueError(f"render: names: {name!r} is not in the graph: it is a constant without a gradient")
        if tensor.node not in nodes:
            raise ValueError(f"render: names: {name!r} is not in the graph: no drawn tensor depends on it")
        known.setdefault((tensor.node, tensor.index), []).append(name)
    return known


def _leaf(node: Node, known: Mapping[tuple[Node, int], Sequence[str]], scope: Path) -> Vertex:
    """Return the vertex of a leaf under its given name, or under its own name in its module's scope."""
    given = known.get((node, 0), ("",))[-1]
    own = node.name if isinstance(node, Leaf) else ""
    kind, label = "parameter" if own else "input", given or own or "input"
    return Vertex(kind, label, node.outputs, scope if own and not given else (), node=node)  # type: ignore[arg-type]


def _operation(node: Node, serial: Mapping[Node, int], scope: Path) -> Vertex:
    primitive = node.primitive
    assert primitive is not None
    argnums, needs, indices = node.edges
    edges = zip(node.parents, argnums, indices, strict=True)
    name = primitive.input_name
    inputs = tuple([Edge(serial[parent], index, name(argnum)) for parent, argnum, index in edges])
    constants = tuple([name(i) for i, tracked in enumerate(needs) if not tracked])
    parameters = primitive.signature.parameters
    options = {k: value for k, value in node.params.items() if not _is_default(value, parameters[k].default)}
    return Vertex("operation", primitive.name, node.outputs, scope, inputs, node, options, constants)


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and isinstance(value, (int, float, str)) and value == default


# Modules ----------------------------------------------------------------------------------------


def paths_of_modules(operations: Sequence[Node]) -> _Paths:
    """Return new paths for modules that share one: `LSTM 1`, `LSTM 2`, in order of use.

    A path that contains other modules stays, because the nodes do not reveal which of these belong to which.

    >>> from minigrad import nn
    >>> y = nn.Linear(2, 2)(nn.Linear(2, 2)([[1.0, 2.0]]))
    >>> sorted(paths_of_modules([y.node, y.node.parents[0]]).values())
    [('Linear 1',), ('Linear 2',)]
    """
    calls: dict[Path, dict[int, set[Node]]] = {}  # the parameters of each call
    for node in operations:
        held = calls.setdefault(node.scope, {}).setdefault(id(node.scope), set())
        held.update(parent for parent in node.parents if isinstance(parent, Leaf) and parent.name)
    around = {path[:depth] for path in calls for depth in range(len(path))}
    taken = {path[-1] for path in calls if path}
    result: dict[int, Path] = {}
    for path, several in calls.items():
        # the name of an attribute, unlike that of a class, already belongs to one module
        is_class = len(path) == 1 or (len(path) > 1 and path[-1][:1].isupper())
        if len(several) > 1 and path not in around and is_class and not STEP.fullmatch(path[-1]):
            modules = _modules(several)
            if count := max(modules.values()):
                names = free_names(path[-1], count + 1, taken)
                result |= {call: (*path[:-1], names[k]) for call, k in modules.items()}
    return result


def _modules(calls: Mapping[int, set[Node]]) -> dict[int, int]:
    """Number the module of each call.

    It is the first that shares a parameter, or the first if the call has no parameters.
    """
    modules: list[set[Node]] = []
    result = {}
    for call, held in calls.items():
        fitting = (k for k, known in enumerate(modules) if not (held and known and known.isdisjoint(held)))
        result[call] = k = next(fitting, len(modules))
        modules[k:] = [held.union(*modules[k : k + 1]), *modules[k + 1 :]]
    return result


def _owners_path(leaf: Node, uses: Iterable[Node], paths: _Paths) -> Path:
    """Return the path of the module that holds a parameter.

    It is empty if no scope of a use contains the module's name. A scope contains it if a call of the module uses the
    parameter, or passes it to an inner module. The path that all uses share is tried first, so that no single use
    decides for tied weights.
    """
    owner = leaf.owner if isinstance(leaf, Leaf) else ""
    scopes = list({id(node.scope): node.scope for node in uses}.values())
    if not owner or not scopes:
        return ()
    shared = reduce(shared_path, scopes)
    for path, scope in [(shared, scopes[0]), *((scope, scope) for scope in scopes)]:
        if owner in path:
            return paths.get(id(scope), scope)[: len(path) - path[::-1].index(owner)]
    return ()


def executed(order: Iterable[Node]) -> list[Node]:
    """Return the operations among nodes in the order in which they ran.

    >>> import minigrad as mg
    >>> h, heads = mg.tensor([1.0], requires_grad=True), []
    >>> for _ in range(3):
    ...     h = mg.tanh(h)
    ...     heads.append(mg.exp(h))
    >>> [node.primitive.name for node in executed(mg.backward.graph_of([mg.stack(heads).node]).nodes)]
    ['tanh', 'exp', 'tanh', 'exp', 'tanh', 'exp', 'stack']
    """
    operations = [node for node in order if node.primitive is not None]
    return sorted(operations, key=lambda node: node.born)
