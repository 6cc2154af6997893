"""Whether a captioner knows when it is right: its confidence in captions against how good they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.evaluation.calibration import spearman
from captioning.report.charts import Line, line_chart
from captioning.report.judging import SCORE
from captioning.report.markup import Markup, element, joined
from captioning.report.numbers import count_text, number_text

__all__ = ["calibration_chart", "in_bins"]

_BINS = 10


def calibration_chart(confidences: ArrayLike, scores: ArrayLike) -> Markup:
    """The mean score of captions by their confidence, in bins of equally many captions, and Spearman's rho.

    confidences, scores: (n,) finite numbers, n at least 1.

    >>> chart = calibration_chart([0.1, 0.5, 0.9], [1.0, 2.0, 4.0])
    >>> "rho is 1.00." in chart, chart.count('class="mark"')
    (True, 3)
    """
    sure, good = _checked(confidences, scores)
    bins = in_bins(sure, good, _BINS)
    tips = [f"confidence {low:.3f} to {high:.3f}: mean {SCORE} {number_text(mean, 3)}, {count_text(count, 'caption')}"
            for low, high, _, mean, count in bins]  # fmt: skip
    line = Line(f"{SCORE}, mean of a bin", np.array([b[2] for b in bins]), np.array([b[3] for b in bins]), tips)
    rho = spearman(sure, good)
    told = "Spearman's rho is not defined: all captions are as sure, or as good."
    if np.isfinite(rho):
        told = f"Spearman's rho is {rho:.2f}. It would be 1 if a surer caption were always a better one."
    figure = element("figure", element("figcaption", f"{SCORE} by confidence"),
                     line_chart([line], f"{SCORE} by confidence", "confidence", zero=True))  # fmt: skip
    return joined(element("p", told), element("div", figure, class_="charts"))


def in_bins(
    confidences: NDArray[np.float64], scores: NDArray[np.float64], bins: int
) -> list[tuple[float, float, float, float, int]]:
    """Captions in at most so many bins, rising in confidence, of equal sizes but for one.

    Of each bin the lowest, the highest and the mean confidence, the mean score, and the number of captions.

    >>> in_bins(np.array([0.75, 0.25, 0.5]), np.array([3.0, 1.0, 2.0]), 2)
    [(0.25, 0.5, 0.375, 1.5, 2), (0.75, 0.75, 0.75, 3.0, 1)]
    """
    order = np.argsort(confidences, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return [(float(confidences[part[0]]), float(confidences[part[-1]]), float(confidences[part].mean()),
             float(scores[part].mean()), len(part)) for part in parts]  # fmt: skip


def _checked(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, right = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if left.ndim != 1 or left.shape != right.shape or not left.size:
        raise ValueError(f"two lists of equally many numbers are needed; got {left.shape} and {right.shape}")
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        raise ValueError("the numbers must be finite")
    return left, right
