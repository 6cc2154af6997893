"""Heat: the norm of the gradient that flowed through each vertex, as a colour on a log scale.

The norms are those that :func:`minigrad.record` noted in the last backward pass. Within an unrolled sequence a
step has the norm of dL/dh_t and dL/dc_t, summed over all later uses, so that a gradient can be seen fading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real

from ..recording import note_of
from .picture import Edge, Picture, Vertex

__all__ = ["NOT_SHOWN", "Heat", "flow_norm", "gradient_norm", "heat_of", "is_noted", "largest", "noted_slot",
           "value_norm", "was_recorded"]  # fmt: skip

_SCALE = ((254, 232, 200), (253, 212, 158), (252, 141, 89), (215, 48, 31), (127, 0, 0))  # pale to dark red
_UNUSUAL = "#b000b0"  # NaN or infinite
NOT_SHOWN = "#e4e4e4"
"""The colour of what stands for others."""
_NOTHING = "#ffffff"  # exactly zero, or nothing flowed


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
    return norms[step] if step < len(norms) else None


@dataclass(frozen=True, slots=True)
class Heat:
    """Colours for norms from `low` to `high`, both above 0. unusual: whether any norm is NaN or infinite."""

    low: float
    high: float
    unusual: bool = False

    def color(self, norm: float | None) -> str:
        """The colour of a norm: pale for `low`, dark red for `high`; white for 0 or None, purple if not finite."""
        if norm is None or norm == 0:
            return _NOTHING
        if not math.isfinite(norm):
            return _UNUSUAL
        span = math.log(self.high / self.low)
        place = 1.0 if span == 0 else min(max(math.log(norm / self.low) / span, 0.0), 1.0)
        place *= len(_SCALE) - 1
        k = min(int(place), len(_SCALE) - 2)
        mixed = (round(a + (b - a) * (place - k)) for a, b in zip(_SCALE[k], _SCALE[k + 1], strict=True))
        return "#" + "".join(f"{c:02x}" for c in mixed)

    def text_color(self, norm: float | None) -> str:
        """Black or white, whichever is read better on that colour."""
        fill = self.color(norm)
        red, green, blue = (int(fill[i : i + 2], 16) for i in (1, 3, 5))
        return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"

    def ticks(self, count: int = 5) -> list[float]:
        """Norms at even distances on the log scale, from low to high."""
        ratio = self.high / self.low
        return [self.low * ratio ** (k / (count - 1)) for k in range(count)]


def _is_scale(ends: object) -> bool:
    if not isinstance(ends, tuple | list) or len(ends) != 2 or not all(isinstance(end, Real) for end in ends):
        return False
    return bool(0 < ends[0] <= ends[1] < math.inf)


def heat_of(picture: Picture, ends: tuple[float, float] | bool = True) -> Heat:
    """The scale that fits all norms of a picture, or goes from `ends[0]` to `ends[1]`.

    A ValueError if no gradient was recorded (it says how to), or the ends are not 0 < low <= high.
    """
    if ends is not True and not _is_scale(ends):
        raise ValueError(f"render: gradients must be True, False or the ends of a scale, 0 < low <= high; got {ends!r}")
    if not was_recorded(picture):
        raise ValueError(
            "render: no gradient was recorded of any operation that is shown: run the forward and the backward pass "
            "within `with mg.record():`"
        )
    norms = [
        norm
        for vertex in picture.vertices
        for slot in range(len(vertex.specs))
        if (norm := gradient_norm(vertex, slot)) is not None
    ]
    unusual = not all(map(math.isfinite, norms))
    if isinstance(ends, tuple | list):
        return Heat(float(ends[0]), float(ends[1]), unusual)
    usual = [norm for norm in norms if norm > 0 and math.isfinite(norm)] or [1.0]
    return Heat(min(usual), max(usual), unusual)
