"""Claim 3-2: its verdict, its counterexamples, and its words."""

from __future__ import annotations

import pytest

from theory import CLAIMS

CLAIM = CLAIMS["3-2"]


def test_verdict_with_few_examples():
    for examples in (1, 3, 15):
        verdict = CLAIM.check(max_examples=examples)
        assert verdict.as_expected
    assert verdict.outcome == "false as printed"
    assert verdict.refuted == ("the last factor P^-1", "every matrix has an eigendecomposition")
    assert "(P')^-1 D^k P'" in verdict.corrected.text


@pytest.mark.slow
def test_verdict_at_length(full):
    for seed in range(5 if full else 1):
        assert CLAIM.check(max_examples=2000 if full else 15, seed=1 + seed).as_expected


def test_counterexamples_are_the_smallest():
    printed, every = (proposition.examine(60, 0) for proposition in CLAIM.propositions[:2])
    assert printed.as_expected
    assert every.as_expected
    assert printed.counterexample.matrix.shape == (2, 2)
    assert len(printed.counterexample.shears) == printed.counterexample.k == 1
    assert printed.shown == "W = [[0, 1], [0, 1]] = P D P^-1, P = [[1, 1], [0, 1]], D = diag(0, 1), k = 1"
    assert every.counterexample == [[0, 1], [0, 0]]
    assert every.message == "A = W - 0 I has A v != 0 = A^2 v, v = [0 1], which no P D P^-1 has"
    assert CLAIM.counterexample(60) == printed.counterexample


def test_what_is_shown():
    text = CLAIM.show()
    assert len(text.splitlines()) > 15
    assert "dh_3/dh_0 = [1 0]" in text
    assert "(P')^-1 D^3 P^-1 = [ 1 -1]    (P')^-1 D^3 P' = [1 0]" in text
    assert "J^100 = [  1 100]" in text
    assert "5         0.993          103.2 steps          0.51" in text


def test_words_are_complete():
    for text in (CLAIM.statement.latex, CLAIM.corrected.latex, CLAIM.proof):
        assert "\\\\" not in text  # a Markdown reader would take one of the two
        assert "\\|" not in text  # and the backslash here
        assert all(line.count("$") % 2 == 0 for line in text.splitlines())  # no formula is broken by a line's end
    assert all("\n" not in p.statement for p in CLAIM.propositions)
