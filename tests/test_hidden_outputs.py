"""Residuals that are outputs nobody sees: their cotangents reach the VJP in derivatives of derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES


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

    yield squashed, given
    del PRIMITIVES[f"{__name__}.squashed"]


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


def test_a_name_of_none_is_refused():
    with pytest.raises(ValueError, match=r"residuals: 'hidden 0' is none of x, 'output', .*'hidden 1'"):

        @mg.primitive(residuals=("hidden 0",))
        def wrong(x):
            return x, (x,)


def drawn(twice=True):
    """A loss of an LSTM and cross-entropy, and a penalty on its gradient."""
    rng = np.random.default_rng(0)
    shapes = (2, 3, 2), (2, 2), (2, 8), (2, 8), (8,)
    leaves = [mg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]
    with mg.record(), mg.create_graph():
        h, _ = mg.lstm(*leaves)
        loss = mg.cross_entropy(h.reshape(6, 2), [0, 1, 1, 0, 1, 0])
        if not twice:
            return loss
        loss.backward()
        return loss, sum((leaf.grad * leaf.grad).sum() for leaf in leaves)


def test_a_picture_of_a_gradient_names_them_and_leaves_what_has_them_whole():
    _, penalty = drawn()
    text = mg.render.to_text(penalty, expand={"lstm", "cross_entropy"})
    (line,) = [line for line in text.splitlines() if " = lstm(" in line]
    assert "reference not shown: a derivative uses what it keeps" in line
    dot = mg.render.to_dot(penalty)
    assert "hidden 4" in dot
    assert "lstm_step" not in dot
    assert mg.render.to_networkx(penalty).number_of_nodes() > 20


def test_a_picture_of_the_value_knows_nothing_of_them():
    (loss, _), fresh = drawn(), drawn(twice=False)
    assert "lstm_step" in mg.render.to_text(loss)
    assert mg.render.to_text(loss) == mg.render.to_text(fresh)
    assert "hidden" not in mg.render.to_dot(loss)
