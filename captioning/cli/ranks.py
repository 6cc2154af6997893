"""A command as one process carries it out, or the ranks that a launcher has started, which begin and end together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import minigrad as mg
from captioning.training.errors import TrainingError
from captioning.training.stopping import SIGNALS

__all__ = ["on_ranks"]

Work = Callable[[Any, int, ExitStack], int]


def on_ranks(work: Work) -> int:
    """Call `work` on every rank with the communicator, a number of threads and a stack; return its exit status.

    The threads are this rank's fair share of the processors; the stack is left at the end. Errors are printed once: by
    the rank that alone has one (`minigrad.parallel.agreed`), or by the first if all have the same TrainingError.
    """
    comm = mg.parallel.world()
    fair = mg.parallel.fair_threads(comm)
    try:
        with ExitStack() as stack:
            status = work(comm, fair, stack)
        _end_undisturbed(comm)
        return status
    except mg.parallel.OtherRankError:  # the other rank prints its error
        return 2
    except TrainingError:
        if comm.rank:
            return 2
        raise


def _end_undisturbed(comm: Any) -> None:
    """Let no signal end a rank that has done its work, and waits in the end of MPI for others, which would end, too."""
    if comm.size > 1 and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
