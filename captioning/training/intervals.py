"""How often something is done in a training: after so many seconds, after so many iterations, or never."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Clock", "Interval"]

_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Interval:
    """So many seconds or so many iterations, whichever are over first; infinite ones never are.

    >>> Interval.of("5m"), Interval.of("1000").iterations, Interval.of("never")
    (Interval(seconds=300.0, iterations=inf), 1000.0, Interval(seconds=inf, iterations=inf))
    """

    seconds: float = math.inf
    iterations: float = math.inf

    @classmethod
    def of(cls, text: str) -> Interval:
        """What a text says: a time such as '30s', '5m' or '2h', a number of iterations, or 'never'.

        Anything else, also nothing of either, is a ValueError.
        """
        if text == "never":
            return cls()
        found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip(), re.ASCII)
        number = float(found[1]) if found else 0.0
        if found and found[2] and 0 < number < math.inf:
            return cls(seconds=number * _UNITS[found[2]])
        if found and not found[2] and 1 <= number < math.inf and number == int(number):
            return cls(iterations=number)
        raise ValueError(
            f"must be a time such as 30s, 5m or 2h, a number of iterations such as 1000, or never; got {text!r}"
        )


class Clock:
    """Whether an interval is over since the last `restart`.

    seconds: gives the time; that of a clock that nobody sets.

    >>> now = 0.0
    >>> clock = Clock(Interval.of("30s"), lambda: now)
    >>> now = 29.0
    >>> clock.rings(iteration=7)
    False
    >>> now = 30.0
    >>> clock.rings(iteration=8)
    True
    """

    def __init__(self, interval: Interval, seconds: Callable[[], float] = time.monotonic) -> None:
        self.interval, self.seconds = interval, seconds
        self.restart(0)

    def restart(self, iteration: int) -> None:
        """What is counted begins now, at the end of an iteration."""
        self._time, self._iteration = self.seconds(), iteration

    def rings(self, iteration: int) -> bool:
        """Whether at the end of an iteration it is time."""
        over = self.seconds() - self._time >= self.interval.seconds
        return over or iteration - self._iteration >= self.interval.iterations
