"""Ctrl-C and SIGTERM as exceptions that end a command, and that do not get lost."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Interrupts", "Terminated", "interrupts", "number_of"]

_PAUSE = 0.05  # seconds until a lost interrupt comes again: by then the callback that could not raise it is left


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `kill` and a machine that shuts down send it: it ends a command as Ctrl-C does."""

    signal = signal.SIGTERM  # `minigrad.parallel.together` ends a job with its exit status


class Interrupts:
    """Interrupts that Python dropped: raised in `__del__` or in a weakref's callback, an exception ends nothing.

    `hook` takes them for `sys.unraisablehook`, and their signal is sent again a moment later, to whatever handles it
    then. `check` raises the one that is still to be sent, for who is done before that.
    """

    def __init__(self, otherwise: Any) -> None:
        self._otherwise = otherwise
        self._lost: KeyboardInterrupt | None = None
        self._timer: threading.Timer | None = None

    def hook(self, unraisable: Any) -> None:
        """Take an interrupt; pass on anything else."""
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            self._otherwise(unraisable)
            return
        self._lost = type(unraisable.exc_value)()  # not the exception itself, whose traceback holds what is to go
        self._timer = threading.Timer(_PAUSE, self._send)
        self._timer.daemon = True
        self._timer.start()

    def _send(self) -> None:
        lost, self._lost = self._lost, None
        if lost is None:
            return
        number = number_of(lost)
        if hasattr(signal, "pthread_kill"):  # which also ends a wait of the main thread
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:  # pragma: no cover - Windows
            _thread.interrupt_main(number)

    def check(self) -> None:
        """Raise an interrupt that was dropped and has not come again yet."""
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost

    def forget(self) -> None:
        """Send nothing any more."""
        self._lost = None
        if self._timer is not None:
            self._timer.cancel()


def number_of(stop: KeyboardInterrupt) -> signal.Signals:
    """The signal that an interrupt came by."""
    return signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Let SIGTERM raise `Terminated`, unless the process has a way with it of its own, and let no interrupt get lost.

    In other threads than the main one, which handle no signals, nothing changes.
    """
    lost = Interrupts(sys.unraisablehook)
    if threading.current_thread() is not threading.main_thread():
        yield lost
        return
    ours = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    previous, sys.unraisablehook = sys.unraisablehook, lost.hook
    if ours:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield lost
    finally:
        lost.forget()
        if ours and signal.getsignal(signal.SIGTERM) == _terminate:  # or the command has another way by now
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.unraisablehook = previous


def _terminate(number: int, frame: Any) -> None:
    raise Terminated
