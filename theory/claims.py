"""What a claim is: a statement, the propositions that make it up, and the verdict that examples give it.

A *proposition* says something of every example of a domain, a Hypothesis strategy or a list of cases, and
has a checker that raises :class:`Refuted` (an AssertionError) for an example of which it is false. A
*claim* gathers the propositions of one statement of the source: those *printed* there, those *corrected*,
and those *general*, which say more than the source does. Checking them gives a :class:`Verdict`:

- *holds*: every proposition survived;
- *holds more generally than stated*: so did those that say more;
- *false as printed*: a printed one was refuted, by the smallest counterexample found, and all others survived;
- *refuted*: a corrected or general one was refuted. No claim expects that;
- *broken*: a checker raised something else than a refutation, so that nothing can be said.

A claim also says which of its propositions are false, and a verdict is the expected one only if these and no others
were refuted.

A checker is ordinary code on NumPy and minigrad, so a wrong formula in it is found as a wrong formula
in a model is: by an example.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from numpy.typing import ArrayLike

__all__ = [
    "BROKEN", "FALSE", "GENERAL", "HOLDS", "REFUTED", "Claim", "Proposition", "Refuted", "Result", "Statement",
    "Verdict", "agree", "every", "require",
]  # fmt: skip

HOLDS = "holds"
GENERAL = "holds more generally than stated"
FALSE = "false as printed"
REFUTED = "refuted"
BROKEN = "broken"

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
    """Raise :class:`Refuted` unless two arrays of numbers have one shape and entries equal to rounding.

    Equal means |actual - expected| <= tolerance * max(1, the largest finite |expected|): of entries of very unlike
    sizes, compare them apart. An expected infinity or NaN must be met exactly.

    >>> agree([1.0, 2.0], [1.0, 2.5], "the product")
    Traceback (most recent call last):
    theory.claims.Refuted: the product: entry (1,) is 2, expected 2.5
    """
    a, b = (x.astype(np.int8) if x.dtype == bool else x for x in (np.asarray(actual), np.asarray(expected)))
    require(a.shape == b.shape, f"{what}: the shape is {a.shape}, expected {b.shape}")
    finite = np.isfinite(b)
    scale = max(1.0, float(np.abs(b[finite]).max(initial=0.0)))
    with np.errstate(invalid="ignore"):  # inf - inf, decided exactly
        close = np.where(finite, np.abs(a - b) <= tolerance * scale, (a == b) | (np.isnan(a) & np.isnan(b)))
    if not close.all():
        at = tuple(int(i) for i in np.argwhere(~close)[0])
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
    false of it. domain: a Hypothesis strategy, from which examples are drawn and shrunk; or all cases of a finite
    domain, the smallest first: a list, or a function that gives them for a number of examples (the more examples,
    the further it may go). role: 'printed' in the source, 'corrected', or 'general', which says more than the source
    does. false: whether it is known to be false, so that checking it should refute it; only a printed one may be.
    share: of the number of examples that a check of the claim asks for; a costly proposition has less than 1.
    show: how a counterexample is written.
    """

    name: str
    statement: str
    check: Callable[[Any], None]
    domain: SearchStrategy[Any] | Callable[[int], Iterable[Any]] | Sequence[Any]
    role: Role = "printed"
    share: float = 1.0
    show: Callable[[Any], str] = repr
    false: bool = False

    @property
    def exhaustive(self) -> bool:
        """Whether every case of a finite domain is checked, rather than a sample."""
        return not isinstance(self.domain, SearchStrategy)

    def cases(self, max_examples: int) -> Iterable[Any]:
        """All cases of a finite domain for a number of examples."""
        domain: Any = self.domain
        cases: Iterable[Any] = domain(max_examples) if callable(domain) else domain
        return cases

    def examine(self, max_examples: int, seed: int) -> Result:
        """Check up to `share * max_examples` examples, at least one, or all cases of a finite domain.

        A domain that yields no example is a ValueError: of nothing, everything is true.
        """
        started = time.monotonic()
        log = _Log(self.check)
        most = max(1, math.ceil(self.share * max_examples))
        try:
            if self.exhaustive:
                for case in self.cases(most):
                    log(case)
            else:
                self._sample(log, most, seed)
        except Exception:
            if log.failure is None:  # not the checker but the domain failed
                raise
        if log.failure is None and not log.cases:
            raise ValueError(f"{self.name}: its domain has no example, so there is nothing to check")
        example, message, broken = log.failure or (None, "", False)
        return Result(self, log.failure is None, log.cases, example, message, time.monotonic() - started, broken)

    def _sample(self, log: Callable[[Any], None], max_examples: int, seed: int) -> None:
        quietly = settings(
            max_examples=max_examples, database=None, deadline=None, derandomize=False, print_blob=False,
            phases=(Phase.generate, Phase.shrink), verbosity=Verbosity.quiet, report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip

        def test(example: Any) -> None:
            log(example)

        try:
            hypothesis_seed(seed)(quietly(given(self.domain)(test)))()  # type: ignore[arg-type]
        except Unsatisfiable:
            raise ValueError(f"{self.name}: no example of its domain could be made") from None


class _Log:
    """A checker that counts the examples it was given, and remembers the last that failed."""

    def __init__(self, check: Callable[[Any], None]) -> None:
        self.check = check
        self.cases = 0
        self.failure: tuple[Any, str, bool] | None = None  # example, message, whether the checker broke

    def __call__(self, example: Any) -> None:
        try:
            self.check(example)
        except HypothesisException:  # such as an assumption that the example does not meet: it does not count
            raise
        except AssertionError as refuted:
            self.failure = example, str(refuted), False  # Hypothesis runs the smallest that it found last
            self.cases += 1
            raise
        except Exception as error:
            self.failure = example, f"the checker broke: {type(error).__name__}: {error}", True
            raise
        self.cases += 1


@dataclass(frozen=True)
class Result:
    """What checking a proposition gave: whether it survived, on how many cases, and, if not, where it fails.

    broken: whether the checker raised something else than a refutation; nothing is known then.
    """

    proposition: Proposition
    holds: bool
    cases: int
    counterexample: Any = None
    message: str = ""
    seconds: float = 0.0
    broken: bool = False

    @property
    def as_expected(self) -> bool:
        """Whether it was refuted if it is known to be false, and survived if not."""
        return not self.broken and self.holds != self.proposition.false

    @property
    def kind(self) -> str:
        """How much was checked: 'all' cases of a finite domain, a 'sample', or until it was 'refuted'."""
        return "refuted" if not self.holds else "all" if self.proposition.exhaustive else "sample"

    @property
    def shown(self) -> str:
        """The counterexample, written; empty if there is none."""
        return "" if self.holds else self.proposition.show(self.counterexample)


@dataclass(frozen=True)
class Verdict:
    """What a check of a claim found.

    outcome: one of the words of the module's page. expected: the one that the claim expects. results:
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
        """Whether the outcome is the expected one, and those propositions that are known to be false made it so."""
        return self.outcome == self.expected and all(result.as_expected for result in self.results)

    @property
    def refuted(self) -> tuple[str, ...]:
        """The names of the propositions that were refuted."""
        return tuple(result.proposition.name for result in self.results if not result.holds)

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
        failed = [result for result in self.results if not result.holds and not result.broken]
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
                    "as_expected": r.as_expected,
                    "broken": r.broken,
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
        if any(p.false and p.role != "printed" for p in self.propositions):
            raise ValueError(f"claim {self.number}: only a printed proposition may be known to be false")
        if any(p.false for p in self.propositions) != (self.expected == FALSE):
            raise ValueError(
                f"claim {self.number}: some proposition must have false=True exactly if the claim is {FALSE!r}"
            )

    @property
    def strategy(self) -> SearchStrategy[Any]:
        """A Hypothesis strategy for the examples of the first proposition."""
        first = self.propositions[0]
        domain: Any = first.domain
        return st.deferred(lambda: st.sampled_from(list(first.cases(100)))) if first.exhaustive else domain

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
        return next((result.counterexample for result in results if not result.holds and not result.broken), None)

    def figure(self) -> Any:
        """The claim's picture, a matplotlib Figure. A claim without one is a ValueError."""
        if self.draw is None:
            raise ValueError(f"claim {self.number} has no figure")
        return self.draw()

    def show(self) -> str:
        """The claim in the source's own numbers, as text. A claim without them shows its statement."""
        return self.statement.text if self.display is None else self.display()


def _outcome(results: Iterable[Result]) -> str:
    results = list(results)
    if any(result.broken for result in results):
        return BROKEN
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
