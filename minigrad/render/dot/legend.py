"""What stands beside a drawing: parameters and inputs that are used often, with shapes, and the colours of heat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set

from ...units import time_text
from ..heat import NOT_SHOWN, Heat
from ..norms import gradient_norm
from ..notation import shape_of
from ..picture import Picture
from .escape import lines_to_the_left

__all__ = ["colour_bar", "norm_bar", "stub_legend", "time_bar"]

_CELLS = 24
"""Shades of the colour bar."""


def stub_legend(picture: Picture, names: Mapping[int, str], stubbed: Set[int], with_gradients: bool) -> list[str]:
    """The DOT line of a note with all that stands as stubs, once; nothing if there is none."""
    rows: dict[str, list[str]] = {"parameter": [], "input": [], "operation": []}
    for number in sorted(stubbed):
        vertex = picture.vertices[number]
        norm = gradient_norm(vertex, 0) if with_gradients else None
        said = "" if norm is None else f"  gradient {norm:.1e}"
        name = names[number] if vertex.is_leaf else f"{names[number]}  {vertex.label}"
        rows[vertex.kind].append(f"{name}  {shape_of(vertex.specs[0])}{said}")
    lines = [line for kind, found in rows.items() if found for line in (f"{kind}s", *found)]
    style = 'shape=note fontsize=9 style=filled fillcolor="#fffaf0" color="#c9a13b"'
    return [f"  legend [label={lines_to_the_left(lines)} {style}]"] if lines else []


def norm_bar(heat: Heat, elided: bool) -> str:
    """What the colours of gradients say."""
    return colour_bar(heat, "norm of the gradient, on a log scale", "{:.1e}".format, "white, dotted: none", elided)


def time_bar(heat: Heat, elided: bool) -> str:
    """What the colours of times say, and what stands in the boxes."""
    title = "time, forward + backward, on a log scale"
    return colour_bar(heat, title, _seconds, "white: no time was measured", elided)


def _seconds(time: float) -> str:
    return time_text(1e9 * time)


def colour_bar(heat: Heat, title: str, text: Callable[[float], str], white: str, elided: bool = False) -> str:
    """The DOT line of a table: shades from low to high, numbers below, what is off the scale, and what is not shown."""
    shades = "".join(f'<td bgcolor="{heat.colour(norm)}" width="10" height="12"></td>' for norm in heat.ticks(_CELLS))
    third = _CELLS // 3
    marks = zip(("left", "center", "right"), heat.ticks(3), strict=True)
    norms = "".join(f'<td colspan="{third}" align="{side}">{text(norm)}</td>' for side, norm in marks)
    rows = [f'<td colspan="{_CELLS}">{title}</td>', shades, norms, f'<td colspan="{_CELLS}">{white}</td>']
    if elided:
        rows.append(f'<td colspan="{_CELLS}" bgcolor="{NOT_SHOWN}">grey: not shown</td>')
    if heat.unusual:
        colour = heat.colour(math.nan)
        said = f'<font color="{heat.text_colour(math.nan)}">NaN or infinite</font>'
        rows.append(f'<td colspan="{_CELLS}" bgcolor="{colour}">{said}</td>')
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    style = 'border="0" cellborder="0" cellspacing="0" cellpadding="1"'
    return f"  scale [label=<<table {style}>{table}</table>> shape=plain fontsize=9]"
