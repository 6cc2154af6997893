"""What became of mutants, kept in a file, so that a campaign goes on where another one stopped.

A line of the file is one fate. It holds as long as the function is the same, and what decided it: the source of the
test that killed the mutant; for cases the modules of tests that draw them (but for the tests there) and the check that
they go through; for a survivor all modules of tests that it met. A change of other code does not count, so a campaign
from an empty file is the one that proves something; the ones between tell what to look at.

The fates that a campaign ended with are kept with the project, packed: one on another machine goes on from there.
"""

from __future__ import annotations

import ast
import functools
import gzip
import hashlib
import importlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minigrad.runtime.files import replacing
from tests.mutation.mutants import Mutant, fingerprint
from tests.mutation.targets import TESTS, Target, families
from tests.mutation.trials import Row

SPARED = "equivalent"  # the fate of an accepted mutant that was not run, or not to its end
KEPT = Path(__file__).parent / "fates.jsonl.gz"
CHECKS = ("checks.py", "strategies.py")  # what cases go through


@dataclass(frozen=True)
class Result:
    """What became of a mutant: killed by "cases", "tests", "more cases", "crash" or "time-out", or "survived".

    by: the name of the trial that killed it, or during which it crashed or took too long. detail: the error.
    """

    mutant: Mutant
    fate: str
    by: str
    detail: str
    seconds: float


class Ledger:
    """The fates in a file (none, if there is no path), to which new ones are added as they come.

    start: where the file begins, if there is none: fates that :meth:`keep` has packed.
    """

    def __init__(self, path: Path | None, afresh: bool = False, start: Path | None = None) -> None:
        self.path = path
        self._fates: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._coverage: dict[str, dict[str, Any]] = {}
        if path is not None and not path.exists() and not afresh and start is not None and start.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.decompress(start.read_bytes()))
        if path is not None and path.exists() and not afresh:
            text = path.read_text()
            for line in text.splitlines():
                self._read(line)
            if text and not text.endswith("\n"):  # its writer was killed
                with path.open("a") as file:
                    file.write("\n")
        elif path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:  # a line whose writer was killed
            return
        if "module" in entry:
            self._coverage[entry["module"]] = entry
        else:
            self._fates[tuple(entry["key"])] = entry

    def _write(self, entry: dict[str, Any]) -> None:
        assert self.path is not None
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def find(self, target: Target, mutant: Mutant) -> Result | None:
        """The fate of a mutant, if it is known and nothing that it rests on has changed."""
        entry = self._fates.get(_key(target, mutant))
        if entry is None or entry["basis"] != _basis(target, entry["by"]):
            return None
        return Result(mutant, entry["fate"], entry["by"], entry.get("detail", ""), entry.get("seconds", 0.0))

    def add(self, target: Target, result: Result) -> None:
        if self.path is None:
            return
        entry = {k: v for k, v in asdict(result).items() if k != "mutant"} | {"seconds": round(result.seconds, 3)}
        self._write(entry | {"key": _key(target, result.mutant), "basis": _basis(target, result.by)})

    def keep(self, work: Iterable[tuple[Target, Mutant]], path: Path = KEPT) -> None:
        """Pack what still holds of the fates of some mutants, without errors and times."""
        held = [self._fates[_key(target, m)] for target, m in work if self.find(target, m) is not None]
        lines = sorted(json.dumps({name: entry[name] for name in ("key", "fate", "by", "basis")}) for entry in held)
        with replacing(path) as temporary:
            temporary.write_bytes(gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0))

    def coverage(self, module: str, watched: Iterable[str]) -> list[Row] | None:
        """Which functions the tests of a module run, if that is known of all watched and no code has changed since."""
        entry = self._coverage.get(module)
        if entry is None or entry["basis"] != _code(module) or not set(watched) <= set(entry["watched"]):
            return None
        names = entry["watched"]
        return [Row(number, frozenset(names[i] for i in called), cost) for number, called, cost in entry["rows"]]

    def add_coverage(self, module: str, watched: Sequence[str], rows: Sequence[Row]) -> None:
        if self.path is None:
            return
        place = {label: i for i, label in enumerate(watched)}
        found = [[row.number, sorted(place[label] for label in row.called), round(row.seconds, 4)] for row in rows]
        self._write({"module": module, "basis": _code(module), "watched": list(watched), "rows": found})


def _key(target: Target, mutant: Mutant) -> tuple[Any, ...]:
    """The mutant's change, where in the function it is, and the function's fingerprint."""
    line = mutant.line - target.function.__code__.co_firstlineno
    return mutant.function, _fingerprint(target), line, mutant.before, mutant.after


@functools.cache
def _fingerprint(target: Target) -> str:
    return fingerprint(target.function)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


@functools.cache
def _text(path: Path) -> str:
    return path.read_text()


def _source(module: str) -> str:
    return _text(Path(str(importlib.import_module(module).__file__)))


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module))


def read_tests(chosen: Iterable[Target]) -> None:
    """Import and read all tests that some targets meet, so that nothing that is written later counts as met."""
    for target in chosen:
        _survivor_source(target.primitives or target.last, target.tests)


def _basis(target: Target, by: str) -> str:
    """A hash of what decided a fate: one test, the cases of the primitives, or, for a survivor, everything it met."""
    if "::" in by:
        return _test_source(by)
    if by:
        return _cases_source(target.primitives or target.last)
    return _survivor_source(target.primitives or target.last, target.tests)


@functools.cache
def _test_source(name: str) -> str:
    module, _, test = name.partition("::")
    named = re.sub(r"\[.*", "", test)
    found = [ast.dump(node) for node in _tree(module).body if getattr(node, "name", "") == named]
    return _hash(*found) if found else _hash(_source(module))  # a state machine is an assignment


@functools.cache
def _cases_source(primitives: tuple[str, ...]) -> str:
    modules = sorted({families()[name].__name__ for name in primitives if name in families()})
    return _hash(*map(_without_tests, modules), *(_text(TESTS / name) for name in CHECKS))


@functools.cache
def _without_tests(module: str) -> str:
    kept = [node for node in _tree(module).body if not getattr(node, "name", "").startswith("test_")]
    return "\n".join(map(ast.dump, kept))


@functools.cache
def _survivor_source(primitives: tuple[str, ...], tests: tuple[str, ...]) -> str:
    return _hash(_cases_source(primitives), *map(_source, tests))


@functools.cache
def _code(module: str) -> str:
    """A hash of all code that the tests of a module can run."""
    package = sorted((TESTS.parent / "minigrad").rglob("*.py"))
    return _hash(*map(_text, package), _source(module))
