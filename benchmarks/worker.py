"""The process that one rival lives in: `python -m benchmarks.worker JOB RIVAL QUICK [CHECKOUT]`.

It reads one JSON object per line from standard input and answers with one on what was standard output; whatever the
rival prints goes to standard error. Commands: `prepare` makes the rival of a case and saves its outputs, `round`
repeats the work of the last case and reports the time of one unit, `quit` ends.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from benchmarks.job import Unavailable, Work, load

# Seconds of untimed work before a round of calls shorter than _SHORT: data is in the cache, threads are awake, each on
# a processor of its own. After a pause two threads may share one for the first 20 ms.
_WARM, _SHORT = 0.02, 0.25


class Worker:
    """A rival of a job's cases, and the commands that it handles."""

    def __init__(self, job: str, rival: str, quick: bool, checkout: str = "") -> None:
        self.checkout = checkout
        if checkout:
            import_from(checkout)
        self.cases, self.rival = {case.name: case for case in load(job, quick)}, rival
        self.work: Work | None = None
        self.clock: Callable[[], float] = time.perf_counter
        self.seconds = 0.0  # that a call took in the last round

    def prepare(self, case: str, path: str | None) -> dict[str, Any]:
        """Make the rival of a case and, with a path, save its results there; timed work runs once to warm up."""
        self.clock = time.process_time if self.cases[case].group else time.perf_counter
        try:
            self.work = work = self.cases[case].rival(self.rival).make()
        except Unavailable as reason:
            return {"unavailable": str(reason)}
        if self.checkout:
            check_imports(self.checkout)
        if path is not None:
            import numpy as np

            arrays: Any = {name: np.asarray(array) for name, array in work.outputs().items()}
            np.savez(path, **arrays)
        if not work.measured:
            self.seconds = self._timed(1)
        return {"units": work.units, "versions": versions()}

    def round(self, calls: int) -> dict[str, Any]:
        """Run one round of calls; the result is for one unit."""
        assert self.work is not None, "prepare comes first"
        if self.work.measured:
            return {"value": float(self.work.run()) / self.work.units}
        if 0 < self.seconds < _SHORT:
            self._timed(max(1, min(calls, int(_WARM / self.seconds))))
        self.seconds = self._timed(calls) / calls
        return {"value": self.seconds / self.work.units}

    def _timed(self, calls: int) -> float:
        assert self.work is not None
        run, clock = self.work.run, self.clock
        start = clock()
        for _ in range(calls):
            run()
        return max(clock() - start, 1e-9)


def import_from(path: str) -> None:
    """Import `minigrad` and `captioning` from a path, also in subprocesses. `benchmarks` is loaded and stays."""
    loaded = sorted(name for name in ("minigrad", "captioning") if name in sys.modules)
    assert not loaded, f"{loaded} loaded before the checkout was set"
    sys.path.insert(0, path)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))


def check_imports(path: str) -> None:
    """Check that the imported code is that of the checkout.

    Raises:
        RuntimeError: if it is not, so that no other code is timed.
    """
    for name in ("minigrad", "captioning"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None and not Path(file).resolve().is_relative_to(path):
            raise RuntimeError(f"{name} was imported from {file}, not from the checkout {path}")


def versions() -> dict[str, str]:
    """Return the versions of the packages loaded in this process."""
    found = {"Python": platform.python_version()}
    for module, name in (("numpy", "NumPy"), ("torch", "PyTorch"), ("jax", "JAX"), ("rustworkx", "rustworkx")):
        if module in sys.modules:
            found[name] = str(sys.modules[module].__version__)
    if "torch" in sys.modules:
        found["PyTorch's instructions"] = sys.modules["torch"].backends.cpu.get_cpu_capability()
    return found


def serve(worker: Worker, commands: TextIO, answers: TextIO) -> None:
    """Answer commands until there are no more."""
    for line in commands:
        command = json.loads(line)
        do = command.pop("do")
        if do == "quit":
            return
        answer = worker.prepare(**command) if do == "prepare" else worker.round(**command)
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Be a worker."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job, rival, quick, *checkout = sys.argv[1:]
    serve(Worker(job, rival, quick == "quick", *checkout), sys.stdin, answers)


if __name__ == "__main__":
    main()
