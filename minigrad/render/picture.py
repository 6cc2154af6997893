"""The graph behind tensors as plain data, from which every writer draws.

A :class:`Picture` lists vertices so that each comes after those that feed it: leaves first, then operations in
topological order. Its vertices are numbered anew for each picture, so that equal graphs give equal pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..backward import graph_of
from ..core import Leaf, Node, Tensor
from ..spec import Spec

__all__ = ["Edge", "Kind", "Output", "Picture", "Vertex", "leaf_names", "picture_of", "shared_path", "unrolled"]

Kind = Literal["operation", "parameter", "input", "elision"]


@dataclass(frozen=True, slots=True)
class Edge:
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
    inputs: the edges to it. node: what it was made from. options: the operation's. constants: names of
    the arguments that were constants. step: the time step within an unrolled sequence. stands_for: how many vertices
    an elision replaces.
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

    @property
    def is_leaf(self) -> bool:
        """Whether nothing feeds it by its nature."""
        return self.kind in ("parameter", "input")


@dataclass(frozen=True, slots=True)
class Output:
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
    leaves = [node for node in order if node.primitive is None]
    operations = [node for node in order if node.primitive is not None]
    serial = {node: i for i, node in enumerate([*leaves, *operations])}
    scopes = _scopes_of_use(operations)
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
    """For each leaf the path that all its users share."""
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
    return Vertex("operation", primitive.name, node.outputs, node.scope, inputs, node, node.params, constants)


def leaf_names(picture: Picture) -> dict[int, str]:
    """A name for each leaf by its number, no two alike: its own, with its module's path where that tells it apart."""
    leaves = {number: vertex for number, vertex in enumerate(picture.vertices) if vertex.is_leaf}
    plain = Counter(vertex.label for vertex in leaves.values())
    names = {i: v.label if plain[v.label] == 1 else picture.full_name(v) for i, v in leaves.items()}
    total, used = Counter(names.values()), Counter[str]()
    for number, name in names.items():
        used[name] += 1
        if total[name] > 1:
            names[number] = f"{name}{used[name]}"
    return names


# Unrolling -------------------------------------------------------------------------------------

def unrolled(picture: Picture) -> Picture:
    """The picture with every sequence primitive as its steps: T vertices `lstm_step`, each in a scope of its own.

    Step t takes x[:, t] and the states that step t - 1 leaves; a vertex `stack` gathers each state that is used.
    """
    vertices: list[Vertex] = []
    moved: dict[tuple[int, int], tuple[int, int]] = {}  # an output before -> the output now
    used = _used_outputs(picture)
    for number, vertex in enumerate(picture.vertices):
        inputs = tuple(
            replace(edge, source=source, slot=slot)
            for edge in vertex.inputs
            for source, slot in [moved[edge.source, edge.slot]]
        )
        primitive = None if vertex.node is None else vertex.node.primitive
        states = () if primitive is None else primitive.states
        if not states or not vertex.specs[0][0][1]:  # no steps: nothing to unroll
            moved |= {(number, slot): (len(vertices), slot) for slot in range(len(vertex.specs))}
            vertices.append(replace(vertex, inputs=inputs))
            continue
        stacks = _unroll(replace(vertex, inputs=inputs), states, len(vertices), [s for n, s in used if n == number])
        for slot, where in stacks[1].items():
            moved[number, slot] = (where, 0)
        vertices += stacks[0]
    return Picture(vertices, [replace(o, source=moved[o.source, o.slot][0], slot=moved[o.source, o.slot][1])
                              for o in picture.outputs])  # fmt: skip


def _used_outputs(picture: Picture) -> list[tuple[int, int]]:
    """Every output that something uses, once, in order."""
    edges = {(edge.source, edge.slot) for vertex in picture.vertices for edge in vertex.inputs}
    return sorted(edges | {(output.source, output.slot) for output in picture.outputs})


def _unroll(vertex: Vertex, states: tuple[str, ...], first: int, used: list[int]) -> tuple[list[Vertex], dict[int, int]]:
    """The steps of a sequence, numbered from `first`, and for each used output the number of its stack."""
    (N, T, H), dtype = vertex.specs[0]
    by_name = {edge.argument: edge for edge in vertex.inputs}
    feeds = by_name.pop("x", None)
    begin = [by_name.pop(name, None) for name in states]
    specs = tuple(((N, H), dtype) for _ in states)
    steps = []
    for t in range(T):
        inputs = [] if feeds is None else [replace(feeds, part=f"[:, {t}]")]
        if t:
            inputs += [Edge(first + t - 1, slot, name[:-1]) for slot, name in enumerate(states)]
        else:
            inputs += [replace(edge, argument=edge.argument[:-1]) for edge in begin if edge is not None]
        inputs += by_name.values()
        scope = (*vertex.scope, f"step {t}")
        name = f"{vertex.label}_step"
        steps.append(
            Vertex("operation", name, specs, scope, tuple(inputs), vertex.node, vertex.options, vertex.constants, t)
        )
    stacks = {slot: first + T + i for i, slot in enumerate(used)}
    for slot in stacks:
        edges = tuple(Edge(first + t, slot, f"arrays[{t}]") for t in range(T))
        steps.append(Vertex("operation", "stack", (vertex.specs[slot],), vertex.scope, edges, vertex.node, {"axis": 1}))
    return steps, stacks
