"""Planted errors: edits of the mathematics of a claim, which `theory check` must notice.

Each family lists its errors in its mutants.py. Planting one edits a temporary copy of theory/, never your files.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["CHANGES_NOTHING", "MISSED", "NOTICED", "Mutant", "Outcome", "failure", "plant"]

NOTICED = "noticed"
MISSED = "NOT noticed"
CHANGES_NOTHING = "changes no result"

_THEORY = Path(__file__).parent


@dataclass(frozen=True)
class Mutant:
    """An error to plant in the mathematics of a claim: in `file` the text `old` becomes `new`.

    Args:
        number: the claim that must notice.
        file: in theory/, such as "parity/units.py".
        old: a text that the file contains exactly once.
        new: what replaces it.
        error: what is wrong then.
        example: an expression in the names of the file. The error changes its value, or the exception that it raises.
            Empty if the error changes no result, and `error` says why.
        also: further edits (file, old, new).

    >>> Mutant("3-1", "parity/units.py", "h + x - 2 * h * x", "h + x", "XOR adds", "xor_unit(1, 1)").results()
    ('0', '2')
    """

    number: str
    file: str
    old: str
    new: str
    error: str
    example: str = ""
    also: tuple[tuple[str, str, str], ...] = ()

    def sources(self) -> dict[str, str]:
        """Return the edited text of each file; ValueError if a file does not contain `old` exactly once."""
        sources: dict[str, str] = {}
        for file, old, new in ((self.file, self.old, self.new), *self.also):
            source = sources.get(file) or (_THEORY / file).read_text(encoding="utf-8")
            if source.count(old) != 1:
                raise ValueError(
                    f"the error {self.error!r} of claim {self.number} cannot be planted: theory/{file} contains "
                    f"{old!r} {source.count(old)} times. Choose a text that it contains once"
                )
            sources[file] = source.replace(old, new)
        return sources

    def results(self) -> tuple[str, str]:
        """Return the result of `example` without and with the error. Equal results raise ValueError."""
        name = "theory." + self.file.removesuffix(".py").replace("/", ".")
        mutated: dict[str, Any] = {"__name__": name}
        exec(compile(self.sources()[self.file], str(_THEORY / self.file), "exec"), mutated)
        right, wrong = (_result(self.example, names) for names in (vars(importlib.import_module(name)), mutated))
        if right == wrong:
            raise ValueError(
                f"the error {self.error!r} of claim {self.number} does not change its example: {self.example} is "
                f"{right}. Choose another example, or none if the error changes no result"
            )
        return right, wrong


def _result(expression: str, names: dict[str, Any]) -> str:
    try:
        return repr(eval(expression, names))
    except Exception as error:
        return type(error).__name__


@dataclass(frozen=True)
class Outcome:
    """Whether a check notices an error.

    verdict: 'noticed', 'NOT noticed' or 'changes no result'. by: the first proposition with an unexpected verdict, and
    the verdict. results: of the example, without and with the error; empty if there is no example.
    """

    mutant: Mutant
    verdict: str
    by: str = ""
    results: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as a dict of JSON values."""
        mutant = {name: getattr(self.mutant, name) for name in ("number", "file", "old", "new", "error", "example")}
        return {**mutant, "results": list(self.results), "verdict": self.verdict, "by": self.by,
                "seconds": round(self.seconds, 3)}  # fmt: skip


def plant(mutants: Sequence[Mutant], options: Sequence[str] = ()) -> Iterator[Outcome]:
    """Yield the outcome of each error in order. As many processes as there are processors check the claims.

    options: of `theory check`. An error that cannot be planted, and a claim that is not as expected without an error,
    raise ValueError.
    """
    results = [mutant.results() if mutant.example else () for mutant in mutants]
    sources = [mutant.sources() for mutant in mutants]
    numbers = list(dict.fromkeys(mutant.number for mutant in mutants))
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for number, by in zip(numbers, pool.map(lambda n: failure(n, {}, options), numbers), strict=True):
            if by:
                raise ValueError(f"claim {number} is not as expected without an error: {by}. Run theory check first")
        yield from pool.map(partial(_outcome, options), mutants, sources, results)
    finally:
        pool.shutdown(cancel_futures=True)


def _outcome(options: Sequence[str], mutant: Mutant, sources: dict[str, str], results: tuple[str, ...]) -> Outcome:
    if not results:
        return Outcome(mutant, CHANGES_NOTHING)
    started = time.monotonic()
    by = failure(mutant.number, sources, options)
    return Outcome(mutant, NOTICED if by else MISSED, by, results, time.monotonic() - started)


def failure(number: str, sources: Mapping[str, str], options: Sequence[str] = ()) -> str:
    """Check a claim in a copy of theory/ with these files; return the first unexpected verdict, or "" without one."""
    with tempfile.TemporaryDirectory(prefix="theory-") as folder:
        copy = Path(folder, "theory")
        shutil.copytree(_THEORY, copy)
        for file, source in sources.items():
            (copy / file).write_text(source, encoding="utf-8")
        command = [sys.executable, "-m", "theory", "check", number, "--fail-fast", "--json", "--quiet", *options]
        environment = {
            **os.environ, "PYTHONPATH": os.pathsep.join([folder, *map(os.path.abspath, sys.path)]),
            "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if not done.stdout:
        if "self-test" in done.stderr:
            return done.stderr.strip()
        last = done.stderr.strip().rpartition("\n")[2]
        raise ValueError(f"theory check {number} cannot run with the error in {', '.join(sources)}: {last}")
    propositions = [p for claim in json.loads(done.stdout)["claims"] for p in claim["propositions"]]
    return next((f"{p['name']}: {p['verdict']}" for p in propositions if not p["as_expected"]), "")
