"""Make and save matplotlib figures in one style.

The Agg and SVG canvases of matplotlib draw everything. Nothing imports pyplot, so no display is needed. The first
figure imports matplotlib, which belongs to the extra `caption`.
"""

from __future__ import annotations

import base64
import io
import os
import warnings
from typing import Any

from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = [
    "BLUE", "GREEN", "GREY", "INK", "ORANGE", "RED", "new_figure", "plain_axes", "save_figure", "svg_address",
]  # fmt: skip

INK, GREY, BLUE, ORANGE = "#1a1a1a", "#6b6b6b", "#1f6fb4", "#d9541e"
GREEN, RED = "#1b7f3b", "#b3261e"


def new_figure(width: float, height: float, **options: Any) -> Any:
    """Return an empty figure of a size in inches; options are those of `matplotlib.figure.Figure`."""
    return require("matplotlib.figure", "caption").Figure(figsize=(width, height), **options)


def plain_axes(axes: Any, fontsize: float = 11) -> None:
    """Give axes a light grid and no frame."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=fontsize, colors=INK)
    axes.yaxis.get_offset_text().set_fontsize(fontsize)  # the power of ten above an axis


def save_figure(figure: Any, path: str | os.PathLike[str], dpi: int) -> None:
    """Write the PNG `path` whole or not at all."""
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # matplotlib draws a box instead
        figure.savefig(temporary, format="png", dpi=dpi)


def svg_address(figure: Any) -> str:
    """Return a figure as SVG in a `data:` address. Equal figures give equal addresses."""
    stream = io.BytesIO()
    with require("matplotlib", "caption").rc_context({"svg.hashsalt": "minigrad", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Creator": None, "Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()
