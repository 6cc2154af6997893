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
