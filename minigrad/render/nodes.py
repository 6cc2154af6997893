"""Pictures of the nodes behind tensors, with the names of modules and parameters that the nodes reveal.

A scope is a path of names, and two modules of one class that no module holds have the same path. But each call makes a
new path object, which all nodes of the call share. Two calls whose parameters of one name differ are calls of two
modules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from ..backward import graph_of
from ..core import Leaf, Node, Tensor
from .execution_order import executed
from .formatting import STEP
from .labels import default_name, free_names
from .picture import Edge, Output, Path, Picture, Vertex, shared_path

__all__ = ["paths_of_modules", "picture_of"]

_Names = Mapping[tuple[Node, int], Sequence[str]]  # the names of outputs of nodes
_Paths = Mapping[int, Path]  # new paths of scopes, by the identity of the path that the nodes hold
_Held = dict[str, set[Node]]  # parameters by name


def picture_of(tensors: Sequence[Tensor], names: Mapping[str, Tensor]) -> Picture:
    """The graph behind tensors, with a vertex for each node.

    Args:
        tensors: each has a graph.
        names: names of tensors, which win over those that modules give.

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
        if not any((number, slot) in used for slot in vertex.hidden):  # the picture may be of the value alone
            vertex.specs = vertex.specs[: vertex.hidden.start]
    outputs = []
    for number, tensor in enumerate(tensors):
        assert tensor.node is not None
        name = "" if tensor.node.primitive is None else known.get((tensor.node, tensor.index), ("",))[-1]
        outputs.append(Output(serial[tensor.node], tensor.index, name or default_name(number, len(tensors))))
    asked = {(output.source, output.slot) for output in outputs}
    for (node, slot), several in known.items():
        if node.primitive is not None and (serial[node], slot) not in asked:
            vertices[serial[node]].names += tuple((slot, name) for name in several)
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


def _leaf(node: Node, known: _Names, scope: Path) -> Vertex:
    """A leaf under the name that was given, or under its own name in the scope of its module."""
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
    """New paths for modules that share one: `LSTM 1`, `LSTM 2`, in order of use.

    A path that holds other modules stays: the nodes do not tell which of these belong to which.

    >>> from minigrad import nn
    >>> y = nn.Linear(2, 2)(nn.Linear(2, 2)([[1.0, 2.0]]))
    >>> sorted(paths_of_modules([y.node, y.node.parents[0]]).values())
    [('Linear 1',), ('Linear 2',)]
    """
    calls: dict[Path, dict[int, _Held]] = {}
    last: Path | None = None
    held: _Held = {}
    for node in operations:
        if node.scope is not last:
            last = node.scope
            held = calls.setdefault(last, {}).setdefault(id(last), {}) if last else {}
        for parent in node.parents:
            if isinstance(parent, Leaf) and parent.name:
                held.setdefault(parent.name, set()).add(parent)
    around = {path[:depth] for path in calls for depth in range(len(path))}
    taken = {path[-1] for path in calls if path}
    result: dict[int, Path] = {}
    for path, several in calls.items():
        if len(several) > 1 and path not in around and _is_class(path):
            modules = _modules(several)
            if count := max(modules.values()):
                names = free_names(path[-1], count + 1, taken)
                result |= {call: (*path[:-1], names[k]) for call, k in modules.items()}
    return result


def _is_class(path: Path) -> bool:
    """Whether the last name is that of a class: the name of an attribute belongs to one module already."""
    return (len(path) == 1 or path[-1][:1].isupper()) and not STEP.fullmatch(path[-1])


def _modules(calls: Mapping[int, _Held]) -> dict[int, int]:
    """For each call the number of its module: the one with the same parameters, or the first if the call has none."""
    modules: list[_Held] = []
    module_of: dict[Node, int] = {}
    result = {}
    for call, held in calls.items():
        leaves = [leaf for several in held.values() for leaf in several]
        known = sorted({module_of[leaf] for leaf in leaves if leaf in module_of})
        likely = [*known, 0] if modules else []
        k = next((k for k in likely if not _differ(modules[k], held)), len(modules))
        if k == len(modules):
            modules.append({})
        for name, several in held.items():
            modules[k].setdefault(name, set()).update(several)
        module_of |= dict.fromkeys(leaves, k)
        result[call] = k
    return result


def _differ(a: _Held, b: _Held) -> bool:
    """Whether both hold parameters of the same names, and none is the same."""
    both = a.keys() & b.keys()
    return bool(both) and all(a[name].isdisjoint(b[name]) for name in both)


def _owners_path(leaf: Node, uses: Iterable[Node], paths: _Paths) -> Path:
    """The path of the module that holds a parameter; empty if no scope of a use contains the module's name.

    The scopes contain it wherever a call of the module uses the parameter, or hands it to an inner module. What all
    uses share goes first: for tied weights, no single use should decide.
    """
    owner = leaf.owner if isinstance(leaf, Leaf) else ""
    scopes = list({id(node.scope): node.scope for node in uses}.values())
    if not owner or not scopes:
        return ()
    common = len(reduce(shared_path, scopes))
    for scope, most in [(scopes[0], common), *((scope, len(scope)) for scope in scopes)]:
        for depth in range(most, 0, -1):
            if scope[depth - 1] == owner:
                return paths.get(id(scope), scope)[:depth]
    return ()
