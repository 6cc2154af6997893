"""Hooks on tensors and retain_grad: when they are called, with what, and what they cannot break."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import weakref
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import hooks, nn
from minigrad.backward import graph_of
from minigrad.core import Node
from minigrad.observers import global_observers
from minigrad.primitives import PRIMITIVES


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


def test_an_inner_tensors_hook_is_called_before_the_vjp_that_made_it():
    order = []

    @mg.primitive
    def told(x):
        return x * 2, ()

    @told.vjp
    def _(g, needs):
        order.append(("vjp", g.tolist()))
        return (g * 2,)

    del PRIMITIVES[f"{__name__}.told"]
    x = leaf(1.0)
    y = told(x)
    y.register_hook(lambda g: order.append(("y", g.tolist())))
    x.register_hook(lambda g: order.append(("x", g.tolist())))
    (y * y + y).backward(np.ones(1))
    assert order == [("y", [5.0]), ("vjp", [5.0]), ("x", [10.0])]


def test_what_a_hook_returns_goes_on_and_several_are_called_in_order():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: g + 1)
    y.register_hook(seen.append)
    y.register_hook(lambda g: g * 10)
    y.register_hook(seen.append)
    x.register_hook(lambda g: -g)
    y.sum().backward()
    np.testing.assert_array_equal(seen, [[2, 2], [20, 20]])
    np.testing.assert_array_equal(x.grad, [-60, -60])


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


def test_the_tensor_that_backward_is_called_on_has_its_hook_called_too():
    x = leaf(2.0)
    x.register_hook(lambda g: g * 3)
    x.backward(np.ones(1))
    y = x * 1
    y.register_hook(lambda g: g * 5)
    y.backward(np.ones(1))
    assert x.grad == 3 + 15


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


def test_many_uses_in_half_precision():
    x = mg.tensor(np.ones(1, np.float16), requires_grad=True)
    seen = []
    x.register_hook(seen.append)
    x.register_hook(lambda g: g / 2)
    mg.stack([x * 1 for _ in range(3000)]).sum().backward()
    total = x
    for _ in range(3000):
        total = total + x
    total.backward(np.ones(1, np.float16))
    assert [(g.dtype.name, g.item()) for g in seen] == [("float16", 3000.0), ("float16", 3000.0)]
    assert x.grad == 3000


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
    y = mg.tensor([1.0], requires_grad=True) * 2
    y.retain_grad()
    mg.grad(lambda x: (x * y.detach()).sum())(np.array([1.0]))
    assert y.grad is None


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


def test_a_gradient_that_a_hook_kept_does_not_change_later():
    x = leaf(1.0, 2.0)
    seen = []
    x.register_hook(seen.append)
    for _ in range(3):
        (x * 2).sum().backward()  # adds to x.grad in place
    np.testing.assert_array_equal(seen, [[2, 2]] * 3)


@pytest.mark.parametrize(("returned", "error", "text"), [
    (np.ones(3), ValueError, r"returned float64 \(3,\): .* float64 \(2,\)"),
    (np.ones((1, 2)), ValueError, r"returned float64 \(1, 2\)"),
    (np.ones(2, np.float32), ValueError, r"returned float32 \(2,\)"),
    (np.ones(2, int), ValueError, r"returned int64 \(2,\)"),
    (1.0, ValueError, r"returned float64 \(\)"),
    ("one", TypeError, "must return a cotangent or None: expected numbers"),
    ([[1.0], [1.0, 2.0]], ValueError, "must return a cotangent or None"),
    (np.ma.array([1.0, 2.0]), TypeError, "must return a cotangent or None: a masked array"),
])  # fmt: skip
def test_what_a_hook_returns_is_checked_and_the_tensor_is_named(returned, error, text):
    x = leaf(1.0, 2.0)
    with mg.record(), mg.scope("net"):
        y = x * 2
    handle = y.register_hook(lambda g: returned)
    name = r"a hook on the output of multiply \(called at test_hooks\.py:\d+, in scope net\) "
    with pytest.raises(error, match=name + text):
        y.sum().backward()
    handle.remove()
    layer = nn.Linear(2, 3)
    layer.weight.register_hook(lambda g: np.ones(7))
    with pytest.raises(ValueError, match=r"a hook on the parameter Linear\.weight returned float64 \(7,\)"):
        layer(np.ones((1, 2), np.float32)).sum().backward()
    part = mg.split(x, [1])[1]
    part.register_hook(lambda g: np.ones(7))
    with pytest.raises(ValueError, match=r"a hook on output 1 of split returned"):
        part.backward(np.ones(1))
    x.register_hook(lambda g: np.ones(7))
    with pytest.raises(ValueError, match=r"a hook on <leaf float64 \(2,\)> returned"):
        x.sum().backward()


def test_a_tensor_may_be_returned_and_written_into_later():
    x, mine = leaf(1.0, 2.0), mg.tensor(np.array([5.0, 6.0]))
    y = x * 1
    y.register_hook(lambda g: mine)
    y.register_hook(lambda g: mine.data.fill(0.0))
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 6])


def test_what_can_have_no_hook():
    for ask in (lambda t: t.register_hook(print), lambda t: t.retain_grad()):
        for tensor in (mg.tensor([1.0]), nn.Buffer([1.0]), leaf(1.0).detach()):
            with pytest.raises(ValueError, match=r"(register_hook|retain_grad): this tensor requires no gradient"):
                ask(tensor)
    with pytest.raises(TypeError, match=r"a hook must be a function, not float64 \(2,\)"):
        leaf(1.0).register_hook(np.ones(2))


def test_an_error_in_a_hook_leaves_the_pass_as_one_of_a_rule_does():
    x = leaf(1.0, 2.0)
    y = mg.exp(x)
    z = (y * y).sum()
    handle = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        z.backward()
    assert x.grad is None
    handle.remove()
    with pytest.raises(ValueError, match=r"residuals of sum were freed by an earlier backward pass"):
        z.backward()
    z = (mg.exp(x) ** 2).sum()
    handle = x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        z.backward(retain_graph=True)
    handle.remove()
    z.backward()
    np.testing.assert_allclose(x.grad, 2 * np.exp([2.0, 4.0]))


def test_a_hook_that_writes_into_what_the_pass_needs_is_noticed():
    w, x = leaf(2.0, 3.0), leaf(4.0, 5.0)
    inner = w * x
    outer = inner * 1.0
    outer.register_hook(lambda g: mg.optim.SGD([w], lr=0.1).step() if w.grad is not None else None)
    w.grad = np.ones(2)
    with pytest.raises(ValueError, match=r"multiply saved float64 \(2,\) for its gradient, and it, .* was written"):
        outer.sum().backward()
    a, y = leaf(1.0, 1.0), mg.exp(x * 1)
    a.register_hook(lambda g: y.detach().__setitem__(0, 0.0))  # a leaf that is visited before exp
    with pytest.raises(ValueError, match=r"exp saved float64 \(2,\) for its gradient, and it, .* was written"):
        (a * y).sum().backward()


def test_a_pass_within_a_hook():
    x, found = leaf(2.0), []

    def inner(g):
        y = leaf(3.0)
        (y * y).sum().backward()
        found.append(y.grad.item())

    z = mg.exp(x) * 2
    z.register_hook(inner)
    z.sum().backward()
    assert found == [6.0]
    np.testing.assert_allclose(x.grad, 2 * np.exp([2.0]))


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


def test_removed_and_registered_while_it_runs():
    x = leaf(1.0)
    seen = []

    def first(g):
        seen.append("first")
        second.remove()
        x.register_hook(lambda g: seen.append("late"))

    x.register_hook(first)
    second = x.register_hook(lambda g: seen.append("second"))
    x.register_hook(lambda g: seen.append("third"))
    x.backward(np.ones(1))
    assert seen == ["first", "third"]
    x.backward(np.ones(1))
    assert seen[2:] == ["first", "third", "late"]


def test_a_hook_works_after_its_tensor_is_gone_and_keeps_nothing_alive():
    x = leaf(1.0)
    seen = []
    y = x * 2
    handle = y.register_hook(seen.append)
    gone = weakref.ref(y)
    z = y * 3
    del y
    gc.collect()
    assert gone() is None
    z.backward(np.ones(1))
    assert seen == [[3.0]]
    big = mg.exp(leaf(*range(10)))
    output = weakref.ref(big.node.residuals[0])
    kept = big.register_hook(lambda g: None)
    big.retain_grad()
    del big, z
    assert output() is None  # without the collector: hooks make no cycle
    kept.remove()
    handle.remove()
    assert not hooks.present()


def test_a_hook_that_refers_to_its_tensor_is_collected_with_it():
    y = leaf(1.0) * 2
    gone = weakref.ref(y)
    y.register_hook(lambda g, y=y: y)
    del y
    gc.collect()
    assert gone() is None


def test_copies_and_pickles_have_no_hooks():
    x, layer = leaf(1.0), nn.Linear(2, 2)
    x.register_hook(lambda g: g * 100)
    layer.bias.register_hook(lambda g: g * 100)
    twins = [copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.deepcopy(layer).bias,
             pickle.loads(pickle.dumps(layer)).bias]  # fmt: skip
    for twin in twins:
        twin.sum().backward()
        assert twin.grad.max() == 1
        seen = []
        twin.register_hook(seen.append)  # and can have their own
        twin.sum().backward()
        assert len(seen) == 1
    assert (copy.copy(x) * 1).backward(np.ones(1)) is None
    assert x.grad == 100  # the same leaf by another name


def test_nodes_without_hooks_have_no_slot_set():
    x = leaf(1.0)
    y = x * 2
    (leaf(1.0) * 2).register_hook(print)
    assert not hasattr(y.node, "hooks")
    assert not hasattr(x.node, "hooks")
    assert y.grad is None
    assert "hooks" in Node.__slots__


def test_threads_that_register_the_first_hook_of_a_leaf(request):
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    for _ in range(200):
        x, seen = leaf(1.0), []
        start = threading.Barrier(4)

        def register(x=x, seen=seen, start=start):
            start.wait()
            x.register_hook(seen.append)

        threads = [threading.Thread(target=register) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        x.backward(np.ones(1))
        assert len(seen) == 4


def test_passes_of_several_threads_call_it_once_each():
    x = leaf(1.0, 2.0)
    counts, retained = [], x * 1.0
    x.register_hook(lambda g: counts.append(g.tolist()))
    retained.retain_grad()

    def work():
        for _ in range(50):
            (x * 3).sum().backward()
            (retained * 2).sum().backward(retain_graph=True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 400
    np.testing.assert_array_equal(x.grad, [1000, 1000])
    np.testing.assert_array_equal(retained.grad, [400, 400])


# retain_grad -----------------------------------------------------------------------------------


def test_retain_grad_sums_over_passes_and_sees_what_hooks_leave():
    x = leaf(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g * 2)
    z = mg.exp(y)
    y.retain_grad()
    y.retain_grad()
    out = (y * y).sum()
    out.backward(retain_graph=True)
    np.testing.assert_array_equal(y.grad, [12, 24])
    y.grad[0] = 0  # nothing else holds it
    out.backward()
    np.testing.assert_array_equal(y.grad, [12, 48])
    np.testing.assert_array_equal(x.grad, [72, 144])
    assert z.grad is None
    y.zero_grad()
    assert y.grad is None
    x.retain_grad()  # no-op
    with pytest.raises(ValueError, match="can only be set on a leaf"):
        y.grad = np.ones(2)


def test_retain_grad_of_several_outputs_and_of_the_end():
    x = leaf(1.0, 2.0, 3.0)
    first, second = mg.split(x, [1])
    second.retain_grad()
    loss = (second * second).sum() * 2
    loss.retain_grad()
    loss.backward()
    assert first.grad is None
    np.testing.assert_array_equal(second.grad, [8, 12])
    assert loss.grad == 1
    assert type(loss.grad) is np.ndarray


def test_a_pass_that_fails_adds_to_no_gradient():
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    handle = x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (y * 3).sum().backward()
    assert y.grad is None
    handle.remove()


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


def run(leaves, steps, seed):
    values = np.random.default_rng(seed).uniform(-1.1, 1.1, (leaves, 4))
    tensors = [mg.tensor(value, requires_grad=True) for value in values]
    for kind, i, j in steps:
        a, b = tensors[i], tensors[j]
        if kind == "split":
            halves = mg.split(a, [2])
            tensors += [mg.concatenate([halves[0], halves[0]]), mg.concatenate([halves[1], halves[0]])]
        elif kind == "no_grad":
            with mg.no_grad():
                tensors.append(a * b)
        else:
            tensors.append(a.detach() + b if kind == "detach" else getattr(mg, kind)(a, b))
    return tensors


@given(programs(), st.integers(1, 3))
def test_over_random_graphs_each_is_called_once_a_pass_with_the_gradient_and_children_first(program, passes):
    leaves, steps, hooked, seed = program
    tensors = run(leaves, steps, seed)
    out = sum((tensor.sum() for tensor in tensors[-3:] if tensor.node is not None), mg.tensor(0.0)) + tensors[0].sum()
    reached = set(graph_of([out.node]).nodes)
    calls, handles = [], []
    for number, i in enumerate(hooked):
        if tensors[i].node is not None:
            handles.append(tensors[i].register_hook(lambda g, n=number, i=i: calls.append((n, i, g))))
            tensors[i].retain_grad()
    for _ in range(passes):
        out.backward(retain_graph=True)
    position = {node: place for place, node in enumerate(graph_of([out.node]).nodes)}
    expected = [n for n, i in enumerate(hooked) if tensors[i].node in reached]
    assert sorted(n for n, _, _ in calls) == sorted(expected * passes)
    for p in range(passes):
        places = [(-position[tensors[i].node], tensors[i].index, n)
                  for n, i, _ in calls[p * len(expected) : (p + 1) * len(expected)]]  # fmt: skip
        assert places == sorted(places)
    for _, i, g in calls:
        np.testing.assert_allclose(tensors[i].grad, passes * g, rtol=1e-12)
    # The same with a fresh leaf added at the tensor: the leaf's gradient is the tensor's.
    for n, i, g in calls[: len(expected)]:
        twin = rerun_with_probe(program, i)
        np.testing.assert_allclose(g, twin, rtol=1e-9, atol=1e-12, err_msg=f"hook {n}")


def rerun_with_probe(program, probed):
    """The gradient of tensor number ``probed``, found by other means: of a zero that is added to it as it is made."""
    leaves, steps, _, seed = program
    probe = mg.tensor(np.zeros(4), requires_grad=True)
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
    out.backward()
    return probe.grad


@given(programs())
def test_hooks_that_return_nothing_or_what_they_got_change_no_bit(program):
    leaves, steps, hooked, seed = program
    plain, watched = run(leaves, steps, seed), run(leaves, steps, seed)
    for number, i in enumerate(hooked):
        if watched[i].node is not None:
            watched[i].register_hook((lambda g: None) if number % 2 else (lambda g: g))
    for tensors in (plain, watched):
        (sum((t.sum() for t in tensors if t.node is not None), mg.tensor(0.0))).backward()
    for a, b in zip(plain[:leaves], watched[:leaves], strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)
        assert b.grad.flags.writeable


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


def test_retained_gradients_sum_over_passes_of_both_kinds():
    x = leaf(3.0)
    y = x * 1
    y.retain_grad()
    for create_graph in (False, True, False):
        (y * y).sum().backward(retain_graph=True, create_graph=create_graph)
    assert np.asarray(getattr(y.grad, "data", y.grad)) == 18
    assert np.asarray(getattr(x.grad, "data", x.grad)) == 18


def test_a_jacobian_calls_hooks_for_each_row():
    seen = []

    def f(x):
        y = mg.exp(x)
        y.register_hook(lambda g: seen.append(g.tolist()))
        y.register_hook(lambda g: g * 2)
        return y * np.array([1.0, 10.0])

    x = np.array([0.0, 1.0])
    np.testing.assert_allclose(mg.jacobian(f)(x).data, np.diag(np.exp(x) * [2, 20]))
    assert seen == [[1, 0], [0, 10]]


def test_errors_in_a_pass_that_leaves_a_graph_say_where_the_forward_was():
    x = leaf(2.0)
    with mg.record(), mg.scope("net"):
        y = x * x
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError) as info:
        y.sum().backward(create_graph=True)
    assert info.value.__notes__[0].startswith("backward: at multiply (called at test_hooks.py:")
    assert x.grad is None
    with mg.scope("weights"):
        x = leaf(2.0)
    x.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError) as info:
        (x * x).sum().backward(create_graph=True)
    assert info.value.__notes__ == ["backward: at a leaf (in scope weights)"]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_checkpoint_calls_hooks_once_a_pass_with_whole_gradients(create_graph):
    def told(checkpointed):
        W, x, calls = leaf(0.5), leaf(2.0), []

        def tell(name, tensor):
            tensor.register_hook(lambda g: calls.append((name, mg.tensor(g).item())))

        def f(x):
            y = x * W
            tell("y", y)
            return y * W

        tell("W", W)
        tell("x", x)
        h = x
        for _ in range(2):
            h = mg.checkpoint(f, h) if checkpointed else f(h)
        (h + W).sum().backward(create_graph=create_graph)
        return sorted(calls)

    assert told(True) == told(False)
    assert [name for name, _ in told(True)] == ["W", "x", "y", "y"]


def test_a_certificate_beside_hooks_that_change_nothing():
    x, seen = leaf(2.0), []
    y = x * x
    y.retain_grad()
    y.register_hook(seen.append)
    certificate = mg.check.certify_backward((y * y).sum())
    assert list(certificate.gradients) == [x.node]
    assert seen == [[8.0]]
    assert y.grad is None


# What such a pass calls ------------------------------------------------------------------------


def test_tensors_as_cotangents_stay_tensors_and_keep_their_nodes():
    x = leaf(1.0, 2.0)
    first, second = mg.split(x * 1, [1])
    seen = []
    second.register_hook(seen.append)
    second.register_hook(lambda g: g * g)
    g = leaf(3.0)
    (called,) = [observer for observer, enabled in global_observers.items() if enabled()]
    nothing, squared = called.cotangent(second.node, (None, g))
    assert nothing is None
    assert seen[0] is g
    squared.backward(np.ones(1))
    assert g.grad == 6
    first.register_hook(lambda g: np.array([2.0]))  # an array is a constant
    assert called.cotangent(second.node, (g, None))[0].node is None
    second.register_hook(lambda g: mg.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="a hook on output 1 of split returned float32"):
        called.cotangent(second.node, (None, g))
    assert called.cotangent(x.node, g) is g


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


def test_a_leaf_retains_its_gradient_anyway():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.retain_grad()
    assert not hasattr(x.node, "hooks")
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 3])
