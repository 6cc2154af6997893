"""Normalisation on plain arrays: blocks of any size give the same."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad.ops.kernels import standardising
from minigrad.ops.kernels.standardising import (
    pull_channels,
    pull_groups,
    pull_rows,
    standardise_channels,
    standardise_groups,
    standardise_rows,
)  # fmt: skip

RNG = np.random.default_rng(0)
ROWS, IMAGES = RNG.standard_normal((2, 7, 10)), RNG.standard_normal((2, 5, 6, 20))
ROWS[0, 2:5] += 100  # the means of some are large, of others not
IMAGES[0, :, 1:3] += 100
FEW = np.random.default_rng(1).standard_normal((2, 12, 3, 1))


def rows():
    x, g = ROWS
    y, statistics = standardise_rows(x, np.arange(1.0, 11), np.ones(10), 1e-5)
    return y, *statistics, *pull_rows(g, (True, True, True), x, np.arange(1.0, 11), statistics)


def channels():
    x, g = IMAGES
    w = np.arange(1.0, 7)
    y, statistics, mean, var = standardise_channels(x, w, np.ones(6), 1e-5)
    pulled = pull_channels((g, np.ones(6), np.arange(6.0)), (True,) * 3 + (False,) * 2, x, w, statistics, given=False)
    y_given, given, *_ = standardise_channels(x, w, None, 1e-5, (50 * np.arange(6.0), 1 + np.arange(6.0)))
    others = pull_channels((g, None, None), (True,) * 5, x, w, given, given=True)
    return y, *statistics, mean, var, *pulled[:3], y_given, *others


def groups():
    x, g = IMAGES
    w = np.arange(1.0, 7)
    y, statistics = standardise_groups(x, w, np.ones(6), 2, 1e-5)
    return y, *statistics, *pull_groups(g, (True, True, True), x, w, statistics, 2)


def many_of_few():
    """More rows than columns, more samples than entries of each, more channels than pixels."""
    x, g = FEW
    w = np.arange(1.0, 4)
    y, statistics = standardise_rows(x[..., 0], w, np.ones(3), 1e-5)
    pulled = pull_rows(g[..., 0], (True, True, True), x[..., 0], w, statistics)
    z, of_groups = standardise_groups(x, w, None, 1, 1e-5)
    others = pull_groups(g, (True, True, True), x, w, of_groups, 1)
    t, of_channels, *_ = standardise_channels(x, w, None, 1e-5)
    only = pull_channels((g, None, None), (False, True, True, False, False), x, w, of_channels, given=False)
    return y, *pulled, z, *others, t, *only[1:3]


@pytest.mark.parametrize("size", [1, 25, 250])
@pytest.mark.parametrize("function", [rows, channels, groups, many_of_few])
def test_blocks_of_any_size_give_the_same(function, size, monkeypatch):
    whole = function()
    monkeypatch.setattr(standardising, "_BLOCK", size)
    for mine, expected in zip(function(), whole, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("shape", [(2**16, 3, 1), (2**13, 3, 15), (2**13, 3, 16), (2**12, 20, 1)])
def test_sums_of_many_samples_in_single_precision(shape):
    """An error that grew with their number would be 10 times as large."""
    x = np.random.default_rng(0).uniform(0.5, 1, shape).astype(np.float32)
    wide = x.astype(float)
    np.testing.assert_allclose(standardising._channel_sums(x), wide.sum((0, 2)), rtol=1e-6)
    np.testing.assert_allclose(standardising._channel_products(x, x), (wide * wide).sum((0, 2)), rtol=1e-6)
