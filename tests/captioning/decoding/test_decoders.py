"""Decoding against a model whose scores are a table, so that every right caption is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.decoders import _in_batches, _likeliest, beam, greedy, sample
from captioning.models.captioner import Captioner

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "b", "c"])
NULL, START, END, UNK, A, B, C = range(7)


class Table:
    """Scores of the next word depend on the word before and on the picture's kind (feature 0)."""

    feature_size = 1
    vocabulary = VOCABULARY
    training = True

    def __init__(self, tables):
        self.tables = np.asarray(tables, dtype=float)  # (kinds, V, V)
        self.modes, self.calls = [], []

    def train(self, mode=True):
        self.training = mode
        self.modes.append(mode)

    def eval(self):
        self.train(False)

    def initial_state(self, features):
        return (Rows(np.asarray(features)[:, 0].astype(int)),)

    def project_words(self):
        return "of all words"

    def step(self, words, state, projected=None):
        assert projected in (None, "of all words")
        self.calls.append(len(words))
        return Rows(self.tables[state[0].data, words]), state


class Rows:
    """Enough of a tensor."""

    def __init__(self, data):
        self.data = data

    @property
    def shape(self):
        return self.data.shape

    def __getitem__(self, index):
        return Rows(self.data[index])


def table(*likeliest):
    """What follows what, at the score 5; everything else at 0, and the special words at 9."""
    scores = np.zeros((7, 7))
    scores[:, [NULL, START, UNK]] = 9.0
    for before, after in itertools.pairwise((START, *likeliest)):
        scores[before, after] = 5.0
    return scores


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


def log_probability(model, features, caption):
    """Of one caption, word by word; forbidden words take no probability."""
    state, total, before = model.initial_state(features), 0.0, START
    for word in caption:
        scores, state = model.step(np.array([before]), state)
        row = scores.data[0].copy()
        row[[NULL, START, UNK]] = -np.inf
        total += row[word] - np.log(np.exp(row).sum())
        before = word
    return total


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_wide_beam_finds_the_best_of_all_captions(cell, power):
    model = Captioner(VOCABULARY, 3, 4, 5, cell, dtype=np.float64, rng=2)
    model.W_vocab.data *= 4
    features = np.random.default_rng(3).standard_normal((4, 3))
    L = 3
    every = [(*words, END) for n in range(L) for words in itertools.product((A, B, C), repeat=n)]
    every += list(itertools.product((A, B, C), repeat=L))
    said = beam(model, features, width=40, max_length=L, length_power=power)
    for row, feature in zip(said, features, strict=True):
        best = max(every, key=lambda c, f=feature: log_probability(model, f[None], c) / len(c) ** power)
        np.testing.assert_array_equal(row[row != NULL], best)


def test_a_beam_of_one_is_greedy():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    model.W_vocab.data *= 10
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


@pytest.mark.parametrize("decode", [greedy, sample, beam])
def test_batches_are_split_without_a_trace(decode, monkeypatch):
    model = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=0)
    features = np.random.default_rng(0).standard_normal((7, 3))
    options = {"top_k": 1, "rng": 0} if decode is sample else {}
    whole = decode(model, features, max_length=5, **options)
    monkeypatch.setattr("captioning.decoding.decoders._BATCH", 3)
    np.testing.assert_array_equal(decode(model, features, max_length=5, **options), whole)
    assert decode(model, features[:0], max_length=5, **options).shape[0] == 0


@pytest.mark.parametrize(("count", "threads", "sizes"), [
    (0, 2, []), (100, 2, [100]), (250, 1, [250]), (250, 2, [125, 125]), (501, 1, [250, 251]), (1200, 2, [300] * 4),
])  # fmt: skip
def test_batches_are_about_equal_and_as_many_for_each_thread(count, threads, sizes):
    met: list[slice] = []
    _in_batches(met.append, count, 500, threads)
    assert [batch.stop - batch.start for batch in met] == sizes
    assert [i for batch in met for i in range(batch.start, batch.stop)] == list(range(count))


@pytest.mark.parametrize(("call", "message"), [
    (lambda m, f: greedy(m, f, max_length=0), "max_length must be an int of at least 1; got 0"),
    (lambda m, f: greedy(m, f[0]), r"features must be \(N, 3\).*got \(3,\)"),
    (lambda m, f: beam(m, f[:, :2]), r"features must be \(N, 3\).*got \(7, 2\)"),
    (lambda m, f: beam(m, f, width=0), "width must be at least 1; got 0"),
    (lambda m, f: sample(m, f, temperature=0), "temperature must be above 0; got 0"),
    (lambda m, f: sample(m, f, top_k=0), "top_k must be at least 1; got 0"),
])  # fmt: skip
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Captioner(VOCABULARY, 3, 4, 5, rng=0), np.zeros((7, 3)))


@pytest.mark.parametrize("cell_type", ["rnn", "lstm"])
def test_a_step_with_projected_words_is_that_step(cell_type):
    model = Captioner(VOCABULARY, 3, 4, 5, cell_type, dtype=np.float64, rng=0)
    words, state = np.array([4, 0, 4]), model.initial_state(np.random.default_rng(0).standard_normal((3, 3)))
    (plain, after), (quick, after_quick) = model.step(words, state), model.step(words, state, model.project_words())
    np.testing.assert_allclose(quick.data, plain.data, rtol=1e-12)
    for a, b in zip(after, after_quick, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


@given(st.integers(0, 4), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_the_likeliest_words_and_their_probabilities(N, V, count, seed):
    scores = np.random.default_rng(seed).standard_normal((N, V)) * 30
    words, logs = _likeliest(scores.copy(), count)
    exact = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    best = np.argsort(-scores, axis=1)[:, :count]
    np.testing.assert_array_equal(words, best)
    np.testing.assert_allclose(logs, np.take_along_axis(exact, best, axis=1), atol=1e-12)
