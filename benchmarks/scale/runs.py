"""Which steps are measured where, round by round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.scale.places import Place, run_by_mpiexec, run_by_torch
from benchmarks.scale.work import WARM_UP, Work

__all__ = ["OURS", "THEIRS", "Case", "cases_of", "check_agreement", "measure", "wire_a_step"]

OURS, THEIRS = "minigrad", "PyTorch DDP"
_TOLERANCE = 1e-3  # of losses, relative, after some steps of Adam in float32


@dataclass
class Case:
    """A job on so many ranks in one framework, and what was found in each round."""

    way: str
    framework: str
    ranks: int
    work: Work
    rounds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called while it runs."""
        shards = f", {self.work.shards} shards" if self.work.shards != self.ranks else ""
        ranks = f"{self.ranks} rank{'s' * (self.ranks > 1)}{shards}"
        return f"{self.way}, {self.framework}, {ranks}, {self.work.captions} captions"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Case:
        """What `plain` has written."""
        return cls(**{**plain, "work": Work(**plain["work"])})


def measure(cases: Sequence[Case], place: Place, rounds: int, say: Callable[[str], None]) -> None:
    """Fill in the rounds of cases, which take turns: A B, B A, …

    Raises:
        OSError: if ranks fail.
        ValueError: if frameworks, or numbers of ranks, come to other losses.
    """
    for number in range(rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            say(f"round {number + 1} of {rounds}: {case.name}")
            case.rounds.append(_round(case, place))
    check_agreement(cases)


def _round(case: Case, place: Place) -> dict[str, Any]:
    """One run, with what the wire says of it, if there is one."""
    run, program = (run_by_mpiexec, "steps") if case.framework == OURS else (run_by_torch, "steps_in_torch")
    before = place.counts()
    found: dict[str, Any] = run(place, case.ranks, f"benchmarks.scale.{program}", case.work.text())
    after = place.counts()
    return {**found, "wire": {name: after[name] - before[name] for name in after}}


def check_agreement(cases: Sequence[Case]) -> None:
    """Whatever learns from the same batches has the same losses.

    Raises:
        ValueError: if one has not; it says which.
    """
    for batch, alike in _by_batch(cases):
        first = np.array(alike[0].rounds[0]["losses"])
        for case in alike:
            for found in case.rounds:
                if not np.allclose(found["losses"], first, rtol=_TOLERANCE, atol=0):
                    raise ValueError(f"{case.name}: other losses than {alike[0].name} of the same {batch} captions")


def _by_batch(cases: Sequence[Case]) -> Iterator[tuple[int, list[Case]]]:
    for batch in sorted({case.work.captions for case in cases}):
        yield batch, [case for case in cases if case.work.captions == batch]


def cases_of(
    ways: Sequence[str], ranks: Sequence[int], frameworks: Sequence[str], work: Work, on_each: int, shards: int | None
) -> list[Case]:
    """Strong scaling: work's captions divided by ranks; weak: so many on each rank.

    Raises:
        ValueError: if captions cannot be divided by ranks.
    """
    cases = []
    for way in ways:
        for n in ranks:
            captions = work.captions if way == "strong" else on_each * n
            if captions % n:
                raise ValueError(f"{captions} captions are not divisible by {n} ranks: PyTorch's means would differ")
            for framework in frameworks:
                cases.append(Case(way, framework, n, replace(work, captions=captions, shards=shards or n)))
    return cases


def wire_a_step(case: Case, name: str) -> float:
    """What the network counted in a step: the median of rounds. Of bytes, those that were sent at the start are not in
    it; of the forwarder's processor what it took then is.
    """
    steps = WARM_UP + case.work.steps
    start = [found["sent in all"] - steps * found["sent"] if name == "bytes" else 0.0 for found in case.rounds]
    counts = [found["wire"][name] - before for found, before in zip(case.rounds, start, strict=True)]
    return max(0.0, float(np.median(counts))) / steps
