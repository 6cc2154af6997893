"""Tensors, primitives and the trace."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Optional

import numpy as np
import pytest
from numpy.typing import NDArray

import minigrad as mg
from minigrad.core import Leaf


def test_default_dtype_can_be_changed():
    mg.set_default_dtype(np.float64)
    try:
        assert mg.tensor(1.0).dtype == mg.get_default_dtype() == np.float64
    finally:
        mg.set_default_dtype(np.float32)
    with pytest.raises(TypeError, match="int64"):
        mg.set_default_dtype(int)


def test_python_numbers_are_rounded_once_to_the_dtype_asked_for():
    assert mg.tensor(0.1, dtype="float64").item() == 0.1
    assert mg.tensor([[1e40]], dtype=np.float64).item() == 1e40
    assert mg.tensor([16777217.0], dtype="int64").item() == 16777217
    assert mg.nn.Parameter(0.1, dtype="float64").item() == 0.1
    for number, dtype in ((300, "int8"), (-1, "uint8")):
        with pytest.raises(ValueError, match=rf"tensor: .*{number} out of bounds for {dtype}"):
            mg.tensor([number], dtype=dtype)
    assert mg.tensor(np.array([300]), dtype="int8").item() == 44  # arrays are cast as by astype


@pytest.mark.parametrize("data", ["text", [1j], None, object(), ["a"]])
def test_tensor_refuses_what_is_no_real_number(data):
    with pytest.raises(TypeError, match="expected numbers"):
        mg.tensor(data)


def test_masked_arrays_are_refused_wherever_arrays_are_taken():
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    x = mg.tensor(np.ones(2), requires_grad=True)
    y, z = x * 1, mg.tensor(np.ones(2))
    uses = (lambda: mg.tensor(masked), lambda: mg.add(masked, 1.0), lambda: setattr(x, "grad", masked),
            lambda: y.backward(masked), lambda: setattr(z, "data", masked))  # fmt: skip
    for use in uses:
        with pytest.raises(TypeError, match="would lose its mask"):
            use()


def test_data_may_be_replaced_by_an_array_of_the_same_shape_and_dtype_alone():
    """The gradient for another shape was summed to the old one; with another dtype the leaf had two."""
    for x in (mg.tensor(np.ones(2), requires_grad=True), mg.tensor(np.ones(2), requires_grad=True) * 2):
        for array in (np.ones(3), np.ones((1, 2)), np.float64(1), np.ones(2, np.float32), np.ones(2, int)):
            with pytest.raises((ValueError, TypeError), match=r"\.data"):
                x.data = array
        x.data = np.array([3.0, 4.0])
        assert x.numpy().tolist() == [3, 4]
    constant = mg.tensor(np.ones(2))
    constant.data = np.ones(3)
    assert constant.shape == (3,)


def test_slips_are_named():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for slip, error, text in (
        (lambda: mg.scope(5), TypeError, r"scope: .* 5"), (lambda: mg.no_grad(lambda: None), TypeError, "no_grad"),
        (lambda: bool(x), ValueError, r"\(2,\) .* mg\.any or mg\.all"), (lambda: mg.exp(None), TypeError, "not None"),
        (lambda: mg.add(None, 1.0), TypeError, "not None"),
        (lambda: mg.create_graph(lambda: None), TypeError, "create_graph"),
        (lambda: mg.grad(lambda x: x, argnums=np.array([0, 1])), TypeError, "argnums .* array"),
        (lambda: x.sum().backward(inputs=[x]), TypeError, "unexpected keyword argument"),
        (lambda: mg.tensor([1.0]) == "a", TypeError, r"equal\(a: float32 \(1,\), b: str\)"),
        (lambda: mg.tensor([[1.0], [1.0, 2.0]]), ValueError, "inhomogeneous"),
        (lambda: mg.tensor([1.0], dtype=complex), TypeError, "complex128"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            slip()


def test_integers_cannot_require_a_gradient():
    with pytest.raises(TypeError, match="int64"):
        mg.tensor([1, 2], requires_grad=True)


def test_requires_grad_can_be_set_on_leaves_only():
    x = mg.tensor([1.0])
    x.requires_grad = True
    assert isinstance(x.node, Leaf)
    y = mg.add(x, 1.0)
    with pytest.raises(ValueError, match="only be set on leaves"):
        y.requires_grad = False
    x.requires_grad = False
    assert x.node is None


def test_grad_is_checked():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.ones(2, np.float32)
    x.zero_grad()
    assert x.grad is None
    for wrong, error in (([1.0, 1.0], TypeError), (np.ones(2), ValueError), (np.ones(3, np.float32), ValueError)):
        with pytest.raises(error, match="grad must be"):
            x.grad = wrong
    for tensor in (mg.tensor([1.0, 1.0]), x * 2):
        with pytest.raises(ValueError, match="only be set on a leaf"):
            tensor.grad = np.ones(2, np.float32)
    number = mg.tensor(1.0, requires_grad=True)
    number.backward()
    number.grad = number.grad / 2
    assert isinstance(number.grad, np.ndarray)
    number.grad = mg.tensor(3.0)
    number.requires_grad = True  # as it is
    assert isinstance(number.grad, np.ndarray)
    assert number.grad == 3


def test_numpy_would_lose_the_gradient():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"\.detach\(\)"):
        np.asarray(x)
    np.testing.assert_array_equal(np.asarray(x.detach()), [1, 2])
    assert np.asarray(x.detach(), dtype=np.float64).dtype == np.float64
    assert x.detach().__array__(np.float64).dtype == np.float64
    copied = np.array(x.detach())
    copied[0] = 9
    assert x.data[0] == 1


def test_writing_into_a_tracked_tensor_names_put():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"mg\.put"):
        x[0] = 3.0
    y = mg.tensor([1.0, 2.0])
    y[0] = mg.tensor(7.0)
    assert y.data[0] == 7
    table = mg.tensor(np.zeros((2, 2)))
    table[mg.tensor([0, 1]), mg.tensor([1, 1])] = 5.0
    table[mg.tensor(1), 0] = 6.0
    table[mg.tensor([False, True])] += 1
    assert table.data.tolist() == [[0, 5], [7, 6]]
    with mg.no_grad():
        table[0] = x
    assert table.data[0].tolist() == [1, 2]


def test_tracked_options_are_refused():
    slope = mg.tensor(0.5, requires_grad=True)
    with pytest.raises(TypeError, match=r"^leaky_relu: .* negative_slope .*\.detach\(\)"):
        mg.leaky_relu([-1.0], slope)
    assert mg.leaky_relu([-1.0], slope.detach()).item() == -0.5
    with mg.no_grad():
        assert mg.leaky_relu([-1.0], slope).item() == -0.5


def test_writing_a_tracked_tensor_into_a_constant_names_put():
    x, y = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([0.0, 0.0])
    for index, value in ((0, x[0]), (slice(None), x), (slice(None), (x[0], x[1])), (slice(None), [x[0], x[1]])):
        with pytest.raises(TypeError, match=r"lose .*gradient"):
            y[index] = value
    with pytest.raises(TypeError, match=r"mg\.put\(x, index, value\), or .*\.detach\(\)"):
        y[0] = x[0]
    with mg.no_grad():  # nothing is recorded here anyway
        y[0] = x[1]
    y[1] = x.detach()[0]
    assert y.data.tolist() == [2, 1]


def test_a_matrix_becomes_an_ndarray():
    x = mg.tensor(np.ones((2, 2)), requires_grad=True)
    x.data = x.grad = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    assert type(x.data) is type(x.grad) is np.ndarray
    np.testing.assert_array_equal((x * x).data, [[1, 4], [9, 16]])
    array = np.ones((2, 2))
    x.data = array
    assert x.data is array


def test_deepcopy_copies_leaves_with_their_gradient():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.ones(2, np.float32)
    twin = copy.deepcopy(x)
    twin.data[0] = twin.grad[0] = 9
    assert (x.data[0], x.grad[0], twin.requires_grad) == (1, 1, True)
    x.zero_grad()
    (x * x).sum().backward(create_graph=True)
    first, second = copy.deepcopy([x, x])
    assert first is second
    np.testing.assert_array_equal(first.grad, [2, 4])
    assert not copy.deepcopy(mg.tensor([1.0])).requires_grad
    with pytest.raises(TypeError, match="inside a graph"):
        copy.deepcopy(mg.add(x, 1.0))


def test_single_numbers_are_formatted_as_numbers():
    loss = mg.tensor(0.12345, requires_grad=True) * 1
    assert f"{loss:.3f} {loss:8.2e}" == "0.123 1.23e-01"
    assert f"{loss}" == str(loss)
    with pytest.raises(TypeError, match=r"a tensor of shape \(2,\) cannot be formatted with '\.3f'"):
        f"{mg.tensor([1.0, 2.0]):.3f}"


def test_conversions():
    assert [mg.tensor(2.5).item(), float(mg.tensor([2.5])), int(mg.tensor(3)), int(mg.tensor(2.5))] == [2.5, 2.5, 3, 2]
    assert [10, 20, 30][mg.tensor(1)] == 20
    assert bool(mg.tensor(True))
    assert len(mg.tensor([1.0, 2.0])) == 2
    assert repr(mg.tensor([1.0], requires_grad=True) * 2) == "tensor([2.], primitive=multiply)"
    assert repr(mg.tensor(np.ones(1))) == "tensor([1.], dtype=float64)"
    with pytest.raises(ValueError, match="2 entries"):
        mg.tensor([1.0, 2.0]).item()
    with pytest.raises(TypeError, match="0-d"):
        len(mg.tensor(1.0))


def test_no_grad_and_scope_nest_and_end_with_errors():
    x = mg.tensor([1.0], requires_grad=True)
    with mg.scope("a"):
        with mg.no_grad(), mg.scope("b"):
            assert not mg.add(x, 1.0).requires_grad
        with mg.scope("c"):
            assert mg.add(x, 1.0).node.scope == ("a", "c")
    with pytest.raises(RuntimeError), mg.no_grad():
        raise RuntimeError
    assert mg.add(x, 1.0).node.scope == ()
    untracked = mg.no_grad()(lambda: mg.add(x, 1.0))
    assert not untracked().requires_grad


def test_no_grad_is_per_thread():
    x = mg.tensor([1.0], requires_grad=True)
    seen = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mg.add(x, 1.0).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_errors_name_the_primitive_and_what_met():
    ones = [np.ones((1, 1))] * 4
    for call, error, text in (
        (lambda: mg.add(mg.tensor([1.0, 2.0]), mg.tensor([1.0, 2.0, 3.0])), ValueError, r"add\(.* \(2,\), .* \(3,\)\)"),
        (lambda: mg.add(mg.tensor([1.0]), "x"), TypeError, r"add\(a: float32 \(1,\), b: str\)"),
        (lambda: mg.rnn_step(*[np.ones(3)] * 5), ValueError, r"rnn_step\(x: float64 \(3,\).*x must have 2 axes"),
        (lambda: mg.rnn_step(*ones[:3]), TypeError, r"^rnn_step\(\) missing .*'Wh'"),
        (lambda: mg.sum(np.ones(2), 0, True, 3), TypeError, r"^sum\(\) takes .* positional arguments"),
        (lambda: mg.sum(np.ones(2), x=np.ones(2)), TypeError, r"^sum\(\) got multiple values .*'x'"),
        (lambda: mg.rnn_step(*ones, np.ones(1), wrong=1), TypeError, "'wrong'"),
        (lambda: mg.tensor([1], dtype=np.uint8) + 300, ValueError, r"^add\(a: uint8 \(1,\), b: int\): .*300"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            call()


def test_float32_meets_python_numbers_and_float64_arrays():
    x = mg.tensor([1.0], requires_grad=True)
    assert mg.multiply(x, 2.0).dtype == np.float32
    assert mg.multiply(3, x).dtype == np.float32
    y = mg.multiply(x, np.ones(1))
    assert y.dtype == np.float64
    y.backward()
    assert x.grad.dtype == np.float32


def test_declaring_a_primitive():
    @mg.primitive
    def scale(x, factor: float = 2.0):
        """x times a constant factor."""
        return x * factor, (factor,)

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"primitive scale has no VJP"):
        scale(x).backward(np.ones(2))

    @scale.vjp
    def _(g, needs, factor):
        return (g * factor,)

    y = scale(x, factor=3.0)
    assert y.node.params == {"factor": 3.0}
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [3, 3])
    assert scale.__doc__ == "x times a constant factor."
    assert scale.primitive.arguments == ("x",)
    assert repr(scale.primitive) == "<primitive scale(x)>"


@pytest.mark.parametrize("result", [None, np.ones(2), (None, ()), ("text", ()), (np.ones(2), (), ()), 3.0])
@pytest.mark.parametrize("options", [{}, {"broadcasts": True}])
def test_a_forward_that_returns_something_else_is_named(result, options):
    def odd(x):
        return result

    function = mg.primitive(**options)(odd)
    with pytest.raises(TypeError, match=r"^odd\(x: float64 \(2,\)\): the forward must return"):
        function(mg.tensor(np.ones(2), requires_grad=True))


@pytest.mark.parametrize("annotation", ["float", int, "Sequence[np.ndarray]", "str", "ArrayFilter"])
def test_a_forward_without_inputs_is_refused(annotation):
    def cube(x, *, power: float):
        return x**3, (x,)

    cube.__annotations__["x"] = annotation
    with pytest.raises(TypeError, match=r"cube: .* no array inputs.*np\.ndarray"):
        mg.primitive(cube)


def test_pickling_keeps_leaves_and_refuses_graphs():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.grad = np.ones(2, np.float32)
    twin = pickle.loads(pickle.dumps(x))
    np.testing.assert_array_equal(twin.data, x.data)
    np.testing.assert_array_equal(twin.grad, x.grad)
    weight = pickle.loads(pickle.dumps(mg.nn.Linear(2, 3).weight))
    assert isinstance(weight, mg.nn.Parameter)
    assert weight.name == "weight"
    assert not pickle.loads(pickle.dumps(mg.tensor([1, 2]))).requires_grad
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=r"pickling a tensor inside a graph .*\.detach\(\)"):
            pickle.dumps(x * 2, protocol)


def test_unpickled_leaves_are_as_young_as_others():
    """As if the pickle came from a process whose clock is ahead: passes of transforms ended at such leaves."""
    layer = mg.nn.Linear(2, 1, bias=False)
    layer.weight.node.born += 10**9
    layer = pickle.loads(pickle.dumps(layer))
    gradient = mg.grad(lambda layer: layer(np.array([[2.0, 3.0]], np.float32)).sum())(layer)
    np.testing.assert_array_equal(gradient["weight"], [[2], [3]])
    assert layer.weight.node.born < mg.tensor(1.0, requires_grad=True).node.born


def test_inputs_may_be_named():
    @mg.primitive(broadcasts=True)
    def scaled(left, right):
        return left * right, (left, right)

    scaled.vjp(lambda g, needs, left, right: (g * right, g * left))
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    scaled(right=3.0, left=x).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [3, 3])
    assert mg.arctan2(y=1.0, x=mg.tensor(1.0)).item() == pytest.approx(np.pi / 4)
    assert mg.exp(x=0.0).item() == mg.add(a=0.5, b=0.5).item() == 1


def test_inputs_must_come_before_options():
    with pytest.raises(TypeError, match="array inputs must come before options"):

        @mg.primitive
        def wrong(axis: int, x):
            return x, ()


@pytest.mark.parametrize("rule", ["vjp", "vjp_on_tensors", "batched_vjp"])
def test_a_vjp_with_a_default_for_an_option_is_refused(rule):
    """It would run with the default, whatever the call passed."""

    @mg.primitive(broadcasts=True)
    def hyp(a, b, eps=0.0):
        return np.sqrt(a * a + b * b + eps), (a, b)

    declare = getattr(hyp, rule)
    with pytest.raises(TypeError, match=r"hyp: .*default for the option eps.*as a residual"):
        declare(lambda g, needs, a, b, eps=0.0: (g, g))
    with pytest.raises(TypeError, match=r"hyp: .*eps"):
        declare(lambda g, needs, *residuals, eps=0.0: (g, g))
    for fine in (lambda g, needs, a, b, eps: (g, g), lambda g, needs, a, b, many=False: (g, g)):
        declare(fine)
    hyp.reference(lambda a, b, eps=0.0: mg.sqrt(a * a + b * b + eps))
    hyp.cost(lambda shapes, shape, options, eps=0.0: 0)


@pytest.mark.parametrize("broadcasts", [False, True])
def test_outputs_that_are_integers_are_untracked_by_the_short_paths_too(broadcasts):
    @mg.primitive(broadcasts=broadcasts)
    def whole(x):
        return np.floor(x).astype(int), ()

    @mg.primitive(broadcasts=broadcasts)
    def quotient(a, b):
        return (a // b).astype(int), ()

    x = mg.tensor([1.5], requires_grad=True)
    constant = mg.tensor([1.5])
    outputs = [whole(x), quotient(x, x), quotient(x, constant), quotient(constant, x)]
    assert [y.item() for y in outputs] == [1, 1, 1, 1]
    assert not any(y.requires_grad for y in outputs)


def test_a_gradient_that_depends_on_its_leaf_can_be_set():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with mg.create_graph():
        (x * x * x).sum().backward()
    x.grad = x.grad * 2  # 6 x^2
    gradient = x.grad
    x.zero_grad()
    gradient.sum().backward()
    np.testing.assert_array_equal(x.grad, [12, 24])


@pytest.mark.parametrize(
    "annotation",
    [np.ndarray, "np.ndarray", NDArray[np.float32], "ArrayLike", np.ndarray | None, Optional[np.ndarray]],  # noqa: UP045
)
def test_annotated_arrays_are_inputs(annotation):
    def cube(x, scale: float = 1.0):
        return x**3 * scale, (x, scale)

    cube.__annotations__["x"] = annotation
    function = mg.primitive(cube)
    assert (function.primitive.arguments, function.primitive.options) == (("x",), ("scale",))


@pytest.mark.parametrize(
    ("data", "dtype"),
    [(1.0, np.float32), ([1, 2], np.int64), (True, np.bool_), ([], np.float32), (np.float64(1), np.float64),
     ([np.ones(2), np.ones(2)], np.float64), ([0.1, np.float64(0.1)], np.float64)],
)  # fmt: skip
def test_the_dtype_of_a_tensor(data, dtype):
    assert mg.tensor(data).dtype == dtype


def test_tensor_copies():
    source = np.ones(3)
    x = mg.tensor(source)
    source[0] = 5
    assert x.data[0] == 1


def test_tracked_tensors_in_tuples_of_options_are_refused():
    x, w = (mg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    for call in (lambda: mg.clip(x, None, (w[0], w[1])), lambda: mg.clip(x, None, ((w[0], 1.0),))):
        with pytest.raises(TypeError, match="option max is not differentiable"):
            call()
