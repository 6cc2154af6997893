"""ROUGE-L against the table of common subsequences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from captioning.scoring.metrics import rouge_l
from tests.captioning.scoring.corpora import CORPORA, columns


def common(one, other):
    """The length of the longest common subsequence, by the table of all beginnings."""
    table = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            table[i, j] = table[i - 1, j - 1] + 1 if a == b else max(table[i - 1, j], table[i, j - 1])
    return table[-1, -1]


def by_definition(references, hypothesis):
    if not hypothesis:
        return 0.0
    p = max(common(hypothesis, reference) / len(hypothesis) for reference in references)
    r = max(common(hypothesis, reference) / max(1, len(reference)) for reference in references)
    return (1 + 1.2**2) * p * r / (r + 1.2**2 * p) if p else 0.0


@given(CORPORA)
def test_rouge_l_is_its_definition(corpus):
    references, hypotheses = columns(corpus)
    mean, scores = rouge_l(references, hypotheses)
    assert scores.dtype == np.float64
    assert scores == pytest.approx([by_definition(*pair) for pair in corpus], abs=1e-12)
    assert mean == pytest.approx(scores.mean(), abs=1e-15)
    ids = [[[ord(word) for word in tokens] for tokens in item] for item in references]
    assert rouge_l(ids, [[ord(word) for word in tokens] for tokens in hypotheses])[1].tolist() == scores.tolist()


def test_a_long_caption():
    """Longer than the bits of a machine's word, of which integers here have no limit."""
    long = [f"w{k}" for k in range(200)]
    assert rouge_l([[long]], [long])[0] == pytest.approx(1.0)
    assert rouge_l([[long[::2]]], [long])[0] == pytest.approx(by_definition([long[::2]], long))


@pytest.mark.parametrize(("references", "hypotheses", "error", "message"), [
    ([["a dog"]], [["a", "dog"]], TypeError, "rouge_l: item 0 has a str"),
    ([[]], [["a"]], ValueError, "rouge_l: item 0 has no references"),
    ([], [], ValueError, "rouge_l: there are no hypotheses"),
    ([[["a"]]], [["a"], ["b"]], ValueError, "rouge_l: references has 1 items, hypotheses has 2"),
])  # fmt: skip
def test_what_does_not_fit_is_said(references, hypotheses, error, message):
    with pytest.raises(error, match=message):
        rouge_l(references, hypotheses)
