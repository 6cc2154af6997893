"""Equations, inverses, determinants, traces and Kronecker products: NumPy's values, gradients, singular matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
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
FUNCTIONS = {
    "det": mg.linalg.det,
    "inv": mg.linalg.inv,
    "slogdet": mg.linalg.slogdet,
    "solve": mg.linalg.solve,
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


# --- peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["det", "inv", "slogdet", "solve"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
@given(data=st.data())
def test_values_dtypes_and_shapes_are_numpys(name, dtype, data):
    inputs = [np.round(9 * x).astype(dtype) if dtype is int else x.astype(dtype) for x in data.draw(CASES[name]).inputs]
    try:
        expected = getattr(np.linalg, name)(*inputs)
    except np.linalg.LinAlgError:  # integers may be singular
        with pytest.raises(np.linalg.LinAlgError, match=rf"{name}\(a: .*Singular matrix"):
            FUNCTIONS[name](*inputs)
        return
    found = FUNCTIONS[name](*inputs)
    pairs = zip(found, expected, strict=True) if name == "slogdet" else [(found, expected)]
    for mine, theirs in pairs:
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


def slopes(name, function):
    """The gradient in the first input of the sum of squares of a first gradient: a second derivative."""

    def of_torch(torch, a, *others):
        a, *others = (torch.tensor(x, requires_grad=True) for x in (a, *others))
        (first,) = torch.autograd.grad((function(torch, a, *others) ** 2).sum(), a, create_graph=True)
        return list(torch.autograd.grad((first**2).sum(), [a, *others]))

    return of_torch


@pytest.mark.parametrize("name", PEERS)
def test_second_derivatives_agree_with_pytorch(name):
    rng = np.random.default_rng(7)
    inputs = [rng.standard_normal((2, 3, 3)), rng.standard_normal((2, 3, 2))][: 1 + (name == "solve")]
    answer = PYTORCH.ask(f"second {name}", slopes(name, PEERS[name]), inputs)
    numbers = tuple(range(len(inputs)))

    def first(*x):
        slope = mg.grad(lambda a: (MINE[name](a, *x[1:]) ** 2).sum())(x[0])
        return (slope * slope).sum()

    for mine, theirs in zip(mg.grad(first, argnums=numbers)(*answer.inputs), answer.expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=1e-9, atol=1e-10 * np.abs(theirs).max())


@pytest.mark.parametrize(("a", "b"), [
    ((3, 3), (2, 4, 3, 2)), ((3, 3), (2, 3, 2)), ((2, 3, 3), (4, 2, 3, 2)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)),
])  # fmt: skip
def test_a_matrix_may_meet_stacks_of_right_sides(a, b):
    """As if it were repeated for each of them: values, cotangents, and many of these at once."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(a) + 3 * np.eye(3), rng.standard_normal(b)
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x, inverse = mg.linalg.solve(a, b).numpy(), np.broadcast_to(np.linalg.inv(a), (*stack, 3, 3))
    np.testing.assert_allclose(x, inverse @ b, rtol=1e-11, atol=1e-12)
    g = rng.standard_normal(x.shape)
    grads = pull(mg.linalg.solve, [leaf(a), leaf(b)], [g])[1]
    G, X = (g[..., None], x[..., None]) if b.ndim == 1 else (g, x)
    H = np.swapaxes(inverse, -1, -2) @ G
    dA = (-H @ np.swapaxes(X, -1, -2)).reshape(-1, *a.shape).sum(0)
    np.testing.assert_allclose(grads[0], dA, rtol=1e-10, atol=1e-12)
    H = H[..., 0] if b.ndim == 1 else H
    np.testing.assert_allclose(grads[1], H.reshape(-1, *b.shape).sum(0), rtol=1e-10, atol=1e-12)
    for mine, jacobian in zip(grads, mg.jacobian(mg.linalg.solve, argnums=(0, 1))(a, b), strict=True):
        np.testing.assert_allclose(np.tensordot(g, jacobian.numpy(), g.ndim), mine, rtol=1e-10, atol=1e-12)


# --- identities --------------------------------------------------------------------------------------


@given(a=matrices(max_side=6))
def test_the_inverse_undoes(a):
    eye = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    np.testing.assert_allclose((mg.linalg.inv(a) @ a).numpy(), eye, atol=1e-12)
    np.testing.assert_allclose(mg.linalg.solve(a, a).numpy(), eye, atol=1e-12)


@given(a=matrices(max_side=5), data=st.data())
def test_determinants_multiply(a, data):
    b = data.draw(matrices(rows=a.shape[-1], stack=a.shape[:-2]))
    sign, size = mg.linalg.slogdet(a @ b)
    det = mg.linalg.det(a) * mg.linalg.det(b)
    np.testing.assert_allclose((sign * mg.exp(size)).numpy(), det.numpy(), rtol=1e-10)
    # d log|det A| along dA = A B is the trace of B
    _, moved = mg.jvp(lambda a: mg.linalg.slogdet(a).logabsdet, [a], [a @ b])
    np.testing.assert_allclose(moved.numpy(), np.trace(b, 0, -2, -1), rtol=1e-10, atol=1e-12)


def test_a_vector_is_one_axis_as_in_numpy_2():
    a = np.random.default_rng(0).standard_normal((2, 2, 2)) + 3 * np.eye(2)
    b = np.array([[1.0, 2.0], [3.0, 4.0]])  # columns, not a stack of vectors
    np.testing.assert_allclose(mg.linalg.solve(a, b).numpy(), np.linalg.inv(a) @ b, rtol=1e-12)
    np.testing.assert_allclose(mg.linalg.solve(a, b[0]).numpy(), np.linalg.inv(a) @ b[0], rtol=1e-12)


# --- singular matrices -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_drawings_show_them(name):
    """Also those whose reference is traced on zeros, which are singular."""
    inputs = [mg.tensor(np.eye(2), requires_grad=True), np.ones(2)][: 1 + (name == "solve")]
    out = FUNCTIONS[name](*inputs)
    known = FUNCTIONS[name].primitive.reference is not None
    text = mg.render.to_text(out[1] if isinstance(out, tuple) else out, expand={name} if known else set())
    assert name in text


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
    rng = np.random.default_rng(0)
    a = np.stack([rng.standard_normal((3, 3)), of_rank(3, 2), rng.standard_normal((3, 3)), np.zeros((3, 3))])
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


def test_third_derivatives_of_determinants_of_singular_matrices():
    a = of_rank(3, 1)
    direction = np.random.default_rng(0).standard_normal((3, 3))
    third = mg.grad(mg.grad(mg.grad(lambda t: mg.linalg.det(a + t * direction))))(0.0)
    assert third.item() == pytest.approx(6 * np.linalg.det(direction), rel=1e-5)


def test_determinants_that_underflow_have_no_nan():
    a = mg.tensor(np.eye(3) * 1e-200, requires_grad=True)
    y = mg.linalg.det(a)
    y.backward()
    assert y.item() == 0
    assert not a.grad.any()


def test_singular_matrices_are_named():
    a = np.ones((2, 2))
    for function in (mg.linalg.inv, lambda a: mg.linalg.solve(a, np.ones(2))):
        with pytest.raises(np.linalg.LinAlgError, match=r"(inv|solve)\(a: float64 \(2, 2\).*\): Singular matrix"):
            function(a)
    sign, size = mg.linalg.slogdet(a)
    assert (sign.item(), size.item()) == (0, -np.inf)
    tracked = mg.tensor(a, requires_grad=True)
    with pytest.raises(np.linalg.LinAlgError, match="slogdet: a matrix is singular: its logabsdet is -inf"):
        mg.linalg.slogdet(tracked).logabsdet.backward()


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


@pytest.mark.parametrize("name", ["det", "inv", "slogdet", "solve"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (4, 3, 2)])
def test_matrices_must_be_square(name, shape):
    others = [np.ones(shape[-2:-1])] if name == "solve" else []
    with pytest.raises(np.linalg.LinAlgError, match=rf"{name}\(a: float64 .*(square|two-dimensional)"):
        FUNCTIONS[name](np.ones(shape), *others)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (3, 2, 3)])
def test_the_right_side_must_have_as_many_rows(shape):
    with pytest.raises(ValueError, match=r"solve\(.*\): b must be \(3,\) or \(…, 3, K\), not of shape"):
        mg.linalg.solve(np.eye(3), np.ones(shape))


def test_stacks_must_broadcast():
    with pytest.raises(ValueError, match=r"solve\(a: float64 \(2, 3, 3\), b: float64 \(4, 3, 1\)\)"):
        mg.linalg.solve(np.ones((2, 3, 3)) + np.eye(3), np.ones((4, 3, 1)))


# --- half precision ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["det", "inv", "slogdet", "solve"])
def test_half_precision_is_computed_in_single_and_rounded_once(name):
    rng = np.random.default_rng(0)
    inputs = [(rng.standard_normal((3, 4, 4)) + 2 * np.eye(4)).astype(np.float16), np.ones((4, 2), np.float16)]
    inputs = inputs[: 1 + (name == "solve")]
    wide = [x.astype(np.float32) for x in inputs]
    outs, grads = pull(MINE[name], [leaf(x) for x in inputs], [cotangent := np.ones(MINE[name](*inputs).shape, "f2")])
    exact, slopes = pull(MINE[name], [leaf(x) for x in wide], [cotangent.astype(np.float32)])
    for mine, theirs in zip([*outs, *grads], [*exact, *slopes], strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_array_equal(mine, theirs.astype(np.float16))


def test_the_gradient_of_a_determinants_gradient_in_half_precision():
    a = np.array([[2.0, 1.0], [1.0, 3.0]], np.float16)
    with mg.create_graph():
        found = mg.grad(lambda a: mg.linalg.det(a))(mg.tensor(a, requires_grad=True))
    assert (found.dtype, found.tolist()) == (np.float16, [[3, -1], [-1, 2]])


# --- traces and Kronecker products -------------------------------------------------------------------


@given(x=arrays(shapes(min_dims=2)), offset=st.integers(-5, 5), data=st.data())
def test_traces_are_numpys(x, offset, data):
    first, second = data.draw(st.permutations(range(x.ndim)))[:2]
    found = mg.trace(x, offset, first, second - x.ndim)
    np.testing.assert_allclose(found.numpy(), np.trace(x, offset, first, second - x.ndim), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(mg.linalg.trace(x, offset=offset).numpy(), np.linalg.trace(x, offset=offset), atol=1e-14)
    assert mg.gradcheck(lambda x: mg.trace(x, offset, first, second), [x])


@given(a=arrays(shapes(max_side=3)), b=arrays(shapes(max_side=3)))
def test_kronecker_products_are_numpys(a, b):
    np.testing.assert_allclose(mg.kron(a, b).numpy(), np.kron(a, b), rtol=1e-14)
    assert mg.kron(a, b).shape == np.kron(a, b).shape
    if a.size * b.size <= 100:
        assert mg.gradcheck(mg.kron, [a, b], rtol=1e-5, atol=1e-8)


def test_kronecker_products_of_numbers_and_dtypes_are_numpys():
    for a, b in ((2.0, np.ones((2, 2))), (np.ones(2, np.float32), 3), (np.ones(2, int), np.ones((1, 2), np.float32))):
        found, expected = mg.kron(a, b), np.kron(a, b)
        np.testing.assert_array_equal(found.numpy(), expected)
        assert found.shape == expected.shape


def test_kronecker_products_agree_with_pytorch():
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((2, 3, 4)), rng.standard_normal((5, 2))]
    PYTORCH.compare("kron", mg.kron, lambda torch, a, b: torch.kron(a, b), inputs, rtol=1e-12, atol=1e-14)
