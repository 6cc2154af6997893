"""Normalisation on plain arrays: images summed by rows or by columns, and sums of many samples."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.ops.kernels import standardization
from minigrad.ops.kernels.standardization import pull_channels, standardize_channels

X, G = np.random.default_rng(0).standard_normal((2, 5, 6, 20))
X[:, 1:3] += 100  # the means of some channels are large


def channels(groups, given):
    w = np.arange(1.0, 7)
    y, statistics, mean, var = standardize_channels(X, w, np.ones(6), 1e-5, groups, given)
    moments = (None, None) if given or groups else (np.ones(6), np.arange(6.0))
    pulled = pull_channels((G, *moments), (True,) * 5, X, w, groups, statistics, given is not None)
    return y, mean, var, *pulled[: 5 if given else 3]


@pytest.mark.parametrize("given", [None, (50 * np.arange(6.0), 1 + np.arange(6.0))])
def test_sums_of_rows_and_of_columns_give_the_same(given, monkeypatch):
    by_rows = channels(None, given)
    monkeypatch.setattr(standardization, "_LONG", 1000)
    for mine, expected in zip(channels(None, given), by_rows, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("shape", [(2**16, 3, 1), (2**13, 3, 15), (2**13, 3, 16), (2**12, 20, 1)])
def test_moments_of_many_samples_in_single_precision(shape):
    """An error that grew with their number would be 10 times as large."""
    x = np.random.default_rng(0).uniform(0.5, 1, shape).astype(np.float32)
    _, _, mean, var = standardize_channels(x, None, None, 1e-5, None)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, x.astype(float).var((0, 2)), rtol=1e-5)
