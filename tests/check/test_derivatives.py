"""The gradient checker finds wrong VJPs and says where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.check import GradcheckError


def cube(factor=3.0, entry=None):
    @mg.primitive
    def cube(base, other):
        return base**3 + other, (base,)

    @cube.vjp
    def _(g, needs, base):
        slope = factor * base**2 * g
        if entry is not None:
            slope[entry] += 0.001
        return slope, g

    return cube


X = np.array([[0.5, -1.5], [1.0, 2.0]])


def test_right_gradients_pass():
    assert mg.gradcheck(cube(), [X, X])
    assert mg.gradcheck(lambda x: cube()(x, X), X)
    assert mg.gradcheck(cube(), [X.astype(np.float32), X.astype(np.float32)])
    assert mg.gradcheck(cube(), (X, X), entries=False)


def test_the_error_names_primitive_argument_and_worst_entry():
    with pytest.raises(GradcheckError, match=r"gradcheck of cube: argument 0 \(base\) at entry \[1, 0\]"):
        mg.gradcheck(cube(entry=(1, 0)), [X, X])
    with pytest.raises(GradcheckError, match=r"cube: argument 0 .*.*gives [-0-9.]+, central differences"):
        mg.gradcheck(cube(factor=3.001), [X, X])


def test_tolerances_are_keyed_by_dtype():
    with pytest.raises(GradcheckError):
        mg.gradcheck(cube(factor=3.0001), [X, X])
    assert mg.gradcheck(cube(factor=3.0001), [X.astype(np.float32), X.astype(np.float32)])


def test_numerical_gradient():
    np.testing.assert_allclose(mg.numerical_gradient(lambda x: (x * x).sum(), X), 2 * X, rtol=1e-9)
    u = np.ones((2, 2))
    np.testing.assert_allclose(mg.numerical_gradient(lambda x: x * x, X, u), 2 * X, rtol=1e-9)
    with pytest.raises(ValueError, match="needs a cotangent"):
        mg.numerical_gradient(lambda x: x, X)
    with pytest.raises(ValueError, match=r"cotangent \(3,\) does not fit the output \(2, 2\)"):
        mg.numerical_gradient(lambda x: x, X, np.ones(3))


# --- at every scale ------------------------------------------------------------------------------------


def unary(forward: Any, slope: Any) -> Any:
    """A function of one tensor with a VJP of its own, beside the registry."""

    @mg.primitive
    def function(x):
        return forward(x), (x,)

    @function.vjp
    def _(g, needs, x):
        return (slope(x) * g,)

    return function


TWO = np.array([0.7, -1.3])

# What it computes, its derivative, and where.
RIGHT = {
    "1e-9 sin": (lambda x: 1e-9 * np.sin(x), lambda x: 1e-9 * np.cos(x), TWO),
    "1e-30 sin": (lambda x: 1e-30 * np.sin(x), lambda x: 1e-30 * np.cos(x), TWO),
    "1e30 sin": (lambda x: 1e30 * np.sin(x), lambda x: 1e30 * np.cos(x), TWO),
    "1e6 + sin": (lambda x: 1e6 + np.sin(x), np.cos, TWO),
    "1e10 + x": (lambda x: 1e10 + x, np.ones_like, TWO),
    "1e10 + sin": (lambda x: 1e10 + np.sin(x), np.cos, TWO),
    "1e6 + 1e-3 x": (lambda x: 1e6 + 1e-3 * x, lambda x: np.full_like(x, 1e-3), TWO),
    "log": (np.log, lambda x: 1 / x, np.array([1e-3, 2e-12, 1e3])),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), np.array([1e-3, 3e-9, 1e5])),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2, np.array([1e-3, -1e-6, 1e4])),
    "sin 1e6 x": (lambda x: np.sin(1e6 * x), lambda x: 1e6 * np.cos(1e6 * x), np.array([0.0, 0.3])),
    "cube of small": (lambda x: x**3, lambda x: 3 * x**2, np.array([1e-5, -2e-7])),
    "square of large": (lambda x: x**2, lambda x: 2 * x, np.array([1e9, -3e12])),
    "exp over a wide range": (np.exp, np.exp, np.array([-30.0, 0.0, 30.0])),
    "tanh in its tails": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, np.array([6.0, -0.1, 9.0])),
    "floor": (np.floor, np.zeros_like, TWO),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass_at_every_scale(name):
    forward, slope, x = RIGHT[name]
    assert mg.gradcheck(unary(forward, slope), x)
    assert mg.gradcheck(unary(forward, slope), x, entries=False)
    for point in x:
        assert mg.gradcheck(unary(forward, slope), point)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize(
    "mutant",
    [
        lambda d: 1.01 * d,
        lambda d: -d,
        lambda d: np.where(np.arange(d.size) == d.size - 1, 0.9 * d, d),  # the last entry alone
        lambda d: np.where(np.arange(d.size) == 0, 0.0, d),
    ],
    ids=["a factor of 1.01", "the sign", "the last entry", "the first entry is 0"],
)
def test_wrong_gradients_are_noticed_at_every_scale(name, mutant):
    forward, slope, x = RIGHT[name]
    if name == "floor":
        slope = lambda x: np.ones_like(x)  # noqa: E731 (0 has no subtle mutants)
    with pytest.raises(GradcheckError, match="gradcheck of function: argument 0"):
        mg.gradcheck(unary(forward, lambda x: mutant(slope(x))), x)


@pytest.mark.parametrize("name", [name for name in RIGHT if not name.startswith(("1e10", "floor"))])
def test_subtly_wrong_gradients_are_noticed(name):
    forward, slope, x = RIGHT[name]
    with pytest.raises(GradcheckError, match="function: argument 0"):
        mg.gradcheck(unary(forward, lambda x: 1.00001 * slope(x)), x)
    with pytest.raises(GradcheckError):
        mg.gradcheck(unary(forward, lambda x: 1.001 * slope(x)), x, entries=False)


def test_functions_without_a_derivative_are_not_called_checked():
    for f in (
        lambda x: x.astype(int),
        lambda x: x.astype(int).astype(float),
        lambda x: x > 0,
        lambda x: (x > 0, mg.ops.argmax(x)),
        lambda x: mg.tensor([1.0]),
        lambda x: x.detach(),
    ):
        with pytest.raises(GradcheckError, match="nothing was checked: no floating output"):
            mg.gradcheck(f, TWO)
    with pytest.raises(GradcheckError, match="argument 0 at entry"):  # a part whose derivative was lost
        mg.gradcheck(lambda x: x * x + x.detach(), TWO)


def two_outputs(rule: Any) -> Any:
    """(a b, a + b), with a rule of its own."""

    @mg.primitive
    def both(a, b):
        return (a * b, a + b), (a, b)

    both.vjp(rule)
    return both


def right_rule(g: Any, needs: Any, a: Any, b: Any) -> Any:
    product, total = (np.zeros_like(a) if u is None else u for u in g)
    return product * b + total, product * a + total


def test_none_cotangents_are_tried():
    def crashes(g: Any, needs: Any, a: Any, b: Any) -> Any:
        return g[0] * b + g[1], g[0] * a + g[1]

    def forgets(g: Any, needs: Any, a: Any, b: Any) -> Any:
        return right_rule((g[0], g[0] if g[1] is None else g[1]), needs, a, b)

    def skips(g: Any, needs: Any, a: Any, b: Any) -> Any:
        return (np.zeros_like(a), np.zeros_like(a)) if g[0] is None else right_rule(g, needs, a, b)

    assert mg.gradcheck(two_outputs(right_rule), [TWO, TWO[::-1]])
    for rule, text in (
        (crashes, "both: .* output 1 is None.*TypeError"), (forgets, r"argument 0 \(a\) .* of output 0 alone"),
        (skips, "of output 1 alone"),
    ):  # fmt: skip
        with pytest.raises(GradcheckError, match=text):
            mg.gradcheck(two_outputs(rule), [TWO, TWO])


def test_partial_needs_are_tried():
    def wrong_alone(g: Any, needs: Any, a: Any, b: Any) -> Any:
        first, second = right_rule(g, needs, a, b)
        return first, second if needs[0] else 1.001 * second

    with pytest.raises(GradcheckError, match=r"argument 1 \(b\) at entry \[0\]: the VJP gives .* when only it"):
        mg.gradcheck(two_outputs(wrong_alone), [TWO, TWO])


def test_numerical_gradients_at_every_scale():
    for name, (forward, slope, x) in RIGHT.items():
        got = mg.numerical_gradient(unary(forward, slope), x, np.ones(x.shape))
        np.testing.assert_allclose(got, slope(x), rtol=1e-4 if name.startswith(("1e10", "1e6")) else 1e-7)
    fixed = mg.numerical_gradient(lambda x: (x**5).sum(), np.array([2.0]), h=0.1)
    np.testing.assert_allclose(fixed, 80 - 4 * 0.2**4, rtol=1e-9)  # the error of the difference: -4 h^4 f'''''/5!


# --- steps that cross a pole, a kink, a period or a jump -------------------------------------------------


def inverse() -> Any:
    return unary(lambda x: 1 / x, lambda x: -1 / x**2)


def fast() -> Any:
    return unary(lambda x: np.sin(50 * x), lambda x: 50 * np.cos(50 * x))


def stairs() -> Any:
    return unary(np.floor, np.zeros_like)


CROSSING = {
    "a pole": (lambda: mg.reciprocal, np.array([1e-8])),
    "a pole of third order": (lambda: lambda x: mg.power(x, -3.0), np.array([1e-6])),
    "a pole by hand": (inverse, np.array([1e-8])),
    "a pole in single": (inverse, np.array([1e-8], np.float32)),
    "a pole further off in single": (inverse, np.array([1e-4], np.float32)),
    "poles of different distance": (inverse, np.array([1e-8, -2.0, 3e-5])),
    "a pole that is not at 0": (lambda: lambda x: mg.sin(x) / mg.cos(x), np.array([np.pi / 2 - 1e-7, 1e5])),
    "a kink": (lambda: mg.abs, np.array([1e-8, -1e-12, 3.0])),
    "a kink in single": (lambda: mg.abs, np.array([1e-8], np.float32)),
    "a kink with a flat side": (lambda: mg.relu, np.array([1e-8, -1e-12, 3.0])),
    "a kink beside a constant in single": (lambda: lambda x: mg.relu(x) + 1.0, np.array([-3.6e-8, 2.0], np.float32)),
    "periods": (lambda: mg.sin, np.array([1e6])),
    "short periods": (fast, np.array([1e3])),
    "many short periods": (fast, np.array([1e6, 1e3, 0.1])),
    "jumps": (stairs, np.array([1e3 + 0.3])),
}


@pytest.mark.parametrize("entries", [True, False])
@pytest.mark.parametrize("name", CROSSING)
def test_steps_that_cross_something_do_not_make_a_right_gradient_wrong(name, entries):
    make, x = CROSSING[name]
    for seed in range(3):
        assert mg.gradcheck(make(), [x], entries=entries, rng=seed)


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
@pytest.mark.parametrize("entries", [True, False])
@pytest.mark.parametrize("name", [name for name in CROSSING if name != "jumps"])
def test_a_wrong_gradient_there_is_noticed_and_named(name, entries, factor):
    make, x = CROSSING[name]
    f = make()

    def wrong(x: mg.Tensor) -> mg.Tensor:  # f's values, and factor times its derivative
        y = f(x)
        return factor * y + (1 - factor) * y.detach()

    with pytest.raises(GradcheckError, match=r"argument 0 at entry|nothing was checked of argument 0"):
        mg.gradcheck(wrong, [x], entries=entries)


def test_random_functions_are_called_so():
    mg.manual_seed(0)
    for entries in (True, False) * 4:
        for x in (np.ones(5), np.ones(1)):
            with pytest.raises(GradcheckError, match=r"dropout: nothing was checked: .* different values"):
                mg.gradcheck(lambda x: mg.dropout(x, 0.5), [x], entries=entries)
    assert mg.gradcheck(lambda x: mg.dropout(x, 0.5, rng=0), [np.ones(5)])


def test_gradgradcheck_says_which_primitives_gradient_it_checked():
    @mg.primitive(residuals=("x",))
    def doubtful(x):
        return x**3, (x,)

    @doubtful.vjp
    def _(g, needs, x):
        return ((2 if isinstance(x, mg.Tensor) else 3) * x * x * g,)

    with pytest.raises(GradcheckError, match="the VJP gives") as caught:
        mg.gradgradcheck(doubtful, [np.array([1.0, 2.0])])
    assert "gradgradcheck of doubtful" in caught.value.__notes__[0]
    assert "1 floating input(s) and then 1 cotangent(s)" in caught.value.__notes__[0]
