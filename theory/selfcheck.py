"""A self-test: false propositions must be refuted, and broken ones reported.

With a tolerance that is too wide, or a verdict that forgets a proposition, everything would pass. So the command
runs this test before it checks any claim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from theory.claims import BROKEN, FALSE, HOLDS, REFUTED, Claim, Corrected, Statement
from theory.domains import Domain, enumerated, sampled
from theory.propositions import Proposition
from theory.refutation import accepts, agree, require

__all__ = ["check_machinery"]


def check_machinery() -> None:
    """Raise ValueError unless checks refute false propositions, report broken ones and accept true ones."""
    try:
        _test_checkers()
        _test_domains()
        _test_verdicts()
    except AssertionError as wrong:
        raise ValueError(f"the self-test failed, so verdicts are meaningless: {wrong}") from wrong


def _assert(condition: bool, message: str) -> None:
    """Like `require`, which this module tests."""
    if condition is not True:
        raise AssertionError(message)


def _test_checkers() -> None:
    for false in (False, 0, np.bool_(False), None):
        _assert(not accepts(require, false, ""), f"require accepts {false!r}")
    for true in (True, 1, np.bool_(True)):
        _assert(accepts(require, true, ""), f"require refuses {true!r}")
    one = np.array([1.0, 1000.0])
    near = np.array([0.0, 1e-5])
    for wrong in (one + near, one + near[::-1], one[:1], one * np.nan, one * np.inf, -one, one[:, None]):
        _assert(not accepts(agree, wrong, one, ""), f"agree accepts {wrong.tolist()} for {one.tolist()}")
    _assert(not accepts(agree, one, [1.0, np.inf], ""), "agree accepts 1000 for infinity")
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
        _assert(not result.holds and result.counterexample == 7, f"{result.counterexample} is found instead of 7")
        _assert(_proposition(domain, check=_below(10)).examine(100, 0).holds, "a true proposition is refuted")
    short: dict[str, Domain] = {
        "too few": enumerated(range(5), 6), "too many": enumerated(range(5), 4), "one twice": enumerated([1, 1, 2], 3),
        "a feature missing": enumerated(range(5), 5, {"a 5": lambda n: n == 5}),
        "a feature missing from a list": sampled(range(5), {"a 5": lambda n: n == 5}),
        "a feature missing from a strategy": sampled(st.integers(0, 4), {"a 5": lambda n: n == 5}),
        "a foreign example": sampled(st.integers(0, 4), certify=_below(3)),
    }  # fmt: skip
    for what, domain in short.items():
        result = _proposition(domain).examine(50, 0)
        _assert(result.broken and not result.holds and not result.as_expected, f"a domain with {what} gives a verdict")
    rare = sampled(st.integers(0, 4), {"a 4": lambda n: n == 4})
    _assert(_proposition(rare).examine(1, 0).holds, "a feature that one example lacks is not drawn")
    _assert(not _proposition(range(3)).exhaustive, "a plain list counts as all cases")


def _test_verdicts() -> None:
    true, false = range(5), range(10)

    def outcome(*propositions: Proposition, expected: str = HOLDS) -> tuple[str, bool]:
        by = tuple(p.name for p in propositions if p.role == "corrected")
        instead = Corrected("numbers are numbers", by=by) if expected == FALSE else None
        verdict = Claim("0", "", Statement(""), "", propositions, expected, instead).check(20)
        return verdict.outcome, verdict.as_expected

    known, corrected = _proposition(false, false=True), _proposition(true, "corrected")
    _assert(outcome(_proposition(true)) == (HOLDS, True), "a true claim does not hold")
    _assert(outcome(_proposition(false)) == (FALSE, False), "a false claim holds")
    _assert(outcome(known, corrected, expected=FALSE) == (FALSE, True), "a claim known to be false is not refuted")
    for wrong in (_proposition(false), _proposition(true, "general", check=_broken), _proposition(false, "general")):
        _assert(not outcome(known, corrected, wrong, expected=FALSE)[1], f"a {wrong.role} one that fails is forgotten")
    survives = outcome(_proposition(true, false=True), corrected, expected=FALSE)
    _assert(not survives[1], "a false proposition that survives is as expected")
    replaced = outcome(known, _proposition(false, "corrected"), expected=FALSE)
    _assert(replaced == (REFUTED, False), "a corrected statement may be false")
    _assert(outcome(_proposition(true, check=_broken)) == (BROKEN, False), "a checker that breaks gives a verdict")
    broken = _proposition(true, false=True, check=_broken).examine(9, 0)
    _assert(not broken.as_expected, "a checker that breaks counts as a refutation")
    try:
        outcome(_proposition(true, check=lambda number: number > 99))
    except TypeError:
        return
    raise AssertionError("a checker that returns False accepts")
