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
from ..primitives import Primitive
from ..spec import Spec
from .calls import owners_path, paths_of_modules
from .execution import executed
from .given import as_tensors, known_names

__all__ = ["Edge", "Kind", "Output", "Picture", "Vertex", "default_name", "leaf_names", "named_within",
           "output_name", "picture_of", "primitive_of", "shared_path", "short_name"]  # fmt: skip

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
    defaults. constants: names of the arguments that were constants
    or left out. step: the time step within an unrolled sequence.
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
    known of (untracked) is a ValueError that says why, and so is a name of one that is not in the graph.
    """
    outputs = as_tensors(tensors)
    order = graph_of([output.node for output in outputs if output.node is not None]).nodes
    known = known_names(names, set(order))
    operations = executed(order)
    paths = paths_of_modules(operations)
    uses = _uses(operations)
    leaves = [*uses, *(node for node in order if node.primitive is None and node not in uses)]
    serial = {node: i for i, node in enumerate([*leaves, *operations])}
    vertices = [_leaf(node, known, owners_path(node, uses.get(node, ()), paths)) for node in leaves]
    vertices += [_operation(node, serial, paths.get(id(node.scope), node.scope)) for node in operations]
    result = []
    for number, output in enumerate(outputs):
        assert output.node is not None
        name = known.get((output.node, output.index), "") if output.node.primitive is not None else ""
        result.append(Output(serial[output.node], output.index, name or default_name(number, len(outputs))))
    return Picture(vertices, result)


def default_name(number: int, total: int) -> str:
    """The name of an output that was given none.

    >>> default_name(0, 1), default_name(1, 3)
    ('output', 'output 1')
    """
    return "output" if total == 1 else f"output {number}"


def named_within(picture: Picture, names: Mapping[str, Tensor] | None) -> list[Output]:
    """What is named and neither a leaf nor an output of the picture."""
    if not names:
        return []
    numbers = {vertex.node: number for number, vertex in enumerate(picture.vertices)}
    asked = {(output.source, output.slot) for output in picture.outputs}
    found = [Output(numbers[tensor.node], tensor.index, name) for name, tensor in names.items()]
    return [o for o in found if not picture.vertices[o.source].is_leaf and (o.source, o.slot) not in asked]


def _uses(operations: Iterable[Node]) -> dict[Node, list[Node]]:
    """For each leaf what uses it, in order; leaves in the order of first use."""
    uses: dict[Node, list[Node]] = {}
    for node in operations:
        for parent in node.parents:
            if parent.primitive is None:
                uses.setdefault(parent, []).append(node)
    return uses


def shared_path(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The path that two paths begin with.

    >>> shared_path(("model", "step 1"), ("model", "step 2"))
    ('model',)
    """
    length = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:length]


def _leaf(node: Node, known: Mapping[tuple[Node, int], str], scope: tuple[str, ...]) -> Vertex:
    """A leaf under the name that was given, which is the whole of it, else under its own in its module's scope."""
    given = known.get((node, 0), "")
    own = node.name if isinstance(node, Leaf) else ""
    return Vertex(
        "parameter" if own else "input", given or own or "input", node.outputs, scope if own and not given else (),
        node=node,
    )  # fmt: skip


def _operation(node: Node, serial: Mapping[Node, int], scope: tuple[str, ...]) -> Vertex:
    primitive = node.primitive
    assert primitive is not None
    argnums, needs, slots = node.edges
    edges = zip(node.parents, argnums, slots, strict=True)
    name = primitive.input_name
    inputs = tuple([Edge(serial[parent], slot, name(argnum)) for parent, argnum, slot in edges])
    constants = () if all(needs) else tuple([name(i) for i, tracked in enumerate(needs) if not tracked])
    options = _unusual(primitive, node.params)
    return Vertex("operation", primitive.name, node.outputs, scope, inputs, node, options, constants)


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
    if primitive is None or vertex.kind != "operation":
        return primitive
    if vertex.step is not None:
        return primitive.steps.step if primitive.steps else None
    return primitive if vertex.gathers is None else None


def output_name(vertex: Vertex, slot: int) -> str:
    """Which of several outputs: of a sequence the state's name, else its number; nothing where there is but one."""
    if len(vertex.specs) < 2 or vertex.node is None or vertex.node.primitive is None:
        return ""
    steps = vertex.node.primitive.steps
    return steps.names[slot] if steps else f"[{slot}]"


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


def short_name(picture: Picture, names: Mapping[int, str], number: int, user: Vertex) -> str:
    """The name of a leaf, without the path of its module where the frame around its user says that."""
    leaf, name = picture.vertices[number], names[number]
    scope = user.scope if user.step is None else user.scope[:-1]
    return leaf.label if leaf.scope == scope and name == picture.full_name(leaf) else name
