"""Kill command lines and let them go on: a program that reads a JSON list of plans and raises an error on a fault.

A plan: `command` (of a new run), `resume`, `out` (the run folder) and `kills`, a list of ["before" | "after", n] for
just before or after the n-th renaming of a file or folder, or ["time", share] for a share of the time that an unbroken
run takes. For each kill, a new run is killed, its continuation is killed too, and the next one ends in peace. It must
leave the files of an unbroken run, and nothing else.

All runs are children of one process that has imported everything, so that each takes a fraction of a second.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import captioning.pictures.curves
import captioning.training.solver  # noqa: F401
from captioning.cli.entry import main

FILES = ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", "settings.json", "targets.safetensors")


def is_killed(arguments, when, number):
    """Run a command line in a child process, which is killed as `when` and `number` say; return whether it was."""
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            if when == "time":
                signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process at once, as SIGKILL does
                signal.setitimer(signal.ITIMER_REAL, max(number, 1e-4))
            else:
                die_at_renames(when, number)
            status = main(arguments)
        finally:
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, (arguments, when, number, status)
    return os.WIFSIGNALED(status)


def die_at_renames(when, number):
    """Let this process be killed before or after the `number`-th renaming."""
    count = itertools.count(1)

    def dying(rename):
        def call(*given, **options):
            now = next(count) == number
            if now and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*given, **options)
            if now and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.rename = dying(os.replace), dying(os.rename)


def campaign(command, resume, out, kills):
    out, begin = Path(out), time.monotonic()
    assert not is_killed(command, "never", 0)
    seconds, unbroken = time.monotonic() - begin, files_of(out)
    for when, number in kills:
        shutil.rmtree(out)
        moment = when, number * seconds if when == "time" else number
        for kill in (moment, moment, ("never", 0)):
            resumed = out.exists()
            if not is_killed(resume if resumed else command, *kill):
                break  # the kill came too late, or there was none
        assert files_of(out) == unbroken, (when, number)
        assert resumed or when != "after" or number < 4, (when, number)  # the folder gets its name last
        assert list(out.parent.iterdir()) == [out], (when, number)
        assert not list(out.glob(".*")), (when, number)


def files_of(folder):
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


if __name__ == "__main__":
    for plan in json.load(sys.stdin):
        campaign(**plan)
