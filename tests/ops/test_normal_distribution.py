"""The normal distribution and the error function: to the last places in each dtype, in blocks, in little memory."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minigrad import ops
from minigrad.ops import activations

ROOT = math.sqrt(0.5)
DTYPES = [np.float32, np.float64]


def below(x):
    return ops.normal_cdf(x).data


def erf(x):
    return ops.erf(x).data


def ulps(value, expected):
    """The largest error, in units of the last place of what is expected."""
    return (np.abs(value.astype(np.longdouble) - expected) / np.spacing(np.abs(expected.astype(value.dtype)))).max()


@pytest.mark.parametrize("dtype", DTYPES)
def test_erf_is_exact_to_the_last_places(dtype):
    x = np.concatenate([np.linspace(-7, 7, 4001), np.geomspace(1e-30, 1, 200)]).astype(dtype)
    assert ulps(erf(x), np.array([math.erf(t) for t in x.tolist()])) < 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_exact_to_the_last_places_and_in_the_tail_to_the_rounding_of_the_square(dtype):
    near = np.linspace(-2, 9, 4001).astype(dtype)
    expected = np.array([math.erfc(-t * ROOT) / 2 for t in near.tolist()])
    assert ulps(below(near), expected) < 8
    tail = np.linspace(-37 if dtype == np.float64 else -12.5, -2, 2001).astype(dtype)
    expected = np.array([math.erfc(-t * ROOT) / 2 for t in tail.tolist()])
    error = np.abs(below(tail) / expected - 1)
    assert (error / (tail * tail) < 2 * np.finfo(dtype).eps).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_ends(dtype):
    x = np.array([-np.inf, -np.finfo(dtype).max, -0.0, 0.0, np.finfo(dtype).max, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(below(x), np.array([0, 0, 0.5, 0.5, 1, 1, np.nan], dtype))
    y = erf(x)
    np.testing.assert_array_equal(y, np.array([-1, -1, 0, 0, 1, 1, np.nan], dtype))
    assert np.signbit(y[:6]).tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize("function", [below, erf])
def test_blocks_and_layouts_do_not_matter(function):
    x = np.random.default_rng(0).standard_normal((1, 3 * activations._BLOCK + 5))
    whole = function(x)
    np.testing.assert_array_equal(function(x.T), whole.T)
    np.testing.assert_array_equal(function(x[:, ::-2]), whole[:, ::-2])
    assert function(x[0, 0, ...]) == whole[0, 0]
    assert function(x[:0]).shape == (0, x.shape[1])
