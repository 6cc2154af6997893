"""NumPy's own functions on tensors: the primitive of that name, or an error, but never an array in silence."""

from __future__ import annotations

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


def test_constants_of_both():
    x = tracked()
    np.testing.assert_array_equal(np.argmax(x, axis=1).data, X.argmax(axis=1))
    np.testing.assert_array_equal(np.argsort(x, axis=0).data, X.argsort(axis=0))
    np.testing.assert_array_equal(np.round(x, 1).data, X.round(1))
    np.testing.assert_array_equal(np.isnan(x).data, np.isnan(X))
    np.testing.assert_array_equal(np.greater(x, 0).data, X > 0)
    np.testing.assert_array_equal(np.floor_divide(x, 0.5).data, X // 0.5)
    for function in (np.isinf, np.isposinf, np.isneginf, np.isfinite):
        np.testing.assert_array_equal(
            function(tracked([-np.inf, np.inf, np.nan])).data, function([-np.inf, np.inf, np.nan])
        )


def test_shapes_can_be_asked_for():
    x = tracked()
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == 6
    assert np.size(x, 1) == 3
    assert np.zeros_like(x).shape == np.ones_like(x).shape == np.full_like(x, 2).shape == (2, 3)
    assert type(np.zeros_like(x)) is np.ndarray


def test_untracked_tensors_convert():
    x = mg.tensor(X)
    assert np.allclose(x, X)
    assert np.array_equal(X, x)
    assert np.isclose(x, X).all()
    np.testing.assert_array_equal(np.median(x, axis=0), np.median(X, axis=0))
    np.testing.assert_array_equal(np.add.reduce(x), np.add.reduce(X))
    np.testing.assert_array_equal(np.hstack([x, X]), np.hstack([X, X]))
    np.testing.assert_array_equal(np.add(x, X, out=np.empty((2, 3))), X + X)
    np.testing.assert_array_equal(np.nonzero(mg.tensor([0.0, 1.0]))[0], [1])
    np.testing.assert_array_equal(np.where(mg.tensor([False, True]))[0], [1])
    np.testing.assert_array_equal(np.sum(x, dtype=np.float32), np.sum(X, dtype=np.float32))
    total = X.copy()
    total += x
    np.testing.assert_array_equal(total, 2 * X)


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


def test_masks_of_integers_are_bits_for_constants():
    np.testing.assert_array_equal(np.bitwise_and(mg.tensor([1, 2, 3]), 1), [1, 0, 1])


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
    "lists of lists": (lambda x: np.block([[x, x]]), r"np\.block .*mg\.concatenate"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_primitive_is_refused_with_the_name_to_use(name):
    call, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        call(tracked())


def test_an_array_on_the_left_of_an_augmented_assignment():
    total = X.copy()
    with pytest.raises(TypeError, match=r"np\.add .*option out"):
        total += tracked()
    np.testing.assert_array_equal(total, X)


def test_masks_on_the_right_of_an_array():
    mask = X > 0
    both = mask & (tracked() > 0)
    assert isinstance(both, mg.Tensor)
    np.testing.assert_array_equal(both.data, mask)
    with pytest.raises(TypeError, match="is for booleans"):
        np.bitwise_or(X > 0, tracked())


def test_other_kinds_of_arrays_may_answer_first():
    class Other:
        def __array_function__(self, function, types, args, kwargs):
            return "mine"

    assert np.concatenate([tracked(), Other()]) == "mine"
