"""Scheduled sampling: some words that are read are the captioner's own."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.training.solver import with_own_words

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *"abcdefgh"])
CAPTIONS = np.random.default_rng(0).integers(4, 12, (40, 12))
CAPTIONS[:, 0] = 1
for _row, _length in zip(CAPTIONS, np.random.default_rng(1).integers(1, 11, 40), strict=True):
    _row[_length:] = 0
    _row[_length] = 2
FEATURES = np.random.default_rng(2).standard_normal((40, 3))


def model_of():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    model.eval()
    return model


def test_a_share_of_the_words_is_what_the_model_would_have_said():
    model = model_of()
    found = with_own_words(model, FEATURES, CAPTIONS, 0.5, np.random.default_rng(3))
    kept = (CAPTIONS < 4) | (found == CAPTIONS)
    assert 0.3 < 1 - kept[CAPTIONS >= 4].mean() < 0.6
    np.testing.assert_array_equal(found[CAPTIONS < 4], CAPTIONS[CAPTIONS < 4])  # <START>, <END> and the padding
    state = model.initial_state(FEATURES)
    for t in range(CAPTIONS.shape[1] - 1):
        scores, state = model.step(CAPTIONS[:, t], state)
        scores.data[:, :4] = -np.inf
        changed = ~kept[:, t + 1]
        np.testing.assert_array_equal(found[changed, t + 1], scores.data.argmax(axis=1)[changed])


def test_none_and_all():
    model, rng = model_of(), np.random.default_rng(0)
    np.testing.assert_array_equal(with_own_words(model, FEATURES, CAPTIONS, 0.0, rng), CAPTIONS)
    assert (with_own_words(model, FEATURES, CAPTIONS, 1.0, rng)[:, 1] != CAPTIONS[:, 1]).any()


def test_what_is_read_is_not_what_is_to_be_said():
    model = model_of()
    read = with_own_words(model, FEATURES, CAPTIONS, 0.9, np.random.default_rng(4))
    scores, words = model.scores(FEATURES, CAPTIONS, read)
    np.testing.assert_array_equal(words, CAPTIONS[:, 1:][CAPTIONS[:, 1:] != 0])
    others, _ = model.scores(FEATURES, read)
    np.testing.assert_array_equal(scores.data, others.data)
    with pytest.raises(ValueError, match=r"read must be as the captions, \(40, 12\); got \(40, 5\)"):
        model.scores(FEATURES, CAPTIONS, read[:, :5])
