"""What the pictures of the claims share: a figure, and colours that people with any colour vision tell apart."""

from __future__ import annotations

from typing import Any

from minigrad.runtime.extras import require

__all__ = ["BLUE", "FAINT", "GREEN", "GREY", "INK", "ORANGE", "PURPLE", "SKY", "VERMILION", "new_figure"]

BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
"""Source: M. Okabe and K. Ito, Color universal design (2008). Sky, orange, green, purple bear black letters."""

INK, GREY, FAINT = "#222222", "#555555", "#BBBBBB"
"""Of letters, of what is beside the point, and of lines that guide the eye."""


def new_figure(width: float, height: float, title: str = "") -> Any:
    """An empty matplotlib Figure of so many inches, with a title above all.

    >>> new_figure(6, 4).get_size_inches()
    array([6., 4.])
    """
    figure = require("matplotlib.figure", "theory").Figure(figsize=(width, height))
    if title:
        figure.suptitle(title, fontsize=16, color=INK)
    return figure
