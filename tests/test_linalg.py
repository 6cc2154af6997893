"""mg.linalg: NumPy's names, NumPy's functions on tensors, and the identities that hold across families."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minigrad as mg

A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]])
CALLS = {
    "solve": lambda lib, a: lib.linalg.solve(a, A[0]),
    "solve, right": lambda lib, a: lib.linalg.solve(A, a),
    "inv": lambda lib, a: lib.linalg.inv(a),
    "det": lambda lib, a: lib.linalg.det(a),
    "slogdet": lambda lib, a: lib.linalg.slogdet(a)[1],
    "cholesky": lambda lib, a: lib.linalg.cholesky(a),
    "cholesky, upper": lambda lib, a: lib.linalg.cholesky(a, upper=True),
    "qr": lambda lib, a: lib.linalg.qr(a)[1],
    "qr, r": lambda lib, a: lib.linalg.qr(a, mode="r"),
    "eigh": lambda lib, a: lib.linalg.eigh(a)[0],
    "eigh, upper": lambda lib, a: lib.linalg.eigh(a, UPLO="U").eigenvectors,
    "svd": lambda lib, a: lib.linalg.svd(a)[1],
    "svd, values": lambda lib, a: lib.linalg.svd(a, compute_uv=False),
    "svdvals": lambda lib, a: lib.linalg.svdvals(a),
    "norm": lambda lib, a: lib.linalg.norm(a, "nuc"),
    "norm, columns": lambda lib, a: lib.linalg.norm(a, 3, axis=0, keepdims=True),
    "trace": lambda lib, a: lib.linalg.trace(a, offset=1),
    "trace of numpy": lambda lib, a: lib.trace(a, 1),
    "kron": lambda lib, a: lib.kron(a, A[:1]),
}


@pytest.mark.parametrize("name", CALLS)
def test_numpys_functions_called_on_tensors_are_these(name):
    """The same value and gradient as by mg, and the value of NumPy on arrays."""
    value = CALLS[name](np, A)
    for lib in (np, mg):
        x = mg.tensor(A, requires_grad=True)
        y = CALLS[name](lib, x)
        assert isinstance(y, mg.Tensor)
        np.testing.assert_allclose(y.numpy(), value, rtol=1e-13, atol=1e-15)
        y.backward(np.ones(y.shape))
        assert x.grad is not None
    assert isinstance(CALLS[name](np, mg.tensor(A)), mg.Tensor)


def test_names_parameters_and_results_are_numpys():
    for name in mg.linalg.__all__:
        if not hasattr(np.linalg, name):
            assert name == "kron" or name.endswith("Result")
            continue
        mine, theirs = (inspect.signature(getattr(lib.linalg, name)).parameters for lib in (mg, np))
        ours = [(p.name, p.default) for p in mine.values()]
        assert ours == [(p.name, p.default) for p in theirs.values() if p.name not in ("hermitian", "dtype")]
    for name, call in (
        ("slogdet", mg.linalg.slogdet),
        ("eigh", mg.linalg.eigh),
        ("qr", mg.linalg.qr),
        ("svd", mg.linalg.svd),
    ):
        found, expected = call(A), getattr(np.linalg, name)(A)
        assert type(found).__name__ == type(expected).__name__
        assert found._fields == expected._fields


def test_what_there_is_not_is_refused_or_left_to_numpy():
    x = mg.tensor(A, requires_grad=True)
    with pytest.raises(TypeError, match=r"np\.linalg\.svd .* hermitian"):
        np.linalg.svd(x, hermitian=True)
    with pytest.raises(TypeError, match=r"np\.linalg\.eigvalsh .*mg\.linalg\.eigh\(x\)\.eigenvalues"):
        np.linalg.eigvalsh(x)
    assert isinstance(np.linalg.eigvalsh(mg.tensor(A)), np.ndarray)
    assert type(np.linalg.qr(mg.tensor(A[:, :2]), "complete").Q) is np.ndarray


def test_transforms_take_named_results():
    found, pullback = mg.vjp(mg.linalg.eigh, A)
    assert found._fields == ("eigenvalues", "eigenvectors")
    (d,) = pullback(np.ones(3), np.zeros((3, 3)))
    np.testing.assert_allclose(d.numpy(), np.eye(3), atol=1e-14)
    jacobian = mg.jacobian(mg.linalg.slogdet)(A)
    np.testing.assert_allclose(jacobian[1].numpy(), np.linalg.inv(A), rtol=1e-12)
