"""Bootstrap intervals of differences between captioners."""

import numpy as np
import pytest
from hypothesis import given, settings

from captioning.evaluation.comparison import SCORES, compare, score_sums
from captioning.scoring.cider import cider_d
from captioning.scoring.metrics import corpus_bleu, rouge_l
from tests.captioning.scoring.corpora import CORPORA, columns

CIDER = SCORES.index("CIDEr-D")


def table(scores):
    """Sums of captions that differ in CIDEr-D alone."""
    return [np.column_stack([np.zeros((len(scores), 11)), scores])]


@settings(max_examples=5)
@given(CORPORA)
def test_scores_are_those_of_the_corpus(corpus):
    references, hypotheses = columns(corpus)
    values = cider_d(references, hypotheses)
    (found,) = compare([[score_sums(references, hypotheses, values[1])]])
    expected = [*corpus_bleu(references, hypotheses).values(), rouge_l(references, hypotheses)[0], values[0]]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-12, atol=1e-12)


def test_the_interval_is_that_of_the_paired_differences():
    """The interval is 1.96 standard errors of the differences, even if the scores themselves vary more."""
    rng = np.random.default_rng(0)
    one = rng.normal(5, 2, 400)
    gain = rng.normal(0.1, 0.3, 400)
    _, found = compare([table(one), table(one + gain)])
    half = 1.96 * gain.std() / 20
    assert found.difference[CIDER] == pytest.approx(gain.mean())
    assert found.low[CIDER] == pytest.approx(gain.mean() - half, abs=0.1 * half)
    assert found.high[CIDER] == pytest.approx(gain.mean() + half, abs=0.1 * half)


def test_runs_with_other_seeds_are_averaged():
    one, other = table([1.0, 2.0]), table([2.0, 5.0])
    first, second = compare([one, one + other])
    assert (first.spread, first.difference) == (None, None)
    assert (second.scores[CIDER], second.difference[CIDER]) == (2.5, 1.0)
    assert second.spread[CIDER] == pytest.approx(np.std([1.5, 3.5], ddof=1))
