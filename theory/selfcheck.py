"""The machinery of claims put to a test of its own: what is false must be refuted, and said so, by all of it.

A tolerance that is too wide, or a verdict that forgets a proposition, would let everything pass. So the command
checks this before any claim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from theory.claims import BROKEN, FALSE, HOLDS, REFUTED, Claim, Corrected, Statement
from theory.domains import Domain, enumerated, sampled
from theory.propositions import Proposition
from theory.refutation import Refuted, agree, require

__all__ = ["check_machinery"]


def check_machinery() -> None:
    """Raise ValueError unless what is false is refuted, what is broken is said, and what is true survives."""
    try:
        _checkers()
        _domains()
        _verdicts()
    except AssertionError as wrong:
        raise ValueError(f"the machinery of claims is broken, so no verdict means anything: {wrong}") from wrong


def _sound(condition: bool, message: str) -> None:
    """As `require`, but not by it: it is what is tested."""
    if condition is not True:
        raise AssertionError(message)


def _refutes(check: Callable[..., None], *arguments: Any) -> bool:
    try:
        check(*arguments)
    except Refuted:
        return True
    return False


def _checkers() -> None:
    for false in (False, 0, np.bool_(False), None):
        _sound(_refutes(require, false, ""), f"require accepts {false!r}")
    for true in (True, 1, np.bool_(True)):
        _sound(not _refutes(require, true, ""), f"require refuses {true!r}")
    one = np.array([1.0, 1000.0])
    near = np.array([0.0, 1e-5])
    for wrong in (one + near, one + near[::-1], one[:1], one * np.nan, one * np.inf, -one, one[:, None]):
        _sound(_refutes(agree, wrong, one, ""), f"agree takes {wrong.tolist()} for {one.tolist()}")
    _sound(_refutes(agree, one, [1.0, np.inf], ""), "agree takes 1000 for infinity")
    _sound(_refutes(agree, [False], [True], ""), "agree takes False for True")
    _sound(not _refutes(agree, one * (1 + 1e-12), one, ""), "agree refuses what is equal to rounding")


def _small(number: int) -> None:
    require(number < 7, f"{number} is not below 7")


def _proposition(domain: Any, role: Any = "printed", false: bool = False, check: Any = _small) -> Proposition:
    return Proposition(f"{role} {false}", "numbers are below 7", check, domain, role, false=false)


def _domains() -> None:
    for domain in (st.integers(0, 9), range(10), enumerated(range(10), 10)):
        result = _proposition(domain).examine(100, 0)
        _sound(not result.holds and result.counterexample == 7, f"{result.counterexample} is found in place of 7")
        all_below = _proposition(domain, check=lambda number: require(number < 10, ""))
        _sound(all_below.examine(100, 0).holds, "what is true of all is refuted")
    short: dict[str, Domain] = {
        "too few": enumerated(range(5), 6), "too many": enumerated(range(5), 4), "one twice": enumerated([1, 1, 2], 3),
        "a feature missing": enumerated(range(5), 5, {"a 5": lambda n: n == 5}),
        "a feature missing from a list": sampled(range(5), {"a 5": lambda n: n == 5}),
        "a feature missing from a strategy": sampled(st.integers(0, 4), {"a 5": lambda n: n == 5}),
        "another example": sampled(st.integers(0, 4), certify=lambda n: require(n < 3, "")),
    }  # fmt: skip
    for what, domain in short.items():
        result = _proposition(domain).examine(50, 0)
        _sound(result.broken and not result.holds and not result.as_expected, f"a domain with {what} is taken for good")
    rare = sampled(st.integers(0, 4), {"a 4": lambda n: n == 4})
    _sound(_proposition(rare).examine(1, 0).holds, "a feature that one example has not is not looked for")
    _sound(not _proposition(range(3)).exhaustive, "a list that says nothing is taken for all cases")


def _broken(number: int) -> None:
    raise KeyError(number)


def _verdicts() -> None:
    true, false = range(5), range(10)

    def outcome(*propositions: Proposition, expected: str = HOLDS) -> tuple[str, bool]:
        by = tuple(p.name for p in propositions if p.role == "corrected")
        instead = Corrected("numbers are numbers", by=by) if expected == FALSE else None
        verdict = Claim("0", "", Statement(""), "", propositions, expected, instead).check(20)
        return verdict.outcome, verdict.as_expected

    known, corrected = _proposition(false, false=True), _proposition(true, "corrected")
    _sound(outcome(_proposition(true)) == (HOLDS, True), "what is true does not hold")
    _sound(outcome(_proposition(false)) == (FALSE, False), "what is false holds")
    _sound(outcome(known, corrected, expected=FALSE) == (FALSE, True), "what is known to be false is not refuted")
    for wrong in (_proposition(false), _proposition(true, "general", check=_broken), _proposition(false, "general")):
        _sound(not outcome(known, corrected, wrong, expected=FALSE)[1], f"a {wrong.role} one that fails is forgotten")
    survives = outcome(_proposition(true, false=True), corrected, expected=FALSE)
    _sound(not survives[1], "a false one that survives is expected")
    replaced = outcome(known, _proposition(false, "corrected"), expected=FALSE)
    _sound(replaced == (REFUTED, False), "what replaces it may be false")
    _sound(outcome(_proposition(true, check=_broken)) == (BROKEN, False), "a checker that breaks gives a verdict")
    broken = _proposition(true, false=True, check=_broken).examine(9, 0)
    _sound(not broken.as_expected, "a checker that breaks is taken for one that refutes")
    try:
        outcome(_proposition(true, check=lambda number: number > 99))
    except TypeError:
        return
    raise AssertionError("a checker that returns False is taken for one that accepts")
