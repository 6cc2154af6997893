"""Greedy decoding and sampling, against a model whose scores are a table."""

import numpy as np
import pytest

from captioning.decoding.stepwise import greedy, sample
from captioning.models.captioner import Captioner
from tests.captioning.decoding.table import END, NULL, START, UNK, VOCABULARY, A, B, C, Table, table


def test_greedy_says_the_likeliest_words_and_never_a_special_one():
    """Captions that have ended are not computed any further."""
    model = Table(table(A, B, END), table(END), table(A, C, B, END))
    said = greedy(model, np.array([[0], [1], [2]]), max_length=10)
    assert said.dtype == np.int32
    np.testing.assert_array_equal(said, [[A, B, END, NULL], [END, NULL, NULL, NULL], [A, C, B, END]])
    assert model.modes == [False, True]  # evaluated, and back as it was
    assert model.calls == [3, 2, 2, 1]
    assert greedy(model, np.zeros((1, 1)), max_length=1).tolist() == [[A]]


def test_unknown_words_only_if_allowed():
    model = Table(table(UNK, END))
    assert UNK not in greedy(model, np.zeros((1, 1)))
    assert greedy(model, np.zeros((1, 1)), allow_unknown=True, max_length=1).tolist() == [[UNK]]


@pytest.mark.parametrize(("options", "weights"), [
    ({}, [0.1, 0.2, 0.3, 0.4]), ({"temperature": 0.5}, [0.01, 0.04, 0.09, 0.16]), ({"top_k": 2}, [0, 0, 0.3, 0.4]),
    ({"top_k": 99}, [0.1, 0.2, 0.3, 0.4]), ({"top_k": 1}, [0, 0, 0, 1]),
])  # fmt: skip
def test_sampling_follows_the_softmax(options, weights):
    scores = table(A, END)
    scores[START, [END, A, B, C]] = np.log([0.1, 0.2, 0.3, 0.4])
    said = sample(Table(scores), np.zeros((4000, 1)), max_length=1, rng=0, **options)
    shares = np.bincount(said[:, 0], minlength=7)[[END, A, B, C]] / 4000
    np.testing.assert_allclose(shares, np.divide(weights, sum(weights)), atol=0.03)
    assert not shares[np.array(weights) == 0].any()


def test_sampling_is_repeatable():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    features = np.random.default_rng(0).standard_normal((20, 3))
    first, again, other = (sample(model, features, rng=seed).tolist() for seed in (5, 5, 6))
    assert first == again != other
    assert not {START, UNK} & {word for caption in first for word in caption}
