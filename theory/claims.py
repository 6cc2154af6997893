"""What a claim is: a statement, the propositions that make it up, and the verdict that examples give it.

A claim gathers the propositions (see `theory.propositions`) of one statement of the source: those *printed* there,
those *corrected*, and those *general*, which say more than the source does. Checking them gives a :class:`Verdict`:

- *holds*: every proposition survived;
- *holds more generally than stated*: so did those that say more;
- *false as printed*: a printed one was refuted, by the smallest counterexample found, and all others survived;
- *refuted*: a corrected or general one was refuted. No claim expects that;
- *broken*: a proposition is, so that nothing can be said.

A claim also says which of its propositions are false, and a verdict is the expected one only if these and no others
were refuted. What it states instead names the propositions that check it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from theory.propositions import Proposition, Result

__all__ = ["BROKEN", "FALSE", "GENERAL", "HOLDS", "REFUTED", "Claim", "Corrected", "Statement", "Verdict"]

HOLDS = "holds"
GENERAL = "holds more generally than stated"
FALSE = "false as printed"
REFUTED = "refuted"
BROKEN = "broken"


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
