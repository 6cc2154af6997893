"""Functional transforms."""

from __future__ import annotations

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad as mg
from minigrad import backward
from minigrad.higher_order import NotDifferentiableError
from minigrad.trees import leaves


def test_grad_of_each_argument():
    f = lambda x, y, k=1.0: (x * x * y).sum() * k  # noqa: E731
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    for number, expected in ((0, 2 * x * y), (-2, 2 * x * y), (1, x * x), (-1, x * x), (np.int64(1), x * x)):
        np.testing.assert_allclose(mg.grad(f, argnums=number)(x, y, k=2.0).numpy(), 2 * expected)
        np.testing.assert_allclose(mg.jacobian(f, argnums=number)(x, y).numpy(), expected)
    with pytest.raises(ValueError, match=r"argnums \(-3,\) do not fit 2 arguments"):
        mg.grad(f, argnums=-3)(x, y)
    value, (gx, gy) = mg.value_and_grad(f, argnums=(0, -1))(x, y)
    assert value.item() == (x * x * y).sum()
    np.testing.assert_allclose([gx.numpy(), gy.numpy()], [2 * x * y, x * x])
    assert not gx.requires_grad


def test_zero_where_nothing_depends():
    np.testing.assert_array_equal(mg.grad(lambda x: mg.tensor(1.0))(np.ones(2)).numpy(), [0, 0])
    np.testing.assert_array_equal(mg.jacobian(lambda x: mg.tensor([1.0, 2.0]))(np.ones(3)).numpy(), np.zeros((2, 3)))
    leaf = mg.tensor(1.0, requires_grad=True)
    with mg.create_graph():
        for f in (lambda x: leaf, lambda x: leaf * leaf):
            np.testing.assert_array_equal(mg.grad(f)(np.ones(2)).numpy(), [0, 0])


def test_no_grad_around_a_transform_does_not_stop_it():
    f = lambda x: x * x  # noqa: E731
    with mg.no_grad():
        assert mg.grad(f)(3.0).item() == 6
        assert mg.jacobian(f)(np.ones(1)).item() == 2
        _, pullback = mg.vjp(f, 3.0)
        assert [g.item() for g in pullback(1.0)] == [6]
        assert not (mg.tensor(1.0, requires_grad=True) * 2).requires_grad

    # within the function it still makes constants
    def half(x):
        with mg.no_grad():
            factor = x * 1.0
        return factor * x

    assert mg.grad(half)(3.0).item() == 3


def test_vjp_of_several_outputs_may_be_pulled_repeatedly():
    out, pullback = mg.vjp(lambda x, y: (x * y, x + y), 2.0, 3.0)
    assert [o.item() for o in out] == [6, 5]
    assert [g.item() for g in pullback(1.0, 0.0)] == [3, 2]
    assert [g.item() for g in pullback(0.0, 10.0)] == [10, 10]
    with pytest.raises(ValueError, match="expected one cotangent for each output, 2 in all, not 1"):
        pullback(1.0)


def test_jacobian_of_a_linear_map_is_its_matrix():
    A = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(mg.jacobian(lambda x: mg.tensor(A) @ x)(np.ones(3)).numpy(), A)
    np.testing.assert_array_equal(mg.jacobian(lambda x: mg.tensor(A) @ x, np.int64(0))(np.ones(3)).numpy(), A)
    JA, Jx = mg.jacobian(lambda A, x: A @ x, argnums=[0, 1])(A, np.arange(3.0))
    assert JA.shape == (2, 2, 3)
    np.testing.assert_array_equal(JA.numpy(), np.einsum("ij,k->ijk", np.eye(2), np.arange(3.0)))
    np.testing.assert_array_equal(Jx.numpy(), A)


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"must return one number, not shape \(2,\)"):
        mg.grad(lambda x: x)(np.ones(2))
    with pytest.raises(TypeError, match="must return a tensor, not float"):
        mg.grad(lambda x: 1.0)(np.ones(2))
    with pytest.raises(TypeError, match=r"floating arguments, not int64 \(2,\)"):
        mg.grad(lambda x: x.sum())(np.array([1, 2]))
    with pytest.raises(ValueError, match=r"argnums \(1,\) do not fit 1 arguments"):
        mg.grad(lambda x: x.sum(), argnums=1)(np.ones(2))


def test_derivatives_of_derivatives():
    cube = lambda x: x * x * x  # noqa: E731
    assert mg.grad(mg.grad(cube))(2.0).item() == 12
    assert mg.grad(mg.grad(mg.grad(cube)))(2.0).item() == 6
    assert mg.grad(mg.grad(mg.grad(mg.grad(cube))))(2.0).item() == 0
    # what an inner function takes from the outer one is a constant to it
    assert mg.grad(lambda x: mg.grad(lambda y: x * y * y)(mg.tensor(3.0)))(2.0).item() == 6
    assert mg.grad(lambda x: x * mg.grad(lambda y: x * y)(mg.tensor(3.0)))(2.0).item() == 4
    assert mg.jacobian(lambda x: mg.vjp(lambda y: y * x, 1.0)[0])(np.ones(1)).item() == 1
    # the same tensor inside and outside: d/dx [x d/dx x^2] = d/dx 2 x^2
    assert mg.grad(lambda x: x * mg.grad(lambda y: y * y)(x))(3.0).item() == 12
    # and as a constant besides: d/dx [d/dy x y at y = x] = d/dx x, and d/dy x^2 = 0
    assert mg.grad(lambda x: mg.grad(lambda y: x * y)(x))(3.0).item() == 1
    assert mg.grad(lambda x: x * mg.grad(lambda y: x * x)(x))(3.0).item() == 0


CUBES = lambda x: (x * x * x).sum()  # noqa: E731


@pytest.mark.parametrize(
    "derived",
    [
        lambda p: (mg.grad(CUBES)(p) ** 2).sum(),
        lambda p: mg.value_and_grad(CUBES)(p)[0],
        lambda p: mg.value_and_grad(CUBES)(p)[1].sum(),
        lambda p: mg.vjp(CUBES, p)[0],
        lambda p: mg.vjp(CUBES, p)[1](1.0)[0].sum(),
        lambda p: mg.jacobian(lambda x: x * x)(p).sum(),
        lambda p: mg.jacobian(lambda x: x * x, argnums=(0,))(p)[0].sum(),
        lambda p: mg.grad(lambda x: (x * x * p).sum())(np.array([3.0])).sum(),  # through a closure
        lambda p: mg.grad(lambda x: (x * x * (2 * p)).sum())(np.array([3.0])).sum(),
        lambda p: mg.grad(lambda x, w: (x * x * w).sum())(np.array([3.0]), p * 2).sum(),
    ],
)
def test_derivatives_depend_on_the_leaves_that_they_met(derived):
    """Of f(p) + |f'(p)|^2 the second term was once taken for a constant: a gradient of 12 where 300 is right."""
    p = mg.tensor([2.0], requires_grad=True)
    result = derived(p)
    assert result.requires_grad
    with pytest.raises(TypeError, match=r"mg\.create_graph\(\).*\.detach\(\)"):
        (CUBES(p) + result).backward()
    assert p.grad is None
    (CUBES(p) + derived(p).detach()).backward()
    np.testing.assert_array_equal(p.grad, [12])
    p.zero_grad()
    with mg.create_graph():
        total = derived(p)
    total.backward()
    numeric = mg.numerical_gradient(lambda p: derived(p), p.numpy())
    np.testing.assert_allclose(p.grad, numeric, rtol=1e-5)


def test_results_that_depend_on_leaves_read_like_constants():
    model = mg.nn.Linear(2, 1)
    saliency = mg.grad(lambda x: model(x).sum())(np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(np.asarray(saliency), model.weight.numpy().T)
    np.testing.assert_array_equal(copy.deepcopy(saliency).numpy(), saliency.numpy())
    assert not copy.deepcopy(saliency).requires_grad
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(saliency)).numpy(), saliency.numpy())
    assert mg.grad(lambda x: x * float(saliency[0, 0].detach()))(1.0).item() == saliency.numpy()[0, 0]
    assert "requires_grad" not in repr(saliency)
    saliency[0, 0] = 0
    assert saliency.numpy()[0, 0] == 0
    # A variable is younger than the result, so that nothing is missing; the parameters of a module are not.
    assert mg.grad(lambda x: (x * saliency).sum())(1.0).item() == saliency.numpy().sum()
    with pytest.raises(TypeError, match=r"create_graph"):
        mg.grad(lambda model: (model(np.ones((1, 2), np.float32)) * saliency).sum())(model)


def test_the_graph_outside_costs_nothing(monkeypatch):
    """A loop of inner gradients took quadratic time, since each one sorted the history of the loop."""
    sizes, sort = [], backward.topological_order

    def recording(nodes, parents):
        order = sort(nodes, parents)
        sizes.append(len(order.nodes))
        return order

    def largest_inner_graph(steps):
        def trajectory(x):
            for _ in range(steps):
                x = x - 0.1 * mg.grad(lambda y, x=x: mg.sin(y) * x)(x)
            return x

        sizes.clear()
        mg.grad(trajectory)(1.0)
        return max(sizes[:-1])  # the last is the outer pass

    monkeypatch.setattr(backward, "topological_order", recording)
    assert largest_inner_graph(20) == largest_inner_graph(5)


def test_a_tensor_that_leaks_from_a_transform_raises_when_a_pass_reaches_it():
    leaked = []

    def f(z):
        leaked.append(z * 3)
        return z * z

    for x in (2.0, mg.tensor(2.0, requires_grad=True)):
        for transform in (mg.grad, mg.value_and_grad, mg.jacobian):
            leaked.clear()
            transform(f)(x)
            with pytest.raises(TypeError, match="stored elsewhere"):
                leaked[0].backward()
            with pytest.raises(TypeError, match="stored elsewhere"):
                (leaked[0] * mg.tensor(2.0, requires_grad=True)).backward(create_graph=True)
            assert leaked[0].detach().item() == 6
    leaked.clear()
    _, pullback = mg.vjp(f, mg.tensor(2.0, requires_grad=True))
    with pytest.raises(TypeError, match="stored elsewhere"):
        leaked[0].backward()
    assert pullback(1.0)[0].item() == 4
    leaked.clear()
    x = mg.tensor(2.0, requires_grad=True)
    with mg.create_graph():  # where nothing is lost
        mg.grad(f)(x)
    leaked[0].backward()
    assert x.grad == 3


def raising(z):
    raise ZeroDivisionError


@pytest.mark.parametrize("result", [raising, lambda z: 2.0, lambda z: mg.stack([z, z])])
@pytest.mark.parametrize("transform", [mg.grad, lambda f: lambda x: mg.hvp(f, [x], [1.0])])
def test_a_tensor_that_leaks_from_a_transform_that_fails_raises_too(transform, result):
    leaked = []

    def f(z):
        leaked.append(z * 3)
        return result(z)

    with pytest.raises((ZeroDivisionError, TypeError, ValueError)):
        transform(f)(mg.tensor(2.0, requires_grad=True))
    with pytest.raises(TypeError, match="stored elsewhere"):
        leaked[0].backward()


def filled(t):
    matrix = np.eye(2)
    matrix[1, 1] = mg.cos(t)
    return (matrix * t).sum()


@pytest.mark.parametrize(
    "f", [filled, lambda t: t * math.tanh(t), lambda t: t * int(t), lambda t: t if t else -t, lambda t: t * float(t)]
)
@pytest.mark.parametrize(
    "transform", [mg.grad, mg.value_and_grad, mg.hessian, mg.jacobian, lambda f: lambda x: mg.jvp(f, [x], [1.0])]
)
def test_a_plain_number_of_a_tracked_tensor_is_refused_in_a_transform(transform, f):
    with pytest.raises((TypeError, ValueError)) as caught:
        transform(f)(1.3)
    error = caught.value
    assert "would lose the gradient" in str(error.__cause__ or error)  # NumPy chains the error
    x = mg.tensor(1.3, requires_grad=True)
    f(x).backward()  # where float(loss) is a habit
    assert mg.grad(lambda t: t * t.item() if t > 0 else t)(2.0).item() == 2
    assert mg.grad(lambda t: t * float(x.detach()))(2.0).item() == pytest.approx(1.3)


def test_what_was_made_within_create_graph_leaves_a_graph_later_too():
    p = mg.tensor(2.0, requires_grad=True)
    with mg.create_graph():
        _, pullback = mg.vjp(lambda x: x**3, p)
        _, push = mg.linearize(lambda x: x**3, p)
    for derivative in (pullback(1.0)[0], push(1.0)):
        derivative.backward()
        assert p.grad == 12
        p.zero_grad()


def test_a_jacobian_within_create_graph_is_the_usual_one():
    rng = np.random.default_rng(0)
    p, q = (mg.tensor(rng.standard_normal((2, 3)), requires_grad=True) for _ in range(2))
    for f in (lambda x, y: x * y, lambda x, y: (x * y)[:0], lambda x, y: {"sum": x.sum(1), "one": y[0, 0]}):
        usual = leaves(mg.jacobian(f, (0, 1))(p, q))
        with mg.create_graph():
            found = leaves(mg.jacobian(f, (0, 1))(p, q))
        for (_, mine), (_, theirs) in zip(found, usual, strict=True):
            assert isinstance(mine, mg.Tensor)
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine.detach().numpy(), theirs.detach().numpy(), strict=True)
    second = mg.jacobian(mg.jacobian(lambda x: (x * x * x).sum()))(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(second.numpy(), np.diag([6, 12]))


def test_cotangents_of_an_output_that_is_there_twice_are_summed():
    _, pullback = mg.vjp(lambda x: ((y := x * 1.0), y), np.ones(1))
    assert [g.item() for g in pullback(np.ones(1), np.full(1, 2.0))] == [3]


def test_a_transform_leaves_the_residuals_of_other_graphs_alone():
    w = mg.tensor(2.0, requires_grad=True)
    h = w * w
    assert mg.grad(lambda x: x * h)(3.0).item() == 4
    h.backward()
    assert w.grad == 4


def test_a_graph_that_another_pass_freed_may_be_a_constant_of_a_transform():
    w = mg.tensor(2.0, requires_grad=True)
    h = w * w
    h.backward()
    assert mg.grad(lambda x: x * h)(3.0).item() == 4


def test_a_map_made_without_a_graph_leaves_none_later():
    x = mg.tensor(2.0, requires_grad=True)
    cube = lambda x: x * x * x  # noqa: E731
    _, pullback = mg.vjp(cube, x)
    _, push = mg.linearize(cube, x)
    with mg.create_graph():
        for derivative in (*pullback(1.0), push(1.0)):
            assert derivative.item() == 12
            with pytest.raises(TypeError, match=r"call the transform within mg\.create_graph"):
                derivative.backward()


def test_a_parameter_name_that_looks_like_an_entry_is_refused():
    class Point:
        w = mg.tensor(2.0, requires_grad=True)

    mg.trees.register_tree(Point, lambda point: {"w[0]": point.w})
    with pytest.raises(ValueError, match=r"Point: .*'w\[0\]'"):
        mg.grad(lambda point: point.w * 3.0)(Point())


def test_a_map_made_without_a_graph_is_differentiable_in_its_own_argument():
    x = mg.tensor(np.array([1.0, 2.0]), requires_grad=True)
    _, pullback = mg.vjp(mg.sin, x)
    found = mg.jacobian(lambda u: pullback(u)[0])(np.array([1.0, 3.0]))
    np.testing.assert_allclose(found.numpy(), np.diag(np.cos(x.data)))


@pytest.mark.parametrize("parameter", [mg.tensor(2.0), np.ones(1), mg.tensor(2.0, requires_grad=True) * 1])
def test_parameters_of_registered_objects_are_leaves(parameter):
    class Fast:
        w = parameter

    mg.trees.register_tree(Fast, lambda fast: {"w": fast.w})
    for transform in (mg.grad, mg.jacobian):
        with pytest.raises(TypeError, match=r"argument 0\.w must be a tensor made with requires_grad=True"):
            transform(lambda fast: (fast.w * fast.w).sum())(Fast())


@pytest.mark.parametrize("result", [lambda g: g, lambda g: (), lambda g: (g, g), lambda g: (None,)])
def test_a_jacobian_refuses_a_vjp_of_a_wrong_form(result):
    doubled = mg.primitive(lambda x: (x * 2, ()))
    doubled.vjp(lambda g, needs: result(g))
    with pytest.raises((TypeError, ValueError), match=r"the VJP of"):
        mg.jacobian(doubled)(np.ones(3))


def test_results_do_not_depend_on_variables_of_inner_transforms():
    """Otherwise the graph of a training loop would grow with every step."""
    step = mg.grad(lambda a: mg.grad(lambda x: mg.tanh(a * x))(0.5) ** 2)
    a = mg.tensor(2.0)
    for _ in range(3):
        a = a - 0.01 * step(a)
    assert a.node is None
    assert mg.jvp(lambda a: mg.jvp(lambda x: a * x * x, [3.0], [1.0])[1], [2.0], [1.0])[1].item() == 6


WIDE = np.random.default_rng(1).standard_normal((3, 400))


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: mg.tanh(x @ WIDE) * y.sum(),
        lambda x, y: {"sum": (x * x).sum(), "row": [mg.exp(y), x[:0], x.argmax()]},
        lambda x, y: mg.tensor(np.ones(2)),
        lambda x, y: mg.sin(x)[:, None] * mg.gelu(y),
        lambda x, y: mg.cumprod(x) @ WIDE,
    ],
)
@pytest.mark.parametrize("argnums", [0, (1, 0)])
def test_a_jacobian_is_the_same_in_both_modes(f, argnums):
    x, y = np.array([0.3, -1.2, 2.0]), mg.tensor([[0.5, 1.5]], dtype="float32", requires_grad=True)
    with mg.create_graph():
        differentiable = leaves(mg.jacobian(f, argnums, mode="forward")(x, y))
    modes = [leaves(mg.jacobian(f, argnums, mode=mode)(x, y)) for mode in ("reverse", "forward", None)]
    for (path, expected), *others in zip(*modes, differentiable, strict=True):
        for other_path, found in others:
            assert (other_path, found.shape, found.dtype) == (path, expected.shape, expected.dtype)
            np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-6, atol=1e-7)


def test_a_jacobian_of_a_jacobian_in_forward_mode():
    third = mg.jacobian(mg.jacobian(mg.jacobian(lambda x: x**3, mode="forward"), mode="forward"))(np.ones(2))
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 0, 0] = expected[1, 1, 1, 1] = 6
    np.testing.assert_array_equal(third, expected)


def test_the_mode_of_a_jacobian_depends_on_the_shapes():
    calls = []

    @mg.primitive(residuals=("x",))
    def spread(x):
        return np.repeat(x, 1000), (x,)

    @spread.vjp
    def _(g, needs, x):
        calls.append(type(g))
        return (g.reshape(x.size, 1000).sum(1),)

    mg.jacobian(spread)(np.ones(2))
    assert mg.Tensor in calls  # a graph of the VJP, and not 2,000 rows
    assert len(calls) < 10

    @mg.primitive
    def opaque(x):
        return np.repeat(x, 1000), (x.copy(),)

    opaque.vjp(lambda g, needs, x: (g.reshape(x.size, 1000).sum(1),))
    np.testing.assert_array_equal(mg.jacobian(opaque)(np.ones(1)), np.ones((1000, 1)))  # its VJP has no derivative
    with pytest.raises(TypeError, match="no derivative of its derivative"):
        mg.jacobian(opaque, mode="forward")(np.ones(1))
    with pytest.raises(ValueError, match="mode must be 'forward'"):
        mg.jacobian(spread, mode="backward")


def test_a_broken_rule_on_tensors_is_an_error_and_does_not_change_the_mode():
    @mg.primitive
    def spread(x):
        return np.repeat(x, 1000), (x.size,)

    @spread.vjp
    def _(g, needs, n):
        return (g.reshape(n, 1000).sum(1),)

    @spread.vjp_on_tensors
    def _(g, needs, n):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        mg.jacobian(spread)(np.ones(1))


def test_a_vjp_that_fails_on_tensors_changes_the_mode():
    @mg.primitive(residuals=("x",))
    def spread(x):
        return np.repeat(x, 1000), (x,)

    @spread.vjp
    def _(g, needs, x):
        return (np.add.reduceat(g, np.arange(0, g.size, 1000)),)

    np.testing.assert_array_equal(mg.jacobian(spread)(np.ones(1)), np.ones((1000, 1)))
    with pytest.raises(NotDifferentiableError, match=r"add\.reduceat"):
        mg.jacobian(spread, mode="forward")(np.ones(1))


def test_nodes_outside_the_function_do_not_limit_the_batches_of_a_jacobian():
    rows = []

    @mg.primitive(entrywise=True)
    def double(x):
        return 2 * x, ()

    @double.vjp
    def _(g, needs):
        rows.append(len(g))
        return (2 * g,)

    outer = mg.tensor(np.zeros(2**22), requires_grad=True).sum()
    mg.jacobian(lambda x: double(x) + outer)(np.ones(3))
    assert rows == [3]


def test_a_transform_in_a_thread_within_a_function_is_refused():
    """Contexts do not reach other threads, so the inner transform does not know of the outer one."""

    def cube_gradient(x):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(mg.grad(lambda y: y**3), x).result()

    with pytest.raises(TypeError, match="computed without a graph"):
        mg.grad(cube_gradient)(2.0)


def test_what_is_computed_of_a_result_can_be_read_too():
    """A saliency map, after some arithmetic."""
    layer = mg.nn.Linear(3, 1)
    saliency = mg.grad(lambda x: layer(x).sum())(np.ones((2, 3)))
    computed = np.abs(saliency) * 2 - 1
    np.testing.assert_array_equal(np.asarray(computed), 2 * np.abs(saliency.data) - 1)
    np.testing.assert_array_equal(np.mean([computed[0], computed[1]], axis=0), computed.data.mean(0))
    with pytest.raises(TypeError, match="computed without a graph"):
        computed.sum().backward()
    with pytest.raises(TypeError, match="would lose this tensor's gradient"):
        np.asarray(computed * layer.weight.T)


def test_a_pass_that_leaves_a_graph_copies_its_seed():
    x, seed = mg.tensor([1.0, 2.0], requires_grad=True), np.ones(2, np.float32)
    (x * x).backward(seed, create_graph=True)
    gradient, x.grad = x.grad, None
    seed *= 5
    (gradient * gradient).sum().backward()
    np.testing.assert_array_equal(x.grad, [8, 16])


def test_copying_a_tensor_inside_a_graph_is_refused_by_that_name():
    with pytest.raises(TypeError, match="copying"):
        copy.copy(mg.tensor([1.0], requires_grad=True) * 2)
