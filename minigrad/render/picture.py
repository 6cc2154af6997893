"""Graphs as plain data, from which every writer draws.

A :class:`Picture` lists vertices so that each comes after those that feed it: leaves first, then operations in
topological order. Its vertices are numbered anew for each picture, so that equal graphs give equal pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..core import Node
from ..ops.shaping import stack
from ..primitives import Primitive
from ..spec import Spec

__all__ = ["STACK", "Edge", "Kind", "Output", "Path", "Picture", "Vertex", "shared_path"]

Kind = Literal["operation", "parameter", "input", "elision", "module"]
Path = tuple[str, ...]
"""Names of scopes, from the outside in."""
STACK: Primitive = stack.primitive  # type: ignore[attr-defined]
"""What gathers the states of an unrolled sequence."""


class Edge(NamedTuple):
    """What feeds a vertex: output `slot` of the vertex `source`, of it the `part`, as the argument `argument`."""

    source: int
    slot: int
    argument: str
    part: str = ""


@dataclass(slots=True)
class Vertex:
    """One thing in a picture.

    kind: an operation; a leaf, which is a parameter if it has a name and else an input; an elision, which stands for
    others; or a module that is closed, which stands for those in it. label: its name. specs: shape and dtype of each
    output. scope: the path of scopes around it. inputs: the edges to it. node: what it was made from. options: those of
    the operation that differ from their defaults. constants: names of the arguments that were constants or left out.
    step: the time step within an unrolled sequence. stands_for: how many vertices an elision or a closed module
    replaces; of a step, if there is but one for many, for how many. caveat: why it is not shown as was asked for; of a
    closed module, what is in it. gathers: of what stacks the steps of a sequence's state, the number of that state.
    names: (slot, name) of outputs that were given a name and are neither leaves nor outputs of the picture.
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

    @property
    def is_leaf(self) -> bool:
        """Whether nothing feeds it by its nature."""
        return self.kind in ("parameter", "input")

    @property
    def primitive(self) -> Primitive | None:
        """The primitive that it shows: its node's, or of an unrolled sequence the step or `stack`; None if none."""
        primitive = None if self.node is None else self.node.primitive
        if primitive is None or self.kind != "operation":
            return primitive
        if self.step is not None:
            return primitive.steps.step if primitive.steps else None
        return primitive if self.gathers is None else STACK

    @property
    def hidden(self) -> range:
        """Which outputs are hidden ones: residuals that the graph of a derivative begins at."""
        names = self.node.primitive.residuals if self.node is not None and self.node.primitive is not None else None
        places = [int(name.removeprefix("hidden ")) for name in names or () if name.startswith("hidden ")]
        return range(min(places, default=len(self.specs)), len(self.specs))

    @property
    def around(self) -> Path:
        """The scope in which the call was: a step of an unrolled sequence has one more, of its own."""
        return self.scope[:-1] if self.step is not None and self.kind == "operation" else self.scope

    @property
    def remark(self) -> str:
        """What a drawing should say beside the label: the caveat, and the names of outputs.

        >>> Vertex("operation", "lstm", ((), ()), names=((1, "cell"),)).remark
        '[1] cell'
        """
        if not self.names:
            return self.caveat
        several = len(self.specs) > 1
        return ", ".join([self.caveat] * bool(self.caveat) + [f"[{i}] {s}" if several else s for i, s in self.names])

    def with_inputs(self, inputs: tuple[Edge, ...]) -> Vertex:
        """A copy with other edges (quicker than `dataclasses.replace`, which counts for a million)."""
        return Vertex(self.kind, self.label, self.specs, self.scope, inputs, self.node, self.options, self.constants,
                      self.step, self.stands_for, self.caveat, self.gathers, self.names)  # fmt: skip


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


def shared_path(a: Path, b: Path) -> Path:
    """The path that two paths begin with.

    >>> shared_path(("model", "step 1"), ("model", "step 2"))
    ('model',)
    """
    length = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:length]
