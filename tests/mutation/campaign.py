"""A mutation campaign: put each mutant of each VJP in place, and see whether the tests notice.

A mutant meets a few drawn cases of its primitives; if it survives, those tests of the primitive's family that call
the mutated function, and more cases. Each mutant lives in a process of its own, forked from one in which everything is
imported, drawn and known to pass: it may crash, hang or write where it should not.
"""

from __future__ import annotations

import builtins
import dis
import functools
import importlib
import inspect
import itertools
import multiprocessing
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import minigrad as mg
from minigrad.backward import unbroadcast
from minigrad.primitives import PRIMITIVES, Primitive
from tests.checks import Case, check_primitive
from tests.mutation.mutants import Mutant, announced, install, mutants
from tests.peers import pytorch

TESTS = Path(__file__).parent.parent
GRADIENT_TESTS = {"test_gradients", "test_primitive"}  # they run the cases, as the campaign does itself
_QUIETLY = settings(
    max_examples=25, derandomize=True, database=None, deadline=None, print_blob=False, report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
)  # fmt: skip
_SEEN = "_a_mutation_campaign_saw"  # a built-in, for as long as it looks which functions a test runs
FAIR = 4  # a function of many primitives meets the cases of so many, a share from each
UNBROADCAST_TESTS = "tests.test_backward"
KERNELS = ("columns", "numerics", "packing", "sequences")
COMMON_TESTS = tuple(f"tests.ops.kernels.test_{name}" for name in KERNELS)  # of all families
# Functions that compute a gradient ahead, in the forward: (module, name).
AHEAD = [("minigrad.ops.kernels.cross_entropy", name) for name in ("cross_entropy_rows", "_smoothed_rows")]


@dataclass(frozen=True)
class Target:
    """A function to mutate, and the primitives whose VJP runs it."""

    label: str
    function: FunctionType = field(repr=False)
    primitives: tuple[str, ...]

    @property
    def file(self) -> str:
        return str(Path(self.function.__code__.co_filename).relative_to(TESTS.parent))

    @property
    def stem(self) -> str:
        """Its file without folder and ending."""
        return Path(self.file).stem


@dataclass(frozen=True)
class Result:
    """What became of a mutant: killed by "cases", "more cases", "tests", "crash" or "time-out", or "survived"."""

    mutant: Mutant
    fate: str
    detail: str
    seconds: float


# --- what there is to mutate ---------------------------------------------------------------------------


def families() -> dict[str, ModuleType]:
    """The test module that has a primitive's cases, for every primitive that has some."""
    modules = [importlib.import_module(f"tests.ops.{path.stem}") for path in sorted((TESTS / "ops").glob("test_*.py"))]
    return {name: module for module in modules for name in getattr(module, "CASES", {})}


def _names(code: CodeType, kind: str) -> list[str]:
    """The globals, or the attributes and methods, that a function and those inside it name."""
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant, kind)]
    own = [i.argval for i in dis.get_instructions(code) if (i.opname == "LOAD_GLOBAL") == (kind == "global")]
    return sorted({name for name in own if isinstance(name, str)}.union(inner))


def _callees(function: FunctionType) -> Iterator[FunctionType]:
    """Functions and methods of ``minigrad.ops`` that a function names."""
    classes = [value for value in function.__globals__.values() if isinstance(value, type) and _is_ours(value)]
    attributes = _names(function.__code__, "attribute")
    members = [vars(c)[name] for c in classes for name in attributes if name in vars(c)]
    for found in [*map(function.__globals__.get, _names(function.__code__, "global")), *members]:
        if isinstance(found, property):
            found = found.fget
        if isinstance(found, FunctionType) and _is_ours(found) and not hasattr(found, "primitive"):
            yield found


def _is_ours(thing: Any) -> bool:
    return str(thing.__module__).startswith("minigrad.ops")


def _closure(function: Any) -> list[FunctionType]:
    """A function, those it calls, those they call, and so on."""
    found, stack = [function], [function]
    while stack:
        for callee in _callees(stack.pop()):
            if callee not in found:
                found.append(callee)
                stack.append(callee)
    return found


def _is_watched(label: str) -> bool:
    """Not products in pieces, which stand for NumPy's and have tests of their own, nor a mere number of pieces."""
    return not label.startswith("blocks.") and label != "convolution._threads"


@functools.cache
def targets(*primitives: str) -> tuple[Target, ...]:
    """Every VJP rule in ``minigrad.ops`` and every function there that one calls; or those of some primitives.

    Primitives without cases are left out: a test of the registry names them.
    """
    users: dict[FunctionType, list[Primitive]] = {}
    cases = families()
    records = [r for r in PRIMITIVES.values() if r.module.startswith("minigrad.ops") and r.name in cases]
    for record in sorted(records, key=lambda r: (r.module, r.name)):
        for function in _closure(record.vjp):
            users.setdefault(function, []).append(record)
    for module, name in AHEAD:
        function = getattr(importlib.import_module(module), name)
        users.setdefault(function, []).extend(r for r in records if function in _closure(r.forward))
    users[unbroadcast] = [r for r in records if r.broadcasts and len(r.arguments) > 1]
    found = (Target(_label(function, rs), function, tuple(r.name for r in rs)) for function, rs in users.items())
    return tuple(t for t in found if _is_watched(t.label) and (not primitives or set(t.primitives) & set(primitives)))


def _label(function: FunctionType, records: Sequence[Primitive]) -> str:
    """``elementwise.divide.vjp`` for a rule, ``rows.sum_rows`` for a function that rules call."""
    name = function.__qualname__
    rules = [r.name for r in records if r.vjp is function]
    if function.__name__ in {f"{rule}_vjp" for rule in rules}:  # it has no name of its own
        name = "/".join(rules) + ".vjp"
    return f"{function.__module__.rpartition('.')[2]}.{name}"


# --- how to kill ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """One test with its parameters."""

    name: str
    test: Callable[..., Any]
    parameters: dict[str, Any]

    def run(self) -> None:
        if hasattr(self.test, "hypothesis") and not hasattr(self.test, "_hypothesis_internal_settings_applied"):
            _QUIETLY(self.test)
        self.test(**self.parameters)


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


def items(module: ModuleType) -> Iterator[Item]:
    """The tests of a module but for slow ones, the gradient tests and those with fixtures."""
    for name, test in list(vars(module).items()):
        if not name.startswith("test_") or name in GRADIENT_TESTS:
            continue
        marks = list(getattr(test, "pytestmark", []))
        calls: list[dict[str, Any]] = [{}]
        for mark in marks:
            if mark.name == "parametrize":
                calls = [{**call, **given} for call, given in itertools.product(calls, _parameters(*mark.args))]
        if all(mark.name == "parametrize" for mark in marks):
            for call in calls:
                if inspect.signature(test).parameters.keys() == call.keys():
                    yield Item(f"{name}[{'-'.join(map(str, call.values()))[:60]}]" if call else name, test, call)


def _parameters(names: str | Sequence[str], values: Any, **_: Any) -> Iterator[dict[str, Any]]:
    wanted = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    for value in values:
        if type(value).__name__ == "ParameterSet":  # of pytest.param
            yield dict(zip(wanted, value.values, strict=True))
        else:
            yield dict(zip(wanted, value if len(wanted) > 1 else [value], strict=True))


def coverage(module: ModuleType, watched: Sequence[Target]) -> tuple[list[tuple[int, set[str], float]], str]:
    """The tests of a module that pass, by number, with the watched functions that each runs, and its duration.

    Then the first one that fails, or "". To be called in a process of its own: each watched function announces itself
    (under a profiler the tests would take several times as long).
    """
    called: set[str] = set()
    setattr(builtins, _SEEN, called.add)
    for target in watched:
        install(target.function, announced(target.function, f"{_SEEN}({target.label!r})"))
    warnings.simplefilter("error")
    rows = []
    for number, item in enumerate(items(module)):
        called.clear()
        start = time.perf_counter()
        try:
            item.run()
        except pytest.skip.Exception:
            continue
        except BaseException as error:  # whatever it is: pytest's failures are no Exceptions
            return rows, f"{item.name}: {type(error).__name__}: {error}"
        rows.append((number, set(called), time.perf_counter() - start))
    return rows, ""


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function's result, computed in a process of its own.

    So this process never uses PyTorch, whose thread pools do not survive a fork.
    """
    process, reader = _fork(lambda pipe: pipe.send(function(*arguments)))
    result = reader.recv()
    process.join()
    return result


def _fork(body: Callable[[Any], None]) -> tuple[Any, Any]:
    """A process that has started on ``body(pipe)``, and the end of the pipe to read from."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=body, args=(writer,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other threads, if there are any: the child does not need them
        process.start()
    writer.close()
    return process, reader


@dataclass(frozen=True)
class Plan:
    """What a target's mutants meet in one round: tests, the quick ones first, then cases."""

    stage: str
    cases: list[tuple[Any, Case]]
    tests: list[Item]


def case_plans(chosen: Sequence[Target], stage: str, first: int, last: int) -> dict[str, Plan]:
    """For each target the cases from ``first`` to ``last`` of its primitives, a share of each if there are many."""
    family = families()
    drawn = {name: draw(family[name].CASES[name], last)[first:] for t in chosen for name in sorted(t.primitives)}
    result = {}
    for target in chosen:
        rows = [[(_callable(name, family[name]), case) for case in drawn[name]] for name in target.primitives]
        mixed = [pair for row in itertools.zip_longest(*rows) for pair in row if pair is not None]
        result[target.label] = Plan(stage, mixed[: (last - first) * min(len(rows), FAIR)], [])
    return result


def with_tests(plan: dict[str, Plan], chosen: Sequence[Target], say: Callable[[str], None]) -> dict[str, Plan]:
    """The plans with those tests of each target's families that run its function; each of them passes.

    Raises:
        AssertionError: if one fails without a mistake.
    """
    family = families()
    common = set(map(importlib.import_module, COMMON_TESTS))
    homes = {t.label: common.union(family[name] for name in t.primitives) for t in chosen}
    if unbroadcast in {t.function for t in chosen}:
        homes[_label(unbroadcast, [])].add(importlib.import_module(UNBROADCAST_TESTS))
    pytorch()  # imported once for all; it starts no threads before it is used
    covered = {}
    plans = {}
    for module in sorted(set().union(*homes.values()), key=lambda m: m.__name__):
        say(f"what {module.__name__} covers")
        tests = list(items(module))
        rows, failure = _apart(coverage, module, chosen)
        assert not failure, f"{module.__name__} unchanged: {failure}"
        covered[module] = [(tests[i], called, cost) for i, called, cost in rows]
    for target in chosen:
        rows = [row for m in homes[target.label] for row in covered[m] if target.label in row[1]]
        quickest = [item for item, _, _ in sorted(rows, key=lambda row: (row[2], row[0].name))]
        plans[target.label] = replace(plan[target.label], tests=quickest)
    return plans


def _callable(name: str, module: ModuleType) -> Any:
    """What the cases are for: the primitive, or its family's stand-in, which takes all arrays first."""
    return getattr(module, "FUNCTIONS", {}).get(name) or getattr(mg.ops, name)


def attack(plan: Plan) -> tuple[str, str]:
    """The first stage that fails, and at what; ("survived", "") if none does."""
    warnings.simplefilter("error")
    stage = done = ""
    try:
        stage = "tests"
        for item in plan.tests:
            done = item.name
            item.run()
        stage = plan.stage
        for i, (function, case) in enumerate(plan.cases):
            done = f"{function.primitive.name} {i}"
            check_primitive(function, case)
    except BaseException as error:  # whatever it is: pytest's failures are no Exceptions
        return stage, f"{done}: {type(error).__name__}"
    return "survived", ""


# --- the campaign --------------------------------------------------------------------------------------


def _live(target: Target, mutant: Mutant, plan: Plan, pipe: Any) -> None:
    """The life of a mutant, in its own process."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    install(target.function, mutant.code)
    pipe.send(attack(plan))
    pipe.close()
    os._exit(0)


def campaign(
    chosen: Sequence[Target],
    examples: int = 20,
    more: int = 100,
    sample: int | None = None,
    seed: int = 0,
    workers: int = 2,
    limit: float = 120.0,
    say: Callable[[str], None] = lambda _: None,
    also: Sequence[tuple[Target, Mutant]] = (),
    tests: bool = True,
    spared: Callable[[Mutant], bool] = lambda _: False,
) -> list[Result]:
    """The fate of all mutants of some targets but the spared, or of a random sample of them.

    Each target's own code meets the same, too, and must survive.

    Raises:
        AssertionError: if the tests fail without a mistake.
    """
    work = [(target, mutant) for target in chosen for mutant in mutants(target.function, target.label)]
    work = [(target, mutant) for target, mutant in work if not spared(mutant)]
    if sample is not None and sample < len(work):
        work = random.Random(seed).sample(work, sample)
    work += also
    results = {}
    for stage, first, last in (("cases", 0, examples), ("more cases", examples, examples + more)):
        attacked = [t for t in chosen if any(t is target for target, _ in work)]
        say(f"drawing cases for {len(attacked)} functions")
        plain = plan = case_plans(attacked, stage, first, last)
        if first and tests:
            plan = with_tests(plain, attacked, say)
        # the code as it is meets the cases here; the tests it has passed already
        fights = [(t, Mutant(t.label, 0, "", "", t.function.__code__), plain[t.label]) for t in attacked]
        fights += [(t, m, plan[t.label]) for t, m in work]
        for i, result in enumerate(_run(fights, workers, limit)):
            fine = result.mutant.line or result.fate == "survived"
            assert fine, f"{result.mutant.function} unchanged: {result.fate}: {result.detail}"
            results[id(result.mutant)] = result
            if not (i + 1) % 100:
                say(f"{i + 1} of {len(fights)}")
        work = [(t, m) for t, m in work if results[id(m)].fate == "survived"]
        say(f"{len(work)} survive {stage}")
    found = [r for r in results.values() if r.mutant.line]
    return sorted(found, key=lambda r: (r.mutant.function, r.mutant.line, r.mutant.after))


def _run(work: Sequence[tuple[Target, Mutant, Plan]], workers: int, limit: float) -> Iterator[Result]:
    queue, running = list(reversed(work)), {}
    while queue or running:
        while queue and len(running) < workers:
            target, mutant, plan = queue.pop()
            process, reader = _fork(functools.partial(_live, target, mutant, plan))
            running[process.sentinel] = (process, reader, mutant, time.perf_counter())
        ready = wait(list(running), timeout=1.0)
        for sentinel, (process, reader, mutant, start) in list(running.items()):
            seconds = time.perf_counter() - start
            if sentinel in ready:
                try:
                    fate, detail = reader.recv()
                except EOFError:
                    fate, detail = "crash", f"exit status {process.exitcode}"
            elif seconds > limit:
                process.kill()
                fate, detail = "time-out", f"{limit:g} s"
            else:
                continue
            process.join()
            del running[sentinel]
            yield Result(mutant, fate, detail, seconds)
