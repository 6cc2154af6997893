"""Equations, inverses, determinants, traces and Kronecker products: NumPy's values, gradients, singular matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.drawn_matrices import matrices
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


@st.composite
def systems(draw):
    """Equations of stacks that broadcast, with a vector or several columns."""
    a = draw(matrices())
    n, stack = a.shape[-1], a.shape[:-2]
    b = draw(st.sampled_from([(n,), (n, 2), (*stack, n, 2), (*stack, n, 0), (2, *(1 for _ in stack), n, 3)]))
    return Case([a, draw(arrays(b))])


def square():
    return matrices().map(lambda a: Case([a]))


CASES = {
    "det": square(),
    "inv": square(),
    "slogdet": square(),
    "solve": systems(),
}


FUNCTIONS = {name: getattr(mg.linalg, name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


# --- peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
@given(data=st.data())
def test_values_dtypes_and_shapes_are_numpys(name, dtype, data):
    inputs = [np.round(9 * x).astype(dtype) if dtype is int else x.astype(dtype) for x in data.draw(CASES[name]).inputs]
    try:
        expected = getattr(np.linalg, name)(*inputs)
    except np.linalg.LinAlgError:  # integers may be singular
        return
    found = FUNCTIONS[name](*inputs)
    for mine, theirs in zip(found, expected, strict=True) if name == "slogdet" else [(found, expected)]:
        np.testing.assert_array_equal(mine.numpy(), theirs)
        assert mine.dtype == np.asarray(theirs).dtype


PEERS = {
    "det": lambda torch, a: torch.linalg.det(a),
    "inv": lambda torch, a: torch.linalg.inv(a),
    "slogdet": lambda torch, a: torch.linalg.slogdet(a).logabsdet,
    "solve": lambda torch, a, b: torch.linalg.solve(a, b),
}


MINE = {**FUNCTIONS, "slogdet": lambda a: mg.linalg.slogdet(a).logabsdet}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("size", [1, 2, 5, 20])
def test_agrees_with_pytorch(name, size):
    rng = np.random.default_rng(size)
    inputs = [rng.standard_normal((3, size, size)), rng.standard_normal((3, size, 2))][: 1 + (name == "solve")]
    largest = max(1.0, float(np.abs(np.linalg.det(inputs[0])).max())) if name == "det" else 1.0
    PYTORCH.compare(f"{name} {size}", MINE[name], PEERS[name], inputs, rtol=1e-10, atol=1e-11 * largest)


# --- identities --------------------------------------------------------------------------------------


def test_a_vector_is_one_axis_as_in_numpy_2():
    a = np.random.default_rng(0).standard_normal((2, 2, 2)) + 3 * np.eye(2)
    b = np.array([[1.0, 2.0], [3.0, 4.0]])  # columns, not a stack of vectors
    np.testing.assert_allclose(mg.linalg.solve(a, b).numpy(), np.linalg.inv(a) @ b, rtol=1e-12)
    np.testing.assert_allclose(mg.linalg.solve(a, b[0]).numpy(), np.linalg.inv(a) @ b[0], rtol=1e-12)


# --- singular matrices -------------------------------------------------------------------------------


def minors(a):
    """Cofactors by their definition."""
    n = len(a)
    rows = [[(-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    return np.array(rows).reshape(n, n)


def of_rank(n, rank, seed=0):
    """Integers, so that elimination ends with exact zeros."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-3, 4, (n, rank)) @ rng.integers(-3, 4, (rank, n))).astype(float)


@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (4, 3), (4, 2), (4, 1), (5, 4)])
@pytest.mark.parametrize("noise", [0, 1e-16, 1e-13, 1e-8, 1e-3])
def test_cofactor_matrices_agree_with_numpys_minors(n, rank, noise):
    """They are the determinant's gradient, also of singular matrices, and of what is singular but for rounding."""
    for seed in range(5):
        a = of_rank(n, rank, seed) + noise * np.random.default_rng(seed).standard_normal((n, n))
        expected = minors(a)
        size = max(1.0, np.linalg.norm(a, 2)) ** (n - 1)
        np.testing.assert_allclose(mg.grad(mg.linalg.det)(a).numpy(), expected, atol=1e-13 * size, rtol=1e-9)


def test_stacks_may_hold_singular_matrices_and_others():
    a = np.stack([np.random.default_rng(0).standard_normal((3, 3)), of_rank(3, 2), np.zeros((3, 3))])
    found = mg.grad(lambda a: mg.linalg.det(a).sum())(a).numpy()
    np.testing.assert_allclose(found, [minors(x) for x in a], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (3, 2), (3, 1), (3, 0), (4, 3), (5, 4), (5, 3)])
def test_second_derivatives_of_determinants_of_singular_matrices(n, rank):
    """A determinant is linear in each entry, so that differences are exact but for rounding."""
    a = of_rank(n, rank)
    found = mg.hessian(mg.linalg.det)(a).numpy()
    units, det = np.eye(n * n).reshape(n, n, n, n), np.linalg.det
    first, second = units[:, :, None, None], units
    expected = det(a + first + second) - det(a + first) - det(a + second) + det(a)
    expected[units == 1] = 0  # twice the same entry
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_determinants_that_underflow_have_no_nan():
    (y,), (d,) = pull(mg.linalg.det, [leaf(np.eye(3) * 1e-200)], [np.array(1.0)])
    assert y == 0
    assert not d.any()


def test_the_logarithm_of_a_singular_determinant():
    a = leaf(np.ones((2, 2)))
    sign, size = mg.linalg.slogdet(a)
    assert (sign.item(), size.item()) == (0, -np.inf)
    with pytest.raises(np.linalg.LinAlgError, match=r"slogdet: .*singular"):
        size.backward()


def test_a_sign_has_the_gradient_0():
    a = mg.tensor(np.eye(2), requires_grad=True)
    mg.linalg.slogdet(a).sign.backward()
    assert a.grad.tolist() == [[0, 0], [0, 0]]
    assert not mg.jacobian(lambda a: mg.linalg.slogdet(a).sign)(np.ones((3, 2, 2)) + np.eye(2)).numpy().any()


@pytest.mark.parametrize("name", ["det", "inv", "slogdet", "solve"])
def test_nan_comes_through(name):
    inputs = [np.array([[np.nan, 1.0], [2.0, 3.0]]), np.ones(2)][: 1 + (name == "solve")]
    with np.errstate(invalid="ignore"):  # NumPy may warn
        (out,), grads = pull(MINE[name], list(map(leaf, inputs)), [np.ones(MINE[name](*inputs).shape)])
    assert np.isnan(out).any()
    assert np.isnan(grads[0]).any()


# --- shapes that do not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "inputs", "kind", "message"),
    [
        *((name, [np.ones(shape), np.ones(shape[-2:-1])][: 1 + (name == "solve")], np.linalg.LinAlgError,
           rf"{name}\(a: float64 .*(square|two-dimensional)")
          for name in CASES for shape in ((), (3,), (2, 3), (4, 3, 2))),
        *(("solve", [np.eye(3), np.ones(shape)], ValueError, r"solve\(.*b must be \(3,\) or \(…, 3, K\)")
          for shape in ((), (2,), (2, 3), (3, 2, 3))),
        ("solve", [np.stack([np.eye(3)] * 2), np.ones((4, 3, 1))], ValueError, r"solve\(.*\(2, 3, 3\).*\(4, 3, 1\)"),
        ("solve", [np.ones((2, 2)), np.ones(2)], np.linalg.LinAlgError, r"solve\(.*\): Singular matrix"),
        ("inv", [np.ones((2, 2))], np.linalg.LinAlgError, r"inv\(.*\): Singular matrix"),
    ],
)  # fmt: skip
def test_refusals(name, inputs, kind, message):
    with pytest.raises(kind, match=message):
        FUNCTIONS[name](*inputs)


# --- half precision ----------------------------------------------------------------------------------


# --- traces and Kronecker products -------------------------------------------------------------------


@given(x=arrays(shapes(min_dims=2)), offset=st.integers(-5, 5), data=st.data())
def test_traces_are_numpys(x, offset, data):
    first, second = data.draw(st.permutations(range(x.ndim)))[:2]
    found = mg.trace(x, offset, first, second - x.ndim)
    np.testing.assert_allclose(found.numpy(), np.trace(x, offset, first, second - x.ndim), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mg.linalg.trace(x, offset=offset).numpy(), np.linalg.trace(x, offset=offset), atol=1e-14)
    assert mg.gradcheck(lambda x: mg.trace(x, offset, first, second), [x])


def test_cross_products_are_numpys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 1, 3)), rng.normal(size=(2, 3))
    np.testing.assert_allclose(mg.cross(a, b).numpy(), np.cross(a, b), rtol=1e-14)
    assert isinstance(np.cross(mg.tensor(a), b), mg.Tensor)
    assert mg.cross([1, 2, 3], [4, 5, 6]).tolist() == [-3, 6, -3]
    assert mg.gradcheck(mg.cross, [a, b])
    assert mg.gradgradcheck(mg.cross, [a, b])
    for x, y in [(np.ones(2), np.ones(3)), (np.ones((3, 2)), np.ones((3, 2))), (np.ones(3), 1.0)]:
        with pytest.raises(ValueError, match=r"cross: a and b must be \(…, 3\), not .*Give 2-vectors a third 0"):
            mg.cross(x, y)


@given(a=arrays(shapes(max_side=3)), b=arrays(shapes(max_side=3)))
def test_kronecker_products_are_numpys(a, b):
    np.testing.assert_allclose(mg.kron(a, b).numpy(), np.kron(a, b), rtol=1e-14)
    assert mg.kron(a, b).shape == np.kron(a, b).shape
    if a.size * b.size <= 100:
        assert mg.gradcheck(mg.kron, [a, b], rtol=1e-5, atol=1e-8)


# --- norms -----------------------------------------------------------------------------------------------


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
def test_refusals_of_norms(x, ord, axis, kind, message):
    with pytest.raises(kind, match=message):
        mg.linalg.norm(x, ord, axis)
