"""A self-test: false propositions must be refuted, and broken, flaky and endless ones reported.

With a tolerance that is too wide, or a verdict that forgets a proposition, everything would pass. So the command
runs this test before it checks any claim.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from theory.claims import Claim, Corrected, Statement
from theory.domains import Domain, enumerated, every, sampled
from theory.propositions import BROKEN, FLAKY, HOLDS, NO_COUNTEREXAMPLE, REFUTED, UNDECIDED, Proposition, Result
from theory.refutation import Unsound, accepts, agree, require

__all__ = ["check_machinery"]


def check_machinery() -> None:
    """Raise ValueError unless checks refute false propositions, report broken ones and accept true ones."""
    try:
        _test_checkers()
        _test_domains()
        _test_fooling()
        _test_verdicts()
    except Exception as wrong:
        raise ValueError(f"the self-test failed, so verdicts are meaningless: {wrong}") from wrong


def _assert(condition: bool, message: str) -> None:
    """Like `require`, which this module tests."""
    if condition is not True:
        raise AssertionError(message)


def _raises(kind: type[Exception], check: Callable[..., Any], *arguments: Any) -> bool:
    try:
        check(*arguments)
    except kind:
        return True
    return False


def _test_checkers() -> None:
    for false in (False, np.bool_(False)):
        _assert(not accepts(require, false, ""), f"require accepts {false!r}")
    for true in (True, np.bool_(True)):
        _assert(accepts(require, true, ""), f"require refuses {true!r}")
    for truthy in (1, 0, None, np.nan, "no", require, (False for _ in "a"), np.ones(1)):
        _assert(_raises(TypeError, require, truthy, ""), f"require takes {truthy!r} for a bool")
    one = np.array([1.0, 1000.0])
    near = np.array([0.0, 1e-5])
    for wrong in (one + near, one + near[::-1], one * np.nan, one * np.inf, -one):
        _assert(not accepts(agree, wrong, one, ""), f"agree accepts {wrong.tolist()} for {one.tolist()}")
    for wrong in (one[:1], one[:, None]):
        _assert(_raises(Unsound, agree, wrong, one, ""), f"agree compares {wrong.tolist()} with {one.tolist()}")
    _assert(not accepts(agree, one, [1.0, np.inf], ""), "agree accepts 1000 for infinity")
    _assert(not accepts(agree, [np.nan], [np.nan], ""), "agree accepts NaN for NaN")
    _assert(not accepts(agree, [False], [True], ""), "agree accepts False for True")
    _assert(accepts(agree, one * (1 + 1e-12), one, ""), "agree refuses numbers that are equal to rounding")


def _below(bound: int) -> Callable[[int], None]:
    return lambda number: require(number < bound, f"{number} is not below {bound}")


_below_7 = _below(7)


def _broken(number: int) -> None:
    raise KeyError(number)


def _proposition(domain: Any, role: Any = "printed", false: bool = False, check: Any = _below_7) -> Proposition:
    return Proposition(f"{role} {false}", "numbers are below 7", check, domain, role, false=false)


def _test_domains() -> None:
    for domain in (st.integers(0, 9), range(10), enumerated(range(10), 10)):
        result = _proposition(domain).examine(100, 0)
        _assert(result.verdict == REFUTED, f"a false proposition gets the verdict {result.words}")
        _assert(result.counterexample == 7, f"{result.counterexample} is found instead of 7")
        true = _proposition(domain, check=_below(10)).examine(100, 0).verdict
        whole = isinstance(domain, Domain)
        _assert(true == (HOLDS if whole else NO_COUNTEREXAMPLE), f"a true proposition gets the verdict {true}")
    short: dict[str, Domain] = {
        "too few": enumerated(range(5), 6), "too many": enumerated(range(5), 4), "one twice": enumerated([1, 1, 2], 3),
        "a feature missing": enumerated(range(5), 5, {"a 5": lambda n: n == 5}),
        "a feature missing from a list": sampled(range(5), {"a 5": lambda n: n == 5}),
        "a feature missing from a strategy": sampled(st.integers(0, 4), {"a 5": lambda n: n == 5}),
        "a foreign example": sampled(st.integers(0, 4), certify=_below(3)),
    }  # fmt: skip
    for what, domain in short.items():
        result = _proposition(domain).examine(50, 0)
        _assert(result.verdict == BROKEN and not result.as_expected, f"a domain with {what} gives a verdict")
    rare = sampled(st.integers(0, 4), {"a 4": lambda n: n == 4})
    _assert(_proposition(rare).examine(1, 0).survived, "a feature that one example lacks is not drawn")
    _assert(not _proposition(range(3)).exhaustive, "a plain list counts as all cases")


def _test_fooling() -> None:
    coin = itertools.cycle((True, True, False)).__next__

    def sorts(numbers: list[int]) -> None:
        require(sorted(numbers) is not numbers.sort(), "")

    def compares(number: int) -> bool:
        require(True, "")
        return number > 99

    def slow(number: int) -> None:
        ends = time.monotonic() + 5  # not for ever, since there may be no timer
        while time.monotonic() < ends:
            require(True, "")

    def odd_perfect(number: int) -> None:
        if number % 2 and sum(k for k in range(1, number) if number % k == 0) == number:
            require(False, "an odd perfect number")

    numbers, examples = st.integers(0, 9), enumerated(range(9), 9)
    fooling: dict[str, tuple[Any, Any, str]] = {
        "that exits": (lambda n: sys.exit(0), numbers, BROKEN),
        "that exits after an enumerated case": (lambda n: sys.exit(0), examples, BROKEN),
        "that returns False": (compares, numbers, BROKEN),
        "that calls nothing": (odd_perfect, enumerated(range(1, 99), 98), BROKEN),
        "that assumes too much": (lambda n: assume(n > 9), numbers, BROKEN),
        "that assumes too much of an enumerated case": (lambda n: assume(n > 9), examples, BROKEN),
        "that changes its example": (sorts, every([2, 1]), BROKEN),
        "that tosses a coin": (lambda n: require(coin(), "tails"), numbers, FLAKY),
        "that tosses a coin for an enumerated case": (lambda n: require(coin(), "tails"), examples, FLAKY),
        "that takes too long": (slow, numbers, UNDECIDED),
    }
    for what, (check, domain, expected) in fooling.items():
        result: Result = _proposition(domain, check=check).examine(20, 0, 0.2 if expected == UNDECIDED else 60.0)
        _assert(result.verdict == expected, f"a checker {what} gets the verdict {result.words}")
        _assert(not result.as_expected, f"a checker {what} is as expected")
    half = _proposition(examples, check=lambda n: require(True, "") if n < 3 else None).examine(9, 0)
    _assert((half.cases, half.met) == (9, 3), "cases that do not meet the premise are not counted")
    same = _proposition([1, 1, 2]).examine(9, 0)
    _assert(same.cases == 2, "duplicates in a sample are counted")


def _test_verdicts() -> None:
    true, false = enumerated(range(5), 5), range(10)

    def outcome(*propositions: Proposition) -> tuple[dict[str, str], bool]:
        by = tuple(p.name for p in propositions if p.role == "corrected")
        instead = Corrected("numbers are numbers", by=by) if any(p.false for p in propositions) else None
        verdict = Claim("0", "", Statement(""), "", propositions, instead).check(20)
        return verdict.parts, verdict.as_expected

    known, corrected = _proposition(false, false=True), _proposition(true, "corrected")
    _assert(outcome(_proposition(true)) == ({"statement": HOLDS}, True), "a true claim does not hold")
    _assert(outcome(_proposition(false)) == ({"statement": REFUTED}, False), "a false claim holds")
    refuted = {"statement": REFUTED, "corrected": HOLDS}
    _assert(outcome(_proposition(true), known, corrected) == (refuted, True), "a part has its best verdict")
    _assert(outcome(known, corrected) == (refuted, True), "a claim known to be false is not refuted")
    for wrong in (_proposition(false), _proposition(true, "general", check=_broken), _proposition(false, "general")):
        _assert(not outcome(known, corrected, wrong)[1], f"a {wrong.role} one that fails is forgotten")
    survives = outcome(_proposition(true, false=True), corrected)
    _assert(not survives[1], "a false proposition that survives is as expected")
    replaced = outcome(known, _proposition(false, "corrected"))
    _assert(replaced == ({"statement": REFUTED, "corrected": REFUTED}, False), "a corrected statement may be false")
    proof = outcome(_proposition(true), _proposition(false, "proof", false=True), corrected)
    parts = {"statement": HOLDS, "proof": REFUTED, "corrected": HOLDS}
    _assert(proof == (parts, True), "a wrong proof refutes the statement")
    sample = outcome(_proposition(true), _proposition(st.integers(0, 4), "general"))
    _assert(sample == ({"statement": HOLDS, "general": NO_COUNTEREXAMPLE}, True), "a sample counts as all cases")
    broken = outcome(_proposition(true, check=_broken))
    _assert(broken == ({"statement": BROKEN}, False), "a checker that breaks gives a verdict")
    _assert(
        not _proposition(true, false=True, check=_broken).examine(9, 0).as_expected,
        "a checker that breaks counts as a refutation",
    )
