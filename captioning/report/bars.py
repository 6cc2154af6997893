"""Bars: beside each other in a chart, and along a line of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captioning.report.axes import Axis
from captioning.report.charts import BOTTOM, LEFT, RIGHT, TOP, chart, frame, legend, mark
from captioning.report.markup import Markup, element, joined

__all__ = ["Bars", "bar", "bar_chart"]

_LABELS = 14  # names across a chart that can be read beside each other

Bars = tuple[str, NDArray[np.float64], Sequence[str]]
"""A name, the heights (n,) of n bars, where NaN is no bar, and their tips."""


def bar_chart(groups: Sequence[str], series: Sequence[Bars], label: str, across: str) -> Markup:
    """A chart of n groups of bars, one bar of each of the series, from the axis at 0 upwards.

    groups: their n names; of many some are written. A legend stands above where there are several series. A series of
    another length is a ValueError.

    >>> heights = ("said", np.array([0.5, np.nan]), ["3 words: 50 %", ""])
    >>> bar_chart(["3", "4"], [heights], "lengths", "words").count("<rect")
    1
    """
    for name, heights, tips in series:
        if not len(groups) == len(heights) == len(tips):
            raise ValueError(f"bar_chart: {name} has {len(heights)} heights, {len(tips)} tips and {len(groups)} groups")
    up = Axis.around(np.concatenate([heights for _, heights, _ in series]), BOTTOM, TOP, zero=True)
    room = (RIGHT - LEFT) / max(len(groups), 1)
    width = min(0.8 * room / len(series), 40.0)
    pieces = []
    for number, (_, heights, tips) in enumerate(series, 1):
        tops = up.place(np.nan_to_num(heights))
        for k in np.flatnonzero(np.isfinite(heights)).tolist():
            left = LEFT + (k + 0.5) * room + (number - 1 - len(series) / 2) * width
            high = max(BOTTOM - float(tops[k]), 0.8)  # a bar that is nearly none is seen to be there
            drawn = element("rect", class_=f"fill{number}", x=left, y=BOTTOM - high, width=width - 0.6, height=high)
            pieces.append(mark(tips[k], drawn))
    several = legend([(name, number) for number, (name, _, _) in enumerate(series, 1)]) if len(series) > 1 else None
    return joined(several, chart(label, frame(up, across), _names(groups, room), *pieces))


def bar(share: float, number: int = 1) -> Markup:
    """A bar along a line, of a share of its room from 0 to 1, in a colour of the page.

    >>> '<rect class="fill1" width="25" height="1">' in bar(0.25)
    True
    """
    drawn = element("rect", class_=f"fill{number}", width=100.0 * min(max(share, 0.0), 1.0), height=1)
    return element("svg", drawn, class_="bar", viewBox="0 0 100 1", preserveAspectRatio="none", aria_hidden="true")


def _names(groups: Sequence[str], room: float) -> Markup:
    step = math.ceil(len(groups) / _LABELS)
    return joined(*(element("text", groups[k], class_="across", x=LEFT + (k + 0.5) * room, y=BOTTOM + 18)
                    for k in range(0, len(groups), step or 1)))  # fmt: skip
