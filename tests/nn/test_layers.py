"""Layers against PyTorch and their primitives: values, gradients, initial weights, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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


# --- convolution, dropout, sequences -------------------------------------------------------------------


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
    "Conv1d": (lambda **k: nn.Conv1d(3, 4, 2, **k), (2, 3, 4)),
    "ConvTranspose1d": (lambda **k: nn.ConvTranspose1d(3, 4, 2, **k), (2, 3, 4)),
    "ConvTranspose2d": (lambda **k: nn.ConvTranspose2d(3, 4, 2, **k), (2, 3, 4, 4)),
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


@pytest.mark.parametrize(
    ("name", "sizes", "option"),
    [("Conv1d", (2, 3, 4), "padding_mode"), ("MaxPool2d", (2,), "ceil_mode"), ("GRU", (2, 3), "batch_first"),
     ("LSTM", (2, 3), "batch_first"), ("ConvTranspose2d", (2, 3, 4), "padding_mode"), ("BatchNorm1d", (2,), "device")],
)  # fmt: skip
def test_an_unknown_option_is_named(name, sizes, option):
    with pytest.raises(TypeError, match=rf"__init__\(\) got an unexpected keyword argument '{option}'"):
        getattr(nn, name)(*sizes, **{option: True})
