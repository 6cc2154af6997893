"""Measure how long each call of a primitive takes, forward and backward.

    with mg.profile() as p:
        loss = model(x)
        loss.backward()
    print(p)

A :class:`Profile` is an observer that times forwards and VJPs. :mod:`minigrad.profile_tables` formats the times as
tables.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, repeat
from time import perf_counter_ns
from typing import Any

import numpy as np

from .core import Node, current_scope, plain
from .formatting import time_text
from .observers import Observer, observing
from .primitives import Primitive
from .profile_tables import By, Event, Row, own_times, rows_of, table_of, trace_of
from .recording import ensure_note, user_line
from .runtime.files import replacing
from .spec import Array, Spec
from .writes import arrays_in, owner

__all__ = ["Profile", "profile", "residual_memory"]


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
        events: all calls, in the order in which they ended (`minigrad.profile_tables.Event`).
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
        result, end, taken, begin = None, 0, _thread_state.taken, perf_counter_ns()
        try:
            result = function(*given, **options)
            end = perf_counter_ns()
            return result
        finally:
            failed, end = not end, end or perf_counter_ns()
            time, overhead, multiply_adds = end - begin, _thread_state.taken - taken, 0
            scope, line = current_scope() or (), ""
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
                threading.get_ident(), scope, line, _specs(arrays), _specs(results), _new_bytes(results, arrays),
                multiply_adds, failed,
            )  # fmt: skip
            self.events.append(event)
            if event.thread not in self.threads:
                self.threads[event.thread] = threading.current_thread().name
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
        own = zip(self.events, own_times(self.events), strict=True)
        return sum(time for event, time in own if event.thread == self.thread)

    @property
    def outside(self) -> int:
        """The rest of the time of `thread`: in the engine and in your code, in nanoseconds."""
        return self.wall - self.inside - self.overhead

    def rows(self, by: By = "primitive") -> list[Row]:
        """Return the sums over the calls of each primitive, scope or line, longest time first."""
        return rows_of(self.events, by)

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
        wall, inside, taken = self.wall, self.inside, self.overhead
        shares = {"in primitives": inside, "outside of them": wall - inside - taken, "for the profile": taken}
        said = ", ".join(f"{time_text(time)} ({time / wall:.1%}) {what}" for what, time in shares.items())
        others = sum(event.thread != self.thread for event in self.events)
        more = [f"{others:,} of the calls ran in other threads, on top of this time"] if others else []
        return "\n".join([table_of(self.events, by, limit), f"{time_text(wall)} in all: {said}", *more])

    def trace(self, path: str | os.PathLike[str]) -> None:
        """Write a Chrome trace, which https://ui.perfetto.dev opens. The file appears whole or not at all.

        Each call appears in the lane of its thread, with its shapes, dtypes, scope and line. VJPs have names that end
        in `_vjp`, and the category 'backward'.

        Raises:
            OSError: if the file cannot be written.
        """
        data = trace_of(self.events, self.threads, self.began, self.began + self.wall, self.thread)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(data, allow_nan=False, separators=(",", ":")), encoding="utf-8")

    def __str__(self) -> str:
        return self.table(limit=20)


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
