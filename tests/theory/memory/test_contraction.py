"""Bounds and certificates of claims 4-1 to 4-5, against other code and by hand, and what the pictures show."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from theory import CLAIMS, Refuted
from theory.memory.certificates import check_contraction, check_latch, check_vector
from theory.memory.contraction import critical_input, gate_bounds


def test_the_bound_of_a_cell_whose_gates_do_not_read_the_state():
    b, Wh, zeros = np.array([2.0, 0.0, 1.0, 0.0]), np.array([[0.0, 0.0, 0.0, -3.0]]), np.zeros((3, 1))
    i, f, o = 1 / (1 + np.exp(-b[:3]))
    M = gate_bounds(zeros[:2], zeros, zeros, np.zeros((1, 4)), Wh, b)
    assert np.linalg.matrix_power(M, 7)[0, 0] == pytest.approx(f * (f + 3 * i * o) ** 6)


@pytest.mark.parametrize("w", [1.1, 2.0, 6.0])
def test_the_critical_input(w):
    h = np.linspace(0, 1, 1_000_001)[:-1]
    gaps = w * h - np.arctanh(h)
    e, a = critical_input(w)
    assert (e, a) == pytest.approx((gaps.max(), h[gaps.argmax()]), abs=1e-5)


def test_certificates_by_hand():
    half, two, one = Fraction(1, 2), [[0, 2], [2, 0]], [[1, 0], [0, 1]]
    check_vector([[0, half], [half, 0]], [1, 1], half)
    check_contraction(one, one, two, Fraction(21, 10))
    check_latch(Fraction(2), half, Fraction(71, 100), Fraction(72, 100))
    for check, wrong in (
        (check_vector, ([[0, 1], [1, 0]], [1, 1], Fraction(99, 100))),
        (check_vector, ([[0, 1], [1, 0]], [1, 1], Fraction(1))),
        (check_vector, ([[-1]], [1], half)),
        (check_contraction, (one, one, two, Fraction(2))),
        (check_latch, (Fraction(2), Fraction(54, 100), Fraction(71, 100), Fraction(71, 100))),
        (check_latch, (Fraction(2), half, Fraction(6, 10), Fraction(6, 10))),
    ):
        with pytest.raises(Refuted):
            check(*wrong)


def test_what_the_pictures_show():
    curves = {
        number: [len(axes.lines) for axes in CLAIMS[number].figure().axes] for number in CLAIMS if number[0] == "4"
    }
    assert curves == {"4-1": [4, 2], "4-2": [3, 2], "4-3": [5], "4-4": [3, 0], "4-5": [5, 4]}
    left, right = CLAIMS["4-2"].figure().axes
    assert left.lines[0].get_ydata()[-1] == 2**20
    np.testing.assert_allclose(right.lines[1].get_ydata(), 0.9 ** np.arange(1, 21))
