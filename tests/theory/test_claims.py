"""Claims: verdicts that can fail, smallest counterexamples, and what is stated instead."""

from __future__ import annotations

import json

import pytest
from hypothesis import find
from hypothesis import strategies as st

from tests.theory.samples import a_claim, proposition
from theory import CLAIMS, Corrected, Proposition, Statement, every, require


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


def test_strategy_gives_examples_of_the_first_proposition():
    assert find(a_claim(proposition()).strategy, lambda x: x > 41) == 42
    assert find(a_claim(proposition(domain=every(7, 8))).strategy, lambda x: x > 7) == 8
    assert proposition(domain=every(1, 101, 102)).examine(40, 0).cases == 2  # it stops at the first that fails


def test_verdict_as_json():
    verdict = a_claim(
        proposition(bound=41, false=True),
        proposition("corrected"),
        expected="false as printed",
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
