"""The times that :func:`minigrad.profile` measured, of the vertices of a picture, and their scale of colours."""

from __future__ import annotations

from ..recording import Note, note_of
from ..units import time_text
from .heat import Heat, scale_of
from .picture import Picture, Vertex

__all__ = ["heat_of_times", "seconds_of", "time_rows", "time_words", "was_profiled"]

_SPAN = 100
"""What takes less than this part of the longest time is pale: it does not matter."""


def seconds_of(vertex: Vertex) -> float | None:
    """How long an operation took, forward and backward together; of a step of a sequence, all its steps.

    None if it was not profiled: what gathers the steps of a sequence is no call, and an elision stands for several.
    """
    note = _profiled(vertex)
    return None if note is None else ((note.forward_time or 0) + (note.backward_time or 0)) / 1e9


def time_words(vertex: Vertex) -> str:
    """What a drawing says of the time: that of the forward, and of the VJP if it ran; nothing without a profile."""
    words = " + ".join(time for _, time in time_rows(vertex))
    return f"all steps {words}" if words and vertex.step is not None else words


def time_rows(vertex: Vertex) -> list[tuple[str, str]]:
    """The times that were measured, each behind the name of its phase."""
    note = _profiled(vertex)
    times = () if note is None else (("forward", note.forward_time), ("backward", note.backward_time))
    return [(phase, time_text(time)) for phase, time in times if time is not None]


def _profiled(vertex: Vertex) -> Note | None:
    """The note of an operation, if it has a time."""
    if vertex.kind != "operation" or vertex.node is None or vertex.gathers is not None:
        return None
    note = note_of(vertex.node)
    return None if note is None or (note.forward_time is None and note.backward_time is None) else note


def was_profiled(picture: Picture) -> bool:
    """Whether anything has a time."""
    return any(seconds_of(vertex) is not None for vertex in picture.vertices)


def heat_of_times(picture: Picture, ends: tuple[float, float] | bool = True) -> Heat:
    """The scale from a hundredth of the longest time in a picture to all of it, or from `ends[0]` to `ends[1]` seconds.

    A ValueError if nothing that is shown was profiled (it says how to), or the ends are not 0 < low <= high.
    """
    times = [seconds for vertex in picture.vertices if (seconds := seconds_of(vertex)) is not None]
    scale = scale_of("times", times, ends)
    if not was_profiled(picture):
        raise ValueError(
            "render: times: nothing that is shown was profiled: run the forward and the backward pass within "
            "`with mg.profile():`"
        )
    return scale if ends is not True else Heat(scale.high / _SPAN, scale.high)
