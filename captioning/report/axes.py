"""Axes of charts: where a value lies, and the round values that are written beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Axis", "drawable"]

_LARGEST = 1e100  # of numbers beyond it nothing can be drawn, and differences of them may overflow
_SMALLEST = 1e-100  # what is smaller is 0 on an axis: between numbers near the least of all there is no round one
_FALL = 20  # an axis of values that fall by more is logarithmic


def drawable(values: ArrayLike) -> NDArray[np.bool_]:
    """Which values have a place on an axis: those that are finite, and below 1e100 in size.

    >>> drawable([1.0, float("nan"), -1e200]).tolist()
    [True, False, False]
    """
    with np.errstate(invalid="ignore"):
        kept: NDArray[np.bool_] = np.abs(np.asarray(values, np.float64)) < _LARGEST
    return kept


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, which lie at `start` and `stop` of the drawing; logarithmic if `log`.

    >>> Axis(0, 10, 100, 200).place([5]).tolist(), Axis(1, 100, 0, 10, log=True).place([10]).tolist()
    ([150.0], [5.0])
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    @classmethod
    def around(cls, values: ArrayLike, start: float, stop: float, zero: bool = False, log: bool = False) -> Axis:
        """The axis that holds all values that can be drawn, of which there may be none.

        zero: whether 0 is on it. log: whether it may be logarithmic: where the values fall by more than 20 times.

        >>> Axis.around([3.0, 7.0], 0, 1, zero=True).ticks
        [0.0, 2.0, 4.0, 6.0, 8.0]
        """
        found = np.asarray(values, np.float64).ravel()
        found = found[drawable(found)]
        found[np.abs(found) < _SMALLEST] = 0.0
        low, high = (float(found.min()), float(found.max())) if found.size else (0.0, 1.0)
        if log and low > 0 and high > _FALL * low:
            return cls(low, high, start, stop, log=True)
        low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
        if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value: room on both sides of it
            spread = abs(high) / 2 or 1.0
            low, high = (low if zero and low == 0 else low - spread), high + spread
        step = _step(low, high, 5)  # from one round value to another: the outermost points are not on the rim
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, stop)

    def place(self, values: ArrayLike) -> NDArray[np.float64]:
        """Where values lie in the drawing."""
        found = np.asarray(values, np.float64)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        share = ((np.log(found) if self.log else found) - low) / (high - low)
        placed: NDArray[np.float64] = self.start + share * (self.stop - self.start)
        return placed

    @property
    def ticks(self) -> list[float]:
        """Some round values on the axis, rising; at most about eight."""
        return _round_by_ratio(self.low, self.high) if self.log else _round_by_difference(self.low, self.high)


def _round_by_difference(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    step = _step(low, high, 7)  # `around` adds up to two steps to the five that it looks for
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def _step(low: float, high: float, most: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten of which at most so many lie between `low` and `high`."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


def _round_by_ratio(low: float, high: float) -> list[float]:
    """Powers of ten, and where these are few their double and fivefold."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    wide = len(powers) > 4
    powers = powers[:: math.ceil(len(powers) / 6)] if wide else powers
    ticks = [digit * 10.0**power for power in powers for digit in ((1,) if wide else (1, 2, 5))]
    return [tick for tick in ticks if low <= tick <= high]
