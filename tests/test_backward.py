"""The reverse pass: against a naive twin, and its promises on memory, ownership and depth."""

from __future__ import annotations

import itertools
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import backward
from minigrad.backward import unbroadcast
from minigrad.core import plain
from minigrad.observers import Observer, observing


@pytest.fixture(autouse=True, params=["copied", "added to"])
def small_gradients(request, monkeypatch):
    """Run each test with small gradients copied, and with small ones added to in place like large ones."""
    if request.param == "added to":
        monkeypatch.setattr(backward, "_SMALL", -1)


def leaf(*shape, value=1.0):
    return mg.tensor(np.full(shape, value), requires_grad=True)


def declare(vjp, name="odd", **options):
    """A primitive of one input that doubles it, with the given VJP."""

    def forward(x):
        return x * 2, (x,)

    forward.__name__ = name
    function = mg.primitive(**options)(forward) if options else mg.primitive(forward)
    function.vjp(vjp)
    return function


# --- a naive twin: polynomials in the leaves, differentiated by path sums --------------------------


@st.composite
def programs(draw):
    """A straight-line program: each line adds or multiplies two earlier values."""
    leaves = draw(st.integers(1, 4))
    lines = draw(st.integers(1, 25))
    return leaves, [
        (
            draw(st.sampled_from(["add", "multiply"])),
            draw(st.integers(0, leaves + i - 1)),
            draw(st.integers(0, leaves + i - 1)),
        )
        for i in range(lines)
    ]


@given(programs(), st.integers(0, 2**32 - 1))
def test_engine_agrees_with_forward_mode_twin(program, seed):
    """The twin carries dual numbers forward: it shares neither graph nor order with the engine."""
    count, lines = program
    values = np.random.default_rng(seed).uniform(-1.1, 1.1, count)
    duals = [(v, np.eye(count)[i]) for i, v in enumerate(values)]
    tensors = [mg.tensor(np.array(v), requires_grad=True) for v in values]
    for name, i, j in lines:
        (a, da), (b, db) = duals[i], duals[j]
        duals.append((a + b, da + db) if name == "add" else (a * b, a * db + b * da))
        tensors.append(getattr(mg.ops, name)(tensors[i], tensors[j]))
    tensors[-1].backward()
    np.testing.assert_allclose(tensors[-1].data, duals[-1][0], rtol=1e-9)
    for i, tensor in enumerate(tensors[:count]):
        grad = 0.0 if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(grad, duals[-1][1][i], rtol=1e-9, atol=1e-12)


def test_gradients_sum_over_passes_in_place():
    x = leaf(2)
    mg.multiply(x, 3.0).backward(np.ones(2))
    first = x.grad
    mg.multiply(x, 4.0).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [7, 7])
    assert x.grad is first


def test_backward_on_a_leaf_and_on_a_constant():
    x = leaf()
    x.backward()
    assert x.grad == 1
    with pytest.raises(ValueError, match="does not depend on anything that requires a gradient"):
        mg.tensor(1.0).backward()


def test_gradient_argument_is_checked_and_never_aliased():
    x = leaf(2)
    y = mg.add(x, 1.0)
    for wrong, error, text in (
        (None, ValueError, r"\(2,\) needs an explicit gradient"),
        (np.ones(3), ValueError, r"gradient has shape \(3,\), .*\(2,\)"),
        (np.array([1j, 2j]), TypeError, "real numbers"), ([None, 2], TypeError, "real numbers"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            y.backward(wrong)
    g = np.ones(2)
    y.backward(g)
    g[0] = 5
    assert x.grad[0] == 1
    z = leaf(1)
    z.backward(mg.tensor([2.0]))
    assert z.grad[0] == 2


@pytest.mark.parametrize("swapped", [True, False])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("view", [lambda a: a, lambda a: a[:]])
def test_what_one_rule_gives_twice_is_not_added_to(first, view, swapped):
    """Not even if another gradient of the same leaf comes later: x is used by the rule and beside it."""

    @mg.primitive
    def both(x, y):
        return x + y, ()

    @both.vjp
    def _(g, needs):
        same = g * 2
        return same, view(same)

    x, y = leaf(2), leaf(2)
    one, more = (x, y) if swapped else (y, x)
    calls = [lambda: mg.multiply(more, 3.0), lambda: both(x, y)]
    beside, out = [call() for call in calls] if first else [call() for call in calls[::-1]][::-1]
    for total in (mg.add(out, beside), mg.add(beside, out)):
        x.zero_grad()
        y.zero_grad()
        total.backward(np.ones(2), retain_graph=True)
        assert (one.grad.tolist(), more.grad.tolist()) == ([2, 2], [5, 5])


def test_a_residual_is_never_handed_out_as_a_gradient():
    weights = np.arange(2.0)

    @mg.primitive
    def dot(x):
        return np.array(weights @ x), (weights, weights[:1])

    @dot.vjp
    def _(g, needs, w, view):
        return (w,)

    x = leaf(2)
    dot(x).backward()
    x.grad += 1
    np.testing.assert_array_equal(weights, [0, 1])


def test_second_backward_through_freed_residuals_raises():
    x = leaf(1)
    y = mg.multiply(x, x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad[0] == 4
    with pytest.raises(ValueError, match=r"residuals of multiply were freed.*retain_graph=True"):
        y.backward()


def test_residuals_are_freed_as_the_pass_goes():
    counts = []

    @mg.primitive
    def step(x):
        residual = np.ones(1)
        alive.append(weakref.ref(residual))
        return x + 1, (residual,)

    alive: list[weakref.ref] = []
    step.vjp(lambda g, needs, _: counts.append(sum(ref() is not None for ref in alive)) or (g,))
    y = leaf()
    for _ in range(5):
        y = step(y)
    y.backward()
    assert counts == [5, 4, 3, 2, 1]
    assert (y.node.residuals, y.node.primitive.name) == (None, "step")


def test_many_uses_in_half_precision_are_summed_in_single():
    x = mg.tensor(np.zeros(1, np.float16), requires_grad=True)
    mg.sum(mg.concatenate([x * 1 for _ in range(5000)])).backward()
    assert x.grad.dtype == np.float16
    assert x.grad[0] == 5000
    y = x * 1  # of a node as of a leaf
    x.zero_grad()
    mg.sum(mg.concatenate([y * 1 for _ in range(5000)])).backward()
    assert x.grad[0] == 5000


def test_passes_of_several_threads_add_to_the_same_leaf():
    """NumPy lets other threads run while it adds large arrays; of four threads' hundred passes some were lost."""
    weight, passes = leaf(512, 512), 50

    def work():
        for _ in range(passes):
            mg.sum(weight * 1.0).backward()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(weight.grad, np.full((512, 512), 4.0 * passes))


def test_wrong_vjps_are_named():
    x = leaf(2)
    for rule, error, text in (
        (lambda g: g, TypeError, r"must return a tuple of cotangents, not float64 \(2,\)"),
        (lambda g: (None,), ValueError, "returned None for x"), (lambda g: (), TypeError, r"returned 0 entries: .* 1"),
        (lambda g: (g, None), TypeError, "returned 2 entries: .* 1"),
        (lambda g: (np.ones(3),), ValueError, r"returned float64 \(3,\) for x, which is float64 \(2,\)"),
        (lambda g: (3.0,), ValueError, r"returned float64 \(\) for x, which is float64 \(2,\)"),
        (lambda g: (g * 1j,), TypeError, r"returned complex128 \(2,\) for x.*real numbers"),
        (lambda g: (np.array(["a", None], object),), TypeError, r"returned object \(2,\) for x.*real numbers"),
    ):  # fmt: skip
        for options in ({}, {"broadcasts": True}):
            with pytest.raises(error, match=f"VJP of odd {text}"):
                declare(lambda g, needs, x, rule=rule: rule(g), **options)(x).backward(np.ones(2))


def test_a_cotangent_of_the_broadcast_shape_points_to_the_option():
    for shape, returned, hinted in (
        ((3,), (2, 3), True), ((1, 3), (2, 3), True), ((), (3,), True), ((2,), (3,), False), ((2, 3), (3,), False),
        ((3,), (2, 4), False), ((1, 3), (3,), False),
    ):  # fmt: skip
        x = leaf(*shape)
        with pytest.raises(ValueError, match=r"returned .* for x, which is float64") as caught:
            declare(lambda g, needs, x, returned=returned: (np.ones(returned),))(x).backward(np.ones(shape))
        assert ("broadcasts=True" in str(caught.value)) == hinted
    with pytest.raises(TypeError, match=r"real numbers$"):
        declare(lambda g, needs, x: (np.ones((2, 3), complex),))(leaf(3)).backward(np.ones(3))


def test_a_pass_that_fails_frees_only_what_it_visited():
    broken = [True]

    def vjp(g, needs, x):
        if broken[0]:
            raise RuntimeError("not today")
        return (g * 2,)

    x = leaf(2)
    y = declare(vjp)(x * x)
    z = mg.exp(y)
    with pytest.raises(RuntimeError, match="not today"):
        z.backward(np.ones(2))
    broken[0] = False
    with pytest.raises(ValueError, match="residuals of exp were freed"):
        z.backward(np.ones(2))
    assert x.grad is None
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [4, 4])


def test_a_read_only_gradient_is_added_to_by_a_new_array():
    x = leaf(2)
    given = np.ones(2)
    given.flags.writeable = False
    x.grad = given
    (x * 2).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [3, 3])
    np.testing.assert_array_equal(given, [1, 1])


def test_a_cycle_raises_with_the_cycle():
    y = mg.add(mg.add(leaf(1), 1.0), 1.0)
    y.node.parents[0].parents = (y.node,)
    with pytest.raises(ValueError, match=r"cycle: <add float64 \(1,\)> -> <add float64 \(1,\)> -> back to the first"):
        y.backward()


def test_a_rule_is_told_that_dead_inputs_need_nothing():
    told = []

    def forward(a, b):
        return a + b, ()

    both = mg.primitive(forward)
    both.vjp(lambda g, needs: told.append(needs) or (g, g))
    a, b = leaf(2), leaf(2)
    seeds = [backward.seed_of(both(a, b), np.ones(2))]
    for sources in ([b.node], [a.node, b.node], None):
        backward.reverse_pass(seeds, True, sources)
    assert told == [(False, True), (True, True), (True, True)]


@pytest.mark.parametrize("lead", [(), (1,), (2,), (0, 3)])
@pytest.mark.parametrize("shape", [(1,), (1, 2), (2, 1), (1, 1), (2, 1, 3)])
def test_unbroadcast_sums_along_axes_stretched_to_any_length(shape, lead):
    """All ways to stretch axes of length 1 to 0 … 3; the sums of whole numbers are exact."""
    for lengths in itertools.product(*(range(4) if n == 1 else [n] for n in shape)):
        g = np.arange(float(np.prod((*lead, *lengths)))).reshape(*lead, *lengths)
        expected = np.zeros(shape)
        for index in np.ndindex(g.shape):  # each entry goes to the one that it was broadcast from
            expected[tuple(i if n > 1 else 0 for i, n in zip(index[len(lead) :], shape, strict=True))] += g[index]
        found = unbroadcast(g, shape)
        assert found.shape == shape
        np.testing.assert_array_equal(found, expected)


def test_a_million_nodes_are_built_differentiated_and_dropped(full):
    """Destruction must not recurse, which would overflow the C stack."""
    count = 1_000_000 if full else 100_000
    x = leaf()
    y = x
    for _ in range(count):
        y = mg.add(y, x)
    y.backward()
    assert x.grad == count + 1
    del y


def test_several_outputs_get_none_for_unused_ones():
    x = leaf(1, 1)
    h, c = mg.lstm_step(x, x, x, np.ones((1, 4)), np.ones((1, 4)), np.ones(4))
    assert (h.index, c.index) == (0, 1)
    seen = []
    rule = h.node.primitive.vjp
    h.node.primitive.vjp = lambda g, needs, *rest: seen.append([x is None for x in g]) or rule(g, needs, *rest)
    try:
        c.backward(retain_graph=True)
        mg.add(h, c).backward()
    finally:
        h.node.primitive.vjp = rule
    assert seen == [[True, False], [False, False]]


@pytest.mark.parametrize(
    "store", [np.ones((2, 3))[0], np.frombuffer(bytearray(np.ones(3).tobytes()))], ids=["a part", "another's memory"]
)
def test_memory_that_a_rule_keeps_is_not_added_to(store):
    """Each of the two uses is given the same array, in which their sum must not be made."""
    double = declare(lambda g, needs, x: (store,))
    x = leaf(3)
    (double(x) + double(x)).backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, [2, 2, 2])
    np.testing.assert_array_equal(store, [1, 1, 1])


def test_a_number_may_be_a_cotangent():
    number = leaf()
    declare(lambda g, needs, x: (3,))(number).backward()
    assert (number.grad, number.grad.dtype) == (3, np.float64)


@pytest.mark.parametrize("call", [mg.negative, lambda y: -1.0 * y, lambda y: y * -1.0, lambda y: -y.sum(axis=0)])
def test_a_cotangent_goes_to_the_output_that_was_used(call):
    x = leaf(2, 3)
    _, second = mg.split(x, 2)
    call(second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 0, 0], [-1, -1, -1]])


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_vjp_may_return_a_matrix_but_no_masked_array():
    """np.matrix, as of SciPy's todense, multiplies as matrices do."""
    for change in (np.matrix, np.ma.masked_array):
        twice = mg.primitive(lambda x: (x * 2, ()))
        twice.vjp(lambda g, needs, change=change: (change(2 * g),))
        x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        y = twice(x * x).sum()
        if change is np.matrix:
            y.backward()
            np.testing.assert_array_equal(x.grad, 4 * x.data)
        else:
            with pytest.raises(TypeError, match="masked"):
                y.backward()


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_observer_that_returns_nothing_changes_nothing(create_graph):
    class Seen(Observer):
        def cotangent(self, node, g, batched=False):
            seen.append(node)

    seen, x = [], mg.tensor([1.0, 2.0], requires_grad=True)
    with observing(Seen()):
        (x * x).sum().backward(create_graph=create_graph)
    assert len(seen) == 3
    np.testing.assert_array_equal(plain(x.grad), [2, 4])


@pytest.mark.parametrize("pull", [lambda g: g, lambda g: np.broadcast_to(g, (1, 2))[0]])
def test_what_a_rule_passes_on_is_not_the_gradient(pull):
    same = mg.primitive(lambda x: (x + 0, ()))
    same.vjp(lambda g, needs: (pull(g),))
    x, g = leaf(2), np.ones(2)
    same(x).backward(g)
    g[0] = 5
    assert x.grad[0] == 1
    x.zero_grad()
    (same(x) + same(x)).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [2, 2])


def test_a_read_only_cotangent_is_not_added_to():
    def pull(g, needs):
        d = g * 2
        d.flags.writeable = False
        return (d,)

    double = mg.primitive(lambda x: (x * 2, ()))
    double.vjp(pull)
    x = leaf(2)
    (double(x) + double(x)).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [4, 4])


def test_a_node_knows_its_constants_but_does_not_keep_them():
    x, array = mg.tensor(np.ones(3), requires_grad=True), np.arange(3.0)
    numbers = [y.node.constants for y in (x * 3, 0.5 / x, x + np.float32(0.25), x * np.ones(1), mg.where(True, x, 7))]
    assert numbers == [(None, 3), (0.5, None), (None, 0.25), (None, 1.0), (True, None, 7)]
    assert all(type(number) in (int, float, bool, type(None)) for constants in numbers for number in constants)
    first, second = (x + array).node.constants[1], mg.stack([x, array]).node.constants[1]
    assert first[0] is second[0]
    assert first[0]() is array
    assert first[1:] == ((3,), np.dtype(np.float64))
    del array
    assert first[0]() is None
