"""A process that sees which rank of its machine dies first, and says so: a launcher tells its process's number at best.

The rank itself cannot say it when it is killed, and the others are killed by the launcher within a moment. So this
runs beside them, in a session of its own, with the standard library alone. Each rank holds a connection to it, which
the kernel closes when the rank dies, and epoll tells of what was closed in that order. If the launcher does not end
the others, this does.

    python witness_process.py '{"listener": 5, "here": 2, "size": 4, "host": "node1", "hint": ""}'

A rank says who it is when it connects (`hello`), and `GOODBYE` before it leaves. This writes a line when all are here,
and ends without a word when all have left.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

__all__ = ["GOODBYE", "can_watch", "hello", "watch"]

GOODBYE = b"."


def can_watch() -> bool:
    """Whether this system tells of what is closed in its order: Linux does."""
    return hasattr(select, "epoll")


def hello(rank: int) -> bytes:
    """What a rank says first.

    >>> hello(3).startswith(b"3 ")
    True
    """
    return f"{rank} {os.getpid()} ".encode()


def watch(listener: int, here: int, size: int, host: str, hint: str, grace: float = 8.0) -> None:
    """Wait until all ranks of this machine have left; or tell which died first, and see that the others do.

    listener: a socket that listens, its file descriptor. here: how many ranks this machine has. size: of all. hint:
    what to do next. grace: seconds for the launcher to end the others.
    """
    with socket.socket(fileno=listener) as door, select.epoll() as changes:
        changes.register(door, select.EPOLLIN)
        ranks: dict[int, socket.socket] = {}
        said: dict[int, bytes] = {}  # by those who have not left
        left = 0
        while left < here:
            handle, _ = changes.poll(maxevents=1)[0]  # the first one: the queue has the order in which it happened
            if handle == door.fileno():
                rank, _ = door.accept()
                changes.register(rank, select.EPOLLIN)
                ranks[rank.fileno()], said[rank.fileno()] = rank, b""
                continue
            word = ranks[handle].recv(100)
            if not word:
                number, process = _who(said.pop(handle))
                told = f"rank {number} of {size} (process {process} on {host}) died, and all others end{hint}"
                print(told, file=sys.stderr, flush=True)
                return _see_them_die(changes, {other: _who(text)[1] for other, text in said.items()}, grace)
            if not said[handle] and sum(map(bool, said.values())) == here - 1:
                print(flush=True)  # all are here
            said[handle] += word
            if word.endswith(GOODBYE):
                changes.unregister(handle)
                del said[handle]
                left += 1


def _who(text: bytes) -> tuple[str, str]:
    """The rank, and the process, that said `hello`."""
    rank, process, *_ = [*text.decode().split(), "?", "?"]
    return rank, process


def _see_them_die(changes: Any, alive: dict[int, str], grace: float) -> None:
    """Wait until connections are closed, by processes that end; those of them that stay for longer are killed."""
    while alive and (closed := changes.poll(grace)):
        for handle, _ in closed:
            changes.unregister(handle)
            alive.pop(handle, None)
    for process in filter(str.isdecimal, alive.values()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)


if __name__ == "__main__":
    watch(**json.loads(sys.argv[1]))
