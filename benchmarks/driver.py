"""Measure a case: prepare all rivals, compare their results, then time round after round.

A round times the reference product, except in groups, and then each rival once, in an order that is reversed in every
other round, so that no rival always follows the same one. Each worker is its own process, and only one works at a time,
so that no library's threads disturb another's. With several threads there is a pause after each turn, since OpenBLAS's
idle threads spin for a tenth of a second before they sleep.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import agreement, reference
from benchmarks.job import Case, Rival
from benchmarks.results import Measured, Row
from benchmarks.workers import Failed, Handle
from minigrad.runtime.extras import how_to_install

__all__ = ["Driver", "Plan", "turns"]


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    rounds: the most rounds of a row. A row that would take longer than `seconds` has fewer, but at least `least`.
    turn: the least seconds of one turn of a rival; short_turn: the same in a group of cases. heats: the number of
    rounds after which a variant drops out if it is slower than `chance` times the best one of its peer. pause: seconds
    between turns of several threads. fresh: the number of rounds of a case that needs new processes in each.
    """

    rounds: int = 12
    least: int = 5
    seconds: float = 5.0
    turn: float = 0.1
    short_turn: float = 0.012
    heats: int = 2
    chance: float = 1.06
    pause: float = 0.13
    fresh: int = 4
    quick: bool = False

    @classmethod
    def quickest(cls) -> Plan:
        """Return a plan for a smoke test; its measurements are meaningless."""
        return cls(rounds=2, least=2, seconds=0.0, turn=0.002, short_turn=0.002, heats=1, pause=0.0, quick=True)


def turns(names: Sequence[str], number: int) -> list[str]:
    """Return the order of rivals in a round.

    >>> turns(["A", "B"], 0), turns(["A", "B"], 1)
    (['A', 'B'], ['B', 'A'])
    """
    return list(names) if number % 2 == 0 else list(names)[::-1]


@dataclass
class Driver:
    """Measures cases. `folder` is a temporary folder for the outputs of workers."""

    plan: Plan
    folder: Path
    start: Callable[..., Any] = Handle
    versions: dict[str, str] = field(default_factory=dict)
    _references: dict[int, Any] = field(default_factory=dict)
    _shared: dict[tuple[Any, ...], Any] = field(default_factory=dict)  # the workers of one group of cases

    def measure(self, job: str, case: Case, threads: int) -> Row:
        """Measure one row. It records rivals that are missing, crash or disagree; the others run on."""
        rivals = [Measured(rival.name, rival.peer) for rival in case.rivals]
        aims = [aim.on(threads) for aim in case.aims]
        row = Row(job, case.name, threads, rivals, aims, case.flop, case.unit, case.note, case.group)
        handles: dict[str, Any] = {}
        try:
            self._prepare(job, case, row, handles)
            if row.ours.name in handles and len(handles) > 1:
                if case.fresh:
                    self._fresh_rounds(job, case, row, handles)
                else:
                    self._rounds(row, handles)
        finally:
            if not case.group:
                for handle in handles.values():
                    handle.close()
        return row

    def close(self) -> None:
        """End the reference's workers and those of a group."""
        for handles in (self._references, self._shared):
            for handle in handles.values():
                handle.close()
            handles.clear()

    # Before the timing

    def _prepare(self, job: str, case: Case, row: Row, handles: dict[str, Any]) -> None:
        """Start a worker for each rival that can run, and keep those that computed what minigrad did."""
        for rival, measured in zip(case.rivals, row.rivals, strict=True):
            measured.missing = _missing(rival)
            if not measured.missing:
                handles[rival.name] = self._started_rival(job, case, rival, row.threads)
                handles[rival.name].begin_to_prepare()
        outputs: dict[str, Any] = {}
        for measured in row.rivals:
            if measured.name in handles:
                with _noting_failure(measured, handles):
                    answer = handles[measured.name].answer()
                    measured.missing = answer.get("unavailable", "")
                    if measured.missing:
                        handles.pop(measured.name).close()
                        continue
                    measured.units = answer["units"]
                    self.versions.update(answer["versions"])
                    outputs[measured.name] = handles[measured.name].outputs()
        if row.ours.name in outputs:
            self._compare(case, row, handles, outputs)

    def _compare(self, case: Case, row: Row, handles: dict[str, Any], outputs: Mapping[str, Any]) -> None:
        ours = outputs[row.ours.name]
        for measured in row.rivals[1:]:
            if measured.name in outputs:
                theirs = outputs[measured.name]
                words = agreement.disagreement(ours, theirs, case.share)
                if words:
                    measured.failed = f"disagrees with {row.ours.name}, and was not timed: {words}"
                    handles.pop(measured.name).close()

    def _started_rival(self, job: str, case: Case, rival: Rival, threads: int) -> Any:
        place: tuple[Any, ...] = (job, case.name, rival.name, threads)
        if rival.checkout:  # minigrad's own work, in another process
            place = (job, case.name, case.rivals[0].name, threads, rival.checkout)
        return self._shared_by(case.group, *place) if case.group else self._started(*place)

    def _shared_by(self, group: str, job: str, case: str, rival: str, threads: int, *checkout: str) -> Any:
        """The running worker of a group, which goes on to this case, or a new one; ends those of another group."""
        key = (group, job, threads, rival, *checkout)
        for other in [other for other in self._shared if other[:3] != key[:3]]:
            self._shared.pop(other).close()
        if key not in self._shared or not self._shared[key].running:
            self._shared[key] = self._started(job, case, rival, threads, *checkout)
        self._shared[key].case = case
        return self._shared[key]

    def _started(self, job: str, case: str, rival: str, threads: int, *checkout: str) -> Any:
        return self.start(job, case, rival, threads, self.folder, self.plan.quick, *checkout)

    # The timing

    def _rounds(self, row: Row, handles: dict[str, Any]) -> None:
        reference = None if row.group else self._reference(row.threads)
        lasts = self._warm_up(row, handles)
        number, rounds = 0, self.plan.rounds
        while number < rounds and row.ours.name in handles:
            if reference is not None:
                row.reference.append(reference.round(1))
                time.sleep(self._pause(row))
            self._one_round(row, handles, number)
            number += 1
            if number == self.plan.heats:
                self._leave_out_the_slow(row, handles)
                each = sum(lasts[name] + 2 * self._pause(row) for name in handles)
                rounds = max(self.plan.least, min(rounds, int(self.plan.seconds / each)))

    def _warm_up(self, row: Row, handles: dict[str, Any]) -> dict[str, float]:
        """One round that only serves to choose how many calls a turn has; how long each rival's turn lasts."""
        lasts = {}
        turn = self.plan.short_turn if row.group else self.plan.turn
        for measured in row.rivals:
            if measured.name in handles:
                with _noting_failure(measured, handles):
                    once = handles[measured.name].round(1) * measured.units
                    measured.calls = max(1, round(turn / once))
                    lasts[measured.name] = once * measured.calls
                time.sleep(self._pause(row))
        return lasts

    def _one_round(self, row: Row, handles: dict[str, Any], number: int) -> None:
        by_name = {measured.name: measured for measured in row.rivals}
        for name in turns([m.name for m in row.rivals if m.name in handles], number):
            measured = by_name[name]
            with _noting_failure(measured, handles):
                measured.values.append(handles[name].round(measured.calls))
            time.sleep(self._pause(row))

    def _pause(self, row: Row) -> float:
        return self.plan.pause if row.threads > 1 else 0.0

    def _leave_out_the_slow(self, row: Row, handles: dict[str, Any]) -> None:
        """Compare best rounds, so that one disturbed round does not eliminate a variant."""
        for peer in row.peers:
            best = {v.name: min(v.values) for v in row.variants(peer) if v.name in handles}
            for name, seconds in best.items():
                if seconds > self.plan.chance * min(best.values()):
                    handles.pop(name).close()

    def _fresh_rounds(self, job: str, case: Case, row: Row, handles: dict[str, Any]) -> None:
        """Run rounds with a new process for every rival; the processes that were compared are closed."""
        by_name = {measured.name: measured for measured in row.rivals}
        for handle in handles.values():
            handle.close()
        for number in range(min(self.plan.fresh, self.plan.rounds)):
            for name in turns([m.name for m in row.rivals if m.name in handles], number):
                handles[name] = self._started_rival(job, case, case.rival(name), row.threads)
                with _noting_failure(by_name[name], handles):
                    handles[name].begin_to_prepare(outputs=False)
                    handles[name].answer()
                    by_name[name].values.append(handles[name].round(1))
                    handles[name].close()
            if row.ours.name not in handles:
                return

    def _reference(self, threads: int) -> Any:
        """The worker of the reference product, the same for all rows of a number of threads."""
        if threads not in self._references:
            handle = self._started(reference.__name__, "product", "NumPy", threads)
            handle.begin_to_prepare()
            self.versions.update(handle.answer()["versions"])
            self._references[threads] = handle
        return self._references[threads]


@contextmanager
def _noting_failure(measured: Measured, handles: dict[str, Any]) -> Iterator[None]:
    """A worker that ends within is noted and no longer among the handles."""
    try:
        yield
    except Failed as error:
        measured.failed = str(error)
        handles.pop(measured.name).close()


def _missing(rival: Rival) -> str:
    """Why a rival cannot run, if packages are missing."""
    absent = [package for package in rival.needs if importlib.util.find_spec(package) is None]
    return f"needs {', '.join(absent)}: {how_to_install(None, *absent)}" if absent else ""
