"""Propositions are examined: examples are counted, and whoever breaks is said."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

import minigrad as mg
from tests.theory.samples import a_claim, proposition
from theory import Proposition, enumerated, require


def test_number_of_cases():
    assert proposition().examine(40, 0).cases == 40
    assert proposition(share=0.25).examine(40, 0).cases == 10
    assert proposition(share=0.001).examine(40, 0).cases == 1
    whole = proposition(domain=lambda n: range(n)).examine(40, 0)
    assert (whole.cases, whole.verdict) == (40, "no counterexample")
    assert proposition(domain=[1, 2, 3]).examine(40, 0).cases == 3
    even = st.integers(0, 100).filter(lambda x: x % 2 == 0)
    seen = []
    Proposition("even", "even", seen.append, even).examine(40, 0)
    assert len(seen) == 40  # an example that is thrown away is none


@pytest.mark.parametrize("domain", [[], lambda n: iter(()), st.nothing()])
def test_of_nothing_nothing_is_said(domain):
    result = proposition(domain=domain).examine(40, 0)
    assert (result.verdict, result.message) == ("broken", "the domain has no example, so there is nothing to check")


def test_an_assumption_that_is_not_met_is_no_case():
    def check(x):
        assume(x % 2 == 0)
        require(x % 2 == 0, "odd")

    assert Proposition("even", "even", check, st.integers(0, 1000)).examine(40, 0).met == 40


@pytest.mark.parametrize("domain", [st.integers(0, 100), [0, 1]])
def test_a_checker_that_breaks_gives_no_verdict_but_the_example(domain):
    def broken(x):
        1 / (x - 1)

    result = Proposition("broken", "broken", broken, domain).examine(300, 0)
    assert (result.verdict, result.counterexample, result.as_expected) == ("broken", 1, False)
    assert result.message == "the checker broke: ZeroDivisionError: division by zero"


@pytest.mark.parametrize("returned", [False, True, 0, np.bool_(False), "x", NotImplemented])
@pytest.mark.parametrize("domain", [st.integers(0, 9), [1, 2]])
def test_a_checker_that_returns_something_is_broken(returned, domain):
    """`return 1 == 2` accepted everything."""
    wrong = Proposition("arithmetic", "1 is 2", lambda x: returned, domain)
    verdict = a_claim(proposition(), wrong).check(20)
    assert verdict.outcome == "broken"
    message = verdict.results[1].message
    assert re.match(r"the check is not sound: the checker returned .*; a checker raises to refute .* nothing", message)


def test_cases_that_come_twice_are_seen_by_their_content():
    """Also where `repr` shows an address, or NumPy abbreviates."""

    class Plain:
        def __init__(self, value):
            self.value = value

    large = np.arange(2000.0)
    other = np.where(large == 1000, -1.0, large)
    for cases, twice in (
        ([large, other, large.astype(np.float32), large.reshape(2, 1000)], 0),
        ([(large, 1), (other, 1), [large, 1], {"a": large}], 0),
        ([1, 1.0, True, "1", ("a", "b"), ("a, b",), (1, (2, 3)), ((1, 2), 3)], 0),
        ([Plain(1), Plain(2), mg.tensor(large), mg.tensor(other)], 0),
        ([large, large.copy()], 1),
        ([Plain(1), Plain(1), mg.tensor(large), mg.tensor(large)], 2),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {0, 8}, {8, 0}], 2),
    ):
        result = Proposition("all", "all", lambda x: require(True, ""), enumerated(cases, len(cases))).examine(9, 0)
        assert result.message == (
            f"the domain falls short: {twice} of its {len(cases)} cases are duplicates" * bool(twice)
        )
