"""Beam search, against a model whose scores are a table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.decoding.beam_search import beam, likeliest
from captioning.decoding.stepwise import greedy
from captioning.models.captioner import Captioner
from tests.captioning.decoding.table import END, NULL, START, VOCABULARY, A, B, C, Table, table


def ending_late():
    """Ends after two words with probability 0.1 each time; going on is likelier, at every length."""
    scores = np.full((7, 7), -20.0)
    scores[START, A] = 0.0
    scores[A, [A, END]] = np.log([0.9, 0.1])
    return scores


@pytest.mark.parametrize(("power", "ended"), [(0.0, [A, END, NULL, NULL]), (1.0, [A, A, A, END])])
def test_a_caption_that_ended_is_preferred_to_a_likelier_one_that_was_cut(power, ended):
    """log 0.1 / 2 < log(0.9 0.9 0.1) / 4. Where none ended, the likeliest is cut."""
    never = ending_late()
    never[:, END] = -1000.0
    model = Table(ending_late(), never)
    said = beam(model, np.array([[0], [1], [0]]), width=2, max_length=4, length_power=power)
    np.testing.assert_array_equal(said, [ended, [A, A, A, A], ended])
    assert greedy(model, np.zeros((1, 1)), max_length=4).tolist() == [[A, A, A, A]]


def test_images_that_are_done_are_not_computed_any_further():
    model = Table(table(END), table(A, B, C, END))
    said = beam(model, np.array([[0], [1], [0]]), width=2, max_length=9, length_power=0.0)
    assert said.tolist() == [[END, NULL, NULL, NULL], [A, B, C, END], [END, NULL, NULL, NULL]]
    assert model.calls == [6, 2, 2, 2]


def test_a_beam_of_one_is_greedy():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    model.predict.weight.data *= 10
    features = np.random.default_rng(0).standard_normal((30, 3))
    np.testing.assert_array_equal(beam(model, features, width=1), greedy(model, features))


@settings(max_examples=12)
@given(st.integers(0, 4), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_the_likeliest_words_and_their_probabilities(N, V, count, seed):
    scores = np.random.default_rng(seed).standard_normal((N, V)) * 30
    words, logs = likeliest(scores.copy(), count)
    exact = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    best = np.argsort(-scores, axis=1)[:, :count]
    np.testing.assert_array_equal(words, best)
    np.testing.assert_allclose(logs, np.take_along_axis(exact, best, axis=1), atol=1e-12)
