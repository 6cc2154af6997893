"""The claims 3-1 and "3-1 alt": their verdicts, counterexamples, and words."""

from __future__ import annotations

import pytest

from theory import CLAIMS


@pytest.mark.parametrize("number", ["3-1", "3-1 alt"])
def test_verdict(number):
    verdict = CLAIMS[number].check(10)
    assert verdict.as_expected, [r.message for r in verdict.results if not r.holds]
    assert verdict.counterexample == (1, 1)
    assert all(r.proposition.false for r in verdict.results if not r.holds)


def test_counterexamples_are_the_smallest():
    one, two = CLAIMS["3-1 alt"].propositions[:2]
    assert CLAIMS["3-1"].counterexample(1) == (1, 1)
    assert one.examine(1, 0).counterexample == (1, 1)
    assert two.examine(1, 0).counterexample == (0,)


def test_finite_domains_are_whole():
    tried = {p.name: p.examine(1, 0).cases for p in CLAIMS["3-1"].propositions if p.exhaustive}
    assert tried == {"all short sequences": 16, "the printed formula is OR": 4}


@pytest.mark.slow
@pytest.mark.parametrize("number", ["3-1", "3-1 alt"])
def test_campaign(number, full):
    """With --full, a thousand examples by another seed than the command's."""
    assert CLAIMS[number].check(1_000 if full else 5, seed=7).as_expected


def test_shown_numbers():
    unit = CLAIMS["3-1"].show().splitlines()
    table = ["0 0 0 0 0 0", "0 1 1 1 1 1", "1 0 1 1 1 1", "1 1 1 1 0 0"]  # h, x, OR, printed, XOR, corrected
    assert [" ".join(line.split()) for line in unit[1:5]] == table
    assert "  printed    h_0 = 0, h_1 = 1, h_2 = 1" in unit
    assert "  corrected  h_0 = 0, h_1 = 1, h_2 = 0" in unit
    network = CLAIMS["3-1 alt"].show()
    assert "Wh = [[1.0, 1.0], [-1.0, -1.0]]" in network
    assert " 2  1    0        1  1   0        1  0   1   wrong" in network
    assert "critical gain: 2.330212853" in network
    assert "gain 2.33  s = 0.823, 0.180, 0.181, 0.775;  1 0 0 … 0 fails at step 781" in network


@pytest.mark.parametrize("number", ["3-1", "3-1 alt"])
def test_words_are_complete(number):
    claim = CLAIMS[number]
    for text in (claim.statement.latex, claim.corrected.latex, claim.proof):
        assert text.count("$") % 2 == 0
        assert "\\\\" not in text  # Markdown would take one of the two
        assert all(line.count("$") % 2 == 0 for line in text.splitlines())  # no formula is broken by a line's end
    assert all("\n" not in p.statement for p in claim.propositions)
    assert claim.show().count("\n") > 3
