"""Norms and times of a picture, and their colours on log scales.

Gradients have a diverging scale around the norm 1, that of the gradient of a loss by itself: a gradient that vanishes
turns blue, one that explodes red. Its ends are fixed, so that harmless differences stay pale, and pictures compare.

:func:`minigrad.record` notes the norms of values and of the gradients in the last backward pass. A step of an unrolled
sequence has the norm of dL/dh_t and dL/dc_t, summed over all later uses, so that you can see where a gradient fades.
:func:`minigrad.profile` notes times.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ..formatting import time_text
from ..recording import Stats
from .picture import Edge, Picture, Vertex

__all__ = ["GRADIENT_MARKS", "NO_NUMBER", "Ends", "Heat", "flow_norm", "gradient_colour", "gradient_heat",
           "gradient_norm", "is_noted", "largest", "mark_births", "norm_range", "norm_span", "seconds_of", "strip",
           "strip_colours", "time_heat", "time_words", "times_by_phase", "value_norm", "was_recorded"]  # fmt: skip

NO_NUMBER = "#e4e4e4"  # the colour of what has no number, or is not shown
_UNUSUAL = "#b000b0"  # NaN or infinite
_TIMES = ((254, 232, 200), (253, 212, 158), (252, 141, 89), (215, 48, 31), (127, 0, 0))  # pale to dark red
_GRADIENTS = ((5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (247, 247, 247),
              (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31))  # fmt: skip
# blue, white, red: ColorBrewer's RdBu, which colour-blind people can read
GRADIENT_MARKS = (1e-8, 1.0, 1e4)  # of the scale of gradients
_SPAN = 100  # times below this fraction of the longest are pale, because they do not matter
Ends = tuple[float, float] | bool  # the ends of a scale; True chooses them, False means no scale

# Norms ------------------------------------------------------------------------------------------


def is_noted(vertex: Vertex) -> bool:
    """Return whether a missing norm means that no gradient came.

    It does not for omitted vertices, folded loops and expanded primitives.
    """
    return not vertex.folds and (vertex.is_leaf or (vertex.kind == "operation" and vertex.note is not None))


def gradient_norm(vertex: Vertex, slot: int) -> float | None:
    """Return the norm of an output's gradient in the last recorded backward pass.

    None if there was none, or for a folded loop, which has several.
    """
    note = vertex.note
    return None if note is None or vertex.folds else _norm(vertex, slot, note.gradients, note.gradient_steps)


def value_norm(vertex: Vertex, slot: int) -> float | None:
    """Return the norm of an output's value; None if it was not recorded.

    None also for a folded loop, which has several.
    """
    note = vertex.note
    return None if note is None or vertex.folds else _norm(vertex, slot, note.values, note.value_steps)


def norm_span(vertex: Vertex, slot: int, norm: Callable[[Vertex, int], float | None], name: str = "") -> str:
    """Return the norms at the first and last step of a folded loop; empty if unknown.

    A larger norm between them follows.
    """
    norms = [norm(folded, slot) for folded in vertex.folds]
    if not norms or None in norms:
        return ""
    return f"{name}{norms[0]:.1e} … {norms[-1]:.1e}" + (
        "" if largest(norms) in (norms[0], norms[-1]) else f", largest {largest(norms):.1e}"
    )


def _all_norms(vertices: Iterable[Vertex], norm: Callable[[Vertex, int], float | None]) -> list[float]:
    """Return the known norms of all outputs, at all steps of folded loops."""
    return [
        number
        for vertex in vertices
        for step in vertex.folds or (vertex,)
        for slot in range(len(step.specs))
        if (number := norm(step, slot)) is not None
    ]


def _norm(
    vertex: Vertex, slot: int, stats: Sequence[Stats | None], steps: Mapping[int, Sequence[float]]
) -> float | None:
    slot = slot if vertex.gathers is None else vertex.gathers  # a state's stack has the notes of that state
    if vertex.step is not None:
        return _at(steps.get(slot, ()), vertex.step)
    return next((found.norm for found in stats[slot : slot + 1] if found is not None), None)


def _at(norms: Sequence[float], step: int | None) -> float | None:
    return norms[step] if step is not None and 0 <= step < len(norms) else None


def largest(norms: Iterable[float | None]) -> float | None:
    """Return the largest of the known norms; NaN counts as the largest."""
    known = [norm for norm in norms if norm is not None]
    return max(known, key=lambda norm: math.inf if math.isnan(norm) else norm, default=None)


def was_recorded(picture: Picture, norm: Callable[[Vertex, int], float | None] = gradient_norm) -> bool:
    """Return whether the norms belong to the pass that made the picture.

    Norms of leaves may be from an earlier pass.
    """
    asked = [vertex for vertex in picture.vertices if not vertex.is_leaf] or picture.vertices
    return bool(_all_norms(asked, norm))


def flow_norm(picture: Picture, target: Vertex, edge: Edge) -> float | None:
    """Return the norm of the gradient that came back along an edge.

    Between steps, it is that of the whole state. From omitted vertices, it is known only if one vertex used the output.
    """
    source, note = picture.vertices[edge.source], target.note
    within = source.node is target.node  # between the vertices of one sequence
    if note is None or not (is_noted(target) and (source.kind == "omitted" or is_noted(source))):
        return None
    if target.step is not None and edge.argument in note.flow_steps:
        return _at(note.flow_steps[edge.argument], target.step)
    if within and target.step is None:  # into the stack of the states
        return _at(note.direct_steps.get(edge.slot, ()), source.step)
    if source.kind == "omitted" or edge.argument in note.flows:  # to a weight of a step: the sum over all steps
        return note.flows.get(edge.argument)
    return gradient_norm(source, edge.slot)


# NaNs and infinities ----------------------------------------------------------------------------


def mark_births(picture: Picture) -> None:
    """Mark, in place, operations whose output is worse than their arguments, forward or backward.

    A NaN is worse than an infinity, which is worse than a finite number.
    """
    for vertex in picture.vertices:
        vertex.birth = _birth(vertex)


def _birth(vertex: Vertex) -> str:
    note = vertex.note
    if note is None or vertex.gathers is not None:
        return ""
    words = []
    if note.birth and vertex.step in (None, min(_unusual_steps(note.value_steps), default=0)):
        words.append(f"{('infinity', 'NaN')[note.birth - 1]} born here")
    if note.gradient_birth:
        after = [t + 1 for t in _unusual_steps(note.gradient_steps)]  # the gradient of state t comes from step t + 1
        if vertex.step in (None, max([*after, *_unusual_steps(note.flow_steps)], default=0)):
            words.append(f"{('infinite', 'NaN')[note.gradient_birth - 1]} gradient born here")
    return ", ".join(words)


def _unusual_steps(norms: Mapping[Any, Sequence[float]]) -> list[int]:
    return [t for steps in norms.values() for t, norm in enumerate(steps) if not math.isfinite(norm)]


# Times ------------------------------------------------------------------------------------------


def seconds_of(vertex: Vertex) -> float | None:
    """Return the time of an operation in seconds, forward and backward together.

    A step has the time of all steps. None if it was not profiled. The stack of a sequence's states is not a call, and
    an omitted vertex replaces several.
    """
    times = times_by_phase(vertex)
    return sum(times.values()) / 1e9 if times else None


def time_words(vertex: Vertex) -> str:
    """Return the times of the forward function and of the VJP as text; empty without a profile."""
    words = " + ".join(map(time_text, times_by_phase(vertex).values()))
    return words and vertex.total_prefix + words


def times_by_phase(vertex: Vertex) -> dict[str, int]:
    """Return the measured times in nanoseconds, by phase."""
    calls = {id(v.note): v.note for v in vertex.operations if v.kind == "operation" and v.gathers is None}
    notes = [note for note in calls.values() if note]
    times = {"forward": [note.forward_time for note in notes], "backward": [note.backward_time for note in notes]}
    return {phase: sum(filter(None, several)) for phase, several in times.items() if any(several)}


# Steps of folded loops --------------------------------------------------------------------------


def strip(vertex: Vertex, by_time: bool) -> list[float | None]:
    """Return the time or the largest norm of the gradient of each step of a folded loop, first to last.

    It is empty if there are no steps or numbers, or if only their total was measured.
    """
    numbers = [seconds_of(step) if by_time else _gradient_in(step) for step in vertex.folds]
    calls = {id(step.note) for step in vertex.folds} if vertex.kind == "operation" and by_time else vertex.folds
    return numbers if any(number is not None for number in numbers) and len(calls) > 1 else []


def _gradient_in(vertex: Vertex) -> float | None:
    return largest(gradient_norm(v, slot) for v in vertex.operations for slot in range(len(v.specs)))


def norm_range(vertex: Vertex) -> str:
    """Return the smallest and the largest norm of a gradient in a closed module; empty if there is none."""
    norms = [norm for norm in map(_gradient_in, vertex.operations) if norm is not None]
    return f"gradient {min(norms):.1e} … {largest(norms):.1e}" if norms and vertex.inside else ""


# Colours ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heat:
    """A log scale of colours.

    Attributes:
        palette: red, green and blue (0 to 255) of colours at equal distances.
        marks: the numbers, above 0, where equal parts of the palette meet: both ends, and for gradients 1 between them.
        unusual: whether any number is NaN or infinite.
    """

    palette: tuple[tuple[int, int, int], ...]
    marks: tuple[float, ...]
    unusual: bool = False

    def colour(self, number: float | None) -> str:
        """Return the colour of a number; grey for 0 or None, and purple for NaN or infinity.

        >>> scale = Heat(((0, 0, 255), (255, 255, 255)), (1e-8, 1.0))
        >>> scale.colour(1e-8), scale.colour(1e-4), scale.colour(1.0)
        ('#0000ff', '#8080ff', '#ffffff')
        """
        if number is None or number == 0:
            return NO_NUMBER
        if not math.isfinite(number):
            return _UNUSUAL
        log, logs = math.log(number), [math.log(mark) for mark in self.marks]
        k = bisect_right(logs, log, 1, len(logs) - 1) - 1
        span = logs[k + 1] - logs[k]
        place = k + (min(max((log - logs[k]) / span, 0.0), 1.0) if span else 1.0)
        part, below = math.modf(place * (len(self.palette) - 1) / (len(logs) - 1))
        ends = zip(self.palette[int(below)], self.palette[math.ceil(below + part)], strict=True)
        return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in ends)

    def text_colour(self, number: float | None) -> str:
        """Return black or white, whichever has more contrast on that colour: at least 4.5.

        Source: W3C, Web Content Accessibility Guidelines 2.1, relative luminance and contrast ratio.
        """
        fill = self.colour(number)
        levels = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in levels)
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"

    def ticks(self, count: int = 5) -> list[float]:
        """Return numbers at equal distances on the scale, from its low to its high end."""
        places = np.linspace(0, len(self.marks) - 1, count)
        logs = np.interp(places, range(len(self.marks)), np.log10(self.marks))
        return [float(f"{10**log:.12g}") for log in logs]


def strip_colours(scale: Heat, vertex: Vertex, by_time: bool, most: int = 27) -> list[str]:
    """Return the colours of the steps of a folded loop, of at most this many at equal distances."""
    numbers = strip(vertex, by_time)
    places = np.linspace(0, len(numbers) - 1, min(len(numbers), most)).round().astype(int)
    return [scale.colour(numbers[k]) for k in places]


def gradient_colour(log10: float) -> str:
    """Return the colour of a gradient by the decimal logarithm of its norm: white at 0.

    >>> gradient_colour(-math.inf), gradient_colour(0.0), gradient_colour(9.0)
    ('#053061', '#f7f7f7', '#67001f')
    """
    return Heat(_GRADIENTS, GRADIENT_MARKS).colour(10.0 ** np.clip(log10, *np.log10(GRADIENT_MARKS[::2])))


def gradient_heat(picture: Picture, ends: Ends = True) -> Heat:
    """Return the scale of gradients from 1e-8 over 1 to 1e4, or with the ends `ends[0]` and `ends[1]`.

    Raises:
        ValueError: if no gradient was recorded, or the ends are not 0 < low < 1 < high.
    """
    low, high = _checked_ends("gradients", GRADIENT_MARKS[::2] if ends is True else ends)
    if not low < 1 < high:
        raise ValueError(f"render: gradients must be the ends of a scale around 1, low < 1 < high; got {ends!r}")
    if not was_recorded(picture):
        raise ValueError(
            "render: no gradient was recorded for the operations shown. Run the forward and the backward pass inside "
            "`with mg.record():`."
        )
    return Heat(_GRADIENTS, (low, 1.0, high), not all(map(math.isfinite, _all_norms(picture.vertices, gradient_norm))))


def time_heat(picture: Picture, ends: Ends = True) -> Heat:
    """Return the scale of times.

    It is from a hundredth of the longest time to that time, or from `ends[0]` to `ends[1]` seconds.

    Raises:
        ValueError: if no time was recorded, or the ends are not 0 < low <= high.
    """
    times = [time for vertex in picture.vertices if (time := seconds_of(vertex)) is not None]
    if not times:
        raise ValueError(
            "render: no times were recorded for the operations shown. Run the forward and the backward pass inside "
            "`with mg.profile():`."
        )
    longest = max(times) or 1.0
    return Heat(_TIMES, _checked_ends("times", (longest / _SPAN, longest) if ends is True else ends))


def _checked_ends(option: str, ends: Any) -> tuple[float, float]:
    is_pair = isinstance(ends, tuple | list) and len(ends) == 2 and all(isinstance(end, Real) for end in ends)
    if not is_pair or not 0 < ends[0] <= ends[1] < math.inf:
        raise ValueError(
            f"render: {option} must be True, False or a pair (low, high) with 0 < low <= high, not {ends!r}"
        )
    return float(ends[0]), float(ends[1])
