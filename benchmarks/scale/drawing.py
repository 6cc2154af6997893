"""What was measured beside what the model says, and what it says of many ranks, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.scale.model import Link, buckets_of
from benchmarks.scale.predictions import Known, checks, predicted
from benchmarks.scale.work import Work
from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["draw"]

_COLOURS = ("#0b6e99", "#d9730d", "#6940a5", "#448361")
_GREY = "#777777"
_MANY = [2**n for n in range(11)]


def draw(known: Known, path: Path, alpha: float, on_each: int) -> None:
    """Write a picture, into a folder that exists; the suffix of the path says of which kind.

    Raises:
        ModuleNotFoundError: if matplotlib is not there; the message has the command that installs it.
        ValueError: if the suffix is another one.
    """
    kind = path.suffix.lstrip(".")
    if kind not in ("svg", "png", "pdf"):
        raise ValueError(f"the suffix of {path.name} must be .svg, .png or .pdf")
    matplotlib = require("matplotlib", "bench")
    with matplotlib.rc_context({"svg.hashsalt": "minigrad", "font.size": 9, "svg.fonttype": "path"}):
        figure = require("matplotlib.figure", "bench").Figure(figsize=(9, 4.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        _measured(left, known)
        _modelled(right, known, alpha, on_each)
        with replacing(path) as temporary:
            metadata = {"Date": None} if kind == "svg" else None
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)


def _measured(axis: Any, known: Known) -> None:
    """A line for each case on ranks: a dot for what was measured, a bar from one bound of the model to the other."""
    found = [c for c in checks(known) if c.case.ranks > 1]
    for height, c in enumerate(found):
        model, dot = ("", "") if height else ("model", "measured")
        axis.barh(height, 1e3 * (c.bounds.high - c.bounds.low), 0.3, 1e3 * c.bounds.low, color="#9cc6d8", label=model)
        axis.plot([1e3 * c.measured], [height], "o", color=_COLOURS[1], markersize=4.5, label=dot)
    axis.set_yticks(range(len(found)), [f"{c.place}, {c.case.way}, {c.case.ranks} ranks" for c in found])
    axis.set_ylim(len(found) - 0.5, -0.5)
    axis.set_xlabel("a step, ms")
    axis.set_xlim(left=0)
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    _bare(axis)


def _modelled(axis: Any, known: Known, alpha: float, on_each: int) -> None:
    """Efficiency of weak scaling by the number of ranks: both bounds for each network."""
    buckets, rank = buckets_of(Work().sizes), known.rank(1)
    for colour, rate in zip(_COLOURS, (10.0, 100.0), strict=False):
        shares = [predicted(buckets, rank, Link.of_rate(rate, alpha), n, on_each)[2] for n in _MANY]
        best, worst = zip(*shares, strict=True)
        axis.plot(_MANY, best, color=colour, linestyle=":", label=f"{rate:g} Gbit/s, at best")
        axis.plot(_MANY, worst, color=colour, label="at worst")
    axis.set_xscale("log", base=2)
    axis.set_xticks(_MANY[::2], [str(n) for n in _MANY[::2]])
    axis.set_ylim(0, 1.05)
    axis.set_xlabel("ranks, a host each")
    axis.set_ylabel(f"efficiency, {on_each} captions a rank")
    axis.grid(color="#dddddd", linewidth=0.6)
    axis.legend(loc="lower left", frameon=False)
    axis.set_title(f"by the model, not measured; a message takes {1e6 * alpha:g} µs", fontsize=8, color=_GREY)
    _bare(axis)


def _bare(axis: Any) -> None:
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
