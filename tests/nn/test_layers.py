"""Layers against PyTorch and their primitives: values, gradients, initial weights, errors."""

from __future__ import annotations

import copy
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


def linear(torch, weights, x):
    return torch.nn.functional.linear(x, weights["weight"].T, weights.get("bias"))


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 2, 2, 3), (0, 2, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias):
    layer = nn.Linear(3, 2, bias, dtype="float64", rng=0)
    check(PYTORCH, f"linear {shape} {bias}", layer, nn.Linear.__call__, linear, random_input(shape))
    assert (layer.bias is None) == (not bias)


def test_embedding():
    layer, indices = nn.Embedding(5, 3, dtype="float64", rng=0), np.array([[0, 4, 4], [1, 0, 4]])

    def theirs(torch, weights, indices):
        return torch.nn.functional.embedding(indices, weights["weight"])

    check(PYTORCH, "embedding", layer, nn.Embedding.__call__, theirs, indices)


# --- convolution, dropout, sequences -------------------------------------------------------------------


def test_dropout():
    layer, x = nn.Dropout(0.25, rng=0), mg.tensor(np.ones((200, 300), np.float32), requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.data)) == {0, np.float32(4 / 3)}
    assert abs((y.data == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / y.size)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad, y.data)
    twin = copy.deepcopy(layer)
    again = layer(x).data
    assert not np.array_equal(again, y.data)  # a seed starts one stream, not each call anew
    np.testing.assert_array_equal(again, twin(x).data)
    assert layer.eval()(x) is x


def test_sequential_runs_a_repeated_module_each_time():
    scale = nn.Linear(1, 1, bias=False, dtype="float64")
    scale.weight.data[...] = 3
    model = nn.Sequential(scale, nn.ReLU(), scale)
    assert model(mg.tensor([[1.0]], dtype="float64")).item() == 9
    assert len(list(model.parameters())) == 1
    assert (len(model), list(model)[1], list(model[:2])) == (3, model[1], [scale, model[1]])


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
    with pytest.raises(ValueError, match=rf"{kind}: initial returned values of shape \(2, 2\) for a weight of shape"):
        MAKERS[kind][0](initial=lambda shape: np.ones((2, 2)))


MADE = {"kernel_size": 3, "in_channels": 4, "out_channels": 6}
CONVOLUTIONS = {"Conv1d": (11,), "Conv2d": (8, 7), "ConvTranspose1d": (5,), "ConvTranspose2d": (4, 3)}
X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: nn.Linear(0, 1), ValueError, "Linear: in_features .* not 0"),
        (lambda: nn.Linear(1, 2.0), ValueError, "out_features .* not 2.0"),
        (lambda: nn.Linear(3, 2)(np.zeros((2, 4))), ValueError, "last axis of x must be 3"),
        (lambda: nn.Linear(3, 2)(np.float64(3)), ValueError, "last axis of x must be 3"),
        (lambda: nn.Embedding(-1, 2), ValueError, "Embedding: num must be"),
        (lambda: nn.RNN(1, True), ValueError, "RNN: hidden_size must be"),
        (lambda: nn.LSTM(1, 0), ValueError, "LSTM: hidden_size must be"),
        (lambda: nn.Sequential(nn.ReLU(), mg.ops.tanh), TypeError, "argument 1 .* not function"),
        *((lambda p=p: nn.Dropout(p), ValueError, r"Dropout: p .*\[0, 1\)") for p in (-0.1, 1.0, float("nan"), "half")),
        *((lambda name=name, sizes=sizes, option=option: getattr(nn, name)(*sizes, **{option: True}), TypeError,
           rf"unexpected keyword argument '{option}'") for name, sizes, option in [
            ("Conv1d", (2, 3, 4), "padding_mode"), ("MaxPool2d", (2,), "ceil_mode"), ("GRU", (2, 3), "batch_first"),
            ("BatchNorm1d", (2,), "device"),
        ]),
        *((lambda name=name, options=options: getattr(nn, name)(**(MADE | options)), kind, f"{name}: .*{text}")
          for name in CONVOLUTIONS for options, kind, text in [
            ({"groups": 3}, ValueError, r"groups \(3\) .*in_channels \(4\) and out_channels \(6\)"),
            ({"kernel_size": 0}, ValueError, "kernel_size .*, not 0"),
            ({"kernel_size": 1.5}, ValueError, "kernel_size .*, not 1.5"),
            ({"kernel_size": (1, 2, 3)}, ValueError, "kernel_size must be one number"),
            ({"groups": 0}, ValueError, "groups must be an integer of at least 1"),
            ({"in_channels": 0}, ValueError, "in_channels .*, not 0"),
            ({"out_channels": 2.0}, ValueError, "out_channels .*, not 2.0"),
            ({"stride": 0}, ValueError, "stride .* 1, not 0"),
            ({"padding": -1}, ValueError, "padding .* 0, not -1"),
            ({"dilation": 0}, ValueError, "dilation .* 1, not 0"),
            ({"stride": "same"}, TypeError, "stride .*, not 'same'"),
            ({"padding": "full"}, (TypeError, ValueError), "padding .*, not 'full'"),
        ]),
        (lambda: nn.ConvTranspose2d(4, 6, 3, output_padding=-1), ValueError, "ConvTranspose2d: output_padding .* 0"),
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size .* 1, not 0"),
        (lambda: nn.MaxPool2d(2, padding=2), ValueError, r"MaxPool2d: padding \(2, 2\) must be smaller"),
        (lambda: nn.AvgPool2d(2.5), TypeError, "AvgPool2d: kernel_size must be an integer or a pair"),
        (lambda: nn.AvgPool2d(2, stride=0), ValueError, "AvgPool2d: stride .* 1"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "AdaptiveAvgPool2d: output_size .* 1, not 0"),
        (lambda: nn.Upsample(scale_factor=1.5), TypeError, "Upsample: scale_factor must be an integer or a pair"),
        (lambda: nn.Upsample(scale_factor=2, mode="cubic"), ValueError, "mode must be 'nearest' or"),
        (lambda: nn.Upsample(2), TypeError, "positional"),
        (lambda: nn.Flatten(2)(X), ValueError, r"Flatten: .*\(2, 3\) .*2 to -1"),
        (lambda: nn.Flatten(1, 0)(X), ValueError, "Flatten: axis 0 .*axis 1"),
        (lambda: nn.Softmax(dim=2)(X), ValueError, "softmax.*axis 2 is out of bounds"),
        (lambda: nn.LogSoftmax(dim=2)(X), ValueError, "log_softmax.*axis 2 is out of bounds"),
        (lambda: nn.GELU("sine")(X), ValueError, "gelu"),
    ],
)  # fmt: skip
def test_refusals(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


# As written, the call makes the same layer in both.
CALLS = [
    "GELU()", "GELU(approximate='tanh')", "Identity()", "ReLU()", "ReLU6()", "SiLU()", "Sigmoid()", "Softmax(dim=1)",
    "Tanh()", "MaxPool2d(2)", "MaxPool2d((3, 2), stride=2, padding=(1, 0))", "AvgPool2d(2)",
    "AvgPool2d(kernel_size=3, stride=(1, 2), padding=1)", "AdaptiveAvgPool2d(1)", "AdaptiveAvgPool2d((3, 4))",
    "Upsample(scale_factor=2)", "Upsample(scale_factor=(2, 3), mode='bilinear')", "PixelShuffle(2)",
    "ELU()", "ELU(alpha=0.5)", "ELU(0.0)", "LeakyReLU()", "LeakyReLU(0.2)", "LeakyReLU(negative_slope=0.0)",
    "LogSoftmax(dim=1)", "LogSoftmax(-1)", "Softplus()", "Softplus(beta=0.5)", "Softplus(-2.0)",
    "PixelUnshuffle(2)", "Flatten()", "Flatten(0)", "Flatten(1, 2)", "Flatten(start_dim=-2, end_dim=-1)",
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_layers_without_weights_are_pytorchs(call):
    layer = eval(f"nn.{call}")
    theirs = lambda torch, weights, x: eval(f"torch.nn.{call}", {"torch": torch})(x) * 1.0  # noqa: E731
    check(PYTORCH, call, layer, lambda layer, x: layer(x) * 1.0, theirs, 4 * random_input((2, 4, 6, 8)))
    assert repr(eval(f"nn.{layer!r}")) == repr(layer)
    assert list(layer.parameters()) == []


@pytest.mark.parametrize(
    ("make", "function"),
    [(nn.ELU, mg.elu), (nn.LeakyReLU, mg.leaky_relu), (nn.LogSoftmax, mg.log_softmax), (nn.Softplus, mg.softplus)],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, bool])
def test_activations_are_one_call_with_the_functions_defaults(make, function, dtype):
    x = np.array([[-1, 0, 2]]).astype(dtype)
    x = mg.tensor(x, requires_grad=x.dtype.kind == "f")
    y, expected = make()(x), function(x)
    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y.data, expected.data)
    assert y.node is None or y.node.primitive is function.primitive
    assert function(x.data).shape == make()(x.data.tolist()).shape


def test_softplus_of_float16_keeps_its_dtype():
    assert nn.Softplus(2.0)(np.ones(3, np.float16)).dtype == np.float16


def test_the_gradient_of_relu6_at_its_ends():
    x = mg.tensor([0.0, 6.0, np.inf, -np.inf], requires_grad=True)
    nn.ReLU6()(x).sum().backward()
    assert x.grad.tolist() == [0, 1, 0, 0]


# Each class, with the arguments that follow the channels, 4 and 6, in PyTorch's order.
ARGUMENTS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "Conv1d": [((3, 2, 1, 2, 2, False), {}), ((5,), {"padding": "same", "dilation": 2}), (((3,),), {})],
    "Conv2d": [(((3, 2), (2, 1), 1, (1, 2), 2, False), {}), ((3,), {"padding": "same"}), ((3,), {"padding": (0, 2)})],
    "ConvTranspose1d": [((4, 3, 1, 2, 2, False, 2), {}), ((3,), {"stride": 2, "output_padding": 1})],
    "ConvTranspose2d": [
        (((4, 3), (3, 2), (1, 0), (2, 1), 2, False, 2), {}),
        ((3,), {"stride": 2, "padding": 1, "output_padding": 1}),
    ],
}


@pytest.mark.parametrize(
    ("name", "arguments", "options"), [(name, *call) for name, several in ARGUMENTS.items() for call in several]
)
def test_convolutions_are_pytorchs(name, arguments, options):
    """A layer of theirs of the same arguments, in order, takes the weights of ours as they are."""
    layer = getattr(nn, name)(4, 6, *arguments, **options, dtype="float64", rng=0)

    def theirs(torch: Any, weights: Any, x: Any) -> Any:
        twin = getattr(torch.nn, name)(4, 6, *arguments, **options, dtype=torch.float64)
        assert {n: p.shape for n, p in twin.named_parameters()} == {n: p.shape for n, p in weights.items()}
        return torch.func.functional_call(twin, weights, x)

    key, x = f"{name} {arguments} {options}", random_input((2, 4, *CONVOLUTIONS[name]))
    check(PYTORCH, key, layer, nn.Module.__call__, theirs, x)
    assert repr(layer).startswith(f"{name}(4, 6, kernel_size=")
