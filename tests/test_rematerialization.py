"""mg.checkpoint: the same gradients for less memory."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops

RNG = np.random.default_rng(0)


def weights(*shapes):
    return [mg.tensor(RNG.standard_normal(shape) / 2, requires_grad=True) for shape in shapes]


def gradients(loss, leaves):
    for leaf in leaves:
        leaf.zero_grad()
    value = loss()
    value.backward()
    return value.item(), [None if leaf.grad is None else leaf.grad.copy() for leaf in leaves]


def assert_alike(first, second):
    np.testing.assert_allclose(second[0], first[0], rtol=1e-12)
    for a, b in zip(first[1], second[1], strict=True):
        assert (a is None) == (b is None)
        np.testing.assert_allclose(0 if a is None else a, 0 if b is None else b, rtol=1e-9, atol=1e-12)


def test_arguments_and_what_is_closed_over_get_their_gradients():
    W, b, x = weights((3, 3), (3,), (2, 3))
    unused = mg.tensor([1.0], requires_grad=True)

    def loss(call):
        outside = x * 2  # no leaf

        def f(h, extra):
            return mg.tanh(h @ W + b) * outside[:, :3] + extra["c"]

        h = x
        for _ in range(3):
            h = call(f, h, {"c": x + unused * 0})
        return (h * h).sum()

    plain = gradients(lambda: loss(lambda f, *a: f(*a)), [W, b, x, unused])
    kept = gradients(lambda: loss(mg.checkpoint), [W, b, x, unused])
    assert_alike(plain, kept)


def test_modules_and_dropout_are_replayed():
    mg.manual_seed(0)
    model = mg.nn.Sequential(mg.nn.Linear(4, 8), mg.nn.Dropout(0.5), mg.nn.Tanh(), mg.nn.Dropout(0.3, rng=5))
    x = RNG.standard_normal((3, 4)).astype(np.float32)

    def run(call):
        mg.manual_seed(1)
        model[3].rng = np.random.default_rng(7)
        found = gradients(lambda: (call(model, x) ** 2).sum(), list(model.parameters()))
        return found, mg.rng.generator().random(), model[3].rng.random()

    plain, kept = run(lambda f, x: f(x)), run(mg.checkpoint)
    assert_alike(plain[0], kept[0])
    assert plain[1:] == kept[1:]  # the replay leaves the generators where they were


def test_a_function_of_constants_leaves_no_vertex():
    x = mg.tensor([1.0])
    assert not mg.checkpoint(lambda x: x * 2, x).requires_grad
    (w,) = weights((2,))
    with mg.no_grad():
        assert not mg.checkpoint(lambda x: x * 2, w).requires_grad
    assert mg.checkpoint(lambda: 5) == 5


def test_checkpoints_within_checkpoints():
    (x,) = weights((3,))
    inner = lambda x: mg.checkpoint(mg.tanh, x * x)  # noqa: E731
    plain = gradients(lambda: (mg.tanh(x * x) * x).sum(), [x])
    kept = gradients(lambda: mg.checkpoint(lambda x: (inner(x) * x).sum(), x), [x])
    assert_alike(plain, kept)


def test_derivatives_of_any_order_pass_through():
    A = RNG.standard_normal((3, 3))
    f = lambda x: (mg.tanh(A @ mg.sin(x)) ** 2).sum()  # noqa: E731
    g = lambda x: (mg.checkpoint(lambda h: mg.tanh(A @ h), mg.sin(x)) ** 2).sum()  # noqa: E731
    x = RNG.standard_normal(3)
    np.testing.assert_allclose(mg.hessian(g)(x).numpy(), mg.hessian(f)(x).numpy(), rtol=1e-12)
    third = [mg.jacobian(mg.hessian(h))(x).numpy() for h in (f, g)]
    np.testing.assert_allclose(*third, rtol=1e-10)
    h0, W = weights((2, 4), (3 + 4, 16))
    lstm = lambda x: ops.lstm(x, h0, W[:3], W[3:], np.zeros(16))[0]  # noqa: E731
    X = RNG.standard_normal((2, 5, 3))
    products = [
        mg.hvp(lambda x, c=c: (c(x) ** 2).sum(), [X], [X])[0].numpy() for c in (lstm, lambda x: mg.checkpoint(lstm, x))
    ]
    np.testing.assert_allclose(*products, rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_random_programs_have_the_same_gradients(seed):
    """In pieces between random places, of operations on whatever was computed before."""
    rng = np.random.default_rng(seed)
    leaves = [mg.tensor(rng.standard_normal(3), requires_grad=True) for _ in range(3)]
    plan = [(rng.integers(4), rng.integers(100), rng.integers(100)) for _ in range(12)]
    cuts = sorted({0, 12, *rng.integers(0, 12, 3).tolist()})

    operations = [
        lambda a, b: a * b,
        lambda a, b: mg.tanh(a) + b,
        lambda a, b: a[::-1] - b,
        lambda a, b: mg.split(a, [1])[1].sum() * b,
    ]

    def steps(values, plan):
        for op, i, j in plan:
            values.append(operations[op](values[i % len(values)], values[j % len(values)]))
        return values

    def loss(call):
        values = list(leaves)
        for start, end in pairwise(cuts):
            values = call(lambda values, part: steps(list(values), part), values, plan[start:end])
        return sum((v.sum() for v in values[-4:]), mg.tensor(0.0, np.float64))

    def piece(f, values, part):
        return mg.checkpoint(lambda *v: f(v, part), *values)

    plain = gradients(lambda: loss(lambda f, v, p: f(v, p)), leaves)
    kept = gradients(lambda: loss(piece), leaves)
    np.testing.assert_allclose(kept[0], plain[0], rtol=1e-12)
    for a, b in zip(plain[1], kept[1], strict=True):
        np.testing.assert_allclose(
            np.zeros(3) if b is None else b, np.zeros(3) if a is None else a, rtol=1e-9, atol=1e-12
        )


def peak_of_an_lstm(pieces, steps=500, N=8, H=32):
    """Bytes at the peak of a forward and a backward pass over a loop of steps, and the gradients."""
    rng = np.random.default_rng(0)
    W = [
        mg.tensor(rng.standard_normal(s).astype(np.float32) / 6, requires_grad=True)
        for s in ((H, 4 * H), (H, 4 * H), (4 * H,))
    ]
    x = rng.standard_normal((steps, N, H)).astype(np.float32)

    def run(h, c, start, end):
        for t in range(start, end):
            h, c = ops.lstm_step(x[t], h, c, *W)
        return h, c

    tracemalloc.start()
    h = c = mg.tensor(np.zeros((N, H), np.float32))
    for start in range(0, steps, steps // pieces):
        call = (lambda *a: run(*a)) if pieces == 1 else (lambda *a: mg.checkpoint(run, *a))
        h, c = call(h, c, start, start + steps // pieces)
    (h * h).sum().backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, [w.grad for w in W]


def test_an_lstm_of_500_steps_needs_several_times_less_memory():
    plain, expected = peak_of_an_lstm(1)
    little, found = peak_of_an_lstm(20)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert plain > 5 * little, plain / little


def test_an_anomaly_within_a_checkpoint_is_named():
    x = mg.tensor([4.0, 0.0], requires_grad=True)
    with mg.detect_anomaly():
        y = mg.checkpoint(lambda x: mg.sqrt(x).sum(), x)
        with pytest.raises(FloatingPointError, match="the VJP of sqrt"):
            y.backward()


def test_a_function_that_does_something_else_when_run_again_is_refused():
    calls = []

    def changing(h):
        calls.append(1)
        return h * 2 if len(calls) == 1 else h[:1] * 10

    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"checkpoint: .* ran again: .* float32 \(1,\)"):
        mg.checkpoint(changing, x).sum().backward()

    def fewer(h):
        calls.append(1)
        return (h, h * 2) if len(calls) == 1 else (h,)

    calls.clear()
    with pytest.raises(ValueError, match="when it ran again"):
        mg.checkpoint(fewer, x)[1].sum().backward()


def overwriting(array):
    array[...] = array[::-1].copy()


def writes():
    """Functions, their arguments, and writes into something that they use."""
    x = mg.tensor([[2.0, 1.0]], requires_grad=True)
    layer = mg.nn.Linear(2, 2)
    tensor, index, lengths, mask = mg.tensor([3.0, 4.0]), np.array([1, 0]), np.array([2, 1]), np.array([True, False])
    weights, labels, table = np.array([1.0, 2.0], np.float32), np.array([0]), np.array([5.0, 6.0])
    rnn = mg.nn.RNN(2, 2)
    ema = mg.optim.EMA(layer)
    ema.update()
    layer.weight.data += 1

    yield "tensor", lambda x, c: x * c, (x, tensor), lambda: overwriting(tensor)
    yield "index", lambda x: x[0, index] * weights, (x,), lambda: overwriting(index)
    yield (
        "lengths",
        lambda x: rnn(mg.stack([x, 2 * x]).reshape(2, 2, 1) * np.ones(2), lengths=lengths)[0],
        (x,),
        (lambda: overwriting(lengths)),
    )
    yield "mask", lambda x: mg.attention(x.T, x.T, x.T, mask=mask[None]), (x,), lambda: overwriting(mask)
    yield "class weights", lambda x: mg.cross_entropy(x, labels, weight=weights), (x,), lambda: overwriting(weights)
    yield "untracked code", lambda x: x * mg.exp(tensor)[0], (x,), lambda: overwriting(tensor)
    yield "NumPy's code", lambda x: x * float(table[0]), (x,), lambda: overwriting(table)
    yield "parameter", layer, (x,), lambda: layer.load_state_dict(layer.state_dict())
    yield "replaced .data", layer, (x,), lambda: setattr(layer.weight, "data", layer.weight.data.copy())


@pytest.mark.parametrize("how", [how for how, *_ in writes()])
def test_writes_into_what_the_function_uses_are_refused(how):
    function, arguments, write = next(row[1:] for row in writes() if row[0] == how)
    mg.checkpoint(function, *arguments).sum().backward()
    y = mg.checkpoint(function, *arguments)
    write()
    with pytest.raises(ValueError, match=r"overwritten|overwrite|replaced"):
        y.sum().backward()


def test_averaged_parameters_around_the_forward_alone_are_refused():
    layer, x = mg.nn.Linear(2, 2), mg.tensor([[2.0, 1.0]], requires_grad=True)
    ema = mg.optim.EMA(layer.parameters())
    with ema.applied():
        y = mg.checkpoint(layer, x)
    with pytest.raises(ValueError, match="replaced"):
        y.sum().backward()


def nested(f):
    return lambda x: mg.checkpoint(lambda x: mg.checkpoint(f, x), x)


def twice(f):
    """One draw in a checkpoint, and one in a checkpoint within it."""
    return lambda x: mg.checkpoint(lambda x: mg.checkpoint(f, f(x)), x)


def dropping(**kwargs):
    return lambda x: mg.dropout(x, 0.5, **kwargs)


def random_functions():
    shared = np.random.default_rng(7)
    block = mg.nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
    rnn = mg.nn.LSTM(8, 8, num_layers=2, dropout=0.5)
    return {
        "dropout": dropping(),
        "a generator": dropping(rng=shared),
        "transformer": block,
        "recurrent": lambda x: rnn(x)[0],
    }


@pytest.mark.parametrize("wrap", [nested, twice, lambda f: nested(twice(f))])
@pytest.mark.parametrize("how", ["dropout", "a generator", "transformer", "recurrent"])
def test_checkpoints_within_checkpoints_draw_the_same_numbers(how, wrap):
    def run(call):
        """The output, the gradient and the next number that each generator draws."""
        mg.manual_seed(0)
        f = random_functions()[how]
        mg.manual_seed(1)
        x = mg.tensor(np.linspace(-1, 1, 64).reshape(2, 4, 8), requires_grad=True)
        y = call(f)(x)
        y.sum().backward()
        return y.numpy(), x.grad, mg.rng.generator().integers(10**9), f(x).numpy()

    plain = {nested: lambda f: f, twice: lambda f: lambda x: f(f(x))}.get(wrap, lambda f: lambda x: f(f(x)))
    for found, expected in zip(run(wrap), run(plain), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_generators_are_not_rewound_for_others():
    """A replay draws from a copy: whoever else draws meanwhile goes on."""
    mg.manual_seed(0)
    x = mg.tensor(np.ones(4, np.float32), requires_grad=True)
    y = mg.checkpoint(lambda x: mg.dropout(x, 0.5), x)
    seen = mg.rng.generator().bit_generator.state
    mg.manual_seed(1)  # another generator even
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.numpy())
    mg.manual_seed(0)
    mg.dropout(x, 0.5)
    assert mg.rng.generator().bit_generator.state == seen


def test_calls_within_it_keep_inputs_for_references_where_that_is_needed():
    """Whoever asks only in the backward pass has it run again with the inputs kept."""

    @mg.primitive(residuals=("derived",))
    def cubed(x):
        return x**3, (3 * x**2,)

    cubed.vjp(lambda g, needs, slope: (g * slope,))
    cubed.reference(lambda x: x * x * x)
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    mg.checkpoint(lambda x, k=1.0: cubed(x).sum() * k, x, k=2.0).backward(create_graph=True)
    first = x.grad
    x.zero_grad()
    first.sum().backward()
    np.testing.assert_allclose(x.grad, [12, 24])


@pytest.mark.parametrize(
    "derivative",
    [
        lambda w: mg.grad(lambda x: w * x * x)(3.0),
        lambda w: mg.jvp(lambda x: w * x * x, [3.0], [1.0])[1],
        lambda w: mg.hvp(lambda x: w * x * x * x, [1.0], [1.0])[0],
        lambda w: mg.jacobian(lambda x: w * x * x)(3.0),
    ],
)
def test_transforms_of_constants_within_a_checkpoint(derivative):
    assert mg.grad(lambda w: mg.checkpoint(derivative, w) * w)(2.0).item() == 24
    w = mg.tensor(2.0, requires_grad=True)
    with pytest.raises((TypeError, ValueError)):  # without create_graph, they have no graph
        mg.checkpoint(derivative, w).backward()
    with mg.create_graph():
        y = mg.checkpoint(derivative, w)
    y.backward()
    assert w.grad == 6


@mg.primitive
def weighted(x, options: dict):
    return x * options["of"][0], (options,)


@weighted.vjp
def _(g, needs, options):
    return (g * options["of"][0],)


@pytest.mark.parametrize(
    ("function", "change"),
    [
        (lambda x, state: (mg.dropout(x, 0.5) if state["training"] else x) * 2.0, {"training": False}),
        (lambda x, state: mg.leaky_relu(-x, state["slope"]), {"slope": 0.7}),
        (lambda x, state: mg.sin(x) if state["training"] else mg.cos(x), {"training": False}),
        (lambda x, state: x[state["start"] : state["start"] + 2], {"start": 1}),
        (lambda x, state: mg.roll(x, np.int64(state["start"])), {"start": 1}),
        (lambda x, state: x[state["list"]], {"list": [1, 0]}),
        (lambda x, state: mg.clip(x, 0, np.float64(state["slope"])), {"slope": 0.7}),
        (lambda x, state: mg.transpose(x.reshape(1, 3, 1) * x, state["axes"]), {"axes": [0, 2, 1]}),
        (lambda x, state: mg.pad(x, ((state["start"], 1),))[:3], {"start": 1}),
        (lambda x, state: x[range(state["start"], 3)][:2], {"start": 1}),
        (lambda x, state: weighted(x, {"of": [state["slope"]]}), {"slope": 0.7}),
    ],
)
def test_other_calls_and_options_when_run_again_are_refused(function, change):
    state = {"training": True, "slope": 0.1, "start": 0, "list": [0, 1], "axes": [0, 1, 2]}
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = mg.checkpoint(function, x, state)
    state |= change
    with pytest.raises(ValueError, match=r"ran again: \w+ took other numbers or options"):
        y.sum().backward()


def test_a_list_that_changes_after_the_run_is_refused():
    places, x = [0, 1], mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = mg.checkpoint(lambda x: x[places], x)
    places[0] = 2
    with pytest.raises(ValueError, match="getitem took other numbers or options"):
        y.sum().backward()


def test_nested_checkpoints_keep_less_than_single_ones():
    """The outer one must not keep what calls within the inner ones make."""

    def block(x):
        for _ in range(10):
            x = mg.tanh(x * 1.1 + 0.1)
        return x

    def group(x):
        for _ in range(4):
            x = mg.checkpoint(block, x)
        return x

    def peak(outer):
        x = mg.tensor(np.ones(50_000, np.float32), requires_grad=True)
        y = x
        tracemalloc.start()
        for _ in range(6):
            y = outer(y)
        y.sum().backward()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(lambda x: mg.checkpoint(group, x)) < 0.8 * peak(group)


def test_a_function_must_not_seed():
    def seeding(x):
        mg.manual_seed(0)
        return mg.dropout(x, 0.5)

    with pytest.raises(RuntimeError, match=r"manual_seed: .* mg\.checkpoint"):
        mg.checkpoint(seeding, mg.tensor([1.0], requires_grad=True))


def test_a_constant_when_run_again_is_refused():
    runs = []

    def once(x):
        runs.append(1)
        return x * 2, (x * 3 if len(runs) == 1 else (x * 3).detach())

    x = mg.tensor([1.0], requires_grad=True)
    a, b = mg.checkpoint(once, x)
    with pytest.raises(ValueError, match="ran again"):
        (a + b).sum().backward()
