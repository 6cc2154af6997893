"""Hooks on tensors and retain_grad: when they are called, with what, and what they cannot break."""

from __future__ import annotations

import copy
import gc
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import hooks, nn
from minigrad.backward import graph_of


@pytest.fixture(autouse=True)
def nothing_is_left():
    """After each test no hook is alive: nothing leaks, and one test does not slow the passes of the next."""
    yield
    gc.collect()
    assert not hooks.present()


def leaf(*values, dtype=np.float64):
    return mg.tensor(np.array(values, dtype), requires_grad=True)


# When, and with what ---------------------------------------------------------------------------


def test_a_leafs_hook_gets_the_whole_gradient_once_a_pass_before_it_is_added():
    x = leaf(1.0, 2.0)
    seen = []
    x.register_hook(lambda g: seen.append((g.tolist(), None if x.grad is None else x.grad.tolist())))
    y = (x * x).sum() + (3 * x).sum() + x[0]
    y.backward(retain_graph=True)
    y.backward()
    assert seen == [([6.0, 7.0], None), ([6.0, 7.0], [6.0, 7.0])]
    np.testing.assert_array_equal(x.grad, [12, 14])


def test_what_a_hook_returns_goes_on_and_several_are_called_in_order():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    for hook in (lambda g: g + 1, seen.append, lambda g: g * 10, seen.append):
        y.register_hook(hook)
    x.register_hook(lambda g: -g)
    y.sum().backward()
    np.testing.assert_array_equal(seen, [[2, 2], [20, 20]])
    np.testing.assert_array_equal(x.grad, [-60, -60])
    assert y.grad is None  # which a hook does not retain


def test_each_output_has_its_own_hooks_and_one_that_nobody_used_has_none_called():
    x = leaf(1.0, 2.0, 3.0)
    seen = []
    first, second, third = mg.split(x, [1, 2])
    for name, part in (("third", third), ("first", first), ("second", second)):
        part.register_hook(lambda g, name=name: seen.append((name, g.tolist())))
    third.register_hook(lambda g: g * 100)
    (first * 5 + third * 7).sum().backward()
    assert seen == [("first", [5.0]), ("third", [7.0])]  # in the order of the outputs
    np.testing.assert_array_equal(x.grad, [5, 0, 700])


def test_a_number_as_a_gradient():
    """NumPy makes scalars of arrays without axes."""
    x = mg.tensor(3.0, requires_grad=True)
    seen = []
    x.register_hook(seen.append)
    x.register_hook(lambda g: g * 2)
    (x * x + x).backward()
    assert type(seen[0]) is np.ndarray
    assert x.grad == 14
    x.register_hook(lambda g: 0.5)  # a number of Python's takes the dtype
    (x * x).backward()
    assert x.grad == 14.5


def test_transforms_call_the_hooks_of_what_is_made_in_the_function():
    seen = []
    outside = leaf(5.0)
    outside.register_hook(seen.append)

    def f(x):
        y = x * x
        y.register_hook(lambda g: g * 2)
        return (y + x * outside.detach()).sum()

    np.testing.assert_array_equal(mg.grad(f)(np.array([3.0])).data, [17])
    mg.grad(lambda x: (x * outside).sum())(np.array([3.0]))  # a gradient for x alone
    mg.grad(lambda x: (x * x).sum())(outside)  # the function's x is a leaf of its own
    assert seen == []


# What a hook cannot do -------------------------------------------------------------------------


def test_a_hook_cannot_write_into_the_pass():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seen, mine = [], np.array([7.0, 8.0])
    y = x + w  # whose VJP passes its cotangent on to both

    def write(g):
        seen.append(g)
        with pytest.raises(ValueError, match="read-only"):
            g *= 2
        g.flags.writeable = True  # it is the hook's own
        g[:] = 99

    y.register_hook(write)
    x.register_hook(write)
    y.sum().backward()
    np.testing.assert_array_equal([x.grad, w.grad], [[1, 1], [1, 1]])
    y = x * w
    x.grad = w.grad = None
    x.register_hook(lambda g: mine)
    w.register_hook(lambda g: mine.__setitem__(0, -1.0))
    y.sum().backward()
    x.grad += 1
    np.testing.assert_array_equal(mine, [-1, 8])
    assert not np.shares_memory(x.grad, mine)


@pytest.mark.parametrize(("returned", "error", "text"), [
    (np.ones(3), ValueError, r"float64 \(3,\)"),
    (np.ones((1, 2)), ValueError, r"float64 \(1, 2\)"),
    (np.ones(2, np.float32), ValueError, r"float32 \(2,\)"),
    (np.ones(2, np.int64), ValueError, r"int64 \(2,\)"),
    (1.0, ValueError, r"float64 \(\)"),
    ("one", TypeError, "expected numbers"),
    ([[1.0], [1.0, 2.0]], ValueError, "cotangent or None"),
    (np.ma.array([1.0, 2.0]), TypeError, "masked"),
])  # fmt: skip
def test_what_a_hook_returns_is_checked_and_the_tensor_is_named(returned, error, text):
    with mg.record(), mg.scope("net"):
        y = leaf(1.0, 2.0) * 2
    y.register_hook(lambda g: returned)
    with pytest.raises(error, match=rf"multiply \(called at test_hooks\.py:\d+, in scope net\) .*{text}"):
        y.sum().backward()


def test_what_can_have_no_hook():
    for ask in (lambda t: t.register_hook(print), lambda t: t.retain_grad()):
        for tensor in (mg.tensor([1.0]), nn.Buffer([1.0]), leaf(1.0).detach()):
            with pytest.raises(ValueError, match=r"(register_hook|retain_grad): this tensor requires no gradient"):
                ask(tensor)
    with pytest.raises(TypeError, match=r"a hook must be a function, not float64 \(2,\)"):
        leaf(1.0).register_hook(np.ones(2))


# Registering and removing ----------------------------------------------------------------------


def test_handles():
    x = leaf(1.0)
    seen = []
    handles = [x.register_hook(lambda g, i=i: seen.append(i)) for i in range(3)]
    again = [x.register_hook(seen.append) for _ in range(2)]  # the same function twice
    handles[1].remove()
    handles[1].remove()
    again[0].remove()
    (x * 2).backward(np.ones(1))
    assert seen[:2] == [0, 2]
    assert len(seen) == 3
    for handle in (*handles, *again):
        handle.remove()
    assert not hooks.present()
    (x * 2).backward(np.ones(1))
    assert len(seen) == 3


def test_copies_and_pickles_have_no_hooks():
    x, layer = leaf(1.0), nn.Linear(2, 2)
    x.register_hook(lambda g: g * 100)
    layer.bias.register_hook(lambda g: g * 100)
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.deepcopy(layer).bias):
        twin.sum().backward()
        assert twin.grad.max() == 1
    (copy.copy(x) * 1).backward(np.ones(1))
    assert x.grad == 100  # the same leaf by another name


# retain_grad -----------------------------------------------------------------------------------


def test_retain_grad_sums_over_passes_and_sees_what_hooks_leave():
    x = leaf(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    out = (y * y).sum()
    out.backward(retain_graph=True)
    np.testing.assert_array_equal(y.grad, [12, 24])
    y.grad[0] = 0  # nothing else holds it
    out.backward()
    np.testing.assert_array_equal(y.grad, [12, 48])
    np.testing.assert_array_equal(x.grad, [72, 144])
    y.zero_grad()
    assert y.grad is None


def test_retain_grad_of_several_outputs_and_of_the_end():
    x = leaf(1.0, 2.0, 3.0)
    first, second = mg.split(x, [1])
    second.retain_grad()
    loss = (second * second).sum() * 2
    loss.retain_grad()
    for passes in (1, 2):
        loss.backward(retain_graph=True)
        assert first.grad is None
        np.testing.assert_array_equal(second.grad, np.multiply(passes, [8, 12]))
        assert loss.grad == passes
        assert type(loss.grad) is np.ndarray


# Random graphs ---------------------------------------------------------------------------------


@st.composite
def programs(draw):
    """Straight-line programs of sums, products, splits, and lines that are not tracked; and who has hooks."""
    leaves, lines = draw(st.integers(1, 3)), draw(st.integers(1, 14))
    kinds = st.sampled_from(["add", "multiply", "split", "no_grad", "detach"])
    steps, count = [], leaves
    for _ in range(lines):
        kind = draw(kinds)
        steps.append((kind, draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))))
        count += 2 if kind == "split" else 1
    return leaves, steps, draw(st.lists(st.integers(0, count - 1), max_size=8)), draw(st.integers(0, 2**32 - 1))


def run(leaves, steps, seed, probed=-1, probe=None):
    """The tensors of a program; the probe is added to one of them as it is made."""
    values = np.random.default_rng(seed).uniform(-1.1, 1.1, (leaves, 4))
    tensors: list[mg.Tensor] = []

    def put(*made):
        for tensor in made:
            tensors.append(tensor + probe if len(tensors) == probed else tensor)

    put(*(mg.tensor(value, requires_grad=True) for value in values))
    for kind, i, j in steps:
        a, b = tensors[i], tensors[j]
        if kind == "split":
            halves = mg.split(a, [2])
            put(mg.concatenate([halves[0], halves[0]]), mg.concatenate([halves[1], halves[0]]))
        elif kind == "no_grad":
            with mg.no_grad():
                made = a * b
            put(made)
        else:
            put(a.detach() + b if kind == "detach" else getattr(mg, kind)(a, b))
    out = sum((tensor.sum() for tensor in tensors[-3:] if tensor.node is not None), mg.tensor(0.0)) + tensors[0].sum()
    return tensors, out


@given(programs(), st.integers(1, 3))
def test_over_random_graphs_each_is_called_once_a_pass_with_the_gradient_and_children_first(program, passes):
    leaves, steps, hooked, seed = program
    tensors, out = run(leaves, steps, seed)
    calls = []
    for number, i in enumerate(hooked):
        if tensors[i].node is not None:
            tensors[i].register_hook(lambda g, n=number, i=i: calls.append((n, i, g)))
            tensors[i].retain_grad()
    for _ in range(passes):
        out.backward(retain_graph=True)
    position = {node: place for place, node in enumerate(graph_of([out.node]).nodes)}
    expected = [n for n, i in enumerate(hooked) if tensors[i].node in position]
    assert sorted(n for n, _, _ in calls) == sorted(expected * passes)
    for p in range(passes):
        places = [(-position[tensors[i].node], tensors[i].index, n)
                  for n, i, _ in calls[p * len(expected) : (p + 1) * len(expected)]]  # fmt: skip
        assert places == sorted(places)
    for n, i, g in calls[: len(expected)]:
        np.testing.assert_allclose(tensors[i].grad, passes * g, rtol=1e-12)
        probe = mg.tensor(np.zeros(4), requires_grad=True)  # whose gradient is the tensor's
        run(leaves, steps, seed, i, probe)[1].backward()
        np.testing.assert_allclose(g, probe.grad, rtol=1e-9, atol=1e-12, err_msg=f"hook {n}")


# Passes of other kinds -------------------------------------------------------------------------


def test_in_a_pass_that_leaves_a_graph_hooks_take_and_give_tensors():
    x, seen = leaf(2.0), []
    y = x * x
    handle = y.register_hook(lambda g: g * g)
    x.register_hook(seen.append)
    y.retain_grad()
    (y * y).sum().backward(create_graph=True)  # 2 y, squared by the hook: 4 x^4, times 2 x
    assert isinstance(seen[0], mg.Tensor)
    np.testing.assert_allclose([seen[0].data, x.grad.data, y.grad.data], [[256], [256], [64]])
    penalty, x.grad, seen[:] = x.grad, None, []
    handle.remove()  # else the cotangent of y would be squared in this pass too
    penalty.sum().backward()  # 8 x^5
    np.testing.assert_allclose(x.grad, [640])
    assert type(seen[0]) is np.ndarray
    assert type(y.grad) is np.ndarray


# What such a pass calls ------------------------------------------------------------------------


def test_what_a_hook_returns_is_taken_as_exactly_as_it_is():
    x = mg.tensor([1.0, 2.0], np.float64, requires_grad=True)
    y = x * 1.0
    y.register_hook(lambda g: [0.1, 0.2])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.array([0.1, 0.2]))
    for value, text in ((mg.tensor([1.0, 2.0], np.float32), "float32"), (np.ma.masked_array(np.ones(2)), "masked")):
        y = x * 1.0
        y.register_hook(lambda g, value=value: value)
        with pytest.raises((TypeError, ValueError), match=text):
            y.sum().backward()


def test_a_jacobian_calls_the_hook_of_one_output_of_several():
    def f(x, k):
        parts = mg.split(x, 2)
        parts[0].register_hook(lambda g: 2 * g)
        return parts[k]

    x = np.arange(4.0)
    np.testing.assert_array_equal(mg.jacobian(lambda x: f(x, 0))(x).numpy(), 2 * np.eye(4)[:2])
    np.testing.assert_array_equal(mg.jacobian(lambda x: f(x, 1))(x).numpy(), np.eye(4)[2:])


def test_the_tensor_of_a_wrong_hook_is_named():
    layer, x = nn.Linear(2, 3), leaf(1.0, 2.0)
    for tensor, root, name in (
        (layer.weight, layer(np.ones((1, 2), np.float32)).sum(), r"the parameter Linear\.weight"),
        (part := mg.split(x, [1])[1], part.sum(), "output 1 of split"), (x, x.sum(), r"<leaf float64 \(2,\)>"),
    ):  # fmt: skip
        tensor.register_hook(lambda g: np.ones(7))
        with pytest.raises(ValueError, match=rf"a hook on {name} returned float64 \(7,\)"):
            root.backward()


def test_a_hook_must_not_cut_a_derivative():
    def f(x):
        y = x**3
        y.register_hook(lambda g: g.numpy() * 2)
        return y

    with pytest.raises(TypeError, match=r"returned .* for a tensor, which would cut the derivative"):
        mg.jvp(f, [np.ones(2)], [np.ones(2)])


def test_hooks_may_be_registered_while_another_thread_runs_a_pass():
    errors, stop = [], threading.Event()

    def register():
        while not stop.is_set():
            y = mg.tensor([1.0], requires_grad=True) * 2
            kept.append(y)
            y.register_hook(lambda g: None)

    kept: list[mg.Tensor] = []
    thread = threading.Thread(target=register)
    thread.start()
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    try:
        for _ in range(500):
            (x * x).sum().backward()
    except RuntimeError as error:
        errors.append(error)
    stop.set()
    thread.join()
    assert not errors


@pytest.mark.parametrize("swapped", [False, True])
def test_a_hook_of_a_leaf_is_called_as_soon_as_its_gradient_is_complete(swapped):
    called = []
    W, V = (mg.tensor([1.0, 1.0], requires_grad=True) for _ in range(2))
    h = V * 2
    for name, tensor in (("W", W), ("h", h), ("V", V)):
        tensor.register_hook(lambda g, name=name: called.append(name))
    (h * W if swapped else W * h).sum().backward()
    assert called == ["W", "h", "V"]
