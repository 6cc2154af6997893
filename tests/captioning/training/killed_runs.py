"""Kills a command line at moments that are asked for, and lets it go on: a program, with a plan as JSON on its input.

The plan: `command` (of a new run), `resume`, `out` (the run folder) and `kills`, a list of ["before" | "after", n] for
just before or after the n-th time that a file or folder gets its name, or ["time", share] for a share of the time that
an unbroken run takes. Each kill begins a new run and kills it, and then again what goes on with it, until the list of
one is empty. Printed is a JSON list: of each kill how often was killed, what was done afterwards, and the run's files.

All run in children of one process that has imported everything, so that a run takes a fraction of a second.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import zlib
from pathlib import Path

import captioning.pictures.curves
import captioning.training.solver  # noqa: F401
from captioning.cli.entry import main

FILES = ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", "settings.json", "targets.safetensors")


def child(arguments, kill):
    """Fork a process that runs a command line and dies as `kill` says; its status as of `os.waitpid`, and its time."""
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            if kill and kill[0] in ("before", "after"):
                die_at_renames(*kill)
            elif kill:
                signal.setitimer(signal.ITIMER_REAL, max(kill[1], 1e-4))
                signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process at once, as SIGKILL does
            status = main(arguments)
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1], time.monotonic() - start


def die_at_renames(when, number):
    """Let this process be killed at the `number`-th time that anything is renamed."""
    count = 0

    def dying(rename):
        def call(*given, **options):
            nonlocal count
            count += 1
            if count == number and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*given, **options)
            if count == number and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)

        return call

    os.replace, os.rename = dying(os.replace), dying(os.rename)


def files_of(folder):
    return {name: zlib.crc32((folder / name).read_bytes()) for name in FILES if (folder / name).exists()}


def campaign(plan):
    out = Path(plan["out"])
    status, seconds = child(plan["command"], None)
    assert status == 0, status
    results = [{"kill": None, "files": files_of(out), "killed": 0}]
    shutil.rmtree(out)
    for kill in plan["kills"]:
        moment = ["time", kill[1] * seconds] if kill[0] == "time" else kill
        killed, ways = 0, []
        for attempt in (moment, moment, None):  # twice the same kill, and then in peace
            ways.append("resume" if out.exists() else "anew")
            status, _ = child(plan[ways[-1]] if ways[-1] == "resume" else plan["command"], attempt)
            killed += os.WIFSIGNALED(status)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0, (kill, ways, status)
                if attempt is not None:
                    break  # the kill came too late
        left = [path.name for path in out.parent.iterdir() if path != out]
        left += [path.name for path in out.iterdir() if path.name.startswith(".")]
        results.append({"kill": kill, "files": files_of(out), "killed": killed, "ways": ways, "left": left})
        shutil.rmtree(out)
    return results


if __name__ == "__main__":
    print(json.dumps(campaign(json.load(sys.stdin))))
