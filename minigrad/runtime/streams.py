"""Output that may be lost without anybody's work ending."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TextIO

__all__ = ["Dropping"]


class Dropping:
    """A text stream that drops what cannot be written: its disk is full, or its reader has left. Else as the stream.

    >>> import io
    >>> stream = Dropping(io.StringIO())
    >>> stream.write("half"), stream.getvalue()
    (4, 'half')
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or not; its length."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts, or not."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is in the buffer, or not."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
