"""Where the time goes: how long each call of a primitive takes, forward and backward.

    with mg.profile() as p:
        loss = model(x)
        loss.backward()
    print(p)

:mod:`minigrad.profiling.clocks` measures; here is what is shown of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from ..runtime.contexts import Context
from ..runtime.files import replacing
from ..units import time_text
from .chrome import trace_of
from .clocks import Tape, started
from .timings import By, Row, own_times, rows_of, table_of

__all__ = ["Profile", "profile"]


class Profile(Tape):
    """What was measured within a :class:`profile`: its `events`, and sums of them."""

    @property
    def wall(self) -> int:
        """How long the block took, or has taken so far, in nanoseconds."""
        return (self.ended[0] if self.ended else perf_counter_ns()) - self.began

    @property
    def inside(self) -> int:
        """How long the thread that opened the profile was in primitives, in nanoseconds."""
        own = zip(self.events, own_times(self.events), strict=True)
        return sum(time for event, time in own if event.thread == self.thread)

    @property
    def outside(self) -> int:
        """For how long it was neither in primitives nor busy with the profile: in the engine, and in your code."""
        return self.wall - self.inside - self.overhead

    def rows(self, by: By = "primitive") -> list[Row]:
        """Sums over the calls of each primitive, scope or line; those that took longest come first."""
        return rows_of(self.events, by)

    def table(self, by: By = "primitive", limit: int | None = None) -> str:
        """The sums as a text.

        The time of a call is without that of other primitives that it called, so columns add up. Bytes are those of the
        arrays that were made. GFLOP/s are of the forwards whose primitive has a ``cost``: two operations for each
        multiply-add.

        Args:
            by: what has a row: 'primitive', 'scope' or 'line'. Scopes do not contain the scopes within them.
            limit: of more rows, the last one sums up those that took least.

        Raises:
            ValueError: for another `by` or `limit`.
        """
        wall, inside, taken = self.wall, self.inside, self.overhead
        shares = {"in primitives": inside, "outside of them": wall - inside - taken, "for the profile": taken}
        said = ", ".join(f"{time_text(time)} ({time / wall:.1%}) {what}" for what, time in shares.items())
        others = sum(event.thread != self.thread for event in self.events)
        more = [f"{others:,} of the calls ran in other threads, beside this time"] if others else []
        return "\n".join([table_of(self.events, by, limit), f"{time_text(wall)} in all: {said}", *more])

    def trace(self, path: str | os.PathLike[str]) -> None:
        """Write a Chrome trace, whole or not at all: https://ui.perfetto.dev opens it.

        Each call is there with its shapes, dtypes, scope and line, in the lane of its thread; VJPs have names that
        end in `_vjp` and the category 'backward'.

        Raises:
            OSError: if no file can be written there.
        """
        data = trace_of(self.events, self.threads, self.began, self.began + self.wall, self.thread)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(data, allow_nan=False, separators=(",", ":")), encoding="utf-8")

    def __str__(self) -> str:
        return self.table(limit=20)


class profile(Context):  # noqa: N801  (used as a function)
    """Within this context every call of a primitive is timed, forward and backward: ``with mg.profile() as p:``.

    What it gives is a :class:`Profile`: ``print(p)`` and ``p.table(by="line")`` show where the time goes,
    ``p.trace(path)`` shows it on a line of time, ``p.events`` is all that was measured. The times are those of the
    forward and of the VJP alone; what their threads do counts for them. Nodes keep their times for
    ``mg.render.draw(loss, path, times=True)``.

    It holds for the thread or task that enters it (and what that has done by `run_in_parallel`), within others of its
    kind, and together with :func:`minigrad.record` and :func:`minigrad.detect_anomaly`. A call costs some 12 µs more
    within it, which no time of a primitive contains; an event takes 600 bytes.

    Args:
        lines: look up the line of your code that called, which takes 4 of these 12 µs.

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0]], requires_grad=True)
    >>> with mg.profile() as p:
    ...     (x @ x.T).sum().backward()
    >>> [(event.primitive, event.phase) for event in p.events]
    [('transpose', 'forward'), ('matmul', 'forward'), ('sum', 'forward'),
     ('sum', 'backward'), ('matmul', 'backward'), ('transpose', 'backward')]
    """

    __slots__ = ("lines", "result")

    def __init__(self, lines: bool = True) -> None:
        self.close, self.lines = None, lines

    def again(self) -> Context:
        raise TypeError("profile decorates no function, whose profile nobody would have: use it by `with`")

    def begin(self) -> Callable[[], Any]:
        self.result = Profile(self.lines)
        return started(self.result)

    def __enter__(self) -> Profile:  # type: ignore[override]
        super().__enter__()
        return self.result
