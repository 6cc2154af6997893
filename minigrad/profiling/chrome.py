"""Calls of primitives as a Chrome trace, which https://ui.perfetto.dev and chrome://tracing show on a line of time.

Source: Trace Event Format, https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMCN4y0WkjqbTg2ojTc (complete
events "X" with a begin and a duration in microseconds, metadata events "M").
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..spec import Spec
from .timings import Event

__all__ = ["trace_of"]

Json = dict[str, Any]


def trace_of(events: Iterable[Event], threads: Mapping[int, str], begin: int, end: int, thread: int) -> Json:
    """The trace as plain data for JSON: an event for each call, in the lane of its thread.

    A VJP has the name and the category that tell it from the forward. The whole block is an event too, of `thread`, so
    that what is between the calls can be seen. Threads are numbered in the order given: the identifiers that the
    system gives them are longer than the format's numbers.
    """
    process = os.getpid()
    number = {identifier: i for i, identifier in enumerate(threads, 1)}
    named = [("process_name", 0, "minigrad"), *(("thread_name", number[t], name) for t, name in threads.items())]
    lines: list[Json] = [
        {"name": what, "ph": "M", "pid": process, "tid": tid, "args": {"name": name}} for what, tid, name in named
    ]
    block = {"name": "profile", "cat": "profile", "ph": "X", "ts": 0.0, "dur": (end - begin) / 1e3}
    lines.append({**block, "pid": process, "tid": number[thread], "args": {}})
    lines += [
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
    return {"traceEvents": lines, "displayTimeUnit": "ms"}


def _arguments(event: Event) -> Json:
    """What a click on an event shows."""
    said: Json = {"module": event.module, "inputs": _specs(event.inputs), "outputs": _specs(event.outputs)}
    said |= {"scope": "/".join(event.scope), "line": event.line, "bytes": event.bytes}
    if event.multiply_adds and event.time:
        said |= {"multiply_adds": event.multiply_adds, "GFLOP/s": round(2 * event.multiply_adds / event.time, 3)}
    return said | ({"failed": True} if event.failed else {})


def _specs(specs: Iterable[Spec | None]) -> list[str]:
    return ["-" if spec is None else f"{spec[1]} {spec[0]}" for spec in specs]
