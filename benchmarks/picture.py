"""Ten results as grouped bars: minigrad's time divided by PyTorch's, with one thread and with two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import Comparison, comparison
from benchmarks.results import Results
from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["HEADLINES", "draw", "headline_ratios"]

HEADLINES = {
    "Vanilla RNN captioner, batch 128": ("captioner", "vanilla RNN, V 1,004, batch 128"),
    "LSTM captioner, batch 25": ("captioner", "LSTM, V 1,004, batch 25"),
    "LSTM captioner, batch 256": ("captioner", "LSTM, V 1,004, batch 256"),
    "Captioner with attention": ("attention_captioner", "training, V 2,917, batch 100"),
    "Greedy decoding, 1,000 images": ("decoding", "greedy, 1,000 images, V 1,004"),
    "GRU, 64x20x512": ("recurrent", "gru of 64x20, 256 to 512"),
    "LSTM, 8x100x64": ("recurrent", "lstm of 8x100, 64 to 64"),
    "Perceptron 784-128-10 with Adam": ("mlp", "784-128-10, batch 64"),
    "conv2d, 64 filters 3x3": ("convolution", "conv2d 8x64x56x56, 64 filters 3x3"),
    "Layer norm, 32x128x512": ("kernels", "layer_norm 32x128x512"),
}
"""The job and case of each bar, by its label."""
_COLOURS = ("#0b6e99", "#b85c00")  # white text is readable on them
_THEMES = "text{fill:#1c2430}@media(prefers-color-scheme:dark){text{fill:#e6eaf0}}"


def headline_ratios(results: Results) -> dict[str, dict[int, Comparison]]:
    """Return comparisons with PyTorch by headline and number of threads."""
    found: dict[str, dict[int, Comparison]] = {}
    for label, place in HEADLINES.items():
        for row in results.rows:
            if (row.job, row.case) == place and (c := comparison(row, "PyTorch")):
                found.setdefault(label, {})[row.threads] = c
    return found


def draw(results: Results, path: str | Path) -> None:
    """Write the picture into a folder that exists; the suffix decides the format.

    Raises:
        ModuleNotFoundError: if matplotlib is missing; the message has the command that installs it.
        ValueError: if the results have none of the headline cases.
    """
    matplotlib = require("matplotlib")
    svg = Path(path).suffix == ".svg"
    with matplotlib.rc_context({"svg.hashsalt": "minigrad", "font.size": 10, "svg.fonttype": "none"}):
        if not (ratios := headline_ratios(results)):
            raise ValueError("these results have none of the cases of benchmarks.picture.HEADLINES")
        figure = _figure(ratios)
        with replacing(path) as temporary:
            figure.savefig(
                temporary, format=Path(path).suffix[1:], bbox_inches="tight", transparent=svg,
                metadata={"Date": None} if svg else {},
            )  # fmt: skip
            if svg:  # the text follows the reader's colour scheme
                file = Path(temporary)
                file.write_text(file.read_text("utf-8").replace("</style>", f"{_THEMES}</style>", 1), "utf-8")


def _figure(ratios: dict[str, dict[int, Comparison]]) -> Any:
    figure = require("matplotlib.figure").Figure(figsize=(4.6, 1 + 0.62 * len(ratios)))
    axis = figure.add_subplot()
    threads = sorted({n for compared in ratios.values() for n in compared})
    height = 0.6 / max(1, len(threads))
    for number, (n, colour) in enumerate(zip(threads, _COLOURS, strict=False)):
        places = [i + (number + 0.5) * height - 0.2 for i, compared in enumerate(ratios.values()) if n in compared]
        values = [compared[n].relation.median for compared in ratios.values() if n in compared]
        bars = axis.barh(places, values, height, color=colour, label=f"{n} thread{'s' * (n > 1)}")
        axis.bar_label(bars, fmt="%.2f", padding=-22, fontsize=8, color="white")
    for i, label in enumerate(ratios):  # above its bars, so that the picture fits a phone
        axis.text(0, i - 0.28, label)
        axis.vlines(1, i - 0.24, i + 0.44, "#888888", linewidth=1)
    axis.set_yticks([])
    axis.invert_yaxis()
    axis.set_xlabel("minigrad's time / PyTorch's (below 1: minigrad is faster)")
    axis.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.98))
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axis.spines[side].set_color("#888888")
    return figure
