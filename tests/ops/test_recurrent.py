"""Recurrent primitives: against their references, numerical gradients, PyTorch and the source's numbers."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import ops
from minigrad.backward import reverse_pass, seed_of
from minigrad.ops import recurrent_lstm
from minigrad.ops.kernels import blocked_products, recurrent_steps
from minigrad.recording import note_of
from tests.checks import Case, check_primitive, leaf, outputs_of, pull
from tests.peers import Peer
from tests.strategies import arrays

PYTORCH = Peer(__name__)


GATES = {"rnn": 1, "lstm": 4, "gru": 3}  # of the layers


def shapes_of(name, N, T, D, H):
    """The shapes of a layer's inputs but c0: x, h0, Wx, Wh and the biases."""
    gates = GATES[name]
    return [(N, T, D), (N, H), (D, gates * H), (H, gates * H), *[(gates * H,)] * (1 + (name == "gru"))]


@st.composite
def recurrent_cases(draw, gates, sequence, cell=None, biases=1):
    """Inputs of a recurrent primitive, empty batches and sequences included; ``cell`` is the slot of c."""
    N, T, D, H = (draw(st.integers(low, high)) for low, high in ((0, 3), (0, 4), (0, 3), (1, 3)))
    shapes = [(N, T, D) if sequence else (N, D), (N, H), (D, gates * H), (H, gates * H), *[(gates * H,)] * biases]
    if cell is not None:
        shapes.insert(cell, (N, H))
    options = {}
    if sequence and draw(st.booleans()):
        options["lengths"] = np.array(draw(st.lists(st.integers(0, T), min_size=N, max_size=N)), int)
    if sequence and draw(st.booleans()):
        shapes[0] = V, D = draw(st.integers(1, 4)), D
        options["indices"] = draw(arrays((N, T), 0, V - 1e-6, layouts=("C",))).astype(int)
    return Case([draw(arrays(shape, -1, 1)) for shape in shapes], options)


@st.composite
def cell_cases(draw):
    N, H = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    return Case([draw(arrays((N, 4 * H), -2, 2)), draw(arrays((N, H), -2, 2))])


CASES = {
    "lstm_cell": cell_cases(),
    "rnn_step": recurrent_cases(1, False),
    "rnn": recurrent_cases(1, True),
    "lstm_step": recurrent_cases(4, False, cell=2),
    "lstm": recurrent_cases(4, True) | recurrent_cases(4, True, cell=5),
    "gru_step": recurrent_cases(3, False, biases=2),
    "gru": recurrent_cases(3, True, biases=2),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@contextmanager
def in_groups(threads):
    """Sequences in as many groups and more, on so many threads; blocks of few columns."""
    before = mg.get_num_threads()
    mg.set_num_threads(threads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for limit in ("_WORTH_THREADS", "_WORTH_PIECES", "_NARROWEST"):
                patch.setattr(recurrent_steps, limit, 1)
            patch.setattr(blocked_products, "_WORTH_THREADS", 0)
            patch.setattr(blocked_products, "_MULTIPLICATIONS", 32)
            patch.setattr(blocked_products, "_NARROWEST", 1)
            yield
    finally:
        mg.set_num_threads(before)


@pytest.mark.parametrize("name", GATES)
@settings(max_examples=8)
@given(data=st.data())
def test_primitive_in_groups(name, data):
    with in_groups(3):
        check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@pytest.mark.parametrize("name", GATES)
def test_a_run_on_threads_is_repeated_to_the_last_bit(name):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(s).astype(np.float32) for s in shapes_of(name, 30, 5, 7, 64)]
    pulls = [rng.standard_normal((30, 5, 64)).astype(np.float32) for _ in range(1 + (name == "lstm"))]
    with in_groups(2):
        first, second = (pull(getattr(mg.ops, name), [leaf(x) for x in inputs], pulls) for _ in range(2))
    for mine, again in zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True):
        np.testing.assert_array_equal(mine, again)


@pytest.mark.parametrize("used", [0, 1])
@pytest.mark.parametrize(("name", "shapes"), [
    ("lstm", ((2, 3, 3), (2, 4), (3, 16), (4, 16), (16,), (2, 4))),
    ("lstm_step", ((2, 3), (2, 4), (2, 4), (3, 16), (4, 16), (16,))),
    ("lstm_cell", ((2, 16), (2, 4))),
])  # fmt: skip
def test_an_output_that_is_not_used_has_a_cotangent_of_0(name, shapes, used):
    rng = np.random.default_rng(0)
    inputs, function = [rng.standard_normal(s) for s in shapes], getattr(mg.ops, name)
    g = [rng.standard_normal(y.shape) * (i == used) for i, y in enumerate(function(*inputs))]
    grads = pull(function, [leaf(x) for x in inputs], g)[1]
    alone = pull(lambda *a: function(*a)[used], [leaf(x) for x in inputs], [g[used]])[1]
    for mine, theirs in zip(grads, alone, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def torch_layer(kind):
    """PyTorch's layer with our weights: it keeps (gates H, D), its LSTM's gate order is i, f, g, o.

    What follows b is c0 of an LSTM, the second bias of a GRU.
    """

    def theirs(torch, x, h0, Wx, Wh, b, *more):
        D, H = Wx.shape[0], Wh.shape[0]
        layer = getattr(torch.nn, kind)(D, H, batch_first=True, dtype=torch.float64)
        order = np.r_[0 : 2 * H, 3 * H : 4 * H, 2 * H : 3 * H] if kind == "LSTM" else np.arange(Wh.shape[1])
        weights = {"weight_ih_l0": Wx.T[order], "weight_hh_l0": Wh.T[order],
                   "bias_ih_l0": b[order], "bias_hh_l0": more[0] if kind == "GRU" else torch.zeros_like(b)}  # fmt: skip
        state = tuple(s[None] for s in (h0, *more))
        return torch.func.functional_call(layer, weights, (x, state if kind == "LSTM" else state[0]))[0]

    return theirs


@pytest.mark.parametrize("kind", ["LSTM", "RNN", "GRU"])
def test_agrees_with_pytorch(kind):
    rng = np.random.default_rng(1)
    shapes = shapes_of(kind.lower(), 3, 6, 5, 4) + ([(3, 4)] if kind == "LSTM" else [])
    inputs = [rng.standard_normal(shape) for shape in shapes]
    mine = {"LSTM": lambda *a: mg.ops.lstm(*a)[0], "RNN": mg.ops.rnn, "GRU": mg.ops.gru}
    PYTORCH.compare(kind, mine[kind], torch_layer(kind), inputs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e2, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_saturated_gates_neither_overflow_nor_warn(name, scale, dtype):
    rng = np.random.default_rng(0)
    inputs = [leaf((scale * rng.standard_normal(shape)).astype(dtype)) for shape in shapes_of(name, 2, 3, 4, 5)]
    outs, grads = pull(getattr(mg.ops, name), inputs, [np.ones((2, 3, 5), dtype)] * (2 if name == "lstm" else 1))
    assert all(np.isfinite(a).all() for a in outs + grads)
    assert (np.abs(outs[0]) <= (1 if name == "lstm" else np.abs(inputs[1].data).max())).all()


def ones_but(name, slot, value):
    """Inputs of a layer of which one has another shape, or of no layer."""
    shapes = shapes_of(name, 2, 3, 4, 5) + ([(2, 5)] if name == "lstm" else [])
    return [np.ones(value if i == slot else shape) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("name", "inputs", "options", "error", "message"),
    [
        *((name, ones_but(name, slot, shape), {}, ValueError, message) for name, slot, shape, message in [
            ("rnn", 0, (2, 4), r"x .*\(N, T, D\), not shape \(2, 4\)"),
            ("rnn", 1, (3, 5), r"hidden state .*N = 2 as in x, not \(3, 5\)"),
            ("rnn", 1, (2, 0), r"hidden state .*not \(2, 0\)"),
            ("rnn", 2, (5, 5), r"Wx .*\(4, 5\) for D = 4 and H = 5, not \(5, 5\)"),
            ("rnn", 3, (5, 4), r"Wh .*\(5, 5\)"),
            ("rnn", 4, (1,), r"b .*\(5,\)"),
            ("lstm", 2, (4, 5), r"Wx .*\(4, 20\)"),
            ("lstm", 4, (5,), r"b .*\(20,\)"),
            ("lstm", 5, (1, 5), r"cell state .*\(2, 5\), not \(1, 5\)"),
            ("gru", 3, (5, 5), r"Wh .*\(5, 15\)"),
            ("gru", 4, (20,), r"bx .*\(15,\) for D = 4 and H = 5, not \(20,\)"),
            ("gru", 5, (5,), r"bh .*\(15,\)"),
        ]),
        *(("lstm_cell", [np.ones(a), np.ones(c)], {}, ValueError, r"a .*\(N, 4H\) and c \(N, H\), not")
          for a, c in (((2, 8), (2, 3)), ((3, 8), (2, 2)), ((2, 8), (2,)), ((2, 2, 4), (2, 2)))),
        *((name, ones_but(name, None, ()), {"lengths": lengths}, ValueError, message)
          for name in GATES for lengths, message in [
            ([3], r"lengths must be 2 .*not int64 \(1,\)"),
            ([[3, 3]], r"not int64 \(1, 2\)"),
            ([3.0, 1.0], r"not float64 \(2,\)"),
            ([True, False], r"not bool \(2,\)"),
            ([3, 4], "lengths .* 0 to T = 3, not from 3 to 4"),
            ([-1, 2], "lengths .* 0 to T = 3, not from -1 to 2"),
        ]),
        *((name, ones_but(name, 0, x), {"indices": indices}, error, message)
          for name in GATES for x, indices, error, message in [
            ((6, 4), [[0, 1, 6], [0, 0, 0]], IndexError, r"indices\[0, 2\] is 6: .* 0 … 5"),
            ((6, 4), [[0, 1, 2], [0, -1, 0]], IndexError, r"indices\[1, 1\] is -1"),
            ((6, 4), [[0.0, 1.0], [0.0, 0.0]], TypeError, "indices .*integers, not float64"),
            ((6, 4), [0, 1], ValueError, r"indices .*N = 2 as in h0, not \(2,\)"),
            ((6, 4), [[0, 1, 2]], ValueError, r"indices .*N = 2 as in h0, not \(1, 3\)"),
            ((2, 3, 4), [[0, 1], [0, 0]], ValueError, r"x must be rows .*not of shape \(2"),
        ]),
    ],
)  # fmt: skip
def test_refusals(name, inputs, options, error, message):
    with pytest.raises(error, match=rf"^{name}\(.*{message}"):
        getattr(mg.ops, name)(*inputs, **options)


@pytest.mark.parametrize("name", GATES)
def test_lengths_leave_the_states_before_an_end_as_they_are(name):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) for s in shapes_of(name, 2, 3, 4, 5)]
    whole, cut = (outputs_of(getattr(mg.ops, name)(*arrays, lengths=n)) for n in (None, [1, 3]))
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(b.data[0, :1], a.data[0, :1], rtol=1e-12)
        np.testing.assert_allclose(b.data[1], a.data[1], rtol=1e-12)
        assert not b.data[0, 1:].any()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", GATES)
def test_a_sequence_is_its_steps_and_notes_the_gradient_of_every_state(name, threads):
    """As those of the same steps written as a loop; each state is told from the other."""
    rng = np.random.default_rng(0)
    x, h0, *weights = (leaf(rng.standard_normal(s)) for s in shapes_of(name, 2, 5, 3, 4))
    pulls = [rng.standard_normal((2, 5, 4)) for _ in range(1 + (name == "lstm"))]
    with in_groups(threads), mg.record():
        whole = outputs_of(getattr(mg.ops, name)(x, h0, *weights))
        sum((mg.tensor(u) * y).sum() for u, y in zip(pulls, whole, strict=True)).backward()
        states, steps = (h0, mg.tensor(np.zeros((2, 4))))[: len(pulls)], []
        for t in range(5):
            states = tuple(outputs_of(getattr(mg.ops, f"{name}_step")(x[:, t], *states, *weights)))
            steps.append(states)
        loop = [(u[:, t], y) for t, states in enumerate(steps) for u, y in zip(pulls, states, strict=True)]
        sum((mg.tensor(u) * y).sum() for u, y in loop).backward()
    for slot, y in enumerate(whole):
        np.testing.assert_allclose(y.data, np.stack([s[slot].data for s in steps], 1), rtol=1e-12)
        noted = note_of(whole[0].node).gradient_steps[slot]
        assert noted == pytest.approx([note_of(s[slot].node).gradients[slot].norm for s in steps])


# --- derivatives of derivatives ----------------------------------------------------------------------


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("options", [{}, {"lengths": [2, 0, 3]}])
def test_third_derivatives_of_sequences(name, options):
    rng = np.random.default_rng(0)
    inputs, vectors = ([rng.standard_normal(s) / 2 for s in shapes_of(name, 3, 3, 2, 2)] for _ in range(2))

    def loss(*given):
        return sum((y**3).sum() for y in outputs_of(getattr(mg.ops, name)(*given, **options)))

    with mg.create_graph():
        assert mg.gradcheck(lambda *x: mg.hvp(loss, x, vectors), inputs, rtol=1e-5, atol=1e-8, entries=False)


def smooth_cell(a, c):
    """An LSTM's cell of sigmoids, which are smooth in both tails."""
    i, f, o = (mg.sigmoid(a[:, k : k + 1]) for k in range(3))
    after = f * c + i * mg.tanh(a[:, 3:])
    return o * mg.tanh(after), after


def cell_at(gate, point, dtype):
    a = np.full((1, 4), 0.3, dtype)
    a[0, gate] = point
    return a, np.full((1, 1), 0.7, dtype)


def gru_at(gate, point, dtype):
    arrays = [np.full(*given, dtype) for given in (((1, 1), 0.3), ((1, 1), 0.7), ((1, 3), 0.4), ((1, 3), -0.6),
                                                   (3, 0.1), (3, 0.2))]  # fmt: skip
    arrays[4 if gate < 2 else 5][gate] = point
    return arrays


SATURATED = [
    *((lambda a, c, k=k: mg.lstm_cell(a, c)[k].sum(), lambda a, c, k=k: smooth_cell(a, c)[k].sum(), cell_at, gate)
      for k in range(2) for gate in range(4)),
    *((lambda *x: mg.gru_step(*x).sum(), lambda *x: mg.gru_step.primitive.reference(*x).sum(), gru_at, gate)
      for gate in range(3)),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "point"), [*((np.float64, p) for p in (-800.0, -17.0, 0.0, 800.0)),
                                              *((np.float32, p) for p in (-88.0, 17.0, 88.0))])  # fmt: skip
@pytest.mark.parametrize(("mine", "theirs", "at", "gate"), SATURATED)
def test_derivatives_of_any_order_of_saturated_gates(mine, theirs, at, gate, point, dtype):
    """Gates stored as e^-a, here 1e38, agree with sigmoids."""
    inputs, tolerance = at(gate, point, dtype), 1e-11 if dtype == np.float64 else 2e-4
    every = tuple(range(len(inputs)))

    def slope(function):
        """A mixture of its derivatives, of the size of one: a large product with e^-a overflows."""
        return lambda *given: sum(0.5**k * d.sum() for k, d in enumerate(mg.grad(function, every)(*given)))

    for _ in range(3):
        for found, expected in zip(*(mg.grad(f, every)(*inputs) for f in (mine, theirs)), strict=True):
            scale = tolerance * max(1.0, np.abs(expected.numpy()).max())
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=10 * tolerance, atol=scale)
        mine, theirs = slope(mine), slope(theirs)


@given(st.integers(1, 5), st.integers(0, 6), st.integers(1, 4), st.sampled_from([np.float16, np.float32, np.float64]),
       st.booleans(), st.integers(0, 99))  # fmt: skip
def test_steps_of_few_numbers_are_pulled_back_alike(N, T, H, dtype, shorter, seed):
    """At once for many steps, or step by step."""
    rng = np.random.default_rng(seed)
    shapes = [(N, T, 3), (N, H), (3, 4 * H), (H, 4 * H), (4 * H,), (N, H)]
    inputs = [(2 * rng.standard_normal(shape)).astype(dtype) for shape in shapes]
    cotangents = [rng.standard_normal((N, T, H)).astype(dtype) for _ in range(2)]
    lengths = rng.integers(0, T + 1, N) if shorter else None
    found = []
    for few in (0, 1024):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recurrent_lstm, "_FEW", few)
            leaves = [leaf(a) for a in inputs]
            found.append(pull(lambda *a: mg.ops.lstm(*a, lengths=lengths), leaves, cotangents)[1])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=30 * np.finfo(dtype).eps * (1 + np.abs(one).max(initial=0)))


# --- rows that no cotangent reaches ----------------------------------------------------------------------


@pytest.mark.parametrize("name", GATES)
@given(data=st.data())
def test_a_layer_has_the_gradients_that_it_has_with_all_steps(name, data):
    case = data.draw(CASES[name])
    h = outputs_of(getattr(ops, name)(*case.inputs, **case.options))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**20)))
    N, T, _ = h[0].shape
    reached = (np.arange(T) < rng.integers(0, T + 1, N)[:, None])[..., None]
    used = data.draw(st.lists(st.booleans(), min_size=len(h), max_size=len(h)))
    g = [rng.normal(size=y.shape) * reached if u else None for y, u in zip(h, used, strict=True)]
    found = []
    for cutting in (0, 2**62):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recurrent_steps, "_WORTH_CUTTING", cutting)
            tensors = [None if x is None else leaf(x) for x in case.inputs]
            states = outputs_of(getattr(ops, name)(*tensors, **case.options))
            grads = reverse_pass([seed_of(y, u) for y, u in zip(states, g, strict=True) if u is not None])
            found.append([grads.get(t.node, np.zeros(1)) for t in tensors if t is not None])
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12, atol=1e-13)


def test_a_recorder_of_steps_sees_all_of_them(monkeypatch):
    monkeypatch.setattr(recurrent_steps, "_WORTH_CUTTING", 0)
    x = mg.tensor(np.ones((1, 4, 1)), requires_grad=True)
    with mg.record():
        h = ops.rnn(x, np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.zeros(1))
        h[:, 0].sum().backward()
    assert x.grad[0, 0] != 0
    assert not x.grad[0, 1:].any()
