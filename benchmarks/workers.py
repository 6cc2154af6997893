"""The driver's side of a worker: start it with a number of threads, send commands, and detect that it died."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Failed", "Handle", "environment"]

ROOT = Path(__file__).resolve().parents[1]
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MINIGRAD_NUM_THREADS", "MKL_NUM_THREADS")


class Failed(RuntimeError):  # noqa: N818  (it reads as what became of a rival)
    """A worker ended or did not answer in time; the message has the last line that it wrote."""


def environment(threads: int) -> dict[str, str]:
    """Return a worker's environment: libraries read the number of threads when they are imported."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    # torch.compile would start a process for each core, which would then wait during the timing.
    fixed = {"PYTHONPATH": path, "TORCHINDUCTOR_COMPILE_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return {**os.environ, **fixed, **dict.fromkeys(_THREADS, str(threads))}


class Handle:
    """A worker process. `case` may change; `folder` is where the worker writes its outputs and its log."""

    def __init__(
        self, job: str, case: str, rival: str, threads: int, folder: Path, quick: bool = False, checkout: str = "",
        patience: float = 300.0,
    ) -> None:  # fmt: skip
        self.case, self.patience = case, patience
        self._outputs = Path(tempfile.mkdtemp(dir=folder)) / "outputs.npz"
        self._log = self._outputs.with_name("log.txt")
        # -P: the folder that the command is given in, perhaps another checkout, is not searched.
        command = [sys.executable, "-P", "-m", "benchmarks.worker", job, rival, "quick" if quick else "full"]
        command += [checkout] if checkout else []
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(threads)
            )

    def begin(self, **command: Any) -> None:
        """Send a command without waiting."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead, and `answer` will say so
            print(json.dumps(command), file=self._process.stdin, flush=True)

    def answer(self) -> dict[str, Any]:
        """Return its answer; raise `Failed` if it has ended or does not answer within `patience` seconds."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(self.patience):
                self.close()
                raise Failed(f"no answer within {self.patience:g} s")
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            raise Failed(f"its process ended with status {status}: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def begin_to_prepare(self, outputs: bool = True) -> None:
        """Let it make its rival; several workers may do so at the same time, and `answer` waits for this one."""
        self.begin(do="prepare", case=self.case, path=str(self._outputs) if outputs else None)

    def outputs(self) -> dict[str, NDArray[Any]]:
        """Return the results of the rival."""
        with np.load(self._outputs) as file:  # allow_pickle is off
            return {name: file[name] for name in file.files}

    def round(self, calls: int) -> float:
        """Return the figure of one unit, from one round of calls."""
        self.begin(do="round", calls=calls)
        return float(self.answer()["value"])

    @property
    def running(self) -> bool:
        """Whether the process can do more work."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it wrote nothing"
