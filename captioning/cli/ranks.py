"""A command as one process carries it out, or the ranks that a launcher has started, which begin and end together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import minigrad as mg
from captioning.training.errors import TrainingError

__all__ = ["on_ranks"]

Work = Callable[[Any, int, ExitStack], int]


def on_ranks(work: Work, hint: str = "") -> int:
    """The exit status of `work`, which every rank calls with the communicator, a number of threads and a stack.

    The threads are those of this rank if nobody asks for others; what is on the stack is left at the end. hint: what to
    do next, where it is told of a rank that died. Errors are told once: by the rank that alone has one
    (`minigrad.parallel.agreed`), and a TrainingError, which all have, by the first.
    """
    comm = mg.parallel.world()
    fair = mg.parallel.fair_threads(comm)
    try:
        with mg.parallel.watched(comm, hint), ExitStack() as stack:
            return work(comm, fair, stack)
    except mg.parallel.OtherRankError:  # who has said which
        return 2
    except TrainingError:
        if comm.rank:
            return 2
        raise
