"""Claims: verdicts that can fail, smallest counterexamples, corrected statements, and the registry."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import find
from hypothesis import strategies as st

from tests.theory.samples import a_claim, proposition
from theory import CLAIMS, Corrected, Proposition, Refuted, Statement, agree, claim, every, register, require
from theory.selfcheck import check_machinery


@pytest.mark.parametrize(
    ("propositions", "outcome"),
    [
        ([proposition()], "statement: no counterexample"),
        ([proposition(), proposition("general")], "statement: no counterexample; more generally: no counterexample"),
        ([proposition(bound=41), proposition("corrected")],
         "statement: refuted; corrected statement: no counterexample"),
        ([proposition(), proposition("matrix", 41)], "statement: no counterexample; printed matrix: refuted"),
        ([proposition(bound=41), proposition("corrected", 50)], "statement: refuted; corrected statement: refuted"),
        ([proposition(), proposition("general", 50)], "statement: no counterexample; more generally: refuted"),
        ([Proposition("broken", "", lambda x: 1 / 0, [0]), proposition("general")],
         "statement: broken; more generally: no counterexample"),
    ],
)  # fmt: skip
def test_verdict_follows_from_the_propositions(propositions, outcome):
    verdict = a_claim(*propositions).check(200)
    assert verdict.words == outcome
    assert verdict.as_expected == ("refuted" not in outcome and "broken" not in outcome)


def test_it_matters_which_printed_proposition_is_refuted():
    """A checker that refutes too much must not hide behind a claim that is false anyway."""
    known, instead = proposition(bound=41, false=True), proposition("corrected")
    false = {"corrected": Corrected("y", by=(instead.name,))}
    assert a_claim(known, proposition(), instead, **false).check(200).as_expected
    for others in ([known, proposition(bound=50)], [proposition(bound=50), proposition(false=True)]):
        verdict = a_claim(*others, instead, **false).check(200)
        assert (verdict.outcome, verdict.as_expected) == ("refuted", False)


def test_a_false_claim_and_its_json():
    false, instead = proposition(bound=41, false=True), proposition("corrected")
    verdict = a_claim(false, instead, corrected=Corrected("y", by=(instead.name,))).check(500)
    assert verdict.as_expected
    assert verdict.counterexample == 42  # the smallest
    assert verdict.results[0].message == "42 is above 41"
    data = json.loads(json.dumps(verdict.to_json()))
    assert data["verdicts"] == {"statement": "refuted", "corrected": "no counterexample"}
    assert (data["as_expected"], data["corrected"]) == (True, "y")
    assert data["corrected_by"] == [instead.name]
    assert [p["example"] for p in data["propositions"]] == ["42", None]
    assert a_claim(proposition(bound=41)).counterexample() == 42
    assert a_claim(proposition()).counterexample() is None


def test_the_same_seed_tries_the_same_examples():
    def tried(seed):
        seen = []
        a_claim(Proposition("all", "all", seen.append, st.floats())).check(30, seed)
        return repr(seen)

    assert tried(3) == tried(3) != tried(4)


def test_fail_fast_stops_at_the_first_unexpected_verdict():
    propositions = [proposition(bound=41, false=True), proposition("corrected", 50), proposition("general")]
    claim = a_claim(*propositions, corrected=Corrected("y", by=(propositions[1].name,)))
    verdict = claim.check(200, fail_fast=True)
    assert [result.verdict for result in verdict.results] == ["refuted", "refuted"]
    assert not verdict.as_expected


def test_strategy_gives_examples_of_the_first_proposition():
    assert find(a_claim(proposition()).strategy, lambda x: x > 41) == 42
    assert find(a_claim(proposition(domain=every(7, 8))).strategy, lambda x: x > 7) == 8


KNOWN = proposition(bound=41, false=True)
WHOLE = proposition("corrected")


@pytest.mark.parametrize(
    ("propositions", "options", "message"),
    [
        ([], {}, "at least one proposition"),
        ([KNOWN], {}, "corrected statement if and only if"),
        ([proposition("prove")], {}, "the roles of propositions are printed, proof, formula, matrix, corrected"),
        ([proposition()], {"corrected": Corrected("y", by=("z",))}, "corrected statement if and only if"),
        ([KNOWN, proposition("general", 9, false=True)], {"corrected": Corrected("y", by=("z",))}, "must not be false"),
        ([proposition(), proposition()], {}, "same name"),
        ([KNOWN, WHOLE], {"corrected": Statement("y")}, "names no proposition that checks it"),
        ([KNOWN, WHOLE], {"corrected": Corrected("y")}, "names no proposition that checks it"),
        ([KNOWN, WHOLE], {"corrected": Corrected("y", by=("odd",))}, f"by odd; .* {WHOLE.name}"),
        ([KNOWN], {"corrected": Corrected("y", by=(KNOWN.name,))}, "'corrected' are none"),
    ],
)
def test_a_claim_that_makes_no_sense(propositions, options, message):
    with pytest.raises(ValueError, match=f"claim x: .*{message}"):
        a_claim(*propositions, **options)


def test_bad_use():
    with pytest.raises(ValueError, match="max_examples"):
        a_claim(proposition()).check(0)
    with pytest.raises(ValueError, match="no figure"):
        a_claim(proposition()).figure()
    assert a_claim(proposition()).show() == "text"


def test_registration():
    def not_negative(x):
        require(x * x >= 0, f"{x} squared is {x * x}")

    own = {"domain": st.integers(-5, 5), "corrected": "they are not negative"}
    with pytest.raises(ValueError, match="check_corrected=checker"):
        claim("own", "squares are positive", **own)
    try:

        @claim("own", "squares are positive", check_corrected=not_negative, **own)
        def positive(x):
            """A square is a product of two numbers of one sign, or 0."""
            require(x * x > 0, f"{x} squared is {x * x}")

        assert CLAIMS["own"] is positive
        with pytest.raises(ValueError, match="claim own already"):
            register(positive)
    finally:
        del CLAIMS["own"]
    verdict = positive.check(100)
    assert (verdict.outcome, verdict.counterexample) == ("refuted", 0)
    assert positive.proof.startswith("A square")


def test_agree():
    agree(np.zeros(0), np.zeros(0), "empty")
    agree([1e6 + 1e-4], [1e6], "relative")
    agree([np.inf, 1.0], [np.inf, 1.0], "not finite")
    agree(np.array([True]), [1], "booleans")
    for actual, expected in (([5, 1], [7, np.inf]), ([0, 1], [np.inf, 1]), ([np.inf, 1], [1, 1]), ([1], [np.nan]),
                             (np.eye(2) + 1e-3, np.eye(2))):  # fmt: skip
        with pytest.raises(Refuted, match=r"what: .* expected"):
            agree(actual, expected, "what")


@pytest.mark.parametrize("wrong", ["require", "agree"])
def test_the_selfcheck_notices_broken_machinery(wrong, monkeypatch):
    check_machinery()
    monkeypatch.setattr(f"theory.selfcheck.{wrong}", lambda *arguments: None)
    with pytest.raises(ValueError, match="self-test failed"):
        check_machinery()
