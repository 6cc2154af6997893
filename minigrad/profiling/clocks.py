"""Clocks around the forwards and VJPs of primitives, there only while somebody wants to know.

While a tape runs, the class of primitives hands out forwards and VJPs with a clock around them, to the thread or task
that started it; to all others what was declared. Functions that hold their forward then look it up. Otherwise nothing
is changed and nothing is asked. (CPython 3.13 remembers look-ups of a class only until it was changed a thousand times:
after 500 tapes, one after the other, such a look-up takes 17 ns more.)

A VJP does not know its node. A recorder hears of it just before (:mod:`minigrad.recording`), so that the VJP counts for
the scope and the line of the call that made the node, whose note gets both times, for drawings.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import starmap
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np

from .. import recording
from ..core import Node, Tensor, current_scope
from ..notes import Note
from ..overwrites import owner
from ..recording import Recorder, note_of, recorder, user_line
from ..rules import Primitive
from ..runtime.contexts import until
from ..spec import Array, Spec
from .exchange import DECLARED, held, short_paths
from .timings import Event, Phase

__all__ = ["Tape", "started"]


class Tape:
    """What the clocks write on.

    lines: whether lines are looked up. events: every call, in the order in which they ended; see
    `minigrad.profiling.timings.Event`. threads: the names of the threads that made calls, by their identifiers; the
    first is the one that started it, `thread`. began, ended: when, in nanoseconds; no end is there as long as it runs.
    overhead: for how long that thread was busy with tapes meanwhile.
    """

    def __init__(self, lines: bool) -> None:
        self.lines = lines
        self.events: list[Event] = []
        self.thread = threading.get_ident()
        self.threads = {self.thread: _name_of_thread()}
        self.overhead = 0
        self.began = perf_counter_ns()
        self.ended: list[int] = []


def _name_of_thread() -> str:
    """The name of this thread; `threading.current_thread` would make up one for those that it did not start."""
    me = threading.get_ident()
    return next((thread.name for thread in threading.enumerate() if thread.ident == me), "helper of run_in_parallel")


_tapes: ContextVar[tuple[Tape, ...]] = ContextVar("minigrad_tapes", default=())
_open: set[object] = set()  # a key for each tape that runs, in all threads


class _Here(threading.local):
    """What a thread remembers.

    forward: its last one. node: whose VJP is about to run. noted: when the last VJP had been noted, by the clock; 0 if
    there was another call since. taken: for how long it was busy with tapes, in nanoseconds.
    """

    forward: Event | None = None
    node: Node | None = None
    noted = 0
    taken = 0


_here = _Here()


class _Clock(NamedTuple):
    """When a call began and ended, and for how long its thread was busy with tapes in between, for calls within it."""

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
    """A VJP of a primitive, with a clock around it."""
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
    lines = any(tape.lines for tape in _tapes.get())
    return current_scope() or (), user_line() if lines else ""


def _tell(
    record: Primitive, phase: Phase, clock: _Clock, place: tuple[tuple[str, ...], str],
    given: tuple[Any, ...], made: tuple[Any, ...], multiply_adds: int, failed: bool,
) -> Event:  # fmt: skip
    """Make an event of a call that has ended, and write it on the tapes that run here."""
    given, made = tuple(map(_array, given)), tuple(map(_array, made))
    event = Event(record.name, record.module, phase, clock.begin, clock.time, clock.overhead, threading.get_ident(),
                  *place, _specs(given), _specs(made), _new_bytes(made, given), multiply_adds, failed)  # fmt: skip
    for tape in _tapes.get():
        if event.thread not in tape.threads:
            tape.threads[event.thread] = _name_of_thread()
        tape.events.append(event)
    _here.noted = 0
    _charge(clock.end)
    return event


def _charge(since: int) -> None:
    """Count the time since then, in this thread, as taken by the tapes."""
    time, thread = perf_counter_ns() - since, threading.get_ident()
    _here.taken += time
    for tape in _tapes.get():
        if tape.thread == thread:
            tape.overhead += time


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


class _Clocked(partial):  # type: ignore[type-arg]
    # A function with a clock around it. Whatever else is asked of it the function answers, its docstring too.

    __doc__ = property(lambda self: self.args[-1].__doc__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.args[-1], name)


def _with_clock(slot: Any, clock: Callable[..., Any]) -> property:
    """What stands for a slot of the primitives while a tape runs."""

    def get(record: Primitive) -> Any:
        function = slot.__get__(record)
        return _Clocked(clock, record, function) if function is not None and _tapes.get() else function

    return property(get, slot.__set__)


_CLOCKED = {name: _with_clock(slot, _forward if name == "forward" else _vjp) for name, slot in DECLARED.items()}


def _look_up(record: Primitive, /, *arrays: Any) -> Any:
    """What a short path holds while a tape runs."""
    return record.forward(*arrays)


class _Listener(Recorder):
    """Leaves times and lines on nodes and says whose VJP comes next; tells another recorder, if any, what it hears."""

    def __init__(self, other: Recorder | None) -> None:
        super().__init__(values=False, gradients=False, lines=False)
        self.other = other
        self.stepwise = other is not None and other.stepwise  # so that a VJP takes its usual way

    @property
    def rules(self) -> int:
        """As the other recorder counts them, the one that looks."""
        return 0 if self.other is None else self.other.rules

    @rules.setter
    def rules(self, number: int) -> None:
        if self.other is not None:
            self.other.rules = number

    def around(self, inner: Recorder | None) -> Recorder | None:
        told = inner if self.other is None else self.other.around(inner)
        return None if told is None else _Listener(told)

    def call(self, node: Node, inputs: Sequence[Any], outputs: Sequence[Array]) -> None:
        if self.other is not None:
            self.other.call(node, inputs, outputs)
        begin, event = perf_counter_ns(), _here.forward
        if event is not None:  # that of this call, which has just ended
            note = node.note = note_of(node) or Note()
            note.line, note.forward_time = note.line or event.line, event.time - event.overhead
        _charge(begin)

    def untracked(
        self, primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Array]
    ) -> None:
        if self.other is not None:
            self.other.untracked(primitive, params, inputs, outputs)

    def start(self, seeds: Mapping[Any, Array]) -> None:
        if self.other is not None:
            self.other.start(seeds)

    def cotangent(self, node: Node, cotangent: Any) -> None:
        if self.other is not None:
            self.other.cotangent(node, cotangent)
        _here.node = None if node.primitive is None else node

    def flows(self, node: Node, flows: Mapping[int, Array]) -> None:
        _here.node = None
        if _here.noted:
            _charge(_here.noted)  # since then the pass has made `flows`, for its recorder alone
            _here.noted = 0
        if self.other is not None:
            self.other.flows(node, flows)

    def step(self, t: int, *cotangents: Array) -> None:
        if self.other is not None:
            self.other.step(t, *cotangents)


def started(tape: Tape) -> Callable[[], Any]:
    """Start a tape in this thread or task, beside those that run there; what ends it, a function written in C.

    An interrupt undoes what was done.
    """
    key, before, told, functions = object(), _tapes.get(), recording._current.get(), list(short_paths)
    end = until(
        partial(tape.ended.extend, starmap(perf_counter_ns, [()])),  # the time when this is called
        until(partial(_tapes.set, before)),
        partial(recording.active.discard, key),
        until(partial(recording._current.set, told)),
        partial(_open.discard, key),
        _open.__len__,  # the last one that ends goes on:
        *(partial(setattr, Primitive, name, slot) for name, slot in DECLARED.items()),
        partial(deque, starmap(setattr, [(*held(f), f.__wrapped__) for f in functions]), 0),
    )
    try:
        recording._current.set(_Listener(recorder()))
        recording.active.add(key)
        _open.add(key)
        for name, clocked in _CLOCKED.items():
            setattr(Primitive, name, clocked)
        for function in functions:
            setattr(*held(function), partial(_look_up, function.primitive))
        _tapes.set((*before, tape))
        tape.began = perf_counter_ns()
        return end
    except BaseException:  # an interrupt
        end()
        raise
