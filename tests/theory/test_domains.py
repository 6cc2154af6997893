"""Domains, and what they promise."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from tests.theory.samples import at_most, proposition
from theory import Domain, Proposition, enumerated, every, require, sampled, stratified


def survivor(domain, examples=30):
    return Proposition("all", "all", lambda x: require(True, ""), domain).examine(examples, 0)


def test_all_cases_is_said_of_what_is_enumerated_only():
    strata = stratified([1], lambda stratum, seed: seed)
    for domain in (st.integers(0, 9), [1, 2], lambda n: range(n), sampled([1, 2]), strata):
        result = survivor(domain)
        assert result.words == f"no counterexample in {result.cases} examples"
    for domain in (every(1, 2), enumerated([1, 2], 2), enumerated(lambda n: [1, 2], lambda n: 2)):
        assert survivor(domain).words == "holds in all 2 cases"
    with pytest.raises(ValueError, match="must say how many there are"):
        Domain(lambda number, seed: [1], exhaustive=True)


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (enumerated([1, 2], 3), "the domain has 2 cases, not 3 as promised"),
        (enumerated([1, 1, 2], 3), "the domain falls short: 1 of its 3 cases are duplicates"),
        (sampled([1, 2], {"a 3": lambda x: x == 3}), "the domain falls short: none of 2 examples has a 3"),
        (sampled(st.integers(0, 2), {"a 3": lambda x: x == 3}), "the domain falls short: none of 3 examples has a 3"),
        (stratified("ab", lambda s, seed: s, {"a c": lambda s: s == "c"}), "none of 30 examples has a c"),
        (sampled(st.integers(0, 9), certify=at_most(4)), "this is not an example of the domain: 5 is above 4"),
    ],
)
def test_a_domain_that_breaks_its_promise_gives_no_verdict(domain, message):
    result = survivor(domain)
    assert message in result.message
    assert (result.verdict, result.as_expected) == ("broken", False)


def test_a_rare_feature_is_drawn_and_checked():
    """However few examples are asked for."""
    rare = sampled(st.integers(0, 300), {"a number above 290": lambda x: x > 290})
    assert survivor(rare, 1).survived
    assert survivor(rare, 1).cases <= 2
    result = proposition(bound=290, domain=rare).examine(1, 0)
    assert (result.verdict, result.counterexample) == ("refuted", 291)


def test_strata_are_all_met_and_seeds_follow_the_check():
    domain = stratified("abc", lambda letter, seed: (letter, seed))
    assert [letter for letter, _ in domain.examples(7)] == list("abcabcabc")
    assert len({seed for _, seed in domain.examples(7)}) == 9
    assert not {*domain.examples(7, seed=0)} & {*domain.examples(7, seed=1)}
