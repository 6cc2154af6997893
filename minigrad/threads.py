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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from . import blas

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["get_num_threads", "set_num_threads", "side_by_side", "split"]

_number: int | None = None  # where BLAS cannot be asked, or while it is kept to one thread
_running = 0  # how many calls of side_by_side, in all threads of the user
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_lock = threading.Lock()
_inside = threading.local()  # .busy is true in a thread that runs pieces


def get_num_threads() -> int:
    """How many threads minigrad uses: as many as NumPy's matrix products.

    At first the value of OPENBLAS_NUM_THREADS or OMP_NUM_THREADS, else the number of processors; later what
    :func:`set_num_threads`, or a tool such as threadpoolctl, has set.

    >>> get_num_threads() >= 1
    True
    """
    if _number is not None:
        return _number
    return blas.get_threads() or _from_environment()


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
    global _number
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"set_num_threads: the number must be an integer of at least 1, not {number!r}")
    with _lock:
        if _running or blas.get_threads() is None:
            _number = number
        else:
            blas.set_threads(number)


def split(length: int, parts: int) -> list[slice]:
    """0 … length - 1 in so many runs of about equal length.

    >>> split(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = [length * part // max(parts, 1) for part in range(parts + 1)]
    return list(map(slice, ends, ends[1:]))


def side_by_side(pieces: Iterable[Callable[[], Any]]) -> None:
    """Run functions without arguments, each once, on up to :func:`get_num_threads` threads, the caller's one of them.

    Returns when all have ended. If one raises, no further one is begun, and its error is raised here when those that
    run have ended. Within a piece this runs one after the other. Settings such as ``np.errstate`` hold in every piece.
    """
    pieces = list(pieces)
    threads = get_num_threads()
    helpers = min(threads, len(pieces)) - 1
    if helpers < 1 or getattr(_inside, "busy", False):
        with _products_on_one_thread() if threads > 1 else nullcontext():
            for piece in pieces:
                piece()
        return
    waiting = iter(pieces)  # shared: who is free takes the next one

    def work() -> None:
        _inside.busy = True
        try:
            for piece in waiting:
                piece()
        except BaseException:
            for _ in waiting:  # nobody begins another
                pass
            raise
        finally:
            _inside.busy = False

    with _products_on_one_thread():
        futures = _submit(work, helpers)
        try:
            work()
        finally:
            late = [future for future in futures if not future.cancel()]
            errors = [future.exception() for future in late]
        for error in errors:
            if error is not None:
                raise error


@contextmanager
def _products_on_one_thread() -> Iterator[None]:
    global _number, _running
    with _lock:
        if not _running and (number := blas.get_threads()) is not None:
            _number = number
            blas.set_threads(1)
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if not _running and _number is not None and blas.get_threads() is not None:
                blas.set_threads(_number)
                _number = None


def _submit(work: Callable[[], None], times: int) -> list[Future[None]]:
    """Have the pool, made when it is first needed, run ``work`` so many times in the caller's settings."""
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < times:
            from concurrent.futures import ThreadPoolExecutor

            _pool, _pool_size = ThreadPoolExecutor(times, thread_name_prefix="minigrad"), times
        return [_pool.submit(copy_context().run, work) for _ in range(times)]


def _from_environment() -> int:
    """What OpenMP's variable asks for, of a list the first; else the number of processors that may be used."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdecimal() and int(first):
        return int(first)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _after_fork() -> None:
    """A child process has none of its parent's threads, and perhaps a lock that one of them held."""
    global _pool, _lock, _running
    _pool, _lock, _running = None, threading.Lock(), 0
    _inside.busy = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
