"""What a claim is: a statement, the propositions that make it up, and the verdict that examples give it.

A *proposition* says something of every example of a domain, a Hypothesis strategy or a finite list, and
has a checker that raises :class:`Refuted` (an AssertionError) for an example of which it is false. A
*claim* gathers the propositions of one statement of the source: those *printed* there, those *corrected*,
and those *general*, which say more than the source does. Checking them gives a :class:`Verdict`:

- *holds*: every proposition survived;
- *holds more generally than stated*: so did those that say more;
- *false as printed*: a printed one was refuted, by the smallest counterexample found, and all others survived;
- *refuted*: a corrected or general one was refuted. No claim expects that.

A checker is ordinary code on NumPy and minigrad, so a wrong formula in it is found as a wrong formula
in a model is: by an example.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis.strategies import SearchStrategy
from numpy.typing import ArrayLike

__all__ = [
    "FALSE", "GENERAL", "HOLDS", "REFUTED", "Claim", "Proposition", "Refuted", "Result", "Statement", "Verdict",
    "agree", "every", "require",
]  # fmt: skip

HOLDS = "holds"
GENERAL = "holds more generally than stated"
FALSE = "false as printed"
REFUTED = "refuted"

Role = Literal["printed", "corrected", "general"]


class Refuted(AssertionError):  # noqa: N818 - the word of the field
    """An example of which a proposition is false; the message says how."""


def require(condition: object, message: str) -> None:
    """Raise :class:`Refuted` with the message unless the condition is true.

    >>> require(1 + 1 == 2, "arithmetic")
    >>> require(1 + 1 == 3, "one and one is two")
    Traceback (most recent call last):
    theory.claims.Refuted: one and one is two
    """
    if not condition:
        raise Refuted(message)


def agree(actual: ArrayLike, expected: ArrayLike, what: str, tolerance: float = 1e-9) -> None:
    """Raise :class:`Refuted` unless two arrays have one shape and entries equal to rounding.

    Equal means |actual - expected| <= tolerance * max(1, the largest |expected|).

    >>> agree([1.0, 2.0], [1.0, 2.5], "the product")
    Traceback (most recent call last):
    theory.claims.Refuted: the product: entry (1,) is 2, expected 2.5
    """
    a, b = np.asarray(actual), np.asarray(expected)
    require(a.shape == b.shape, f"{what}: the shape is {a.shape}, expected {b.shape}")
    scale = max(1.0, float(np.abs(b).max(initial=0.0)))
    wrong = ~(np.abs(a - b) <= tolerance * scale)  # a NaN is wrong too
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Refuted(f"{what}: entry {at} is {a[at]:.10g}, expected {b[at]:.10g}")


@dataclass(frozen=True)
class Statement:
    """Words for the terminal (`text`), and for a page (`latex`, mathematics in LaTeX between dollars)."""

    text: str
    latex: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Proposition:
    """Something that is said of every example of a domain.

    name: a few words. statement: what is said. check: takes an example and raises Refuted if the statement is
    false of it. domain: a Hypothesis strategy, from which examples are drawn and shrunk; or a function that
    gives all cases of a finite domain for a number of examples (the more examples, the further it may
    go), the smallest first. role: 'printed' in the source, 'corrected', or 'general', which says more
    than the source does. share: of the number of examples that a check of the claim asks for; a costly
    proposition has less than 1. show: how a counterexample is written.
    """

    name: str
    statement: str
    check: Callable[[Any], None]
    domain: SearchStrategy[Any] | Callable[[int], Iterable[Any]]
    role: Role = "printed"
    share: float = 1.0
    show: Callable[[Any], str] = repr

    @property
    def exhaustive(self) -> bool:
        """Whether every case of a finite domain is checked, rather than a sample."""
        return not isinstance(self.domain, SearchStrategy)

    def examine(self, max_examples: int, seed: int) -> Result:
        """Check up to `share * max_examples` examples, at least one, or all cases of a finite domain."""
        started = time.monotonic()
        search = self._go_through if self.exhaustive else self._sample
        cases, failure = search(max(1, math.ceil(self.share * max_examples)), seed)
        example, message = failure or (None, "")
        return Result(self, failure is None, cases, example, message, time.monotonic() - started)

    def _go_through(self, max_examples: int, seed: int) -> tuple[int, tuple[Any, str] | None]:
        cases = 0
        domain: Any = self.domain
        for example in domain(max_examples):
            cases += 1
            try:
                self.check(example)
            except AssertionError as refuted:
                return cases, (example, str(refuted))
        return cases, None

    def _sample(self, max_examples: int, seed: int) -> tuple[int, tuple[Any, str] | None]:
        cases = 0
        failure: tuple[Any, str] | None = None  # Hypothesis runs the smallest that it found last

        def test(example: Any) -> None:
            nonlocal cases, failure
            cases += 1
            try:
                self.check(example)
            except AssertionError as refuted:
                failure = example, str(refuted)
                raise

        quietly = settings(
            max_examples=max_examples, database=None, deadline=None, derandomize=False, print_blob=False,
            phases=(Phase.generate, Phase.shrink), verbosity=Verbosity.quiet, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        try:
            hypothesis_seed(seed)(quietly(given(self.domain)(test)))()  # type: ignore[arg-type]
        except AssertionError:
            if failure is None:
                raise
        return cases, failure


@dataclass(frozen=True)
class Result:
    """What checking a proposition gave: whether it survived, on how many cases, and, if not, where it fails."""

    proposition: Proposition
    holds: bool
    cases: int
    counterexample: Any = None
    message: str = ""
    seconds: float = 0.0

    @property
    def shown(self) -> str:
        """The counterexample, written; empty if there is none."""
        return "" if self.holds else self.proposition.show(self.counterexample)


@dataclass(frozen=True)
class Verdict:
    """What a check of a claim found.

    outcome: one of the four words of the module's page. expected: the one that the claim expects. results:
    one a proposition.
    """

    claim: Claim
    outcome: str
    results: tuple[Result, ...]

    @property
    def expected(self) -> str:
        """The outcome that the claim expects."""
        return self.claim.expected

    @property
    def as_expected(self) -> bool:
        """Whether the outcome is the expected one."""
        return self.outcome == self.expected

    @property
    def cases(self) -> int:
        """How many examples were tried, of all propositions together."""
        return sum(result.cases for result in self.results)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return sum(result.seconds for result in self.results)

    @property
    def counterexample(self) -> Any:
        """The smallest counterexample found to the printed statement, or else to another; None if all survived."""
        failed = [result for result in self.results if not result.holds]
        failed.sort(key=lambda result: result.proposition.role != "printed")
        return failed[0].counterexample if failed else None

    @property
    def corrected(self) -> Statement | None:
        """What holds in place of what is printed; None where the printed statement holds."""
        return self.claim.corrected if self.outcome == FALSE else None

    def to_json(self) -> dict[str, Any]:
        """The verdict as a dict of what JSON has."""
        return {
            "number": self.claim.number,
            "statement": self.claim.statement.text,
            "source": self.claim.source,
            "verdict": self.outcome,
            "expected": self.expected,
            "as_expected": self.as_expected,
            "cases": self.cases,
            "seconds": round(self.seconds, 3),
            "corrected": None if self.corrected is None else self.corrected.text,
            "propositions": [
                {
                    "name": r.proposition.name,
                    "statement": r.proposition.statement,
                    "role": r.proposition.role,
                    "holds": r.holds,
                    "cases": r.cases,
                    "exhaustive": r.proposition.exhaustive,
                    "counterexample": None if r.holds else r.shown,
                    "message": r.message,
                }
                for r in self.results
            ],
        }


@dataclass(frozen=True)
class Claim:
    """A claim of the source, or one of your own.

    number: its name in the registry. title: a few words. statement: what is claimed. source: where.
    propositions: what is checked; the first is the printed statement itself. expected: the outcome
    that a check should have. corrected: what holds, where the printed statement does not. proof: a few lines of
    Markdown. draw: gives a matplotlib figure. display: gives what `theory show` prints. measure: gives figures
    that are measured rather than proven, as Markdown for the page.
    """

    number: str
    title: str
    statement: Statement
    source: str
    propositions: tuple[Proposition, ...]
    expected: str = HOLDS
    corrected: Statement | None = None
    proof: str = ""
    draw: Callable[[], Any] | None = None
    display: Callable[[], str] | None = None
    measure: Callable[[], str] | None = None

    def __post_init__(self) -> None:
        if not self.propositions:
            raise ValueError(f"claim {self.number}: it has no propositions, so there is nothing to check")
        if self.expected not in (HOLDS, GENERAL, FALSE):
            raise ValueError(
                f"claim {self.number}: expected must be {HOLDS!r}, {GENERAL!r} or {FALSE!r}; got {self.expected!r}"
            )
        if (self.corrected is None) == (self.expected == FALSE):
            raise ValueError(f"claim {self.number}: a claim has a corrected statement exactly if it is {FALSE!r}")

    @property
    def strategy(self) -> SearchStrategy[Any] | Callable[[int], Iterable[Any]]:
        """The domain of the first proposition: a Hypothesis strategy, or a function that gives all its cases."""
        return self.propositions[0].domain

    def check(self, max_examples: int = 100, seed: int = 0, report: Callable[[Result], None] | None = None) -> Verdict:
        """Check every proposition on up to `max_examples` examples drawn by `seed`.

        report: called with the result of each proposition as it comes.
        """
        if type(max_examples) is not int or max_examples < 1:
            raise ValueError(f"claim {self.number}: max_examples must be an int of at least 1; got {max_examples!r}")
        results = []
        for proposition in self.propositions:
            results.append(proposition.examine(max_examples, seed))
            if report is not None:
                report(results[-1])
        return Verdict(self, _outcome(results), tuple(results))

    def counterexample(self, max_examples: int = 100, seed: int = 0) -> Any:
        """The smallest counterexample found to a printed proposition; None if all survive."""
        printed = (p for p in self.propositions if p.role == "printed")
        results = (p.examine(max_examples, seed) for p in printed)
        return next((result.counterexample for result in results if not result.holds), None)

    def figure(self) -> Any:
        """The claim's picture, a matplotlib Figure. A claim without one is a ValueError."""
        if self.draw is None:
            raise ValueError(f"claim {self.number} has no figure")
        return self.draw()

    def show(self) -> str:
        """The claim in the source's own numbers, as text. A claim without them shows its statement."""
        return self.statement.text if self.display is None else self.display()


def _outcome(results: Iterable[Result]) -> str:
    failed = {result.proposition.role for result in results if not result.holds}
    if failed - {"printed"}:
        return REFUTED
    if failed:
        return FALSE
    return GENERAL if any(result.proposition.role == "general" for result in results) else HOLDS


def every(*cases: Any) -> Callable[[int], Iterator[Any]]:
    """The domain of exactly these cases.

    >>> list(every(1, 2)(100))
    [1, 2]
    """
    return lambda max_examples: iter(cases)
