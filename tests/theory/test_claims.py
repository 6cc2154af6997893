"""The machinery of claims: verdicts that can fail, smallest counterexamples, registration."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, find
from hypothesis import strategies as st

from theory import CLAIMS, Claim, Proposition, Refuted, Statement, agree, claim, every, register, require


def at_most(bound):
    def check(x):
        require(x <= bound, f"{x} is above {bound}")

    return check


def proposition(role="printed", bound=100, domain=None, **options):
    domain = st.integers(0, 100) if domain is None else domain
    return Proposition(f"at most {bound}", f"x <= {bound}", at_most(bound), domain, role, **options)


def a_claim(*propositions, **options):
    return Claim("x", "title", Statement("text"), "here", propositions, **options)


@pytest.fixture
def registry():
    before = dict(CLAIMS)
    yield CLAIMS
    CLAIMS.clear()
    CLAIMS.update(before)


@pytest.mark.parametrize(
    ("propositions", "outcome"),
    [
        ([proposition()], "holds"),
        ([proposition(), proposition("general")], "holds more generally than stated"),
        ([proposition(bound=41), proposition("corrected")], "false as printed"),
        ([proposition(bound=41), proposition("corrected"), proposition("general")], "false as printed"),
        ([proposition(bound=41), proposition("corrected", 50)], "refuted"),
        ([proposition(), proposition("general", 50)], "refuted"),
        ([Proposition("broken", "", lambda x: 1 / 0, [0]), proposition("corrected", 50)], "broken"),
    ],
)
def test_verdict_follows_from_the_propositions(propositions, outcome):
    verdict = a_claim(*propositions).check(200)
    assert verdict.outcome == outcome
    assert verdict.as_expected == (outcome == "holds")


def test_it_matters_which_printed_proposition_is_refuted():
    """A checker that refutes too much must not hide behind a claim that is false anyway."""
    false = {"expected": "false as printed", "corrected": Statement("y")}
    known = proposition(bound=41, false=True)
    assert a_claim(known, proposition(), **false).check(200).as_expected
    for others in ([known, proposition(bound=50)], [proposition(bound=50), proposition(false=True)]):
        verdict = a_claim(*others, **false).check(200)
        assert verdict.outcome == "false as printed"
        assert not verdict.as_expected


def test_counterexample_is_the_smallest():
    false = proposition(bound=41, false=True)
    verdict = a_claim(false, expected="false as printed", corrected=Statement("y")).check(500)
    assert verdict.as_expected
    assert verdict.counterexample == 42
    assert verdict.results[0].message == "42 is above 41"
    assert verdict.corrected.text == "y"
    assert a_claim(proposition(bound=41)).counterexample() == 42
    assert a_claim(proposition()).counterexample() is None


def test_the_same_seed_tries_the_same_examples():
    def tried(seed):
        seen = []
        a_claim(Proposition("all", "all", seen.append, st.floats())).check(30, seed)
        return seen

    assert repr(tried(3)) == repr(tried(3))
    assert repr(tried(3)) != repr(tried(4))


def test_number_of_cases():
    assert proposition().examine(40, 0).cases == 40
    assert proposition(share=0.25).examine(40, 0).cases == 10
    assert proposition(share=0.001).examine(40, 0).cases == 1
    whole = proposition(domain=lambda n: range(n)).examine(40, 0)
    assert (whole.cases, whole.holds, whole.kind) == (40, True, "all")
    assert proposition(domain=[1, 2, 3]).examine(40, 0).cases == 3
    even = st.integers(0, 100).filter(lambda x: x % 2 == 0)
    assert proposition(domain=even).examine(40, 0).cases == 40  # an example that is thrown away is none


@pytest.mark.parametrize("domain", [[], lambda n: iter(()), st.nothing()])
def test_of_nothing_nothing_is_said(domain):
    with pytest.raises(ValueError, match="no example"):
        proposition(domain=domain).examine(40, 0)


def test_an_assumption_that_is_not_met_is_no_case():
    def check(x):
        assume(x % 2 == 0)

    assert Proposition("even", "even", check, st.integers(0, 1000)).examine(40, 0).cases == 40


def test_strategy_gives_examples_of_the_first_proposition():
    assert find(a_claim(proposition()).strategy, lambda x: x > 41) == 42
    assert find(a_claim(proposition(domain=every(7, 8))).strategy, lambda x: x > 7) == 8
    assert proposition(domain=every(1, 101, 102)).examine(40, 0).cases == 2  # it stops at the first that fails


@pytest.mark.parametrize("domain", [st.integers(0, 100), [0, 1]])
def test_a_checker_that_breaks_gives_no_verdict_but_the_example(domain):
    def broken(x):
        return 1 / (x - 1)

    result = Proposition("broken", "broken", broken, domain).examine(300, 0)
    assert (result.holds, result.broken, result.counterexample, result.as_expected) == (False, True, 1, False)
    assert result.message == "the checker broke: ZeroDivisionError: division by zero"


def test_agree():
    agree(np.eye(2) + 1e-12, np.eye(2), "close")
    agree(np.zeros(0), np.zeros(0), "empty")
    agree([1e6 + 1e-4], [1e6], "relative")
    agree([np.inf, np.nan, 1.0], [np.inf, np.nan, 1.0], "not finite")
    agree(np.array([True]), [1], "booleans")
    for actual, expected in (([5, 1], [7, np.inf]), ([0, 1], [np.inf, 1]), ([np.inf, 1], [1, 1]), ([1], [np.nan])):
        with pytest.raises(Refuted, match="entry"):
            agree(actual, expected, "not finite")
    for wrong in (np.eye(2) + 1e-3, np.eye(3), np.full((2, 2), np.nan)):
        with pytest.raises(Refuted, match="the matrix"):
            agree(wrong, np.eye(2), "the matrix")


def test_verdict_as_json():
    verdict = a_claim(
        proposition(bound=41, false=True), proposition("corrected"), expected="false as printed",
        corrected=Statement("y"),
    ).check(300)
    data = json.loads(json.dumps(verdict.to_json()))
    assert data["verdict"] == "false as printed"
    assert data["as_expected"] is True
    assert data["corrected"] == "y"
    assert [p["counterexample"] for p in data["propositions"]] == ["42", None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expected": "perhaps"}, "expected must be"),
        ({"expected": "false as printed"}, "corrected statement exactly"),
        ({"corrected": Statement("y")}, "corrected statement exactly"),
        ({"corrected": Statement("y"), "expected": "false as printed"}, "must have false=True exactly"),
    ],
)
def test_a_claim_that_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        a_claim(proposition(), **options)


def test_bad_use():
    with pytest.raises(ValueError, match="only a printed"):
        a_claim(proposition(), proposition("general", false=True))
    with pytest.raises(ValueError, match="no propositions"):
        a_claim()
    with pytest.raises(ValueError, match="max_examples"):
        a_claim(proposition()).check(0)
    with pytest.raises(ValueError, match="no figure"):
        a_claim(proposition()).figure()
    assert a_claim(proposition()).show() == "text"


def test_registration(registry):
    @claim("own", "squares are positive", domain=st.integers(-5, 5), corrected="they are not negative")
    def positive(x):
        """A square is a product of two numbers of one sign, or 0."""
        require(x * x > 0, f"{x} squared is {x * x}")

    assert registry["own"] is positive
    verdict = positive.check(100)
    assert (verdict.outcome, verdict.counterexample) == ("false as printed", 0)
    assert positive.proof.startswith("A square")
    with pytest.raises(ValueError, match="a claim own already"):
        register(positive)
