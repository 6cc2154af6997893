"""How long each call of a primitive takes, forward and backward.

    with mg.profile() as p:
        loss = model(x)
        loss.backward()
    print(p)

While a profile is open, the class of primitives hands out forwards and VJPs with a clock around them, to the thread or
task that opened it; to all others what was declared. Functions that hold their forward then look it up. Otherwise
nothing is changed and nothing is asked. (CPython 3.13 remembers look-ups of a class only until it was changed a
thousand times: after 500 profiles, one after the other, such a look-up takes 17 ns more.)

A VJP does not know its node. A recorder hears of it just before (:mod:`minigrad.recording`), so that the VJP counts for
the scope and the line of the call that made the node, whose note gets both times, for drawings.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import starmap
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from . import recording
from .chrome import trace_of
from .core import Node, Tensor, current_scope
from .notes import Note
from .overwrites import owner
from .primitives import short_paths
from .recording import Recorder, note_of, recorder, user_line
from .rules import Primitive
from .runtime.contexts import Context, until
from .runtime.files import replacing
from .spec import Array, Spec
from .timings import By, Event, Phase, Row, own_times, rows_of, table_of
from .units import time_text

__all__ = ["Profile", "profile"]


class Profile:
    """What was measured within a :class:`profile`.

    events: every call, in the order in which they ended; see `minigrad.timings.Event`. threads: the names of the
    threads that made calls, by their identifiers; the first is the one that opened the profile, `thread`. overhead: for
    how long that thread was busy with the profile itself, in nanoseconds.
    """

    def __init__(self, lines: bool) -> None:
        self.lines = lines
        self.events: list[Event] = []
        self.thread = threading.get_ident()
        self.threads = {self.thread: _name_of_thread()}
        self.overhead = 0
        self.began = perf_counter_ns()
        self._ended: list[int] = []

    @property
    def wall(self) -> int:
        """How long the block took, or has taken so far, in nanoseconds."""
        return (self._ended[0] if self._ended else perf_counter_ns()) - self.began

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
        others = sum(map(self._is_elsewhere, self.events))
        shares = [("in primitives", self.inside), ("outside of them", self.outside), ("for the profile", self.overhead)]
        said = ", ".join(f"{time_text(time)} ({time / self.wall:.1%}) {what}" for what, time in shares)
        more = [f"{others:,} of the calls ran in other threads, beside this time"] if others else []
        return "\n".join([table_of(self.events, by, limit), f"{time_text(self.wall)} in all: {said}", *more])

    def _is_elsewhere(self, event: Event) -> bool:
        return event.thread != self.thread

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


def _name_of_thread() -> str:
    """The name of this thread; `threading.current_thread` would make up one for those that it did not start."""
    me = threading.get_ident()
    return next((thread.name for thread in threading.enumerate() if thread.ident == me), "helper of run_in_parallel")


# --- the clock -------------------------------------------------------------------------------------

_profiles: ContextVar[tuple[Profile, ...]] = ContextVar("minigrad_profiles", default=())
_open: set[object] = set()  # a key for each profile that is open, in all threads


class _Here(threading.local):
    """What a thread remembers.

    forward: its last one. node: whose VJP is about to run. noted: when the last VJP had been noted, by the clock.
    taken: for how long it was busy with profiles, in nanoseconds.
    """

    forward: Event | None = None
    node: Node | None = None
    noted = 0
    taken = 0


_here = _Here()


class _Clock(NamedTuple):
    """When a call began and ended, and for how long the profiles were busy in between with the calls within it."""

    begin: int
    end: int
    overhead: int

    @property
    def time(self) -> int:
        return self.end - self.begin


def _forward(record: Primitive, function: Callable[..., Any], /, *arrays: Any, **options: Any) -> Any:
    """The forward of a primitive, with a clock around it."""
    result, end, taken, begin = None, 0, _here.taken, perf_counter_ns()
    try:
        result = function(*arrays, **options)
        end = perf_counter_ns()
        return result
    finally:
        clock, failed = _Clock(begin, end or perf_counter_ns(), _here.taken - taken), not end
        outputs = _several(result[0]) if type(result) is tuple and result else ()
        place, cost = _place(), 0
        if record.cost is not None and outputs and not failed:
            cost = record.cost([None if x is None else np.shape(x) for x in arrays], np.shape(outputs[0]), options)
        _here.forward = _tell(record, "forward", clock, place, arrays, outputs, cost, failed)


def _vjp(record: Primitive, function: Callable[..., Any], /, *arguments: Any) -> Any:
    """The VJP of a primitive, with a clock around it."""
    node, _here.node = _here.node, None
    result, end, taken, begin = None, 0, _here.taken, perf_counter_ns()
    try:
        result = function(*arguments)
        end = perf_counter_ns()
        return result
    finally:
        clock, failed = _Clock(begin, end or perf_counter_ns(), _here.taken - taken), not end
        if node is None or node.primitive is not record:  # it was not a reverse pass that called it
            place = _place()
        else:
            note = node.note = note_of(node) or Note()
            note.backward_time = clock.time - clock.overhead
            place = node.scope, note.line
        made = result if type(result) is tuple else ()
        _tell(record, "backward", clock, place, _several(arguments[0] if arguments else ()), made, 0, failed)
        _here.noted = perf_counter_ns()


def _place() -> tuple[tuple[str, ...], str]:
    """The scope and the line of a call."""
    lines = any(profile.lines for profile in _profiles.get())
    return current_scope() or (), user_line() if lines else ""


def _tell(
    record: Primitive, phase: Phase, clock: _Clock, place: tuple[tuple[str, ...], str],
    given: tuple[Any, ...], made: tuple[Any, ...], multiply_adds: int, failed: bool,
) -> Event:  # fmt: skip
    """Make an event of a call that has ended, and tell the profiles that are open here."""
    given, made = tuple(map(_array, given)), tuple(map(_array, made))
    event = Event(record.name, record.module, phase, clock.begin, clock.time, clock.overhead, threading.get_ident(),
                  *place, _specs(given), _specs(made), _new_bytes(made, given), multiply_adds, failed)  # fmt: skip
    for profile in _profiles.get():
        if event.thread not in profile.threads:
            profile.threads[event.thread] = _name_of_thread()
        profile.events.append(event)
    _charge(clock.end)
    return event


def _charge(since: int) -> None:
    """Count the time since then, in this thread, as taken by the profiles."""
    time, thread = perf_counter_ns() - since, threading.get_ident()
    _here.taken += time
    for profile in _profiles.get():
        if profile.thread == thread:
            profile.overhead += time


def _several(x: Any) -> tuple[Any, ...]:
    return x if type(x) is tuple else (x,)


def _array(x: Any) -> Any:
    """An array or a number as an array; None for what is neither."""
    if isinstance(x, Tensor):
        x = x.data
    if isinstance(x, (bool, int, float)):
        return np.asarray(x)
    return x if isinstance(x, (np.ndarray, np.generic)) else None


def _specs(arrays: tuple[Any, ...]) -> tuple[Spec | None, ...]:
    return tuple(None if x is None else (x.shape, x.dtype) for x in arrays)


def _new_bytes(made: tuple[Any, ...], given: tuple[Any, ...]) -> int:
    """How many bytes of what was made are new memory: views of what was given are none."""
    old = {id(owner(x)) for x in given if x is not None}
    arrays = {id(x): x for x in made if x is not None}.values()  # one array may be the cotangent of two inputs
    return sum(min(x.nbytes, memory.nbytes) for x in arrays if id(memory := owner(x)) not in old)


def _with_clock(slot: Any, clock: Callable[..., Any]) -> property:
    """What stands for a slot of the primitives while a profile is open."""

    def get(record: Primitive) -> Any:
        function = slot.__get__(record)
        if not _profiles.get():
            return function
        timed = partial(clock, record, function)
        timed.__doc__ = function.__doc__
        return timed

    return property(get, slot.__set__)


_DECLARED = {name: vars(Primitive)[name] for name in ("forward", "vjp")}
_CLOCKED = {"forward": _with_clock(_DECLARED["forward"], _forward), "vjp": _with_clock(_DECLARED["vjp"], _vjp)}


def _held(function: Any) -> tuple[Any, str]:
    """For `setattr`: the variable in which a short path holds its forward."""
    return function.__closure__[function.__code__.co_freevars.index("forward")], "cell_contents"


def _look_up(record: Primitive, /, *arrays: Any) -> Any:
    """What a short path holds while a profile is open."""
    return record.forward(*arrays)


class _Listener(Recorder):
    """Leaves times and lines on nodes and says whose VJP comes next; tells another recorder, if any, what it hears."""

    def __init__(self, other: Recorder | None) -> None:
        super().__init__(values=False, gradients=False, lines=False)
        self.other = other

    def around(self, inner: Recorder | None) -> Recorder | None:
        return None if inner is None else _Listener(inner)

    def call(self, node: Node, inputs: Sequence[Any], outputs: Sequence[Array]) -> None:
        if self.other is not None:
            self.other.call(node, inputs, outputs)
        begin, event = perf_counter_ns(), _here.forward
        if event is not None:  # that of this call, which has just ended
            note = node.note = note_of(node) or Note()
            note.line, note.forward_time = note.line or event.line, event.time - event.overhead
        _charge(begin)

    def cotangent(self, node: Node, cotangent: Any) -> None:
        if self.other is not None:
            self.other.cotangent(node, cotangent)
        _here.node = None if node.primitive is None else node

    def flows(self, node: Node, flows: Mapping[int, Array]) -> None:
        _charge(_here.noted)  # since then the pass has made `flows`, for its recorder alone
        if self.other is not None:
            self.other.flows(node, flows)

    def step(self, t: int, *cotangents: Array) -> None:
        if self.other is not None:
            self.other.step(t, *cotangents)


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
        key, before, told = object(), _profiles.get(), recording._current.get()
        self.result, functions = Profile(self.lines), list(short_paths)
        undo = until(
            partial(self.result._ended.extend, starmap(perf_counter_ns, [()])),  # the time when this is called
            until(partial(_profiles.set, before)),
            partial(recording.active.discard, key),
            until(partial(recording._current.set, told)),
            partial(_open.discard, key),
            _open.__len__,  # of the last one that is open:
            *(partial(setattr, Primitive, name, slot) for name, slot in _DECLARED.items()),
            partial(deque, starmap(setattr, [(*_held(f), f.__wrapped__) for f in functions]), 0),
        )
        try:
            recording._current.set(_Listener(recorder()))
            recording.active.add(key)
            _open.add(key)
            for name, clocked in _CLOCKED.items():
                setattr(Primitive, name, clocked)
            for function in functions:
                setattr(*_held(function), partial(_look_up, function.primitive))
            _profiles.set((*before, self.result))
            self.result.began = perf_counter_ns()
            return undo
        except BaseException:  # an interrupt
            undo()
            raise

    def __enter__(self) -> Profile:  # type: ignore[override]
        super().__enter__()
        return self.result
