"""Norms and times of a picture, and their colours on a log scale.

:func:`minigrad.record` notes the norms of values and of the gradients in the last backward pass. A step of an unrolled
sequence has the norm of dL/dh_t and dL/dc_t, summed over all later uses, so that you can see where a gradient fades.
:func:`minigrad.profile` notes times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ..recording import Stats
from ..units import time_text
from .picture import Edge, Picture, Vertex

__all__ = ["NOT_SHOWN", "Ends", "Heat", "flow_norm", "gradient_heat", "gradient_norm", "is_noted", "largest",
           "seconds_of", "time_heat", "time_rows", "time_words", "value_norm",
           "was_recorded"]  # fmt: skip

NOT_SHOWN = "#e4e4e4"  # the colour of elisions and closed modules
_SCALE = ((254, 232, 200), (253, 212, 158), (252, 141, 89), (215, 48, 31), (127, 0, 0))  # pale to dark red
_UNUSUAL = "#b000b0"  # NaN or infinite
_NOTHING = "#ffffff"  # exactly zero, or no gradient
_SPAN = 100  # times below this fraction of the longest are pale, because they do not matter
Ends = tuple[float, float] | bool  # the ends of a scale; True fits it to the picture, False means no scale

# Norms ------------------------------------------------------------------------------------------


def is_noted(vertex: Vertex) -> bool:
    """Return whether a missing norm means that no gradient came, unlike for elisions and expanded primitives."""
    return vertex.is_leaf or (vertex.kind == "operation" and vertex.note is not None)


def gradient_norm(vertex: Vertex, slot: int) -> float | None:
    """Return the norm of an output's gradient in the last recorded backward pass; None if there was none."""
    note = vertex.note
    return None if note is None else _norm(vertex, slot, note.gradients, note.gradient_steps)


def value_norm(vertex: Vertex, slot: int) -> float | None:
    """Return the norm of an output's value; None if it was not recorded."""
    note = vertex.note
    return None if note is None else _norm(vertex, slot, note.values, note.value_steps)


def _norm(
    vertex: Vertex, slot: int, stats: Sequence[Stats | None], steps: Mapping[int, Sequence[float]]
) -> float | None:
    slot = slot if vertex.gathers is None else vertex.gathers  # a state's stack has the notes of that state
    if vertex.step is not None:
        return _at(steps.get(slot, ()), vertex.step)
    found = stats[slot] if slot < len(stats) else None
    return None if found is None else found.norm


def _at(norms: Sequence[float], step: int | None) -> float | None:
    return norms[step] if step is not None and 0 <= step < len(norms) else None


def largest(norms: Iterable[float | None]) -> float | None:
    """Return the largest of the known norms; NaN counts as the largest."""
    known = [norm for norm in norms if norm is not None]
    return max(known, key=lambda norm: math.inf if math.isnan(norm) else norm, default=None)


def was_recorded(picture: Picture, norm: Callable[[Vertex, int], float | None] = gradient_norm) -> bool:
    """Return whether the norms belong to the pass that made the picture; norms of leaves may be from an earlier one."""
    operations = [vertex for vertex in picture.vertices if not vertex.is_leaf]
    asked = operations or picture.vertices
    return any(norm(vertex, slot) is not None for vertex in asked for slot in range(len(vertex.specs)))


def flow_norm(picture: Picture, target: Vertex, edge: Edge) -> float | None:
    """Return the norm of the gradient that came back along an edge; between steps, that of the whole state.

    At an elision, it is known only for a state that goes from step to step, and for an output that one vertex used.
    """
    source, note = picture.vertices[edge.source], target.note
    within = source.node is target.node  # between the vertices of one sequence
    if target.kind == "elision":
        return gradient_norm(source, edge.slot) if source.step is not None and within else None
    if note is None or not (is_noted(target) and (source.kind == "elision" or is_noted(source))):
        return None
    if source.kind == "elision" and target.step is not None:
        steps = target.called.steps
        slots = {name: slot for slot, name in enumerate(steps.names if steps else ())}
        return _at(note.gradient_steps.get(slots.get(edge.argument, -1), ()), target.step - 1)
    if target.step is not None and edge.argument in note.flow_steps:
        return _at(note.flow_steps[edge.argument], target.step)
    if within and target.step is None:  # into the stack of the states
        return _at(note.direct_steps.get(edge.slot, ()), source.step if source.kind == "operation" else None)
    if source.kind == "elision" or edge.argument in note.flows:  # to a weight of a step: the sum over all steps
        return note.flows.get(edge.argument)
    return gradient_norm(source, edge.slot)


# Times ------------------------------------------------------------------------------------------


def seconds_of(vertex: Vertex) -> float | None:
    """Return the time of an operation in seconds, forward and backward together; a step has the time of all steps.

    None if it was not profiled. The stack of a sequence's states is not a call, and an elision replaces several.
    """
    times = _times(vertex)
    return sum(times.values()) / 1e9 if times else None


def time_words(vertex: Vertex) -> str:
    """Return the times of the forward function and of the VJP as text; empty without a profile."""
    words = " + ".join(time for _, time in time_rows(vertex))
    return f"all steps {words}" if words and vertex.step is not None else words


def time_rows(vertex: Vertex) -> list[tuple[str, str]]:
    """Return the measured times, each after the name of its phase."""
    return [(phase, time_text(time)) for phase, time in _times(vertex).items()]


def _times(vertex: Vertex) -> dict[str, int]:
    """Return the measured times in nanoseconds, by phase."""
    note = vertex.note
    if note is None or vertex.kind != "operation" or vertex.gathers is not None:
        return {}
    times = {"forward": note.forward_time, "backward": note.backward_time}
    return {phase: time for phase, time in times.items() if time is not None}


# Colours ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heat:
    """Colours for numbers from `low` to `high`, both above 0. unusual: whether any number is NaN or infinite."""

    low: float
    high: float
    unusual: bool = False

    def colour(self, number: float | None) -> str:
        """Return pale for `low`, dark red for `high`, white for 0 or None, and purple for NaN or infinity."""
        if number is None or number == 0:
            return _NOTHING
        if not math.isfinite(number):
            return _UNUSUAL
        span = math.log(self.high / self.low)
        place = min(max(math.log(number / self.low) / span, 0.0), 1.0) if span else 1.0
        part, below = math.modf(place * (len(_SCALE) - 1))
        ends = zip(_SCALE[int(below)], _SCALE[math.ceil(below + part)], strict=True)
        return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in ends)

    def text_colour(self, number: float | None) -> str:
        """Return black or white, whichever is more readable on that colour."""
        fill = self.colour(number)
        red, green, blue = (int(fill[i : i + 2], 16) for i in (1, 3, 5))
        return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"

    def ticks(self, count: int = 5) -> list[float]:
        """Return evenly spaced numbers on the log scale, from low to high."""
        ratio = self.high / self.low
        return [self.low * ratio ** (k / (count - 1)) for k in range(count)]


def gradient_heat(picture: Picture, ends: Ends = True) -> Heat:
    """Return the scale that fits the norms of all gradients, or goes from `ends[0]` to `ends[1]`.

    Raises:
        ValueError: if no gradient was recorded, or the ends are not 0 < low <= high.
    """
    norms = [gradient_norm(vertex, slot) for vertex in picture.vertices for slot in range(len(vertex.specs))]
    scale = _scale("gradients", norms, ends)
    if not was_recorded(picture):
        raise ValueError(
            "render: no gradient was recorded for the operations shown. Run the forward and the backward pass inside "
            "`with mg.record():`."
        )
    return scale


def time_heat(picture: Picture, ends: Ends = True) -> Heat:
    """Return the scale from a hundredth of the longest time to that time, or from `ends[0]` to `ends[1]` seconds.

    Raises:
        ValueError: if no time was recorded, or the ends are not 0 < low <= high.
    """
    times = [seconds_of(vertex) for vertex in picture.vertices]
    scale = _scale("times", times, ends)
    if times.count(None) == len(times):
        raise ValueError(
            "render: no times were recorded for the operations shown. Run the forward and the backward pass inside "
            "`with mg.profile():`."
        )
    return scale if ends is not True else Heat(scale.high / _SPAN, scale.high)


def _scale(option: str, numbers: Iterable[float | None], ends: Any) -> Heat:
    """Return the scale that fits all these numbers, or goes from `ends[0]` to `ends[1]`."""
    present = [number for number in numbers if number]
    finite = [number for number in present if math.isfinite(number)] or [1.0]
    if ends is True:
        ends = min(finite), max(finite)
    is_pair = isinstance(ends, tuple | list) and len(ends) == 2 and all(isinstance(end, Real) for end in ends)
    if not is_pair or not 0 < ends[0] <= ends[1] < math.inf:
        raise ValueError(f"render: {option} must be True, False or the ends of a scale, 0 < low <= high; got {ends!r}")
    return Heat(float(ends[0]), float(ends[1]), not all(map(math.isfinite, present)))
