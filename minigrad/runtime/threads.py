"""Independent pieces of work side by side on several threads.

NumPy gives up the interpreter's lock inside its loops and products, so pieces of some ten thousand numbers each keep
several cores busy. Whoever splits work lets each piece write to its own place, in an order that does not depend on
which thread takes it: results are the same on every run.

While pieces run, each product within one keeps to its thread: threads of BLAS beside ours would be more than there are
cores, and they go on asking for work, which takes a core, for a tenth of a second after each product. (Of an iteration
of the captioner on two cores they took a quarter.)
"""

from __future__ import annotations

import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from contextvars import copy_context
from functools import partial
from itertools import repeat
from queue import SimpleQueue
from typing import Any

from . import blas
from .contexts import Context, until

__all__ = ["get_num_threads", "set_num_threads", "run_in_parallel", "split"]

_kept: dict[str, int] = {}  # the "number" where BLAS cannot be asked, or while it is kept to one thread
_running: set[object] = set()  # a key for each call of run_in_parallel, in all threads of the user
_pool: list[int] = []  # threads that wait for tasks
_tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
_inside = threading.local()  # .busy is true in a thread that runs pieces


def get_num_threads() -> int:
    """How many threads minigrad uses: as many as NumPy's matrix products.

    At first the value of OPENBLAS_NUM_THREADS or OMP_NUM_THREADS, else the number of processors; later what
    :func:`set_num_threads`, or a tool such as threadpoolctl, has set.

    >>> get_num_threads() >= 1
    True
    """
    return _kept.get("number") or blas.get_threads() or _from_environment()


def set_num_threads(number: int) -> None:
    """Use so many threads from now on, also in NumPy's matrix products, in the whole process.

    Raises:
        ValueError: unless it is an integer of at least 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"set_num_threads: the number must be an integer of at least 1, not {number!r}")
    _kept["number"] = number
    if blas.get_threads() is not None:
        until(*_settling())()


def split(length: int, parts: int) -> list[slice]:
    """0 … length - 1 in so many runs of about equal length.

    >>> split(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = [length * part // max(parts, 1) for part in range(parts + 1)]
    return list(map(slice, ends, ends[1:]))


def run_in_parallel(pieces: Iterable[Callable[[], Any]], worth: bool = True) -> None:
    """Run functions without arguments, each once, on up to :func:`get_num_threads` threads, the caller's one of them.

    Unless they are ``worth`` it: a thread that sleeps takes 50 to 100 µs to wake. Then one runs after the other.

    Returns when all have ended. If one raises, no further one is begun, and its error is raised here when those that
    run have ended; so it is with an interrupt (Ctrl-C). Within a piece this runs one after the other. Settings
    such as ``np.errstate`` hold in every piece.
    """
    team = _Team(pieces)
    threads = get_num_threads()
    helpers = min(threads, len(team.pieces)) - 1 if worth else 0
    if helpers < 1 or getattr(_inside, "busy", False):
        with _ProductsOnOneThread() if threads > 1 else nullcontext():
            for piece in team.pieces:
                piece()
        return
    begun = False
    with _ProductsOnOneThread():
        while True:  # once, and again after an error and each interrupt: helpers write into the caller's arrays
            try:
                if not begun:
                    begun = True
                    _ask_for_help(team, helpers)
                    team.work()
                team.pieces.clear()  # nobody begins another
                while team.busy and os.getpid() == team.process:  # a forked child has no helpers to wait for
                    team.ended.get()
                break
            except BaseException as error:
                team.errors.insert(0, error)
    if team.errors:
        try:
            raise next((e for e in team.errors if not isinstance(e, Exception)), team.errors[0])  # an interrupt first
        finally:
            team.errors.clear()  # they hold this frame, which holds them


class _Team:
    """Pieces that several threads share.

    Nothing here needs a lock that an interrupt could leave locked, as those of `concurrent.futures` may be. A helper is
    among the `busy` before it takes a piece. So who empties `pieces`, and then finds nobody busy, knows that no
    piece is running; and whoever waits looks at `busy` again after each helper that `ended`.
    """

    def __init__(self, pieces: Iterable[Callable[[], Any]]) -> None:
        self.pieces = list(pieces)
        self.waiting = iter(self.pieces)  # shared: who is free takes the next one
        self.busy: set[object] = set()
        self.ended: SimpleQueue[None] = SimpleQueue()
        self.errors: list[BaseException] = []
        self.process = os.getpid()

    def work(self) -> None:
        """Run pieces until there are no more."""
        _inside.busy = True
        try:
            for piece in self.waiting:
                piece()
        except BaseException:
            self.pieces.clear()
            raise
        finally:
            _inside.busy = False

    def help(self) -> None:
        """Run pieces in a thread of the pool, which nothing interrupts."""
        me = object()
        self.busy.add(me)
        try:
            self.work()
        except BaseException as error:
            self.errors.append(error)
        self.busy.discard(me)
        self.ended.put(None)


def _ask_for_help(team: _Team, helpers: int) -> None:
    """Have so many threads help, each in the caller's settings; those that the pool lacks are started."""
    missing = helpers - len(_pool)
    _pool.extend(map(start_new_thread, repeat(_serve, missing), repeat((_tasks,), missing)))  # in C: none is forgotten
    for _ in range(helpers):
        _tasks.put(partial(copy_context().run, team.help))


def _serve(tasks: SimpleQueue[Callable[[], None]]) -> None:
    """What a thread of the pool does, as long as the process lives."""
    while True:
        tasks.get()()  # no name keeps it, and the pieces with it, until the next one comes


class _ProductsOnOneThread(Context):
    """Within this context, in whichever thread, BLAS is kept to one thread."""

    __slots__ = ()

    def begin(self) -> Callable[[], Any]:
        if blas.get_threads() is None:
            return until()
        key = object()
        end = until(partial(_running.discard, key), *_settling())
        try:
            _running.add(key)  # first of all: from now on nobody settles
            if (number := blas.get_threads() or 1) > 1:
                _kept.setdefault("number", number)
                blas.set_threads(1)
            return end
        except BaseException:  # an interrupt
            end()
            raise


def _settling() -> tuple[Callable[[], Any], ...]:
    """Steps for `until`: if nothing runs any more, give BLAS the number that is kept for it, and keep it no longer.

    They are in C and do not release the interpreter's lock, so that no other thread sees them half done.
    """
    number = filter(None, map(_kept.get, ("number",)))  # looked up when the step is made
    return _running.__len__, partial(any, map(blas.setter(), number)), _kept.clear


def _from_environment() -> int:
    """What OpenMP's variable asks for, of a list the first; else the number of processors that may be used."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdecimal() and int(first):
        return int(first)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _after_fork() -> None:
    """A child process has one thread, of all that its parent had: nothing else runs here."""
    global _tasks
    _tasks = SimpleQueue()
    _pool.clear()
    _running.clear()
    if blas.get_threads() is not None:
        until(*_settling())()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
