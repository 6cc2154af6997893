"""Many cotangents at once: which primitives take them, that rows are those of one by one, in how much memory."""

from __future__ import annotations

import tracemalloc
import warnings
from functools import reduce
from operator import add

import numpy as np
import pytest

import minigrad as mg
from minigrad import jacobians, ops
from minigrad.primitives import primitive
from tests.checks import BY_PRODUCTS, draw, families, function_of, outputs_of
from tests.test_registry import RECORDS

# Rules that are called once for each cotangent.


def rows_of(function, *inputs):
    """The jacobian in each input, by one pullback a row."""
    y, pullback = mg.vjp(function, *inputs)
    rows = [pullback(row.reshape(y.shape)) for row in np.eye(y.size, dtype=y.dtype)]
    return [np.stack([row[i].numpy() for row in rows]).reshape(y.shape + np.shape(x)) for i, x in enumerate(inputs)]


def check_rows(function, *inputs, rtol=1e-11):
    """In all inputs together, and in each of them alone."""
    blocks = mg.jacobian(function, tuple(range(len(inputs))))(*inputs)
    for i, (block, rows) in enumerate(zip(blocks, rows_of(function, *inputs), strict=True)):
        alone = mg.jacobian(function, i)(*inputs)
        np.testing.assert_allclose(alone.numpy(), block.numpy(), rtol=rtol, atol=rtol)
        assert block.dtype == rows.dtype
        np.testing.assert_allclose(block.numpy(), rows, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    ("first", "second"),
    [((2, 1), (3, 2, 2)), ((1,), (1, 3)), ((1, 2, 1), (3, 2, 4)), ((1, 1), (2, 3, 1)), ((), (2,)), ((1, 1), (1, 2, 3))],
)
def test_inputs_that_are_broadcast(first, second):
    rng = np.random.default_rng(0)
    check_rows(lambda x, y: x * y, rng.standard_normal(first), rng.standard_normal(second))


@pytest.mark.parametrize(
    ("broadcasts", "function"),
    [(False, lambda g: g[:, None]), (True, lambda g: g.sum(1)), (True, lambda g: np.concatenate([g, g]))],
)
def test_what_a_rule_of_many_cotangents_gives_is_looked_at(broadcasts, function):
    @primitive(broadcasts=broadcasts, residuals=())
    def same(x):
        return np.array(x), ()

    same.batched_vjp(lambda g, needs: (function(g),))
    with pytest.raises(ValueError, match=r"VJP of same, of 2 cotangents, returned .* for x, which is float64 \(2,\)"):
        mg.jacobian(same)(np.ones(2))


def test_residuals_that_were_written_into_are_refused():
    c = mg.tensor([1.0, 2.0])

    def f(x):
        y = x * c
        c[0] = 5.0
        return y

    with pytest.raises(ValueError, match=r"multiply saved .* was overwritten since"):
        mg.jacobian(f)(np.ones(2))


def test_a_sum_of_many_cotangents_of_half_precision():
    """Of ones it would stop at 2,048."""
    many = mg.jacobian(lambda x: reduce(add, [x] * 2100))(np.ones(2, np.float16))
    np.testing.assert_array_equal(many.numpy(), 2100 * np.eye(2))
    assert many.dtype == np.float16


@pytest.mark.parametrize("largest", [1, 40, 10**6])
def test_rows_in_parts_are_the_same(monkeypatch, largest):
    monkeypatch.setattr(jacobians, "_LARGEST", largest)
    A = np.random.default_rng(0).standard_normal((7, 5))
    np.testing.assert_allclose(mg.jacobian(lambda x: mg.tensor(A) @ x)(np.ones(5)).numpy(), A, rtol=1e-15)


def test_memory_is_bounded_by_the_largest_array_between():
    """From 10 numbers by way of a million to 64: a pass for all rows would hold 64 million cotangents, 256 MB."""
    wide = np.ones((10, 100_000), np.float32)

    def function(x):
        return ops.tanh(x[:, None] * wide).reshape(64, -1).sum(1)

    x = np.linspace(0, 1, 10, dtype=np.float32)
    mg.jacobian(function)(x)
    tracemalloc.start()
    mg.jacobian(function)(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 4 * jacobians._LARGEST


def test_a_rule_of_a_users_primitive_runs_once_a_row_or_once():
    calls = []

    @primitive(residuals=("x",))
    def cube(x: np.ndarray):
        return x**3, (x,)

    @cube.vjp
    def _(g, needs, x):
        calls.append(g.shape)
        return (3 * x**2 * g,)

    for expected in ([(2,), (2,)], [(2, 2)]):
        np.testing.assert_array_equal(mg.jacobian(cube)(np.array([1.0, 2.0])).numpy(), np.diag([3.0, 12.0]))
        assert calls == expected
        calls.clear()
        cube.batched_vjp(cube.primitive.vjp)


def test_a_hessian_of_a_network_agrees_with_one_product_a_row():
    rng = np.random.default_rng(0)
    W, V, b = rng.standard_normal((6, 5)), rng.standard_normal((5, 4)), rng.standard_normal(5)

    def loss(x):
        return -ops.log_softmax(ops.tanh(ops.affine(x, W, b)) @ V)[2]

    x = rng.standard_normal(6)
    rows = [mg.hvp(loss, [x], [v])[0].numpy() for v in np.eye(6)]
    np.testing.assert_allclose(mg.hessian(loss)(x).numpy(), rows, rtol=1e-10, atol=1e-12)


def with_hidden_outputs():
    """Calls of primitives that have hidden outputs, or take cotangents of several: name, and the node of a call."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: mg.tensor(rng.standard_normal(shape), requires_grad=True)  # noqa: E731
    N, T, D, H = 3, 4, 2, 5
    options = {"lengths": [2, 0, 4], "indices": np.arange(12).reshape(3, 4) % 4}
    yield "rnn", ops.rnn(draw(N, T, D), draw(N, H), draw(D, H), draw(H, H), draw(H)).node
    yield "rnn of rows", ops.rnn(draw(4, D), draw(N, H), draw(D, H), draw(H, H), draw(H), **options).node
    weights = draw(D, 3 * H), draw(H, 3 * H), draw(3 * H), draw(3 * H)
    yield "gru", ops.gru(draw(N, T, D), draw(N, H), *weights).node
    yield "gru of rows", ops.gru(draw(4, D), draw(N, H), *weights, **options).node
    weights = draw(D, 4 * H), draw(H, 4 * H), draw(4 * H)
    yield "lstm", ops.lstm(draw(N, T, D), draw(N, H), *weights, draw(N, H))[0].node
    yield "lstm of rows", ops.lstm(draw(4, D), draw(N, H), *weights, draw(N, H), **options)[0].node


HIDDEN = dict(with_hidden_outputs())


@pytest.mark.parametrize("name", HIDDEN)
def test_many_cotangents_of_any_outputs_hidden_or_not_are_pulled_as_each_by_itself(name):
    node = HIDDEN[name]
    record, rng = node.primitive, np.random.default_rng(0)
    pairs = zip(node.residuals, record.residuals, strict=True)
    hidden = [(array.shape, array.dtype) for array, said in pairs if said.startswith("hidden")]
    specs = [*node.outputs[: record.first_hidden], *hidden]
    several = range(len(specs))
    for there in [several, *([k] for k in several), *([0, k] for k in several[1:])]:
        g = tuple(rng.standard_normal((3, *shape)) if k in there else None for k, (shape, _) in enumerate(specs))
        needs = (True,) * len(node.edges[1])
        found = record.batched_vjp(g if several[1:] else g[0], needs, *node.residuals)
        each_alone = [tuple(None if d is None else d[r] for d in g) for r in range(3)]
        rows = [record.vjp(one if several[1:] else one[0], needs, *node.residuals) for one in each_alone]
        for many, *each in zip(found, *rows, strict=True):
            if each[0] is not None:
                np.testing.assert_allclose(many, np.stack(each), rtol=1e-11, atol=1e-11)
        for k in range(len(needs)):
            need = tuple(i == k for i in range(len(needs)))
            alone = record.batched_vjp(g if several[1:] else g[0], need, *node.residuals)
            if found[k] is not None:
                np.testing.assert_array_equal(alone[k], found[k])


# --- rules of all primitives -------------------------------------------------------------------------


MANY = sorted(name for name in families() if name in RECORDS and RECORDS[name].batched_vjp is not None)


def calls(name, dtype=None):
    """Nodes of some drawn calls of a primitive; the floating inputs in a dtype, if one is given."""
    function = function_of(name)

    def tracked(x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            return x
        return mg.tensor(x if dtype is None else x.astype(dtype), requires_grad=True)

    for case in draw(families()[name].CASES[name], 25):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # half precision overflows, and is near what a function has no value at
            out = function(*map(tracked, case.inputs), **case.options)
        node = outputs_of(out)[0].node
        if node is not None and len(node.edges[0]):
            yield node


@pytest.mark.parametrize(("name", "dtype"), [(name, None) for name in MANY] + [(name, np.float16) for name in MANY])
def test_rules_for_many_cotangents_give_what_those_for_one_do_and_no_more(name, dtype):
    """Each row of what is asked for alone; None, or a by-product, for the rest; in the dtype of the rule for one."""
    R, rng = 5, np.random.default_rng(0)
    for node in calls(name, dtype):
        record, (fed, inputs, _) = node.primitive, node.edges
        gs = tuple(rng.standard_normal((R, *shape)).astype(dtype or kind) for shape, kind in node.outputs)
        for k in fed:
            needs = tuple(i == k for i in range(len(inputs)))
            with np.errstate(all="ignore"):
                found = record.batched_vjp(gs if len(gs) > 1 else gs[0], needs, *node.residuals)
                each = [record.vjp(g if len(g) > 1 else g[0], needs, *node.residuals) for g in zip(*gs, strict=True)]
            assert {i for i, d in enumerate(found) if d is not None and i != k} <= BY_PRODUCTS.get(name, set())
            rows = np.stack([one[k] for one in each])
            assert found[k].dtype == rows.dtype
            tolerance = 1e-11 if dtype is None else 1e-5
            extra = range(1, 1 + found[k].ndim - rows.ndim)  # of a stack, which the engine sums
            np.testing.assert_allclose(found[k].sum(axis=tuple(extra)), rows, rtol=tolerance, atol=tolerance)


def test_losses_of_steps_of_sequences():
    """One an entry, of logits with two axes in front of the classes."""
    logits = np.random.default_rng(0).standard_normal((2, 3, 4))
    for ignored in (None, 1):
        check_rows(lambda x, i=ignored: ops.cross_entropy(x, [[0, 1, 2], [3, 1, 0]], "none", i), logits)


@pytest.mark.parametrize("index", [0, np.array([[0, 2], [2, 1]]), np.array([3, 0, 3, 3])])
def test_what_is_put_at_places_of_which_some_are_named_twice(index):
    """More places are written, or fewer, than there are cotangents."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 2))

    def put(x, values):
        y = ops.put(x * 2, index, values)
        return y[:3] * x[1:]

    check_rows(put, x, rng.standard_normal(x[index].shape))
