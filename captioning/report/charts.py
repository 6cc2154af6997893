"""Charts of lines and dots over numbers, as SVG that stands in a page and takes its colours from its style sheet.

Every dot is a `mark`: it has a title, which a browser shows while the pointer rests on it, and which the page's script
shows at once. Nothing of a chart needs the script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captioning.report.axes import Axis, drawable
from captioning.report.markup import Markup, element, joined
from captioning.report.numbers import number_text

__all__ = ["BOTTOM", "LEFT", "RIGHT", "TOP", "Line", "chart", "frame", "legend", "line_chart", "mark"]

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 420, 12, 206
"""Where the axes are. The drawing is scaled to the page, and small enough for its letters to be read on a phone."""
_LETTER = 8.0  # how wide a digit is, or less


@dataclass(frozen=True)
class Line:
    """Values over numbers: `x`, `y` (n,), and the `tips` of its n dots.

    number: which colour of the page it has, from 1. dots: whether its dots are seen, or are only where the pointer is.
    band: the lowest and the highest value at each x, (n,) each.
    """

    name: str
    x: Floats
    y: Floats
    tips: Sequence[str]
    number: int = 1
    dots: bool = True
    band: tuple[Floats, Floats] | None = None


def line_chart(lines: Sequence[Line], label: str, across: str, zero: bool = False, log: bool = False) -> Markup:
    """A chart of lines, with a legend above if there are several; values that are not `drawable` are left out.

    label: what is drawn, for those who cannot see it. across: what the numbers across are. zero, log: of the axis
    upwards, as of `Axis.around`.

    >>> line = Line("loss", np.array([1.0, 2.0]), np.array([5.0, 3.0]), ["epoch 1: 5", "epoch 2: 3"])
    >>> line_chart([line], "the loss", "epoch").count('class="mark"')
    2
    """
    every = [line.y for line in lines] + [edge for line in lines if line.band for edge in line.band]
    up = Axis.around(np.concatenate([np.zeros(0), *every]), BOTTOM, TOP, zero, log)
    right = Axis.around(np.concatenate([np.zeros(0), *(line.x for line in lines)]), LEFT + 6, RIGHT - 6)
    drawn = [_drawn(line, right, up) for line in lines]
    names = legend([(line.name, line.number) for line in lines]) if len(lines) > 1 else None
    return joined(names, chart(label, frame(up, across), _numbers_across(right), *drawn))


def chart(label: str, *content: Markup) -> Markup:
    """An SVG drawing of the size of a chart."""
    return element("svg", *content, class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def legend(names: Sequence[tuple[str, int]]) -> Markup:
    """What the colours mean, each a name and the number of its colour."""
    entries = (element("span", element("i", class_=f"swatch fill{number}"), name) for name, number in names)
    return element("p", *entries, class_="legend")


def frame(up: Axis, across: str) -> Markup:
    """Lines across the chart with their values, the axis at the bottom, and what the numbers across are."""
    levels, lines = zip(up.ticks, up.place(up.ticks).tolist(), strict=True), []
    for value, y in levels:
        lines += [element("path", class_="grid", d=f"M{LEFT} {y:.1f}H{RIGHT}"),
                  element("text", number_text(value), class_="up", x=LEFT - 6, y=y + 4)]  # fmt: skip
    lines += [element("path", class_="axis", d=f"M{LEFT} {BOTTOM}H{RIGHT}"),
              element("text", across, class_="across", x=(LEFT + RIGHT) / 2, y=HEIGHT - 8)]  # fmt: skip
    return joined(*lines)


def mark(tip: str, *drawn: Markup, **attributes: str | float | None) -> Markup:
    """Something drawn that says `tip` under the pointer."""
    return element("g", element("title", tip), *drawn, class_="mark", **attributes)


def _numbers_across(right: Axis) -> Markup:
    """As many of the round values as have room beside each other."""
    texts, places = [number_text(value) for value in right.ticks], right.place(right.ticks).tolist()
    wide = _LETTER * (2 + max(map(len, texts), default=0))
    step = math.ceil(len(texts) * wide / (RIGHT - LEFT))
    chosen = list(zip(texts, places, strict=True))[:: step or 1]
    return joined(*(element("text", number, class_="across", x=x, y=BOTTOM + 18) for number, x in chosen))


def _drawn(line: Line, right: Axis, up: Axis) -> Markup:
    kept = drawable(line.x) & drawable(line.y)
    x, y = right.place(line.x[kept]), up.place(line.y[kept])
    tips = [tip for tip, keep in zip(line.tips, kept, strict=True) if keep]
    pieces = []
    if line.band is not None:
        low, high = line.band
        pieces.append(_band(x, up.place(low[kept]), up.place(high[kept]), line.number))
    if len(x) > 1:
        pieces.append(element("path", class_=f"line stroke{line.number}", d="M" + _points(x, y)))
    radius, kind = (3.2, f"fill{line.number}") if line.dots else (2.5, f"unseen fill{line.number}")
    for tip, left, top in zip(tips, x.tolist(), y.tolist(), strict=True):
        pieces.append(mark(tip, element("circle", class_=kind, cx=left, cy=top, r=radius)))
    return joined(*pieces)


def _band(x: Floats, low: Floats, high: Floats, number: int) -> Markup:
    there_and_back = f"M{_points(x, high)}L{_points(x[::-1], low[::-1])}Z" if len(x) else ""
    return element("path", class_=f"band fill{number}", d=there_and_back)


def _points(x: Floats, y: Floats) -> str:
    return "L".join(f"{left:.1f} {top:.1f}" for left, top in zip(x.tolist(), y.tolist(), strict=True))
