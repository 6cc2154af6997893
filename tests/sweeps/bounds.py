"""How far results are from exact ones, as a multiple of what rounding may do.

A sum of products of n floating-point numbers is off by at most some n eps sum |a b| whatever their order, and of numbers
without a pattern by a few eps sum |a b|. So an error is measured in units of eps times the sum of magnitudes of what
was summed: a term that is missing, or one from a wrong place, is some 10^5 of these units in float32, rounding a few.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Outcome", "join", "units"]

_LEAST = 1e-30  # magnitudes below it are zeros: a padded border, a pixel that no window meets


def units(found: np.ndarray, exact: np.ndarray, magnitudes: np.ndarray) -> float:
    """The largest error of ``found``, in units of its eps times the sums of magnitudes. Infinite where it is not finite.

    >>> units(np.float32([1.0, 2.0]), np.array([1.0, 2.0]), np.array([5.0, 2.0]))
    0.0
    """
    assert found.shape == exact.shape == np.shape(magnitudes), f"{found.shape}, not {exact.shape}"
    if not found.size:
        return 0.0
    if not np.isfinite(found).all():
        return float("inf")
    error = np.abs(found.astype(np.float64) - exact)
    return float((error / (np.finfo(found.dtype).eps * np.maximum(magnitudes, _LEAST))).max())


@dataclass
class Outcome:
    """Of a sweep: how many cases, the worst error in units of rounding, the case it was in, and what the bound is."""

    cases: int = 0
    worst: float = 0.0
    where: Any = None
    seconds: float = 0.0

    def add(self, case: Any, error: float) -> None:
        self.cases += 1
        if not error <= self.worst:  # also if it is not a number
            self.worst, self.where = error, case


def join(outcomes: Iterable[Outcome]) -> Outcome:
    """Of the parts of a sweep that of the whole."""
    total = Outcome()
    for outcome in outcomes:
        total.cases += outcome.cases
        total.seconds += outcome.seconds
        if not outcome.worst <= total.worst:
            total.worst, total.where = outcome.worst, outcome.where
    return total
