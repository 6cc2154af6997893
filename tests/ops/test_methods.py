"""Tensor's operators and methods behave as NumPy's, on both sides of an ndarray."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from tests.strategies import broadcastable

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
          operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]  # fmt: skip


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
@given(pair=broadcastable(low=0.5, high=2.0))
def test_binary_operators_agree_with_numpy_on_both_sides(function, pair):
    a, b = pair
    expected = function(a, b)
    for result in (function(mg.tensor(a), mg.tensor(b)), function(mg.tensor(a), b), function(a, mg.tensor(b))):
        assert isinstance(result, mg.Tensor)
        assert result.dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(result.data, expected)


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("number", [2, 0.5, np.float32(0.5), np.float64(0.5), np.int64(2), True])
def test_numbers_promote_as_in_numpy(function, number):
    a = np.array([0.5, 1.5], np.float32)
    if function is operator.pow and number is True:
        number = 1
    for mine, numpy in ((function(mg.tensor(a), number), function(a, number)),
                        (function(number, mg.tensor(a)), function(number, a))):  # fmt: skip
        assert mine.dtype == numpy.dtype
        np.testing.assert_allclose(mine.data, numpy, rtol=1e-6)


@pytest.mark.parametrize("function", [operator.and_, operator.or_, operator.xor], ids=lambda f: f.__name__)
def test_masks_combine_on_both_sides(function):
    a, b = np.array([[True], [False]]), np.array([True, False])
    for result in (function(mg.tensor(a), mg.tensor(b)), function(mg.tensor(a), b), function(a, mg.tensor(b))):
        assert isinstance(result, mg.Tensor)
        np.testing.assert_array_equal(result.data, function(a, b))
    np.testing.assert_array_equal((~mg.tensor(b)).data, ~b)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mg.tensor([1, 2]) & mg.tensor([True, False]), r"& is for booleans, not int64 \(2,\)"),
        (lambda: mg.tensor([True]) | 2, r"\| is for booleans, not int"),
        (lambda: operator.invert(mg.tensor([1])), "~ is for booleans"),
        (lambda: mg.tensor([1.0]) + "x", r"add\(a: float32 \(1,\), b: str\)"),
        (lambda: mg.tensor([1.0]) * None, r"multiply\(a: float32 \(1,\), b: None"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_unary_operators_and_methods():
    a = np.array([[-1.0, 2.0], [3.0, -4.0]])
    x, y = mg.tensor(a), mg.tensor(np.ones((2, 3, 4)))
    for mine, numpys in ((-x, -a), (+x, a), (abs(x), abs(a)), (x.T, a.T), (x @ a, a @ a), (a @ x, a @ a)):
        np.testing.assert_array_equal(mine.data, numpys)
    assert not np.shares_memory((+x).data, x.data)
    assert x.reshape(4).shape == x.reshape((4,)).shape == x.reshape(-1).shape == (4,)
    assert y.transpose(2, 0, 1).shape == (4, 2, 3)
    for axes in ((), (None,), ((2, 1, 0),), ([2, 1, 0],), (np.array([2, 1, 0]),), tuple(np.array([2, 1, 0]))):
        assert y.transpose(*axes).shape == (4, 3, 2)
    assert mg.tensor(np.ones(2)).transpose(0).shape == (2,)
    assert mg.tensor(1.0).transpose(()).shape == ()


A234 = np.random.default_rng(0).permutation(24).reshape(2, 3, 4) / 8.0 - 1.45
# What ndarrays have, too: the method's name, and arguments that both take.
METHODS = [
    ("all", {}), ("any", {"axis": 1}), ("argmax", {"axis": 2}), ("argmin", {}), ("argsort", {"axis": 0}),
    ("astype", {"dtype": np.float32}), ("clip", {"min": -0.5, "max": 0.25}), ("copy", {}), ("cumprod", {"axis": 1}),
    ("cumsum", {}), ("diagonal", {"offset": 1, "axis1": 1, "axis2": 2}), ("flatten", {}), ("max", {"axis": 0}),
    ("mean", {"axis": 1, "keepdims": True}), ("min", {}), ("prod", {"axis": 2}), ("ravel", {}),
    ("repeat", {"repeats": 2, "axis": 1}), ("round", {"decimals": 1}), ("squeeze", {}), ("std", {"axis": 0, "ddof": 1}),
    ("sum", {"axis": (0, 2)}), ("var", {"axis": 2}),
]  # fmt: skip
CONSTANT = {"all", "any", "argmax", "argmin", "argsort", "round"}


@pytest.mark.parametrize(("name", "options"), METHODS)
def test_methods_are_numpys(name, options):
    expected = getattr(A234, name)(**options)
    found = getattr(mg.tensor(A234, requires_grad=True), name)(**options)
    assert isinstance(found, mg.Tensor)
    assert found.requires_grad == (name not in CONSTANT)
    assert found.dtype == np.asarray(expected).dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)
    if name not in CONSTANT and name != "astype":
        assert mg.gradcheck(lambda x: getattr(x, name)(**options), [A234])


def test_methods_that_ndarrays_have_otherwise():
    """Sorting gives a tensor, where that of an ndarray writes into it; the others are functions of NumPy's."""
    x = mg.tensor(A234, requires_grad=True)
    np.testing.assert_array_equal(x.sort(0).numpy(), np.sort(A234, 0))
    np.testing.assert_array_equal(x.numpy(), A234)
    np.testing.assert_array_equal(x.mT.numpy(), A234.mT)
    np.testing.assert_array_equal(x.swapaxes(0, 2).numpy(), A234.swapaxes(0, 2))
    np.testing.assert_array_equal(x[0].dot(x[1].T).numpy(), A234[0].dot(A234[1].T))
    assert x.tolist() == A234.tolist()
    assert mg.tensor(2.5).tolist() == 2.5


def test_copies_have_memory_of_their_own():
    a = np.ones((2, 3))
    x = mg.tensor(a)
    for copied in (x.copy(), x.flatten()):
        copied[...] = 7
        assert (x.numpy() == 1).all()
    assert np.shares_memory(x.ravel().numpy(), x.numpy())


def test_augmented_assignment_rebinds():
    x = mg.tensor([1.0], requires_grad=True)
    y = x
    y += 1
    assert y is not x
    assert x.data[0] == 1


def test_iteration_and_membership_of_rows():
    rows = list(mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True))
    assert [r.data.tolist() for r in rows] == [[1, 2], [3, 4]]
    assert all(r.requires_grad for r in rows)


def test_tensors_are_hashed_by_identity():
    x, y = mg.tensor(1.0), mg.tensor(1.0)
    assert len({x, y, x}) == 2
