"""``python -m tests.mutation [FILE ...]``: plant small mistakes in files, and see which of them the tests notice.

Each mistake is planted in a temporary copy of the repository, where the tests of the file run until one fails. The last
lines are a score for each file: how many mistakes the tests noticed. A time-out or a crash counts as noticed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
ENGINE = ("backward", "calls", "core", "higher_order", "jacobians", "observers", "primitives", "rematerialization",
          "transforms", "trees", "writes")  # fmt: skip
FILES = [*(f"minigrad/{name}.py" for name in ENGINE), "minigrad/compiler", "minigrad/ops"]
COPIED = ("minigrad", "captioning", "theory", "tests", "examples", "docs", "benchmarks", "pyproject.toml", "README.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign and print the scores."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("files", nargs="*", default=FILES, metavar="FILE", help="files or folders of minigrad")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="tests to run, by default those of each file")
    parser.add_argument("--sample", type=int, metavar="N", help="plant N mistakes in each file, drawn at random")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at a time (2)")
    options = parser.parse_args(arguments)
    files = list(files_in(options.files))
    if missing := [str(file) for file in files if not (ROOT / file).is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        copies = [copy_to(Path(folder) / str(number)) for number in range(options.workers)]
        for file in files:
            planted, unnoticed = campaign(file, options.tests or tests_of(file), options.sample, copies)
            for mutant in unnoticed:
                print(f"{file}:{mutant.line}: not noticed: {mutant.before} -> {mutant.after}", flush=True)
            noticed = planted - len(unnoticed)
            lines.append(f"{file}: {noticed} of {planted} noticed" + (f", {noticed / planted:.1%}" if planted else ""))
            print(lines[-1], flush=True)
    print("", *lines, sep="\n")
    return 0


def files_in(paths: Sequence[str]) -> Iterator[Path]:
    """The files, and the modules in the folders."""
    for path in map(Path, paths):
        if (ROOT / path).is_dir():
            yield from (p.relative_to(ROOT) for p in sorted((ROOT / path).glob("*.py")) if p.stem != "__init__")
        else:
            yield path


def tests_of(file: Path) -> list[str]:
    """The tests of a file, which lie in the same place under tests/, then those of the engine or of its folder."""
    folder = Path("tests", *file.parts[1:-1])
    own = folder / f"test_{file.stem}.py"
    if len(file.parts) == 2:
        others = [folder / f"test_{name}.py" for name in ENGINE]
    else:
        others = [path.relative_to(ROOT) for path in sorted((ROOT / folder).glob("test_*.py"))]
    return [str(path) for path in dict.fromkeys([own, *others]) if (ROOT / path).is_file()]


def copy_to(folder: Path) -> Path:
    """Copy what the tests need."""
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def campaign(file: Path, tests: Sequence[str], sample: int | None, copies: Sequence[Path]) -> tuple[int, list[Mutant]]:
    """Plant the mistakes of a file: how many there were, and those that no test noticed.

    Raises:
        SystemExit: if the tests fail without a mistake.
    """
    source = (ROOT / file).read_text(encoding="utf-8")
    found = list(mutants(source))
    if sample is not None and sample < len(found):
        found = random.Random(0).sample(found, sample)
    start = time.perf_counter()
    if not passes(copies[0], tests, 3600):
        sys.exit(f"tests.mutation: the tests of {file} fail without a mistake: {' '.join(tests)}")
    limit = 30 + 5 * (time.perf_counter() - start)
    free: SimpleQueue[Path] = SimpleQueue()
    for folder in copies:
        free.put(folder)

    def survives(mutant: Mutant) -> bool:
        folder = free.get()
        try:
            (folder / file).write_text(mutant.source, encoding="utf-8")
            return passes(folder, tests, limit)
        finally:
            (folder / file).write_text(source, encoding="utf-8")
            free.put(folder)

    with ThreadPoolExecutor(len(copies)) as pool:
        fates = list(pool.map(survives, found))
    return len(found), [mutant for mutant, survived in zip(found, fates, strict=True) if survived]


def passes(folder: Path, tests: Sequence[str], limit: float) -> bool:
    """Return whether the tests pass in a copy of the repository within a number of seconds."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {
        **os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
