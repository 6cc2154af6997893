"""Powers of matrices: norms, Gelfand's estimates, Kreiss's lower bound, Jordan blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.eigenvalues.diagonalisation import power_jacobian
from theory.eigenvalues.domains import matrices
from theory.eigenvalues.powers import (
    gelfand,
    jordan_block,
    jordan_power,
    kreiss_lower_bound,
    perturbation,
    power_norms,
    spectral_norm,
    spectral_radius,
)
from theory.eigenvalues.schur import PowerBound, schur_bound, schur_form

RADII = (0.5, 0.9, 1.0, 1.2)


def exact_power(W, k):
    power = np.eye(len(W), dtype=int).astype(object)
    for _ in range(k):
        power = power @ W
    return power


@given(matrices(RADII).strategy)
def test_norms_and_radius_against_numpy(example):
    W = example.matrix
    expected = [np.linalg.svd(np.linalg.matrix_power(W, k))[1][0] for k in range(6)]
    np.testing.assert_allclose(power_norms(W, 5), expected, rtol=1e-9)
    assert spectral_norm(W) == pytest.approx(expected[1])
    if example.kind != "defective":
        assert spectral_radius(W) == pytest.approx(example.radius, rel=1e-5)
        assert max(abs(np.roots(np.poly(W)))) == pytest.approx(spectral_radius(W), rel=1e-4)


@given(matrices(RADII).strategy, st.integers(0, 2**20))
def test_perturbation_covers_what_a_perturbation_does(example, seed):
    W, size = example.matrix, 1e-7
    E = np.random.default_rng(seed).normal(size=W.shape)
    E *= size / spectral_norm(E)
    allowed = perturbation(power_norms(W, 12), size)
    for k in range(13):
        moved = spectral_norm(np.linalg.matrix_power(W + E, k) - np.linalg.matrix_power(W, k))
        assert moved <= allowed[k] * 1.001 + 1e-12


@given(matrices(RADII).strategy)
def test_gelfand_is_the_root_of_the_norm_within_its_error(example):
    roots, errors = gelfand(example.matrix, 5)
    for m, (root, error) in enumerate(zip(roots, errors, strict=True)):
        k = 2**m
        norm = spectral_norm(np.linalg.matrix_power(example.matrix, k))
        assert abs(root**k / norm - 1) <= 2 * error + 1e-12


def test_gelfand_neither_overflows_nor_divides_by_zero():
    np.testing.assert_allclose(gelfand([[1e30]], 12)[0], 1e30)
    np.testing.assert_allclose(gelfand([[1e-30]], 12)[0], 1e-30)
    np.testing.assert_array_equal(gelfand([[0.0, 1.0], [0.0, 0.0]], 3)[0], [1, 0, 0, 0])


@given(matrices((0.5, 0.9)).strategy)
def test_kreiss_is_the_largest_of_the_grid(example):
    W = example.matrix
    z = (1 + np.geomspace(1e-3, 1e3, 40)[:, None]) * np.exp(2j * np.pi * np.arange(32) / 32)
    norms = [(abs(x) - 1) * np.linalg.norm(np.linalg.inv(x * np.eye(len(W)) - W), 2) for x in z.ravel()]
    assert kreiss_lower_bound(W) == pytest.approx(max(norms), rel=1e-6)


def test_what_the_statement_does_not_say():
    """Only the norm explodes, a singular value above 1 does not suffice, and the hump needs |r| < 1 and a large c."""
    assert [power_jacobian([[-2]], k).item() for k in (1, 2, 3)] == [-2, 4, -8]  # infinite in modulus only
    jacobian = power_jacobian([[2.0, 0.0], [0.0, 0.5]], 40)
    assert spectral_norm(jacobian) == 2.0**40
    assert (jacobian.T @ [0, 1]).tolist() == [0, 2.0**-40]  # a gradient that vanishes
    np.testing.assert_array_equal(power_norms([[0.0, 2.0], [0.0, 0.0]], 3), [1, 2, 0, 0])
    assert (np.diff(power_norms([[-2.0, 5.0], [0.0, -2.0]], 20)) > 0).all()  # r = -2 never vanishes
    assert power_norms([[0.5, 0.5], [0.0, 0.5]], 20).argmax() == 0  # c = 0.5 < 4 (1 - r): no growth
    assert power_norms([[-0.5, 5.0], [0.0, -0.5]], 20).max() >= 5 / (4 * (1 - 0.5))


def test_powers_that_are_too_large():
    for W, k in (([[2.0]], 5000), ([[1e200, -1e200], [1e200, 1e200]], 2)):
        with pytest.raises(ValueError, match="too large for floating-point numbers"):
            power_norms(W, k)
    assert power_norms([[2.0]], 1023)[-1] == 2.0**1023
    assert PowerBound(2.0, 1.0, 2).at(5000) == math.inf
    assert PowerBound(2.0, 0.0, 1).at(1023) == pytest.approx(2.0**1023)
    assert PowerBound(2.0, 1.0, 2).log(5000) == pytest.approx(5000 * math.log(2) + math.log(2501))


@given(st.integers(-3, 3), st.integers(1, 5), st.integers(0, 20))
def test_jordan_power_is_exact(eigenvalue, size, k):
    block = jordan_block(eigenvalue, size).astype(object)
    assert np.array_equal(jordan_power(eigenvalue, size, k), exact_power(block, k))


@pytest.mark.parametrize("W", [[[1.0, 2.0]], np.zeros((0, 0)), 3.0, [[1.0, np.nan], [0.0, 1.0]]])
def test_bad_matrices(W):
    for function in (spectral_radius, schur_form, schur_bound, kreiss_lower_bound):
        with pytest.raises(ValueError, match="must be"):
            function(W)
