"""Propositions: a statement about every example of a domain, and the checker that decides it for one example.

Examining a proposition gives a :class:`Result` with one of six verdicts:

- *holds*: the checker accepts all cases;
- *no counterexample*: it accepts all examples of a sample;
- *refuted*: it rejects an example, each time that it is asked;
- *flaky*: it accepts and rejects the same example;
- *undecided*: the time limit is over;
- *broken*: the check is malformed, its premise is never met, or the domain breaks a promise.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from hypothesis.errors import Flaky, HypothesisDeprecationWarning, StopTest, Unsatisfiable, UnsatisfiedAssumption
from hypothesis.strategies import SearchStrategy

import minigrad as mg
from theory.domains import Domain, Source, as_domain
from theory.refutation import Refuted, Unsound, requirements
from theory.time_limits import OutOfTime, time_limit

__all__ = [
    "BROKEN", "FLAKY", "HOLDS", "NO_COUNTEREXAMPLE", "PRINTED_PARTS", "REFUTED", "UNDECIDED",
    "Proposition", "Result", "Role",
]  # fmt: skip

HOLDS = "holds"
NO_COUNTEREXAMPLE = "no counterexample"
REFUTED = "refuted"
FLAKY = "flaky"
UNDECIDED = "undecided"
BROKEN = "broken"

CHANGED = "the checker changed its example"

REPLAYS = 10
"""How often the checker must reject a counterexample again."""

Role = Literal["printed", "proof", "formula", "matrix", "corrected", "general"]
"""The claim's source states it ('printed'), or it belongs to the source's proof, formula or matrix. A 'corrected'
proposition corrects the source, and a 'general' one says more."""

PRINTED_PARTS = ("proof", "formula", "matrix")


@dataclass(frozen=True)
class Proposition:
    """A statement about every example of a domain.

    Args:
        name: a few words.
        statement: the statement.
        check: takes an example, raises Refuted if the statement is false for it, and returns nothing. An example for
            which it calls neither `require` nor `agree` does not meet the premise.
        domain: a :class:`theory.domains.Domain`. A Hypothesis strategy, a list, or a function from a number to examples
            (smallest first) counts as a sample.
        role: 'printed', 'proof', 'formula', 'matrix', 'corrected' or 'general'; see `Role`.
        share: the proposition gets this share of the examples that a check of the claim asks for.
        show: writes a counterexample.
        false: whether a check should refute the proposition; a corrected or general one must not be false.
        latex: the statement for a page, with LaTeX between dollars.
    """

    name: str
    statement: str
    check: Callable[[Any], None]
    domain: Domain | Source
    role: Role = "printed"
    share: float = 1.0
    show: Callable[[Any], str] = repr
    false: bool = False
    latex: str = ""

    @cached_property
    def examples(self) -> Domain:
        """The domain; a plain source of examples becomes a sample that promises nothing."""
        return as_domain(self.domain)

    @property
    def exhaustive(self) -> bool:
        """Whether the domain has all cases that the statement is about."""
        return self.examples.exhaustive

    @property
    def label(self) -> str:
        """The role in words."""
        return f"printed {self.role}" if self.role in PRINTED_PARTS else self.role

    def examine(self, max_examples: int, seed: int, seconds: float = math.inf) -> Result:
        """Check up to `share * max_examples` examples, at least one, or all cases that the domain enumerates.

        seconds: the time limit. Outside the main thread it ends the check only between two examples.
        """
        started = time.monotonic()
        examination = _Examination(self, max(1, math.ceil(self.share * max_examples)), seed, seconds)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using `assume` outside", HypothesisDeprecationWarning)
            result = examination.result()
        return dataclasses.replace(result, seconds=time.monotonic() - started)


@dataclass(frozen=True)
class Result:
    """The verdict on a proposition, and what it is based on.

    Args:
        cases: the number of different examples tried.
        met: the number of those that meet the premise.
        counterexample: the example that refutes the proposition, or for which the check is flaky or broken.
        shown: it as text.
        message: what is wrong with the example, the check or the domain.
    """

    proposition: Proposition
    verdict: str
    cases: int
    met: int
    counterexample: Any = None
    shown: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def survived(self) -> bool:
        """Whether the checker accepts all cases or examples."""
        return self.verdict in (HOLDS, NO_COUNTEREXAMPLE)

    @property
    def as_expected(self) -> bool:
        """Whether a false proposition was refuted, and any other survived."""
        return self.verdict == REFUTED if self.proposition.false else self.survived

    @property
    def words(self) -> str:
        """The verdict, with the number of cases or examples if the proposition survived."""
        whole = {HOLDS: f"holds in all {self.cases:,} cases" if self.cases > 1 else "holds in the only case",
                 NO_COUNTEREXAMPLE: f"no counterexample in {self.cases:,} examples"}  # fmt: skip
        premise = f" (premise met in {self.met:,})" if self.survived and self.met < self.cases else ""
        return whole.get(self.verdict, self.verdict) + premise

    def finding(self, quote: str = "") -> str:
        """Return the example, between quotes, and the message in words; empty if the proposition survived."""
        refuted = "smallest counterexample" if self.proposition.exhaustive else "smallest counterexample found"
        label = refuted if self.verdict == REFUTED else "example"
        return ": ".join(filter(None, [f"{label}: {quote}{self.shown}{quote}" * bool(self.shown), self.message]))


class _Examination:
    """Runs a checker, counts its examples, replays its verdict, and checks the promises of the domain.

    failure: the verdict, example and message of the last failure; Hypothesis runs the smallest counterexample last.
    met: whether an example met the premise, by a digest of the example's content. `hash` has 32 bits in a browser.
    missing: the features of the domain that no example has had so far.
    stage: what runs when it is not the checker, for the message if it breaks.
    """

    def __init__(self, proposition: Proposition, most: int, seed: int, seconds: float) -> None:
        self.proposition = proposition
        self.check: Callable[[Any], Any] = proposition.check
        self.domain = proposition.examples
        self.drawn = isinstance(self.domain.source, SearchStrategy)
        self.most, self.seed, self.seconds = most, seed, seconds
        self.ends = time.monotonic() + seconds
        self.tried = 0
        self.met: dict[bytes, bool] = {}
        self.failure: tuple[str, Any, str] | None = None
        self.last: Any = None
        self.missing = list(self.domain.reaches)
        self.stage = "domain"

    def result(self) -> Result:
        """Try the examples, and then one of them again: the last failure, or else the last example."""
        shown = ""
        try:
            self._search()
            with time_limit(self.seconds):
                verdict, message = self._replayed() if self.failure is None else self._replayed_failure(*self.failure)
                self.stage = "function that shows examples"
                shown = "" if self.failure is None else self.proposition.show(self.failure[1])
        except KeyboardInterrupt:
            raise
        except OutOfTime:
            verdict = UNDECIDED
            message = f"the time limit of {self.seconds:g} s is over after {len(self.met):,} examples"
        except BaseException as error:
            verdict, message = BROKEN, f"the {self.stage} broke: {type(error).__name__}: {error}"
        example = None if self.failure is None else self.failure[1]
        return Result(self.proposition, verdict, len(self.met), sum(self.met.values()), example, shown, message)

    def _search(self) -> None:
        """Check a number of examples, and another one for each feature that none of them has."""
        try:
            with time_limit(self.seconds), contextlib.suppress(Unsatisfiable):
                self.domain.run(self, self.most, self.seed)
                for feature in list(self.missing):
                    if feature in self.missing:  # an example may have several features
                        self.domain.fill(self, feature, self.seed)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if self.failure is None:  # the domain failed, not the checker
                raise
            if isinstance(error, Flaky):
                self.failure = FLAKY, *self.failure[1:]

    def __call__(self, example: Any) -> None:
        if time.monotonic() > self.ends:
            raise OutOfTime
        self.tried += 1
        content = _content(example)
        digest = hashlib.sha256(content.encode()).digest()
        self.met.setdefault(digest, False)
        missing = [feature for feature in self.missing if not self.domain.reaches[feature](example)]
        try:
            if self.domain.certify is not None:
                self.domain.certify(example)
        except AssertionError as wrong:
            self.failure = BROKEN, example, f"this is not an example of the domain: {wrong}"
            raise
        before = requirements()
        try:
            self._accept(example, content)
        except (KeyboardInterrupt, OutOfTime, StopTest):
            raise
        except UnsatisfiedAssumption:
            if self.drawn:
                raise  # Hypothesis draws another example
        except BaseException as error:
            self.failure = self._failure(error, example, content)
            raise
        else:
            if requirements() > before:
                self.met[digest] = True
                self.missing = missing
                self.last = example

    def _accept(self, example: Any, content: str) -> None:
        returned = self.check(example)
        if returned is not None:
            raise Unsound(f"the checker returned {returned!r}; a checker raises to refute (theory.require, "
                          "theory.agree) and returns nothing to accept")  # fmt: skip
        if _content(example) != content:
            raise Unsound(CHANGED)

    def _failure(self, error: BaseException, example: Any, content: str) -> tuple[str, Any, str]:
        if _content(example) != content:
            error = Unsound(CHANGED)
        if isinstance(error, Refuted):
            return REFUTED, example, str(error)
        kind = "the check is not sound" if isinstance(error, Unsound) else f"the checker broke: {type(error).__name__}"
        advice = ". Call theory.require to refute, not assert" if isinstance(error, AssertionError) else ""
        return BROKEN, example, f"{kind}: {error}{advice}"

    def _replayed_failure(self, verdict: str, example: Any, message: str) -> tuple[str, str]:
        """Return the verdict on a proposition with a failure: a counterexample must be one again and again."""
        if verdict == REFUTED and not all(self._rejects(example) for _ in range(REPLAYS)):
            verdict = FLAKY
        return verdict, f"{message} (the checker rejects it, and then accepts it)" if verdict == FLAKY else message

    def _replayed(self) -> tuple[str, str]:
        """Return the verdict on a proposition without a failure.

        Hypothesis gives every example the same global random state, so the last example is tried in other states.
        """
        short = self._short()
        if short:
            return BROKEN, short
        replays = min(REPLAYS, math.ceil(self.tried / REPLAYS)) if self.drawn else 0
        if any(self._rejects(self.last) for _ in range(replays)):
            self.failure = FLAKY, self.last, "the checker accepts it, and then rejects it"
            return FLAKY, self.failure[2]
        return (HOLDS if self.domain.exhaustive else NO_COUNTEREXAMPLE), ""

    def _rejects(self, example: Any) -> bool:
        self.stage = "checker"
        try:
            self.check(example)
        except Refuted:
            return True
        except Exception:
            return False
        return False

    def _short(self) -> str:
        """What the domain promises and the examples lack; empty if they lack nothing."""
        if not self.tried:
            return "the domain has no example, so there is nothing to check"
        if not any(self.met.values()):
            return (f"vacuous: none of {self.tried:,} examples meets the premise, since the checker called neither "
                    "theory.require nor theory.agree")  # fmt: skip
        if self.missing:
            return f"the domain falls short: none of {self.tried:,} examples has {self.missing[0]}"
        promised = self.tried if self.domain.count is None else self.domain.count(self.most)
        if self.tried != promised:
            return f"the domain has {self.tried:,} cases, not {promised:,} as promised"
        twice = self.tried - len(self.met)
        if self.domain.exhaustive and twice:
            return f"the domain falls short: {twice:,} of its {self.tried:,} cases are duplicates"
        return ""


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
        state = None
        if not callable(value):
            with contextlib.suppress(TypeError):  # of a generator or an open file, for example
                state = value.__getstate__()  # its attributes, also those in slots
        if not state:
            return repr(value)
        parts = [_content(state)]
    return f"{type(value).__qualname__}({', '.join(parts)})"
