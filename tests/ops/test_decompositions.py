"""Decompositions: NumPy's values, gradients on all shapes, equal values, and the choice of signs."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.drawn_matrices import matrices
from tests.peers import Peer

PYTORCH = Peer(__name__)


def symmetric(function):
    """The function of the symmetric part of its input, in which each entry may be moved alone."""

    @functools.wraps(function)
    def of_symmetric(a, **options):
        return function((a + mg.swapaxes(a, -1, -2)) / 2, **options)

    return of_symmetric


def rectangles():
    return st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(lambda shape: matrices(*shape))


CASES = {
    "cholesky": st.builds(lambda a, u: Case([a], {"upper": u}), matrices(kind="positive"), st.booleans()),
    "eigh": st.builds(lambda a, u: Case([a], {"UPLO": u}), matrices(kind="symmetric"), st.sampled_from("LU")),
    "qr": rectangles().map(lambda a: Case([a])),
    "svd": rectangles().map(lambda a: Case([a], {"full_matrices": False})),
}
FUNCTIONS = {
    "cholesky": symmetric(mg.linalg.cholesky),
    "eigh": symmetric(mg.linalg.eigh),
    "qr": mg.linalg.qr,
    "svd": mg.linalg.svd,
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


@given(a=rectangles())
def test_singular_values_agree_with_numpy(a):
    """Of constants, which are computed alone, and of what is tracked; with a gradient."""
    expected = np.linalg.svdvals(a) if a.size else np.zeros((*a.shape[:-2], min(a.shape[-2:])))
    for x in (a, leaf(a)):
        found = mg.linalg.svdvals(x)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
        assert found.requires_grad == (x is not a)
    with mg.no_grad():
        assert not mg.linalg.svdvals(leaf(a)).requires_grad
    assert mg.gradcheck(mg.linalg.svdvals, [a], atol=1e-9)
    squares = np.linalg.eigvalsh(np.swapaxes(a, -1, -2) @ a)[..., ::-1][..., : expected.shape[-1]]
    np.testing.assert_allclose(expected**2, squares, atol=1e-12)


# --- peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_values_dtypes_and_shapes_are_numpys(name, dtype, data):
    case = data.draw(CASES[name])
    x = case.inputs[0].astype(dtype)
    found, expected = getattr(mg.linalg, name)(x, **case.options), getattr(np.linalg, name)(x, **case.options)
    if isinstance(expected, tuple):
        assert type(found).__name__ == type(expected).__name__
        assert found._fields == expected._fields
    pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine.numpy(), theirs, atol=8 * np.finfo(dtype).eps)
        assert mine.dtype == theirs.dtype


def test_integers_are_computed_in_double():
    a = np.array([[4, 2], [2, 10]])
    for name in CASES:
        found = getattr(mg.linalg, name)(a)
        assert (found[0] if isinstance(found, tuple) else found).dtype == np.float64


def test_other_modes_are_numpys():
    a = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_array_equal(mg.linalg.qr(a, "r").numpy(), np.linalg.qr(a, "r"))
    for mine, theirs in zip(mg.linalg.qr(a, "complete"), np.linalg.qr(a, "complete"), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs)
    for mine, theirs in zip(mg.linalg.svd(a), np.linalg.svd(a), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs)
    only = mg.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(only.numpy(), np.linalg.svd(a, compute_uv=False), rtol=1e-13)


PEERS = {
    "cholesky": ("cholesky", lambda lib, a: lib.linalg.cholesky(a), (3, 5, 5), "positive"),
    "cholesky, upper": ("cholesky", lambda lib, a: lib.linalg.cholesky(a, upper=True), (3, 5, 5), "positive"),
    "eigenvalues": ("eigh", lambda lib, a: lib.linalg.eigh(a)[0], (3, 5, 5), "symmetric"),
    "eigenvectors": ("eigh", lambda lib, a: lib.linalg.eigh(a)[1] ** 2, (3, 5, 5), "symmetric"),
    "eigh": ("eigh", lambda lib, a: (lambda w, V: V**2 * w[..., None, :])(*lib.linalg.eigh(a)), (3, 5, 5), "symmetric"),
    "svdvals": ("svd", lambda lib, a: lib.linalg.svdvals(a), (3, 5, 4), "general"),
    **{
        f"{part} of {shape}": (
            "svd", lambda lib, a, k=k: lib.linalg.svd(a, full_matrices=False)[k] ** 2, shape, "general",
        )
        for k, part in enumerate("USV")
        for shape in ((3, 5, 4), (2, 4, 5), (4, 4))
    },
    **{
        f"{part} of {shape} by qr": ("qr", lambda lib, a, k=k: lib.linalg.qr(a)[k] ** 2, shape, "general")
        for k, part in enumerate("QR")
        for shape in ((3, 5, 4), (2, 4, 5), (4, 4))
    },
}  # fmt: skip


class OurNames:
    """minigrad under PyTorch's name for what is called with a library."""

    linalg = mg.linalg


def inputs_of(shape, kind):
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape)
    if kind != "general":
        a = a @ np.swapaxes(a, -1, -2) + (np.eye(shape[-1]) if kind == "positive" else -3 * np.eye(shape[-1]))
    return [a]


@pytest.mark.parametrize(("primitive", "name"), [(peer[0], name) for name, peer in PEERS.items()])
def test_agrees_with_pytorch(primitive, name):
    _, function, shape, kind = PEERS[name]
    PYTORCH.compare(name, lambda a: function(OurNames, a), function, inputs_of(shape, kind), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", PEERS)
def test_second_derivatives_agree_with_pytorch(name):
    _, function, shape, kind = PEERS[name]

    def of_torch(torch, a):
        a = torch.tensor(a, requires_grad=True)
        (first,) = torch.autograd.grad((function(torch, a) ** 3).sum(), a, create_graph=True)
        return torch.autograd.grad((first**2).sum(), a)[0]

    answer = PYTORCH.ask(f"second {name}", of_torch, inputs_of(shape, kind))
    # of cubes, since the sums of squares of some parts are constant, or a's own
    slope = mg.grad(lambda a: (function(OurNames, a) ** 3).sum())
    found = mg.grad(lambda a: (slope(a) ** 2).sum())(*answer.inputs).numpy()
    size = np.abs(answer.expected).max()
    np.testing.assert_allclose(found, answer.expected, rtol=1e-9, atol=1e-10 * size)


# --- identities --------------------------------------------------------------------------------------


@given(a=rectangles())
def test_parts_multiply_to_the_whole(a):
    Q, R = mg.linalg.qr(a)
    U, S, Vh = mg.linalg.svd(a, full_matrices=False)
    np.testing.assert_allclose((Q @ R).numpy(), a, atol=1e-13)
    np.testing.assert_allclose(((U * mg.expand_dims(S, -2)) @ Vh).numpy(), a, atol=1e-13)
    eye = np.broadcast_to(np.eye(S.shape[-1]), (*S.shape, S.shape[-1]))
    for columns in (Q, U, mg.swapaxes(Vh, -1, -2)):
        np.testing.assert_allclose((mg.swapaxes(columns, -1, -2) @ columns).numpy(), eye, atol=1e-13)


@pytest.mark.parametrize("whole", [
    lambda a: (lambda Q, R: Q @ R)(*mg.linalg.qr(a)),
    lambda a: (lambda U, S, Vh: (U * mg.expand_dims(S, -2)) @ Vh)(*mg.linalg.svd(a, full_matrices=False)),
    lambda a: (lambda U, S, Vh: (U[..., : S.shape[-1]] * mg.expand_dims(S, -2)) @ Vh[..., : S.shape[-1], :])(
        *mg.linalg.svd(a)
    ),
])  # fmt: skip
@given(a=rectangles(), data=st.data())
def test_the_gradient_of_the_whole_is_the_cotangent(whole, a, data):
    g = np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal(a.shape)
    grads = pull(whole, [leaf(a)], [g])[1]
    np.testing.assert_allclose(grads[0], g, atol=1e-11)


@given(a=matrices(kind="positive", max_side=5), data=st.data())
def test_functions_of_symmetric_matrices_have_the_gradients_of_their_other_forms(a, data):
    """a by its Cholesky factor, and by eigenvalues; log|det a|; the inverse; all by two ways."""
    n, rng = a.shape[-1], np.random.default_rng(data.draw(st.integers(0, 99)))
    g = rng.standard_normal(a.shape)
    even = (g + np.swapaxes(g, -1, -2)) / 2

    def by_eigenvalues(f):
        return lambda a: (lambda w, V: (V * mg.expand_dims(f(w), -2)) @ mg.swapaxes(V, -1, -2))(*mg.linalg.eigh(a))

    whole = lambda a: (lambda L: L @ mg.swapaxes(L, -1, -2))(mg.linalg.cholesky(a))  # noqa: E731
    for function in (whole, by_eigenvalues(lambda w: w)):
        np.testing.assert_allclose(pull(function, [leaf(a)], [g])[1][0], even, atol=1e-11)
    inverse = pull(mg.linalg.inv, [leaf(a)], [even])[1][0]
    np.testing.assert_allclose(pull(by_eigenvalues(lambda w: 1 / w), [leaf(a)], [g])[1][0], inverse, atol=1e-10)
    u = rng.standard_normal(a.shape[:-2])
    expected = pull(lambda a: mg.linalg.slogdet(a).logabsdet, [leaf(a)], [u])[1][0]
    logs = lambda a: 2 * mg.log(mg.diagonal(mg.linalg.cholesky(a), 0, -2, -1)).sum(-1)  # noqa: E731
    for function in (
        logs,
        lambda a: mg.log(mg.linalg.eigh(a)[0]).sum(-1),
        lambda a: mg.log(mg.linalg.svdvals(a)).sum(-1),
    ):
        np.testing.assert_allclose(pull(function, [leaf(a)], [u])[1][0], expected, atol=1e-11)
    assert n == a.shape[-2]


@given(a=matrices(kind="symmetric"))
def test_triangles_that_are_not_read_do_not_matter(a):
    lower = np.tril(a)
    assert mg.linalg.eigh(lower).eigenvalues.numpy() == pytest.approx(mg.linalg.eigh(a).eigenvalues.numpy())
    upper = np.triu(a)
    assert mg.linalg.eigh(upper, "U").eigenvalues.numpy() == pytest.approx(mg.linalg.eigh(a).eigenvalues.numpy())


@pytest.mark.parametrize("name", ["cholesky", "eigh"])
def test_gradients_in_symmetric_matrices_are_symmetric(name):
    (a,) = inputs_of((4, 4), "positive")
    out = getattr(mg.linalg, name)
    number = 2 if name == "eigh" else 1
    seeds = [
        np.random.default_rng(i).standard_normal((4,) if name == "eigh" and i == 0 else (4, 4)) for i in range(number)
    ]
    d = pull(out, [leaf(a)], seeds)[1][0]
    np.testing.assert_allclose(d, d.T, atol=1e-14)


# --- equal values ------------------------------------------------------------------------------------

TWIN = np.diag([1.0, 2.0, 2.0, 5.0])
TURN = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))[0]


@pytest.mark.parametrize("turn", [np.eye(4), TURN])
def test_equal_values_have_gradients(turn):
    a = turn @ TWIN @ turn.T
    weights = np.arange(4.0)
    for function in (lambda a: mg.linalg.eigh(a)[0] ** 2, lambda a: mg.linalg.svdvals(a) ** 2,
                     lambda a: mg.linalg.svd(a)[1] ** 2):  # fmt: skip
        np.testing.assert_allclose(mg.grad(lambda a, f=function: f(a).sum())(a).numpy(), 2 * a, atol=1e-13)
        assert np.isfinite(mg.grad(lambda a, f=function: (f(a) * weights).sum())(a).numpy()).all()


@pytest.mark.parametrize("turn", [np.eye(4), TURN])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_vectors_of_equal_values_are_refused_by_name(turn, dtype):
    a = (turn @ TWIN @ turn.T).astype(dtype)
    with pytest.raises(np.linalg.LinAlgError, match="eigh: eigenvalues 1 and 2, 2 and 2, are equal up to rounding"):
        mg.grad(lambda a: (mg.linalg.eigh(a)[1] * np.arange(4)).sum())(a)
    for k in (0, 2):
        with pytest.raises(np.linalg.LinAlgError, match="svd: singular values 1 and 2, 2 and 2, are equal up to"):
            mg.grad(lambda a, k=k: (mg.linalg.svd(a)[k] * np.arange(4)).sum())(a)
    stack = np.stack([np.diag(np.arange(1, 5)).astype(dtype), a])
    with pytest.raises(np.linalg.LinAlgError, match="eigh: eigenvalues 1 and 2, 2 and 2"):
        mg.jacobian(lambda a: mg.linalg.eigh(a)[1])(stack)


@pytest.mark.parametrize(("name", "k"), [("eigh", 1), ("svd", 0)])
def test_equal_values_are_named_in_their_order(name, k):
    """Also where the loss uses only the second one's vector, and the matrix is one of a stack of stacks."""
    many = np.broadcast_to(TWIN, (1, 2, 4, 4))
    for a in (TWIN, many):
        with pytest.raises(np.linalg.LinAlgError, match=f"{name}: .*s 1 and 2, 2 and 2, are equal up to rounding"):
            mg.grad(lambda a: getattr(mg.linalg, name)(a)[k][..., 1].sum())(a)


def test_how_near_is_equal_depends_on_the_longer_side():
    """Not on the shorter one, nor on the length of a stack."""
    eps = np.finfo(float).eps
    for value, message in ((100 * eps, "singular value 1 is 0"), (1 - 100 * eps, "singular values 0 and 1, 1 and 1")):
        a = np.zeros((2, 1000))
        a[0, 0], a[1, 1] = 1, value
        for x, k in ((a, 2), (a[None], 2), (a.T, 0), (a.T[None], 0)):
            with pytest.raises(np.linalg.LinAlgError, match=f"svd: {message}"):
                mg.grad(lambda a, k=k: mg.linalg.svd(a, full_matrices=False)[k].sum())(x)
    stack = np.broadcast_to(np.diag([1.0, 1 - 100 * eps]), (300, 2, 2))
    for function in (lambda a: mg.linalg.eigh(a)[1], lambda a: mg.linalg.svd(a)[0]):
        assert np.isfinite(mg.grad(lambda a, f=function: f(a).sum())(stack).numpy()).all()


def test_the_only_vector_of_nothing_stays_where_it_is():
    for function in (lambda a: mg.linalg.eigh(a)[1], lambda a: mg.linalg.svd(a)[0], lambda a: mg.linalg.svd(a)[2]):
        assert mg.grad(lambda a, f=function: f(a).sum())(np.zeros((1, 1))).numpy().tolist() == [[0]]
    with pytest.raises(np.linalg.LinAlgError, match="svd: singular value 0 is 0 up to rounding"):
        mg.grad(lambda a: mg.linalg.svd(a, full_matrices=False)[0].sum())(np.zeros((3, 1)))


def test_a_square_matrix_determines_the_vectors_of_one_value_that_is_0():
    left, right = (np.linalg.qr(np.random.default_rng(i).standard_normal((3, 3)))[0] for i in (3, 4))
    for a in (np.diag([2.0, 1, 0]), left @ np.diag([2.0, 1, 0]) @ right):
        for k in (0, 2):
            assert mg.gradcheck(lambda a, k=k: mg.linalg.svd(a)[k] ** 2, [a])


def test_vectors_that_are_apart_have_gradients_beside_equal_ones():
    """That of the last eigenvector of a, moved by B: all others over their gap to it, those that are equal as well."""
    B = np.random.default_rng(0).standard_normal((4, 4))
    B = B + B.T
    for a, vector in ((TWIN, lambda a: mg.linalg.eigh(a)[1][:, 3]), (TWIN, lambda a: mg.linalg.svd(a)[0][:, 0])):
        _, moved = mg.jvp(vector, [a], [B])
        v = vector(a).numpy()
        expected = v[3] * np.array([B[0, 3] / 4, B[1, 3] / 3, B[2, 3] / 3, 0])
        np.testing.assert_allclose(moved.numpy(), expected, atol=1e-14)


def test_singular_vectors_of_nothing_are_refused():
    a = np.zeros((3, 2))
    a[0, 0] = 1
    assert mg.grad(lambda a: mg.linalg.svd(a, full_matrices=False)[1].sum())(a).numpy()[0, 0] == 1
    with pytest.raises(np.linalg.LinAlgError, match="svd: singular value 1 is 0 up to rounding"):
        mg.grad(lambda a: (mg.linalg.svd(a, full_matrices=False)[0] * np.ones(2)).sum())(a)
    with pytest.raises(np.linalg.LinAlgError, match="svd: singular value 1 is 0 up to rounding"):
        mg.grad(lambda a: (mg.linalg.svd(a.T, full_matrices=False)[2] * np.ones(3)).sum())(a)
    with pytest.raises(np.linalg.LinAlgError, match="svd: singular value 1 is 0 up to rounding"):
        mg.grad(lambda a: mg.linalg.svd(a, full_matrices=False)[0].sum())(a[None])
    first = mg.grad(lambda a: mg.linalg.svd(a, full_matrices=False)[0][:, 0].sum())(a)  # whose own value is not 0
    assert np.isfinite(first.numpy()).all()


def test_of_several_values_that_are_0_the_one_is_named_whose_vector_is_used():
    """By a single entry, outside the space that the others span."""
    a = np.zeros((4, 3))
    a[0, 0] = 1
    with pytest.raises(np.linalg.LinAlgError, match="svd: singular value 2 is 0 up to rounding"):
        mg.grad(lambda a: (lambda U: U[3, 0] + U[3, 2])(mg.linalg.svd(a, full_matrices=False)[0]))(a)


def test_singular_vectors_that_the_matrix_does_not_determine_are_refused():
    a = np.random.default_rng(0).standard_normal((3, 2))
    for x, k in ((a, 0), (a.T, 2)):
        with pytest.raises(np.linalg.LinAlgError, match="svd: the loss uses singular vectors behind the first 2"):
            mg.grad(lambda a, k=k: mg.linalg.svd(a)[k].sum())(x)
        with pytest.raises(np.linalg.LinAlgError, match="svd: the loss uses singular vectors behind the first 2"):
            mg.grad(lambda a, k=k: mg.linalg.svd(a)[k].reshape(-1)[-1])(x)  # a single entry of them
        used = mg.grad(lambda a, k=k: (mg.linalg.svd(a)[k][: 3 - k // 2, : 2 + k // 2] ** 3).sum())(x).numpy()
        alone = mg.grad(lambda a, k=k: (mg.linalg.svd(a, full_matrices=False)[k] ** 3).sum())(x).numpy()
        np.testing.assert_allclose(used, alone, rtol=1e-13)


def test_near_values_are_exact_as_long_as_they_are_apart():
    """The first eigenvector's derivative, 1 / gap, to as many digits as the gap has."""
    for gap in (1e-3, 1e-6, 1e-9):
        a = np.diag([1.0, 1.0 + gap])
        _, moved = mg.jvp(lambda a: mg.linalg.eigh(a)[1][:, 0], [a], [np.array([[0.0, 1], [1, 0]])])
        np.testing.assert_allclose(np.abs(moved.numpy()), [0, 1 / (a[1, 1] - 1)], rtol=1e-12)


def test_columns_that_depend_on_each_other_have_no_qr_gradient():
    a = mg.tensor(np.zeros((3, 2)), requires_grad=True)
    with pytest.raises(np.linalg.LinAlgError, match="qr: the first columns of a matrix are dependent"):
        mg.linalg.qr(a).R.sum().backward()


# --- errors, half precision --------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_matrices_have_two_axes(name):
    with pytest.raises(np.linalg.LinAlgError, match=rf"{name}\(a: float64 \(3,\)\): .*two-dimensional"):
        getattr(mg.linalg, name)(np.ones(3))


@pytest.mark.parametrize("name", ["cholesky", "eigh"])
def test_symmetric_matrices_are_square(name):
    with pytest.raises(np.linalg.LinAlgError, match=rf"{name}\(a: float64 \(2, 3\)\): .* must be square"):
        getattr(mg.linalg, name)(np.ones((2, 3)))


def test_a_matrix_that_is_not_positive_definite_is_refused():
    with pytest.raises(
        np.linalg.LinAlgError, match=r"cholesky\(a: float64 \(2, 2\)\): Matrix is not positive definite"
    ):
        mg.linalg.cholesky(-np.eye(2))


def test_options_that_there_are_not():
    with pytest.raises(ValueError, match="UPLO must be 'L' or 'U', not 'X'"):
        mg.linalg.eigh(np.eye(2), "X")
    with pytest.raises(ValueError, match="qr: mode must be 'reduced', 'complete' or 'r', not 'raw'"):
        mg.linalg.qr(np.eye(2), "raw")
    with pytest.raises(ValueError, match=r"qr: mode 'complete' of 3 x 2 .* use mode 'reduced'"):
        mg.linalg.qr(np.ones((3, 2)), "complete")


@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_computed_in_single_and_rounded_once(name):
    (a,) = inputs_of((2, 4, 4), "positive")
    a = a.astype(np.float16)
    a = np.tril(a) + np.swapaxes(np.tril(a, -1), -1, -2)
    function = getattr(mg.linalg, name)
    outputs = function(a) if name in ("eigh", "qr", "svd") else (function(a),)
    g = [np.random.default_rng(i).standard_normal(y.shape).astype(np.float16) for i, y in enumerate(outputs)]
    outs, grads = pull(function, [leaf(a)], g)
    exact, slopes = pull(function, [leaf(a.astype(np.float32))], [u.astype(np.float32) for u in g])
    for mine, theirs in zip([*outs, *grads], [*exact, *slopes], strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_array_equal(mine, theirs.astype(np.float16))
