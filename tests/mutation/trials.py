"""What mutants meet: drawn cases of primitives, and the tests that run the function that was changed."""

from __future__ import annotations

import builtins
import contextlib
import doctest
import functools
import importlib
import inspect
import itertools
import tempfile
import time
import unittest
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import minigrad as mg
from tests.checks import Case, check_primitive
from tests.mutation.mutants import announced, install
from tests.mutation.targets import Target, families

GRADIENT_TESTS = {"test_gradients", "test_primitive"}  # they run the cases, as the campaign does itself
QUIETLY = settings(
    max_examples=25, derandomize=True, database=None, deadline=None, print_blob=False, report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
_SEEN = "_a_mutation_campaign_saw"  # a built-in, for as long as it looks which functions a test runs
FAIR = 4  # a function of many primitives meets the cases of so many, a share from each
ENOUGH = 20.0  # seconds of tests that a mutant meets, in processor time as measured without it
OWN = 0.25  # the share that counts of the time of the tests of a function's own module
LONGEST = 30.0  # seconds of a case, or of a test that usually takes less than a twentieth
# The fixtures that tests may have, as contexts.
_FIXTURES: dict[str, Callable[[], Any]] = {
    "monkeypatch": pytest.MonkeyPatch.context,
    "tmp_path": lambda: _temporary_folder(),
}


@dataclass(frozen=True)
class Trial:
    """One test, or one case: by a name that tells it from all others, and how many seconds it may take."""

    name: str
    run: Callable[[], None]
    limit: float = LONGEST


# --- cases ---------------------------------------------------------------------------------------------


def draw(strategy: Any, count: int) -> list[Case]:
    """So many cases of a strategy, the same ones every time."""
    drawn: list[Case] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    return drawn


@functools.cache
def _drawn(primitive: str, count: int) -> list[Case]:
    return draw(families()[primitive].CASES[primitive], count)


def cases(primitives: Sequence[str], first: int, last: int, limit: float = LONGEST) -> list[Trial]:
    """The cases from ``first`` to ``last`` of some primitives, a share of each if there are many."""
    rows = []
    for name in primitives:
        function = getattr(families()[name], "FUNCTIONS", {}).get(name) or getattr(mg.ops, name)
        numbered = enumerate(_drawn(name, last)[first:], first)
        rows.append([Trial(f"{name} {i}", functools.partial(check_primitive, function, c), limit) for i, c in numbered])
    mixed = [trial for row in itertools.zip_longest(*rows) for trial in row if trial is not None]
    return mixed[: (last - first) * min(len(rows), FAIR)]


# --- tests ---------------------------------------------------------------------------------------------


def trials_of(module: ModuleType) -> Iterator[Trial]:
    """The tests of a module but for slow ones, the gradient tests and those with fixtures that are not known here.

    Known are two of pytest's, and the module's own that take no others.

    A name is that of the module and the function, ``tests.test_core::test_add[3]``. Of a module that holds no tests,
    the examples of its docstrings.
    """
    if not module.__name__.rpartition(".")[2].startswith("test_"):
        yield from (
            Trial(f"{module.__name__}::{e.name}", functools.partial(_run_examples, e)) for e in _examples(module)
        )
    for name, test in list(vars(module).items()):
        if isinstance(test, type) and issubclass(test, unittest.TestCase) and test.__module__ != "unittest.case":
            yield Trial(f"{module.__name__}::{name}", functools.partial(_run_machine, test))
        if not name.startswith("test_") or name in GRADIENT_TESTS:
            continue
        marks = list(getattr(test, "pytestmark", []))
        calls: list[dict[str, Any]] = [{}]
        for mark in marks:
            if mark.name == "parametrize":
                calls = [{**call, **given} for call, given in itertools.product(calls, _parameters(*mark.args))]
        if all(mark.name == "parametrize" for mark in marks):
            for number, call in enumerate(calls):
                wanted = inspect.signature(test).parameters.keys() - call.keys()
                fixtures = {fixture: _fixture(module, fixture) for fixture in sorted(wanted)}
                if None not in fixtures.values():
                    label = f"{name}[{number}]" if call else name
                    run = functools.partial(_run_test, test, call, fixtures)
                    yield Trial(f"{module.__name__}::{label}", run)


def _parameters(names: str | Sequence[str], values: Any, **_: Any) -> Iterator[dict[str, Any]]:
    wanted = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    for value in values:
        if type(value).__name__ == "ParameterSet":  # of pytest.param
            yield dict(zip(wanted, value.values, strict=True))
        else:
            yield dict(zip(wanted, value if len(wanted) > 1 else [value], strict=True))


def _fixture(module: ModuleType, name: str) -> Callable[[], Any] | None:
    """A fixture as a function that makes a context; None if it is not known."""
    defined = getattr(module, name, None)
    function: Any = inspect.unwrap(defined) if callable(defined) else None  # pytest wraps it
    if function is defined or inspect.signature(function).parameters:
        return _FIXTURES.get(name)
    if inspect.isgeneratorfunction(function):
        return contextlib.contextmanager(function)
    return lambda: contextlib.nullcontext(function())


def _run_test(test: Any, parameters: dict[str, Any], fixtures: dict[str, Callable[[], Any]]) -> None:
    if hasattr(test, "hypothesis") and not hasattr(test, "_hypothesis_internal_settings_applied"):
        QUIETLY(test)
    with contextlib.ExitStack() as stack:
        test(**parameters, **{name: stack.enter_context(context()) for name, context in fixtures.items()})


def _examples(module: ModuleType) -> list[doctest.DocTest]:
    return [found for found in doctest.DocTestFinder().find(module) if found.examples]


def _run_examples(test: doctest.DocTest) -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST
    copied = doctest.DocTest(test.examples, dict(test.globs), test.name, test.filename, test.lineno, test.docstring)
    failed, _ = doctest.DocTestRunner(verbose=False, optionflags=flags).run(copied)
    assert not failed


def _run_machine(machine: Any) -> None:
    """A state machine of Hypothesis, which does not look for a smaller example when it fails."""
    machine.settings = settings(machine.settings, phases=QUIETLY.phases, print_blob=False)
    machine("runTest").runTest()


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


# --- which tests run which functions -------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A test of a module, by number, the labels of the functions that it runs, and its seconds."""

    number: int
    called: frozenset[str]
    seconds: float


def coverage(module: str, watched: Sequence[Target]) -> tuple[list[Row], str]:
    """What each test of a module runs, but for those that are skipped; then the first one that fails, or "".

    To be called in a process of its own: each watched function announces itself (under a profiler the tests would take
    several times as long).
    """
    called: set[str] = set()
    setattr(builtins, _SEEN, called.add)
    trials = list(trials_of(importlib.import_module(module)))
    for target in watched:
        install(target.function, announced(target.function, f"{_SEEN}({target.label!r})"))
    warnings.simplefilter("error")
    rows = []
    for number, trial in enumerate(trials):
        called.clear()
        start = time.process_time()
        try:
            trial.run()
        except pytest.skip.Exception:
            continue
        except BaseException as error:  # whatever it is: pytest's failures are no Exceptions
            return rows, f"{trial.name}: {type(error).__name__}: {error}"
        rows.append(Row(number, frozenset(called), time.process_time() - start))
    return rows, ""


def running(target: Target, covered: dict[str, list[Row]]) -> list[Trial]:
    """The tests that run a function, the quick ones first, as many as fit.

    Modules take turns, so that many quick tests of one do not keep another's away: next comes the test behind which its
    module has spent least. The time of the first module, which is about the function, counts a share of itself.
    """
    found = []
    for place, module in enumerate(target.tests):
        trials = list(trials_of(importlib.import_module(module)))
        rows = sorted((row for row in covered[module] if target.label in row.called), key=lambda row: row.seconds)
        spent = itertools.accumulate(row.seconds for row in rows)
        weight = 1.0 if place else OWN
        found += [(weight * total, row.seconds, trials[row.number]) for row, total in zip(rows, spent, strict=True)]
    found.sort(key=lambda entry: (entry[0], entry[2].name))
    spent = itertools.accumulate(seconds for _, seconds, _ in found)
    chosen = [entry for entry, total in zip(found, spent, strict=True) if total <= ENOUGH or entry is found[0]]
    return [replace(trial, limit=max(LONGEST, 20 * seconds)) for _, seconds, trial in chosen]


def all_tests(target: Target) -> list[Trial]:
    """All tests that a target may meet, in the order of their modules."""
    return [trial for module in target.tests for trial in trials_of(importlib.import_module(module))]
