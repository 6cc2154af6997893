"""Heat: a positive number as a colour on a log scale; the norm of the gradient that flowed through each vertex.

:mod:`minigrad.render.times` has the same for the time that each took.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real

from .norms import gradient_norm, was_recorded
from .picture import Picture

__all__ = ["NOT_SHOWN", "Heat", "heat_of", "scale_of"]

_SCALE = ((254, 232, 200), (253, 212, 158), (252, 141, 89), (215, 48, 31), (127, 0, 0))  # pale to dark red
_UNUSUAL = "#b000b0"  # NaN or infinite
NOT_SHOWN = "#e4e4e4"
"""The colour of what stands for others."""
_NOTHING = "#ffffff"  # exactly zero, or nothing flowed


@dataclass(frozen=True, slots=True)
class Heat:
    """Colours for norms from `low` to `high`, both above 0. unusual: whether any norm is NaN or infinite."""

    low: float
    high: float
    unusual: bool = False

    def colour(self, norm: float | None) -> str:
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

    def text_colour(self, norm: float | None) -> str:
        """Black or white, whichever is read better on that colour."""
        fill = self.colour(norm)
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


def scale_of(option: str, numbers: Iterable[float], ends: tuple[float, float] | bool = True) -> Heat:
    """The scale that fits all these numbers, or goes from `ends[0]` to `ends[1]`.

    A ValueError that names the option if the ends are not 0 < low <= high.
    """
    if ends is not True and not _is_scale(ends):
        raise ValueError(f"render: {option} must be True, False or the ends of a scale, 0 < low <= high; got {ends!r}")
    usual = [number for number in numbers if number != 0]
    unusual = not all(map(math.isfinite, usual))
    if isinstance(ends, tuple | list):
        return Heat(float(ends[0]), float(ends[1]), unusual)
    usual = [number for number in usual if math.isfinite(number)] or [1.0]
    return Heat(min(usual), max(usual), unusual)


def heat_of(picture: Picture, ends: tuple[float, float] | bool = True) -> Heat:
    """The scale that fits all norms of gradients in a picture, or goes from `ends[0]` to `ends[1]`.

    A ValueError if no gradient was recorded (it says how to), or the ends are not 0 < low <= high.
    """
    norms = [
        norm
        for vertex in picture.vertices
        for slot in range(len(vertex.specs))
        if (norm := gradient_norm(vertex, slot)) is not None
    ]
    scale = scale_of("gradients", norms, ends)
    if not was_recorded(picture):
        raise ValueError(
            "render: no gradient was recorded of any operation that is shown: run the forward and the backward pass "
            "within `with mg.record():`"
        )
    return scale
