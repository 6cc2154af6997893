"""Draw how the loss and the validation scores of a training run develop."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.pictures.figures import BLUE, INK, ORANGE, RED, new_figure, plain_axes, save_figure
from minigrad.runtime.extras import require

__all__ = ["Points", "draw_curves", "loss_curve", "series"]

Points = NDArray[np.float64]  # (n,2): iteration and value

_BUCKETS = 80  # points of a line, each the mean of as many iterations
_LARGEST = 1e100  # matplotlib's arithmetic overflows on much larger numbers


def loss_curve(history: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], title: str | None = None) -> None:
    """Draw the losses of a run, and its validation BLEU if it has one, into the PNG file `path`.

    For a self-critical run, whose iterations have a `reward`, it draws the reward and `val_cider` instead.

    Args:
        history: the entries of a run's history: `{"iteration": i, "epoch": e, "loss": x}` for each iteration, and
            `{"epoch": e, "iteration": i, "val_loss": x, "val_bleu": y}` for each validation, with further scores.
        title: text above the panels.

    Raises:
        ValueError: if no entry has a loss.

    >>> import tempfile
    >>> from pathlib import Path
    >>> history = [{"iteration": i, "epoch": 1, "loss": 75.0 / i} for i in range(1, 50)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loss_curve(history, Path(folder, "loss.png"))
    ...     Path(folder, "loss.png").stat().st_size > 10_000
    True
    """
    rewarded = any(entry.get("reward") is not None for entry in history)
    keys = ("reward", "val_cider") if rewarded else ("loss", "val_loss")
    training, validation, bleu = (series(history, key) for key in (*keys, "val_bleu"))
    if not len(training) and not len(validation):
        raise ValueError("loss_curve: the history has no entry with a loss or a val_loss")
    heights = [3, 1.4] if len(bleu) else [1]
    figure = new_figure(9, 6.4 if len(bleu) else 4.8, layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    draw_curves(panels[0], training, validation)
    panels[0].set_ylabel("CIDEr-D" if rewarded else "loss", fontsize=12)
    # losses fall and rewards rise, so this corner is free
    panels[0].legend(fontsize=11, frameon=False, loc="lower right" if rewarded else "upper right")
    if len(bleu):
        draw_curves(panels[1], bleu[:0], bleu)
        panels[1].set_ylabel("validation BLEU", fontsize=12)
        panels[1].set_yscale("linear")
        panels[1].set_ylim(0, 1.1 * bleu[:, 1].max(initial=0.0, where=_drawable(bleu)) or 1.0)
    for panel in panels:
        plain_axes(panel)
    panels[-1].set_xlabel("iteration", fontsize=12)
    figure.suptitle(title or "Training run", fontsize=14, color=INK, parse_math=False)
    save_figure(figure, path, dpi=120)


def series(history: Sequence[Mapping[str, Any]], key: str) -> Points:
    """Return the iterations and values of all entries with a key, float64 (n,2); NaN for values that are not numbers.

    >>> series([{"iteration": 1, "loss": 5.0}, {"iteration": 2, "val_loss": 4.0}], "loss").tolist()
    [[1.0, 5.0]]
    """
    points = [(_number(entry.get("iteration")), _number(entry[key])) for entry in history if entry.get(key) is not None]
    return np.array(points, np.float64).reshape(-1, 2)


def draw_curves(axes: Any, training: Points, validation: Points) -> None:
    """Draw the mean and the range of training values, and a dot for each validation.

    Crosses mark values that are not finite. Values that differ by a factor of more than 20 get a logarithmic axis.
    If all values are between 0 and 1, so is the axis.
    """
    points = np.concatenate([training, validation])
    drawn, lost = points[_drawable(points), 1], points[~_drawable(points), 0]
    training, validation = training[_drawable(training)], validation[_drawable(validation)]
    if len(training):
        window = math.ceil(len(training) / _BUCKETS)
        parts = np.split(training, range(window, len(training), window))
        x, mean = np.array([part.mean(axis=0) for part in parts]).T
        low, high = np.array([(part[:, 1].min(), part[:, 1].max()) for part in parts]).T
        axes.fill_between(x, low, high, color=BLUE, alpha=0.25, linewidth=0)
        name = "training" if window == 1 else "training, mean and range"
        axes.plot(x, mean, "o-" if len(x) == 1 else "-", color=BLUE, linewidth=1.8, label=name)
    if len(validation):
        axes.plot(
            *validation.T, "o-", color=ORANGE, markersize=4, linewidth=1.5, clip_on=False, zorder=3, label="validation"
        )
    if len(lost):
        place = axes.get_xaxis_transform()  # y from 0 at the bottom to 1 at the top
        label = f"not finite ({len(lost)})"
        axes.plot(lost, np.full(len(lost), 0.03), "x", color=RED, transform=place, label=label)
    if drawn.size and drawn.min() > 0 and drawn.max() > 20 * drawn.min():
        axes.set_yscale("log")
        ticker = require("matplotlib.ticker", "caption")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    elif drawn.size:
        low, high, largest = drawn.min(), drawn.max(), np.abs(drawn).max()
        pad = 0.05 * (high - low if high - low > 1e-3 * largest else largest or 1)  # equal values get space, too
        axes.set_ylim(np.clip([low - pad, high + pad], 0 if low >= 0 else -np.inf, 1 if high <= 1 else np.inf))


def _number(value: Any) -> float:
    """Return a value of a history as a float; JSON can hold integers that no float can."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _drawable(points: Points) -> NDArray[np.bool_]:
    return np.asarray(np.all(np.abs(points) < _LARGEST, axis=1))  # NaN is not
