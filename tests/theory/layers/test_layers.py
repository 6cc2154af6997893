"""What claims 5-1 to 5-6 compute and print, against other code."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from captioning.models import attention_captioner
from captioning.training.run_folder import Run
from theory.layers.attention import jacobian, jacobian_ranges
from theory.layers.checks import DIFFERENT, ROOTS
from theory.layers.softmax import captioner, decide

NUMBERS = st.integers(-3, 3)


def attention_jacobian(x):
    """The Jacobian of attention on tokens of one feature, by the formula."""
    scores = np.exp(np.outer(x, x) - (np.outer(x, x)).max(axis=1, keepdims=True))
    p = scores / scores.sum(axis=1, keepdims=True)
    m = p @ x
    variances = (p * (x[None] - m[:, None]) ** 2).sum(axis=1)
    return p * (1 + x[:, None] * (x[None] - m[:, None])) + np.diag(variances)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=4), st.integers(0, 99))
def test_ranges_hold_the_jacobian_in_a_box(centre, seed):
    x = np.array(centre)
    np.testing.assert_allclose(jacobian(x[:, None]), attention_jacobian(x), atol=1e-12)
    ranges = np.array(jacobian_ranges([(Fraction(c) - Fraction(1, 10), Fraction(c) + Fraction(1, 10)) for c in centre]))
    inside = attention_jacobian(x + np.random.default_rng(seed).uniform(-0.1, 0.1, len(x)))
    assert (ranges[..., 0].astype(float) <= inside).all()
    assert (inside <= ranges[..., 1].astype(float)).all()


@settings(max_examples=60)
@given(st.integers(1, 3), st.data())
def test_words_are_decided_as_by_a_linear_program(d, data):
    word = st.tuples(st.lists(NUMBERS, min_size=d, max_size=d), NUMBERS)
    words = data.draw(st.lists(word, min_size=2, max_size=5 if d < 3 else 4))
    E, b = np.array([e for e, _ in words]), np.array([b for _, b in words])
    A, c = np.delete(E - E[0], 0, axis=0), np.delete(b[0] - b, 0)
    margin = linprog([*[0] * d, -1], np.c_[A, np.ones(len(A))], c, bounds=[*[(-1, 1)] * d, (None, None)])
    assert (decide(words, 0)[0] is not None) == (-margin.fun > 1e-9)


def test_captioner_is_the_shipped_one():
    E, b = captioner()
    model = Run.open("shipped").load_model()
    np.testing.assert_array_equal(E, attention_captioner._STEEPNESS * model.embed.weight.data.astype(np.float64))
    np.testing.assert_array_equal(b, model.bias.data)
    assert E.shape == (2917, 256)


def test_means_of_different_tokens_differ():
    """Means of up to five tokens differ from each other and from 0, the output for a token that attends to nothing."""
    means = sorted([0.0, *(np.mean(s) for k in range(1, 6) for s in itertools.combinations(ROOTS.ravel(), k))])
    assert np.diff(means).min() > DIFFERENT
