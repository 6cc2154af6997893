"""Report the progress of a long job on standard error: a bar on a terminal, occasional lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import timedelta
from typing import Any, TextIO, TypeVar

from captioning.command import DroppingStream
from minigrad.runtime.extras import require

__all__ = ["SILENT", "Progress"]

_BAR_WIDTH = 24
_FIRST_LINE = 10.0  # seconds
_REDRAW = 0.2  # seconds; `update` redraws, because a thread of rich would slow down training

Item = TypeVar("Item")


class Progress:
    """Shows the progress of a long job: `begin` sets its length, `update` what is done, `close` removes the bar.

    stream: standard error by default. On a terminal, a bar is redrawn at most five times a second. Elsewhere a line is
    printed after 10 seconds, and then at most every `interval` seconds. Write errors are ignored.
    enabled: False prints nothing and needs no package. clock: returns seconds.

    >>> import io
    >>> seconds = 0.0
    >>> progress = Progress(io.StringIO(), clock=lambda: seconds)
    >>> progress.begin(100)
    >>> for seconds in range(1, 13):
    ...     progress.update(2 * seconds, loss=7.5)
    >>> progress.stream.getvalue()
    '20/100  loss 7.50  2.0/s  0:00:40 left\\n'
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        interval: float = 60.0,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream, self.enabled, self.clock = sys.stderr if stream is None else stream, enabled, clock
        if not enabled:
            return
        console = require("rich.console", "caption").Console(file=DroppingStream(self.stream), force_jupyter=False)
        self.terminal = self.stream.isatty() and not console.is_dumb_terminal
        self.interval = _REDRAW if self.terminal else interval
        rich = require("rich.progress", "caption")
        columns = rich.BarColumn(_BAR_WIDTH), rich.TextColumn("{task.description}", markup=False)
        self._bar = rich.Progress(*columns, console=console, auto_refresh=False, transient=True, redirect_stdout=False,
                                  get_time=clock, disable=not self.terminal)  # fmt: skip
        self.begin(1)

    def begin(self, total: int | None, start: int = 0, unit: Callable[[int], str] = str, what: str = "") -> None:
        """Begin a job of `total` steps, or None if the number is unknown. `start` steps were done earlier.

        unit: formats a number of steps, such as `minigrad.formatting.byte_text` for bytes.
        what: printed before the numbers.
        """
        if self.enabled:
            self._unit, self._label = unit, what
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._task = self._bar.add_task("", total=total, completed=start)
            self.due = self.clock() + min(_FIRST_LINE, self.interval)

    def update(self, done: int, **figures: float) -> None:
        """Report that `done` steps are done, with figures to show, such as `loss=…`."""
        if not self.enabled:
            return
        self._bar.update(self._task, completed=done)
        now = self.clock()
        if now >= self.due:
            self.due = now + self.interval
            text = f"{self._label} {_status_line(self._bar.tasks[0], figures, self._unit)}".lstrip()
            if self.terminal:
                self._bar.start()
                self._bar.update(self._task, description=text, refresh=True)
            else:
                self.say(text)

    def track(self, items: Iterable[Item], what: str = "") -> Iterator[Item]:
        """Yield the items, and report how many are done.

        >>> list(SILENT.track("ab"))
        ['a', 'b']
        """
        self.begin(len(items) if isinstance(items, Sized) else None, what=what)
        for done, item in enumerate(items, 1):
            yield item
            self.update(done)

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar."""
        if self.enabled:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bar from the terminal."""
        if self.enabled:
            self._bar.stop()


SILENT = Progress(enabled=False)
"""Prints nothing."""


def _status_line(task: Any, figures: dict[str, float], unit: Callable[[int], str]) -> str:
    """Return what a task of rich has done, the figures, its rate over the last half minute, and the time left."""
    done = unit(int(task.completed)) + (f"/{unit(int(task.total))}" if task.total is not None else "")
    parts = [done, *(f"{name} {value:.2f}" for name, value in figures.items())]
    if task.speed:
        parts.append(f"{task.speed:.1f}/s" if unit is str else f"{unit(int(task.speed))}/s")
    if task.time_remaining is not None:
        parts.append(f"{timedelta(seconds=task.time_remaining)} left")
    return "  ".join(parts)
