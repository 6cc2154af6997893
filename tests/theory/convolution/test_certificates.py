"""The certificate of a permutation matrix: it takes each one, and nothing next to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from theory.convolution.certificates import permutation_of


@given(st.permutations(range(6)))
def test_permutation_certificate(order):
    matrix = np.eye(6, dtype=int)[list(order)]
    assert permutation_of(matrix) == list(order)
    assert permutation_of(matrix.astype(float)) == list(order)
    assert permutation_of(matrix.tolist()) == list(order)


def test_the_empty_matrix_permutes_nothing():
    assert permutation_of(np.zeros((0, 0))) == []


@given(st.integers(0, 2), st.integers(0, 2), st.sampled_from([-1, 2, 0.5, np.nan, 1, 0]), st.permutations(range(3)))
def test_certificate_notices_every_changed_entry(row, column, entry, order):
    matrix = np.eye(3)[list(order)]
    assume(matrix[row, column] != entry)
    matrix[row, column] = entry
    with pytest.raises(ValueError, match="permutation matrix"):
        permutation_of(matrix)


MISTAKES = {
    "ragged": (lambda: permutation_of([[1, 0], [1]]), "rows must be of one length"),
    "a word": (lambda: permutation_of([["a"]]), "no entries but 0 and 1"),
    "not square": (lambda: permutation_of(np.ones((2, 3))), r"is square, not of shape \(2, 3\)"),
    "a vector": (lambda: permutation_of([1]), r"is square, not of shape \(1,\)"),
    "half": (lambda: permutation_of([[0.5, 0.5], [0.5, 0.5]]), "no entries but 0 and 1"),
    "row": (lambda: permutation_of([[0, 0], [0, 1]]), "row 0 has 0 ones"),
    "two in a row": (lambda: permutation_of([[0, 1], [1, 1]]), "row 1 has 2 ones"),
    "column": (lambda: permutation_of([[1, 0], [1, 0]]), "column 0 has 2 ones"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_none_is_refused(name):
    certify, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message):
        certify()
