"""Cases for the driver's tests: rivals that agree, disagree, die, or cannot run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.job import Aim, Case, Rival, Unavailable, Work


def cases(quick: bool = False) -> list[Case]:
    ours = Rival("minigrad", "minigrad", _work)
    return [
        Case(
            "trouble",
            [
                ours,
                Rival("fine", "peer", _work),
                Rival("wrong", "peer", partial(_work, 1.01)),
                Rival("other names", "peer", lambda: Work(_nothing, lambda: {"y": np.ones(3)})),
                Rival("dies at work", "peer", partial(_work, run=_die)),
                Rival("dies when made", "peer", _die),
                Rival("unavailable", "peer", _unavailable),
                Rival("missing", "peer", _work, ("no_such_package",)),
            ],
            [Aim("peer", 1e9)],
            flop=1e6,
        ),
        Case("ours dies", [Rival("minigrad", "minigrad", _die), Rival("fine", "peer", _work)]),
        Case("sleeps", [Rival("minigrad", "minigrad", partial(_work, run=partial(time.sleep, 60)))]),
        Case("counts", [Rival("minigrad", "minigrad", _counting), Rival("peer", "peer", _counting)], fresh=True),
        Case("whose", [Rival("minigrad", "minigrad", _whose)]),
        Case("whose, in new processes", [Rival("minigrad", "minigrad", _whose)], fresh=True),
        Case("whose, in what it starts", [Rival("minigrad", "minigrad", _whose_child)]),
        Case("threads", [Rival("minigrad", "minigrad", _threads)]),
        Case("naps", [Rival("minigrad", "minigrad", lambda: Work(partial(time.sleep, 0.05)))], group="naps"),
        *(_in_group(name, _pid) for name in ("first", "second")),
        _in_group("dies in a group", _die),
        _in_group("of another group", _pid, "other"),
    ]


def _in_group(name: str, ours: Callable[[], Work], group: str = "group") -> Case:
    return Case(name, [Rival("minigrad", "minigrad", ours), Rival("peer", "peer", _pid)], group=group)


def _pid() -> Work:
    """The process that works."""
    return Work(os.getpid, measured=True)


def _nothing() -> None:
    pass


def _work(scale: float = 1.0, run: Callable[[], object] = _nothing) -> Work:
    print("what a rival prints is not an answer")
    return Work(run, lambda: {"x": scale * np.ones(3, np.float32), "ids": np.arange(3)}, units=2)


def _die() -> Work:
    print("out of cheese", file=sys.stderr, flush=True)
    os._exit(3)


def _unavailable() -> Work:
    raise Unavailable("it is Sunday")


def _counting() -> Work:
    """Says how many of it there were in this process; in a new one that is 1."""
    calls: list[int] = []

    def run() -> int:
        calls.append(1)
        return len(calls)

    return Work(run, measured=True)


def _whose() -> Work:
    """A figure that tells which minigrad this is."""
    import minigrad

    return Work(
        lambda: getattr(minigrad, "MARK", 1.0),
        lambda: {"x": np.array(getattr(minigrad, "RESULT", 1.0))},
        measured=True,
    )


def _whose_child() -> Work:
    code = "import minigrad; print(getattr(minigrad, 'MARK', 1.0))"
    return Work(lambda: float(subprocess.check_output([sys.executable, "-P", "-c", code])), measured=True)


def _threads() -> Work:
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MINIGRAD_NUM_THREADS", "MKL_NUM_THREADS")
    return Work(_nothing, lambda: {name: int(os.environ[name]) for name in names})
