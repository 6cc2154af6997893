"""Independent pieces of work side by side on several threads.

NumPy gives up the interpreter's lock inside its loops and products, so pieces of some ten thousand numbers each keep
several cores busy. Whoever splits work lets each piece write to its own place, in an order that does not depend on
which thread takes it: results are the same on every run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["get_num_threads", "set_num_threads", "side_by_side"]

_VARIABLES = ("MINIGRAD_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

_number: int | None = None  # not asked for yet
_pool: ThreadPoolExecutor | None = None
_lock = threading.Lock()
_inside = threading.local()  # .busy is true in a thread that runs pieces


def get_num_threads() -> int:
    """How many threads minigrad's own loops use.

    At first the value of MINIGRAD_NUM_THREADS, else of OPENBLAS_NUM_THREADS or OMP_NUM_THREADS, which NumPy's matrix
    products heed, else the number of processors that this process may use.

    >>> get_num_threads() >= 1
    True
    """
    global _number
    if _number is None:
        _number = next(filter(None, map(_from_environment, _VARIABLES)), None) or _processors()
    return _number


def set_num_threads(number: int) -> None:
    """Use so many threads in minigrad's own loops from now on.

    NumPy's matrix products have threads of their own, which OPENBLAS_NUM_THREADS sets before NumPy is imported.

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
    _number = number
    _forget_pool()


def side_by_side(pieces: Iterable[Callable[[], Any]]) -> None:
    """Run functions without arguments, each once, on up to :func:`get_num_threads` threads, the caller's one of them.

    Returns when all have ended. If one raises, no further one is begun, and its error is raised here when those that
    run have ended. Within a piece this runs one after the other. Settings such as ``np.errstate`` hold in every piece.
    """
    pieces = list(pieces)
    helpers = min(get_num_threads(), len(pieces)) - 1
    if helpers < 1 or getattr(_inside, "busy", False):
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

    futures = _submit(work, helpers)
    try:
        work()
    finally:
        late = [future for future in futures if not future.cancel()]
        errors = [future.exception() for future in late]
    for error in errors:
        if error is not None:
            raise error


def _from_environment(name: str) -> int | None:
    """The number that a variable holds, or None; OpenMP's may be a list, of which the first counts."""
    first = os.environ.get(name, "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _submit(work: Callable[[], None], times: int) -> list[Future[None]]:
    """Have the pool, made when it is first needed, run ``work`` so many times in the caller's settings."""
    global _pool
    with _lock:
        if _pool is None:
            from concurrent.futures import ThreadPoolExecutor

            _pool = ThreadPoolExecutor(max(get_num_threads() - 1, 1), thread_name_prefix="minigrad")
        return [_pool.submit(copy_context().run, work) for _ in range(times)]


def _forget_pool() -> None:
    """The next use makes a new pool; the old one ends with its work."""
    global _pool
    with _lock:
        old, _pool = _pool, None
    if old is not None:
        old.shutdown(wait=False)


def _after_fork() -> None:
    """A child process has none of its parent's threads, and perhaps a lock that one of them held."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()
    _inside.busy = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
