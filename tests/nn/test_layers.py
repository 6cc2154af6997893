"""Layers against PyTorch and their primitives: values, gradients, initial weights, errors."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from tests.peers import Peer, cotangent, pulled

PYTORCH = Peer(__name__)


def random_input(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def check(peer: Peer, key: str, layer: nn.Module, mine: Any, theirs: Any, *inputs: Any) -> None:
    """Outputs agree, and so do the gradients of a combination of them, for every input and parameter.

    ``mine(layer, *inputs)`` is ours; ``theirs(torch, weights, *inputs)`` gets the layer's weights by name.
    """
    names = [name for name, _ in layer.named_parameters()]

    def with_weights(torch: Any, *tensors: Any) -> Any:
        return theirs(torch, dict(zip(names, tensors, strict=False)), *tensors[len(names) :])

    answer = peer.ask(key, pulled(with_weights), [*(p.data for p in layer.parameters()), *inputs])
    frozen = dict(zip(names, answer.inputs, strict=False))
    layer.load_state_dict({**layer.state_dict(), **frozen})  # as they were when they were frozen
    given_now = [mg.tensor(x, requires_grad=x.dtype.kind == "f") for x in answer.inputs[len(names) :]]
    y, (expected, *gradients) = mine(layer, *given_now), answer.expected
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-12)
    layer.zero_grad()
    y.backward(cotangent(y.shape))
    for name, tensor, gradient in zip(
        [*names, *map(str, range(len(inputs)))], [*layer.parameters(), *given_now], gradients, strict=True
    ):
        if gradient is not None:
            np.testing.assert_allclose(tensor.grad, gradient, rtol=1e-9, atol=1e-11, err_msg=name)


# --- Linear and Embedding ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (2, 2, 2, 3), (0, 3), (0, 2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    layer, x = nn.Linear(3, 2, bias, dtype="float64", rng=0), random_input(shape)
    assert layer(x).shape == (*shape[:-1], 2)

    def theirs(torch, weights, x):
        return torch.nn.functional.linear(x, weights["weight"].T, weights.get("bias"))

    check(PYTORCH, f"linear {shape} {bias}", layer, nn.Linear.__call__, theirs, x)
    assert (layer.bias is None) == (not bias)


def test_linear_on_a_vector_and_its_errors():
    layer = nn.Linear(3, 2, rng=0)
    x = random_input((3,)).astype(np.float32)
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data + layer.bias.data, rtol=1e-6)
    for bad in (np.zeros((2, 4)), np.float64(3)):
        with pytest.raises(ValueError, match="the last axis of x must be 3"):
            layer(bad)


def test_embedding():
    layer, indices = nn.Embedding(5, 3, dtype="float64", rng=0), np.array([[0, 4, 4], [1, 0, 4]])

    def theirs(torch, weights, indices):
        return torch.nn.functional.embedding(indices, weights["weight"])

    check(PYTORCH, "embedding", layer, nn.Embedding.__call__, theirs, indices)


# --- recurrent layers ----------------------------------------------------------------------------------


def recurrent(torch: Any, kind: str, weights: dict[str, Any], D: int, H: int) -> Any:
    """PyTorch's module run on minigrad's weights: transposed, gates reordered, one of its two biases zero."""
    order = torch.arange(H) if kind == "RNN" else torch.cat([torch.arange(H) + k * H for k in (0, 1, 3, 2)])
    module = getattr(torch.nn, kind)(D, H, batch_first=True, dtype=torch.float64)
    names = {"weight_ih_l0": weights["Wx"].T[order], "weight_hh_l0": weights["Wh"].T[order],
             "bias_ih_l0": weights["b"][order], "bias_hh_l0": torch.zeros_like(weights["b"])}  # fmt: skip
    return lambda *args: torch.func.functional_call(module, names, args)


@pytest.mark.parametrize("given_state", [False, True])
def test_rnn(given_state):
    layer = nn.RNN(3, 4, dtype="float64", rng=0)
    layer.b.data[...] = random_input((4,))
    inputs = [random_input((2, 5, 3)), random_input((2, 4), 1)][: 1 + given_state]
    for i, output in enumerate(("all states", "the last state")):

        def theirs(torch, weights, x, *h0, i=i):
            outputs = recurrent(torch, "RNN", weights, 3, 4)(x, *(h[None] for h in h0))
            return (outputs[0], outputs[1][0])[i]

        check(PYTORCH, f"rnn {given_state}: {output}", layer, lambda layer, *a, i=i: layer(*a)[i], theirs, *inputs)


@pytest.mark.parametrize("given_state", ["none", "both", "h only"])
def test_lstm(given_state):
    layer = nn.LSTM(3, 4, dtype="float64", rng=0)
    layer.b.data[...] = random_input((16,))
    count = {"none": 0, "h only": 1, "both": 2}[given_state]
    inputs = [random_input((2, 5, 3)), *(random_input((2, 4), seed) for seed in (1, 2))][: 1 + count]
    for i, output in enumerate(("all states", "the last state", "the last cell")):

        def mine(layer, x, *state, i=i):
            h, last = layer(x, (*state, None)[:2] if state else None)
            return (h, *last)[i]

        def theirs(torch, weights, x, *state, i=i):
            if len(state) == 1:
                state = (state[0], torch.zeros_like(state[0]))
            h, last = recurrent(torch, "LSTM", weights, 3, 4)(x, *([tuple(s[None] for s in state)] if state else []))
            return (h, last[0][0], last[1][0])[i]

        check(PYTORCH, f"lstm {given_state}: {output}", layer, mine, theirs, *inputs)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_recurrent_steps_can_be_split(kind):
    """Running on from a returned state is the same as one longer run."""
    layer = getattr(nn, kind)(3, 4, dtype="float64", rng=0)
    x = random_input((2, 7, 3))
    whole, last = layer(x)
    first, state = layer(x[:, :3])
    second, end = layer(x[:, 3:], state)
    np.testing.assert_allclose(np.concatenate([first.data, second.data], 1), whole.data, rtol=1e-12)
    for a, b in zip(*((t if kind == "LSTM" else (t,)) for t in (last, end)), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_no_steps_give_back_the_state(kind):
    layer = getattr(nn, kind)(3, 4, rng=0)
    x, h0 = np.zeros((2, 0, 3), np.float32), random_input((2, 4)).astype(np.float32)
    h, last = layer(x, h0 if kind == "RNN" else (h0, None))
    assert h.shape == (2, 0, 4)
    np.testing.assert_array_equal((last if kind == "RNN" else last[0]).data, h0)
    if kind == "LSTM":
        assert (last[1].data == 0).all()


LENGTHS = [3, 0, 5, 1]


def states_of(kind: str, layer: nn.Module, x: Any, state: Any, **options: Any) -> tuple[Any, ...]:
    """All states, and the last one as a tuple; ``state`` is (h0, c0), of which an RNN takes the first."""
    h, last = layer(x, state if kind == "LSTM" else state[0], **options)
    return h, last if kind == "LSTM" else (last,)


@pytest.mark.parametrize("lengths", [LENGTHS, [2, 3, 5, 1]], ids=["one is 0", "none is 0"])
@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_the_last_state_is_that_after_each_sequences_own_last_step(kind, lengths):
    """As if each sequence were run by itself, cut at its end: its states and all gradients."""
    layer = getattr(nn, kind)(3, 4, dtype="float64", rng=0)
    x, *state = (mg.tensor(random_input(s), requires_grad=True) for s in ((4, 5, 3), (4, 4), (4, 4)))
    u, *last_u = (random_input(s, i) for i, s in enumerate([(4, 5, 4), (4, 4), (4, 4)], 3))
    inputs = [x, *state[: 1 + (kind == "LSTM")], *layer.parameters()]

    def pulled(total: mg.Tensor) -> list[Any]:
        for tensor in inputs:
            tensor.zero_grad()
        total.backward()
        return [tensor.grad for tensor in inputs]

    h, last = states_of(kind, layer, x, tuple(state), lengths=lengths)
    got = pulled((h * u).sum() + sum((s * v).sum() for s, v in zip(last, last_u, strict=False)))
    total = mg.tensor(0.0, dtype="float64")
    for n, length in enumerate(lengths):
        one = slice(n, n + 1)
        alone, end = states_of(kind, layer, x[one, :length], tuple(s[one] for s in state))
        np.testing.assert_allclose(h.data[n, :length], alone.data[0], rtol=1e-12)
        assert not h.data[n, length:].any()
        for mine, theirs, v in zip(last, end, last_u, strict=False):
            np.testing.assert_allclose(mine.data[one], theirs.data, rtol=1e-12)
            total = total + (theirs * v[one]).sum()
        total = total + (alone * u[one, :length]).sum()
    for mine, theirs in zip(got, pulled(total), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_the_last_state_of_packed_sequences_is_pytorchs(kind):
    layer, lengths = getattr(nn, kind)(3, 4, dtype="float64", rng=0), np.array([3, 2, 5, 1])

    def theirs(torch, weights, x):
        pack = torch.nn.utils.rnn.pack_padded_sequence
        packed = pack(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
        _, last = recurrent(torch, kind, weights, 3, 4)(packed)
        return last[0] if kind == "RNN" else torch.cat([last[0][0], last[1][0]])

    def mine(layer, x):
        _, last = layer(x, lengths=lengths)
        return last if kind == "RNN" else mg.concatenate(last)

    check(PYTORCH, f"packed {kind}", layer, mine, theirs, random_input((4, 5, 3)))


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_indices_are_an_embedding_before(kind):
    layer, table = getattr(nn, kind)(3, 4, dtype="float64", rng=0), nn.Embedding(6, 3, dtype="float64", rng=1)
    words, state = np.array([[5, 0, 5, 1], [2, 5, 5, 0]]), (random_input((2, 4)), random_input((2, 4), 1))
    distinct, indices = np.unique(words, return_inverse=True)
    results = []
    for x, places in ((table(words), None), (table(distinct), indices)):
        table.zero_grad()
        layer.zero_grad()
        h, last = states_of(kind, layer, x, state, lengths=[4, 2], indices=places)
        (h.sum() + sum(s.sum() for s in last)).backward()
        results.append([h.data, *(s.data for s in last), *(p.grad for p in (*layer.parameters(), table.weight))])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_lengths_and_indices_without_a_state_or_steps(kind):
    layer = getattr(nn, kind)(3, 4, rng=0)
    rows = np.ones((2, 3), np.float32)
    h, last = layer(rows, indices=np.zeros((5, 2), int), lengths=np.zeros(5, int))
    for end in last if kind == "LSTM" else (last,):
        assert (end.shape, end.dtype, end.data.any()) == ((5, 4), np.float32, False)
    assert not h.data.any()
    h, last = layer(np.zeros((0, 5, 3), np.float32), lengths=[])
    assert h.shape == (0, 5, 4)
    h, last = layer(rows, indices=np.zeros((5, 0), int), lengths=np.zeros(5, int))
    assert h.shape == (5, 0, 4)
    assert (last[0] if kind == "LSTM" else last).shape == (5, 4)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
@pytest.mark.parametrize(("x", "options", "error", "text"), [
    ((2, 5, 3), {"lengths": [5]}, ValueError, "lengths must be 2 integers"),
    ((2, 5, 3), {"lengths": [5, 6]}, ValueError, "lengths must be from 0 to T = 5"),
    ((2, 5, 3), {"lengths": [1.0, 2.0]}, ValueError, "lengths must be 2 integers"),
    ((2, 5, 3), {"indices": [[0, 1]]}, ValueError, r"with indices x must be rows \(U, 3\), it has shape \(2, 5, 3\)"),
    ((5, 4), {"indices": [[0, 1]]}, ValueError, r"with indices x must be rows \(U, 3\), it has shape \(5, 4\)"),
    ((5, 3), {"indices": [0, 1]}, ValueError, r"indices must be \(N, T\), they have shape \(2,\)"),
    ((5, 3), {"indices": [[0, 5]]}, IndexError, r"indices\[0, 1\] is 5"),
    ((5, 3), {"indices": [[0.0, 1.0]]}, TypeError, "indices must be integers"),
])  # fmt: skip
def test_lengths_and_indices_that_do_not_fit_are_named(kind, x, options, error, text):
    with pytest.raises(error, match=text):
        getattr(nn, kind)(3, 4)(np.zeros(x, np.float32), **options)


def test_recurrent_initial_weights():
    layer = nn.LSTM(6, 5, dtype="float64", rng=0)
    assert layer.b.data.tolist() == [0] * 5 + [1] * 5 + [0] * 10
    assert nn.LSTM(2, 3, forget_bias=0.0).b.data.tolist() == [0] * 12
    for k in range(4):
        gate = layer.Wh.data[:, 5 * k : 5 * k + 5]
        np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=1e-12)
    bound = np.sqrt(6 / 11)
    assert 0.8 * bound < abs(layer.Wx.data).max() <= bound
    rnn = nn.RNN(6, 5, dtype="float64", rng=0)
    np.testing.assert_allclose(rnn.Wh.data @ rnn.Wh.data.T, np.eye(5), atol=1e-12)
    assert not rnn.b.data.any()


def test_recurrent_errors():
    for kind in ("RNN", "LSTM"):
        layer = getattr(nn, kind)(3, 4)
        for shape in ((2, 3), (2, 5, 4), (2, 2, 5, 3)):
            with pytest.raises(ValueError, match=rf"{kind}: x must be \(N, T, 3\), it has shape"):
                layer(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="the hidden state must be"):
        nn.RNN(3, 4)(np.zeros((2, 5, 3)), np.zeros((1, 4)))
    for state in (np.zeros((2, 4)), (np.zeros((2, 4)),)):
        with pytest.raises(ValueError, match=r"the state must be a pair \(h0, c0\)"):
            nn.LSTM(3, 4)(np.zeros((2, 5, 3)), state)


# --- convolution, dropout, sequences -------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"groups": 2, "dilation": 2}, {"bias": False}, {"padding": (0, 2)}]
)
def test_conv2d(options):
    layer, x = nn.Conv2d(4, 6, (3, 2), **options, dtype="float64", rng=0), random_input((2, 4, 8, 7))
    calls = {name: value for name, value in options.items() if name != "bias"}

    def theirs(torch, weights, x):
        return torch.nn.functional.conv2d(x, weights["weight"], weights.get("bias"), **calls)

    check(PYTORCH, f"conv2d {options}", layer, nn.Conv2d.__call__, theirs, x)
    assert layer.weight.shape == (6, 4 // layer.groups, 3, 2)


def test_conv2d_errors():
    for options, text in [
        ({"groups": 3}, "must divide in_channels"),
        ({"kernel_size": 0}, "kernel_size must be a positive integer, not 0"),
        ({"kernel_size": (1, 2, 3)}, "one number or two"),
        ({"groups": 0}, "groups must be a positive integer"),
        ({"in_channels": -4}, "in_channels must be"),
        ({"in_channels": 0}, "in_channels must be a positive integer, not 0"),
        ({"out_channels": 0}, "out_channels must be a positive integer, not 0"),
        ({"stride": 0}, "Conv2d: stride must be at least 1, not 0"),
        ({"padding": (0, -1)}, r"Conv2d: padding must be at least 0, not \(0, -1\)"),
        ({"dilation": 0}, "Conv2d: dilation must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=text):
            nn.Conv2d(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **options})
    with pytest.raises(TypeError, match=r"Conv2d: stride must be an integer or a pair of integers, not 1\.5"):
        nn.Conv2d(4, 6, 3, stride=1.5)


def test_dropout():
    layer, x = nn.Dropout(0.25, rng=0), mg.tensor(np.ones((200, 300), np.float32), requires_grad=True)
    y = layer(x)
    assert y.dtype == np.float32
    assert set(np.unique(y.data)) == {0, np.float32(4 / 3)}
    assert abs((y.data == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / y.size)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad, y.data)
    assert not np.array_equal(layer(x).data, y.data)  # a seed starts one stream, not each call anew
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    mg.manual_seed(1)
    first = nn.Dropout()(x).data
    mg.manual_seed(1)
    np.testing.assert_array_equal(first, nn.Dropout()(x).data)
    for p in (-0.1, 1.0, float("nan"), "half"):
        with pytest.raises(ValueError, match=r"Dropout: p must be a number in \[0, 1\), not"):
            nn.Dropout(p)


def test_deepcopied_dropout_draws_the_same():
    layer, x = nn.Dropout(0.5, rng=0), mg.tensor(np.ones(50))
    twin = copy.deepcopy(layer)
    np.testing.assert_array_equal(layer(x).data, twin(x).data)


@given(st.lists(st.sampled_from(["ReLU", "Tanh", "Sigmoid"]), max_size=4))
def test_sequential(kinds):
    x = random_input((2, 3))
    expected = x
    for kind in kinds:
        expected = {"ReLU": lambda v: np.maximum(v, 0), "Tanh": np.tanh, "Sigmoid": lambda v: 1 / (1 + np.exp(-v))}[
            kind
        ](expected)
    modules = [getattr(nn, kind)() for kind in kinds]
    model = nn.Sequential(*modules)
    np.testing.assert_allclose(model(mg.tensor(x)).data, expected, rtol=1e-12)
    assert len(model) == len(kinds)
    assert list(model) == modules
    if kinds:
        assert model[-1] is modules[-1]
        assert list(model[:2]) == modules[:2]


def test_sequential_runs_a_repeated_module_each_time():
    scale = nn.Linear(1, 1, bias=False, dtype="float64")
    scale.weight.data[...] = 3
    model = nn.Sequential(scale, nn.ReLU(), scale)
    assert model(mg.tensor([[1.0]], dtype="float64")).item() == 9
    assert len(list(model.parameters())) == 1
    with pytest.raises(TypeError, match="argument 1 must be a module, not function"):
        nn.Sequential(nn.ReLU(), mg.ops.tanh)


# --- what all layers share -----------------------------------------------------------------------------

MAKERS = {
    "Linear": (lambda **k: nn.Linear(3, 4, **k), (2, 3)),
    "RNN": (lambda **k: nn.RNN(3, 4, **k), (2, 5, 3)),
    "LSTM": (lambda **k: nn.LSTM(3, 4, **k), (2, 5, 3)),
    "Conv2d": (lambda **k: nn.Conv2d(3, 4, 2, **k), (2, 3, 4, 4)),
    "Embedding": (lambda **k: nn.Embedding(5, 4, **k), None),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_dtypes_and_seeds(kind):
    make, shape = MAKERS[kind]
    single, double = make(rng=3), make(rng=3, dtype="float64")
    for (name, a), b in zip(single.named_parameters(), double.parameters(), strict=True):
        assert (a.dtype, b.dtype) == (np.float32, np.float64)
        np.testing.assert_array_equal(a.data, b.data.astype(np.float32), err_msg=name)
    for layer in (single, double):
        dtype = next(layer.parameters()).dtype
        x = np.array([[0, 4]]) if shape is None else random_input(shape).astype(dtype)
        y = layer(x)
        first = y[0] if isinstance(y, tuple) else y
        assert first.dtype == dtype
        first.backward(np.ones(first.shape))
        assert all(p.grad.dtype == dtype for p in layer.parameters())
    mg.manual_seed(1)
    a = make().state_dict()
    mg.manual_seed(1)
    for name, array in make().state_dict().items():
        np.testing.assert_array_equal(array, a[name])


@pytest.mark.parametrize("kind", MAKERS)
def test_the_first_weights_can_be_given(kind):
    """By a function of their shape, in the layer's order; biases start from 0, and nothing is drawn."""
    shapes = []

    def initial(shape):
        shapes.append(shape)
        return np.full(shape, len(shapes), np.float64)

    random = np.random.default_rng(0)
    layer = MAKERS[kind][0](dtype="float64", rng=random, initial=initial)
    assert random.bit_generator.state == np.random.default_rng(0).bit_generator.state
    weights = {name: p for name, p in layer.named_parameters() if p.ndim > 1}
    assert [p.shape for p in weights.values()] == shapes
    for number, p in enumerate(weights.values(), 1):
        np.testing.assert_array_equal(p.data, np.full(p.shape, number))
    biases = [p.data for name, p in layer.named_parameters() if name not in weights]
    assert len(biases) == (kind != "Embedding")
    for bias in biases:
        expected = np.repeat([0, 1, 0, 0], 4) if kind == "LSTM" else np.zeros(4)
        np.testing.assert_array_equal(bias, expected)
    assert MAKERS[kind][0](initial=initial, dtype="float16").state_dict()[next(iter(weights))].dtype == np.float16
    with pytest.raises(ValueError, match=rf"{kind}: initial gave numbers of shape \(2, 2\) for a weight of shape"):
        MAKERS[kind][0](initial=lambda shape: np.ones((2, 2)))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Linear(0, 1), "Linear: in_features must be a positive integer, not 0"),
        (lambda: nn.Linear(1, 2.0), "out_features must be a positive integer, not 2.0"),
        (lambda: nn.Embedding(-1, 2), "Embedding: num must be"),
        (lambda: nn.RNN(1, True), "RNN: hidden_size must be"),
        (lambda: nn.LSTM(1, 0), "LSTM: hidden_size must be"),
    ],
)
def test_sizes(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_linear_and_conv_start_as_in_pytorch():
    def deviations(torch):
        linear, conv = torch.nn.Linear(100, 200), torch.nn.Conv2d(8, 32, 3)
        return [p.std().item() for p in (linear.weight, linear.bias, conv.weight)]

    weight, bias, kernel = PYTORCH.ask("standard deviations", deviations, within=0.2).expected
    linear, conv = nn.Linear(100, 200, rng=0), nn.Conv2d(8, 32, 3, rng=0)
    for a, expected in ((linear.weight, weight), (linear.bias, bias)):
        assert abs(a.data).max() <= 0.1 * (1 + 1e-6)
        assert a.data.std() == pytest.approx(expected, rel=0.2)
    assert conv.weight.data.std() == pytest.approx(kernel, rel=0.1)
    assert abs(conv.weight.data).max() <= 1 / np.sqrt(72) * (1 + 1e-6)


def test_a_forget_bias_is_a_number():
    with pytest.raises(TypeError, match="LSTM: forget_bias must be a number, not NoneType"):
        nn.LSTM(2, 3, forget_bias=None)
    assert nn.LSTM(2, 3, forget_bias=2).b.data[3] == 2


@pytest.mark.parametrize("option", ["lengths", "indices"])
def test_masked_lengths_and_indices_are_refused(option):
    given = {"lengths": np.array([2, 1]), "indices": np.zeros((2, 2), int)}
    given[option] = np.ma.masked_array(given[option], given[option] == 1)
    with pytest.raises(TypeError, match="masked"):
        nn.RNN(3, 4)(np.ones((2, 3), np.float32), **given)
