"""How far results are from exact ones, as a multiple of what rounding may do.

A sum of products of n floating-point numbers is off by at most some n eps sum |a b| whatever their order, and of
numbers without a pattern by a few eps sum |a b|. So an error is measured in units of eps times the sum of magnitudes
of what was summed. Rounding is a few of these units; of 1,000 terms in float32 one that is missing is some hundreds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Found", "Outcome", "Reach", "join", "units"]

_LEAST = 1e-30  # magnitudes below it are zeros: a padded border, a pixel that no window meets


def units(found: np.ndarray, exact: np.ndarray, magnitudes: np.ndarray) -> float:
    """The largest error of ``found``, in units of its eps times the sums of magnitudes; infinite if one is not finite.

    >>> units(np.float32([1.0, 2.0]), np.array([1.0, 2.0]), np.array([5.0, 2.0]))
    0.0
    """
    assert found.shape == exact.shape == np.shape(magnitudes), f"{found.shape}, not {exact.shape}"
    if not found.size:
        return 0.0
    if not np.isfinite(found).all():
        return float("inf")
    error = np.abs(found.astype(np.float64) - exact)
    worst = float((error / (np.finfo(found.dtype).eps * np.maximum(magnitudes, _LEAST))).max())
    return float("inf") if np.isnan(worst) else worst


class Found(NamedTuple):
    """Of an output or a gradient: whose it is, its shape, and its error in units of rounding."""

    primitive: str
    shape: tuple[int, ...]
    error: float


@dataclass
class Reach:
    """Of a primitive: the worst error, and the largest of its outputs and gradients."""

    worst: float = 0.0
    largest: tuple[int, ...] = (0,)

    def meet(self, worst: float, shape: tuple[int, ...]) -> None:
        self.worst = max(worst, self.worst)
        if prod(shape) > prod(self.largest):
            self.largest = shape


@dataclass
class Outcome:
    """Of a sweep: how many cases, the worst error in units of rounding, the case it was in; and of each primitive."""

    cases: int = 0
    worst: float = 0.0
    where: Any = None
    seconds: float = 0.0
    reaches: dict[str, Reach] = field(default_factory=dict)

    def add(self, case: Any, found: Iterable[Found]) -> None:
        self.cases += 1
        for primitive, shape, error in found:
            self.reaches.setdefault(primitive, Reach()).meet(error, shape)
            self._meet(case, error)

    def _meet(self, case: Any, error: float) -> None:
        if error > self.worst:
            self.worst, self.where = error, case


def join(outcomes: Iterable[Outcome]) -> Outcome:
    """Of the parts of a sweep that of the whole."""
    total = Outcome()
    for outcome in outcomes:
        total.cases += outcome.cases
        total.seconds += outcome.seconds
        total._meet(outcome.where, outcome.worst)
        for primitive, reach in outcome.reaches.items():
            total.reaches.setdefault(primitive, Reach()).meet(reach.worst, reach.largest)
    return total
