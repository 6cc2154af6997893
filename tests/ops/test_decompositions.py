"""Decompositions: NumPy's values, gradients on all shapes, equal values, and the choice of signs."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
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
@settings(max_examples=12)
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


# --- identities --------------------------------------------------------------------------------------


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


@given(a=matrices(kind="symmetric"))
def test_triangles_that_are_not_read_do_not_matter(a):
    lower = np.tril(a)
    assert mg.linalg.eigh(lower).eigenvalues.numpy() == pytest.approx(mg.linalg.eigh(a).eigenvalues.numpy())
    upper = np.triu(a)
    assert mg.linalg.eigh(upper, "U").eigenvalues.numpy() == pytest.approx(mg.linalg.eigh(a).eigenvalues.numpy())


@pytest.mark.parametrize(("name", "shapes"), [("cholesky", [(4, 4)]), ("eigh", [(4,), (4, 4)])])
def test_gradients_in_symmetric_matrices_are_symmetric(name, shapes):
    g = [np.random.default_rng(0).standard_normal(shape) for shape in shapes]
    d = pull(getattr(mg.linalg, name), list(map(leaf, inputs_of((4, 4), "positive"))), g)[1][0]
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
@pytest.mark.parametrize(("name", "k"), [("eigh", 1), ("svd", 0), ("svd", 2)])
def test_vectors_of_equal_values_are_refused_by_name(turn, dtype, name, k):
    """Also those of one matrix of a stack."""
    a = (turn @ TWIN @ turn.T).astype(dtype)
    for x in (a, np.stack([np.diag(np.arange(1, 5)).astype(dtype), a])):
        with pytest.raises(np.linalg.LinAlgError, match=f"{name}: .*s 1 and 2, 2 and 2, are equal"):
            mg.grad(lambda a: (getattr(mg.linalg, name)(a)[k] * np.arange(4)).sum())(x)


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


@pytest.mark.parametrize(("shape", "k"), [((3, 2), 0), ((2, 3), 2), ((1, 3, 2), 0)])
def test_singular_vectors_of_nothing_are_refused(shape, k):
    a = np.zeros(shape)
    a[..., 0, 0] = 1
    thin = lambda a: mg.linalg.svd(a, full_matrices=False)  # noqa: E731
    assert mg.grad(lambda a: thin(a)[1].sum())(a).numpy()[..., 0, 0] == 1
    with pytest.raises(np.linalg.LinAlgError, match="svd: singular value 1 is 0"):
        mg.grad(lambda a: thin(a)[k].sum())(a)


@pytest.mark.parametrize(("turned", "k"), [(False, 0), (True, 2)])
def test_singular_vectors_that_the_matrix_does_not_determine_are_refused(turned, k):
    a = np.random.default_rng(0).standard_normal((3, 2))
    a = a.T if turned else a
    for loss in (lambda a: mg.linalg.svd(a)[k].sum(), lambda a: mg.linalg.svd(a)[k].reshape(-1)[-1]):
        with pytest.raises(np.linalg.LinAlgError, match=r"svd: .*after the first 2"):
            mg.grad(loss)(a)
    used = mg.grad(lambda a: (mg.linalg.svd(a)[k][: 3 - k // 2, : 2 + k // 2] ** 3).sum())(a).numpy()
    alone = mg.grad(lambda a: (mg.linalg.svd(a, full_matrices=False)[k] ** 3).sum())(a).numpy()
    np.testing.assert_allclose(used, alone, rtol=1e-13)


# --- errors, half precision --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        *((lambda name=name: getattr(mg.linalg, name)(np.ones(3)), rf"{name}\(a: float64 \(3,\)\).*two-dim")
          for name in CASES),
        (lambda: mg.linalg.cholesky(np.ones((2, 3))), r"cholesky\(a: float64 \(2, 3\)\): .* square"),
        (lambda: mg.linalg.eigh(np.ones((2, 3))), r"eigh\(a: float64 \(2, 3\)\): .* square"),
        (lambda: mg.linalg.cholesky(-np.eye(2)), r"cholesky\(a: float64 \(2, 2\)\): .*positive definite"),
        (lambda: mg.linalg.eigh(np.eye(2), "X"), "UPLO .*'L' or 'U', not 'X'"),
        (lambda: mg.linalg.qr(np.eye(2), "raw"), "qr: mode .*'raw'"),
        (lambda: mg.linalg.qr(np.ones((3, 2)), "complete"), "qr: mode 'complete' of 3 x 2"),
        (lambda: mg.linalg.qr(leaf(np.zeros((3, 2)))).R.sum().backward(), "qr: .*dependent"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises((np.linalg.LinAlgError, ValueError), match=message):
        call()
