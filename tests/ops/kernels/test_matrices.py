"""Triangular systems by blocks: NumPy's answers, at the ends of blocks, in stacks that broadcast."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.kernels.matrices import rounding_of, solve_upper, solve_upper_both


def upper(*shape):
    return np.triu(np.random.default_rng(0).standard_normal(shape)) / np.sqrt(shape[-1]) + 2 * np.eye(shape[-1])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 33, 199, 200, 201, 233])
def test_blocks_solve_as_the_whole(n, dtype):
    a = upper(n, n).astype(dtype)
    b = np.random.default_rng(1).standard_normal((n, 5)).astype(dtype)
    found, eps = solve_upper(a, b), np.finfo(dtype).eps
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.linalg.solve(a, b), rtol=1e3 * eps, atol=1e2 * eps)
    both, even = solve_upper_both(a, b @ b.T), b @ b.T
    np.testing.assert_allclose(both, np.linalg.solve(a, np.linalg.solve(a, even).T), rtol=1e3 * eps, atol=1e3 * eps)
    for left, right in ((mg.tensor(a), even), (a, mg.tensor(even))):
        whole = np.linalg.solve(a, np.linalg.solve(a, even).T)
        np.testing.assert_array_equal(solve_upper_both(left, right).numpy(), whole)
        np.testing.assert_array_equal(solve_upper(left, right).numpy(), np.linalg.solve(a, even))


@pytest.mark.parametrize("stacks", [((3,), ()), ((), (3,)), ((2, 1), (3,)), ((0,), ())])
def test_stacks_broadcast(stacks):
    a, b = upper(*stacks[0], 20, 20), np.random.default_rng(1).standard_normal((*stacks[1], 20, 4))
    np.testing.assert_allclose(solve_upper(a, b), np.linalg.solve(a, b), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("place", [0, 20, 39])
def test_a_zero_on_the_diagonal_is_refused(place):
    a = upper(40, 40)
    a[place, place] = 0
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        solve_upper(a, np.eye(40))


def test_rounding_is_that_of_the_largest():
    bound = rounding_of(np.array([[1.0, -4.0], [0.0, 0.0]]), 10)
    assert bound.tolist() == [[40 * np.finfo(float).eps], [0]]
    assert rounding_of(np.zeros((2, 0), np.float32), 3).shape == (2, 1)
