"""Nested arguments of transforms: lists, tuples, dicts and modules."""

from __future__ import annotations

import gc
import weakref
from collections import namedtuple
from typing import NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad.trees import matching_leaves, structure_of


class Line(NamedTuple):
    slope: object
    offset: object


X, Y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])


def loss(line):
    return ((line.slope * X + line.offset - Y) ** 2).sum()


def test_gradients_come_in_the_structure_of_the_argument():
    f = lambda p: (p["a"][0] * p["a"][1] + p["b"]).sum()  # noqa: E731
    value, found = mg.value_and_grad(f)({"a": [np.ones(2), np.full(2, 3.0)], "b": (2.0), "none": None})
    assert value.item() == 10
    assert found.keys() == {"a", "b", "none"}
    assert isinstance(found["a"], list)
    assert found["none"] is None
    np.testing.assert_array_equal(found["a"][0].numpy(), [3, 3])
    assert found["b"].item() == 2
    line = mg.grad(loss)(Line(np.array(1.0), np.array(0.0)))
    assert isinstance(line, Line)
    assert line.offset.item() == -12


@pytest.mark.parametrize(
    ("structure", "given", "message"),
    [
        ({"a": 1.0, "b": 2.0}, {"a": 1.0}, r"f must be a dict with the keys 'a', 'b'"),
        ([{"a": 1.0}, None], [1.0, None], r"f\[0\] must be a dict with the keys 'a'"),
        ([{"a": 1.0}, None], [None, None], r"f\[0\] must be a dict with the keys 'a'"),
        ([None, {"a": [None, None]}], [None, {"a": [1.0]}], r"f\[1\]\['a'\] must be a list or tuple of 2 parts, not"),
        ([None, {"a": [None, None]}], [None, {"a": {0: None, 1: None}}], r"f\[1\]\['a'\] must be a list or tuple"),
        (structure_of((mg.nn.Linear(2, 1),)), (1.0,), r"f\[0\] must be a dict with the keys 'weight', 'bias'"),
        (structure_of((mg.nn.Linear(2, 1),)), (None,), r"f\[0\] must be a dict with the keys 'weight', 'bias'"),
    ],
)
def test_what_differs_is_named_with_its_place(structure, given, message):
    with pytest.raises(ValueError, match=message):
        list(matching_leaves("f", structure, given))


def test_second_derivatives_of_structures():
    line = Line(np.array(1.0), np.array(0.0))
    second = mg.hessian(loss)(line)
    assert second.slope.slope.item() == 2 * (X * X).sum()
    assert second.slope.offset.item() == second.offset.slope.item() == 2 * X.sum()
    (product,) = mg.hvp(loss, [line], [Line(1.0, 0.0)])
    assert (product.slope.item(), product.offset.item()) == (second.slope.slope.item(), second.offset.slope.item())
    out, tangent = mg.jvp(loss, [line], [Line(1.0, 0.0)])
    assert out.item() == loss(line).item()
    assert tangent.item() == mg.grad(loss)(line).slope.item()


def test_an_output_of_integers_does_not_move():
    out, tangents = mg.jvp(lambda x: (x * x, mg.argmax(x)), [np.array([1.0, 2.0])], [np.ones(2)])
    assert out[1].item() == 1
    assert tangents[1].item() == 0


def test_outputs_may_be_structures():
    f = lambda x: {"square": x * x, "both": (x, [3 * x])}  # noqa: E731
    out, pullback = mg.vjp(f, 2.0)
    assert out["both"][1][0].item() == 6
    (pulled,) = pullback({"square": 1.0, "both": (1.0, [1.0])})
    assert pulled.item() == 4 + 1 + 3
    out, tangent = mg.jvp(f, [2.0], [1.0])
    assert tangent["both"][1][0].item() == 3
    jacobian = mg.jacobian(f)(np.array([2.0, 1.0]))
    np.testing.assert_array_equal(jacobian["square"].numpy(), np.diag([4, 2]))
    with pytest.raises(ValueError, match=r"output 0\['both'\] .* 2 parts, not float"):
        pullback({"square": 1.0, "both": 1.0})
    with pytest.raises(ValueError, match=r"output 0\['square'\] .* \(\), not \(2,\)"):
        pullback({"square": np.ones(2), "both": (1.0, [1.0])})


def test_modules_are_differentiated_in_their_parameters():
    model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Tanh(), mg.nn.Linear(3, 1))
    x = np.cos(np.arange(8.0)).reshape(4, 2).astype(np.float32)
    f = lambda model, x: (model(x) ** 2).mean()  # noqa: E731
    value, found = mg.value_and_grad(f)(model, x)
    f(model, x).backward()
    assert value.item() == f(model, x).item()
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(found[name].numpy(), p.grad)
        p.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    vectors = {name: np.ones(p.shape, np.float32) for name, p in model.named_parameters()}
    (product,) = mg.hvp(lambda m: f(m, x), [model], [vectors])
    second = mg.hessian(f)(model, x)
    for name in vectors:
        expected = sum(second[name][other].numpy().reshape(*vectors[name].shape, -1).sum(-1) for other in vectors)
        np.testing.assert_allclose(product[name].numpy(), expected, rtol=1e-4, atol=1e-6)
    both = mg.grad(f, argnums=(0, 1))(model, x)
    assert both[1].shape == x.shape
    with pytest.raises(ValueError, match=r"hvp: .* primal 0 .* '0\.weight'"):
        mg.hvp(lambda m: f(m, x), [model], [{}])


def test_frozen_parameters_are_left_out():
    model = mg.nn.Linear(2, 1)
    model.bias.requires_grad = False
    found = mg.grad(lambda m: m(np.ones((1, 2), np.float32)).sum())(model)
    assert found.keys() == {"weight"}


def test_lists_of_numbers_are_tensors_as_everywhere():
    assert mg.grad(lambda x: (x * x).sum())([1.0, 2.0]).shape == (2,)
    assert mg.jacobian(lambda x: x * x)((1.0, 2.0)).shape == (2, 2)
    first, second = mg.grad(lambda x: x[0] * x[1])([mg.tensor(1.0), mg.tensor(2.0)])
    assert (first.item(), second.item()) == (2, 1)


def test_has_aux():
    f = lambda x: ((x * x).sum(), {"double": 2 * x, "word": "w"})  # noqa: E731
    x = np.array([1.0, 2.0])
    (value, first), found = mg.value_and_grad(f, has_aux=True)(x)
    slope, second = mg.grad(f, has_aux=True)(x)
    curvature, third = mg.hessian(f, has_aux=True)(x)
    out, pullback, fourth = mg.vjp(f, x, has_aux=True)
    jacobian, _ = mg.jacobian(lambda x: (x * x, None), has_aux=True)(x)
    assert value.item() == out.item() == 5
    for gradient in (found, slope, pullback(1.0)[0]):
        np.testing.assert_array_equal(gradient.numpy(), 2 * x)
    np.testing.assert_array_equal(curvature.numpy(), 2 * np.eye(2))
    np.testing.assert_array_equal(jacobian.numpy(), np.diag(2 * x))
    for aux in (first, second, third, fourth):
        assert (aux["word"], aux["double"].requires_grad) == ("w", False)
    for wrong in (lambda x: x.sum(), lambda x: (x.sum(), 1, 2)):
        with pytest.raises(TypeError, match=r"pair \(output, aux\)"):
            mg.grad(wrong, has_aux=True)(x)


def test_mistakes_are_named_with_their_place():
    two, three = np.ones(2), np.ones(3)
    for call, error, text in (
        (lambda: mg.grad(lambda p: p["a"][0].sum())({"a": [two, np.array([1, 2])]}), TypeError,
         r"int64 \(2,\) in argument 0\['a'\]\[1\]"),
        (lambda: mg.hvp(lambda x: x.sum(), [two], [two, two]), ValueError, r"1 in all, not 2"),
        (lambda: mg.jvp(lambda x: x.sum(), [two], [three]), ValueError, r"primal 0 .* \(2,\), not \(3,\)"),
        (lambda: mg.vjp(lambda x: {"n": 1, "x": x}, 1.0), TypeError, r"not int at \['n'\]"),
        (lambda: mg.hessian(lambda x: x)(two), ValueError, r"hessian: .* one number, not shape \(2,\)"),
        (lambda: mg.grad(lambda x: (x, x))(1.0), ValueError, r"grad: .* one number, not 2 tensors"),
        (lambda: mg.grad(lambda x: None)(1.0), TypeError, r"must return a tensor, not NoneType"),
        (lambda: mg.jvp(lambda x: x, 3.0, 1.0), TypeError, "lists or tuples .* not float"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            call()


def test_a_parameter_twice_is_refused():
    model = mg.nn.Linear(1, 1, bias=False)
    with pytest.raises(ValueError, match=r"jvp: .* twice, .* primal 1\.weight"):
        mg.jvp(lambda a, b: a(np.ones((1, 1))).sum(), [model, model], [{"weight": np.ones((1, 1))}] * 2)


def test_a_named_tuple_of_numbers_keeps_its_fields():
    point = namedtuple("Point", "x y")(2.0, 3.0)
    assert [g.item() for g in mg.grad(lambda p: p.x * p.y)(point)] == [3, 2]


def test_classes_of_leaves_are_not_kept_alive_without_bound():
    kind = weakref.ref(type("Number", (float,), {}))
    structure_of(kind()(1.0))
    for _ in range(1000):
        structure_of(type("Other", (float,), {})(1.0))
    gc.collect()
    assert kind() is None
