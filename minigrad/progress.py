"""A progress bar on standard error: loss, rate and time left; a line now and then where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TextIO

__all__ = ["Progress"]

_WIDTH = 24


class Progress:
    """Shows how far a long job is; `begin` says how long.

    stream: standard error by default. On a terminal one line is drawn again, at most five times a second;
    elsewhere a line is printed after 10 seconds and then at most every `interval` seconds.

    >>> import io
    >>> progress = Progress(io.StringIO())
    >>> progress.begin(100)
    >>> progress.update(50, loss=7.5)
    >>> progress.line(50, loss=7.5).startswith("[============            ] 50/100  loss 7.50")
    True
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 60.0, enabled: bool = True) -> None:
        self.stream, self.enabled = sys.stderr if stream is None else stream, enabled
        self.terminal = self.stream.isatty()
        self.interval = 0.2 if self.terminal else interval
        self.drawn = 0  # the length of the line that stands on the terminal
        self.begin(1)

    def begin(self, total: int, start: int = 0) -> None:
        """A job of `total` steps begins, of which `start` were done earlier."""
        self.total, self.start = total, start
        self.began = time.monotonic()
        self.due = self.began + min(10.0, self.interval)

    def update(self, done: int, **figures: float) -> None:
        """Say that `done` steps are done; figures such as `loss=…` are shown."""
        now = time.monotonic()
        if self.enabled and now >= self.due:
            self.due = now + self.interval
            self._write(self.line(done, **figures))

    def line(self, done: int, **figures: float) -> str:
        """The text of the bar."""
        filled = _WIDTH * done // max(self.total, 1)
        parts = [f"[{'=' * filled}{' ' * (_WIDTH - filled)}] {done}/{self.total}"]
        parts += [f"{name} {value:.2f}" for name, value in figures.items()]
        seconds = time.monotonic() - self.began
        if done > self.start and seconds > 0:
            rate = (done - self.start) / seconds
            parts.append(f"{rate:.1f}/s  {_clock((self.total - done) / rate)} left")
        return "  ".join(parts)

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar."""
        if self.enabled:
            self.close()
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Wipe the bar from the terminal."""
        if self.drawn:
            self.stream.write("\r" + " " * self.drawn + "\r")
            self.stream.flush()
            self.drawn = 0

    def _write(self, text: str) -> None:
        if self.terminal:
            self.stream.write("\r" + text.ljust(self.drawn))
            self.drawn = len(text)
            self.stream.flush()
        else:
            print(text, file=self.stream, flush=True)


def _clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss.

    >>> _clock(75), _clock(3700)
    ('1:15', '1:01:40')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
