"""Residuals that are outputs nobody sees: their cotangents reach the VJP in derivatives of derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg


@pytest.fixture
def squashed():
    """y = z^2 of z = sin(x), which is kept: the rule uses z, and says what a cotangent of z is one of x."""

    @mg.primitive(residuals=("x", "hidden 1"))
    def squashed(x):
        z = np.sin(x)
        return z * z, (x, z)

    given = []

    @squashed.vjp
    def _(g, needs, x, z):
        given.append(g)
        g, dz = g if isinstance(g, tuple) else (g, None)
        d = 0.0 if g is None else 2 * g * z
        return ((d if dz is None else d + dz) * np.cos(x),)

    return squashed, given


def test_derivatives_of_any_order(squashed):
    function, _ = squashed
    x = np.array(0.7)
    found = [np.sin(2 * x), 2 * np.cos(2 * x), -4 * np.sin(2 * x), -8 * np.cos(2 * x)]
    derivative = function
    for expected in found:
        derivative = mg.grad(derivative)
        np.testing.assert_allclose(derivative(x).numpy(), expected, rtol=1e-12)
    assert mg.gradgradcheck(function, [np.array([0.3, -2.0])])


def test_the_first_order_knows_nothing_of_it(squashed):
    function, given = squashed
    x = mg.tensor(np.array([0.3, -2.0]), requires_grad=True)
    y = function(x)
    y.sum().backward()
    assert y.node.outputs == (((2,), np.float64),)
    assert [type(g) for g in given] == [np.ndarray]


def test_a_cotangent_of_it_alone_comes_with_none_for_the_output(squashed):
    function, given = squashed
    x = np.array([0.3, -2.0])
    with mg.create_graph():
        y, pullback = mg.vjp(function, mg.tensor(x, requires_grad=True))
        (first,) = pullback(np.ones(2))
    given.clear()
    first.sum().backward()
    (((g, dz),),) = [given]
    assert g is None
    np.testing.assert_allclose(dz, 2 * np.cos(x))
    assert y.node.outputs == (((2,), np.float64),) * 2


def test_hidden_outputs_follow_the_visible_ones():
    @mg.primitive(residuals=("hidden 1",))
    def powers(x):
        e = np.exp(x)
        return (np.log(e), e * e), (e,)

    powers.vjp(lambda g, needs, e: (g[1] * 2 * e * e,))
    with pytest.raises(TypeError, match=r"powers.*: the first hidden output must be declared as 'hidden 2'"):
        mg.grad(mg.grad(lambda x: powers(x)[1]))(np.array(0.5))
