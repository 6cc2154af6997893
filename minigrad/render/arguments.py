"""The arguments of a vertex: their order, what is known of constants, and whose name a drawing has to say.

A graph keeps the nodes of tracked arguments alone. Of a constant it is known that it is one; :func:`minigrad.record`
notes its shape and dtype, and the value of a single number.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from ..primitives import Primitive
from ..recording import note_of
from ..spec import Spec
from .notation import number_text, shape_of
from .picture import Edge, Picture, Vertex

__all__ = ["Constant", "argument_order", "called", "constants_of", "noted_spec", "to_be_named", "with_name"]


class Constant(NamedTuple):
    """A constant argument. spec: its shape and dtype, number: its value if it is a single one; None if not known."""

    argument: str
    spec: Spec | None = None
    number: float | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nothing more is known of it."""
        return self.number is None and self.spec is None

    @property
    def text(self) -> str:
        """What is known of it: the number, else shape and dtype, else only that it is one.

        >>> Constant("b", None, 2.0).text, Constant("b").text
        ('2', 'constant')
        """
        if self.number is not None:
            return number_text(self.number)
        return "constant" if self.spec is None else shape_of(self.spec)


def argument_order(vertex: Vertex) -> list[str]:
    """Names of all array arguments in the order of the call, tracked or not."""
    primitive = vertex.primitive
    if primitive is None or vertex.gathers is not None:
        return [edge.argument for edge in vertex.inputs]
    if vertex.step is not None:
        return list(primitive.arguments)
    assert vertex.node is not None
    return [primitive.input_name(i) for i in range(len(vertex.node.edges[1]))]


def constants_of(vertex: Vertex) -> list[Constant]:
    """The constants that an operation was called with, in order.

    One that may be left out counts if it was noted: else nobody knows whether it was given.
    """
    if vertex.kind != "operation":
        return []
    found = []
    for name in vertex.constants:
        known, spec = noted_spec(vertex, name)
        if spec is not None or (not known and not _is_optional(vertex, name)):
            found.append(Constant(name, spec, _noted_number(vertex, name)))
    return found


def noted_spec(vertex: Vertex, name: str) -> tuple[bool, Spec | None]:
    """Whether it was noted what an argument was; its shape and dtype, or None for one that was left out.

    Of a step of a sequence: what the step takes of it.
    """
    note, number = None if vertex.node is None else note_of(vertex.node), _number_of(vertex, name)
    if note is None or number >= len(note.inputs):
        return False, None
    spec = note.inputs[number]
    steps = called(vertex).steps
    if spec is not None and vertex.step is not None and steps and name == steps.inputs:
        spec = vertex.specs[0][0][:1] + spec[0][-1:], spec[1]
    return True, spec


def _noted_number(vertex: Vertex, name: str) -> float | None:
    note = None if vertex.node is None else note_of(vertex.node)
    return None if note is None else note.numbers.get(_number_of(vertex, name))


def _number_of(vertex: Vertex, name: str) -> int:
    """The place of an argument in the call that left the node; a state of a step is what the sequence starts from."""
    primitive = called(vertex)
    if vertex.step is not None and primitive.steps:
        name = primitive.steps.start_of(name)
    stem, _, place = name.partition("[")
    return primitive.arguments.index(stem) + (int(place[:-1]) if place else 0)


def _is_optional(vertex: Vertex, name: str) -> bool:
    primitive = called(vertex)
    stem = primitive.arguments[min(_number_of(vertex, name), len(primitive.arguments) - 1)]
    return primitive.signature.parameters[stem].default is None


def called(vertex: Vertex) -> Primitive:
    """The primitive that was called: of a step of an unrolled sequence that of the whole sequence."""
    assert vertex.node is not None
    assert vertex.node.primitive is not None
    return vertex.node.primitive


# Whose name is said -----------------------------------------------------------------------------


def to_be_named(picture: Picture, vertex: Vertex, stubbed: Set[int]) -> set[str]:
    """The arguments whose name a drawing says, so that those in another order are drawn otherwise.

    Without names one reads: first what an edge brings, then what stands as stubs, in the order of the call. Where the
    order does not matter, or one argument is all, nothing is named; constants are named in all other cases.
    """
    if vertex.kind != "operation" or vertex.gathers is not None or _is_symmetric(vertex):
        return set()
    constants = {constant.argument for constant in constants_of(vertex)}
    if len(vertex.inputs) + len(constants) < 2:
        return set()
    place = {name: i for i, name in enumerate(argument_order(vertex))}
    drawn = [edge for edge in vertex.inputs if edge.source not in stubbed]
    silent = [edge for edge in drawn if not _says_itself(picture, vertex, edge)]
    differ = len({_what_it_brings(picture, edge) for edge in silent}) > 1
    named = {edge.argument for edge in silent if differ}
    last = max((place[edge.argument] for edge in drawn), default=-1)
    stubs = {edge.argument for edge in vertex.inputs if edge.source in stubbed and place[edge.argument] < last}
    return constants | named | stubs


def _what_it_brings(picture: Picture, edge: Edge) -> tuple[object, ...]:
    """The same for edges that bring the same, so that it does not matter which is which; an elision may bring many."""
    return edge if picture.vertices[edge.source].kind == "elision" else edge[:2]


def _is_symmetric(vertex: Vertex) -> bool:
    primitive = vertex.primitive
    return primitive is not None and primitive.commutative


def _says_itself(picture: Picture, vertex: Vertex, edge: Edge) -> bool:
    """Whether what is drawn of an edge tells its argument: a part of a sequence, a state from the step before.

    So it is with an elision among arguments of one name: the edge stands for several of them.
    """
    source = picture.vertices[edge.source]
    between_steps = vertex.step is not None and source.node is vertex.node
    return bool(edge.part) or between_steps or (source.kind == "elision" and "[" in edge.argument)


def with_name(argument: str, named: Set[str], text: str = "") -> str:
    """A text behind the name of its argument, if that is to be named: of several alike its place.

    >>> with_name("arrays[3]", {"arrays[3]"}, "2×2"), with_name("a", {"a"}), with_name("a", set(), "2×2")
    ('[3]: 2×2', 'a', '2×2')
    """
    stem, bracket, place = argument.partition("[")
    name = bracket + place if bracket else stem
    return ": ".join(filter(None, [name, text])) if argument in named else text
