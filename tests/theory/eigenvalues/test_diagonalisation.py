"""Jacobians of linear recurrences and their eigenforms, against PyTorch and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks import Case
from tests.peers import Peer
from theory.eigenvalues.diagonalisation import eigendecomposition, eigenform, power_jacobian, printed_eigenform
from theory.eigenvalues.domains import matrices

PYTORCH = Peer(__name__)
DIAGONALISABLE = ("symmetric", "orthogonal", "random")


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, atol=1e-11 * max(1.0, abs(expected).max()))


@given(matrices((0.5, 1.0, 1.2)).strategy, st.integers(0, 12), st.booleans())
def test_power_jacobian_against_numpy(example, k, rows):
    expected = np.linalg.matrix_power(example.matrix.T, k)
    close(power_jacobian(example.matrix, k, rows), expected)


def test_power_jacobian_against_torch():
    def theirs(torch, matrix):
        W = torch.tensor(matrix)

        def run(h):
            for _ in range(5):
                h = W.T @ h
            return h

        return torch.autograd.functional.jacobian(run, torch.ones(len(matrix), dtype=torch.float64))

    def check(answer):
        np.testing.assert_allclose(power_jacobian(answer.inputs[0], 5), answer.expected, atol=1e-10)

    cases = matrices((0.5, 1.0), ("random", "non-normal")).strategy.map(lambda example: Case([example.matrix]))
    PYTORCH.ask_drawn("power", theirs, cases, check)


@given(matrices((0.5, 1.0, 1.2), DIAGONALISABLE).strategy, st.integers(0, 10))
def test_eigenform_is_the_power_and_scaling_eigenvectors_changes_the_printed_form_only(example, k):
    P, eigenvalues = eigendecomposition(example.matrix)
    tolerance = 1e-12 * np.linalg.cond(P) ** 2 * max(1, example.radius**k)
    np.testing.assert_allclose(P * eigenvalues @ np.linalg.inv(P), example.matrix, atol=tolerance)
    expected = np.linalg.matrix_power(example.matrix.T, k)
    np.testing.assert_allclose(eigenform(P, eigenvalues, k), expected, atol=tolerance)
    np.testing.assert_allclose(eigenform(2 * P, eigenvalues, k), expected, atol=tolerance)
    printed = printed_eigenform(P, eigenvalues, k)
    np.testing.assert_allclose(printed_eigenform(2 * P, eigenvalues, k), printed / 4, atol=tolerance)


@pytest.mark.parametrize("W", [[[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 1.0 + 1e-13]]])
def test_no_eigendecomposition_of_a_defective_matrix(W):
    with pytest.raises(ValueError, match="eigendecomposition: W is defective, or nearly"):
        eigendecomposition(W)


@pytest.mark.parametrize("form", [eigenform, printed_eigenform])
@pytest.mark.parametrize(
    ("P", "eigenvalues", "k", "message"),
    [
        ([[1, 2]], [1], 1, "P must be a square matrix"),
        (np.eye(2), [1], 1, r"eigenvalues must be 2, one a column of P; got the shape \(1,\)"),
        (np.eye(2), np.eye(2), 1, r"got the shape \(2, 2\)"),
        (np.eye(2), [1, np.nan], 1, "eigenvalues must be finite"),
        ([[1, 1], [1, 1]], [1, 2], 1, "columns of P must be independent"),
        ([[1, np.inf], [1, 1]], [1, 2], 1, "entries of P must be finite"),
        (np.eye(2), [1, 2], -1, "k, the number of steps"),
    ],
)
def test_bad_decompositions(form, P, eigenvalues, k, message):
    with pytest.raises(ValueError, match=f"^{form.__name__}: .*{message}"):
        form(P, eigenvalues, k)


@pytest.mark.parametrize(
    ("W", "k", "message"),
    [
        ([[1.0, 2.0]], 1, "square"),
        ([[1.0]], -1, "k, the number of steps, must be an int of at least 0; got -1"),
        ([[1.0]], 0.5, "got 0.5"),
        ([[np.nan]], 1, "finite"),
        ([[1j]], 1, "W must be real"),
    ],
)
def test_bad_input_of_power_jacobian(W, k, message):
    with pytest.raises(ValueError, match=f"^power_jacobian: .*{message}"):
        power_jacobian(W, k)
