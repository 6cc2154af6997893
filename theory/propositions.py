"""A proposition says something of every example of a domain; to examine it is to give its checker examples.

What comes of that is a :class:`Result`: it survived so many examples, or one refuted it, or it is *broken*: the checker
raised something else than a refutation, or the domain has not what it promises, and nothing can be said.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from hypothesis.errors import HypothesisException, Unsatisfiable

from theory.canonical import canonical_text
from theory.domains import Domain, Source, as_domain
from theory.refutation import Unsound

__all__ = ["Proposition", "Result", "Role"]

Role = Literal["printed", "corrected", "general"]
"""Whether the source prints it, it is said in place of what is printed, or it says more than the source does."""


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


# One check of one proposition -----------------------------------------------------------------------------


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
            self.seen[hash(canonical_text(example))] += 1

    def short(self, most: int) -> str:
        """How the examples fall short of what the domain promises; empty if they do not."""
        if self.missing:
            return f"the domain falls short: none of {self.cases:,} examples has {self.missing[0]}"
        promised = self.cases if self.domain.count is None else self.domain.count(most)
        if self.cases != promised:
            return f"the domain falls short: it has {self.cases:,} cases, {promised:,} are promised"
        twice = sum(self.seen.values()) - len(self.seen)
        return f"the domain falls short: {twice:,} of its {self.cases:,} cases come twice" if twice else ""
