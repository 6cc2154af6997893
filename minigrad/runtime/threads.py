"""Run independent pieces of work on several threads.

NumPy releases the interpreter's lock inside its loops and products, so pieces of about ten thousand numbers each keep
several cores busy. Each piece writes to its own part of the result, whichever thread runs it, so results are the same
on every run.

While pieces run, BLAS is limited to one thread. Otherwise both kinds of threads compete for the cores, and BLAS threads
spin for 0.1 s after each product. That cost a quarter of a captioner's iteration on two cores.

Between pieces, the threads also serve compiled loops (:mod:`minigrad.compiler.workers`).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any

from . import blas
from .settings import keep_memory

__all__ = ["bell", "get_num_threads", "inside", "processors", "run_in_parallel", "set_num_threads", "split", "start",
           "waiting"]  # fmt: skip

_CAN_START = sys.platform != "emscripten"  # whether threads can be started, as they cannot in WebAssembly
_number: int | None = None  # the number of threads to use; None if BLAS holds it
_running = 0  # calls of run_in_parallel, in all threads of the user
lock = threading.Lock()  # for the two above, and for choosing how to multiply
_pool: list[threading.Thread] = []
_tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
_inside = threading.local()  # .busy is true in a thread that runs pieces
bell = ctypes.c_int64()
"""It counts calls of :func:`run_in_parallel`, so that a thread that waits in machine code returns to run pieces."""


def get_num_threads() -> int:
    """Return how many threads minigrad uses: as many as NumPy's matrix products.

    At first this is the value of OPENBLAS_NUM_THREADS or OMP_NUM_THREADS, else the number of processors. Later it is
    what :func:`set_num_threads`, or a tool such as threadpoolctl, has set.

    >>> get_num_threads() >= 1
    True
    """
    return _number or blas.get_threads() or _from_environment()


def set_num_threads(number: int) -> None:
    """Use this many threads from now on, also in NumPy's matrix products, in the whole process.

    Raises:
        ValueError: unless ``number`` is an integer from 1 to the most threads of NumPy's OpenBLAS, often 64.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _number
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= blas.MOST_THREADS:
        raise ValueError(
            f"set_num_threads: the number must be an integer from 1 to {blas.MOST_THREADS}, not {number!r}"
        )
    with lock:
        _number = number
        _restore_blas()


def split(length: int, parts: int) -> list[slice]:
    """Cut the range 0 … length - 1 into runs of about equal length.

    >>> split(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = [length * part // max(parts, 1) for part in range(parts + 1)]
    return list(map(slice, ends, ends[1:]))


def run_in_parallel(pieces: Iterable[Callable[[], Any]], worth: bool = True) -> None:
    """Run functions without arguments, each once, on up to :func:`get_num_threads` threads including the caller's.

    Args:
        worth: whether the work is worth other threads, which take 50 to 100 µs to wake. If not, pieces run in order,
            and BLAS keeps its threads.

    Returns when all pieces have ended. If one raises, or Ctrl-C interrupts the caller, no further piece begins. The
    error is raised here when the running pieces have ended, because they write into the caller's arrays. Within a piece
    this function runs pieces in order. Context variables and settings such as ``np.errstate`` apply in every piece.
    """
    keep_memory()  # pieces work on large arrays
    pieces = list(pieces)
    threads = get_num_threads() if worth else 1
    helpers = min(threads, len(pieces)) - 1 if _CAN_START else 0
    if helpers < 1 or inside():
        with _blas_on_one_thread() if threads > 1 else nullcontext():
            for piece in pieces:
                piece()
        return
    waiting = iter(pieces)  # shared: a free thread takes the next one
    busy: set[object] = set()  # a token for each helper that has woken up
    ended: SimpleQueue[None] = SimpleQueue()
    errors: list[BaseException] = []

    def work() -> None:
        _inside.busy = True
        try:
            for piece in waiting:
                piece()
        except BaseException as error:
            pieces.clear()
            errors.append(error)
        finally:
            _inside.busy = False

    def help_out() -> None:
        token = object()
        busy.add(token)  # before the first piece: a caller that finds no piece left waits for this helper
        work()
        busy.discard(token)
        ended.put(None)

    with _blas_on_one_thread():
        try:
            start([partial(copy_context().run, help_out) for _ in range(helpers)])
            bell.value += 1
            work()
        finally:
            pieces.clear()
            while busy:  # helpers write into the caller's arrays, however often Ctrl-C is pressed
                try:
                    ended.get()
                except KeyboardInterrupt as error:
                    errors.append(error)
    errors.sort(key=lambda error: isinstance(error, Exception))  # interrupts first
    if errors:
        raise errors.pop(0)  # so that this frame refers neither to the error nor to the caller's arrays


def start(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks in the pool, which has as many threads as the most tasks that were started at once."""
    while len(_pool) < len(tasks):
        _pool.append(threading.Thread(target=_serve, args=(_tasks,), name="helper of run_in_parallel", daemon=True))
        _pool[-1].start()
    for task in tasks:
        _tasks.put(task)


def waiting() -> bool:
    """Return whether a task has been started that no thread has taken yet."""
    return not _tasks.empty()


def inside() -> bool:
    """Return whether this thread runs a piece now."""
    return getattr(_inside, "busy", False)


def _serve(tasks: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        tasks.get()()  # no name keeps the task, and the caller's arrays with it, until the next one comes


@contextmanager
def _blas_on_one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, in all threads of the process."""
    global _number, _running
    with lock:
        _running += 1
        if (number := blas.get_threads() or 1) > 1:
            _number = _number or number
            blas.set_threads(1)
    try:
        yield
    finally:
        with lock:
            _running -= 1
            _restore_blas()


def _restore_blas() -> None:
    """Restore BLAS's number of threads, unless pieces still run somewhere. The caller holds the lock."""
    global _number
    if _number and not _running and blas.get_threads() is not None:
        blas.set_threads(_number)
        _number = None


def _from_environment() -> int:
    """Return the first number in OMP_NUM_THREADS, else the number of processors that may be used."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return (int(first) if first.isdecimal() else 0) or processors()


def processors() -> int:
    """Return the number of processors that may be used."""
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) or 1


def _after_fork() -> None:
    """Reset the state in a child process, which has only the thread that forked."""
    global lock, _tasks, _running
    lock, _tasks, _running = threading.Lock(), SimpleQueue(), 0
    _pool.clear()
    _restore_blas()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
