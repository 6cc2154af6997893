"""The machinery of claims: verdicts that can fail, smallest counterexamples, registration."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, find
from hypothesis import strategies as st

from theory import (
    CLAIMS,
    Claim,
    Corrected,
    Domain,
    Proposition,
    Refuted,
    Statement,
    agree,
    claim,
    enumerated,
    every,
    register,
    require,
    sampled,
    stratified,
)
from theory.selfcheck import check_machinery


def at_most(bound):
    def check(x):
        require(x <= bound, f"{x} is above {bound}")

    return check


def proposition(role="printed", bound=100, domain=None, **options):
    domain = st.integers(0, 100) if domain is None else domain
    return Proposition(f"at most {bound}, {role}", f"x <= {bound}", at_most(bound), domain, role, **options)


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
    known, instead = proposition(bound=41, false=True), proposition("corrected")
    false = {"expected": "false as printed", "corrected": Corrected("y", by=(instead.name,))}
    assert a_claim(known, proposition(), instead, **false).check(200).as_expected
    for others in ([known, proposition(bound=50)], [proposition(bound=50), proposition(false=True)]):
        verdict = a_claim(*others, instead, **false).check(200)
        assert verdict.outcome == "false as printed"
        assert not verdict.as_expected


def test_counterexample_is_the_smallest():
    false = proposition(bound=41, false=True)
    instead = proposition("corrected")
    corrected = Corrected("y", by=(instead.name,))
    verdict = a_claim(false, instead, expected="false as printed", corrected=corrected).check(500)
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
    assert (whole.cases, whole.holds, whole.kind) == (40, True, "sample")
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
        1 / (x - 1)

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
        corrected=Corrected("y", by=("at most 100, corrected",)),
    ).check(300)
    data = json.loads(json.dumps(verdict.to_json()))
    assert data["verdict"] == "false as printed"
    assert data["as_expected"] is True
    assert data["corrected"] == "y"
    assert data["corrected_by"] == ["at most 100, corrected"]
    assert [p["counterexample"] for p in data["propositions"]] == ["42", None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expected": "perhaps"}, "expected must be"),
        ({"expected": "false as printed"}, "corrected statement exactly"),
        ({"corrected": Corrected("y", by=("z",))}, "corrected statement exactly"),
        ({"corrected": Corrected("y", by=("z",)), "expected": "false as printed"}, "must have false=True exactly"),
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
    def not_negative(x):
        require(x * x >= 0, f"{x} squared is {x * x}")

    own = {"domain": st.integers(-5, 5), "corrected": "they are not negative"}

    @claim("own", "squares are positive", check_corrected=not_negative, **own)
    def positive(x):
        """A square is a product of two numbers of one sign, or 0."""
        require(x * x > 0, f"{x} squared is {x * x}")

    assert registry["own"] is positive
    verdict = positive.check(100)
    assert (verdict.outcome, verdict.counterexample) == ("false as printed", 0)
    assert positive.proof.startswith("A square")
    with pytest.raises(ValueError, match="a claim own already"):
        register(positive)
    with pytest.raises(ValueError, match="claim other: what holds instead needs both: corrected=text and check_corr"):
        claim("other", "squares are positive", **own)


# A checker says nothing, or raises ------------------------------------------------------------------


@pytest.mark.parametrize("returned", [False, True, 0, np.bool_(False), "x", NotImplemented])
@pytest.mark.parametrize("domain", [st.integers(0, 9), [1, 2]])
def test_a_checker_that_returns_something_is_an_error(returned, domain):
    """`return 1 == 2` accepted everything."""
    wrong = Proposition("arithmetic", "1 is 2", lambda x: returned, domain)
    with pytest.raises(TypeError, match=r"claim x: arithmetic: its checker returned .* for .*; a checker raises"):
        a_claim(wrong).check(20)
    with pytest.raises(TypeError, match="returns nothing to accept"):
        a_claim(proposition(), wrong).check(20)


# What is stated instead is checked -------------------------------------------------------------------


def parity_of(remainder):
    def check(n):
        require(n % 2 == remainder, f"{n} is not")

    return check


def test_a_corrected_statement_is_checked():
    """Every integer is even; corrected: every integer is odd."""
    even = Proposition("even", "every integer is even", parity_of(0), st.integers(0, 99), false=True)
    odd = Proposition("odd", "every integer is odd", parity_of(1), st.integers(0, 99), "corrected")
    whole = Proposition("whole", "every integer is even or odd", lambda n: require(n % 2 < 2, ""), [1, 2], "corrected")
    options = {"expected": "false as printed"}
    wrong = a_claim(even, odd, corrected=Corrected("every integer is odd", by=("odd",)), **options).check(50)
    assert (wrong.outcome, wrong.as_expected) == ("refuted", False)
    right = a_claim(even, whole, corrected=Corrected("even or odd", by=("whole",)), **options).check(50)
    assert right.as_expected
    assert right.corrected.by == ("whole",)
    refused = {
        "names no proposition that checks it": (even, whole, Statement("odd")),
        "names no proposition that checks": (even, whole, Corrected("odd")),
        "is checked by odd; the propositions of the role 'corrected' are whole":
            (even, whole, Corrected("", by=("odd",))),
        "is checked by even; the propositions of the role 'corrected' are none": (even, Corrected("", by=("even",))),
        "is checked by odd; the propositions of the role 'corrected' are odd, whole":
            (even, odd, whole, Corrected("", by=("odd",))),
    }  # fmt: skip
    for message, (*propositions, corrected) in refused.items():
        with pytest.raises(ValueError, match=f"claim x: its corrected statement .*{message}"):
            a_claim(*propositions, corrected=corrected, **options)


@pytest.mark.parametrize("number", [number for number, c in CLAIMS.items() if c.corrected is not None])
def test_every_corrected_statement_names_what_checks_it(number):
    known = CLAIMS[number]
    by = [p for p in known.propositions if p.name in known.corrected.by]
    assert by
    assert all(p.role == "corrected" and not p.false for p in by)


def test_two_propositions_of_one_name_are_refused():
    with pytest.raises(ValueError, match="claim x: two of its propositions have the same name, at most 100, printed"):
        a_claim(proposition(), proposition())


# Domains and what they promise ------------------------------------------------------------------------


def survivor(domain, examples=30):
    return Proposition("all", "all", lambda x: None, domain).examine(examples, 0)


def test_all_cases_is_said_of_what_is_enumerated_only():
    strata = stratified([1], lambda stratum, seed: seed)
    for domain in (st.integers(0, 9), [1, 2], lambda n: range(n), sampled([1, 2]), strata):
        result = survivor(domain)
        assert (result.kind, result.extent) == ("sample", f"a sample of {result.cases}")
    for domain in (every(1, 2), enumerated([1, 2], 2), enumerated(lambda n: [1, 2], lambda n: 2)):
        assert (survivor(domain).kind, survivor(domain).extent) == ("all", "all 2 cases")
    with pytest.raises(ValueError, match="must say how many there are"):
        Domain(lambda number, seed: [1], exhaustive=True)


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (enumerated([1, 2], 3), "the domain falls short: it has 2 cases, 3 are promised"),
        (enumerated([1, 1, 2], 3), "the domain falls short: 1 of its 3 cases come twice"),
        (sampled([1, 2], {"a 3": lambda x: x == 3}), "the domain falls short: none of 2 examples has a 3"),
        (sampled(st.integers(0, 2), {"a 3": lambda x: x == 3}), "the domain falls short: none of 3 examples has a 3"),
        (stratified("ab", lambda s, seed: s, {"a c": lambda s: s == "c"}), "none of 30 examples has a c"),
        (sampled(st.integers(0, 9), certify=at_most(4)), "this is no example of the domain: 5 is above 4"),
    ],
)
def test_a_domain_that_breaks_its_promise_gives_no_verdict(domain, message):
    result = survivor(domain)
    assert message in result.message
    assert (result.holds, result.broken, result.as_expected) == (False, True, False)


def test_a_rare_feature_is_drawn_and_checked():
    """However few examples are asked for."""
    rare = sampled(st.integers(0, 300), {"a number above 290": lambda x: x > 290})
    assert survivor(rare, 1).holds
    assert survivor(rare, 1).cases <= 2
    result = proposition(bound=290, domain=rare).examine(1, 0)
    assert (result.holds, result.broken, result.counterexample) == (False, False, 291)


def test_strata_are_all_met_and_seeds_follow_the_check():
    domain = stratified("abc", lambda letter, seed: (letter, seed))
    assert [letter for letter, _ in domain.examples(7)] == list("abcabcabc")
    assert len({seed for _, seed in domain.examples(7)}) == 9
    assert not {*domain.examples(7, seed=0)} & {*domain.examples(7, seed=1)}


def test_the_machinery_is_sound():
    check_machinery()


@pytest.mark.parametrize("wrong", ["require", "agree"])
def test_a_machinery_that_is_not_is_noticed(wrong, monkeypatch):
    monkeypatch.setattr(f"theory.selfcheck.{wrong}", lambda *arguments: None)
    with pytest.raises(ValueError, match="the machinery of claims is broken, so no verdict means anything"):
        check_machinery()
