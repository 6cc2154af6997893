"""Whether a matrix of whole numbers has an eigendecomposition: found, proven, compared with other ways."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.eigenvalues.certificates import check_chain
from theory.eigenvalues.defective import chain, kernel
from theory.eigenvalues.domains import whole
from theory.refutation import Refuted, accepts

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
    assert v is None or accepts(check_chain, example.matrix, eigenvalue, v)


def test_all_small_matrices_by_the_discriminant():
    """A 2x2 matrix is defective exactly if its eigenvalues coincide and it is no multiple of the identity."""
    for a, b, c, d in itertools.product(range(-2, 3), repeat=4):
        expected = (a - d) ** 2 + 4 * b * c == 0 and (b, c) != (0, 0)
        assert any(chain([[a, b], [c, d]], value) is not None for value in range(-2, 3)) == expected


@given(whole(largest=3), st.integers(-3, 3), st.lists(entries, min_size=9, max_size=9))
def test_only_defective_matrices_are_proven_so(example, eigenvalue, v):
    if accepts(check_chain, example.matrix, eigenvalue, v[: len(example.matrix)]):
        assert any(value == eigenvalue and size > 1 for value, size in example.blocks)


@pytest.mark.parametrize("W", [[[1, 2], [3, 0.5]], np.eye(2), [[np.nan]]])
def test_floats_are_refused(W):
    with pytest.raises(ValueError, match="entries must be ints; got"):
        chain(W, 0)
    with pytest.raises(Refuted, match="1e-200 is not an integer or a fraction"):
        check_chain([[2, 0], [0, 3]], 2, [1e-200, 0.0])  # its square would round to zero
