"""Powers of matrices: norms, Gelfand's estimates, Kreiss's lower bound, Jordan blocks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.eigenvalues import powers
from theory.eigenvalues.domains import matrices
from theory.eigenvalues.powers import (
    as_square,
    as_steps,
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
def test_kreiss_grows_with_the_grid(example):
    W = example.matrix
    coarse = kreiss_lower_bound(W, offsets=[0.1], angles=4)
    assert coarse <= kreiss_lower_bound(W, offsets=[0.1, 0.2], angles=8) * (1 + 1e-12)
    z = 1.1 * np.exp(2j * np.pi * np.arange(4) / 4)
    inverses = [np.linalg.inv(x * np.eye(len(W)) - W) for x in z]
    assert coarse == pytest.approx(0.1 * max(np.linalg.norm(A, 2) for A in inverses), rel=1e-6)


@pytest.mark.parametrize(("r", "c"), [(0.9, 10.0), (0.1, 1.0), (0.99, 3.0)])
def test_default_grid_of_kreiss_sees_the_hump(r, c):
    assert kreiss_lower_bound([[r, c], [0.0, r]]) >= 0.99 * c / (4 * (1 - r))


def test_kreiss_needs_a_radius_of_at_most_one():
    for W in ([[2.0]], [[0.0, -1.1], [1.1, 0.0]]):
        with pytest.raises(ValueError, match=r"the spectral radius of W must be at most 1; got (2|1\.1)$"):
            kreiss_lower_bound(W)
    assert kreiss_lower_bound(np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]) == pytest.approx(1)


def test_powers_that_are_too_large():
    with pytest.raises(ValueError, match=r"power_norms: W\^1024 is too large for floating-point numbers"):
        power_norms([[2.0]], 5000)
    assert power_norms([[2.0]], 1023)[-1] == 2.0**1023
    with pytest.raises(ValueError, match="too large"):
        power_norms([[1e200, -1e200], [1e200, 1e200]], 2)
    assert PowerBound(2.0, 1.0, 2).at(5000) == math.inf
    assert PowerBound(2.0, 0.0, 1).at(1024) == math.inf
    assert PowerBound(2.0, 0.0, 1).at(1023) == pytest.approx(2.0**1023)
    assert PowerBound(2.0, 1.0, 2).log(5000) == pytest.approx(5000 * math.log(2) + math.log(2501))


@given(st.integers(-3, 3), st.integers(1, 5), st.integers(0, 20))
def test_jordan_power_is_exact(eigenvalue, size, k):
    block = jordan_block(eigenvalue, size).astype(object)
    assert np.array_equal(jordan_power(eigenvalue, size, k), exact_power(block, k))


def test_jordan_power_of_fractions_and_floats():
    assert jordan_power(Fraction(1, 2), 2, 3).tolist() == [[Fraction(1, 8), Fraction(3, 4)], [0, Fraction(1, 8)]]
    assert jordan_power(0, 2, 1).tolist() == [[0, 1], [0, 0]]
    assert jordan_power(0.5, 1, 2).tolist() == [[0.25]]


@pytest.mark.parametrize(
    "function",
    [spectral_radius, schur_form, schur_bound, kreiss_lower_bound, lambda W: power_norms(W, 2),
     lambda W: gelfand(W, 2)],
)  # fmt: skip
@pytest.mark.parametrize(
    ("W", "message"),
    [
        ([[1.0, 2.0]], r"square matrix \(n, n\) with n >= 1; got the shape \(1, 2\)"),
        (np.zeros((0, 0)), r"got the shape \(0, 0\)"),
        (3.0, r"got the shape \(\)"),
        (np.zeros((2, 2, 2)), "square matrix"),
        ([[1.0, np.nan], [0.0, 1.0]], r"must be finite; entry \(0, 1\) is nan"),
        ([[np.inf]], r"entry \(0, 0\) is inf"),
    ],
)
def test_bad_matrices(function, W, message):
    with pytest.raises(ValueError, match=message):
        function(W)


@pytest.mark.parametrize("k", [-1, 1.0, True, "2"])
@pytest.mark.parametrize(
    "function",
    [lambda k: power_norms([[1.0]], k), lambda k: gelfand([[1.0]], k), lambda k: jordan_power(1, 2, k),
     lambda k: PowerBound(1.0, 1.0, 2).at(k)],
)  # fmt: skip
def test_bad_numbers_of_steps(function, k):
    with pytest.raises(ValueError, match="k, the number of steps, must be an int of at least 0"):
        function(k)


def test_other_bad_input():
    for offsets in ([0.0], [-1.0], [np.nan], []):
        with pytest.raises(ValueError, match="offsets must be positive"):
            kreiss_lower_bound([[0.5]], offsets=offsets)
    for count in (0, 1.5, True):
        with pytest.raises(ValueError, match="angles must be an int"):
            kreiss_lower_bound([[0.5]], angles=count)
        with pytest.raises(ValueError, match="size must be an int"):
            jordan_block(1, count)
    with pytest.raises(ValueError, match=r"radius below 1 and a level above 0; got 1 and 0.5"):
        PowerBound(1.0, 1.0, 2).steps_below(0.5)
    with pytest.raises(ValueError, match=r"got 0.5 and 0"):
        PowerBound(0.5, 1.0, 2).steps_below(0.0)
    assert as_steps(np.int64(3), "x") == 3
    assert as_square([[1j]], "x").dtype == np.complex128
    assert set(powers.__all__) <= set(dir(powers))
