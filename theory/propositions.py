"""Propositions: a statement about every example of a domain, and the checker that decides it for one example.

Examining a proposition gives a :class:`Result`. The proposition *survived* all examples, or one of them *refuted* it.
It is *broken*, without a verdict, if the checker failed or the domain broke a promise.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from hypothesis.errors import HypothesisException, Unsatisfiable

import minigrad as mg
from theory.domains import Domain, Source, as_domain
from theory.refutation import Unsound

__all__ = ["Proposition", "Result", "Role"]

Role = Literal["printed", "corrected", "general"]
"""The homework prints it, it corrects the homework, or it says more than the homework."""


@dataclass(frozen=True)
class Proposition:
    """A statement about every example of a domain.

    Args:
        name: a few words.
        statement: the statement.
        check: takes an example, raises Refuted if the statement is false for it, and returns nothing.
        domain: a :class:`theory.domains.Domain`. A Hypothesis strategy, a list, or a function from a number to examples
            (smallest first) counts as a sample.
        role: 'printed', 'corrected' or 'general'.
        share: the proposition gets this share of the examples that a check of the claim asks for.
        show: writes a counterexample.
        false: whether a check should refute the proposition; only a printed one may be false.
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
        """The domain; a plain source of examples becomes a sample that promises nothing."""
        return as_domain(self.domain)

    @property
    def exhaustive(self) -> bool:
        """Whether the domain has all cases that the statement is about."""
        return self.examples.exhaustive

    def examine(self, max_examples: int, seed: int, claim: str = "") -> Result:
        """Check up to `share * max_examples` examples, at least one, or all cases that the domain enumerates.

        claim: the number of the claim, for errors.

        Raises:
            TypeError: if the checker returns something, such as the truth of a comparison.
            ValueError: if the domain has no examples, since every statement holds for none.
        """
        started = time.monotonic()
        most = max(1, math.ceil(self.share * max_examples))
        where = f"claim {claim}: {self.name}" if claim else self.name
        log = _Log(self, where)
        try:
            log.run(most, seed)
        except Unsatisfiable:
            raise ValueError(f"{where}: no example of its domain could be made") from None
        except Exception:
            if log.failure is None:  # the domain failed, not the checker
                raise
        if log.failure is None and not log.cases:
            raise ValueError(f"{where}: its domain has no example, so there is nothing to check")
        seconds = time.monotonic() - started
        if log.failure is not None:
            return dataclasses.replace(log.failure, seconds=seconds)
        short = log.short(most)
        return Result(self, not short, log.cases, None, short, seconds, bool(short), bool(short))


@dataclass(frozen=True)
class Result:
    """Whether a proposition survived, how many cases were checked, and where it failed.

    broken: whether there is no verdict, because the checker failed or the domain broke a promise.
    short: whether the domain lacks something that it promises; then there is no counterexample.
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
        """Whether a false proposition was refuted, and any other survived."""
        return not self.broken and self.holds != self.proposition.false

    @property
    def kind(self) -> str:
        """What was checked: 'all' cases, a 'sample', or the cases until one 'refuted' it."""
        return "refuted" if not self.holds else "all" if self.proposition.exhaustive else "sample"

    @property
    def extent(self) -> str:
        """What was checked, in words."""
        words = {"all": f"all {self.cases:,} cases", "sample": f"a sample of {self.cases:,}"}
        return words.get(self.kind, f"case {self.cases:,}")

    @property
    def shown(self) -> str:
        """The counterexample as text; empty if there is none."""
        return "" if self.holds or self.short else self.proposition.show(self.counterexample)


class _Log:
    """Runs a checker, counts its examples, remembers the last failure, and checks the promises of the domain.

    missing: the features of the domain that no example has had so far.
    """

    def __init__(self, proposition: Proposition, where: str) -> None:
        self.proposition = proposition
        self.check: Callable[[Any], Any] = proposition.check
        self.where = where
        self.domain = proposition.examples
        self.cases = 0
        self.failure: Result | None = None
        self.missing = list(self.domain.reaches)
        self.seen: Counter[int] = Counter()

    def run(self, most: int, seed: int) -> None:
        """Check a number of examples, and another one for each feature that none of them has."""
        self.domain.run(self, most, seed)
        for feature in list(self.missing):
            if feature in self.missing:  # an example may have several features
                self.domain.fill(self, feature, seed)

    def __call__(self, example: Any) -> None:
        try:
            if self.domain.certify is not None:
                self.domain.certify(example)
        except AssertionError as wrong:
            self._fail(example, f"this is not an example of the domain: {wrong}")
            raise
        try:
            returned = self.check(example)
        except HypothesisException:  # an unmet assumption, for example: the case does not count
            raise
        except AssertionError as refuted:
            self.cases += 1
            self._fail(example, str(refuted), broken=False)  # Hypothesis runs the smallest counterexample last
            raise
        except Unsound as wrong:
            self._fail(example, f"the check is not sound: {wrong}")
            raise
        except Exception as error:
            self._fail(example, f"the checker broke: {type(error).__name__}: {error}")
            raise
        if returned is not None:
            self.failure = None
            raise TypeError(
                f"{self.where}: its checker returned {returned!r} for {self.proposition.show(example)}; a checker "
                "raises to refute (theory.require, theory.agree) and returns nothing to accept"
            )
        self.cases += 1
        self.missing = [feature for feature in self.missing if not self.domain.reaches[feature](example)]
        if self.domain.exhaustive:
            self.seen[hash(_content(example))] += 1

    def _fail(self, example: Any, message: str, broken: bool = True) -> None:
        self.failure = Result(self.proposition, False, self.cases, example, message, broken=broken)

    def short(self, most: int) -> str:
        """What the domain promises and the examples lack; empty if they lack nothing."""
        if self.missing:
            return f"the domain falls short: none of {self.cases:,} examples has {self.missing[0]}"
        promised = self.cases if self.domain.count is None else self.domain.count(most)
        if self.cases != promised:
            return f"the domain falls short: it has {self.cases:,} cases, {promised:,} are promised"
        twice = sum(self.seen.values()) - len(self.seen)
        return f"the domain falls short: {twice:,} of its {self.cases:,} cases are duplicates" if twice else ""


def _content(value: Any) -> str:
    """The types and values that make up an example, as text: equal texts mean equal examples.

    `repr` is not enough: NumPy abbreviates large arrays, and an object without a repr of its own shows its address.

    >>> _content((1, [2.0, "a"]))
    "tuple(1, list(2.0, 'a'))"
    """
    if isinstance(value, (tuple, list)):
        parts = [_content(item) for item in value]
    elif isinstance(value, (set, frozenset)):
        parts = sorted(map(_content, value))
    elif isinstance(value, Mapping):
        parts = sorted(f"{_content(key)}: {_content(item)}" for key, item in value.items())
    elif isinstance(value, np.ndarray):
        entries = _content(value.tolist()) if value.dtype.hasobject else value.tobytes().hex()
        parts = [str(value.dtype), str(value.shape), entries]
    elif isinstance(value, mg.Tensor):
        parts = [_content(value.data)]
    else:
        state = None if callable(value) else value.__getstate__()  # its attributes, also those in slots
        if not state:
            return repr(value)
        parts = [_content(state)]
    return f"{type(value).__qualname__}({', '.join(parts)})"
