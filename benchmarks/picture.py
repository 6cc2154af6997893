"""Results as a picture: a dot for each ratio with the middle half of its rounds, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import Comparison, comparison
from benchmarks.results import Results, Row
from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["draw"]

_COLOURS = ("#0b6e99", "#d9730d", "#6940a5", "#448361")
_AIM = "#c0392b"


def draw(results: Results, path: str | Path) -> None:
    """Write a picture, into a folder that exists; the suffix of the path says of which kind.

    Raises:
        ModuleNotFoundError: if matplotlib is not there; the message has the command that installs it.
    """
    matplotlib = require("matplotlib", "bench")
    with matplotlib.rc_context({"svg.hashsalt": "minigrad", "font.size": 9, "svg.fonttype": "path"}):
        figure = _figure(results)
        with replacing(path) as temporary:
            kind = Path(path).suffix.lstrip(".") or "svg"
            metadata = {"Date": None} if kind == "svg" else None
            figure.savefig(temporary, format=kind, bbox_inches="tight", dpi=150, metadata=metadata)


def _figure(results: Results) -> Any:
    """One axis with a heading for each job, below it a line for each case and peer."""
    figures = require("matplotlib.figure", "bench")
    lines = _lines(results)
    colours = {n: _COLOURS[i % len(_COLOURS)] for i, n in enumerate(sorted({row.threads for row in results.rows}))}
    figure = figures.Figure(figsize=(9, 0.9 + 0.24 * len(lines)))
    axis = figure.add_subplot()
    for height, (label, compared) in enumerate(lines):
        if compared is None:
            axis.text(-0.01, height, label, weight="bold", ha="right", va="center", transform=_beside(axis))
            continue
        axis.text(-0.01, height, label, ha="right", va="center", transform=_beside(axis))
        axis.axhline(height, color="#eeeeee", linewidth=0.8, zorder=0)
        for i, (row, c) in enumerate(compared):
            _mark(axis, height + 0.2 * (i - (len(compared) - 1) / 2), c, colours[row.threads])
    _finish(axis, len(lines), colours, results)
    return figure


def _lines(results: Results) -> list[tuple[str, list[tuple[Row, Comparison]] | None]]:
    """What stands on each line: a job's name, or a case beside a peer, with its comparisons by number of threads."""
    lines: list[tuple[str, list[tuple[Row, Comparison]] | None]] = []
    for job in dict.fromkeys(row.job for row in results.rows):
        found: dict[str, list[tuple[Row, Comparison]]] = {}
        for row in results.rows:
            if row.job != job or any(aim.difference for aim in row.aims):  # a difference has no place among ratios
                continue
            for peer in row.peers:
                c = comparison(row, peer)
                if c:
                    beside = "" if row.peers == ["PyTorch"] else f", beside {peer}"
                    found.setdefault(row.case + beside, []).append((row, c))
        if found:
            lines += [(job, None), *found.items()]
    return lines


def _beside(axis: Any) -> Any:
    """Left of the axis in its own width, at a height in data."""
    return axis.get_yaxis_transform()


def _mark(axis: Any, height: float, c: Comparison, colour: str) -> None:
    """The ratio, hollow if it was too noisy to tell, its middle half, and a tick at its aim."""
    axis.plot([c.relation.low, c.relation.high], [height, height], color=colour, linewidth=1.6, solid_capstyle="butt")
    face = "white" if c.noise else colour
    axis.plot([c.relation.median], [height], "o", color=colour, markerfacecolor=face, markersize=4.5, zorder=3)
    if c.aim:
        axis.plot([c.aim.most], [height], "|", color=_AIM, markersize=7, markeredgewidth=1.6, zorder=2.5)


def _finish(axis: Any, lines: int, colours: dict[int, str], results: Results) -> None:
    ticker = require("matplotlib.ticker", "bench")
    artists = require("matplotlib.lines", "bench")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.axvline(1, color="#444444", linewidth=1, zorder=1)
    axis.set_ylim(lines - 0.4, -0.8)
    axis.set_yticks([])
    axis.set_axisbelow(True)
    for side in ("top", "left", "right"):
        axis.spines[side].set_visible(False)
    axis.set_xlabel("minigrad's time (memory) over the peer's best variant; left of 1 minigrad is faster (smaller)")
    marks = [
        *(artists.Line2D([], [], marker="o", color=c, label=f"{n} thread{'s' * (n > 1)}") for n, c in colours.items()),
        artists.Line2D([], [], marker="|", color=_AIM, linestyle="", markeredgewidth=1.6, label="aim"),
        artists.Line2D([], [], marker="o", color="#777777", markerfacecolor="white", label="too noisy to tell"),
    ]
    axis.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(marks), frameon=False)
    words = ", ".join(results.machine.get(name, "") for name in ("processor", "BLAS"))
    axis.set_title(words, loc="right", fontsize=7, color="#777777", pad=24)
