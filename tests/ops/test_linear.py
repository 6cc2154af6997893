"""Linear maps that are given by functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive
from tests.strategies import arrays, shapes


def rolled(n):
    return {"apply": lambda x: np.roll(3 * x, n), "transpose": lambda u: np.roll(3 * u, -n)}


def summed(axis):
    def repeat_of(shape):
        return lambda u: np.repeat(np.expand_dims(u, axis), shape[axis], axis)

    return lambda shape: {"apply": lambda x: x.sum(axis), "transpose": repeat_of(shape)}


@st.composite
def cases(draw):
    x = draw(arrays(shapes(min_dims=1)))
    options = (
        rolled(draw(st.integers(-2, 2))) if draw(st.booleans()) else summed(draw(st.sampled_from([0, -1])))(x.shape)
    )
    return Case([x], options)


CASES = {"linear_map": cases()}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


def test_linear_map_agrees_with_numpys_product_by_a_matrix():
    rng = np.random.default_rng(0)
    A, x, u = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal(4)
    y, pullback = mg.vjp(lambda x: mg.ops.linear_map(x, lambda x: A @ x, lambda u: A.T @ u), x)
    np.testing.assert_array_equal(y.numpy(), A @ x)
    np.testing.assert_array_equal(pullback(u)[0].numpy(), A.T @ u)
