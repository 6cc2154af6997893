"""How long messages take: `python -m benchmarks.scale.pingpong REPEATS`, on two ranks; rank 0 prints.

There and back, halved; and exchanges, in which both send at once, as they do in collectives. Ranks wait as
`minigrad.parallel` does, so that whoever forwards packets on the same processors gets on.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigrad.parallel import world
from minigrad.parallel.communicators import wait

__all__ = ["SIZES", "measured"]

SIZES = (8, 1024, 2**14, 2**17, 2**20, 2**22)
"""Of messages, in bytes."""


def measured(repeats: int, comm: Any = None) -> list[tuple[int, float, float]]:
    """Of each size its bytes, the seconds of a message one way, and those of an exchange; medians."""
    comm = world() if comm is None else comm
    found = []
    for size in SIZES:
        out, back = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        there = _median(partial(_there_and_back, comm, out, back), repeats) / 2
        both = _median(partial(_exchange, comm, out, back), repeats)
        found.append((size, there, both))
    return found


def _there_and_back(comm: Any, out: Any, back: Any) -> None:
    if comm.rank == 0:
        wait(comm.Isend(out, 1))
        wait(comm.Irecv(back, 1))
    else:
        wait(comm.Irecv(back, 0))
        wait(comm.Isend(out, 0))


def _exchange(comm: Any, out: Any, back: Any) -> None:
    other = 1 - comm.rank
    for request in (comm.Irecv(back, other), comm.Isend(out, other)):
        wait(request)


def _median(act: Callable[[], None], repeats: int) -> float:
    seconds = []
    for _ in range(repeats + 2):
        begun = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[2:])


if __name__ == "__main__":
    rows = measured(int(sys.argv[1]))
    if world().rank == 0:
        print(json.dumps(rows))
