"""Training on data larger than memory: ``python -m benchmarks.large_data FOLDER``.

A captioner trains on synthetic data of multiples of MS-COCO's size, each time in a new process, with and without
reading ahead. The table has captions a second and the peak of memory above the level with the model. A thread drops the
file's pages from the page cache four times a second, so that rows come from the disk. The command writes 1.4 GB into
FOLDER for each COCO in ``--sizes`` and removes it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from captioning.command import run_command
from captioning.progress import Progress

__all__ = ["drop_cache", "dropping_cache", "main"]

_MIB = 2**20
_BATCH = 100
_STRETCH = 10  # iterations


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_data", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.1, 1, 2, 5, 10], metavar="X", help="times COCO")
    parser.add_argument("--iterations", type=int, default=100, metavar="N", help="of each training run (100)")
    parser.add_argument("--limit", type=int, metavar="MIB", help="data of a training run's process (RLIMIT_DATA)")
    parser.add_argument("--train", choices=["ahead", "directly"], help=argparse.SUPPRESS)
    return run_command(parser, arguments, _run, (OSError,))


def _run(options: argparse.Namespace) -> int:
    if options.train is not None:
        print(json.dumps(_train(options.folder, options.train == "ahead", options.iterations)))
        return 0
    print("| times COCO | reads | captions/s | waiting for a batch | peak above the model |")
    print("|---:|---|---:|---:|---:|", flush=True)
    for factor in options.sizes:
        _measure(factor, options)
    return 0


def _measure(factor: float, options: argparse.Namespace) -> None:
    """Write data of a size, train on it twice, and print a row for each training run."""
    from captioning.data.synthetic import COCO, write_synthetic

    folder, size = options.folder / f"coco-{factor:g}", COCO.times(factor)
    few_to_validate = replace(size, images=(size.images[0], 100), captions=(size.captions[0], 500))
    try:
        write_synthetic(folder, few_to_validate)
        for way in ("ahead", "directly"):
            command = [sys.executable, "-m", "benchmarks.large_data", str(folder), "--train", way]
            command += ["--iterations", str(options.iterations)]
            with dropping_cache(folder / "train2014_vgg16_fc7.h5"):
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, preexec_fn=lambda: _limit_data(options.limit)
                )
            found = json.loads(done.stdout)
            cells = [f"{found['rate']:.0f}", f"{1e3 * found['waiting']:.1f} ms", f"{found['peak'] / _MIB:.0f} MiB"]
            print(f"| {factor:g} | {way} | {' | '.join(cells)} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _limit_data(mib: int | None) -> None:
    if mib is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (mib * _MIB, mib * _MIB))


def drop_cache(path: Path) -> None:
    """Have the system forget the pages of a file."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)  # pages that are not written yet are not dropped
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


@contextmanager
def dropping_cache(path: Path) -> Iterator[None]:
    """Keep the pages of a file out of the page cache: what is read in the block comes from the disk."""
    done = threading.Event()

    def drop() -> None:
        while not done.wait(0.25):
            drop_cache(path)

    drop_cache(path)
    thread = threading.Thread(target=drop)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes, such as VmRSS, what is resident, and VmHWM, its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def _train(folder: Path, ahead: bool, iterations: int) -> dict[str, float]:
    """Train with the default sizes of ``captioning train``, one thread.

    Returns:
        ``rate``: captions a second in the fastest stretch of ten iterations. ``waiting``: the median of seconds from
        asking for a batch to having it. ``peak``: bytes of resident memory above the level with the model.
    """
    import minigrad as mg
    from captioning.data.dataset import open_captions
    from captioning.data.splits import ReadAhead
    from captioning.data.vocabulary import Vocabulary
    from captioning.models.captioner import Captioner
    from captioning.training.settings import Settings
    from captioning.training.solver import Solver

    mg.set_num_threads(1)
    model = Captioner(Vocabulary.from_json(folder / "coco2014_vocab.json"), 4096, 256, 512, rng=0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    level = _status("VmRSS")
    with open_captions(folder) as data:
        data.check()
        watch = _Stopwatch(enabled=False)
        solver = Solver(model, data.train, settings=Settings(batch_size=_BATCH), progress=watch)
        solver._ahead = ReadAhead(solver._read, threaded=ahead and not data.train.features.cached)
        read, waits = solver._ahead.read, []

        def timed(*given: Any) -> Any:
            began = time.perf_counter()
            found = read(*given)
            waits.append(time.perf_counter() - began)
            return found

        solver._ahead.read = timed  # type: ignore[method-assign, assignment]
        for _ in solver.train(max_iterations=iterations):
            pass
    seconds = np.diff(watch.times[::_STRETCH])
    return {
        "rate": _STRETCH * _BATCH / float(seconds.min()),
        "waiting": float(np.median(waits)),
        "peak": _status("VmHWM") - level,
    }


class _Stopwatch(Progress):
    """When each iteration ended."""

    def begin(self, *_: Any, **__: Any) -> None:
        self.times: list[float] = []

    def update(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())


if __name__ == "__main__":
    raise SystemExit(main())
