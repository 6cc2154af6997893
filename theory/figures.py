"""Shared code of the claims' figures: a new figure, and colours that are safe for colour-blind readers."""

from __future__ import annotations

from typing import Any

from minigrad.runtime.extras import require

__all__ = ["BLUE", "DARK", "FAINT", "GREEN", "GREY", "INK", "ORANGE", "PURPLE", "SKY", "STYLE", "VERMILION",
           "new_figure"]  # fmt: skip

BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
"""Source: M. Okabe and K. Ito, Color universal design (2008). Black text is readable on sky blue, orange, green
and purple."""

INK, GREY, FAINT = "#222222", "#555555", "#BBBBBB"
"""For text, for minor marks, and for guide lines."""

STYLE = {f"{part}.color": INK for part in ("text", "xtick", "ytick")} | {
    "axes.edgecolor": INK, "axes.labelcolor": INK, "legend.facecolor": "none", "svg.hashsalt": "minigrad"
}  # fmt: skip
"""matplotlib's settings: black is left for text on coloured marks, and the same picture gives the same bytes."""

DARK = "".join(
    f'[style*="{role}: {light.lower()}"]{{{role}:{dark}!important}}'
    for light, dark in ((INK, "#e6eaf0"), (GREY, "#98a2b3"), (FAINT, "#4a5465"), (BLUE, "#3d9bd6"))
    for role in ("fill", "stroke")
)
"""CSS of an SVG on a dark background."""


def new_figure(width: float, height: float, title: str = "", size: float = 16, **options: Any) -> Any:
    """Make an empty matplotlib Figure, in inches, with a title of a font size.

    >>> new_figure(6, 4).get_size_inches()
    array([6., 4.])
    """
    figure = require("matplotlib.figure", "theory").Figure(figsize=(width, height), **options)
    if title:
        figure.suptitle(title, fontsize=size, color=INK)
    return figure
