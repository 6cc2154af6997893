"""What a claim is: a statement, the propositions that make it up, and the verdict that examples give it.

A *proposition* says something of every example of a domain (see `theory.domains`), and has a checker that raises
:class:`Refuted` (an AssertionError) for an example of which it is false, and returns nothing for all others. A
*claim* gathers the propositions of one statement of the source: those *printed* there, those *corrected*,
and those *general*, which say more than the source does. Checking them gives a :class:`Verdict`:

- *holds*: every proposition survived;
- *holds more generally than stated*: so did those that say more;
- *false as printed*: a printed one was refuted, by the smallest counterexample found, and all others survived;
- *refuted*: a corrected or general one was refuted. No claim expects that;
- *broken*: a checker raised something else than a refutation, or a domain has not what it promises, so that nothing
  can be said.

A claim also says which of its propositions are false, and a verdict is the expected one only if these and no others
were refuted. What it states instead names the propositions that check it.

A checker is ordinary code on NumPy and minigrad, so a wrong formula in it is found as a wrong formula
in a model is: by an example.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from hypothesis.errors import HypothesisException, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from numpy.typing import ArrayLike

from theory.domains import Domain, Source, as_domain
from theory.identity import content

__all__ = [
    "BROKEN", "FALSE", "GENERAL", "HOLDS", "REFUTED", "Claim", "Corrected", "Proposition", "Refuted", "Result",
    "Statement", "Unsound", "Verdict", "agree", "require",
]  # fmt: skip

HOLDS = "holds"
GENERAL = "holds more generally than stated"
FALSE = "false as printed"
REFUTED = "refuted"
BROKEN = "broken"

Role = Literal["printed", "corrected", "general"]


class Refuted(AssertionError):  # noqa: N818 - the word of the field
    """An example of which a proposition is false; the message says how."""


class Unsound(Exception):  # noqa: N818 - the word of the field
    """A checker's own certificate does not stand: neither does the refutation that it would give."""


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
class Corrected(Statement):
    """What holds in place of what is printed, and the names of the 'corrected' propositions that check it."""

    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposition:
    """Something that is said of every example of a domain.

    name: a few words. statement: what is said. check: takes an example, raises Refuted if the statement is false of it
    and returns nothing. domain: a :class:`theory.domains.Domain`, which says whether its examples are all that the
    statement speaks of, and what it promises; or a Hypothesis strategy, a list, or a function that gives examples for a
    number of them, the smallest first: a sample. role: 'printed' in the source, 'corrected', or 'general', which says
    more than the source does. false: whether it is known to be false, so that checking it should refute it; only a
    printed one may be. share: of the number of examples that a check of the claim asks for; a costly
    proposition has less than 1. show: how a counterexample is written.
    """

    name: str
    statement: str
    check: Callable[[Any], None]
    domain: Domain | Source
    role: Role = "printed"
    share: float = 1.0
    show: Callable[[Any], str] = repr
    false: bool = False

    @cached_property
    def examples(self) -> Domain:
        """The domain, if need be one that promises nothing."""
        return as_domain(self.domain)

    @property
    def exhaustive(self) -> bool:
        """Whether all cases that the statement speaks of are checked, rather than a sample."""
        return self.examples.exhaustive

    def examine(self, max_examples: int, seed: int, claim: str = "") -> Result:
        """Check up to `share * max_examples` examples, at least one, or all cases that the domain enumerates.

        claim: the number of the claim, for errors.

        Raises:
            TypeError: if the checker returns something, such as the truth of a comparison.
            ValueError: for a domain without examples: of nothing, everything is true.
        """
        started = time.monotonic()
        log = _Log(self.check, self.examples)
        most = max(1, math.ceil(self.share * max_examples))
        where = f"claim {claim}: {self.name}" if claim else self.name
        try:
            log.run(most, seed)
        except Unsatisfiable:
            raise ValueError(f"{where}: no example of its domain could be made") from None
        except _Returned as returned:
            raise TypeError(
                f"{where}: its checker returned {returned} for {self.show(returned.example)}; a checker raises to "
                "refute (theory.require, theory.agree) and returns nothing to accept"
            ) from None
        except Exception:
            if log.failure is None:  # not the checker but the domain failed
                raise
        if log.failure is None and not log.cases:
            raise ValueError(f"{where}: its domain has no example, so there is nothing to check")
        seconds = time.monotonic() - started
        if log.failure is not None:
            failure = log.failure
            return Result(self, False, log.cases, failure.example, failure.message, seconds, failure.broken)
        short = log.short(most)
        return Result(self, not short, log.cases, None, short, seconds, bool(short), bool(short))


class _Returned(Exception):  # noqa: N818 - no error but news
    """What a checker returned, and for which example."""

    def __init__(self, value: Any, example: Any) -> None:
        super().__init__(repr(value))
        self.example = example


@dataclass(frozen=True)
class _Failure:
    """The example that ended a check; broken: not by a refutation."""

    example: Any
    message: str
    broken: bool


class _Log:
    """A checker that counts the examples it was given, remembers the last that failed, and holds a domain to its word.

    missing: the features of the domain that no example had so far.
    """

    def __init__(self, check: Callable[[Any], None], domain: Domain) -> None:
        self.check = check
        self.domain = domain
        self.cases = 0
        self.failure: _Failure | None = None
        self.missing = list(domain.reaches)
        self.seen: Counter[int] = Counter()

    def run(self, most: int, seed: int) -> None:
        """Check a number of examples, and one more for each feature that none of them has."""
        self.domain.run(self, most, seed)
        for feature in list(self.missing):
            if feature in self.missing:  # an example may have several
                self.domain.fill(self, feature, seed)

    def __call__(self, example: Any) -> None:
        try:
            if self.domain.certify is not None:
                self.domain.certify(example)
        except AssertionError as wrong:
            self.failure = _Failure(example, f"this is no example of the domain: {wrong}", True)
            raise
        try:
            returned: Any = self.check(example)
        except HypothesisException:  # such as an assumption that the example does not meet: it does not count
            raise
        except AssertionError as refuted:
            self.failure = _Failure(example, str(refuted), False)  # Hypothesis runs the smallest that it found last
            self.cases += 1
            raise
        except Unsound as wrong:
            self.failure = _Failure(example, f"the check is not sound: {wrong}", True)
            raise
        except Exception as error:
            self.failure = _Failure(example, f"the checker broke: {type(error).__name__}: {error}", True)
            raise
        if returned is not None:
            raise _Returned(returned, example)
        self.cases += 1
        self.missing = [feature for feature in self.missing if not self.domain.reaches[feature](example)]
        if self.domain.exhaustive:
            self.seen[hash(content(example))] += 1

    def short(self, most: int) -> str:
        """How the examples fall short of what the domain promises; empty if they do not."""
        if self.missing:
            return f"the domain falls short: none of {self.cases:,} examples has {self.missing[0]}"
        promised = self.cases if self.domain.count is None else self.domain.count(most)
        if self.cases != promised:
            return f"the domain falls short: it has {self.cases:,} cases, {promised:,} are promised"
        twice = sum(self.seen.values()) - len(self.seen)
        return f"the domain falls short: {twice:,} of its {self.cases:,} cases come twice" if twice else ""


@dataclass(frozen=True)
class Result:
    """What checking a proposition gave: whether it survived, on how many cases, and, if not, where it fails.

    broken: whether the checker raised something else than a refutation, or the domain is not what it promises; nothing
    is known then. short: whether the domain lacks something that it promises; then no example is to blame.
    """

    proposition: Proposition
    holds: bool
    cases: int
    counterexample: Any = None
    message: str = ""
    seconds: float = 0.0
    broken: bool = False
    short: bool = False

    @property
    def as_expected(self) -> bool:
        """Whether it was refuted if it is known to be false, and survived if not."""
        return not self.broken and self.holds != self.proposition.false

    @property
    def kind(self) -> str:
        """How much was checked: 'all' cases that are spoken of, a 'sample', or until it was 'refuted'."""
        return "refuted" if not self.holds else "all" if self.proposition.exhaustive else "sample"

    @property
    def extent(self) -> str:
        """How much was checked, in words."""
        words = {"all": f"all {self.cases:,} cases", "sample": f"a sample of {self.cases:,}"}
        return words.get(self.kind, f"case {self.cases:,}")

    @property
    def shown(self) -> str:
        """The counterexample, written; empty if there is none."""
        return "" if self.holds or self.short else self.proposition.show(self.counterexample)


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
    def corrected(self) -> Corrected | None:
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
            "corrected_by": [] if self.corrected is None else list(self.corrected.by),
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
    that a check should have. corrected: what holds, where the printed statement does not, and the names of all
    propositions of the role 'corrected', which check it: one at least. proof: a few lines of
    Markdown. draw: gives a matplotlib figure. display: gives what `theory show` prints. measure: gives figures
    that are measured rather than proven, as Markdown for the page.
    """

    number: str
    title: str
    statement: Statement
    source: str
    propositions: tuple[Proposition, ...]
    expected: str = HOLDS
    corrected: Corrected | None = None
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
        names = [p.name for p in self.propositions]
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise ValueError(f"claim {self.number}: two of its propositions have the same name, {twice}")
        if self.corrected is not None:
            self._check_corrected(self.corrected)

    def _check_corrected(self, corrected: Statement) -> None:
        """Raise ValueError unless the corrected statement names those that check it, and these do."""
        by = getattr(corrected, "by", ())
        if not by:
            raise ValueError(
                f"claim {self.number}: its corrected statement names no proposition that checks it: "
                "Corrected(text, latex, by=(name, …)), each of the role 'corrected'"
            )
        role = [p.name for p in self.propositions if p.role == "corrected"]
        if sorted(by) != sorted(role):
            raise ValueError(
                f"claim {self.number}: its corrected statement says that it is checked by {', '.join(by)}; "
                f"the propositions of the role 'corrected' are {', '.join(role) or 'none'}"
            )

    @property
    def strategy(self) -> SearchStrategy[Any]:
        """A Hypothesis strategy for the examples of the first proposition."""
        return self.propositions[0].examples.strategy

    def check(self, max_examples: int = 100, seed: int = 0, report: Callable[[Result], None] | None = None) -> Verdict:
        """Check every proposition on up to `max_examples` examples drawn by `seed`.

        report: called with the result of each proposition as it comes.
        """
        if type(max_examples) is not int or max_examples < 1:
            raise ValueError(f"claim {self.number}: max_examples must be an int of at least 1; got {max_examples!r}")
        results = []
        for proposition in self.propositions:
            results.append(proposition.examine(max_examples, seed, self.number))
            if report is not None:
                report(results[-1])
        return Verdict(self, _outcome(results), tuple(results))

    def counterexample(self, max_examples: int = 100, seed: int = 0) -> Any:
        """The smallest counterexample found to a printed proposition; None if all survive."""
        printed = (p for p in self.propositions if p.role == "printed")
        results = (p.examine(max_examples, seed, self.number) for p in printed)
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
