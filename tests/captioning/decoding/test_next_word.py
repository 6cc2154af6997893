"""The scores of the next word."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.decoding.batches import WordScorer
from captioning.models.captioner import Captioner
from tests.captioning.decoding.table import NULL, START, UNK, VOCABULARY


@pytest.mark.parametrize("cell_type", ["rnn", "lstm"])
def test_a_step_with_projected_words_is_that_step(cell_type):
    model = Captioner(VOCABULARY, 3, 4, 5, cell_type, dtype=np.float64, rng=0)
    words, state = np.array([4, 0, 4]), model.initial_state(np.random.default_rng(0).standard_normal((3, 3)))
    (plain, after), (quick, after_quick) = model.step(words, state), model.step(words, state, model.project_words())
    np.testing.assert_allclose(quick.data, plain.data, rtol=1e-12)
    for a, b in zip(after, after_quick, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


@pytest.mark.parametrize("spoken", [0, 99])  # few words are looked up one by one, of many all are projected before
@pytest.mark.parametrize("allow_unknown", [False, True])
def test_special_words_are_barred(allow_unknown, spoken):
    model = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=0)
    next_word = WordScorer(model, allow_unknown, spoken)
    words, state = next_word.start(np.ones((2, 3)))
    np.testing.assert_array_equal(words, [START, START])
    scores, _ = next_word.scores(words, state)
    barred = np.isneginf(scores)
    np.testing.assert_array_equal(barred, [np.isin(range(7), [NULL, START] + [UNK] * (not allow_unknown))] * 2)
    plain, _ = model.step(words, state)
    np.testing.assert_allclose(scores[~barred], plain.data[~barred], rtol=1e-12)
