"""The pictures of claims "3-1" and "3-1 alt"."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.extras import require

__all__ = ["draw_recurrences"]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
"""Colours that the colour-blind tell apart (Okabe and Ito, 2008)."""

SHOWN = (0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1)


def draw_recurrences() -> Any:
    """The printed and the corrected unit over time on one bit string."""
    figure = require("matplotlib.figure", "theory").Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, height_ratios=[1, 1, 1])
    t = np.arange(1, len(SHOWN) + 1)
    return figure


def draw_network() -> Any:
    return None
