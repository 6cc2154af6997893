"""A write between the forward and the backward pass is noticed: where the engine writes always, else on request."""

from __future__ import annotations

import gc
import weakref
from array import array
from collections import deque

import numpy as np
import pytest

import minigrad as mg
from minigrad import writes
from minigrad.core import untracked

MESSAGE = r"overwritten since"


def leaf(*values):
    return mg.tensor(np.array(values), requires_grad=True)


def test_setting_an_entry_of_a_constant_that_a_gradient_needs():
    w, x = leaf(2.0, 3.0), mg.tensor(np.array([4.0, 5.0]))
    y = (w * x).sum()
    x[0] = 100.0
    with pytest.raises(ValueError, match=rf"multiply saved float64 \(2,\) .*{MESSAGE}.*mg\.ops\.put"):
        y.backward()
    assert w.grad is None


@pytest.mark.parametrize("view", [lambda x: x.reshape(1, -1)[0], lambda x: x[::-1], lambda x: x.T[0:2]])
def test_views_share_memory(view):
    w, x = leaf(2.0, 3.0), mg.tensor(np.array([4.0, 5.0]))
    y = (w * view(x)).sum()
    x[0] = 100.0
    with pytest.raises(ValueError, match=MESSAGE):
        y.backward()
    z = (w * x).sum()
    view(x)[0] = 7.0
    with pytest.raises(ValueError, match=MESSAGE):
        z.backward()


def test_an_output_that_is_saved_counts_too():
    x = leaf(0.0, 1.0)
    y = mg.exp(x)
    y.detach()[0] = 5.0
    with pytest.raises(ValueError, match=r"exp saved"):
        y.sum().backward()


@pytest.mark.parametrize("make", [lambda p: mg.optim.SGD(p, lr=0.1), lambda p: mg.optim.SGD(p, lr=0.1, momentum=0.9),
                                  mg.optim.Adam, mg.optim.AdamW, mg.optim.RMSprop])  # fmt: skip
def test_an_optimisers_step_before_a_second_pass(make):
    w = leaf(2.0, 3.0)
    optimiser = make([w])
    y = (w * w).sum()
    y.backward(retain_graph=True)
    optimiser.step()
    with pytest.raises(ValueError, match=rf"multiply saved.*{MESSAGE}.*optimiser"):
        y.backward()


def test_gradients_that_a_graph_uses_and_the_engine_adds_to_or_scales():
    for write in (lambda x: (x * x).sum().backward(), lambda x: mg.optim.clip_grad_norm([x], 1.0)):
        w, x = leaf(2.0), leaf(3.0)
        (x * x).sum().backward()
        y = (w * x.grad).sum()  # the graph has a copy
        z = (w * untracked(x.grad)).sum()
        write(x)
        y.backward()
        np.testing.assert_array_equal(w.grad, [6])
        with pytest.raises(ValueError, match=rf"multiply saved.*{MESSAGE}.*added to a \.grad"):
            z.backward()


NUMPYS = {
    "out": lambda x: np.add(x, 1, out=x),
    "out of a function": lambda x: np.sum(np.ones((2, 2)), axis=0, out=x),
    "at": lambda x: np.add.at(x, [1], 100),
    "copyto": lambda x: np.copyto(x, [7, 7]),
    "put": lambda x: np.put(x, [0], [7]),
    "putmask": lambda x: np.putmask(x, [True, False], [7]),
    "fill_diagonal": lambda x: np.fill_diagonal(x.reshape(1, 2), 7),
    "copyto by name": lambda x: np.copyto(src=[7, 7], dst=x),
    "put by name": lambda x: np.put(ind=[0], v=[7], a=x),
    "place by name": lambda x: np.place(arr=x, mask=np.array([True, False]), vals=[7]),
    "put_along_axis by name": lambda x: np.put_along_axis(arr=x, indices=np.array([0]), values=7, axis=0),
    "fill_diagonal by name": lambda x: np.fill_diagonal(a=x.reshape(1, 2), val=7),
    "clip by position": lambda x: np.clip(np.ones(2), 0, 1, x),
    "cumsum by position": lambda x: np.cumsum(np.ones(2), None, None, x),
    "sum by position": lambda x: np.sum(np.ones((2, 2)), 0, None, x),
    "concatenate by position": lambda x: np.concatenate([np.ones(2)], 0, x),
    "einsum": lambda x: np.einsum("ij,j->i", np.ones((2, 2)), np.ones(2), out=x),
    "nan_to_num": lambda x: np.nan_to_num(x, copy=False),
    "median": lambda x: np.median(x, overwrite_input=True),
}


def test_numpys_functions_that_only_read_a_tensor():
    w, x, target = leaf(2.0, 3.0), mg.tensor(np.array([4.0, 5.0])), np.zeros(2)
    y = (w * x).sum()
    np.copyto(target, x)
    np.clip(x, 0, 1, target)
    np.nan_to_num(x)
    np.median(x)
    y.backward()
    np.testing.assert_array_equal(w.grad, [4, 5])


@pytest.mark.parametrize("how", NUMPYS)
def test_numpys_functions_that_write_into_a_tensor(how):
    w, x = leaf(2.0, 3.0), mg.tensor(np.array([np.inf, 5.0]))
    y = (w * x).sum()
    before = x.data.copy()
    NUMPYS[how](x)
    assert (x.data != before).any()
    with pytest.raises(ValueError, match=MESSAGE):
        y.backward()


def test_the_table_of_writes_forgets_what_is_gone():
    gc.collect()
    before = len(writes._writes)
    for _ in range(100):
        x = mg.tensor(np.zeros(3))
        x[0] = 1.0
    del x
    gc.collect()
    assert len(writes._writes) == before


def test_a_window_of_an_array_shares_its_memory():
    w, x = leaf(2.0, 3.0), np.arange(4.0)
    y = (w * untracked(np.lib.stride_tricks.sliding_window_view(x, 2))).sum()
    untracked(x)[0] = 9.0
    with pytest.raises(ValueError, match=MESSAGE):
        y.backward()


def test_a_write_into_an_array_that_is_gone_is_none_into_the_next_at_its_place():
    gone, x = weakref.ref(set()), mg.tensor(np.ones(3))
    y = (leaf(2.0, 3.0, 4.0) * x).sum()
    writes.written(np.ones(1))  # so that the pass looks
    key = id(writes.owner(x.data))
    writes._writes[key] = gone, writes.last_write
    y.backward(retain_graph=True)
    writes._writes[key] = weakref.ref(x.data), writes.last_write
    with pytest.raises(ValueError, match=MESSAGE):
        y.backward()
    del writes._writes[key]


# --- NumPy buffers that are refilled ------------------------------------------------------------------

MASK = np.array([True, False, True])
BUFFERS = {
    "operand": (lambda w, b: w * b, np.arange(3.0)),
    "view of a buffer": (lambda w, b: w * b.reshape(3, 1)[::-1, 0], np.arange(3.0)),
    "matrix": (lambda w, b: mg.matmul(b, w), np.arange(12.0).reshape(4, 3)),
    "target": (lambda w, b: mg.mse_loss(w, b), np.arange(3.0)),
    "class": (lambda w, b: mg.cross_entropy(w.reshape(1, 3), b), np.array([2])),
    "condition": (lambda w, b: mg.where(b, w, 2 * w), MASK),
    "index": (lambda w, b: w[b], np.array([2, 0])),
    "constant view": (lambda w, b: w * mg.reshape(b, (3, 1))[:, 0], np.arange(3.0)),
    "layer": (lambda w, b: mg.nn.Flatten()(b) * w, np.arange(6.0).reshape(2, 3)),
    "index in a tuple": (lambda w, b: w.reshape(1, 3)[:, b], np.array([2, 0])),
    "boolean index": (lambda w, b: w[b], MASK),
    "embedding": (lambda w, b: mg.embedding(b, w.reshape(3, 1)), np.array([[2, 0]])),
}


def gradient(function, buffer, write):
    """The gradient in w, the buffer written into between the forward and the backward pass."""
    w = leaf(2.0, 3.0, 5.0)
    y = function(w, buffer).sum()
    write(buffer)
    y.backward()
    return w.grad


def refill(buffer):
    buffer[...] = ~buffer if buffer.dtype == bool else 1


def penalty(function, buffer, write):
    """The gradient in w of the squares of a gradient, the buffer overwritten before each backward pass."""
    w = leaf(2.0, 3.0, 5.0)
    y = mg.exp(function(w, buffer)).sum()
    write(buffer)
    y.backward(create_graph=True)
    g = w.grad
    w.zero_grad()
    write(buffer)
    (g * g).sum().backward()
    return w.grad


def tangent(function, buffer, write):
    """The derivative along a direction, the buffer overwritten before it is asked for."""
    _, push = mg.linearize(lambda w: mg.exp(function(w, buffer)), np.array([2.0, 3.0, 5.0]))
    write(buffer)
    return push(np.array([1.0, -1.0, 2.0])).data


@pytest.mark.parametrize("derivative", [gradient, penalty, tangent])
@pytest.mark.parametrize("how", BUFFERS)
def test_a_buffer_may_be_refilled_before_the_backward_pass(how, derivative):
    function, buffer = BUFFERS[how]
    expected = derivative(function, buffer.copy(), lambda buffer: None)
    np.testing.assert_array_equal(derivative(function, buffer.copy(), refill), expected)
    with mg.detect_anomaly():
        np.testing.assert_array_equal(derivative(function, buffer.copy(), refill), expected)


@pytest.mark.parametrize("derivative", [gradient, penalty, tangent])
def test_a_large_buffer_may_be_refilled(derivative):
    def function(w, batch):
        return mg.mean(mg.matmul(batch, w), axis=0)

    batch = np.full((60_000, 3), 0.1)

    def write_one_entry(batch):
        batch[1234, 1] = 1e6

    expected = derivative(function, batch.copy(), lambda batch: None)
    np.testing.assert_array_equal(derivative(function, batch, write_one_entry), expected)


@mg.primitive
def weighted(x, *, options):
    weight = options["of"][0]
    return x * weight, (x, weight)


@weighted.vjp
def _(g, needs, x, weight):
    return (g * weight,)


@weighted.reference
def _(x, *, options):
    return x * options["of"][0]


OPTIONS = {
    "attention": lambda w, mask: mg.attention(
        w.reshape(1, 3, 1), mg.exp(w).reshape(1, 3, 1), w.reshape(1, 3, 1), mask=mask
    ),
    "user's own": lambda w, mask: weighted(w * w, options={"of": [mask]}),
}


@pytest.mark.parametrize("derivative", [gradient, penalty, tangent])
@pytest.mark.parametrize("how", OPTIONS)
def test_arrays_that_are_options_may_be_refilled(how, derivative):
    mask = np.array([[True, False, True], [True, True, False], [False, False, True]])
    mask = mask if how == "attention" else mask[0]
    expected = derivative(OPTIONS[how], mask.copy(), lambda mask: None)
    np.testing.assert_array_equal(derivative(OPTIONS[how], mask.copy(), refill), expected)


class Axes(list):
    """A list of a type of its own."""


@pytest.mark.parametrize("kind", [list, Axes, deque, lambda axes: array("q", axes)])
def test_sequences_that_are_options_may_be_changed(kind):
    axes, w = kind([1]), leaf(2.0, 3.0, 5.0)
    y = mg.roll(w, axes, 0)
    axes[0] = 2
    (y * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(w.grad, [10, 100, 1])


def test_a_tensor_that_is_an_option_is_not_copied_but_writes_are_noticed():
    mask = mg.tensor(np.array([[True, False, True]]))
    w = leaf(2.0, 3.0, 5.0)
    z = mg.attention(w.reshape(1, 3, 1), w.reshape(1, 3, 1), w.reshape(1, 3, 1), mask=mask).sum()
    mask[0, 0] = False
    with pytest.raises(ValueError, match=MESSAGE):
        z.backward()


def test_a_large_buffer_that_no_gradient_needs_may_be_refilled():
    w, batch = mg.tensor(np.ones(600), requires_grad=True), np.ones((1000, 600))
    y = (batch + w).sum()
    batch[...] = 0
    y.backward()
    np.testing.assert_array_equal(w.grad, np.full(600, 1000))


def test_a_buffer_in_a_dict_of_residuals_may_be_refilled():
    @mg.primitive
    def scaled(x, s):
        return x * s, ({"s": s},)

    scaled.vjp(lambda g, needs, saved: (g * saved["s"], None))
    x, s = mg.tensor([1.0, 2.0], requires_grad=True), np.ones(2, np.float32)
    y = scaled(x, s)
    s[:] = 9
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [1, 1])


def test_a_vjp_that_writes_into_a_saved_tensor_is_noticed():
    c, x = mg.tensor([2.0]), mg.tensor([1.0], requires_grad=True)

    @mg.primitive
    def spy(y):
        return y * 1, ()

    @spy.vjp
    def _(g, needs):
        c[0] = 100.0
        return (g,)

    with pytest.raises(ValueError, match="multiply saved"):
        spy(x * c).backward(np.ones(1))


@pytest.mark.parametrize("number", range(1, 7))
def test_arrays_of_additive_attention_may_be_overwritten(number):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((2, 3), (4, 3), (4, 3), (3, 3), (3, 3), (3,))]
    mask = rng.standard_normal((2, 4))

    def gradient(write):
        q, *others = mg.tensor(arrays[0], requires_grad=True), *(x.copy() for x in arrays[1:]), mask.copy()
        values, _ = mg.additive_attention(q, *others[:-1], mask=others[-1])
        if write:
            others[number - 1] *= 2
        values.sum().backward()
        return q.grad

    np.testing.assert_array_equal(gradient(True), gradient(False))


def test_arrays_that_bound_a_slice_may_be_overwritten():
    x, start, stop = leaf(1.0, 2.0, 3.0, 4.0), np.array(0), np.array(2)
    y = (x[start:stop] ** 2).sum() + (mg.ops.put(x, slice(start, stop), 7.0) ** 2).sum()
    start += 1
    stop += 1
    y.backward()
    np.testing.assert_array_equal(x.grad, [2, 4, 6, 8])
