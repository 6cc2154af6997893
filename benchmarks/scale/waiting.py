"""How long a step is in its buckets: copying gradients there, sending, adding, and waiting for others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["TimedBuckets"]


class TimedBuckets:
    """Buckets of a `DataParallel` with stopwatches on the three calls in which all that ranks do for others happens.

    ``during`` has seconds within reverse passes, ``after`` those behind them, ``processor`` this thread's own in both.
    """

    def __init__(self, buckets: Any) -> None:
        self._buckets = buckets
        self.reset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._buckets, name)

    def reset(self) -> None:
        """Begin to count."""
        self.during = self.after = self.processor = 0.0

    def put(self, i: int, gradient: Any) -> None:
        seconds, _ = self._timed(self._buckets.put, i, gradient)
        self.during += seconds

    def close(self) -> None:
        seconds, _ = self._timed(self._buckets.close)
        self.after += seconds

    def sums(self) -> Any:
        seconds, found = self._timed(self._buckets.sums)
        self.after += seconds
        return found

    def _timed(self, call: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
        begun, processor = time.perf_counter(), time.thread_time()
        found = call(*arguments)
        self.processor += time.thread_time() - processor
        return time.perf_counter() - begun, found
