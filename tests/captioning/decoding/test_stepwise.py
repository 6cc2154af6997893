"""Greedy decoding and sampling, against a model whose scores are a table."""

from __future__ import annotations

import numpy as np

from captioning.decoding.stepwise import greedy, sample
from captioning.models.captioner import Captioner
from tests.captioning.decoding.table import END, NULL, START, UNK, VOCABULARY, A, B, C, Table, table


def test_greedy_says_the_likeliest_words_and_never_a_special_one():
    model = Table([table(A, B, END), table(END), table(A, C, B, END)])
    said = greedy(model, np.array([[0], [1], [2]]), max_length=10)
    assert said.dtype == np.int32
    np.testing.assert_array_equal(said, [[A, B, END, NULL], [END, NULL, NULL, NULL], [A, C, B, END]])
    assert model.modes == [False, True]  # evaluated, and back as it was


def test_captions_that_have_ended_are_not_computed_any_further():
    model = Table([table(A, B, END), table(END), table(A, C, B, END)])
    greedy(model, np.array([[0], [1], [2]]), max_length=10)
    assert model.calls == [3, 2, 2, 1]


def test_a_caption_is_cut_at_the_longest_length():
    said = greedy(Table([table(A, B, C, END)]), np.zeros((1, 1)), max_length=2)
    np.testing.assert_array_equal(said, [[A, B]])


def test_unknown_words_only_if_allowed():
    scores = table(UNK, END)
    assert UNK not in greedy(Table([scores]), np.zeros((1, 1)))
    np.testing.assert_array_equal(greedy(Table([scores]), np.zeros((1, 1)), allow_unknown=True, max_length=1), [[UNK]])


def test_sampling_follows_the_softmax():
    scores = table(A, END)
    scores[START, [END, A, B, C]] = np.log([0.1, 0.2, 0.3, 0.4])
    said = sample(Table([scores]), np.zeros((4000, 1)), max_length=1, rng=0)
    shares = np.bincount(said[:, 0], minlength=7) / 4000
    np.testing.assert_allclose(shares, [0, 0, 0.1, 0, 0.2, 0.3, 0.4], atol=0.03)
    cold = sample(Table([scores]), np.zeros((4000, 1)), max_length=1, temperature=0.5, rng=0)
    squares = np.array([0.1, 0.2, 0.3, 0.4]) ** 2
    shares = np.bincount(cold[:, 0], minlength=7)[[END, A, B, C]] / 4000
    np.testing.assert_allclose(shares, squares / squares.sum(), atol=0.03)


def test_sampling_from_the_likeliest_only():
    scores = table(A, END)
    scores[START, [END, A, B, C]] = np.log([0.1, 0.2, 0.3, 0.4])
    said = sample(Table([scores]), np.zeros((500, 1)), max_length=1, top_k=2, rng=0)
    assert set(np.unique(said)) == {B, C}
    one = sample(Table([table(A, B, END)]), np.zeros((3, 1)), top_k=1, rng=0, max_length=9)
    np.testing.assert_array_equal(one, [[A, B, END]] * 3)
    every = sample(Table([scores]), np.zeros((500, 1)), max_length=1, top_k=99, rng=0)
    assert set(np.unique(every)) == {END, A, B, C}


def test_sampling_is_repeatable():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    features = np.random.default_rng(0).standard_normal((20, 3))
    first = sample(model, features, rng=5)
    np.testing.assert_array_equal(first, sample(model, features, rng=5))
    assert first.shape != (other := sample(model, features, rng=6)).shape or (first != other).any()
    assert not np.isin(first[first != NULL], [START, UNK]).any()
