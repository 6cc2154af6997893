"""Schur's form, its certificate, and the bound of powers by it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.eigenvalues.domains import matrices
from theory.eigenvalues.powers import spectral_norm
from theory.eigenvalues.schur import PowerBound, check_schur, schur_form

RADII = (0.5, 0.9, 1.0, 1.2)


@given(matrices(RADII).strategy)
def test_schur_form_has_its_certificate_and_the_eigenvalues(example):
    U, T = schur_form(example.matrix)
    check_schur(example.matrix, U, T)
    if example.kind == "symmetric":  # normal: T is diagonal
        assert spectral_norm(np.triu(T, 1)) < 1e-12
        np.testing.assert_allclose(sorted(np.diag(T).real), np.linalg.eigvalsh(example.matrix), atol=1e-12)


@given(st.integers(1, 6), st.integers(0, 2**20))
def test_schur_form_of_a_complex_matrix(n, seed):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    U, T = schur_form(W)
    check_schur(W, U, T)
    assert abs(np.prod(np.diag(T)) - np.linalg.det(W)) < 1e-9 * max(1, abs(np.linalg.det(W)))


def test_certificate_rejects_what_is_no_schur_form():
    W = np.array([[1.0, 2.0], [3.0, 4.0]])
    U, T = schur_form(W)
    below = T.copy()
    below[1, 0] = 1e-3
    for parts, message in [
        ((U, below), "not upper triangular"),
        ((2 * U, T), "not unitary"),
        ((U, T + 1e-6 * np.eye(2)), "is not W"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_schur(W, *parts)


@given(st.floats(0, 2), st.floats(0, 5), st.integers(1, 5), st.integers(0, 60))
def test_bound_is_its_formula(radius, departure, size, k):
    expected = sum(math.comb(k, j) * radius ** (k - j) * departure**j for j in range(min(size, k + 1)))
    assert PowerBound(radius, departure, size).at(k) == pytest.approx(expected, rel=1e-9, abs=1e-200)


@given(st.floats(0, 0.95), st.floats(0, 5), st.integers(1, 5), st.sampled_from((1e-6, 0.1, 1.0, 10.0)))
def test_bound_stays_below_the_level_from_the_step_found(radius, departure, size, level):
    bound = PowerBound(radius, departure, size)
    steps = bound.steps_below(level)
    assert all(bound.at(k) < level for k in range(steps, steps + 100))
    assert steps <= math.ceil((size - 1) / (1 - radius)) or bound.at(steps - 1) >= level
