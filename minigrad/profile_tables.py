"""Sum the times of calls of primitives; make a table and a trace of them.

:mod:`minigrad.profiling` measures the times. A sum counts each call without the calls within it, so that every column
adds up.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .formatting import byte_text, time_text
from .spec import Spec

__all__ = ["By", "Event", "Phase", "Row", "Work", "own_times", "rows_of", "table_of", "trace_of"]

By = Literal["primitive", "scope", "line"]
Phase = Literal["forward", "backward"]


class Event(NamedTuple):
    """One call of a primitive's forward, or of its VJP.

    Attributes:
        primitive, module: the primitive's name and the module that declares it.
        phase: "forward" or "backward".
        begin, time: in nanoseconds, by the clock of `time.perf_counter_ns`.
        overhead: the part of the time that the profile itself took, for calls within this one.
        thread: the identifier of the thread that made the call.
        scope, line: of the call; for a VJP, of the call that made its node.
        inputs, outputs: shape and dtype of each array; None for an array that was left out. For a VJP, the cotangents.
        bytes: of the arrays that the call made, without views of inputs.
        multiply_adds: from the primitive's ``cost``; 0 for a VJP and for a primitive without a cost.
        failed: whether the call raised an error.
    """

    primitive: str
    module: str
    phase: Phase
    begin: int
    time: int
    overhead: int
    thread: int
    scope: tuple[str, ...]
    line: str
    inputs: tuple[Spec | None, ...]
    outputs: tuple[Spec | None, ...]
    bytes: int
    multiply_adds: int
    failed: bool


def own_times(events: Sequence[Event]) -> list[int]:
    """Return the time of each call in nanoseconds, without the calls within it and without their overhead.

    Two calls of a thread are nested or disjoint. The events may come in any order. If two begin and end at the same
    time, the later one contains the other, because an event is recorded when its call ends.
    """
    net = [event.time - event.overhead for event in events]
    ends = [event.begin + event.time for event in events]
    own = net.copy()
    around: list[int] = []  # the open calls, each within the previous one
    for i in sorted(range(len(events)), key=lambda i: (events[i].thread, events[i].begin, -events[i].time, -i)):
        while around and (events[around[-1]].thread != events[i].thread or ends[around[-1]] < ends[i]):
            around.pop()
        if around:
            own[around[-1]] -= net[i]
        around.append(i)
    return own


class Work(NamedTuple):
    """A sum over calls. Times are in nanoseconds; ``multiplying`` is the time of calls with multiply-adds."""

    calls: int = 0
    time: int = 0
    bytes: int = 0
    multiply_adds: int = 0
    multiplying: int = 0

    @property
    def gflops(self) -> float | None:
        """Billions of floating-point operations per second, two for each multiply-add; None if none were counted."""
        return 2 * self.multiply_adds / self.multiplying if self.multiply_adds and self.multiplying else None


@dataclass(slots=True)
class Row:
    """The sums of a primitive, scope or line, forward and backward."""

    name: str
    forward: Work
    backward: Work

    @property
    def time(self) -> int:
        """The time of both phases, in nanoseconds."""
        return self.forward.time + self.backward.time


def rows_of(events: Sequence[Event], by: By) -> list[Row]:
    """Return the sums of each primitive, scope or line, longest time first."""
    name = _namer(events, by)
    parts: dict[str, dict[Phase, list[tuple[int, ...]]]] = {}
    for event, time in zip(events, own_times(events), strict=True):
        phases = parts.setdefault(name(event), {"forward": [], "backward": []})
        multiplying = time if event.multiply_adds else 0
        phases[event.phase].append((1, time, event.bytes, event.multiply_adds, multiplying))
    rows = [Row(key, _sum(phases["forward"]), _sum(phases["backward"])) for key, phases in parts.items()]
    return sorted(rows, key=lambda row: -row.time)


def _sum(parts: Iterable[tuple[int, ...]]) -> Work:
    return Work(*map(sum, zip(Work(), *parts, strict=True)))


def _namer(events: Iterable[Event], by: By) -> Callable[[Event], str]:
    """Return the function that maps an event to the name of its row."""
    declared = Counter(primitive for primitive, _ in {(event.primitive, event.module) for event in events})
    names: dict[str, Callable[[Event], str]] = {
        "primitive": lambda e: e.primitive if declared[e.primitive] == 1 else f"{e.module}.{e.primitive}",
        "scope": lambda event: "/".join(event.scope) or "(no scope)",
        "line": lambda event: event.line or "(line not known)",
    }
    if by not in names:
        raise ValueError(f"profile: by must be 'primitive', 'scope' or 'line', not {by!r}")
    return names[by]


def _summed(name: str, rows: Iterable[Row]) -> Row:
    rows = list(rows)
    return Row(name, _sum(row.forward for row in rows), _sum(row.backward for row in rows))


def table_of(events: Sequence[Event], by: By = "primitive", limit: int | None = None) -> str:
    """Format the rows and their total as text; after `limit` rows, a row sums up the others."""
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ValueError(f"profile: limit must be an int of at least 1 or None, not {limit!r}")
    rows = rows_of(events, by)
    total = _summed("total", rows)
    if limit is not None and len(rows) > limit:
        rows[limit:] = [_summed(f"… {len(rows) - limit:,} others", rows[limit:])]
    head = ["calls", "time", "bytes"]
    cells = [["", "forward", "", "", "", "backward", "", "", "", ""], [by, *head, "GFLOP/s", *head, "total", "share"]]
    cells += [_cells(row, total.time) for row in (*rows, total)]
    if total.forward.gflops is None:
        cells = [[*row[:4], *row[5:]] for row in cells]
    lines = _aligned(cells)
    rule = "─" * max(map(len, lines))
    return "\n".join([*lines[:2], rule, *lines[2:-1], rule, lines[-1]])


def _cells(row: Row, total: int) -> list[str]:
    gflops = row.forward.gflops
    rate = "-" if gflops is None else f"{gflops:.3g}"
    share = f"{row.time / total:.1%}" if total else "-"
    return [row.name, *_work(row.forward), rate, *_work(row.backward), time_text(row.time), share]


def _work(work: Work) -> list[str]:
    if not work.calls:
        return ["-", "-", "-"]
    return [f"{work.calls:,}", time_text(work.time), byte_text(work.bytes) if work.bytes else "-"]


def _aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Format rows as lines: names are left-aligned, numbers right-aligned, and gaps separate the phases."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    apart = {1, len(widths) - 5, len(widths) - 2}  # the first columns of forward, backward and total
    columns = [f"{'    ' if i in apart else '  '}{{:>{width}}}" for i, width in enumerate(widths)]
    line = "".join([f"{{:<{widths[0]}}}", *columns[1:]])
    return [line.format(*row).rstrip() for row in cells]


def trace_of(events: Iterable[Event], threads: Mapping[int, str], begin: int, end: int, thread: int) -> dict[str, Any]:
    """Make a Chrome trace, as plain data for JSON: an event for each call, in the lane of its thread.

    https://ui.perfetto.dev and chrome://tracing show it on a timeline. The whole block is an event of `thread`, so that
    the time between calls is visible. Threads are numbered in the given order, because their identifiers are too large
    for the format.

    Source: Trace Event Format, https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMCN4y0WkjqbTg2ojTc
    (complete events "X" with a begin and a duration in microseconds, metadata events "M").
    """
    process = os.getpid()
    number = {identifier: i for i, identifier in enumerate(threads, 1)}
    named = [("process_name", 0, "minigrad"), *(("thread_name", number[t], name) for t, name in threads.items())]
    names = [{"name": what, "ph": "M", "pid": process, "tid": tid, "args": {"name": name}} for what, tid, name in named]
    block = {"name": "profile", "cat": "profile", "ph": "X", "ts": 0.0, "dur": (end - begin) / 1e3, "pid": process,
             "tid": number[thread], "args": {}}  # fmt: skip
    calls = [
        {
            "name": event.primitive if event.phase == "forward" else f"{event.primitive}_vjp",
            "cat": event.phase,
            "ph": "X",
            "ts": (event.begin - begin) / 1e3,
            "dur": event.time / 1e3,
            "pid": process,
            "tid": number[event.thread],
            "args": _arguments(event),
        }
        for event in sorted(events, key=lambda event: (event.begin, -event.time))
    ]
    return {"traceEvents": [*names, block, *calls], "displayTimeUnit": "ms"}


def _arguments(event: Event) -> dict[str, Any]:
    """Return the details that a click on an event shows."""
    said: dict[str, Any] = {"module": event.module, "inputs": _specs(event.inputs), "outputs": _specs(event.outputs)}
    said |= {"scope": "/".join(event.scope), "line": event.line, "bytes": event.bytes}
    if event.multiply_adds and event.time:
        said |= {"multiply_adds": event.multiply_adds, "GFLOP/s": round(2 * event.multiply_adds / event.time, 3)}
    return said | ({"failed": True} if event.failed else {})


def _specs(specs: Iterable[Spec | None]) -> list[str]:
    return ["-" if spec is None else f"{spec[1]} {spec[0]}" for spec in specs]
