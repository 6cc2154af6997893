"""What the pictures of a report share: their colours, an empty figure, and how it is saved.

Everything is drawn by matplotlib's Agg canvas without pyplot, so no window system and no global state is touched.
matplotlib, of the extra `caption`, is imported when the first figure is made.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["BLUE", "GREEN", "GREY", "INK", "ORANGE", "RED", "new_figure", "save_figure"]

INK, GREY, BLUE, ORANGE = "#1a1a1a", "#6b6b6b", "#1f6fb4", "#d9541e"
GREEN, RED = "#1b7f3b", "#b3261e"


def new_figure(width: float, height: float, **options: Any) -> Any:
    """An empty matplotlib figure of a size in inches; options as of `matplotlib.figure.Figure`."""
    return require("matplotlib.figure", "caption").Figure(figsize=(width, height), **options)


def save_figure(figure: Any, path: str | os.PathLike[str], dpi: int) -> None:
    """Write the PNG `path` under a temporary name and rename it."""
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # drawn as a box; no reason to stop
        figure.savefig(temporary, format="png", dpi=dpi)
