"""Calls of primitives: what they refuse, by whichever path they go, and what they leave behind."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


def parameter(data):
    p = nn.Parameter(np.ones(2, np.float32))
    p.data = data
    return p


CALLS = {
    "of one": lambda x: mg.exp(x),
    "of two, on the left": lambda x: mg.multiply(x, 2.0),
    "of two, on the right": lambda x: mg.multiply(2.0, x),
    "of any number": lambda x: mg.stack([x]),
    "with options": lambda x: mg.sum(x, keepdims=True),
}


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"of one"}))
def test_data_that_is_no_array_is_refused(name):
    """Of a subclass at once; of a tensor itself by whatever looks at its shape."""
    with pytest.raises(TypeError, match=r"a tensor's \.data must be an ndarray, not list"):
        CALLS[name](parameter([1.0, 2.0]))


@pytest.mark.parametrize("name", sorted(CALLS))
@pytest.mark.parametrize("value", [np.array([1j, 2]), np.array(["a"]), np.array([None])], ids=["c", "U", "O"])
def test_arrays_of_no_real_numbers_are_refused(name, value):
    with pytest.raises(TypeError, match=rf"expected numbers .*, not {value.dtype} data"):
        CALLS[name](value)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_nothing_is_tracked_where_gradients_are_off(name):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.no_grad():
        assert CALLS[name](x).node is None
    assert CALLS[name](x).node is not None


@pytest.fixture
def declared():
    """Declares primitives from forwards, broadcasting ones, which take the short paths."""
    names = []

    def declare(forward):
        function = mg.primitive(broadcasts=True)(forward)
        function.vjp(lambda g, needs, *_: (g,) * len(needs))
        names.append(f"{__name__}.{forward.__name__}")
        return function

    return declare


def one(result):
    def of_one(x):
        return result(x)

    return of_one, 1


def two(result):
    def of_two(a, b):
        return result(a)

    return of_two, 2


@pytest.mark.parametrize("path", [one, two])
@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: (x * 1j, ()), r"the forward must return real numbers, not complex128"),
        (lambda x: x, r"the forward must return \(output, tuple of residuals\)"),
        (lambda x: (x * 2, [x]), r"the forward must return \(output, tuple of residuals\)"),
        (lambda x: (x.sum(), [x]), r"the forward must return \(output, tuple of residuals\)"),
        (lambda x: (np.ma.masked_array(x), ()), r"masked"),
    ],
)
def test_what_a_forward_on_a_short_path_gives_is_looked_at(declared, path, result, message):
    forward, number = path(result)
    with pytest.raises(TypeError, match=message):
        declared(forward)(*[mg.tensor(np.ones(3), requires_grad=True)] * number)


def test_a_broadcasting_primitive_with_options_or_of_any_number_takes_the_general_path(declared):
    def scaled(x, k=1.0):
        return x * k, ()

    def total(*x):
        return sum(x), ()

    assert declared(scaled)(np.ones(2), k=3.0).numpy().tolist() == [3, 3]
    assert declared(total)(np.ones(2), np.ones(2), np.ones(2)).numpy().tolist() == [3, 3]


def test_a_broadcasting_primitive_without_a_derivative_gives_constants():
    @mg.primitive(broadcasts=True, differentiable=False)
    def rounded(x):
        return np.round(x), ()

    assert rounded(mg.tensor([0.4], requires_grad=True)).node is None


@pytest.mark.parametrize("broadcasts", [True, False])
def test_a_forward_without_residuals_is_refused(declared, broadcasts):
    """Two rows of an array must not pass for an output and its residuals."""

    @mg.primitive(broadcasts=broadcasts)
    def cubed(x):
        return x**3

    with pytest.raises(TypeError, match=r"must return \(output, tuple of residuals\)"):
        cubed(np.ones((2, 2)))


def test_numbers_alone_take_the_default_dtype():
    assert mg.add(1.0, 2.0).dtype == mg.exp(1.0).dtype == np.float32
    assert mg.add(1, 2).dtype == mg.multiply(2**40, 2).dtype == np.int64
    assert mg.add(True, True).dtype == bool
    assert mg.add(1.0, 2).dtype == np.float32
    assert (2.0 * mg.tensor(np.ones(2))).dtype == np.float64


def test_python_floats_beside_booleans_do_not_promote_a_network():
    positive = mg.tensor([1.0, -1.0]) > 0
    assert (positive * 0.5).dtype == (0.5 * positive).dtype == mg.where(positive, 1.0, 0.1).dtype == np.float32
    assert (mg.tensor([1, 2]) * 0.5).dtype == np.float64


@pytest.mark.parametrize(
    "name", ["type", "len", "isinstance", "next", "map", "float", "tuple", "new", "keep", "x_data"]
)
def test_parameters_may_have_the_names_of_builtins(name):
    namespace = {}
    exec(f"def forward({name}, shape=2.0):\n    return {name} * shape, (shape,)", namespace)
    scaled = mg.primitive(namespace["forward"])
    scaled.vjp(lambda g, needs, s: (g * s,))
    assert mg.grad(lambda x: scaled(x))(1.5).item() == 2
    exec(f"def forward(x, {name}=2.0):\n    return x * {name}, ({name},)", namespace)
    scaled = mg.primitive(namespace["forward"])
    scaled.vjp(lambda g, needs, s: (g * s,))
    assert mg.grad(lambda x: scaled(x, 3.0))(1.5).item() == 3
    assert mg.grad(lambda x: scaled(x, **{name: 4.0}))(1.5).item() == 4


def test_parameters_that_the_call_cannot_name_are_refused():
    with pytest.raises(TypeError, match="no parameter begins with _"):
        mg.primitive(lambda x, _data_x=2.0: (x * _data_x, ()))
    with pytest.raises(TypeError, match=r"takes no \*\*options"):
        mg.primitive(lambda x, **options: (x, ()))

    def variadic(x, *powers: int):
        return x ** sum(powers), ()

    for forward in (variadic, lambda x, k=2, /: (x * k, ())):
        with pytest.raises(TypeError, match="options are passed by name"):
            mg.primitive(forward)


def test_a_forward_without_a_name_is_refused():
    with pytest.raises(TypeError, match=r"a function with a name \(def\), not functools\.partial"):
        mg.primitive(functools.partial(np.add, 1.0))


@pytest.mark.parametrize("name", ["output", "constant", "derived"])
def test_an_input_has_no_name_that_means_something_else_in_residuals(name):
    """It was taken for the output or a constant: a second derivative of 144 or 0 for 12."""
    namespace = {}
    exec(f"def forward({name}):\n    return {name}**3, ({name},)", namespace)
    with pytest.raises(TypeError, match=f"{name} a meaning: rename the input"):
        mg.primitive(residuals=(name,))(namespace["forward"])


def test_a_view_of_an_ndarray_becomes_an_array_of_its_own():
    array = np.ones(3, np.float32)
    y = mg.broadcast_to(array, (2, 3))
    array[0] = 7
    y[0, 0] = 5
    assert y.numpy().tolist() == [[5, 1, 1], [1, 1, 1]]


def test_inputs_before_variadic_ones_are_copied_too():
    @mg.primitive(residuals=("x",))
    def lead(x, *rest):
        return x[:2] * 1.0, (x,)

    lead.vjp(lambda g, needs, x: (None, *[g * x[:2]] * (len(needs) - 1)))
    a, tracked = np.ones(3), mg.tensor(np.ones(2), requires_grad=True)
    y = lead(a, tracked)
    a[:] = 7
    y.sum().backward()
    np.testing.assert_array_equal(tracked.grad, [1, 1])


def test_every_default_and_name_of_a_forward_can_be_called():
    def _in(x: np.ndarray, b: np.ndarray = 0.5):
        return x + b, ()

    np.testing.assert_array_equal(mg.primitive(_in)(np.ones(2)).numpy(), [1.5, 1.5])


@pytest.mark.parametrize("hold", [list, tuple, lambda x: {"w": x}, lambda x: [{"w": tuple(x)}]])
def test_tracked_tensors_within_options_are_refused(hold):
    @mg.primitive
    def scaled(x, w=None):
        return x * 2.0, ()

    w = mg.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="option w is not differentiable"):
        scaled(np.ones(1), hold([w]))


def test_options_that_were_broadcast_are_not_expanded():
    @mg.primitive(residuals=("constant",))
    def masked(x, mask=None):
        return x * 1.0, (mask,)

    mask = np.broadcast_to(np.ones(3, bool), (1000, 3))
    y = masked(mg.tensor(np.ones(3), requires_grad=True), mask)
    (kept,) = y.node.residuals
    assert kept is not mask
    assert kept.strides == (0, 1)


def test_a_default_of_none_is_not_blamed():
    with pytest.raises((TypeError, ValueError)) as caught:
        mg.layer_norm(np.ones((2, 3)), eps=None)
    assert "expected numbers" not in str(caught.value)
