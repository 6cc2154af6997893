"""Rank correlation, against its formula for lists without ties and by its invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.evaluation.calibration import spearman


def ranks(values):
    """The mean of the places that a value and its equals take in the order."""
    return [np.mean(np.flatnonzero(np.sort(values) == value)) for value in values]


@given(st.integers(2, 12), st.integers(0, 999))
def test_without_ties_it_is_the_formula_of_squared_differences(n, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, n))
    d = x.argsort().argsort() - y.argsort().argsort()
    assert spearman(x, y) == pytest.approx(1 - 6 * (d @ d) / (n * (n * n - 1)))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12))
def test_ties_share_their_ranks(pairs):
    x, y = np.array(pairs, float).T
    found = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(ranks(x), ranks(y))[0, 1])
        assert spearman(np.exp(x), -y) == pytest.approx(-found)


def test_lists_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"as long; got \(2,\) and \(3,\)"):
        spearman([1, 2], [1, 2, 3])
    assert math.isnan(spearman([], []))
    assert math.isnan(spearman([1], [1]))
