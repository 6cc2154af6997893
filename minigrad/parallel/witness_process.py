"""A process that sees which rank of its machine dies first, and says so: a launcher tells its process's number at best.

The rank itself cannot say it when it is killed, and the others are killed by the launcher within a moment. So this
runs beside them, in a session of its own, with the standard library alone. The kernel tells of deaths in their order (a
queue of epoll's, of file descriptors of processes). If the launcher does not end the others, this does.

    python witness_process.py '{"size": 4, "host": "node1", "ranks": {"0": 4710, "1": 4711}, "hint": ""}'

It writes a line when it has begun, and ends without a word when it reads one on its standard input.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from typing import Any

__all__ = ["can_watch", "watch"]

_GRACE = 8.0  # seconds for the launcher to end the others


def can_watch() -> bool:
    """Whether this system tells of the deaths of others' processes: Linux does."""
    return hasattr(os, "pidfd_open") and hasattr(select, "epoll")


def watch(size: int, host: str, ranks: dict[str, int], hint: str) -> None:
    """Wait for a word on standard input, or for a death among processes, which is told; and see that all die then.

    size: the number of all ranks. ranks: of this machine, their processes. hint: what to do next.
    """
    with select.epoll() as deaths:
        alive = _opened(ranks)
        for handle in [0, *alive]:
            deaths.register(handle, select.EPOLLIN)
        print(flush=True)  # to whoever waits until this watches
        dead = [rank for rank in ranks if rank not in alive.values()]  # while this began
        if not dead:
            handle = _next(deaths)
            if handle == 0 and sys.stdin.buffer.read(1):
                return
            if handle == 0:  # closed without a word: who held it has died, or is about to
                deaths.unregister(0)
                handle = _next(deaths)
            deaths.unregister(handle)
            dead = [alive.pop(handle)]
        names = " or ".join(f"{rank} of {size} (process {ranks[rank]} on {host})" for rank in dead)
        print(f"rank {names} died, and all others end{hint}", file=sys.stderr, flush=True)
        _see_them_die(alive, deaths)


def _opened(ranks: dict[str, int]) -> dict[int, str]:
    """Handles of the processes that are alive, and their ranks."""
    alive = {}
    for rank, process in ranks.items():
        with contextlib.suppress(ProcessLookupError):
            alive[os.pidfd_open(process)] = rank
    return alive


def _see_them_die(alive: dict[int, str], deaths: Any) -> None:
    """Wait for those that are alive to end; those that do not within a while are killed."""
    while alive and (ended := deaths.poll(_GRACE)):
        for handle, _ in ended:
            deaths.unregister(handle)
            alive.pop(handle, None)
    for handle in alive:
        signal.pidfd_send_signal(handle, signal.SIGKILL)


def _next(deaths: Any) -> int:
    """The first that tells of something: the queue is in the order in which it happened."""
    handle: int = deaths.poll(maxevents=1)[0][0]
    return handle


if __name__ == "__main__":
    watch(**json.loads(sys.argv[1]))
