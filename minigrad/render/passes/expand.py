"""Primitives shown as the composition of simpler ones that is their reference.

The reference is traced once more, on zeros of the shapes that met: those of tracked arguments are known from the
graph, those of constants only if :func:`minigrad.record` noted them. Where one is not known the primitive stays as it
is, with a remark that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any, NamedTuple

import numpy as np

from ...core import Tensor, current_scope, recording
from ...observers import observing
from ...primitives import Primitive
from ...spec import Spec
from ..arguments import called, noted_spec
from ..picture import Edge, Output, Path, Picture, Vertex
from ..reading.nodes import picture_of
from .frames import Frames

__all__ = ["expanded"]

_UNKNOWN = "reference not shown: record the forward pass"
_CONSTANT = "reference not shown: it is a constant here"
_HIDDEN = "reference not shown: a derivative uses what it keeps"


def expanded(picture: Picture, names: Set[str]) -> Picture:
    """The picture with each primitive of these names as its reference, in a scope of its own.

    The inner operations were never part of a pass, so nothing is noted of them. Those of a step that stands for many
    stand for as many.
    """
    return _Expansion(picture, names).run() if names else picture


class _Argument(NamedTuple):
    """What a primitive was called with: shape and dtype (None if it was left out), and the edge if it is tracked."""

    spec: Spec | None
    edge: Edge | None


class _Expansion:
    """Puts references in the place of primitives; equal ones are traced once."""

    def __init__(self, picture: Picture, wanted: Set[str]) -> None:
        self.picture, self.wanted = picture, wanted
        self.result: list[Vertex] = []
        self.moved: dict[tuple[int, int], tuple[int, int]] = {}  # an output before -> the output now
        self.traces: dict[Any, Picture | str] = {}
        primitives = [v.primitive if v.label in wanted else None for v in picture.vertices]
        self.calls = {number: p for number, p in enumerate(primitives) if p is not None and p.reference is not None}
        self.frames = Frames(picture.vertices, self.calls.keys())

    def run(self) -> Picture:
        """The new picture."""
        for number, vertex in enumerate(self.picture.vertices):
            if number in self.calls:
                self._expand(number, vertex, self.calls[number])
            else:
                self._keep(number, vertex)
        outputs = [Output(*self.moved[output.source, output.slot], output.name) for output in self.picture.outputs]
        return Picture(self.result, outputs)

    def _keep(self, number: int, vertex: Vertex, caveat: str = "") -> None:
        self.moved |= {(number, slot): (len(self.result), slot) for slot in range(len(vertex.specs))}
        self.result.append(vertex.with_inputs(tuple(map(self._new_edge, vertex.inputs))))
        self.result[-1].caveat = caveat

    def _new_edge(self, edge: Edge) -> Edge:
        source, slot = self.moved[edge.source, edge.slot]
        return edge._replace(source=source, slot=slot)

    def _expand(self, number: int, vertex: Vertex, primitive: Primitive) -> None:
        if vertex.hidden:
            self._keep(number, vertex, _HIDDEN)
            return
        arguments = self._arguments(vertex, primitive)
        trace = _UNKNOWN if arguments is None else self._trace(vertex, primitive, arguments)
        if isinstance(trace, str):
            self._keep(number, vertex, trace)
            return
        assert arguments is not None
        edges = [self._new_edge(argument.edge) for argument in arguments if argument.edge is not None]
        step = () if vertex.step is None else vertex.scope[-1:]
        places = self._insert(trace, edges, (*self.frames.around(number, vertex), *step), vertex.stands_for)
        for slot, output in enumerate(trace.outputs):
            feed = places[output.source]
            self.moved[number, slot] = feed[:2] if isinstance(feed, Edge) else (feed, output.slot)
        for slot, name in vertex.names:
            source, inner_slot = self.moved[number, slot]
            self.result[source].names += ((inner_slot, name),)

    def _insert(self, trace: Picture, edges: Iterable[Edge], scope: Path, stands_for: int) -> list[Edge | int]:
        """Add what a reference consists of, in a scope; these edges take the places of its leaves in order.

        Returns for each vertex of the trace the edge in its place, or its new number.
        """
        leaves = iter(edges)
        places: list[Edge | int] = []
        for inner in trace.vertices:
            if inner.is_leaf:
                places.append(next(leaves))
                continue
            inputs = tuple(
                feed._replace(argument=edge.argument) if isinstance(feed, Edge) else edge._replace(source=feed)
                for edge in inner.inputs
                for feed in [places[edge.source]]
            )
            places.append(len(self.result))
            self.result.append(inner.with_inputs(inputs))
            self.result[-1].scope = (*scope, *inner.scope)
            self.result[-1].stands_for = stands_for
        return places

    def _arguments(self, vertex: Vertex, primitive: Primitive) -> list[_Argument] | None:
        """All arguments in the order of the call; None if the shape of one is not known."""
        tracked = {edge.argument: _Argument(self._spec(vertex, edge), edge) for edge in vertex.inputs}
        steps = called(vertex).steps
        weights = tracked[steps.weights].spec if steps and steps.weights in tracked else None
        result = []
        for name in primitive.arguments:
            if name in tracked:
                result.append(tracked[name])
            else:
                known, spec = _constant(vertex, name, weights)
                if not known:
                    return None
                result.append(_Argument(spec, None))
        return result

    def _spec(self, vertex: Vertex, edge: Edge) -> Spec:
        """The shape and dtype of what flows along an edge: to a step of a sequence one row for each of its own."""
        shape, dtype = self.picture.vertices[edge.source].specs[edge.slot]
        return (vertex.specs[0][0][:1] + shape[-1:] if edge.part else shape), dtype

    def _trace(self, vertex: Vertex, primitive: Primitive, arguments: list[_Argument]) -> Picture | str:
        options = {} if vertex.step is not None else vertex.options
        key = primitive.name, id(vertex.options), tuple((spec, edge is not None) for spec, edge in arguments)
        if key not in self.traces:
            self.traces[key] = _traced(primitive, arguments, options)
        return self.traces[key]


def _constant(vertex: Vertex, name: str, weights: Spec | None) -> tuple[bool, Spec | None]:
    """Whether anything is known of a constant argument; its shape and dtype, or None for one that was left out.

    Of a sequence, or a step of it, the states' shape is that of the outputs; weights (D, …) say how wide x is.
    """
    primitive = called(vertex)
    if steps := primitive.steps:
        states = steps.states if vertex.step is None else steps.names
        shape, dtype = vertex.specs[0]
        if name in states:
            return True, ((shape[0], shape[-1]), dtype)
        looked_up = vertex.step is None and vertex.options.get(steps.indices or "") is not None
        if name == steps.inputs and weights is not None and not looked_up:
            return True, ((*shape[:-1], weights[0][0]), dtype)
    return noted_spec(vertex, name)


def _traced(primitive: Primitive, arguments: list[_Argument], options: Any) -> Picture | str:
    """The picture of a reference whose leaves are the tracked arguments in order; or why there is none."""
    tensors = [
        None if spec is None else Tensor(np.zeros(*spec), requires_grad=edge is not None) for spec, edge in arguments
    ]
    assert primitive.reference is not None
    with recording(), observing(alone=True), np.errstate(all="ignore"):
        depth = len(current_scope() or ())
        outputs = primitive.reference(*tensors, **options)
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    if any(output.node is None for output in several):
        return _CONSTANT
    leaves = [tensor for tensor in tensors if tensor is not None and tensor.node is not None]
    picture = picture_of([*leaves, *several], {})  # the leaves first, so that they come in order
    for vertex in picture.vertices:
        vertex.scope = vertex.scope[depth:]
    by_node = {vertex.node: number for number, vertex in enumerate(picture.vertices)}
    order = [by_node[leaf.node] for leaf in leaves]
    return _with_leaves_first(Picture(picture.vertices, picture.outputs[len(leaves) :]), order)


def _with_leaves_first(picture: Picture, leaves: list[int]) -> Picture:
    """The picture with its leaves in this order."""
    rest = [number for number, vertex in enumerate(picture.vertices) if not vertex.is_leaf]
    new = {old: number for number, old in enumerate([*leaves, *rest])}
    vertices = [
        picture.vertices[old].with_inputs(
            tuple(edge._replace(source=new[edge.source]) for edge in picture.vertices[old].inputs)
        )
        for old in new
    ]
    return Picture(vertices, [output._replace(source=new[output.source]) for output in picture.outputs])
