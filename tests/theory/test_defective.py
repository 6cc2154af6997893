"""Whether a matrix of whole numbers is diagonalisable: decided, certified, and compared with other ways to decide."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.defective import (
    annihilator,
    as_whole,
    characteristic_polynomial,
    is_defective,
    is_diagonalisable,
    multiplicities,
    rank,
)
from theory.eigenvalues_domains import small_matrices, whole

entries = st.integers(-3, 3)
squares = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(entries, min_size=n, max_size=n), min_size=n, max_size=n)
)
COMPLEX_PAIRS = [[0, -1, 1, 0], [1, 0, 0, 1], [0, 0, 0, -1], [0, 0, 1, 0]]
"""i and -i twice each, with one eigenvector each: no eigenvalue is a whole number."""


@given(squares)
def test_characteristic_polynomial_against_numpy(W):
    np.testing.assert_allclose(np.array(characteristic_polynomial(W), float), np.poly(np.array(W)), atol=1e-6)


@given(squares)
def test_annihilator_has_each_eigenvalue_once(W):
    q = annihilator(W)
    assert q[0] == 1
    roots = np.roots(q)
    assert all(abs(a - b) > 1e-4 for a, b in itertools.combinations(roots, 2))
    for value in np.linalg.eigvals(np.array(W, float)):
        assert min(abs(roots - value)) < 1e-2  # a multiple eigenvalue is found to few digits


@given(squares)
def test_every_matrix_is_decided_with_a_certificate(W):
    assert is_diagonalisable(W, annihilator(W)) != is_defective(W)


@given(whole(largest=3, pairs=True))
def test_decision_is_that_of_the_jordan_form(example):
    assert is_defective(example.matrix) == any(size > 1 for _, size in example.blocks)


@given(squares)
def test_rank_against_numpy(A):
    assert rank(A) == np.linalg.matrix_rank(np.array(A, float))


@pytest.mark.parametrize("n", [1, 2])
def test_all_small_matrices_by_the_discriminant(n):
    """A 2x2 matrix is defective exactly if its eigenvalues coincide and it is no multiple of the identity."""
    for values in itertools.product(range(-2, 3), repeat=n * n):
        W = np.array(values).reshape(n, n)
        a, b, c, d = values if n == 2 else (values[0], 0, 0, values[0])
        expected = n == 2 and (a - d) ** 2 + 4 * b * c == 0 and (b, c) != (0, 0)
        assert is_defective(W) == expected
        if expected:
            assert multiplicities(W, (a + d) // 2) == (2, 1)


def test_complex_pairs():
    assert is_defective(COMPLEX_PAIRS)
    assert annihilator(COMPLEX_PAIRS) == (1, 0, 1)
    assert not is_diagonalisable(COMPLEX_PAIRS, (1, 0, 1))
    assert is_diagonalisable(np.kron(np.eye(2, dtype=int), [[0, -1], [1, 0]]), (1, 0, 1))


def test_large_numbers_do_not_overflow():
    big = 10**30
    assert is_defective([[big, 1], [0, big]])
    assert not is_defective([[big, 1], [0, big + 1]])


def test_certificates_that_prove_nothing_are_rejected():
    W = [[0, 1], [0, 0]]
    for q, message in [((1, -1), "not every eigenvalue"), ((1, 0, 0), "repeated root"), ((1,), "not every eigenvalue")]:
        with pytest.raises(ValueError, match=message):
            is_diagonalisable(W, q)
    assert is_diagonalisable([[1, 0], [0, 2]], (1, -6, 11, -6))  # more roots than needed: 1, 2, 3


def test_multiplicities_of_what_is_no_eigenvalue():
    assert multiplicities([[5, 1], [0, 5]], 4) == (0, 0)


def test_small_matrices_come_smallest_first():
    found = list(small_matrices(1000))
    assert len(found) == 3 + 81
    assert found[0] == [[0]]
    assert next(W for W in found if is_defective(W)) == [[0, 1], [0, 0]]
    assert list(small_matrices(2)) == found[:2]


@pytest.mark.parametrize(
    ("W", "message"),
    [
        ([[1, 2]], r"square matrix \(n, n\) with n >= 1; got the shape \(1, 2\)"),
        ([], r"got the shape \(0,\)"),
        ([[1, 2], [3, 0.5]], r"must be ints, to be decided exactly; entry \(1, 1\) is 0.5"),
        (np.eye(2), "must be ints"),
        ([[np.nan]], "must be ints"),
    ],
)
def test_bad_input(W, message):
    for function in (characteristic_polynomial, annihilator, is_defective):
        with pytest.raises(ValueError, match=message):
            function(W)
    with pytest.raises(ValueError, match=message):
        is_diagonalisable(W, (1, 0))
    with pytest.raises(ValueError, match=message):
        multiplicities(W, 0)


def test_input_is_not_changed():
    W = np.array([[1, np.int64(2)], [3, 4]], dtype=object)
    before = W.copy()
    assert as_whole(W, "x") is not W
    assert [type(x) for x in W.ravel()] == [type(x) for x in before.ravel()]
