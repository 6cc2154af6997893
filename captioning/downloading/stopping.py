"""Being told to end, so that what has arrived is kept and somebody hears how to go on."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["TerminatedError", "ending_in_order"]


class TerminatedError(KeyboardInterrupt):
    """SIGTERM, which then ends a block as Ctrl-C does."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """In the block, SIGTERM raises TerminatedError; not in threads beside the main one, which no signal reaches."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: FrameType | None) -> None:
    raise TerminatedError
