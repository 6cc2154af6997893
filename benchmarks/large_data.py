"""What the size of a data set costs: `python -m benchmarks.large_data sizes|storage FOLDER`.

`sizes` trains a captioner on synthetic data of multiples of MS-COCO's size, in a process of its own each time, with and
without reading ahead: captions a second, and the peak of memory above the level with the model. `storage` reads batches
of random rows from files of several chunks and compressions. Both write into FOLDER, which needs 1.4 GB for each COCO
in `--sizes`, and remove what they wrote.

The page cache is dropped: `posix_fadvise(POSIX_FADV_DONTNEED)` on the file that is read, by `sizes` every quarter of a
second, by `storage` before each batch. With `--limit MIB` a process of `sizes` lives in a memory control group (cgroup
v1) below this process's own, where page cache counts too; where none can be made it has RLIMIT_DATA, which counts its
own memory alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from captioning.command import run_command
from captioning.data.splits import ReadAhead
from captioning.progress import Progress

__all__ = ["drop_cache", "dropping_cache", "main", "memory_group"]

_MIB = 2**20
_BATCH = 100
_STRETCH = 10  # iterations
_DROPPED_EVERY = 0.25  # seconds
_STORAGES: dict[str, dict[str, Any]] = {
    "contiguous": {},
    **{
        f"{rows} row{'s' * (rows > 1)}, {name}": {"chunks": rows, **options}
        for name, options in (
            ("none", {}),
            ("gzip 1", {"compression": "gzip", "compression_opts": 1}),
            ("lzf", {"compression": "lzf"}),
        )
        for rows in (1, 8, 64)
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table; what was written is removed however it ends."""
    return run_command(_parser(), arguments, _run, (OSError,))


def _run(options: argparse.Namespace) -> int:
    if options.name == "train":
        print(json.dumps(_train(Path(options.folder), options.ahead, options.iterations, options.check)))
        return 0
    from benchmarks.machine import describe

    os.makedirs(options.folder, exist_ok=True)
    _say(", ".join(f"{name} {words}" for name, words in describe().items()))
    for line in (_sizes if options.name == "sizes" else _storages)(options):
        print(line, flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_data", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = parser.add_subparsers(dest="name", required=True)
    sizes = commands.add_parser("sizes", help="train on data of several sizes")
    sizes.add_argument("--sizes", type=float, nargs="+", default=[0.1, 1, 2, 5, 10], metavar="X", help="times COCO")
    sizes.add_argument("--rounds", type=int, default=3, metavar="N", help="trainings of each size and way (3)")
    sizes.add_argument("--limit", type=int, metavar="MIB", help="memory that a training may have in all")
    storage = commands.add_parser("storage", help="read from files that are stored in several ways")
    storage.add_argument("--images", type=int, default=20_000, metavar="N", help="rows of each file (20000)")
    storage.add_argument("--batches", type=int, default=30, metavar="N", help="batches of 100 random rows (30)")
    train = commands.add_parser("train")  # what `sizes` starts
    train.add_argument("--ahead", type=int, required=True)
    train.add_argument("--check", action="store_true")
    for command in (sizes, train):
        command.add_argument("--iterations", type=int, default=100, metavar="N", help="of each training (100)")
    for command in (sizes, storage, train):
        command.add_argument("folder", metavar="FOLDER")
    return parser


# ---------------------------------------------------------------------- the page cache, and limits of memory
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
        while not done.wait(_DROPPED_EVERY):
            drop_cache(path)

    drop_cache(path)
    thread = threading.Thread(target=drop)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def memory_group(limit: int) -> Iterator[Path | None]:
    """A memory control group (cgroup v1) of so many bytes below this process's own; None where none can be made."""
    group = None
    try:
        own = next(line.split(":")[2] for line in _lines("/proc/self/cgroup") if line.split(":")[1] == "memory")
        group = Path(f"/sys/fs/cgroup/memory{own}/minigrad-{os.getpid()}")
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
    except (OSError, StopIteration):
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()


def _enter(group: Path | None, limit: int | None) -> None:
    """What a new process does before its program begins."""
    if group is not None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    elif limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes, such as VmRSS, what is resident, and VmHWM, its peak."""
    return next(int(line.split()[1]) * 1024 for line in _lines("/proc/self/status") if line.startswith(name + ":"))


# ---------------------------------------------------------------------- sizes
def _sizes(options: argparse.Namespace) -> Iterator[str]:
    """The lines of the table; the data of each size is written, trained on and removed in its turn."""
    from captioning.data.synthetic import COCO, write_synthetic

    titles = ["times COCO", "images", "captions", "features", "peak above the model", "waiting for a batch",
              "without reading ahead", "captions/s", "without reading ahead", "processor an iteration"]  # fmt: skip
    yield f"| {' | '.join(titles)} |"
    yield f"|{'---:|' * len(titles)}"
    for factor in options.sizes:
        folder, size = Path(options.folder, f"coco-{factor:g}"), COCO.times(factor)
        try:
            _say(f"writing {factor:g} times COCO")
            write_synthetic(folder, _with_few_to_validate(size))
            yield _row(factor, size, _trainings(folder, options))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _trainings(folder: Path, options: argparse.Namespace) -> dict[int, list[dict[str, float]]]:
    """What was measured with two batches read ahead and with none, turn about."""
    found: dict[int, list[dict[str, float]]] = {2: [], 0: []}
    for number in range(options.rounds):
        for ahead in (2, 0) if number % 2 == 0 else (0, 2):
            check = number == 0 and ahead > 0
            found[ahead].append(_one_training(folder, ahead, check, options))
            _say(f"round {number + 1}, {ahead} ahead: {json.dumps(found[ahead][-1])}")
    return found


def _row(factor: float, size: Any, found: dict[int, list[dict[str, float]]]) -> str:
    peak = max(run["peak"] for runs in found.values() for run in runs) / _MIB
    waits = [statistics.median(run["waiting"] for run in found[ahead]) * 1e3 for ahead in (2, 0)]
    rates = [max(run["rate"] for run in found[ahead]) for ahead in (2, 0)]
    processor = statistics.median(run["processor"] for runs in found.values() for run in runs) * 1e3
    images, captions = size.images[0], size.captions[0]
    cells = [f"{factor:g}", f"{images:,}", f"{captions:,}", f"{images * size.columns * 4 / 1e9:.2f} GB",
             f"{peak:.0f} MiB", *(f"{wait:.1f} ms" for wait in waits), *(f"{rate:.0f}" for rate in rates),
             f"{processor:.0f} ms"]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _with_few_to_validate(size: Any) -> Any:
    """The validation split takes no part in what is measured."""
    from dataclasses import replace

    return replace(size, images=(size.images[0], 100), captions=(size.captions[0], 500))


def _one_training(folder: Path, ahead: int, check: bool, options: argparse.Namespace) -> dict[str, float]:
    """A training in a process of its own, within the limit if there is one."""
    command = [sys.executable, "-m", "benchmarks.large_data", "train", "--ahead", str(ahead), *["--check"] * check,
               "--iterations", str(options.iterations), str(folder)]  # fmt: skip
    features = folder / "train2014_vgg16_fc7.h5"
    limit = None if options.limit is None else options.limit * _MIB
    with dropping_cache(features), memory_group(limit or 2**60) as group:
        if group is None and limit is not None:
            _say("no memory control group can be made here: RLIMIT_DATA instead")
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _enter(group, limit)
        )
        found: dict[str, float] = json.loads(done.stdout)
        if group is not None:
            found["group"] = float((group / "memory.max_usage_in_bytes").read_text())
        return found


def _train(folder: Path, ahead: int, iterations: int, check: bool) -> dict[str, float]:
    """What `captioning train` does up to some iterations, with its default sizes, batches of 100 and one thread.

    check: read all of the data first, as that command does. Of what is returned, `rate` is captions a second in the
    fastest stretch of ten iterations, which others on the machine disturbed least; `waiting` the median of seconds from
    asking for a batch to having it; `processor` seconds of processors an iteration, of all threads; `peak` bytes of
    resident memory above the level with the model, from opening the data to the end.
    """
    import minigrad as mg
    from captioning.data.dataset import fingerprint, open_captions
    from captioning.data.vocabulary import Vocabulary
    from captioning.models.captioner import Captioner
    from captioning.training import solver as solver_module
    from captioning.training.settings import Settings

    mg.set_num_threads(1)
    solver_module.AHEAD = ahead
    vocabulary = Vocabulary.from_json(folder / "coco2014_vocab.json")
    model = Captioner(vocabulary, 4096, 256, 512, rng=0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    level = _status("VmRSS")
    with open_captions(folder) as data:
        began = time.perf_counter()
        if check:
            data.check()
        checked = time.perf_counter() - began
        fingerprint(data)
        watch = _Stopwatch(enabled=False)
        solver = solver_module.Solver(model, data.train, settings=Settings(batch_size=_BATCH), progress=watch)
        solver._ahead = reader = _Timed(solver._read, threaded=ahead > 0 and not data.train.features.cached)
        processor = time.process_time()
        losses = [entry["loss"] for entry in solver.train(max_iterations=iterations) if "loss" in entry]
    seconds = np.diff(watch.times[::_STRETCH])
    return {
        "processor": (time.process_time() - processor) / iterations,
        "waiting": float(np.median(reader.waits)),
        "rate": _STRETCH * _BATCH / float(seconds.min()),
        "peak": _status("VmHWM") - level,
        "seconds of checking": checked,
        "first loss": losses[0],
        "last loss": losses[-1],
    }


class _Timed(ReadAhead):
    """Notes how long whoever asks has to wait."""

    def __init__(self, function: Any, threaded: bool) -> None:
        super().__init__(function, threaded)
        self.waits: list[float] = []

    def read(self, *given: Any) -> Any:
        began = time.perf_counter()
        found = super().read(*given)
        self.waits.append(time.perf_counter() - began)
        return found


class _Stopwatch(Progress):
    """When each iteration ended."""

    def begin(self, *_: Any, **__: Any) -> None:
        self.times: list[float] = []

    def update(self, *_: Any, **__: Any) -> None:
        self.times.append(time.perf_counter())


# ---------------------------------------------------------------------- storage
def _storages(options: argparse.Namespace) -> Iterator[str]:
    """The lines of the table: each file is written, read and removed in its turn."""
    import h5py

    from captioning.data.features import FeatureRows
    from captioning.data.folder import features_path
    from captioning.data.synthetic import Size, write_synthetic

    folder = Path(options.folder, "storage")
    write_synthetic(folder, Size(images=(options.images, 1), captions=(options.images, 1)))
    source, path = features_path(folder, "train", pca=False), folder / "stored.h5"
    yield "| chunks | size | processor to write | rows/s from the disk | rows/s from the page cache |"
    yield "|---|---:|---:|---:|---:|"
    try:
        for name, storage in _STORAGES.items():
            began = time.process_time()
            with FeatureRows(source, cache_bytes=0) as rows, h5py.File(path, "w") as file:
                chunks = {"chunks": (storage["chunks"], rows.shape[1])} if storage else {}
                copy = file.create_dataset("features", rows.shape, rows.dtype, **{**storage, **chunks})
                for block in rows.blocks():
                    copy[block] = rows[block]
            written = time.process_time() - began
            cold = _rate(path, options.batches, drop_cache)
            warm = _rate(path, options.batches, lambda path: path.read_bytes())
            yield f"| {name} | {path.stat().st_size / 1e6:.0f} MB | {written:.1f} s | {cold:,.0f} | {warm:,.0f} |"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rate(path: Path, batches: int, prepare: Callable[[Path], Any]) -> float:
    """Random rows a second, by the median of batches, before each of which the file is prepared."""
    from captioning.data.features import FeatureRows

    rng, seconds = np.random.default_rng(0), []
    with FeatureRows(path, cache_bytes=0) as rows:
        for _ in range(batches):
            prepare(path)
            seconds.append(_seconds(rows, rng.integers(len(rows), size=_BATCH)))
    return _BATCH / statistics.median(seconds)


def _seconds(rows: Any, index: Any) -> float:
    """To read some rows."""
    began = time.perf_counter()
    rows[index]
    return time.perf_counter() - began


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
