"""A time limit for code that may never end, such as the checker of a proposition."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import numpy as np

__all__ = ["OutOfTime", "time_limit"]

IGNORING = ("__del__", "gc_callback")
"""Functions, the latter of Hypothesis, in which Python prints and ignores an exception."""


class OutOfTime(BaseException):
    """The time limit is over. No Exception, so `except Exception` does not catch it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise :class:`OutOfTime` in the block when its time is over.

    A timer (SIGALRM) interrupts Python between two instructions, so also in a loop of NumPy calls, but not within one
    call. It needs the main thread and does not exist on Windows. Without it this does nothing, and the caller must look
    at the clock.

    >>> try:
    ...     with time_limit(0.01):
    ...         while True:
    ...             pass
    ... except OutOfTime:
    ...     print("out of time")
    out of time
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if seconds > threading.TIMEOUT_MAX or not in_main_thread or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code.co_name not in IGNORING:
            raise OutOfTime

    with np.errstate():  # restores what an interrupted function of NumPy had set for itself
        handler = signal.signal(signal.SIGALRM, stop)
        timer = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # repeats, in case the block catches it
        try:
            try:
                yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # also if the timer interrupts the line above
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
            signal.setitimer(signal.ITIMER_REAL, *timer)
