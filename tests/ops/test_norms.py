"""Norms of vectors and matrices: NumPy's values for every order, gradients, and 0 where there is a kink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import leaf, pull
from tests.drawn_matrices import matrices
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)

OF_VECTORS = [None, 1, 2, 3, 0.5, 1.5, -1, -2.5, np.inf, -np.inf]
OF_MATRICES = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]


@given(data=st.data())
def test_vectors_agree_with_numpy(data):
    ord, keepdims = data.draw(st.sampled_from([*OF_VECTORS, 0])), data.draw(st.booleans())
    x = data.draw(arrays(shapes(min_dims=1, min_side=1), away_from=(0.0,), distinct=True))
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    found = mg.linalg.norm(x, ord, axis, keepdims)
    np.testing.assert_allclose(found.numpy(), np.linalg.norm(x, ord, axis, keepdims), rtol=1e-12)
    if ord != 0:
        assert mg.gradcheck(lambda x: mg.linalg.norm(x, ord, axis, keepdims), [x], atol=1e-8)


@given(data=st.data())
def test_matrices_agree_with_numpy(data):
    ord, keepdims = data.draw(st.sampled_from(OF_MATRICES)), data.draw(st.booleans())
    sides = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    x = data.draw(matrices(*sides, stack=data.draw(shapes(max_dims=2, min_side=1, max_side=2))))
    axis = (
        tuple(data.draw(st.permutations(range(x.ndim)))[:2])
        if x.ndim > 2
        else data.draw(st.sampled_from([None, (1, 0)]))
    )
    found = mg.linalg.norm(x, ord, axis, keepdims)
    np.testing.assert_allclose(found.numpy(), np.linalg.norm(x, ord, axis, keepdims), rtol=1e-12)
    assert found.shape == np.linalg.norm(x, ord, axis, keepdims).shape


@pytest.mark.parametrize("ord", OF_MATRICES)
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
def test_gradients_of_matrix_norms(ord, shape):
    x = np.random.default_rng(0).standard_normal((2, *shape))
    assert mg.gradcheck(lambda x: mg.linalg.norm(x, ord, (1, 2)), [x], atol=1e-8)
    assert mg.gradgradcheck(lambda x: mg.linalg.norm(x, ord, (1, 2)), [x], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("ord", OF_VECTORS)
def test_vector_norms_agree_with_pytorch(ord):
    x = np.random.default_rng(0).standard_normal((5, 3, 4))
    theirs = lambda torch, x: torch.linalg.vector_norm(x, 2 if ord is None else ord, dim=1)  # noqa: E731
    PYTORCH.compare(f"vectors {ord}", lambda x: mg.linalg.norm(x, ord, 1), theirs, [x], rtol=1e-11, atol=1e-13)


def test_all_axes_without_an_order_are_one_vector():
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_allclose(mg.linalg.norm(x).item(), np.linalg.norm(x), rtol=1e-14)
    assert mg.linalg.norm(x, keepdims=True).shape == (1, 1, 1)
    assert mg.linalg.norm(np.float64(-3.0)).item() == 3


# --- kinks, extremes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("ord", "shape"), [*((o, (3, 2)) for o in OF_MATRICES), *((o, (3,)) for o in OF_VECTORS)])
def test_at_zero_the_gradient_is_0(ord, shape):
    (value,), (d,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(np.zeros(shape))], [np.array(1.0)])
    assert value == 0
    assert not d.any()


@pytest.mark.parametrize("ord", [3, 1.5, 0.5, -1])
def test_at_a_zero_among_others_its_gradient_is_0(ord):
    x = np.array([0.0, 3.0, -4.0])
    d = mg.grad(lambda x: mg.linalg.norm(x, ord))(x).numpy()
    assert d[0] == 0
    assert np.isfinite(d).all()
    if ord > 0:
        np.testing.assert_allclose(d[1:], mg.grad(lambda x: mg.linalg.norm(x, ord))(x[1:]).numpy(), rtol=1e-14)
    else:
        assert not d.any()  # the norm is 0, whatever the others are


@pytest.mark.parametrize("ord", [3, 1.5, 0.5, -1, -3])
@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-310])
def test_powers_neither_over_nor_underflow(ord, size):
    x = np.array([3.0, -4.0, 5.0])
    (value,), (d,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(x * size)], [np.array(1.0)])
    (expected,), (slope,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(x)], [np.array(1.0)])
    np.testing.assert_allclose(value, expected * size, rtol=1e-11)
    np.testing.assert_allclose(d, slope, rtol=1e-11)


def test_infinities():
    x = np.array([1.0, -np.inf])
    assert mg.linalg.norm(x, 3).item() == np.inf
    assert mg.linalg.norm(x, -1).item() == 1
    assert mg.linalg.norm(np.full(2, np.inf), -1).item() == np.inf
    assert np.isnan(mg.linalg.norm(np.array([np.nan, 1.0]), 3).item())


@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0)])
def test_norms_of_nothing_are_numpys(ord, shape):
    try:
        expected = np.linalg.norm(np.zeros(shape), ord)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)[:10]):
            mg.linalg.norm(np.zeros(shape), ord)
    else:
        assert mg.linalg.norm(np.zeros(shape), ord).item() == expected


def test_equal_singular_values_share():
    d = mg.grad(lambda x: mg.linalg.norm(x, 2))(np.eye(3)).numpy()
    np.testing.assert_allclose(d, np.eye(3) / 3, atol=1e-15)
    np.testing.assert_allclose(mg.grad(lambda x: mg.linalg.norm(x, "nuc"))(np.eye(3)).numpy(), np.eye(3), atol=1e-15)


def test_how_many_are_not_0_has_no_gradient():
    assert not mg.linalg.norm(mg.tensor([1.0, 0.0, 2.0], requires_grad=True), 0).requires_grad
    assert mg.linalg.norm(np.array([1, 0, 2]), 0).dtype == np.float64


# --- dtypes, errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "ord", "axis", "kind", "message"),
    [
        (np.ones(3), "fro", None, ValueError, "norm: vectors .*'fro'"),
        (np.ones((2, 2)), 3, None, ValueError, "norm: matrices .* 3"),
        (np.ones((2, 2)), "max", None, ValueError, "norm: matrices .*'max'"),
        (np.ones((2, 2, 2)), 2, None, ValueError, "norm: ord 2 .* not 3"),
        (np.ones((2, 2, 2)), None, (0, 1, 2), ValueError, "norm: ord None"),
        (np.ones((2, 2)), 2, (0, 0), ValueError, r"norm\(x: float64 \(2, 2\)\): repeated axis"),
        (np.ones(2), 2, 1, ValueError, r"norm\(x: float64 \(2,\)\): axis 1 is out of bounds"),
        *((np.ones((2, 2)), None, axis, TypeError, "norm: axis ") for axis in ("abc", 0.5, (0, "a"))),
    ],
)
def test_refusals(x, ord, axis, kind, message):
    with pytest.raises(kind, match=message):
        mg.linalg.norm(x, ord, axis)
