"""Measure how long each call of a primitive takes, forward and backward.

    with mg.profile() as p:
        loss = model(x)
        loss.backward()
    print(p)

A :class:`Profile` is an observer that times forwards and VJPs. A sum counts each call without the calls within it, so
that every column of a table adds up.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from time import perf_counter_ns
from typing import Any, Literal, NamedTuple

import numpy as np

from .core import Node, current_scope, plain
from .formatting import byte_text, html_table, time_text
from .observers import Observer, observing
from .primitives import Primitive
from .recording import ensure_note, user_line
from .runtime.files import replacing
from .spec import Array, Spec
from .writes import arrays_in, owner

__all__ = ["Profile", "profile", "residual_memory"]

By = Literal["primitive", "scope", "line"]
Phase = Literal["forward", "backward"]


class Event(NamedTuple):
    """One call of a primitive's forward, or of its VJP.

    Attributes:
        primitive, module: the primitive's name and the module that declares it.
        phase: "forward" or "backward".
        begin, time: in nanoseconds, by the clock of `time.perf_counter_ns`.
        overhead: the part of the time that the profile itself took, for calls within this one.
        own: the rest of the time, without that of the calls within this one.
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
    own: int
    thread: int
    scope: tuple[str, ...]
    line: str
    inputs: tuple[Spec | None, ...]
    outputs: tuple[Spec | None, ...]
    bytes: int
    multiply_adds: int
    failed: bool


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


class _ThreadState(threading.local):
    """The state of a thread.

    forward: the event of its last forward. taken: the time that profiles themselves took, in nanoseconds.
    """

    forward: Event | None = None
    taken = 0


_thread_state = _ThreadState()


class Profile(Observer):
    """The measurements of a :class:`profile`: its `events`, and sums of them.

    Attributes:
        events: all calls, in the order in which they ended (`Event`).
        threads: the names of the threads that made calls, by their identifiers.
        thread: the identifier of the thread that started the profile.
        began, ended: the times in nanoseconds; `ended` is None while the profile runs.
        overhead: the time that the profile itself took in `thread`, in nanoseconds.
    """

    def __init__(self, lines: bool) -> None:
        self.lines = lines
        self.events: list[Event] = []
        self.thread = threading.get_ident()
        self.threads = {self.thread: threading.current_thread().name}
        self.overhead = 0
        self._finished: Counter[int] = Counter()  # by thread: the time of all finished calls, without overhead
        self.began = perf_counter_ns()
        self.ended: int | None = None

    def around(
        self, primitive: Primitive, function: Callable[..., Any], node: Node | None = None
    ) -> Callable[..., Any]:
        return partial(self._timed, primitive, function, node)

    def _timed(
        self, primitive: Primitive, function: Callable[..., Any], node: Node | None, /, *given: Any, **options: Any
    ) -> Any:
        """Call a forward, or the VJP of a node, and record an event."""
        thread, taken, result, end = threading.get_ident(), _thread_state.taken, None, 0
        finished, begin = self._finished[thread], perf_counter_ns()
        try:
            result = function(*given, **options)
            end = perf_counter_ns()
            return result
        finally:
            failed, end = not end, end or perf_counter_ns()
            time, overhead, multiply_adds = end - begin, _thread_state.taken - taken, 0
            own = time - overhead - (self._finished[thread] - finished)
            self._finished[thread] = finished + time - overhead
            scope, line = current_scope(), ""
            if node is None:
                made = _several(result[0]) if type(result) is tuple and result else ()
                line = user_line() if self.lines else ""
                if primitive.cost is not None and made and not failed:
                    shapes = [None if x is None else np.shape(x) for x in given]
                    multiply_adds = primitive.cost(shapes, np.shape(made[0]), options)
            else:
                note = ensure_note(node)
                note.backward_time, scope, line = time - overhead, node.scope, note.line
                given, made = _several(given[0]), result if type(result) is tuple else ()
            arrays, results = tuple(map(_array, given)), tuple(map(_array, made))
            event = Event(
                primitive.name, primitive.module, "forward" if node is None else "backward", begin, time, overhead,
                own, thread, scope, line, _specs(arrays), _specs(results), _new_bytes(results, arrays),
                multiply_adds, failed,
            )  # fmt: skip
            self.events.append(event)
            if thread not in self.threads:
                self.threads[thread] = threading.current_thread().name
            if node is None:
                _thread_state.forward = event
            self._charge(end)

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        begin, event = perf_counter_ns(), _thread_state.forward
        if event is not None and node is not None:  # the event of this call, which has just ended
            note = ensure_note(node)
            note.line, note.forward_time = note.line or event.line, event.time - event.overhead
        self._charge(begin)

    def _charge(self, since: int) -> None:
        """Count the time since ``since`` in this thread as overhead."""
        time = perf_counter_ns() - since
        _thread_state.taken += time
        if self.thread == threading.get_ident():
            self.overhead += time

    @property
    def wall(self) -> int:
        """The time that the block took, or has taken so far, in nanoseconds."""
        return (self.ended or perf_counter_ns()) - self.began

    @property
    def inside(self) -> int:
        """The time that `thread` spent in primitives, in nanoseconds."""
        return sum(event.own for event in self.events if event.thread == self.thread)

    @property
    def outside(self) -> int:
        """The rest of the time of `thread`: in the engine and in your code, in nanoseconds."""
        return self.wall - self.inside - self.overhead

    def rows(self, by: By = "primitive") -> list[Row]:
        """Return the sums over the calls of each primitive, scope or line, longest time first."""
        return _rows_of(self.events, by)

    def table(self, by: By = "primitive", limit: int | None = None) -> str:
        """Format the sums as a table.

        The time of a call excludes the primitives that it calls, so columns add up. Bytes are those of the arrays that
        the calls made. GFLOP/s count two operations for each multiply-add of the primitives that have a ``cost``.

        Args:
            by: make a row for each 'primitive', 'scope' or 'line'. A scope excludes the scopes within it.
            limit: the number of rows to print before a last row that sums up the rest; None for all rows.

        Raises:
            ValueError: for another `by` or `limit`.
        """
        return "\n".join([_table_of(self.events, by, limit), *self._notes()])

    def _notes(self) -> list[str]:
        wall, inside, taken = self.wall, self.inside, self.overhead
        shares = {"in primitives": inside, "outside of them": wall - inside - taken, "for the profile": taken}
        said = ", ".join(f"{time_text(time)} ({time / wall:.1%}) {what}" for what, time in shares.items())
        others = sum(event.thread != self.thread for event in self.events)
        more = [f"{others:,} of the calls ran in other threads, on top of this time"] if others else []
        return [f"{time_text(wall)} in all: {said}", *more]

    def trace(self, path: str | os.PathLike[str]) -> None:
        """Write a Chrome trace, which https://ui.perfetto.dev opens. The file appears whole or not at all.

        Each call appears in the lane of its thread, with its shapes, dtypes, scope and line. VJPs have names that end
        in `_vjp`, and the category 'backward'.

        Raises:
            OSError: if the file cannot be written.
        """
        data = _trace_of(self.events, self.threads, self.began, self.began + self.wall, self.thread)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(data, allow_nan=False, separators=(",", ":")), encoding="utf-8")

    def __str__(self) -> str:
        return self.table(limit=20)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(_cells_of(self.events, limit=20), self._notes(), header_rows=2)


class profile(observing):  # noqa: N801  (used as a function)
    """Time every call of a primitive, forward and backward, within ``with mg.profile() as p:``.

    ``p`` is a :class:`Profile`. ``print(p)`` and ``p.table(by="line")`` show where the time goes, ``p.trace(path)``
    writes a timeline, and ``p.events`` holds every measurement. Times are those of the forward and of the VJP alone.
    Nodes keep their times for ``mg.render.draw(loss, path, times=True)``.

    It applies to the thread or task that enters it, and to its pieces in `run_in_parallel`. It nests, and you can
    combine it with :func:`minigrad.record` and :func:`minigrad.detect_anomaly`. Each call takes about 12 µs more, which
    the measured times exclude. An event takes 600 bytes.

    Args:
        lines: record the line of your code that made the call, which takes 4 of these 12 µs.

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0]], requires_grad=True)
    >>> with mg.profile() as p:
    ...     (x @ x.T).sum().backward()
    >>> [(event.primitive, event.phase) for event in p.events]
    [('transpose', 'forward'), ('matmul', 'forward'), ('sum', 'forward'),
     ('sum', 'backward'), ('matmul', 'backward'), ('transpose', 'backward')]
    """

    def __init__(self, lines: bool = True) -> None:
        super().__init__()
        self._lines = lines
        self._change = lambda outer: (*outer, self.result)

    def __call__(self, function: Any) -> Any:
        raise TypeError("profile cannot decorate a function, since the result would be lost: use with mg.profile()")

    def __enter__(self) -> Profile:  # type: ignore[override]
        if self._open is None:
            self.result = Profile(self._lines)
        super().__enter__()
        self.result.began = perf_counter_ns()
        return self.result

    def __exit__(self, *error: object) -> None:
        self.result.ended = perf_counter_ns()
        super().__exit__(*error)


def _several(x: Any) -> tuple[Any, ...]:
    return x if type(x) is tuple else (x,)


def _array(x: Any) -> Any:
    """Convert an array or a number to an array; None for anything else."""
    x = plain(x)
    return np.asarray(x) if isinstance(x, (bool, int, float, np.ndarray, np.generic)) else None


def _specs(arrays: tuple[Any, ...]) -> tuple[Spec | None, ...]:
    return tuple(None if x is None else (x.shape, x.dtype) for x in arrays)


def _new_bytes(made: tuple[Any, ...], given: tuple[Any, ...]) -> int:
    """Count the bytes of new memory in the outputs; views of inputs count as none."""
    old = {id(owner(x)) for x in given if x is not None}
    arrays = {id(x): x for x in made if x is not None}.values()  # one array may be the cotangent of two inputs
    return sum(min(x.nbytes, memory.nbytes) for x in arrays if id(memory := owner(x)) not in old)


def _rows_of(events: Sequence[Event], by: By) -> list[Row]:
    """Return the sums of each primitive, scope or line, longest time first."""
    name = _namer(events, by)
    parts: dict[str, dict[Phase, list[tuple[int, ...]]]] = {}
    for event in events:
        phases = parts.setdefault(name(event), {"forward": [], "backward": []})
        multiplying = event.own if event.multiply_adds else 0
        phases[event.phase].append((1, event.own, event.bytes, event.multiply_adds, multiplying))
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


def _table_of(events: Sequence[Event], by: By = "primitive", limit: int | None = None) -> str:
    """Format the rows and their total as text."""
    lines = _aligned(_cells_of(events, by, limit))
    rule = "─" * max(map(len, lines))
    return "\n".join([*lines[:2], rule, *lines[2:-1], rule, lines[-1]])


def _cells_of(events: Sequence[Event], by: By = "primitive", limit: int | None = None) -> list[list[str]]:
    """Return two header rows, the rows, and their total; after `limit` rows, a row sums up the others."""
    if limit is not None and (type(limit) is not int or limit < 1):
        raise ValueError(f"profile: limit must be an int of at least 1 or None, not {limit!r}")
    rows = _rows_of(events, by)
    total = _summed("total", rows)
    if limit is not None and len(rows) > limit:
        rows[limit:] = [_summed(f"… {len(rows) - limit:,} others", rows[limit:])]
    head = ["calls", "time", "bytes"]
    cells = [["", "forward", "", "", "", "backward", "", "", "", ""], [by, *head, "GFLOP/s", *head, "total", "share"]]
    cells += [_cells(row, total.time) for row in (*rows, total)]
    return cells if total.forward.gflops is not None else [[*row[:4], *row[5:]] for row in cells]


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


def _trace_of(events: Iterable[Event], threads: Mapping[int, str], begin: int, end: int, thread: int) -> dict[str, Any]:
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
    said: dict[str, Any] = {
        "module": event.module,
        "scope": "/".join(event.scope),
        "line": event.line,
        "bytes": event.bytes,
    }
    said |= {"inputs": _spec_texts(event.inputs), "outputs": _spec_texts(event.outputs)}
    if event.multiply_adds and event.time:
        said |= {"multiply_adds": event.multiply_adds, "GFLOP/s": round(2 * event.multiply_adds / event.time, 3)}
    return said | ({"failed": True} if event.failed else {})


def _spec_texts(specs: Iterable[Spec | None]) -> list[str]:
    return ["-" if spec is None else f"{spec[1]} {spec[0]}" for spec in specs]


def residual_memory(nodes: Iterable[Node], besides: Iterable[Array] = ()) -> dict[Node, dict[str, int]]:
    """Return the bytes of each residual of some nodes by name.

    An argument has its own name; other residuals have their declared names, or an empty one. Memory that several
    residuals share counts once, for the first of them. That of named leaves, which are parameters, and of the arrays
    `besides` never counts. A node whose residuals were freed has none.

    >>> import minigrad as mg
    >>> y = mg.tanh(mg.tensor([1.0, 2.0], requires_grad=True))
    >>> residual_memory([y.node, mg.exp(y).node])
    {<tanh float32 (2,)>: {'output': 8}, <exp float32 (2,)>: {'output': 8}}
    """
    seen = {id(owner(array)) for array in besides}
    result: dict[Node, dict[str, int]] = {}
    for node in nodes:
        if (primitive := node.primitive) is None:
            continue
        result[node] = {}
        edges = zip(node.parents, node.edges[0], strict=True)
        parameters = {primitive.input_name(argnum) for parent, argnum in edges if getattr(parent, "name", "")}
        for name, value in zip(chain(primitive.residuals or (), repeat("")), node.residuals or (), strict=False):
            memory = {id(array): array.nbytes for array in map(owner, arrays_in(value))}
            if memory:
                new = sum(size for key, size in memory.items() if key not in seen and name not in parameters)
                result[node][name] = result[node].get(name, 0) + new
                seen |= memory.keys()
    return result
