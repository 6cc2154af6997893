"""Represent graphs as plain data, from which every writer draws.

A :class:`Picture` lists vertices so that each comes after those that feed it: leaves first, then operations in
topological order. Vertices are renumbered for each picture, so that equal programs give equal pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..core import Node
from ..ops.shaping import stack
from ..primitives import Primitive
from ..recording import Note, note_of
from ..spec import Spec

__all__ = ["STACK", "Edge", "Kind", "Output", "Path", "Picture", "Rewriting", "Vertex", "parameters_of",
           "reordered", "shared_path"]  # fmt: skip

Kind = Literal["operation", "parameter", "buffer", "input", "omitted", "module"]
Path = tuple[str, ...]  # names of scopes, outermost first
STACK: Primitive = stack.primitive  # type: ignore[attr-defined]  # gathers the states of an unrolled sequence


class Edge(NamedTuple):
    """An input of a vertex: output `slot` of the vertex `source`, as `argument`.

    `part` is an index, or empty. `mark` is that of :class:`Vertex`.
    """

    source: int
    slot: int
    argument: str
    part: str = ""
    mark: str = ""


@dataclass(slots=True)
class Vertex:
    """A vertex of a picture.

    Attributes:
        kind: an operation; a leaf, which is a parameter, a buffer (a constant array that a module holds) or an input;
            an 'omitted' vertex, which replaces several vertices; or a closed module, which replaces all vertices in it.
        label: its name.
        specs: shape and dtype of each output.
        scope: the path of scopes around it.
        inputs: the edges to it.
        node: the node of the graph.
        options: the options of the operation that differ from their defaults.
        constants: names of the arguments that were constants or left out.
        step: the time step within an unrolled sequence.
        stands_for: the number of vertices that it replaces, if it is omitted, a closed module or a folded loop.
        caveat: why it is not drawn as requested; for a closed module, its contents.
        gathers: for the stack of a sequence's states, the number of that state.
        names: (slot, name) of named outputs that are neither leaves nor outputs of the picture.
        mark: in a comparison, '+ ' if it was added, '− ' if it was removed, '~ ' if it changed; else empty.
        birth: that a NaN or an infinity was born in it, as text; else empty.
        folds: in a folded loop, the vertices that it replaces, one for each step.
        feedback: in a folded loop, the edges from the previous step; their sources may come later.
        in_stack: whether the folded steps are layers with parameters of their own.
        inside: for a closed module, the vertices that it replaces.
        parameters: for a closed module, the nodes of the parameters in it.
    """

    kind: Kind
    label: str
    specs: tuple[Spec, ...] = ()
    scope: Path = ()
    inputs: tuple[Edge, ...] = ()
    node: Node | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    step: int | None = None
    stands_for: int = 0
    caveat: str = ""
    gathers: int | None = None
    names: tuple[tuple[int, str], ...] = ()
    mark: str = ""
    birth: str = ""
    folds: tuple[Vertex, ...] = ()
    feedback: tuple[Edge, ...] = ()
    in_stack: bool = False
    inside: tuple[Vertex, ...] = ()
    parameters: frozenset[Any] = frozenset()

    @property
    def is_leaf(self) -> bool:
        """Return whether it is a parameter, a buffer or an input."""
        return self.is_held or self.kind == "input"

    @property
    def is_held(self) -> bool:
        """Return whether a module holds it."""
        return self.kind in ("parameter", "buffer")

    @property
    def called(self) -> Primitive:
        """The primitive of its node: for a step of an unrolled sequence, that of the whole sequence."""
        assert self.node is not None
        primitive: Primitive = self.node.primitive
        return primitive

    @property
    def primitive(self) -> Primitive | None:
        """The primitive that it shows: its node's, or for an unrolled sequence the step or `stack`; else None."""
        primitive = None if self.node is None or self.kind != "operation" else self.node.primitive
        if self.gathers is not None:
            return STACK
        return primitive.steps.step if primitive and primitive.steps and self.step is not None else primitive

    @property
    def note(self) -> Note | None:
        """The notes of :func:`minigrad.record` and :func:`minigrad.profile` on its node, if any."""
        return None if self.node is None or self.kind == "omitted" else note_of(self.node)

    @property
    def hidden(self) -> range:
        """The hidden outputs: residuals from which the graph of a derivative begins."""
        names = self.node.primitive.residuals if self.node is not None and self.node.primitive is not None else ()
        places = [int(name.removeprefix("hidden ")) for name in names or () if name.startswith("hidden ")]
        return range(min(places, default=len(self.specs)), len(self.specs))

    @property
    def operations(self) -> list[Vertex]:
        """The operations that it stands for: in the steps of a folded loop, in a closed module, or itself."""
        found, stack = [], [self]
        while stack:
            vertex = stack.pop()
            inner = vertex.folds or vertex.inside
            stack += reversed(inner)
            found += [] if inner else [vertex]
        return found

    @property
    def around(self) -> Path:
        """The scope of the call: a step of an unrolled sequence has one more, of its own."""
        return self.scope[:-1] if self.in_row else self.scope

    @property
    def in_row(self) -> bool:
        """Whether this is a step of an unrolled sequence. Drawings put these steps side by side."""
        return self.step is not None and not self.folds

    @property
    def total_prefix(self) -> str:
        """The words before a sum over several operations: 'all steps ' or 'all layers '; empty for one operation.

        >>> Vertex("operation", "affine", folds=(Vertex("operation", "affine"),), in_stack=True).total_prefix
        'all layers '
        """
        return f"all {'layers' if self.in_stack else 'steps'} " if self.step is not None or self.folds else ""

    @property
    def remark(self) -> str:
        """The text below the label: the caveat, the names of outputs, and a birth.

        >>> Vertex("operation", "lstm", ((), ()), names=((1, "cell"),)).remark
        'out 1: cell'
        """
        several = len(self.specs) > 1
        names = [f"out {slot}: {name}" if several else name for slot, name in self.names]
        return ", ".join(filter(None, [self.caveat, *names, self.birth]))

    def with_inputs(self, inputs: tuple[Edge, ...]) -> Vertex:
        """Return a copy with other edges; much faster than `dataclasses.replace`."""
        return Vertex(self.kind, self.label, self.specs, self.scope, inputs, self.node, self.options, self.constants,
                      self.step, self.stands_for, self.caveat, self.gathers, self.names, self.mark, self.birth,
                      self.folds, self.feedback, self.in_stack, self.inside,
                      self.parameters)  # fmt: skip


class Output(NamedTuple):
    """A requested tensor: output `slot` of the vertex `source`, and its name."""

    source: int
    slot: int
    name: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Vertices, each after its inputs, and the requested outputs."""

    vertices: Sequence[Vertex]
    outputs: Sequence[Output]


class Rewriting:
    """A new picture written from an old one, vertex by vertex; edges follow each output to its new place."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.vertices: list[Vertex] = []
        self.moved: dict[tuple[int, int], tuple[int, int]] = {}  # old (source, slot) -> new (source, slot)

    def edges(self, edges: Iterable[Edge]) -> tuple[Edge, ...]:
        """Translate edges of the old picture to the new one."""
        return tuple([Edge(*self.moved[edge[:2]], *edge[2:]) for edge in edges])

    def keep(self, number: int) -> Vertex:
        """Copy a vertex of the old picture, and return the copy."""
        old = self.picture.vertices[number]
        for slot in range(len(old.specs)):
            self.moved[number, slot] = len(self.vertices), slot
        self.vertices.append(old.with_inputs(self.edges(old.inputs)))
        return self.vertices[-1]

    def finish(self) -> Picture:
        """Return the new picture, with the outputs of the old one, and without feedback from hidden vertices."""
        for vertex in self.vertices:
            vertex.feedback = self.edges(edge for edge in vertex.feedback if edge[:2] in self.moved)
        return Picture(self.vertices, [Output(*self.moved[a, slot], name) for a, slot, name in self.picture.outputs])


def reordered(picture: Picture, order: Iterable[int]) -> Picture:
    """Return the picture with its vertices in another topological order."""
    new = Rewriting(picture)
    for number in order:
        new.keep(number)
    return new.finish()


def parameters_of(vertices: Sequence[Vertex], number: int) -> set[Any]:
    """Return the nodes of the parameters that a vertex uses."""
    sources = (vertices[edge.source] for edge in vertices[number].inputs)
    return {source.node for source in sources if source.kind == "parameter"} | vertices[number].parameters


def shared_path(a: Path, b: Path) -> Path:
    """Return the longest common beginning of two paths.

    >>> shared_path(("model", "step 1"), ("model", "step 2"))
    ('model',)
    """
    length = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:length]
