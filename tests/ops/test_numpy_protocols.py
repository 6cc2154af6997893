"""NumPy's own functions on tensors: the primitive of that name, or an error, but never an array in silence."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import minigrad as mg
from minigrad.ops.numpy_protocols import PRIMITIVE_OF

X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])
V = np.array([0.5, 1.5, 2.0])


def tracked(array=X):
    return mg.tensor(array, requires_grad=True)


def test_every_function_that_both_have_is_dispatched():
    shared = {name for name in mg.ops.__all__ if hasattr(np, name)} - {"put"}  # NumPy's put writes in place
    assert {function.__name__ for function in PRIMITIVE_OF} >= {getattr(np, name).__name__ for name in shared}


CALLS = {
    "exp": lambda x: np.exp(x),
    "add": lambda x: np.add(X, x),
    "matmul": lambda x: np.matmul(x, V),
    "sum": lambda x: np.sum(x),
    "sum over an axis": lambda x: np.sum(x, axis=0, keepdims=True),
    "sum by position": lambda x: np.sum(x, 1),
    "mean": lambda x: np.mean(x, axis=(0, 1)),
    "max": lambda x: np.max(x, axis=1),
    "amax": lambda x: np.amax(x, 1),
    "var": lambda x: np.var(x, ddof=1),
    "std": lambda x: np.std(x, axis=1, ddof=1),
    "concatenate": lambda x: np.concatenate([x, X], axis=1),
    "stack": lambda x: np.stack([X, x], axis=-1),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": lambda x: np.transpose(x),
    "where": lambda x: np.where(X > 0, x, 0.0),
    "clip": lambda x: np.clip(x, -1, 1),
    "clip between arrays": lambda x: np.clip(x, -0.7 * V, np.ones((2, 1))),
    "mod": lambda x: np.mod(x, V + 0.2),
    "positive": lambda x: np.positive(x),
    "clip by name": lambda x: np.clip(x, a_min=-1, a_max=None),
    "pad": lambda x: np.pad(x, 1, constant_values=3.0),
    "pad by reflection": lambda x: np.pad(x, ((1, 0), (4, 2)), mode="reflect"),
    "einsum": lambda x: np.einsum("ij,ij->i", x, X),
    "dot": lambda x: np.dot(x, V),
    "tensordot": lambda x: np.tensordot(x, X, axes=2),
    "tensordot of axes": lambda x: np.tensordot(x, X, axes=([1], [1])),
    "outer": lambda x: np.outer(V, x),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "squeeze": lambda x: np.squeeze(np.expand_dims(x, 1), axis=1),
    "flip": lambda x: np.flip(x, axis=1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "tile": lambda x: np.tile(x, (2, 1)),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "ravel": lambda x: np.ravel(x),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=1),
    "sort": lambda x: np.sort(x, axis=0),
    "diag": lambda x: np.diag(x, k=1),
    "diag of a vector": lambda x: np.diag(x[0], -1),
    "prod": lambda x: np.prod(x),
    "tril": lambda x: np.tril(x, k=1),
    "diagonal": lambda x: np.diagonal(x, 1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "norm": lambda x: np.linalg.norm(x),
    "norm over an axis": lambda x: np.linalg.norm(x, axis=1),
    "norm of order 1": lambda x: np.linalg.norm(x, 1, axis=1),
    "a matrix norm": lambda x: np.linalg.norm(x, "nuc"),
    "a spectral norm": lambda x: np.linalg.norm(x, 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_numpys_functions_do_the_differentiable_thing(name):
    x = tracked()
    y = CALLS[name](x)
    expected = CALLS[name](X)
    assert isinstance(y, mg.Tensor)
    assert y.requires_grad
    np.testing.assert_allclose(y.data, expected, rtol=1e-12)
    g = np.cos(np.arange(expected.size)).reshape(expected.shape)
    y.backward(g)
    np.testing.assert_allclose(x.grad, mg.numerical_gradient(CALLS[name], X, g), rtol=1e-6, atol=1e-8)


# What NumPy gives for constants, and for tensors as well: a tensor where minigrad has the function, else an array.
CONSTANTS = {
    **{f"tracked {name}": call for name, call in {
        "argmax": lambda x: np.argmax(x, axis=1), "argsort": lambda x: np.argsort(x, axis=0),
        "round": lambda x: np.round(x, 1), "around": lambda x: np.around(x, decimals=1), "isnan": np.isnan,
        "greater": lambda x: np.greater(x, 0), "floor_divide": lambda x: np.floor_divide(x, 0.5), "isinf": np.isinf,
        "isposinf": np.isposinf, "isneginf": np.isneginf, "isfinite": np.isfinite, "shape": np.shape, "ndim": np.ndim,
        "size": lambda x: np.size(x, 1), "zeros_like": np.zeros_like, "ones_like": np.ones_like,
        "full_like": lambda x: np.full_like(x, 2), "and": lambda x: (X > 0) & (x > 0),
    }.items()},
    "allclose": lambda x: np.allclose(x, X), "array_equal": lambda x: np.array_equal(X, x),
    "isclose": lambda x: np.isclose(x, X), "median": lambda x: np.median(x, axis=0), "reduce": np.add.reduce,
    "hstack": lambda x: np.hstack([x, X]), "out": lambda x: np.add(x, X, out=np.empty((2, 3))),
    "nonzero": lambda x: np.nonzero(x)[0], "where": lambda x: np.where(x)[0],
    "sum": lambda x: np.sum(x, dtype=np.float32), "bits": lambda x: np.bitwise_and(np.sign(x).astype(int), 1),
    "augmented": lambda x: operator.iadd(X.copy(), x),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_are_numpys(name):
    x = tracked() if name.startswith("tracked") else mg.tensor(X)
    np.testing.assert_array_equal(CONSTANTS[name](x), CONSTANTS[name](X))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.pad(x, 1, mode="mean"),
        lambda x: np.sort(x, kind="heapsort"),
        lambda x: np.concatenate([x, x], axis=None),
        lambda x: np.where([1, 0, 2], x, 0.0),
        lambda x: np.einsum(x, [0, 1], x, [0, 1], []),
        lambda x: np.einsum("ij->i", x, dtype=np.float64),
        lambda x: np.dot(2.0, x),
    ],
)
def test_what_minigrad_does_not_do_with_constants_numpy_does(call):
    found, expected = call(mg.tensor(X)), call(X)
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    with pytest.raises((TypeError, ValueError, IndexError)):
        call(tracked())


def test_a_single_number_is_asked_for_like_a_float():
    """As float(x[0]) must work, NumPy's own requests for one cannot be told from it."""
    array = np.zeros(2)
    array[0] = tracked(V)[1]
    assert array[0] == float(tracked(V)[1]) == 1.5
    with pytest.raises(TypeError, match=r"\.detach\(\)"):
        array[:] = tracked(V)[:2]


REFUSED = {
    "another function": (lambda x: np.median(x), r"np\.median .*\.detach\(\)"),
    "another name": (lambda x: np.hstack([x, X]), r"np\.hstack .*mg\.concatenate"),
    "another ufunc": (lambda x: np.log2(x), r"np\.log2 .*mg\.log"),
    "a method of a ufunc": (lambda x: np.add.reduce(x), r"np\.add\.reduce .*mg\.sum"),
    "another method": (lambda x: np.multiply.outer(x, X), r"np\.multiply\.outer .*\.detach\(\)"),
    "an option": (lambda x: np.sum(x, dtype=np.float32), r"np\.sum .*option dtype"),
    "a ufunc's option": (lambda x: np.exp(x, where=X > 0), r"np\.exp .*option where"),
    "an output": (lambda x: np.add(x, X, out=np.empty((2, 3))), r"np\.add .*option out"),
    "a comparison": (lambda x: np.allclose(x, X), r"np\.allclose .*\.detach\(\)"),
    "a conversion": (lambda x: np.asarray(x), r"\.detach\(\)"),
    "places alone": (lambda x: np.where(x), r"np\.where .*\.detach\(\)"),
    "no axis": (lambda x: np.concatenate([x, x], axis=None), r"axis must be an integer, not None: ravel"),
    "options of einsum": (lambda x: np.einsum("ij->", x, dtype=np.float32), r"np\.einsum .*option dtype"),
    "an augmented assignment": (lambda x: operator.iadd(X.copy(), x), r"np\.add .*option out"),
    "bits": (lambda x: np.bitwise_or(X > 0, x), "is for booleans"),
    "lists of lists": (lambda x: np.block([[x, x]]), r"np\.block .*mg\.concatenate"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_primitive_is_refused_with_the_name_to_use(name):
    call, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        call(tracked())


def test_other_kinds_of_arrays_may_answer_first():
    class Other:
        def __array_function__(self, function, types, args, kwargs):
            return "mine"

    assert np.concatenate([tracked(), Other()]) == "mine"


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.ma.array([3.0, 4.0, 5.0]) * x,
        lambda x: np.ma.exp(x),
        lambda x: np.ma.where([True, False, True], x, 0.0),
        np.ma.getdata,
    ],
)
def test_masked_arrays_functions_refuse_tracked_tensors(call):
    """They read an attribute _data, the name that masked arrays have for their own."""
    with pytest.raises(TypeError, match=r"lose .*gradient"):
        call(tracked(V))
    np.testing.assert_array_equal(call(mg.tensor(V)), call(V))
