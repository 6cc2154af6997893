"""Stop a training by a signal, between two iterations."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["SIGNALS", "Stop", "stop_on_signals"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and the signal of `kill` and of a shutdown."""


class Stop(threading.Event):
    """An event that is set when a training should stop. signal: the number of the signal; None before."""

    signal: int | None = None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a `Stop`; a second one acts as usual. Ignored signals stay ignored.

    In other threads than the main one, which cannot handle signals, nothing sets it.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    previous = {number: handler for number, handler in previous.items() if handler != signal.SIG_IGN}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def handle(number: int, frame: Any) -> None:
        stop.signal = number
        stop.set()
        restore()

    try:
        for number in previous:
            signal.signal(number, handle)
        yield stop
    finally:
        restore()
