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


@pytest.mark.parametrize("ord", OF_MATRICES)
def test_matrix_norms_agree_with_pytorch(ord):
    x = np.random.default_rng(0).standard_normal((5, 3, 4))
    theirs = lambda torch, x: torch.linalg.matrix_norm(x, "fro" if ord is None else ord, dim=(2, 0))  # noqa: E731
    mine = lambda x: mg.linalg.norm(x, ord, (2, 0))  # noqa: E731
    PYTORCH.compare(f"matrices {ord}", mine, theirs, [x], rtol=1e-11, atol=1e-13)


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


@pytest.mark.parametrize("ord", OF_MATRICES)
def test_at_the_zero_matrix_the_gradient_is_0(ord):
    x = mg.tensor(np.zeros((3, 2)), requires_grad=True)
    mg.linalg.norm(x, ord).backward()
    assert not x.grad.any()


@pytest.mark.parametrize("ord", OF_VECTORS)
def test_at_the_zero_vector_the_gradient_is_0(ord):
    for cotangent in (1.0, np.inf):
        x = leaf(np.zeros(3))
        (value,), (d,) = pull(lambda x: mg.linalg.norm(x, ord), [x], [np.array(cotangent)])
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


@pytest.mark.parametrize("ord", [3, 1.5, 0.5, -1])
@pytest.mark.parametrize("size", [1e-200, 1e-310])
def test_a_zero_among_tiny_entries_gets_no_nan(ord, size):
    d = mg.grad(lambda x: mg.linalg.norm(x, ord))(np.array([0.0, 3 * size, -4 * size])).numpy()
    expected = mg.grad(lambda x: mg.linalg.norm(x, ord))(np.array([0.0, 3, -4])).numpy()
    np.testing.assert_allclose(d, expected, rtol=1e-11)


@pytest.mark.parametrize("ord", [3, 1.5, 0.5, -1, -3])
@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-310])
def test_powers_neither_over_nor_underflow(ord, size):
    x = np.array([3.0, -4.0, 5.0])
    (value,), (d,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(x * size)], [np.array(1.0)])
    (expected,), (slope,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(x)], [np.array(1.0)])
    np.testing.assert_allclose(value, expected * size, rtol=1e-11)
    np.testing.assert_allclose(d, slope, rtol=1e-11)


def test_what_is_huge_beside_the_smallest_entry_counts_nothing():
    (value,), (d,) = pull(lambda x: mg.linalg.norm(x, -1), [leaf(np.array([1e300, -1e-300]))], [np.array(1.0)])
    assert (value, d.tolist()) == (1e-300, [0, -1])


def test_the_gradient_of_a_gradient_in_half_precision_is_computed_in_single():
    """Sizes beside the norm may be too small for half precision."""
    x = np.array([1e-3, 1000, -0.01], np.float16)
    with mg.create_graph():
        found = mg.grad(lambda x: mg.linalg.norm(x, 0.5))(mg.tensor(x, requires_grad=True)).detach().numpy()
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, mg.grad(lambda x: mg.linalg.norm(x, 0.5))(x.astype(float)).numpy(), rtol=1e-3)


def test_infinities():
    x = np.array([1.0, -np.inf])
    assert mg.linalg.norm(x, 3).item() == np.inf
    assert mg.linalg.norm(x, -1).item() == 1
    assert mg.linalg.norm(np.full(2, np.inf), -1).item() == np.inf
    assert np.isnan(mg.linalg.norm(np.array([np.nan, 1.0]), 3).item())


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0)])
def test_norms_of_nothing_are_numpys(shape):
    for ord in OF_MATRICES:
        try:
            expected = np.linalg.norm(np.zeros(shape), ord)
        except ValueError:
            with pytest.raises(ValueError, match="zero-size array"):
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


@pytest.mark.parametrize("ord", [-3, 0.5])
def test_the_gradient_of_a_vectors_norm_in_half_precision_is_computed_in_single(ord):
    x = np.random.default_rng(0).uniform(0.5, 1.5, 8).astype(np.float16)
    found = mg.grad(lambda x: mg.linalg.norm(x, ord))(x).numpy()
    exact = mg.grad(lambda x: mg.linalg.norm(x, ord))(x.astype(float)).numpy()
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, exact, rtol=2**-11)


@pytest.mark.parametrize("ord", OF_MATRICES)
def test_half_precision_is_rounded_once(ord):
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float16)
    (value,), (d,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(x)], [np.array(1.0, np.float16)])
    (exact,), (slope,) = pull(lambda x: mg.linalg.norm(x, ord), [leaf(x.astype(float))], [np.array(1.0)])
    assert value.dtype == d.dtype == np.float16
    np.testing.assert_allclose(value, exact, rtol=2**-11)
    np.testing.assert_allclose(d, slope, rtol=2**-10, atol=2**-11)


@pytest.mark.parametrize(
    ("x", "ord", "axis", "message"),
    [
        (np.ones(3), "fro", None, "norm: vectors have no order 'fro'"),
        (np.ones((2, 2)), 3, None, "norm: matrices have no order 3"),
        (np.ones((2, 2)), "max", None, "norm: matrices have no order 'max'"),
        (np.ones((2, 2, 2)), 2, None, "norm: ord 2 is of vectors, one axis, or of matrices, two, not 3"),
        (np.ones((2, 2, 2)), None, (0, 1, 2), "norm: ord None is of vectors"),
        (np.ones((2, 2)), 2, (0, 0), r"norm\(x: float64 \(2, 2\)\): repeated axis"),
        (np.ones(2), 2, 1, r"norm\(x: float64 \(2,\)\): axis 1 is out of bounds"),
    ],
)
def test_what_is_no_norm(x, ord, axis, message):
    with pytest.raises(ValueError, match=message):
        mg.linalg.norm(x, ord, axis)


@pytest.mark.parametrize("axis", ["abc", 0.5, (0, "a")])
def test_an_axis_is_an_integer(axis):
    with pytest.raises(TypeError, match="norm: axis must be an integer, a pair of them, or None, not "):
        mg.linalg.norm(np.ones((2, 2)), axis=axis)
