"""The norms that :func:`minigrad.record` noted: of values, and of the gradients of the last backward pass.

Within an unrolled sequence a step has the norm of dL/dh_t and dL/dc_t, summed over all later uses, so that a gradient
can be seen fading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ..recording import note_of
from .picture import Edge, Picture, Vertex

__all__ = ["flow_norm", "gradient_norm", "is_noted", "largest", "noted_slot", "value_norm", "was_recorded"]


def is_noted(vertex: Vertex) -> bool:
    """Whether no norm means that no gradient came: not so for elisions, nor for what was never part of a pass."""
    note = None if vertex.node is None else note_of(vertex.node)
    return vertex.is_leaf or (vertex.kind == "operation" and note is not None)


def gradient_norm(vertex: Vertex, slot: int) -> float | None:
    """The norm of the gradient of an output in the last recorded backward pass; None if none was seen."""
    note = None if vertex.node is None else note_of(vertex.node)
    if note is None or vertex.kind == "elision":
        return None
    slot = noted_slot(vertex, slot)
    if vertex.step is not None:
        return _at(note.gradient_steps.get(slot, ()), vertex.step)
    stats = note.gradients[slot] if slot < len(note.gradients) else None
    return None if stats is None else stats.norm


def value_norm(vertex: Vertex, slot: int) -> float | None:
    """The norm of an output's value; None if it was not recorded."""
    note = None if vertex.node is None else note_of(vertex.node)
    if note is None or vertex.kind == "elision":
        return None
    slot = noted_slot(vertex, slot)
    if vertex.step is not None:
        return _at(note.value_steps.get(slot, ()), vertex.step)
    stats = note.values[slot] if slot < len(note.values) else None
    return None if stats is None else stats.norm


def noted_slot(vertex: Vertex, slot: int) -> int:
    """The number under which an output was noted: what gathers the steps of one state is noted as that state."""
    return slot if vertex.gathers is None else vertex.gathers


def largest(norms: Iterable[float | None]) -> float | None:
    """The largest of the norms that are known; NaN counts as the largest."""
    known = [norm for norm in norms if norm is not None]
    return max(known, key=lambda norm: math.inf if math.isnan(norm) else norm, default=None)


def was_recorded(picture: Picture, norm: Callable[[Vertex, int], float | None] = gradient_norm) -> bool:
    """Whether the norms of a picture are of a pass that made it: those of leaves alone may be of an earlier one."""
    operations = [vertex for vertex in picture.vertices if not vertex.is_leaf]
    asked = operations or picture.vertices
    return any(norm(vertex, slot) is not None for vertex in asked for slot in range(len(vertex.specs)))


def flow_norm(picture: Picture, target: Vertex, edge: Edge) -> float | None:
    """The norm of the gradient that came back along an edge; between steps, of the whole state that it carries."""
    source = picture.vertices[edge.source]
    if "elision" in (source.kind, target.kind):
        return _flow_at_elision(source, target, edge)
    if not (is_noted(source) and is_noted(target)):
        return None
    note = None if target.node is None else note_of(target.node)
    if note is not None and target.step is not None and edge.argument in note.flow_steps:
        return _at(note.flow_steps[edge.argument], target.step)
    if source.step is not None and target.node is source.node and target.step is None:  # into the stack of the states
        return None if note is None else _at(note.direct_steps.get(edge.slot, ()), source.step)
    if note is not None and edge.argument in note.flows:  # of a step: what all steps sent to a weight
        return note.flows[edge.argument]
    return gradient_norm(source, edge.slot)


def _flow_at_elision(source: Vertex, target: Vertex, edge: Edge) -> float | None:
    """Known only of a state that is handed from step to step, and of what one vertex took."""
    note = None if target.node is None else note_of(target.node)
    if source.kind == "operation":
        return gradient_norm(source, edge.slot) if source.step is not None and target.node is source.node else None
    if note is None or target.kind == "elision":
        return None
    if target.step is None:
        return None if target.node is source.node else note.flows.get(edge.argument)
    assert target.node is not None
    assert target.node.primitive is not None
    names = target.node.primitive.steps.names if target.node.primitive.steps else ()
    slot = names.index(edge.argument) if edge.argument in names else -1
    return _at(note.gradient_steps.get(slot, ()), target.step - 1)


def _at(norms: Sequence[float], step: int) -> float | None:
    return norms[step] if 0 <= step < len(norms) else None
