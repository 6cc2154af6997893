"""Recurrent primitives: against their references, numerical gradients, PyTorch and the source's numbers."""

from __future__ import annotations

import functools
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.backward import graph_of
from minigrad.ops import recurrent_gru, recurrent_lstm
from minigrad.ops.kernels import blocks, sequences
from minigrad.ops.kernels.packing import Inputs, Packing
from minigrad.ops.kernels.sequences import Trace
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
            patch.setattr(sequences, "_WORTH_THREADS", 0)
            patch.setattr(blocks, "_WORTH_THREADS", 0)
            patch.setattr(blocks, "_MULTIPLICATIONS", 32)
            patch.setattr(blocks, "_NARROWEST", 1)
            yield
    finally:
        mg.set_num_threads(before)


groups = pytest.mark.parametrize("threads", [1, 2, 3])


@groups
@pytest.mark.parametrize("name", GATES)
@given(data=st.data())
def test_primitive_in_groups(name, threads, data):
    with in_groups(threads):
        check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@groups
@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("N", [5, 40])
def test_groups_are_as_one(name, N, threads):
    """Enough rows for several groups a thread; no number depends on how many there are but for rounding."""
    rng = np.random.default_rng(0)
    T, D, H = 6, 3, 8
    inputs, lengths = [rng.standard_normal(s) for s in shapes_of(name, N, T, D, H)], rng.integers(0, T + 1, N)
    primitive = functools.partial(getattr(mg.ops, name), lengths=lengths)
    pulls = [rng.standard_normal((N, T, H)) for _ in range(1 + (name == "lstm"))]
    expected = pull(primitive, [leaf(x) for x in inputs], pulls)
    with in_groups(threads):
        found = pull(primitive, [leaf(x) for x in inputs], pulls)
    for mine, theirs in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", GATES)
def test_a_run_on_threads_is_repeated_to_the_last_bit(name):
    rng = np.random.default_rng(0)
    N, T, D, H = 30, 5, 7, 300
    inputs = [rng.standard_normal(s).astype(np.float32) for s in shapes_of(name, N, T, D, H)]
    pulls = [rng.standard_normal((N, T, H)).astype(np.float32) for _ in range(1 + (name == "lstm"))]
    before = mg.get_num_threads()
    mg.set_num_threads(2)
    first, second = (pull(getattr(mg.ops, name), [leaf(x) for x in inputs], pulls) for _ in range(2))
    mg.set_num_threads(before)
    for mine, again in zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True):
        np.testing.assert_array_equal(mine, again)


@given(recurrent_cases(4, True, cell=5), st.sampled_from([(True, False), (False, True)]))
def test_lstm_with_one_output_used(case, used):
    """The cotangent of an unused output arrives as None, which must act as zeros."""
    rng = np.random.default_rng(0)
    N, T = case.options["indices"].shape if "indices" in case.options else case.inputs[0].shape[:2]
    one = rng.standard_normal((N, T, case.inputs[1].shape[1]))
    pick = used.index(True)
    both = [one if u else np.zeros_like(one) for u in used]
    lstm = functools.partial(mg.ops.lstm, **case.options)
    grads = pull(lstm, [leaf(x) for x in case.inputs], both)[1]
    alone = pull(lambda *a: lstm(*a)[pick], [leaf(x) for x in case.inputs], [one])[1]
    for mine, theirs in zip(grads, alone, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


@pytest.mark.parametrize("used", [(True, False), (False, True)])
@pytest.mark.parametrize(("name", "shapes"), [
    ("lstm_step", ((2, 3), (2, 4), (2, 4), (3, 16), (4, 16), (16,))),
    ("lstm_cell", ((2, 16), (2, 4))),
])  # fmt: skip
def test_one_step_with_one_output_used(name, shapes, used):
    rng = np.random.default_rng(0)
    inputs, step = [rng.standard_normal(s) for s in shapes], getattr(mg.ops, name)
    one, pick = rng.standard_normal((2, 4)), used.index(True)
    grads = pull(step, [leaf(x) for x in inputs], [one if u else np.zeros_like(one) for u in used])[1]
    alone = pull(lambda *a: step(*a)[pick], [leaf(x) for x in inputs], [one])[1]
    for mine, theirs in zip(grads, alone, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_a_sequence_is_its_steps():
    rng = np.random.default_rng(0)
    x, h, c = rng.standard_normal((2, 5, 3)), rng.standard_normal((2, 4)), rng.standard_normal((2, 4))
    Wx, Wh, b = rng.standard_normal((3, 16)), rng.standard_normal((4, 16)), rng.standard_normal(16)
    hs, cs = mg.ops.lstm(x, h, Wx, Wh, b, c0=c)
    for t in range(5):
        h, c = mg.ops.lstm_step(x[:, t], h, c, Wx, Wh, b)
        np.testing.assert_allclose(hs.data[:, t], h.data, rtol=1e-12)
        np.testing.assert_allclose(cs.data[:, t], c.data, rtol=1e-12)


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


def test_forward_matches_the_exercise():
    """Source: the captioning exercise's RNN step."""
    N, D, H = 3, 10, 4
    ranges = {(N, D): (-0.4, 0.7), (N, H): (-0.2, 0.5), (D, H): (-0.1, 0.9), (H, H): (-0.3, 0.7), (H,): (-0.2, 0.4)}
    x, h, Wx, Wh, b = (np.linspace(*ends, int(np.prod(shape))).reshape(shape) for shape, ends in ranges.items())
    expected = [[-0.58172089, -0.50182032, -0.41232771, -0.31410098],
                [0.66854692, 0.79562378, 0.87755553, 0.92795967],
                [0.97934501, 0.99144213, 0.99646691, 0.99854353]]  # fmt: skip
    np.testing.assert_allclose(mg.ops.rnn_step(x, h, Wx, Wh, b).data, expected, atol=1e-8)


def test_integer_inputs_are_computed_in_floats():
    ones = [np.ones(s, int) for s in ((1, 2), (1, 1), (2, 1), (1, 1), (1,))]
    assert mg.ops.rnn_step(*ones).dtype == np.float64


SHAPES = {name: shapes_of(name, 2, 3, 4, 5) + ([(2, 5)] if name == "lstm" else []) for name in GATES}


@pytest.mark.parametrize(
    ("name", "slot", "shape", "message"),
    [
        ("rnn", 0, (2, 4), r"x must have 3 axes \(N, T, D\), not shape \(2, 4\)"),
        ("rnn", 1, (3, 5), r"hidden state must be \(N, H\) with N = 2 as in x, not \(3, 5\)"),
        ("rnn", 1, (2, 0), r"hidden state must have at least one column, not \(2, 0\)"),
        ("rnn", 2, (5, 5), r"Wx must have shape \(4, 5\) for D = 4 and H = 5, not \(5, 5\)"),
        ("rnn", 3, (5, 4), r"Wh must have shape \(5, 5\)"),
        ("rnn", 4, (1,), r"b must have shape \(5,\)"),
        ("lstm", 2, (4, 5), r"Wx must have shape \(4, 20\)"),
        ("lstm", 4, (5,), r"b must have shape \(20,\)"),
        ("gru", 3, (5, 5), r"Wh must have shape \(5, 15\)"),
        ("gru", 4, (20,), r"bx must have shape \(15,\) for D = 4 and H = 5, not \(20,\)"),
        ("gru", 5, (5,), r"bh must have shape \(15,\)"),
        ("lstm", 5, (1, 5), r"cell state must have the hidden state's shape \(2, 5\), not \(1, 5\)"),
    ],
)
def test_wrong_shapes_are_named(name, slot, shape, message):
    shapes = list(SHAPES[name])
    shapes[slot] = shape
    with pytest.raises(ValueError, match=rf"^{name}\(x: .*{message}"):
        getattr(mg.ops, name)(*(np.ones(s) for s in shapes))


@pytest.mark.parametrize(("a", "c"), [((2, 8), (2, 3)), ((3, 8), (2, 2)), ((2, 8), (2,)), ((2, 2, 4), (2, 2))])
def test_a_cell_of_wrong_shapes_is_refused(a, c):
    with pytest.raises(ValueError, match=r"^lstm_cell\(a: .*a must be \(N, 4H\) and c \(N, H\), not"):
        mg.ops.lstm_cell(np.ones(a), np.ones(c))


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([3], r"lengths must be 2 integers, one for each sequence, not int64 \(1,\)"),
        ([[3, 3]], r"not int64 \(1, 2\)"),
        ([3.0, 1.0], r"not float64 \(2,\)"),
        ([True, False], r"not bool \(2,\)"),
        ([3, 4], "lengths must be from 0 to T = 3, not from 3 to 4"),
        ([-1, 2], "lengths must be from 0 to T = 3, not from -1 to 2"),
    ],
)
def test_lengths_that_do_not_fit_are_said(name, lengths, message):
    with pytest.raises(ValueError, match=rf"^{name}\(x: .*{message}"):
        getattr(mg.ops, name)(*(np.ones(s) for s in shapes_of(name, 2, 3, 4, 5)), lengths=lengths)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(
    ("x", "indices", "error", "message"),
    [
        ((6, 4), [[0, 1, 6], [0, 0, 0]], IndexError, r"indices\[0, 2\] is 6: it must lie in 0 … 5"),
        ((6, 4), [[0, 1, 2], [0, -1, 0]], IndexError, r"indices\[1, 1\] is -1"),
        ((6, 4), [[0.0, 1.0], [0.0, 0.0]], TypeError, "indices must be integers, not float64"),
        ((6, 4), [0, 1], ValueError, r"indices must be \(N, T\) with N = 2 as in h0, not \(2,\)"),
        ((6, 4), [[0, 1, 2]], ValueError, r"indices must be \(N, T\) with N = 2 as in h0, not \(1, 3\)"),
        ((2, 3, 4), [[0, 1], [0, 0]], ValueError, r"x must be rows \(U, D\) if indices are given, not of shape \(2"),
    ],
)
def test_indices_that_do_not_fit_are_said(name, x, indices, error, message):
    with pytest.raises(error, match=rf"^{name}\(x: .*{message}"):
        getattr(mg.ops, name)(np.ones(x), *(np.ones(s) for s in shapes_of(name, 2, 3, 4, 5)[1:]), indices=indices)


@pytest.mark.parametrize("name", GATES)
def test_lengths_leave_the_states_before_an_end_as_they_are(name):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s) for s in shapes_of(name, 2, 3, 4, 5)]
    whole, cut = (outputs_of(getattr(mg.ops, name)(*arrays, lengths=n)) for n in (None, [1, 3]))
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(b.data[0, :1], a.data[0, :1], rtol=1e-12)
        np.testing.assert_allclose(b.data[1], a.data[1], rtol=1e-12)
        assert not b.data[0, 1:].any()


@groups
@pytest.mark.parametrize("name", GATES)
def test_the_gradient_of_every_state_is_noted_at_every_step(name, threads):
    """As those of the same steps written as a loop; each state is told from the other."""
    with in_groups(threads):
        check_notes(name)


def check_notes(name):
    rng = np.random.default_rng(0)
    x, h0, *weights = (leaf(rng.standard_normal(s)) for s in shapes_of(name, 2, 5, 3, 4))
    pulls = [rng.standard_normal((2, 5, 4)) for _ in range(1 + (name == "lstm"))]
    with mg.record():
        whole = outputs_of(getattr(mg.ops, name)(x, h0, *weights))
        sum((mg.tensor(u) * y).sum() for u, y in zip(pulls, whole, strict=True)).backward()
        states, steps = (h0, mg.tensor(np.zeros((2, 4))))[: len(pulls)], []
        for t in range(5):
            states = tuple(outputs_of(getattr(mg.ops, f"{name}_step")(x[:, t], *states, *weights)))
            steps.append(states)
        loop = [(u[:, t], y) for t, states in enumerate(steps) for u, y in zip(pulls, states, strict=True)]
        sum((mg.tensor(u) * y).sum() for u, y in loop).backward()
    for slot in range(len(pulls)):
        noted = note_of(whole[0].node).gradient_steps[slot]
        assert noted == pytest.approx([note_of(s[slot].node).gradients[slot].norm for s in steps])


# --- derivatives of derivatives ----------------------------------------------------------------------


def of_sequence(name, inputs, **options):
    """A loss of all states that a sequence gives out."""
    return sum((y**3).sum() for y in outputs_of(getattr(mg.ops, name)(*inputs, **options)))


def sequence(name, N, T, D, H, seed=0):
    """Inputs and directions, all of the size of one."""
    shapes, rng = shapes_of(name, N, T, D, H), np.random.default_rng(seed)
    scales = [1, 1, D**-0.5, H**-0.5, 1, 1]
    return [[rng.standard_normal(s) * k for s, k in zip(shapes, scales, strict=False)] for _ in range(2)]


@pytest.mark.parametrize("name", GATES)
def test_mixed_derivatives_are_blocks_of_the_whole(name):
    """Of what is differentiated in one input, and then in another that the first pass had no need of."""
    inputs, _ = sequence(name, 2, 3, 2, 2)
    whole = mg.hessian(lambda *given: of_sequence(name, given), argnums=tuple(range(len(inputs))))(*inputs)
    for i in range(len(inputs)):
        for j in range(len(inputs)):

            def first(x, i=i, j=j):
                moved = [x if k == j else other for k, other in enumerate(inputs)]
                return mg.grad(lambda y: of_sequence(name, [y if k == i else m for k, m in enumerate(moved)]))(moved[i])

            if i != j:
                np.testing.assert_allclose(mg.jacobian(first)(inputs[j]).numpy(), whole[i][j].numpy(), atol=1e-12)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("options", [{}, {"lengths": [2, 0, 3]}])
def test_third_derivatives_of_sequences(name, options):
    inputs, vectors = sequence(name, 3, 3, 2, 2)

    def second(*inputs):
        with mg.create_graph():
            return mg.hvp(lambda *given: of_sequence(name, given, **options), inputs, vectors)

    assert mg.gradcheck(second, inputs, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"lengths": np.arange(25) % 17}])
@pytest.mark.parametrize("name", GATES)
def test_a_second_derivative_at_full_size_is_the_difference_of_gradients(name, options):
    """Of 25 sequences of 16 steps, 512 units: in float64 differences, in float32 what float64 gives."""
    inputs, vectors = sequence(name, 25, 16, 256, 512)
    loss = lambda *given: of_sequence(name, given, **options) / 25  # noqa: E731
    found = [t.numpy() for t in mg.hvp(loss, inputs, vectors)]
    gradient, step = mg.grad(loss, argnums=tuple(range(len(inputs)))), 1e-5
    ahead, behind = (gradient(*(x + sign * step * v for x, v in zip(inputs, vectors, strict=True))) for sign in (1, -1))
    for mine, there, here in zip(found, ahead, behind, strict=True):
        expected = (there.numpy() - here.numpy()) / (2 * step)
        np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-7 * np.abs(mine).max())
    narrow = [[x.astype(np.float32) for x in arrays] for arrays in (inputs, vectors)]
    for mine, exact in zip(mg.hvp(loss, *narrow), found, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine.numpy(), exact, rtol=0, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("name", GATES)
def test_second_derivatives_of_half_precision_are_computed_in_single(name):
    halves = [[x.astype(np.float16) for x in arrays] for arrays in sequence(name, 3, 4, 3, 5)]
    wide = [[x.astype(float) for x in arrays] for arrays in halves]
    loss = lambda *given: of_sequence(name, given)  # noqa: E731
    for mine, exact in zip(mg.hvp(loss, *halves), mg.hvp(loss, *wide), strict=True):
        assert mine.dtype == np.float16
        np.testing.assert_allclose(mine.numpy(), exact.numpy(), rtol=0, atol=3e-3 * np.abs(exact.numpy()).max())


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_derivatives_agree_with_pytorch(kind):
    inputs, vectors = sequence(kind.lower(), 3, 4, 3, 5)
    if kind == "LSTM":
        inputs, vectors = ([*arrays, arrays[1][::-1].copy()] for arrays in (inputs, vectors))  # c0

    def theirs(torch, *arrays):
        tensors = tuple(map(torch.as_tensor, arrays))
        half = len(tensors) // 2
        found = torch.autograd.functional.hvp(
            lambda *given: (torch_layer(kind)(torch, *given) ** 3).sum(), tensors[:half], tensors[half:]
        )
        return [t.numpy() for t in found[1]]

    def loss(*given):
        return (outputs_of(getattr(mg.ops, kind.lower())(*given))[0] ** 3).sum()

    answer = PYTORCH.ask(f"hvp of {kind}", theirs, [*inputs, *vectors])
    half = len(inputs)
    mine = mg.hvp(loss, answer.inputs[:half], answer.inputs[half:])
    for found, expected in zip(mine, answer.expected, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", GATES)
def test_a_sequence_keeps_no_more_to_be_differentiated_twice(name):
    """What becomes a hidden output is a residual that the VJP has anyway; a second recorded pass adds no other."""
    inputs, _ = sequence(name, 2, 3, 2, 2)
    with mg.create_graph():
        leaves = [mg.tensor(x, requires_grad=True) for x in inputs]
        loss = of_sequence(name, leaves)
        (node,) = [n for n in graph_of([loss.node]).nodes if n.primitive is getattr(mg.ops, name).primitive]
        assert type(node.residuals) is tuple
        loss.backward()
        known = node.outputs
        loss.backward()
        assert node.outputs == known
    hidden = [r for r, n in zip(node.residuals, node.primitive.residuals, strict=False) if n.startswith("hidden")]
    assert [r.shape for r in hidden] == [shape for shape, _ in known[-len(hidden) :]]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)])
@pytest.mark.parametrize("gate", range(4))
@pytest.mark.parametrize("point", [-800.0, -88.0, -17.0, 0.0, 17.0, 88.0, 800.0])
def test_derivatives_of_any_order_of_a_saturated_cell(point, gate, dtype, tolerance):
    """Of gates kept as e^-a, which is 1e38 there, beside those of sigmoids, which are smooth in both tails."""
    a, c = np.full((1, 4), 0.3, dtype), np.full((1, 1), 0.7, dtype)
    a[0, gate] = point

    def smooth(a, c):
        i, f, o = (mg.sigmoid(a[:, k : k + 1]) for k in range(3))
        after = f * c + i * mg.tanh(a[:, 3:])
        return o * mg.tanh(after), after

    def slope(function):
        def along(a, c):
            da, dc = mg.grad(function, (0, 1))(a, c)
            return da.sum() + 0.7 * dc.sum()

        return along

    for k in range(2):
        mine, theirs = (lambda a, c, f=f, k=k: f(a, c)[k].sum() for f in (mg.lstm_cell, smooth))
        for _ in range(3):
            for found, expected in zip(mg.grad(mine, (0, 1))(a, c), mg.grad(theirs, (0, 1))(a, c), strict=True):
                np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=10 * tolerance, atol=tolerance)
            mine, theirs = slope(mine), slope(theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [0.4, 0.98])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_slopes_and_their_derivatives_are_finite_and_exact_in_the_tails(kind, far, dtype):
    """Gates that are open or closed, against the same with more digits; exact as long as u^2 = e^-2a is a number."""
    cell = recurrent_lstm._LSTM() if kind == "lstm" else recurrent_gru._GRU()
    top, rng = far * np.log(np.finfo(dtype).max), np.random.default_rng(0)
    u = np.exp(-np.concatenate([np.linspace(-top, top, 7), [-1, 2]]))
    tanh, c, before = np.tanh(np.linspace(-2, 2, 9)), np.linspace(1, -2, 9)[:, None], np.linspace(-1, 1, 9)[:, None]
    gates = np.concatenate([u, u, u if kind == "lstm" else c[:, 0], tanh]).reshape(
        9, 4
    )  # four gates, one behind another
    drawn = [rng.standard_normal((4, 1, 9, 1)), *rng.standard_normal((4, 1, 9, 1))]

    def computed(number):
        arrays = [x.astype(dtype).astype(number) for x in (gates, before, c, *drawn)]
        kept, first, after, a, *others = arrays
        states, kept = ([c] * 2, [np.tanh(after), kept]) if kind == "lstm" else ([after], [kept])
        slopes = cell.slopes(Trace(Inputs(Packing(9, 1)), [first] * len(states), states, kept))
        of_steps = lambda x: x.reshape(-1, 1, 9, 1)  # noqa: E731
        results = [np.zeros_like(a), *np.zeros_like(a)[:2]]
        pair = [first.reshape(1, 9, 1), after.reshape(1, 9, 1)]
        cell.bend(list(map(of_steps, kept)), pair, of_steps(slopes), a, others[:2], others[2:][: len(states)], *results)
        return [slopes, *results]

    with np.errstate(all="raise", under="ignore"):
        found = computed(dtype)
    for mine, exact in zip(found, computed(np.longdouble), strict=True):
        assert np.isfinite(mine).all()
        most = np.finfo(dtype).tiny ** (0.9 if far < 0.5 else 0.4)
        np.testing.assert_allclose(mine, exact.astype(float), rtol=0, atol=most + 90 * np.finfo(dtype).eps)


def test_the_cost_of_a_pullback_is_its_products():
    packing = Packing(3, 2, [2, 0, 1])
    trace = Trace(Inputs(packing), [], [])
    options = {"needed": (True, True, True, True, True), "trace": trace}
    cost = mg.ops.recurrent.recurrent_pullback.primitive.cost
    assert cost([(3, 2, 4), (3, 5), (4, 20), (5, 20)], (3, 2, 4), options) == 3 * (2 * 4 * 20 + 2 * 5 * 20)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 2e-4)])
@pytest.mark.parametrize("gate", range(3))
@pytest.mark.parametrize("point", [-800.0, -88.0, -17.0, 0.0, 17.0, 88.0, 800.0])
def test_derivatives_of_any_order_of_a_saturated_gru(point, gate, dtype, tolerance):
    """Of its step as it is, beside the same of sigmoids and tanh, which are smooth in both tails."""
    x, h, Wx, Wh = (np.full(s, k, dtype) for s, k in (((1, 1), 0.3), ((1, 1), 0.7), ((1, 3), 0.4), ((1, 3), -0.6)))
    bx, bh = np.full(3, 0.1, dtype), np.full(3, 0.2, dtype)
    (bx if gate < 2 else bh)[gate] = point
    inputs = x, h, Wx, Wh, bx, bh

    def slope(function):
        """A mixture of its derivatives, of the size of one: from about 2 on a product with e^-a overflows."""
        return lambda *given: sum(0.5**k * d.sum() for k, d in enumerate(mg.grad(function, tuple(range(6)))(*given)))

    mine, theirs = (lambda *given, f=f: f(*given).sum() for f in (mg.gru_step, mg.ops.gru_step.primitive.reference))
    for _ in range(3):
        derivatives = [mg.grad(function, tuple(range(6)))(*inputs) for function in (mine, theirs)]
        for found, expected in zip(*derivatives, strict=True):
            scale = max(1.0, np.abs(expected.numpy()).max())
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=10 * tolerance, atol=tolerance * scale)
        mine, theirs = slope(mine), slope(theirs)


@pytest.mark.parametrize(
    ("layer", "gates", "biases", "most"), [("rnn", 1, 1, 3), ("lstm", 4, 1, 6.4), ("gru", 3, 2, 9.2)]
)
def test_what_a_reverse_pass_needs_no_more_is_let_go(layer, gates, biases, most):
    """Its peak of memory, in arrays of all states; one more if their cotangents stayed until the end."""
    N, T, D, H = 64, 12, 16, 64
    shapes = [(N, T, D), (N, H), (D, gates * H), (H, gates * H), *[(gates * H,)] * biases]
    rng = np.random.default_rng(0)
    states = getattr(mg.ops, layer)(*(mg.tensor(rng.standard_normal(s), requires_grad=True) for s in shapes))
    states = states[0] if isinstance(states, tuple) else states
    g = np.ones(states.shape)
    tracemalloc.start()
    states.backward(g)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * g.nbytes
