"""The numbers of claims 4-1 to 4-5, computed again without `theory`, and what it certifies by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from theory import CLAIMS, Refuted
from theory.memory.certificates import check_contraction, check_latch, check_positive_definite, check_vector
from theory.memory.contraction import critical_input, gate_bounds

W = np.array([[1.5, 1.5], [-1.5, -1.5]])


def states_and_jacobian(h, Wh, b, steps):
    J = np.eye(len(h))
    for t in range(steps):
        h = np.tanh(h @ Wh + (b[t % len(b)]))
        J = np.diag(1 - h**2) @ Wh.T @ J
    return h, J


def test_the_network_that_remembers_with_nilpotent_weights():
    assert not (W @ W).any()
    bias = [np.array([1.5, 30.0])]
    ends = [states_and_jacobian(np.array([first, 1.0]), W, bias, 100)[0] for first in (1.0, -1.0)]
    np.testing.assert_allclose(ends, [[0.8586, 1], [-0.8586, 1]], atol=5e-5)
    assert f"{ends[0][0] - ends[1][0]:.3g}" == "1.72"
    _, J = states_and_jacobian(np.array([0.0, 1.0]), W, bias, 20)
    assert round(np.linalg.norm(J, 2)) == round(math.sqrt(2) * 1.5**20) == 4_703
    assert 1 - math.tanh(6) > 1e-6  # while the second unit is nearer to 1 than this:
    assert 2 * math.exp(-2 * (30 - 3)) < 1e-23


def test_the_product_of_nilpotent_steps():
    Wh, J = np.array([[0.0, 2.0], [2.0, 0.0]]), np.eye(2)
    for t in range(20):
        step = np.diag([1.0, 0.0] if t % 2 == 0 else [0.0, 1.0]) @ Wh.T
        assert not (step @ step).any()
        J = step @ J
    assert np.linalg.norm(J, 2) == 2**20 == 1_048_576
    assert 2 * (1 - math.tanh(18)) < 1e-14
    assert 8 * math.exp(-2 * 28) < 1e-20


def test_the_cell_that_explodes():
    for w, expected in ((2, "1.7e+11"), (1, "6.4e+04")):
        c, h, dc, dh = 0.0, 0.0, 1.0, 0.0
        for _ in range(30):
            g = math.tanh(w * h)
            c, dc = 0.5 * c + g, 0.5 * dc + (1 - g * g) * w * dh
            h, dh = math.tanh(c), (1 - math.tanh(c) ** 2) * dc
        assert f"{dc:.1e}" == expected
        assert dc == pytest.approx(0.5 * (0.5 + w) ** 29)


def test_the_bound_of_a_cell_whose_gates_do_not_read_the_state():
    b, Wh, zeros = np.array([2.0, 0.0, 1.0, 0.0]), np.array([[0.0, 0.0, 0.0, -3.0]]), np.zeros((3, 1))
    i, f, o = 1 / (1 + np.exp(-b[:3]))
    M = gate_bounds(zeros[:2], zeros, zeros, np.zeros((1, 4)), Wh, b)
    assert np.linalg.matrix_power(M, 7)[0, 0] == pytest.approx(f * (f + 3 * i * o) ** 6)


def test_the_unit_whose_slope_is_below_1():
    h, J = 1.0, 1.0
    for _ in range(50):
        h = math.tanh(2 * h)
        J *= 2 * (1 - h * h)
    assert f"{J:.3g}" == "9.33e-40"


@pytest.mark.parametrize("w", [1.1, 2.0, 6.0])
def test_the_critical_input(w):
    h = np.linspace(0, 1, 1_000_001)[:-1]
    gaps = w * h - np.arctanh(h)
    e, a = critical_input(w)
    assert (e, a) == pytest.approx((gaps.max(), h[gaps.argmax()]), abs=1e-5)


def test_certificates_by_hand():
    half, two = Fraction(1, 2), [[0, 2], [2, 0]]
    check_vector([[0, half], [half, 0]], [1, 1], half)
    check_positive_definite([[2, 1], [1, 2]])
    check_contraction([[1, 0], [0, 1]], [[1, 0], [0, 1]], two, Fraction(21, 10))
    check_latch(Fraction(2), half, Fraction(71, 100), Fraction(72, 100))
    for check, wrong in (
        (check_vector, ([[0, 1], [1, 0]], [1, 1], Fraction(99, 100))),
        (check_vector, ([[-1]], [1], half)),
        (check_positive_definite, ([[1, 2], [0, 1]],)),
        (check_positive_definite, ([[0]],)),
        (check_contraction, ([[1, 0], [0, 1]], [[1, 0], [0, 1]], two, Fraction(2))),
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
