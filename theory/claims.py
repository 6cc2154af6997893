"""Claims: a statement of homework or folklore, its propositions, and the verdicts of a check.

Checking a claim gives a :class:`Verdict`. It has a verdict, one of the six of `theory.propositions`, on each part:

- the *statement*: the printed propositions, or else the corrected ones;
- the printed *proof*, *formula* and *matrix*;
- the *corrected* statement;
- *more generally*: the general propositions.

The verdict on a part is the worst of its propositions' verdicts. A claim marks its false propositions, and a verdict is
as expected only if exactly these were refuted and all others survived.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from theory.certificates import Certificate
from theory.propositions import (
    BROKEN,
    FLAKY,
    HOLDS,
    NO_COUNTEREXAMPLE,
    PRINTED_PARTS,
    REFUTED,
    UNDECIDED,
    Proposition,
    Result,
)

__all__ = ["Claim", "Corrected", "Statement", "Verdict"]

PARTS = (*PRINTED_PARTS, "corrected", "general")
WORST_FIRST = (BROKEN, REFUTED, FLAKY, UNDECIDED, NO_COUNTEREXAMPLE, HOLDS)


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
    """The verdicts of a check on a claim, and the result of each proposition."""

    claim: Claim
    results: tuple[Result, ...]

    @property
    def parts(self) -> dict[str, str]:
        """The verdict on each part of the claim: 'statement' and, if it has them, 'proof', 'corrected' and so on."""
        by_role: dict[str, list[str]] = {}
        for result in self.results:
            by_role.setdefault(result.proposition.role, []).append(result.verdict)
        worst = {role: min(verdicts, key=WORST_FIRST.index) for role, verdicts in by_role.items()}
        statement = next(worst[role] for role in ("printed", "corrected", *worst) if role in worst)
        return {"statement": statement, **{role: worst[role] for role in PARTS if role in worst}}

    @property
    def outcome(self) -> str:
        """The verdict on the statement."""
        return self.parts["statement"]

    @property
    def printed(self) -> str:
        """The verdicts on the printed proof, formula and matrix, in words."""
        return ", ".join(f"{part}: {word}" for part, word in self.parts.items() if part in PRINTED_PARTS)

    @property
    def words(self) -> str:
        """The verdicts on all parts in words."""
        names = {"corrected": "corrected statement", "general": "more generally"}
        names |= {part: f"printed {part}" for part in PRINTED_PARTS}
        return "; ".join(f"{names.get(part, part)}: {word}" for part, word in self.parts.items())

    @property
    def as_expected(self) -> bool:
        """Whether exactly the false propositions were refuted, and all others survived."""
        return all(result.as_expected for result in self.results)

    @property
    def refuted(self) -> tuple[str, ...]:
        """The names of the refuted propositions."""
        return tuple(result.proposition.name for result in self.results if result.verdict == REFUTED)

    @property
    def cases(self) -> int:
        """The number of different examples, over all propositions."""
        return sum(result.cases for result in self.results)

    @property
    def seconds(self) -> float:
        """The time it took."""
        return sum(result.seconds for result in self.results)

    @property
    def counterexample(self) -> Any:
        """The smallest counterexample found to a printed proposition, or else to another; None if there is none."""
        refuted = [result for result in self.results if result.verdict == REFUTED]
        refuted.sort(key=lambda result: result.proposition.role in ("corrected", "general"))
        return refuted[0].counterexample if refuted else None

    @property
    def corrected(self) -> Corrected | None:
        """What holds instead of what is printed; None if nothing is refuted."""
        return self.claim.corrected if self.refuted else None

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a dict of JSON values."""
        return {
            "number": self.claim.number,
            "statement": self.claim.statement.text,
            "source": self.claim.source,
            "verdicts": self.parts,
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
                    "verdict": r.verdict,
                    "as_expected": r.as_expected,
                    "cases": r.cases,
                    "premise_met": r.met,
                    "exhaustive": r.proposition.exhaustive,
                    "example": r.shown or None,
                    "message": r.message,
                }
                for r in self.results
            ],
        }


@dataclass(frozen=True)
class Claim:
    """A claim of homework or folklore, or one of your own.

    Args:
        number: its name in the registry.
        title: a few words.
        statement: the claim itself.
        source: where it is printed, or "folklore".
        propositions: the statements to check, and which of them are false.
        corrected: what holds instead of a false proposition; it names all propositions of the role 'corrected'.
        proof: a few lines of Markdown.
        draw: returns a matplotlib figure.
        display: returns a worked example, the text of `theory show`.
        exercise: a false sentence and its counterexample, in Markdown; the page adds the refuted propositions.
        interactive: the figure of docs/theory/interactive.html that belongs to it.
        measure: returns measured figures, as Markdown with a heading for the page.
        certify: makes the certificates that `theory certify` writes; see `theory.certificates`.
    """

    number: str
    title: str
    statement: Statement
    source: str
    propositions: tuple[Proposition, ...]
    corrected: Corrected | None = None
    proof: str = ""
    draw: Callable[[], Any] | None = None
    display: Callable[[], str] | None = None
    exercise: tuple[str, str] | None = None
    interactive: str = ""
    measure: Callable[[], str] | None = None
    certify: Callable[[], Iterable[Certificate]] | None = None

    def __post_init__(self) -> None:
        names = [p.name for p in self.propositions]
        by = () if self.corrected is None else getattr(self.corrected, "by", ())
        role = [p.name for p in self.propositions if p.role == "corrected"]
        unprinted = ("corrected", "general")
        mistakes = {
            "a claim needs at least one proposition": not names,
            "it needs a corrected statement if and only if some proposition has false=True":
                (self.corrected is not None) != any(p.false for p in self.propositions),
            f"the roles of propositions are printed, {', '.join(PARTS)}":
                any(p.role not in ("printed", *PARTS) for p in self.propositions),
            "a corrected or general proposition must not be false":
                any(p.false and p.role in unprinted for p in self.propositions),
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

    def check(
        self,
        max_examples: int = 100,
        seed: int = 0,
        report: Callable[[Result], None] | None = None,
        time_limit: float = math.inf,
        fail_fast: bool = False,
    ) -> Verdict:
        """Check every proposition on up to `max_examples` examples generated from `seed`.

        report: called with the result of each proposition. time_limit: seconds for each proposition; see
        `Proposition.examine`. fail_fast: whether to stop at the first verdict that is not as expected.
        """
        if type(max_examples) is not int or max_examples < 1:
            raise ValueError(f"claim {self.number}: max_examples must be an int of at least 1; got {max_examples!r}")
        results = []
        for proposition in self.propositions:
            results.append(proposition.examine(max_examples, seed, time_limit))
            if report is not None:
                report(results[-1])
            if fail_fast and not results[-1].as_expected:
                break
        return Verdict(self, tuple(results))

    def counterexample(self, max_examples: int = 100, seed: int = 0) -> Any:
        """Return the smallest counterexample found to a printed proposition; None if there is none."""
        printed = (p for p in self.propositions if p.role not in ("corrected", "general"))
        results = (p.examine(max_examples, seed) for p in printed)
        return next((result.counterexample for result in results if result.verdict == REFUTED), None)

    def figure(self) -> Any:
        """Draw the claim's picture, a matplotlib Figure. A claim without one raises ValueError."""
        if self.draw is None:
            raise ValueError(f"claim {self.number} has no figure")
        return self.draw()

    def show(self) -> str:
        """Return the claim's worked example, or else its statement."""
        return self.statement.text if self.display is None else self.display()
