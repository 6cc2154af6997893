"""Whether a matrix of whole numbers has an eigendecomposition: found, proven, compared with other ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.eigenvalues.defective import as_whole, chain, kernel, proves_defective
from theory.eigenvalues.domains import whole

entries = st.integers(-3, 3)
tables = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(entries, min_size=n, max_size=n), min_size=1, max_size=4)
)


@given(tables)
def test_kernel_against_numpy(A):
    basis = kernel(A)
    assert len(basis) == len(A[0]) - np.linalg.matrix_rank(np.array(A, float))
    for v in basis:
        assert not (np.array(A) @ v).any()
        assert all(type(x) is int for x in v)
    if basis:
        assert np.linalg.matrix_rank(np.array(basis, float)) == len(basis)


@given(whole(largest=3), st.integers(-3, 3))
def test_decision_is_that_of_the_jordan_form(example, eigenvalue):
    v = chain(example.matrix, eigenvalue)
    assert (v is not None) == any(size > 1 for value, size in example.blocks if value == eigenvalue)
    assert v is None or proves_defective(example.matrix, eigenvalue, v)


def test_all_small_matrices_by_the_discriminant():
    """A 2x2 matrix is defective exactly if its eigenvalues coincide and it is no multiple of the identity."""
    for a, b, c, d in itertools.product(range(-2, 3), repeat=4):
        expected = (a - d) ** 2 + 4 * b * c == 0 and (b, c) != (0, 0)
        assert any(chain([[a, b], [c, d]], value) is not None for value in range(-2, 3)) == expected


@given(whole(largest=3), st.integers(-3, 3), st.lists(entries, min_size=9, max_size=9))
def test_only_defective_matrices_are_proven_so(example, eigenvalue, v):
    if proves_defective(example.matrix, eigenvalue, v[: len(example.matrix)]):
        assert any(value == eigenvalue and size > 1 for value, size in example.blocks)


def test_large_numbers_do_not_overflow():
    big = 10**30
    v = chain([[big, 1], [0, big]], big)
    assert v is not None
    assert proves_defective([[big, 1], [0, big]], big, v)
    assert chain([[big, 1], [0, big + 1]], big) is None


@pytest.mark.parametrize(
    ("W", "message"),
    [
        ([[1, 2]], r"square matrix \(n, n\) with n >= 1; got the shape \(1, 2\)"),
        ([], r"got the shape \(0,\)"),
        ([[1, 2], [3, 0.5]], r"the entries of W must be ints, to be exact; entry \(1, 1\) is 0.5"),
        (np.eye(2), "must be ints"),
        ([[np.nan]], "must be ints"),
    ],
)
def test_bad_matrices(W, message):
    with pytest.raises(ValueError, match="chain: .*" + message):
        chain(W, 0)
    with pytest.raises(ValueError, match="proves_defective: .*" + message):
        proves_defective(W, 0, [1, 0])


def test_other_bad_input():
    W = [[2, 0], [0, 3]]
    with pytest.raises(ValueError, match="the entries of v must be ints"):
        proves_defective(W, 2, [1e-200, 0.0])  # whose square would be zero to rounding
    with pytest.raises(ValueError, match=r"v must have the shape \(2,\); got \(3,\)"):
        proves_defective(W, 2, [1, 0, 0])
    for A in ([], [1, 2], [[]]):
        with pytest.raises(ValueError, match=r"kernel: A must have the shape \(m, n\) with m, n >= 1"):
            kernel(A)
    for eigenvalue in (2.0, [2]):
        with pytest.raises(ValueError, match="chain: the eigenvalue must be an int"):
            chain(W, eigenvalue)


def test_input_is_not_changed():
    W = np.array([[1, np.int64(2)], [3, 4]], dtype=object)
    before = W.copy()
    assert as_whole(W, "x") is not W
    assert [type(x) for x in W.ravel()] == [type(x) for x in before.ravel()]
