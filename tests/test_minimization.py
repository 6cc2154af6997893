"""Minimisation by SciPy: every method, nested parameters and modules, and mistakes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.optim import minimization, minimize

FIRST_ORDER = ("cg", "bfgs", "l-bfgs-b", "tnc", "slsqp")
METHODS = (
    *FIRST_ORDER,
    *minimization._WITH_PRODUCTS,
    *minimization._WITH_HESSIAN,
    *minimization._WITHOUT_GRADIENT,
)


def rosenbrock(x):
    """Its minimum is 0, at ones."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("method", [None, *METHODS, "BFGS", "Newton-CG"])
def test_rosenbrock_by_every_method(method):
    # dogleg wants a positive definite Hessian all the way
    start = np.array([1.2, 1.3]) if method == "dogleg" else np.array([-1.0, 0.7])
    found = minimize(rosenbrock, start, method, tol=1e-9, options={"maxfun" if method == "tnc" else "maxiter": 5000})
    rough = method in ("cobyla", "cobyqa", "tnc", "trust-constr", "cg")
    np.testing.assert_allclose(found.x.numpy(), np.ones(2), atol=1e-2 if rough else 1e-5)
    assert found.x.dtype == np.float64
    assert found.fun < 1e-3


@pytest.mark.parametrize("method", ["bfgs", "trust-ncg", "trust-exact", "powell"])
def test_nested_parameters(method):
    start = {"a": (mg.tensor(np.ones(2, np.float32)), None), "b": [np.zeros((2, 1)), 0.5]}

    def f(p):
        (a, nothing), (b, c) = p["a"], p["b"]
        assert nothing is None
        assert a.dtype == b.dtype == c.dtype == np.float64
        return ((a - [1.0, 2.0]) ** 2).sum() + ((b - 3.0) ** 2).sum() + (c * c - 4.0) ** 2

    (a, nothing), (b, c) = (found := minimize(f, start, method, tol=1e-10).x)["a"], found["b"]
    assert [type(found["a"]), type(found["b"]), nothing, a.requires_grad] == [tuple, list, None, False]
    for value, expected in ((a, [1, 2]), (b, [[3], [3]]), (c, 2)):
        np.testing.assert_allclose(value.numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(start["a"][0].numpy(), [1, 1])


@pytest.mark.parametrize("method", ["l-bfgs-b", "newton-cg", "trust-exact", "powell"])
def test_a_modules_parameters_are_written_at_the_end(method):
    X = np.random.default_rng(0).standard_normal((20, 2))
    Y = X @ [[2.0], [-1.0]] + 0.5
    layer = nn.Linear(2, 1, rng=0)
    arrays = [p.data for p in layer.parameters()]
    before = [a.copy() for a in arrays]

    def loss(model):
        assert all(p.dtype == np.float64 for p in model.parameters())
        np.testing.assert_array_equal(arrays[0], before[0])
        return mg.mse_loss(model(X), Y)

    found = minimize(loss, layer, method, tol=1e-12)
    assert all(p.data is a for p, a in zip(layer.parameters(), arrays, strict=True))
    np.testing.assert_allclose(layer.weight.data, [[2], [-1]], atol=1e-4)
    np.testing.assert_allclose(layer.bias.data, [0.5], atol=1e-4)
    assert layer.weight.dtype == np.float32
    assert found.x.keys() == {"weight", "bias"}
    assert all(p.requires_grad and p.grad is None for p in layer.parameters())


def test_bounds_constraints_callback_and_options_pass_through():
    seen = []
    found = minimize(
        lambda p: ((p[0] - 2.0) ** 2).sum() + (p[1] - 2.0) ** 2,
        [np.zeros(2), 0.0],
        bounds=[(0, 1), (0, None), (0, 1.5)],
        callback=lambda x: seen.append(x.copy()),
        options={"maxiter": 50},
    )
    np.testing.assert_allclose(found.x[0].numpy(), [1, 2], atol=1e-6)
    assert found.x[1].item() == pytest.approx(1.5)
    assert seen
    assert seen[-1].shape == (3,)
    sum_is_one = {"type": "eq", "fun": lambda x: x.sum() - 1}
    found = minimize(lambda x: (x * x).sum(), np.array([1.0, 2.0]), constraints=sum_is_one)
    np.testing.assert_allclose(found.x.numpy(), [0.5, 0.5], atol=1e-8)


SHARED = nn.Linear(1, 1, rng=0)
MISTAKES = {
    "integers": (rosenbrock, {"w": np.arange(3)}, None, TypeError, r"must be floating, not int64 \(3,\) in x0\['w'\]"),
    "several numbers": (lambda x: x, np.ones(2), None, ValueError, r"one number, not shape \(2,\)"),
    "several numbers without a gradient": (lambda x: x, np.ones(2), "powell", ValueError, r"not shape \(2,\)"),
    "a float": (lambda x: 1.0, np.ones(2), None, TypeError, "must return a tensor, not float"),
    "no name": (rosenbrock, np.ones(2), print, TypeError, "method must be the name of one of SciPy's methods, not"),
    "nothing": (rosenbrock, [None, np.ones((0, 3))], None, ValueError, "x0 contains no numbers"),
    "empty": (rosenbrock, {}, None, ValueError, "x0 contains no numbers"),
    "twice": (lambda p: p[0].weight.sum(), [SHARED, SHARED], None, ValueError, "a module's parameter twice"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_named(mistake):
    f, x0, method, error, message = MISTAKES[mistake]
    with pytest.raises(error, match=message) as caught:
        minimize(f, x0, method)
    assert str(caught.value).startswith("minimize: ")


def test_without_scipy_the_message_says_how_to_get_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ModuleNotFoundError, match=r"this needs the package scipy: pip install"):
        minimize(rosenbrock, np.ones(2))


def test_within_a_transform_it_is_no_constant():
    def found(a):
        return (mg.optim.minimize(lambda p: ((p - a) ** 2).sum(), np.zeros(2)).x ** 2).sum()

    with pytest.raises(TypeError, match=r"f depends on a tensor that an outer transform differentiates"):
        mg.grad(found)(np.array([1.0, 2.0]))
    assert mg.grad(lambda a: a.sum() * found(a.detach()))(np.array([1.0, 2.0])).numpy() == pytest.approx([5, 5])


@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG", "trust-exact", "Nelder-Mead"])
def test_a_function_may_use_checkpoints(method):
    X = np.random.default_rng(0).standard_normal((8, 2)).astype(np.float32)

    def fitted(call):
        mg.manual_seed(0)
        model = mg.nn.Linear(2, 1)

        def loss(model):
            return mg.mse_loss(call(model, X), X[:, :1] - X[:, 1:])

        return mg.optim.minimize(loss, model, method=method, options={"maxiter": 20}), model

    found, model = fitted(mg.checkpoint)
    expected, plain = fitted(lambda f, *args: f(*args))
    assert found.nfev == expected.nfev
    np.testing.assert_allclose(found.fun, expected.fun, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(model.weight.numpy(), plain.weight.numpy(), rtol=1e-6)
