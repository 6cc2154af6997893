"""Beam search, against all captions there are, and against a model whose scores are a table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
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


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_caption_that_ended_is_preferred_to_a_likelier_one_that_was_cut(power):
    said = beam(Table([ending_late()]), np.zeros((2, 1)), width=2, max_length=4, length_power=power)
    assert greedy(Table([ending_late()]), np.zeros((1, 1)), max_length=4).tolist() == [[A, A, A, A]]
    ended = {0.0: [A, END], 1.0: [A, A, A, END]}[power]  # log 0.1 / 2 < log(0.9 0.9 0.1) / 4
    np.testing.assert_array_equal(said[:, : len(ended)], [ended] * 2)
    assert (said[:, len(ended) :] == NULL).all()


def test_a_caption_is_cut_where_none_ended():
    never = ending_late()
    never[:, END] = -1000.0
    said = beam(Table([never, ending_late()]), np.array([[0], [1], [0]]), width=2, max_length=3)
    np.testing.assert_array_equal(said, [[A, A, A], [A, A, END], [A, A, A]])


def test_images_that_are_done_are_not_computed_any_further():
    model = Table([table(END), table(A, B, C, END)])
    said = beam(model, np.array([[0], [1], [0]]), width=2, max_length=9, length_power=0.0)
    assert said.tolist() == [[END, NULL, NULL, NULL], [A, B, C, END], [END, NULL, NULL, NULL]]
    assert model.calls == [6, 2, 2, 2]


def test_a_beam_of_one_is_greedy():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    model.predict.weight.data *= 10
    features = np.random.default_rng(0).standard_normal((30, 3))
    np.testing.assert_array_equal(beam(model, features, width=1), greedy(model, features))


def test_a_beam_looks_ahead():
    scores = np.full((7, 7), -20.0)
    scores[START, [A, B]] = np.log([0.6, 0.4])
    scores[A, [A, B, C, END]] = np.log([0.25, 0.25, 0.25, 0.25])
    scores[B, END] = scores[C, END] = 0.0
    features = np.zeros((2, 1))
    assert greedy(Table([scores]), features)[0, 0] == A
    np.testing.assert_array_equal(beam(Table([scores]), features, width=2, length_power=0.0), [[B, END]] * 2)


@given(st.integers(0, 4), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_the_likeliest_words_and_their_probabilities(N, V, count, seed):
    scores = np.random.default_rng(seed).standard_normal((N, V)) * 30
    words, logs = likeliest(scores.copy(), count)
    exact = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    best = np.argsort(-scores, axis=1)[:, :count]
    np.testing.assert_array_equal(words, best)
    np.testing.assert_allclose(logs, np.take_along_axis(exact, best, axis=1), atol=1e-12)
