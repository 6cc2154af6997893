"""Build pictures of the graphs of tensors, with names of modules and parameters.

The scope of a node is the path of names around its call. Each call of a module is an object of its own in these paths,
which tells calls of one module from calls of another; all of them become frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast
from weakref import ref

import numpy as np

from ..backward import graph_of
from ..core import Leaf, Node, Tensor, plain
from ..nn.module import Module, ModuleCall, Parameter, walk
from ..spec import Array
from .labels import default_name, free_names
from .picture import Edge, Output, Path, Picture, Vertex

__all__ = ["executed", "names_in", "picture_of"]


_Source = tuple[Any, int]  # an output of a node, or a constant array, by the identity of its reference, and 0


def picture_of(tensors: Sequence[Tensor], names: Mapping[str, Tensor | Module | Array], strict: bool = True) -> Picture:
    """Return the graph of tensors, with a vertex for each node and for each constant array of several entries.

    Args:
        tensors: each has a graph.
        names: names of tensors, arrays and modules, which take precedence over those that modules know.
        strict: whether to raise for names that are not in the graph.

    Raises:
        ValueError: if a named tensor or array is not in the graph.
    """
    order = graph_of([tensor.node for tensor in tensors if tensor.node is not None]).nodes
    operations = executed(order)
    taken = {node: _inputs(node) for node in operations}
    constants = {id(seen[0]): seen for node in operations for seen in _constants(node).values()}
    sources = [(source, name) for node, inputs in taken.items() for name, (source, _) in inputs.items()]
    arguments = dict(reversed(sources))  # the first use of each source
    used = dict.fromkeys(source for source, _ in sources if source in constants or source.primitive is None)
    leaves = [*used, *(node for node in order if node.primitive is None and node not in used)]
    serial = {source: i for i, source in enumerate([*leaves, *operations])}
    present = names_in(order, names)
    if strict and (missing := [name for name in names if name not in present]):
        name = missing[0]
        value, why = names[name], "no drawn tensor depends on it"
        if not isinstance(value, Module) and getattr(value, "node", None) is None:
            single = np.size(plain(value)) == 1
            why += ", or it is a constant of one entry" if single else ", or only on parts or copies of it"
        raise ValueError(f"render: names: {name!r} is not in the graph: {why}")
    known: dict[_Source, list[str]] = {}
    for name, place in present.items():
        if not isinstance(names[name], Module):
            known.setdefault(place, []).append(name)
    frames = _Frames(operations, {name: x for name, x in names.items() if isinstance(x, Module)})
    vertices = []
    for leaf in leaves:
        given = known.get((leaf, 0), ("",))[-1]
        name, scope = ("", ()) if given else frames.held.get(leaf, (getattr(leaf, "name", ""), ()))
        if leaf in constants:
            label = given or name or _input_name(arguments[leaf])
            vertices.append(Vertex("buffer" if name else "input", label, (constants[leaf][1:],), scope))
        else:
            own = isinstance(leaf, Leaf) and leaf.name
            label = given or name or "input"
            vertices.append(Vertex("parameter" if own else "input", label, leaf.outputs, scope, node=leaf))
    vertices += [_operation(node, taken[node], serial, frames.path(node.scope)) for node in operations]
    fed = {(edge.source, edge.slot) for vertex in vertices for edge in vertex.inputs}
    for number, vertex in enumerate(vertices):
        if not any((number, slot) in fed for slot in vertex.hidden):  # the picture may show only the value
            vertex.specs = vertex.specs[: vertex.hidden.start]
    outputs = []
    for number, place in enumerate((tensor.node, tensor.index) for tensor in tensors if tensor.node is not None):
        name = "" if place[0].primitive is None else known.get(place, ("",))[-1]
        outputs.append(Output(serial[place[0]], place[1], name or default_name(number, len(tensors))))
    asked = {(output.source, output.slot) for output in outputs}
    for (source, slot), several in known.items():
        if source not in leaves and (serial[source], slot) not in asked:
            vertices[serial[source]].names += tuple((slot, name) for name in several)
    return Picture(vertices, outputs)


def names_in(nodes: Iterable[Node], names: Mapping[str, Tensor | Module | Array]) -> dict[str, _Source]:
    """Return those names whose tensor, array or module is in a graph, and where; of a module its identity and 0."""
    nodes = set(nodes)
    others = {id(seen[0]) for node in nodes for seen in _constants(node).values()}
    others |= {id(part.module) for node in nodes for part in node.scope if isinstance(part, ModuleCall)}
    found: dict[str, _Source] = {}
    for name, value in names.items():
        if isinstance(value, Tensor) and value.node is not None:
            if value.node in nodes:
                found[name] = value.node, value.index
        elif (place := id(value) if isinstance(value, Module) else id(ref(plain(value)))) in others:
            found[name] = place, 0
    return found


def _constants(node: Node) -> dict[int, Any]:
    """Return reference, shape and dtype of each constant array of several entries, by the number of the input."""
    return {i: seen for i, seen in enumerate(getattr(node, "constants", ())) if type(seen) is tuple}


def _inputs(node: Node) -> dict[str, _Source]:
    """Return the sources of a node's inputs by the names of its arguments, in order."""
    found: dict[int, _Source] = {i: (id(seen[0]), 0) for i, seen in _constants(node).items()}
    argnums, _, indices = node.edges
    found |= {i: (parent, index) for parent, i, index in zip(node.parents, argnums, indices, strict=True)}
    return {node.primitive.input_name(i): found[i] for i in sorted(found)}


def _input_name(argument: str) -> str:
    """Return the name of an argument, unless it is one of the two operands that have no names."""
    return "input" if argument in ("a", "b") else argument


def _operation(node: Node, inputs: Mapping[str, _Source], serial: Mapping[Any, int], scope: Path) -> Vertex:
    primitive = node.primitive
    edges = tuple([Edge(serial[source], index, name) for name, (source, index) in inputs.items()])
    names = map(primitive.input_name, range(len(node.edges[1])))
    constants = tuple([name for name in names if name not in inputs])
    parameters = primitive.signature.parameters
    options = {k: value for k, value in node.params.items() if not _is_default(value, parameters[k].default)}
    return Vertex("operation", primitive.name, node.outputs, scope, edges, node, options, constants)


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and isinstance(value, (int, float, str)) and value == default


# Frames -----------------------------------------------------------------------------------------

_Key = tuple[Any, ...]  # a frame: the names around it and the calls of modules around it, each by its identity
_SIZES = ("in_features", "out_features"), ("in_channels", "out_channels"), ("input_size", "hidden_size"), ("num", "dim")


class _Frames:
    """The frames of a picture: one for each call of a module, and for each scope that the user opened.

    Attributes:
        held: the name of what a module holds, and the path of the first call of that module; by the node of a
            parameter, or the identity of an array's reference.
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
        self.held: dict[Any, tuple[str, Path]] = {}
        for key, call in calls.items():
            for name, entry, _ in walk("", vars(call.module)):
                if isinstance(entry, Parameter):
                    self.held.setdefault(entry.node, (entry.name, self._path(key)))
                elif isinstance(entry, (Tensor, np.ndarray)):
                    self.held.setdefault(id(ref(plain(entry))), (name, self._path(key)))

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
                    titles[key] = frame = ModuleCall(f"{title}, call {k} of {len(keys)}" if len(keys) > 1 else title)
                    frame.module = cast(ModuleCall, frames[key]).module
        return titles


def _keys(scope: Path) -> list[_Key]:
    """Return the frames around and including the scope, outermost first; the first contains everything."""
    parts = [id(part) if isinstance(part, ModuleCall) else part for part in scope]
    return [tuple(parts[:depth]) for depth in range(len(parts) + 1)]


def _described(call: ModuleCall, name: str) -> str:
    """Return the class of a module, unless that is its name, and its sizes: `Conv2d 3→16, 3×3`."""
    known, kind = vars(call.module), type(call.module).__name__
    ends = next((pair for pair in _SIZES if all(type(known.get(size)) is int for size in pair)), ())
    sizes = ["→".join(str(known[size]) for size in ends)]
    if isinstance(kernel := known.get("kernel_size"), (int, tuple)) and not isinstance(kernel, bool):
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
