"""The curve of a training run: its losses, and its validation BLEU."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.pictures.figures import BLUE, INK, ORANGE, RED, new_figure, save_figure
from minigrad.runtime.extras import require

__all__ = ["loss_curve"]


def loss_curve(history: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], title: str | None = None) -> None:
    """Draw a run's losses, and its validation BLEU beneath if it has one, to the PNG `path`.

    history: dicts of two kinds, as a run logs them: `{"iteration": i, "epoch": e, "loss": x}` an
    iteration and `{"epoch": e, "iteration": i, "val_loss": x, "val_bleu": y, "learning_rate": lr}` at
    the end of an epoch (`val_loss` and `val_bleu` may be missing or None). The loss of each iteration
    is a light line, its mean over a window of 1/50 of the run a strong one; losses that are not finite
    are marked with crosses. Of a self-critical training, whose iterations have a `reward`, the CIDEr-D of what it drew,
    this is drawn instead, beside `val_cider`. The axis of the loss is logarithmic if the loss falls by more than 20
    times. A history without any loss is a ValueError.

    >>> import tempfile
    >>> from pathlib import Path
    >>> history = [{"iteration": i, "epoch": 1, "loss": 75.0 / i} for i in range(1, 50)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loss_curve(history, Path(folder, "loss.png"))
    ...     Path(folder, "loss.png").stat().st_size > 10_000
    True
    """
    rewarded = any(entry.get("reward") is not None for entry in history)
    of_training, of_validation = ("reward", "val_cider") if rewarded else ("loss", "val_loss")
    train, validation = _series(history, of_training), _series(history, of_validation)
    bleu = _series(history, "val_bleu")
    if not len(train) and not len(validation):
        raise ValueError("loss_curve: the history has no entry with a loss or a val_loss")
    heights = [3, 1.4] if len(bleu) else [1]
    figure = new_figure(9, 6.4 if len(bleu) else 4.8, layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_losses(panels[0], train, validation, "CIDEr-D" if rewarded else "loss")
    if len(bleu):
        # above the axis, and not cut off by it: a point at 0 is drawn whole
        panels[1].plot(*bleu.T, "o-", color=ORANGE, markersize=4, linewidth=1.5, clip_on=False, zorder=3)
        panels[1].set_ylabel("validation BLEU", fontsize=12)
        best = float(bleu[np.isfinite(bleu[:, 1]), 1].max(initial=0.0))
        panels[1].set_ylim(0, _round_above(best))
        _clean(panels[1])
    panels[-1].set_xlabel("iteration", fontsize=12)
    figure.suptitle(title or "Training run", fontsize=14, color=INK, parse_math=False)
    save_figure(figure, path, dpi=120)


def _series(history: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64]:
    """The pairs (iteration, value) of the entries that have the key: float64 (n,2)."""
    points = []
    for k, entry in enumerate(history):
        if entry.get(key) is None:
            continue
        if "iteration" not in entry:
            raise ValueError(f"loss_curve: entry {k} of the history has {key} but no iteration: {entry}")
        points.append((entry["iteration"], entry[key]))
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _round_above(value: float) -> float:
    """A round number a little above a value, at which its axis may end; of 0, which says nothing of a scale, 1."""
    if value <= 0:
        return 1.0
    power = math.floor(math.log10(value))
    digits = next(x for x in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15) if x > 1.04 * value / 10.0**power)
    return float(f"{digits}e{power}")


def _draw_losses(panel: Any, train: NDArray[np.float64], validation: NDArray[np.float64], name: str) -> None:
    if len(train):
        iterations, losses = train.T
        window = max(1, len(losses) // 50)
        panel.plot(iterations, losses, color=BLUE, alpha=0.3, linewidth=0.8, label="training, each iteration")
        smooth = _moving_mean(losses, window)
        panel.plot(iterations, smooth, color=BLUE, linewidth=2, label=f"training, mean of {window}")
    if len(validation):
        panel.plot(*validation.T, "o-", color=ORANGE, markersize=4, linewidth=1.5, label="validation")
    _mark_not_finite(panel, np.concatenate([train, validation]))
    values = np.concatenate([train[:, 1], validation[:, 1]])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > 20 * values.min():
        panel.set_yscale("log")
        ticker = require("matplotlib.ticker", "caption")
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        panel.yaxis.set_minor_formatter(ticker.NullFormatter())
    panel.set_ylabel(name, fontsize=12)
    _clean(panel)
    corner = "upper right" if name == "loss" else "lower right"  # losses fall, rewards rise: that corner is free
    panel.legend(fontsize=11, frameon=False, loc=corner)


def _moving_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The mean of the finite values among the `window` around each; NaN where there are none."""
    finite = np.isfinite(values)
    ones = np.ones(window)
    # mode "full" and a cut, because "same" gives max(len, window) values
    start = (window - 1) // 2
    total = np.convolve(np.where(finite, values, 0.0), ones)[start : start + len(values)]
    count = np.convolve(finite.astype(float), ones)[start : start + len(values)].round()
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return mean


def _mark_not_finite(panel: Any, points: NDArray[np.float64]) -> None:
    lost = points[~np.isfinite(points[:, 1]), 0]
    if len(lost):
        place = panel.get_xaxis_transform()  # x in iterations, y from 0 at the bottom to 1 at the top
        label = f"not finite ({len(lost)})"
        panel.plot(lost, np.full(len(lost), 0.03), "x", color=RED, transform=place, label=label)


def _clean(panel: Any) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(True, color="#e6e6e6", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=11, colors=INK)
