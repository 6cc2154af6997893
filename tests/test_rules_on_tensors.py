"""Passes that leave a graph: who asks for one, what calls keep for it, and what it asks of primitives."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import ops
from minigrad.higher_order import _may_depend

# --- who asks, and who does not ----------------------------------------------------------------------


def penalty_by_grad(W, x):
    gradient = mg.grad(lambda x: mg.tanh(x @ W).sum())(x)
    return (gradient * gradient).sum()


def penalty_by_backward(W, x):
    x = mg.tensor(x, requires_grad=True)
    mg.tanh(x @ W).sum().backward()
    W.zero_grad()
    return (x.grad * x.grad).sum()


@pytest.mark.parametrize("penalty", [penalty_by_grad, penalty_by_backward])
def test_a_gradient_penalty_reaches_the_parameters(penalty):
    W = mg.tensor(np.sin(np.arange(6.0)).reshape(3, 2), requires_grad=True)
    x = np.cos(np.arange(6.0)).reshape(2, 3)
    with mg.create_graph():
        total = penalty(W, x)
    total.backward()
    numeric = mg.numerical_gradient(lambda W: penalty_by_grad(W, x), W.data)
    np.testing.assert_allclose(W.grad, numeric, rtol=1e-6, atol=1e-9)


def test_gradients_add_up_whether_they_are_tensors_or_arrays():
    x = mg.tensor([3.0], np.float64, requires_grad=True)
    for create_graph, kind in ((False, np.ndarray), (True, mg.Tensor), (False, np.ndarray)):
        (x * x).sum().backward(create_graph=create_graph)
        assert isinstance(x.grad, kind)
    np.testing.assert_array_equal(x.grad, [18])
    x.zero_grad()
    (x * x).sum().backward(create_graph=True)
    mg.optim.clip_grad_norm([x], 1.0)
    mg.optim.SGD([x], lr=0.5).step()
    np.testing.assert_allclose(x.data, [2.5], rtol=1e-6)


def test_backward_within_a_transform_leaves_a_graph():
    def slope(x):
        w = mg.tensor(2.0, requires_grad=True)
        (x * w * w).backward()
        return w.grad

    assert mg.grad(slope)(3.0).item() == 4


def test_a_graph_depends_on_the_cotangent_that_it_began_with():
    x, u = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0], requires_grad=True)
    (x * x).backward(u, create_graph=True)
    x.grad.sum().backward()
    np.testing.assert_array_equal(u.grad, [2, 4])
    for cotangent in (np.array([3.0, 4.0]), mg.tensor([3.0, 4.0], np.float64), mg.tensor([3, 4])):
        x.zero_grad()
        x.backward(cotangent, create_graph=True)
        assert isinstance(x.grad, mg.Tensor)
        assert x.grad.dtype == np.float32
        np.testing.assert_array_equal(x.grad.numpy(), [3, 4])


def test_passes_that_leave_a_graph_add_up_within_no_grad_too():
    x = mg.tensor([2.0], requires_grad=True)
    y = (x * x * x).sum()
    with mg.no_grad():
        y.backward(create_graph=True)
        y.backward(create_graph=True)
    total = x.grad
    x.zero_grad()
    total.backward()
    np.testing.assert_array_equal(x.grad, [2 * 12])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, True), (np.float32(1), True), (np.ones(1), True), (1j, True), (object(), True), ([1, [2.0]], True),
        ({"a": 1, "b": (2.0,)}, True), (slice(1.0, None), True),
        (1, False), (True, False), ("word", False), (None, False), (Ellipsis, False), (np.int8(1), False),
        (np.dtype(float), False), (np.float64, False), (np.array(["word"]), False), ([1, (None, "word")], False),
        ({1.0: 2}, False), (slice(1, None, 2), False), ((), False), ({}, False),
    ],
)  # fmt: skip
def test_what_a_residual_of_unknown_origin_may_depend_on(value, expected):
    assert bool(_may_depend((3, value))) is expected


@pytest.fixture
def sloped():
    """A primitive k x^3 that keeps its slope, which is derived, so that its reference is differentiated."""

    @mg.primitive(residuals=("derived",))
    def sloped_cube(x, k):
        return k * x**3, (3 * k * x**2,)

    @sloped_cube.vjp
    def _(g, needs, slope):
        return (g * slope, None)

    @sloped_cube.reference
    def _(x, k):
        return k * x * x * x

    return sloped_cube


def test_inputs_are_kept_only_for_a_reference_that_may_need_them(sloped):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    assert not hasattr((x * x).node, "inputs")
    y = sloped(x, 2.0)
    assert y.node.inputs[0] is x.data
    y.sum().backward(create_graph=True)
    (x.grad * x.grad).sum().backward()
    y.sum().backward()
    assert y.node.inputs == ()  # freed with the residuals


def test_an_input_that_was_written_into_is_named(sloped):
    x, k = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 3.0])
    with mg.create_graph():
        y = sloped(x, k)
    k[0] = 4.0
    with pytest.raises(ValueError, match=r"sloped_cube saved float32 \(2,\) .* overwritten"):
        y.sum().backward(create_graph=True)


def test_a_primitive_that_does_not_say_what_its_residuals_are_is_named():
    silent_cube = declared("silent_cube", lambda x: (x**3, (x,)), lambda g, needs, x: (3 * x**2 * g,))
    assert mg.grad(silent_cube)(2.0).item() == 12
    with pytest.raises(TypeError, match=r"silent_cube has no derivative .*residuals"):
        mg.grad(mg.grad(silent_cube))(2.0)
    silent_cube.reference(lambda x: x * x * x)
    assert mg.grad(mg.grad(silent_cube))(2.0).item() == 12


@pytest.mark.parametrize(
    ("residuals", "error", "message"),
    [
        ("x", TypeError, r"residuals must be a tuple of names"),
        (("y",), ValueError, r"'y' is none of x, 'output', 'output 1', …, 'hidden 1', …, 'constant', 'derived'"),
    ],
)
def test_wrong_declarations_are_named(residuals, error, message):
    with pytest.raises(error, match=message):

        @mg.primitive(residuals=residuals)
        def cube(x):
            return x**3, (x,)


@pytest.fixture
def giving():
    """A primitive x, y -> x y of which each gradient is what a function makes of g times the other."""

    @mg.primitive(residuals=("x", "y"), broadcasts=True)
    def giving(x, y):
        return x * y, (x, y)

    def change(function):
        giving.vjp(lambda g, needs, x, y: function((g * y, g * x)))
        return giving

    return change


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda found: (None, found[1]), ValueError, r"VJP of giving returned None for x"),
        (lambda found: (found[0].sum((0, 1)), found[1]), ValueError, r"returned .* for x, which is float32 \(2,\)"),
        (lambda found: found[:1], TypeError, r"VJP of giving returned 1 entries: it must return 2"),
        (list, TypeError, r"VJP of giving must return a tuple of cotangents, not list"),
    ],
)
def test_what_a_rule_on_tensors_gives_is_looked_at(giving, function, error, message):
    x, y = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor(np.ones((3, 2), np.float32), requires_grad=True)
    with pytest.raises(error, match=message):
        giving(function)(x, y).sum().backward(create_graph=True)


def test_what_a_rule_on_tensors_gives_is_summed_and_cast(giving):
    f = giving(lambda found: tuple(t.astype(np.float64) for t in found))
    x = mg.tensor([[1.0], [2.0]], requires_grad=True)
    y = mg.tensor(np.arange(12, dtype=np.float32).reshape(2, 2, 3), requires_grad=True)
    f(x, y).sum().backward(create_graph=True)
    assert x.grad.dtype == y.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.detach().numpy(), [[3 + 21], [12 + 30]])
    f = giving(lambda found: (np.float32(2.0), found[1]))  # a number of NumPy's, for an input of no axes
    x = mg.tensor(1.0, requires_grad=True)
    f(x, np.float32(2.0)).backward(create_graph=True)
    assert isinstance(x.grad.data, np.ndarray)
    assert x.grad.item() == 2


def test_a_reference_of_several_outputs_of_which_one_is_used():
    """y is behind the other output, so there its gradient is 0."""

    def rule(g, needs, dx, dy):
        return tuple(d if c is None else c * d for c, d in zip(g, (dx, dy), strict=True))

    pair = declared("pair", lambda x, y: ((x**3, y**3), (3 * x * x, 3 * y * y)), rule, residuals=("derived", "derived"))
    pair.reference(lambda x, y: (x * x * x, y * y * y))
    for used in (0, 1):
        second = mg.hessian(lambda xy, used=used: pair(xy[0], xy[1])[used])(np.array([2.0, 3.0])).numpy()
        np.testing.assert_array_equal(second, np.diag([12.0 * (used == 0), 18.0 * (used == 1)]))


def test_residuals_that_are_the_last_of_any_number_of_inputs():
    """x y z, with x by itself."""

    def volume(x, *others):
        return x * others[0] * others[1], (x, list(others))

    def rule(g, needs, x, others):
        y, z = others
        return tuple(f if need else None for f, need in zip((g * y * z, g * x * z, g * x * y), needs, strict=True))

    volume = declared("volume", volume, rule, residuals=("x", "others"))
    second = mg.hessian(lambda *xyz: volume(*xyz), (0, 1, 2))(*map(np.array, (2.0, 3.0, 5.0)))
    assert [[entry.item() for entry in row] for row in second] == [[0, 5, 3], [5, 0, 2], [3, 2, 0]]
    constant = mg.hessian(lambda y: volume(2.0, y[0], y[1]))(np.array([3.0, 5.0]))
    np.testing.assert_array_equal(constant.numpy(), [[0, 2], [2, 0]])


def test_freed_and_overwritten_residuals_are_refused():
    x, c, cell = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0]), mg.tensor(np.ones((1, 1)))
    y = (x * x).sum()
    y.backward()
    with pytest.raises(ValueError, match="sum were freed"):
        y.backward(create_graph=True)
    y = (x * c).sum()
    with mg.create_graph():
        h, _ = ops.lstm_cell(mg.tensor(np.zeros((1, 4)), requires_grad=True), cell)
    c[0] = cell[0] = 4.0
    with pytest.raises(ValueError, match=r"multiply saved .*overwritten since"):
        y.backward(create_graph=True)
    with pytest.raises(ValueError, match=r"overwritten since"):
        h.sum().backward(create_graph=True)


def test_results_are_constants_where_nobody_can_differentiate_them():
    x, p = mg.tensor([2.0]), mg.tensor([2.0], requires_grad=True)
    f = lambda x: (x**3).sum()  # noqa: E731
    with mg.create_graph():
        found = [mg.grad(f)(x), *mg.value_and_grad(f)(x), mg.vjp(f, x)[0], *mg.jvp(f, [x], [x]), mg.hessian(f)(x)]
    with mg.no_grad(), mg.create_graph():
        found.append(mg.grad(f)(p))
    assert found[-1].item() == 12
    assert not any(t.requires_grad for t in found)


def test_a_pullback_of_a_tracked_cotangent_depends_on_it():
    _, pullback = mg.vjp(lambda x: x * x, 3.0)
    u = mg.tensor(1.0, requires_grad=True)
    with mg.create_graph():
        (pulled,) = pullback(u)
    pulled.backward()
    assert u.grad == 6
    with pytest.raises(TypeError, match="without a graph"):
        pullback(u)[0].backward()
    assert mg.grad(lambda u: pullback(u)[0])(mg.tensor(1.0)).item() == 6


# --- what was wrong once -----------------------------------------------------------------------------


def declared(name, forward, vjp, on_tensors=None, **options):
    """A primitive of a test, which the registry forgets again."""
    forward.__name__ = name
    function = mg.primitive(**options)(forward) if options else mg.primitive(forward)
    function.vjp(vjp)
    if on_tensors is not None:
        function.vjp_on_tensors(on_tensors)
    return function


def test_a_residual_without_a_name_is_no_constant():
    """Once x sigmoid(x), which named x alone, had a second derivative of 0.235 for 0.441."""
    logistic = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    rule = lambda g, needs, x, s: (g * (s + x * s * (1 - s)),)  # noqa: E731
    short = declared("short", lambda x: (x * logistic(x), (x, logistic(x))), rule, residuals=("x",))
    for _ in range(2):
        with pytest.raises(TypeError, match=r"short has no derivative .*residuals"):
            mg.grad(mg.grad(short))(0.5)
        short.reference(lambda x: x * mg.sigmoid(x))  # for which no inputs are kept


def test_more_names_than_residuals_are_refused():
    long = declared("long", lambda x: (x * x, (x,)), lambda g, needs, x: (2 * x * g,), residuals=("x", "output"))
    with pytest.raises(TypeError, match=r"long declares 2 residuals, .* returned 1"):
        mg.grad(mg.grad(long))(2.0)


@pytest.mark.parametrize("names", [("hidden 2", "hidden 1"), ("hidden 1", "hidden 3"), ("hidden 0",)])
def test_hidden_outputs_are_numbered_in_order(names):
    with pytest.raises(ValueError, match="hidden"):
        declared("misnumbered", lambda x: (x, (x,)), lambda g, needs, x: (g,), residuals=names)


def test_sums_of_halves_are_single_in_every_pass():
    """3,000 uses of one input: sums of ones stop at 2,048 in half precision."""
    many = lambda x: sum((x for _ in range(2999)), x)  # noqa: E731
    x = mg.tensor(np.ones(1, np.float16), requires_grad=True)
    many(x).backward(create_graph=True)
    assert x.grad.item() == 3000
    x.zero_grad()
    mg.checkpoint(many, x).backward()
    assert x.grad.item() == 3000
    assert mg.grad(lambda x: mg.grad(lambda x: many(x).sum())(x).sum() + (x * 3000).sum())(x.detach()).item() == 3000
    assert mg.jacobian(many)(x.detach()).item() == 3000


def test_a_recorded_gradient_is_nobody_elses():
    a, b = (mg.tensor(np.ones(3), requires_grad=True) for _ in range(2))
    g = np.full(3, 2.0)
    (a + b).backward(g, create_graph=True)
    a.grad[0] = 5.0
    np.testing.assert_array_equal(b.grad.numpy(), [2, 2, 2])
    np.testing.assert_array_equal(g, [2, 2, 2])


def test_no_grad_makes_constants_of_both_kinds_of_pass():
    x = mg.tensor([2.0], requires_grad=True)
    y = (x * x * x).sum()
    with mg.create_graph(), mg.no_grad():
        y.backward(retain_graph=True)
        assert isinstance(x.grad, np.ndarray)


def test_derived_residuals_without_a_reference_ask_for_one():
    lost = declared("lost", lambda x: (x * x, (2 * x,)), lambda g, needs, y: (g * y,), residuals=("derived",))
    with pytest.raises(TypeError, match=r"lost has no derivative .* reference or vjp_on_"):
        mg.grad(mg.grad(lost))(2.0)


def test_an_argument_is_named_once():
    with pytest.raises(ValueError, match=r"argnums \(0, 0\) contain an argument twice"):
        mg.grad(lambda a, b: (a * b).sum(), argnums=(0, 0))(np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=r"argnums \(0, -2\) contain an argument twice"):
        mg.grad(lambda a, b: (a * b).sum(), argnums=(0, -2))(np.ones(2), np.ones(2))


def test_outputs_of_integers_among_the_residuals_are_constants():
    def top(x):
        place = np.argmax(x)
        return (x[place], place), (place, len(x))

    def rule(g, needs, place, size):
        assert not isinstance(place, mg.Tensor)
        return (g[0] * (np.arange(size) == place),)

    top = declared("top", top, rule, residuals=("output 1", "constant"))
    found = mg.grad(lambda x: (mg.grad(lambda x: top(x)[0] ** 3)(x) ** 2).sum())(np.array([1.0, 2.0, 0.5]))
    np.testing.assert_allclose(found.numpy(), [0, 2 * 12 * 12, 0])  # of (3 x^2)^2, 36 x^3


def test_numbers_taken_out_of_tensors_in_lists_in_a_rule_are_refused():
    def rule(g, needs, x):
        return ((2 * x.tolist() if listed else 2 * x) * g,)

    square = declared("square", lambda x: (x * x, (x,)), rule, residuals=("x",))
    listed = False
    assert mg.grad(mg.grad(square))(3.0).item() == 2
    listed = True
    with pytest.raises(TypeError, match=r"took a Python number out of a tracked tensor"):
        mg.grad(mg.grad(square))(3.0)
    assert mg.tensor([1.0, 2.0], requires_grad=True).tolist() == [1, 2]


def test_a_tracked_gradient_of_another_dtype_keeps_its_graph():
    x, v = mg.tensor(3.0, requires_grad=True), mg.tensor(np.float64(1), requires_grad=True)
    with mg.create_graph():
        (x * x).backward(v)
        (x.grad * 1).backward()
    assert v.grad == 6


def test_a_cotangent_in_half_precision_of_a_broadcast_single_is_summed_in_single():
    @mg.primitive(broadcasts=True, residuals=())
    def halved(a, b):
        return (a + b).astype(np.float16), ()

    halved.vjp(lambda g, needs: (g, g))
    a = mg.tensor(np.float32(0), requires_grad=True)
    with mg.create_graph():
        halved(a, np.zeros(70_000, np.float32)).backward(np.ones(70_000, np.float16))
    assert a.grad.item() == 70_000


def test_floats_in_an_object_array_are_no_constants():
    @mg.primitive
    def square(x):
        held = np.empty(1, object)
        held[0] = x
        return x**2, (held,)

    square.vjp(lambda g, needs, held: (2 * held[0] * g,))
    assert mg.grad(square)(3.0).item() == 6
    with pytest.raises(TypeError, match="no derivative of its derivative"):
        mg.grad(mg.grad(square))(3.0)
