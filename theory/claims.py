"""Claims: a statement of the homework, its propositions, and the verdict of a check.

The propositions of a claim (see `theory.propositions`) are printed in the homework, correct it, or are more general.
Checking them gives a :class:`Verdict`:

- *holds*: every proposition survived;
- *holds more generally than stated*: so did general ones;
- *false as printed*: a printed proposition was refuted, and all others survived;
- *refuted*: a corrected or general proposition was refuted, which no claim expects;
- *broken*: a proposition is broken, so there is no verdict.

A claim marks its false propositions. A verdict is as expected only if exactly these were refuted.
"""

from __future__ import annotations

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
    """A statement in words for the terminal (`text`) and for a page (`latex`, with LaTeX between dollars)."""

    text: str
    latex: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Corrected(Statement):
    """What holds instead of the printed statement, and the names of the 'corrected' propositions that check it."""

    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The outcome of checking a claim, and the result of each proposition."""

    claim: Claim
    outcome: str
    results: tuple[Result, ...]

    @property
    def expected(self) -> str:
        """The outcome that the claim expects."""
        return self.claim.expected

    @property
    def as_expected(self) -> bool:
        """Whether the outcome is the expected one, and exactly the false propositions were refuted."""
        return self.outcome == self.expected and all(result.as_expected for result in self.results)

    @property
    def refuted(self) -> tuple[str, ...]:
        """The names of the refuted propositions."""
        return tuple(result.proposition.name for result in self.results if not result.holds)

    @property
    def cases(self) -> int:
        """The number of examples checked, over all propositions."""
        return sum(result.cases for result in self.results)

    @property
    def seconds(self) -> float:
        """The time it took."""
        return sum(result.seconds for result in self.results)

    @property
    def counterexample(self) -> Any:
        """The smallest counterexample found to a printed proposition, or else to another; None if all survived."""
        failed = [result for result in self.results if not result.holds and not result.broken]
        failed.sort(key=lambda result: result.proposition.role != "printed")
        return failed[0].counterexample if failed else None

    @property
    def corrected(self) -> Corrected | None:
        """What holds instead of the printed statement; None if the printed statement holds."""
        return self.claim.corrected if self.outcome == FALSE else None

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a dict of JSON values."""
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
    """A claim of the homework, or one of your own.

    Args:
        number: its name in the registry.
        title: a few words.
        statement: the claim itself.
        source: where it is printed.
        propositions: the statements to check; the first is the printed statement itself.
        expected: the expected outcome of a check.
        corrected: what holds instead of a false statement; it names all propositions of the role 'corrected'.
        proof: a few lines of Markdown.
        draw: returns a matplotlib figure.
        display: returns the text of `theory show`.
        measure: returns measured figures, as Markdown for the page.
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
        names = [p.name for p in self.propositions]
        by = () if self.corrected is None else getattr(self.corrected, "by", ())
        role = [p.name for p in self.propositions if p.role == "corrected"]
        mistakes = {
            "a claim needs at least one proposition": not names,
            f"expected must be {HOLDS!r}, {GENERAL!r} or {FALSE!r}; got {self.expected!r}":
                self.expected not in (HOLDS, GENERAL, FALSE),
            f"it needs a corrected statement if and only if it is {FALSE!r}":
                (self.corrected is None) == (self.expected == FALSE),
            "only a printed proposition may be false": any(p.false and p.role != "printed" for p in self.propositions),
            f"some proposition must have false=True if and only if the claim is {FALSE!r}":
                any(p.false for p in self.propositions) != (self.expected == FALSE),
            f"two of its propositions have the same name; the names are {', '.join(names)}":
                len(set(names)) < len(names),
            "its corrected statement names no proposition that checks it: Corrected(text, latex, by=(name, …))":
                self.corrected is not None and not by,
            f"its corrected statement is checked by {', '.join(by) or 'none'}; "
            f"the propositions of the role 'corrected' are {', '.join(role) or 'none'}":
                self.corrected is not None and sorted(by) != sorted(role),
        }  # fmt: skip
        for mistake, made in mistakes.items():
            if made:
                raise ValueError(f"claim {self.number}: {mistake}")

    @property
    def strategy(self) -> SearchStrategy[Any]:
        """A Hypothesis strategy for the examples of the first proposition."""
        return self.propositions[0].examples.strategy

    def check(self, max_examples: int = 100, seed: int = 0, report: Callable[[Result], None] | None = None) -> Verdict:
        """Check every proposition on up to `max_examples` examples generated from `seed`.

        report: called with the result of each proposition.
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
        """Return the smallest counterexample found to a printed proposition; None if all survive."""
        printed = (p for p in self.propositions if p.role == "printed")
        results = (p.examine(max_examples, seed, self.number) for p in printed)
        return next((result.counterexample for result in results if not result.holds and not result.broken), None)

    def figure(self) -> Any:
        """Draw the claim's picture, a matplotlib Figure. A claim without one raises ValueError."""
        if self.draw is None:
            raise ValueError(f"claim {self.number} has no figure")
        return self.draw()

    def show(self) -> str:
        """Return the claim with the numbers of the homework, or else its statement."""
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
