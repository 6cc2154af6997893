"""Arguments that machine code would read or write wrongly: NumPy runs the function itself."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import minigrad as mg
from minigrad.compiler import fused
from minigrad.compiler.tracing import Untraceable

X = np.arange(12.0).reshape(3, 4)


def same_as_numpy(function, make, writes=()):
    """Compare results, updated arguments and errors of the compiled function and the function itself."""
    outcomes = []
    for call in (fused(function, writes=writes) if writes else fused(function), function):
        args = make()
        try:
            outcomes.append([call(*args), *args])
        except (IndexError, ValueError) as error:
            outcomes.append([type(error), *args])
    np.testing.assert_equal(*outcomes)


# --- indices ------------------------------------------------------------------------------------------


def take(x, index):
    return np.take_along_axis(x, index, -1)


def put(x, index):
    y = x * 2
    np.put_along_axis(y, index, 0, -1)
    return y


@pytest.mark.parametrize("function", [take, put])
@pytest.mark.parametrize("index", [
    [0, 1, 3], [0, -1, -4], [0, 1, 4], [-5, 0, 0], [0, 2**40, 0], [-(2**62), 0, 0],
])  # fmt: skip
def test_indices_out_of_range(function, index):
    same_as_numpy(function, lambda: (X, np.array(index)[:, None]))


@pytest.mark.parametrize("dtype", [">i8", "<i8", ">i4", "i4", "u8"])
def test_integers_of_any_byte_order(dtype):
    same_as_numpy(take, lambda: (X, np.array([[0], [1], [3]], dtype)))


def test_indices_of_no_rows():
    same_as_numpy(take, lambda: (np.ones((0, 4)), np.ones((0, 1), int)))


# --- memory that is used twice ------------------------------------------------------------------------


def step(p, g):
    p -= 0.5 * g


@pytest.mark.parametrize("views", [
    lambda a: (a[1:], a[:-1]), lambda a: (a[:-1], a[1:]), lambda a: (a, a[::-1]), lambda a: (a[::-1], a),
    lambda a: (a, a), lambda a: (a[:1], a[:1]), lambda a: (a[:, :2], a[:, 1:3]), lambda a: (a, a[0]),
    lambda a: (a, a[:, 1:2]),
], ids=range(9))  # fmt: skip
def test_updates_of_memory_that_another_argument_uses(views):
    same_as_numpy(step, lambda: views(X.copy()), writes=(0,))


def test_updates_of_the_same_argument_twice():
    def both(p, m, g):
        m += g
        p -= m

    same_as_numpy(both, lambda: [X.copy()] * 2 + [X], writes=(0, 1))


@pytest.mark.parametrize("strides", [(0, 8), (8, 8), (-8, 8), (32, 8), (-32, 8)])
def test_updates_of_rows_that_overlap(strides):
    def rows():
        memory = np.arange(40.0)
        return np.lib.stride_tricks.as_strided(memory[20:], (3, 4), strides), X

    same_as_numpy(step, rows, writes=(0,))


# --- arguments that are no arrays ---------------------------------------------------------------------


class Kind(np.ndarray):
    pass


@pytest.mark.parametrize("g", [[[1.0] * 4] * 3, X.view(Kind), {1: 2}], ids=["list", "subclass", "dict"])
def test_arguments_that_cannot_be_a_key(g):
    def double(x, g):
        return x * 2 if isinstance(g, dict) else x + g

    same_as_numpy(double, lambda: (X, g))


def test_gradients_in_a_file(tmp_path):
    p = mg.tensor(np.ones((70, 80), np.float32), requires_grad=True)
    p.grad = np.memmap(tmp_path / "gradient", np.float32, "w+", shape=(70, 80))
    p.grad += 1
    mg.optim.Adam([p], lr=0.5).step()
    np.testing.assert_allclose(p.data, 0.5, atol=1e-6)


def test_constants_of_different_types_have_kernels_of_their_own():
    function = fused(lambda x, a: (x, a))
    for a in (True, 1, (True,), (1,), (0.0,), (-0.0,), 0):
        assert repr(function(X, a)[1]) == repr(a)


def test_keyword_arguments():
    def power(x, n=2, *, shift=0):
        return x**n + shift

    function = fused(power)
    np.testing.assert_array_equal(function(x=X), X**2)
    np.testing.assert_array_equal(function(X, n=3), X**3)
    np.testing.assert_array_equal(function(X, shift=1), X**2 + 1)
    with pytest.raises(TypeError, match=r"power\(\) got an unexpected keyword argument 'm'"):
        function(X, m=3)
    with pytest.raises(TypeError, match=r"power\(\) missing 1 required positional argument"):
        function()


@pytest.mark.parametrize("function", [functools.partial(step, g=1), np.exp, X.sum, "".join, int])
def test_what_is_no_function_is_refused(function):
    with pytest.raises(TypeError, match="is no function written with def or lambda"):
        fused(function)


class Settings:
    rate = 2.0


@pytest.mark.parametrize("settings", [Settings(), mg.tensor(2.0), [2.0]], ids=["object", "tensor", "list"])
def test_objects_that_change_are_no_constants(settings):
    def scaled(x, settings):
        if isinstance(settings, Settings):
            return x * settings.rate
        return x * float(settings.data) if isinstance(settings, mg.Tensor) else x * settings[0]

    function = fused(scaled)
    np.testing.assert_array_equal(function(X, settings), 2 * X)
    if isinstance(settings, Settings):
        settings.rate = 3.0
    elif isinstance(settings, list):
        settings[0] = 3.0
    else:
        settings.data[...] = 3
    np.testing.assert_array_equal(function(X, settings), 3 * X)


@pytest.mark.parametrize("x", [X, X > 3])
def test_a_copy_by_astype_is_no_argument(x):
    same, copy, view = fused(lambda y, x: (x, x.astype(x.dtype), x.astype(x.dtype, copy=False)))(X, x)
    assert same is view is x
    assert not np.may_share_memory(copy, x)
    np.testing.assert_array_equal(copy, x)


@pytest.mark.parametrize("x", [np.array(3.0), np.array(3.0, np.float32)])
def test_arrays_without_axes(x):
    y = fused(lambda x: x - x.sum())(x)
    assert (y, y.dtype) == (0, x.dtype)


def test_other_layouts_that_cannot_be_compiled_run_in_numpy():
    function = fused(lambda x, s: x * np.sqrt(s))
    np.testing.assert_array_equal(function(X, 4.0), 2 * X)
    assert function(X.astype(np.float32), 4.0).dtype == np.float64


@pytest.mark.parametrize("number", [0.1, np.float32(0.1)])
def test_numbers_are_compared_in_single_precision(number):
    x, tenths = np.ones((3, 4), np.float32), [np.full(shape, 0.1, np.float32) for shape in ((3, 4), (3, 1), 4, ())]
    for found in fused(lambda x, *all: tuple(np.where(a > number, x, 0) for a in all))(x, *tenths):
        np.testing.assert_array_equal(found, 0)
    for found in fused(lambda x, s, *all: tuple(np.where(a > s, x, 0) for a in all))(x, number, *tenths):
        np.testing.assert_array_equal(found, 0)


def test_large_numbers_overflow_as_in_numpy():
    with np.errstate(over="ignore"):
        same_as_numpy(lambda x: (x * 1e300, x > 1e300), lambda: (X.astype(np.float32) + 1,))


@pytest.mark.parametrize("rows", [2, 2000])
@pytest.mark.parametrize("number", [2**53, 2**53 + 1, 2**63, 0.5])
def test_integers_that_no_float_represents_are_refused(number, rows):
    with pytest.raises(Untraceable, match="integers"):
        fused(lambda x, i: np.where(i == number, x, 0))(np.ones((rows, 4)), np.full((rows, 1), 2**53))


def test_a_sum_of_all_entries_is_a_scalar_at_every_size():
    total = fused(lambda x: x.sum(-1))
    assert {type(total(np.ones(n, np.float32))) for n in (8, 5000)} == {np.float32}
