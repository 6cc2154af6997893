"""Build pictures of the graphs of tensors, with names of modules and parameters.

The scope of a node is the path of names around its call. Each call of a module is an object of its own in these paths,
which tells calls of one module from calls of another; all of them become frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..backward import graph_of
from ..core import Leaf, Node, Tensor
from ..nn.module import Module, ModuleCall, Parameter, walk
from .labels import default_name, free_names
from .picture import Edge, Output, Path, Picture, Vertex

__all__ = ["executed", "picture_of"]


def picture_of(tensors: Sequence[Tensor], names: Mapping[str, Tensor | Module]) -> Picture:
    """Return the graph of tensors, with a vertex for each node.

    Args:
        tensors: each has a graph.
        names: names of tensors and modules, which take precedence over those that modules know.

    Raises:
        ValueError: if a named tensor is not in the graph.
    """
    order = graph_of([tensor.node for tensor in tensors if tensor.node is not None]).nodes
    known = _by_output({name: x for name, x in names.items() if isinstance(x, Tensor)}, set(order))
    operations = executed(order)
    frames = _Frames(operations, {name: x for name, x in names.items() if isinstance(x, Module)})
    uses: dict[Node, list[Node]] = {}  # of each leaf, in order
    for node in operations:
        for parent in node.parents:
            if parent.primitive is None:
                uses.setdefault(parent, []).append(node)
    leaves = [*uses, *(node for node in order if node.primitive is None and node not in uses)]
    serial = {node: i for i, node in enumerate([*leaves, *operations])}
    vertices = [_leaf(node, known, frames.of_parameters.get(node, ())) for node in leaves]
    vertices += [_operation(node, serial, frames.path(node.scope)) for node in operations]
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


# Frames -----------------------------------------------------------------------------------------

_Key = tuple[Any, ...]  # a frame: the names around it and the calls of modules around it, each by its identity
_SIZES = ("in_features", "out_features"), ("in_channels", "out_channels"), ("input_size", "hidden_size"), ("num", "dim")


class _Frames:
    """The frames of a picture: one for each call of a module, and for each scope that the user opened.

    Attributes:
        of_parameters: the path of the first call of the module that holds a parameter, by its node.
    """

    def __init__(self, operations: Iterable[Node], names: Mapping[str, Module]) -> None:
        self.names = {id(module): name for name, module in names.items()}
        inner: dict[_Key, dict[_Key, str]] = {(): {}}  # the frames directly in each frame
        for scope in {id(node.scope): node.scope for node in operations}.values():
            keys = _keys(scope)
            for depth, part in enumerate(scope):
                inner.setdefault(keys[depth], {})
                inner[keys[depth]].setdefault(keys[depth + 1], part)
        self.titles: dict[_Key, str] = {}
        for frames in inner.values():
            self.titles |= self._titled(frames)
        calls = {key: part for frames in inner.values() for key, part in frames.items() if isinstance(part, ModuleCall)}
        self.of_parameters: dict[Node, Path] = {}
        for key, call in calls.items():
            for _, entry, _ in walk("", vars(call.module)):
                if isinstance(entry, Parameter) and entry.node is not None:
                    self.of_parameters.setdefault(entry.node, self._path(key))

    def path(self, scope: Path) -> Path:
        """Return the titles of the frames around a node."""
        return self._path(_keys(scope)[-1])

    def _path(self, key: _Key) -> Path:
        return tuple([self.titles[key[: depth + 1]] for depth in range(len(key))])

    def _titled(self, frames: Mapping[_Key, str]) -> dict[_Key, str]:
        """Return the titles of frames that are side by side."""
        titles = {key: part for key, part in frames.items() if not isinstance(part, ModuleCall)}
        modules: dict[str, dict[int, list[_Key]]] = {}  # the calls of each module, by its name
        for key, part in frames.items():
            if isinstance(part, ModuleCall):
                name = self.names.get(id(part.module), str(part))
                modules.setdefault(name, {}).setdefault(id(part.module), []).append(key)
        taken = {*titles.values()}
        for name, several in modules.items():
            for free, keys in zip(free_names(name, len(several), taken), several.values(), strict=True):
                taken.add(free)
                for k, key in enumerate(keys, start=1):
                    title = " · ".join(filter(None, [free, _described(cast(ModuleCall, frames[key]), name)]))
                    titles[key] = f"{title}, call {k} of {len(keys)}" if len(keys) > 1 else title
        return titles


def _keys(scope: Path) -> list[_Key]:
    """Return the frames around and including the scope, outermost first; the first contains everything."""
    parts = [id(part) if isinstance(part, ModuleCall) else part for part in scope]
    return [tuple(parts[:depth]) for depth in range(len(parts) + 1)]


def _described(call: ModuleCall, name: str) -> str:
    """Return the class of a module, unless that is its name, and its sizes: `Conv2d 3→16, 3×3`."""
    known, kind = vars(call.module), type(call.module).__name__
    ends = next((pair for pair in _SIZES if all(isinstance(known.get(size), int) for size in pair)), ())
    sizes = ["→".join(str(known[size]) for size in ends)]
    if isinstance(kernel := known.get("kernel_size"), (int, tuple)):
        sizes.append("×".join(map(str, np.atleast_1d(kernel))))
    return f"{'' if kind == name else kind} {', '.join(filter(None, sizes))}".strip()


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
