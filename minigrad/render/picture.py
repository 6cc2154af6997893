"""The graph behind tensors as plain data, from which every writer draws.

A :class:`Picture` lists vertices so that each comes after those that feed it: leaves first, then operations in
topological order. Its vertices are numbered anew for each picture, so that equal graphs give equal pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..backward import graph_of
from ..core import Leaf, Node, Tensor
from ..primitives import PRIMITIVES, Primitive
from ..spec import Spec

__all__ = ["Edge", "Kind", "Output", "Picture", "Vertex", "leaf_names", "picture_of", "primitive_of",
           "shared_path"]  # fmt: skip

Kind = Literal["operation", "parameter", "input", "elision"]


class Edge(NamedTuple):
    """What feeds a vertex: output `slot` of the vertex `source`, of it the `part`, as the argument `argument`."""

    source: int
    slot: int
    argument: str
    part: str = ""


@dataclass(slots=True)
class Vertex:
    """One thing in a picture.

    kind: an operation; a leaf, which is a parameter if it has a name and else an input; or an elision, which
    stands for others. label: its name. specs: shape and dtype of each output. scope: the path of scopes around it.
    inputs: the edges to it. node: what it was made from. options: those of the operation that differ from their
    defaults. constants: names of the arguments that were constants. step: the time step within an unrolled sequence.
    stands_for: how many vertices an elision replaces. remark: what a drawing should say beside the label. gathers: of
    what stacks the steps of a sequence's state, the number of that state.
    """

    kind: Kind
    label: str
    specs: tuple[Spec, ...] = ()
    scope: tuple[str, ...] = ()
    inputs: tuple[Edge, ...] = ()
    node: Node | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    step: int | None = None
    stands_for: int = 0
    remark: str = ""
    gathers: int | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether nothing feeds it by its nature."""
        return self.kind in ("parameter", "input")

    def with_inputs(self, inputs: tuple[Edge, ...]) -> Vertex:
        """A copy with other edges (quicker than `dataclasses.replace`, which counts for a million)."""
        return Vertex(self.kind, self.label, self.specs, self.scope, inputs, self.node, self.options, self.constants,
                      self.step, self.stands_for, self.remark, self.gathers)  # fmt: skip


class Output(NamedTuple):
    """A tensor that the picture was asked for: output `slot` of the vertex `source`, and its name."""

    source: int
    slot: int
    name: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Vertices, each after its inputs, and the outputs that the picture was asked for."""

    vertices: Sequence[Vertex]
    outputs: Sequence[Output]

    def full_name(self, leaf: Vertex) -> str:
        """A parameter's name with its module's path in front."""
        return ".".join([*leaf.scope, leaf.label])


def picture_of(tensors: Tensor | Iterable[Tensor], names: Mapping[str, Tensor] | None = None) -> Picture:
    """The graph behind one tensor or several, a vertex for each node.

    names: names of leaves and outputs, which win over those that modules give. A tensor that nothing is
    known of (untracked) is a ValueError that says why.
    """
    outputs = _as_tensors(tensors)
    known = {tensor.node: name for name, tensor in (names or {}).items() if tensor.node is not None}
    order = graph_of([output.node for output in outputs if output.node is not None]).nodes
    operations = [node for node in order if node.primitive is not None]
    scopes = _scopes_of_use(operations)
    leaves = [*scopes, *(node for node in order if node.primitive is None and node not in scopes)]
    serial = {node: i for i, node in enumerate([*leaves, *operations])}
    vertices = [_leaf(node, known, scopes.get(node, ())) for node in leaves]
    vertices += [_operation(node, serial) for node in operations]
    result = []
    for number, output in enumerate(outputs):
        assert output.node is not None
        default = "output" if len(outputs) == 1 else f"output {number}"
        is_named = known.get(output.node) if output.node.primitive is not None else None
        result.append(Output(serial[output.node], output.index, is_named or default))
    return Picture(vertices, result)


def _as_tensors(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    outputs = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not outputs:
        raise ValueError("render: there is no tensor to draw")
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(f"render: expected a Tensor or several, not {type(output).__name__}")
        if output.node is None:
            raise ValueError(
                "render: this tensor has no graph: nothing behind it requires a gradient, or it was made under no_grad"
            )
    return outputs


def _scopes_of_use(operations: Iterable[Node]) -> dict[Node, tuple[str, ...]]:
    """For each leaf the path that all its users share; in the order of first use."""
    scopes: dict[Node, tuple[str, ...]] = {}
    for node in operations:
        for parent in node.parents:
            if parent.primitive is None:
                scopes[parent] = shared_path(scopes[parent], node.scope) if parent in scopes else node.scope
    return scopes


def shared_path(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The path that two paths begin with.

    >>> shared_path(("model", "step 1"), ("model", "step 2"))
    ('model',)
    """
    length = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:length]


def _leaf(node: Node, known: Mapping[Node, str], scope: tuple[str, ...]) -> Vertex:
    given = known.get(node, "")
    own = node.name if isinstance(node, Leaf) else ""
    if given or not own:
        return Vertex("input", given or "input", node.outputs, node=node)
    return Vertex("parameter", own, node.outputs, scope, node=node)


def _operation(node: Node, serial: Mapping[Node, int]) -> Vertex:
    primitive = node.primitive
    assert primitive is not None
    argnums, needs, slots = node.route
    edges = zip(node.parents, argnums, slots, strict=True)
    inputs = tuple(Edge(serial[parent], slot, primitive.input_name(argnum)) for parent, argnum, slot in edges)
    constants = tuple(primitive.input_name(i) for i, tracked in enumerate(needs) if not tracked)
    options = _unusual(primitive, node.params)
    return Vertex("operation", primitive.name, node.outputs, node.scope, inputs, node, options, constants)


def _unusual(primitive: Primitive, options: dict[str, Any]) -> dict[str, Any]:
    """The options that differ from their defaults: the others say nothing."""
    if not options:
        return options
    parameters = primitive.signature.parameters
    return {name: value for name, value in options.items() if not _is_default(value, parameters[name].default)}


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and isinstance(value, (int, float, str)) and value == default


def primitive_of(vertex: Vertex) -> Primitive | None:
    """The primitive that a vertex shows: its node's, or of an unrolled sequence the step; None if there is none."""
    primitive = None if vertex.node is None else vertex.node.primitive
    if primitive is None or vertex.kind != "operation" or primitive.name == vertex.label:
        return primitive
    return PRIMITIVES.get(f"{primitive.module}.{vertex.label}")


def leaf_names(picture: Picture) -> dict[int, str]:
    """A name for each leaf by its number, no two alike: its own, with its module's path where that tells it apart."""
    leaves = {number: vertex for number, vertex in enumerate(picture.vertices) if vertex.is_leaf}
    plain = Counter(vertex.label for vertex in leaves.values())
    names = {i: v.label if plain[v.label] == 1 else picture.full_name(v) for i, v in leaves.items()}
    total, used = Counter(names.values()), Counter[str]()
    taken = {name for name, count in total.items() if count == 1}
    for number, name in names.items():
        if total[name] == 1:
            continue
        used[name] += 1
        while f"{name}{used[name]}" in taken:
            used[name] += 1
        names[number] = f"{name}{used[name]}"
    return names
