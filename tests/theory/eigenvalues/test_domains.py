"""The matrices that claim 3-2 is tried on are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from theory.eigenvalues.defective import chain
from theory.eigenvalues.domains import KINDS, SMALL_MATRICES, Drawn, Whole
from theory.eigenvalues.powers import spectral_norm, spectral_radius


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_matrices_are_of_their_kind(kind):
    for seed in range(5):
        W = Drawn(kind, 3, 0.9, seed).matrix
        assert spectral_radius(W) == pytest.approx(0.9, abs=1e-4)
        normal = spectral_norm(W @ W.T - W.T @ W) < 1e-12
        assert normal == (kind in ("symmetric", "orthogonal"))
        np.testing.assert_array_equal(W, Drawn(kind, 3, 0.9, seed).matrix)


def test_whole_decompositions_are_exact():
    example = Whole(((2, 2), (1, 1), (-1, 2)), ((0, 1, 2), (4, 0, -1), (1, 3, 1)), 1)
    assert (example.vectors @ example.inverse == np.eye(5)).all()
    assert (example.matrix @ example.vectors == example.vectors @ example.jordan_form).all()
    assert example.jordan_form.tolist() == [
        [2, 1, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, -1, 1], [0, 0, 0, 0, -1],
    ]  # fmt: skip


def test_small_matrices_come_smallest_first():
    assert len(SMALL_MATRICES) == 3 + 81
    assert SMALL_MATRICES[0] == [[0]]
    assert next(W for W in SMALL_MATRICES if chain(W, 0) is not None) == [[0, 1], [0, 0]]
