"""A mutation campaign: put each mutant of each function in place, and see whether the tests notice.

A mutant of a rule meets a few drawn cases of its primitives; if it survives, those tests that run the function, and
more cases. One of the engine meets those tests, and a few cases. Each mutant lives in a process of its own, forked from
one in which everything is imported, drawn and known to pass: it may crash, hang or write where it should not.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import random
import resource
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests.mutation.ledger import SPARED, Ledger, Result, read_tests
from tests.mutation.mutants import Mutant, install, mutants
from tests.mutation.targets import Target, targets
from tests.mutation.trials import LONGEST, Row, Trial, all_tests, cases, coverage, running
from tests.peers import pytorch

MEMORY = 6 * 2**30  # bytes that a mutant may address besides what the campaign does
_Stage = tuple[str, list[Trial]]
_Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How many cases a mutant meets first, and if it survives those; whether it meets tests; for which mutants.

    look: see first which tests run which functions. Without it mutants meet all tests, in order, which is quicker for a
    few. workers: processes at a time. limit: seconds that a case may take.
    """

    examples: int = 20
    more: int = 100
    tests: bool = True
    look: bool = True
    workers: int = 2
    limit: float = LONGEST


def campaign(
    chosen: Sequence[Target],
    settings: Settings = Settings(),
    sample: int | None = None,
    seed: int = 0,
    say: _Say = lambda _: None,
    also: Sequence[tuple[Target, Mutant]] = (),
    spared: Callable[[Mutant], Any] = lambda _: False,
    judged: Callable[[Mutant], bool] = lambda _: False,
    ledger: Ledger | None = None,
) -> list[Result]:
    """The fate of all mutants of some targets but the spared, or of a random sample of them.

    A mutant that may survive, since it is ``judged``, and does survive the first of its rounds is not run further.
    What the ledger knows is not run again; what is run to its end is added to it at once.

    Raises:
        AssertionError: if the tests fail without a mistake.
    """
    ledger = ledger or Ledger(None)
    if ledger.path is not None:
        read_tests(chosen)
    work = [(target, m) for target in chosen for m in mutants(target.function, target.label) if not spared(m)]
    if sample is not None and sample < len(work):
        work = random.Random(seed).sample(work, sample)
    work += also
    results = [ledger.find(target, m) for target, m in work]
    todo = [pair for pair, known in zip(work, results, strict=True) if known is None]
    found = [result for result in results if result is not None]
    say(f"{len(work)} mutants, of which the fates of {len(found)} are known")
    place = {target: number for number, target in enumerate(chosen)}
    todo.sort(key=lambda pair: place[pair[0]])
    progress = _Progress(len(todo), say)
    for target, result in _fates(todo, _Rounds(settings, ledger, say), settings.workers, judged):
        if result.fate != SPARED:
            ledger.add(target, result)
        found.append(result)
        progress.one(result)
    return sorted(found, key=lambda r: (r.mutant.function, r.mutant.line, r.mutant.before, r.mutant.after))


class _Progress:
    """Says now and then how far a campaign is."""

    def __init__(self, total: int, say: _Say) -> None:
        self.total, self.say = total, say
        self.done = self.survived = 0
        self.start = self.last = time.perf_counter()

    def one(self, result: Result) -> None:
        self.done += 1
        self.survived += result.fate == "survived"
        now = time.perf_counter()
        if now - self.last > 15 or self.done == self.total:
            self.last = now
            left = (now - self.start) / self.done * (self.total - self.done)
            self.say(f"{self.done} of {self.total}, {self.survived} survived, about {left / 60:.0f} min left")


# --- what a mutant meets, round by round ---------------------------------------------------------------


class _Rounds:
    """The stages that a target's mutants go through, in two rounds: few get to the second one."""

    def __init__(self, settings: Settings, ledger: Ledger, say: _Say) -> None:
        self.settings, self.ledger, self.say = settings, ledger, say
        self._covered: dict[str, list[Row]] = {}
        self.of = functools.cache(self._of)
        self._checked = functools.cache(self._check)

    def _of(self, target: Target, number: int) -> list[_Stage]:
        """The stages of a round; [] if there is no such round."""
        first, more = self.settings.examples, self.settings.more
        if target.primitives and number == 0:
            return [("cases", self._checked(target.primitives, 0, first))]
        if number > bool(target.primitives):
            return []
        stages = [("tests", self._tests(target))] if self.settings.tests else []
        if target.primitives:
            stages.append(("more cases", self._checked(target.primitives, first, first + more)))
        if target.last:
            stages.append(("cases", self._checked(target.last, 0, first)))
        return stages

    def _check(self, primitives: tuple[str, ...], first: int, last: int) -> list[Trial]:
        """Cases that the code passes as it is."""
        trials = cases(primitives, first, last, self.settings.limit)
        failure = apart(_first_failure, trials)
        assert not failure, f"unchanged: {failure}"
        return trials

    def _tests(self, target: Target) -> list[Trial]:
        pytorch()  # imported once for all; it starts no threads before it is used
        if not self.settings.look:
            return all_tests(target)
        for module in target.tests:
            if module not in self._covered:
                self._covered[module] = self._look(module)
        return running(target, self._covered)

    def _look(self, module: str) -> list[Row]:
        """Which functions each test of a module runs; all of them pass as the code is."""
        watched = [t for t in targets() if module in t.tests]  # for later campaigns, too
        labels = [t.label for t in watched]
        rows = self.ledger.coverage(module, labels)
        if rows is None:
            self.say(f"what {module} runs")
            rows, failure = apart(coverage, module, watched)
            assert not failure, f"unchanged: {failure}"
            self.ledger.add_coverage(module, labels, rows)
        return rows


def _first_failure(trials: Sequence[Trial]) -> str:
    warnings.simplefilter("error")
    for trial in trials:
        try:
            trial.run()
        except BaseException as error:
            return f"{trial.name}: {type(error).__name__}: {error}"
    return ""


# --- processes -----------------------------------------------------------------------------------------


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


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """A function's result, computed in a process of its own.

    So this process never uses PyTorch, whose thread pools do not survive a fork.
    """
    process, reader = _fork(lambda pipe: pipe.send(function(*arguments)))
    result = reader.recv()
    process.join()
    return result


def _live(target: Target, mutant: Mutant, stages: Sequence[_Stage], pipe: Any) -> None:
    """The life of a mutant, in its own process: it says what it tries, and in the end what became of it."""
    os.setpgrp()  # Ctrl-C is for the campaign, which ends this process, not for the test that is running
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    _limit_memory()
    install(target.function, mutant.code)
    warnings.simplefilter("error")
    for stage, trials in stages:
        for trial in trials:
            pipe.send((trial.name, trial.limit))
            try:
                trial.run()
            except BaseException as error:  # whatever it is: pytest's failures are no Exceptions
                pipe.send((stage, trial.name, f"{type(error).__name__}: {error}"[:200]))
                os._exit(0)
    pipe.send(("survived", "", ""))
    os._exit(0)


def _limit_memory() -> None:
    """Let an array that is far too large raise, where the system tells how much memory the process has."""
    usage = Path("/proc/self/statm")
    if usage.exists():
        used = int(usage.read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, most))


class _Life:
    """A mutant's process, as seen from outside."""

    def __init__(self, target: Target, mutant: Mutant, number: int, stages: Sequence[_Stage]) -> None:
        self.target, self.mutant, self.number = target, mutant, number
        self.process, self.reader = _fork(functools.partial(_live, target, mutant, stages))
        self.start = time.perf_counter()
        self.trial, self.deadline = "", self.start + 60

    def hear(self) -> Result | None:
        """What it says now, if that is the end."""
        try:
            message = self.reader.recv()
        except EOFError:
            self.process.join()
            return self._ended("crash", self.trial, f"exit status {self.process.exitcode}")
        if len(message) == 3:
            return self._ended(*message)
        self.trial, self.deadline = message[0], time.perf_counter() + message[1]
        return None

    def late(self) -> Result | None:
        """The end of one that takes too long."""
        if time.perf_counter() < self.deadline:
            return None
        return self._ended("time-out", self.trial, "")

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.reader.close()

    def _ended(self, fate: str, by: str, detail: str) -> Result:
        self.end()
        return Result(self.mutant, fate, by, detail, time.perf_counter() - self.start)


def _fates(
    work: Sequence[tuple[Target, Mutant]], rounds: _Rounds, workers: int, judged: Callable[[Mutant], bool]
) -> Iterator[tuple[Target, Result]]:
    """Run mutants, so many at a time; those that survive the first round go to the second one before others start."""
    waiting = deque((target, mutant, 0) for target, mutant in work)
    lives: list[_Life] = []
    spent: dict[int, float] = {}
    try:
        while waiting or lives:
            while waiting and len(lives) < workers:
                target, mutant, number = waiting.popleft()
                lives.append(_Life(target, mutant, number, rounds.of(target, number)))
            ready = wait([life.reader for life in lives], timeout=0.5)
            for life in list(lives):
                result = life.hear() if life.reader in ready else life.late()
                if result is None:
                    continue
                lives.remove(life)
                seconds = spent.pop(id(life.mutant), 0.0) + result.seconds
                goes_on = result.fate == "survived" and rounds.of(life.target, life.number + 1)
                if goes_on and judged(life.mutant):
                    yield life.target, Result(result.mutant, SPARED, "", "", seconds)
                elif goes_on:
                    spent[id(life.mutant)] = seconds
                    waiting.appendleft((life.target, life.mutant, life.number + 1))
                else:
                    yield life.target, Result(result.mutant, result.fate, result.by, result.detail, seconds)
    finally:
        for life in lives:
            life.end()
