"""Networks written as ONNX: onnxruntime computes the same, and read again they run, train and are drawn."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from captioning.models.network import CaptionNetwork
from minigrad import nn
from tests.interop.onnx_files import NEEDS_ONNX, NEEDS_RUNTIME, arrays_in, operators_of, run


def drawn(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Residual(nn.Module):
    """Two convolutions beside a shorter way."""

    def __init__(self, inputs, channels, stride):
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, rng=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, rng=2)
        self.norm2 = nn.BatchNorm2d(channels)
        self.short = nn.Conv2d(inputs, channels, 1, stride=stride, rng=3) if stride > 1 or inputs != channels else None

    def forward(self, x):
        y = self.norm2(self.conv2(mg.relu(self.norm1(self.conv1(x)))))
        return mg.relu(y + (x if self.short is None else self.short(x)))


def residual_network():
    layers = [nn.Conv2d(3, 8, 3, padding=1, rng=0), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), Residual(8, 8, 1),
              Residual(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5, rng=4)]  # fmt: skip
    network = nn.Sequential(*layers)
    for seed in range(3):
        network(drawn(4, 3, 12, 12, seed=seed))  # so that the running averages are not those of the start
    return network


class Encoder(nn.Module):
    """A transformer's encoder layer on word vectors with places."""

    def __init__(self, words=11, steps=6, width=8, heads=2):
        self.heads = heads
        self.embed = nn.Embedding(words, width, rng=1)
        self.places = nn.Buffer(drawn(steps, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.out = nn.Linear(width, 3 * width, rng=2), nn.Linear(width, width, rng=3)
        self.mlp = nn.Sequential(nn.Linear(width, 16, rng=4), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, width, rng=5))

    def forward(self, words, mask=None):
        x = self.embed(words) + self.places
        N, T, width = x.shape
        q, k, v = mg.split(self.project(self.norm1(x)), 3, axis=-1)
        q, k, v = (mg.transpose(t.reshape(N, T, self.heads, -1), (0, 2, 1, 3)) for t in (q, k, v))
        y = mg.attention(q, k, v, mask=mask, causal=mask is None)
        x = x + self.out(mg.transpose(y, (0, 2, 1, 3)).reshape(N, T, width))
        return x + self.mlp(self.norm2(x))


class Attending(nn.Module):
    """Attention, which sees its own words or those of another sequence, with or without its weights."""

    def __init__(self, need_weights=False, **options):
        self.layer, self.need_weights = nn.MultiHeadAttention(8, 2, rng=0, **options), need_weights

    def forward(self, x, key=None, mask=None):
        return self.layer(x, key, mask=mask, need_weights=self.need_weights)


def encoder(norm_first):
    rng = np.random.default_rng(0)
    make = lambda: nn.TransformerEncoderLayer(8, 2, 16, norm_first=norm_first, rng=rng)  # noqa: E731
    return nn.TransformerEncoder(make, 2, nn.LayerNorm(8) if norm_first else None)


class WithLengths(nn.Module):
    """A recurrent layer on sequences of several lengths."""

    def __init__(self, layer, lengths):
        self.layer, self.lengths = layer, np.array(lengths)

    def forward(self, x):
        return self.layer(x, lengths=self.lengths)


class Step(nn.Module):
    """One step of a captioner's decoding."""

    def __init__(self, cell, projected):
        self.network = CaptionNetwork(9, 0, 5, 4, 6, cell, np.random.default_rng(0).standard_normal)
        self.projected = projected

    def forward(self, words, state):
        return self.network.step(words, state, self.network.project_words() if self.projected else None)


class Chained(nn.Module):
    """States that are given, tensors in tuples."""

    def __init__(self):
        self.layer = nn.LSTM(3, 4, rng=0)

    def forward(self, x, state):
        return self.layer(x, state)


X, PADDING = drawn(3, 6, 8), (np.arange(6) < np.array([0, 4, 6])[:, None])[:, None]
WORDS = np.random.default_rng(0).integers(0, 11, (2, 6))
LAYERS = {name: getattr(nn, name) for name in ("RNN", "LSTM", "GRU")}
NETWORKS = {
    "mlp": lambda: (nn.Sequential(nn.Linear(4, 8, rng=0), nn.Tanh(), nn.Linear(8, 3, rng=1)), drawn(5, 4)),
    "residual": lambda: (residual_network(), drawn(2, 3, 12, 12)),
    "encoder, causal": lambda: (Encoder(), WORDS),
    "encoder, masked": lambda: (Encoder(), (WORDS, np.tril(np.ones((6, 6), bool), 2))),
    "attention": lambda: (Attending(), X),
    "attention, padded": lambda: (Attending(), (X, X, PADDING)),
    "attention of another, a mask for each head": lambda: (
        Attending(kdim=4, vdim=4, bias=False), (X, drawn(3, 5, 4), drawn(3, 2, 6, 5) > -0.5)),
    "attention, floats that are added": lambda: (Attending(), (X, X, drawn(3, 2, 6, 6))),
    "attention and its weights": lambda: (Attending(need_weights=True), X),
    "attention and its weights, padded": lambda: (Attending(need_weights=True), (X, X, PADDING)),
    "attention and its weights, floats that are added": lambda: (
        Attending(need_weights=True), (X, X, np.where(PADDING, 0.5, -np.inf).astype(np.float32))),
    "transformer": lambda: (encoder(norm_first=False), X),
    "transformer, padded": lambda: (encoder(norm_first=True), (X, PADDING)),
    "chained": lambda: (Chained(), (drawn(2, 5, 3), (mg.tensor(drawn(2, 4)), mg.tensor(drawn(2, 4, seed=2))))),
    **{name: lambda layer=layer: (layer(3, 4, rng=0), drawn(2, 5, 3)) for name, layer in LAYERS.items()},
    **{f"{name}, two ways": lambda layer=layer: (layer(3, 4, 2, bidirectional=True, rng=0), drawn(2, 5, 3))
       for name, layer in LAYERS.items()},
    **{f"{name}, lengths": lambda layer=layer: (
        WithLengths(layer(3, 4, 2, bidirectional=True, rng=0), [5, 2]), drawn(2, 5, 3))
       for name, layer in LAYERS.items()},
}  # fmt: skip
STEPS = {
    f"{cell} step{', projected words' * projected}": lambda cell=cell, projected=projected: (
        Step(cell, projected),
        (np.array([3, 7]), tuple(mg.tensor(drawn(2, 6, seed=i)) for i in range(1 + (cell == "lstm")))),
    )
    for cell in ("rnn", "lstm")
    for projected in (False, True)
}  # whose own passes record nothing


def written(make, tmp_path):
    module, inputs = make()
    path = tmp_path / "network.onnx"
    mg.export_onnx(module, inputs, path)
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    return module, given, path, arrays_in(module.eval()(*given))


@NEEDS_RUNTIME
@pytest.mark.parametrize("name", [*NETWORKS, *STEPS])
def test_onnxruntime_computes_the_same(name, tmp_path):
    _, inputs, path, expected = written({**NETWORKS, **STEPS}[name], tmp_path)
    for ours, theirs in zip(expected, run(path, inputs), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


@NEEDS_ONNX
@pytest.mark.parametrize("name", [*NETWORKS, *STEPS])
def test_what_is_written_is_read_as_the_same_network(name, tmp_path):
    module, inputs, path, expected = written({**NETWORKS, **STEPS}[name], tmp_path)
    again = mg.import_onnx(path)
    flat = arrays_in(inputs)
    for ours, theirs in zip(expected, arrays_in(again(*flat)), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-6)
    weights = {key: value.data for key, value in module.named_parameters()}
    read = dict(again.named_parameters())
    for key, value in read.items():
        np.testing.assert_array_equal(value.data, weights[key])
    if name in NETWORKS:
        assert read.keys() == weights.keys()
    assert {key for key, _ in again.named_buffers()} <= {key for key, _ in module.named_buffers()}


@NEEDS_ONNX
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_the_module(name, tmp_path):
    module, inputs, path, _ = written(NETWORKS[name], tmp_path)
    again = mg.import_onnx(path)
    for network, given in ((module, inputs), (again, arrays_in(inputs))):
        result = network(*given)
        sum_of_squares(result).backward()
    theirs = dict(again.named_parameters())
    for key, parameter in module.named_parameters():
        np.testing.assert_allclose(theirs[key].grad, parameter.grad, rtol=1e-3, atol=2e-5, err_msg=key)


def sum_of_squares(result):
    if isinstance(result, tuple):
        return sum((sum_of_squares(part) for part in result[1:]), sum_of_squares(result[0]))
    return mg.sum(result * result)


@NEEDS_ONNX
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_read_trains_and_is_drawn(name, tmp_path):
    _, inputs, path, _ = written(NETWORKS[name], tmp_path)
    network, flat = mg.import_onnx(path), arrays_in(inputs)
    optimiser = mg.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(5):
        network.zero_grad()
        loss = sum_of_squares(network(*flat))
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    text = mg.render.to_text(loss)
    assert all(name.split(".")[-1] in text for name, _ in network.named_parameters())
    assert mg.render.to_dot(loss).startswith("digraph")


@NEEDS_ONNX
def test_layers_are_single_operators(tmp_path):
    expected = {"LSTM": {"LSTM"}, "GRU, two ways": {"GRU"}, "residual": {"Conv", "BatchNormalization", "MaxPool"}}
    for name, kinds in expected.items():
        *_, path, _ = written(NETWORKS[name], tmp_path)
        assert kinds <= operators_of(path)


@NEEDS_ONNX
def test_what_is_read_is_written_again(tmp_path):
    _, inputs, path, expected = written(NETWORKS["residual"], tmp_path)
    second = tmp_path / "second.onnx"
    mg.export_onnx(mg.import_onnx(path), inputs, second)
    assert operators_of(second) == operators_of(path)
    for ours, theirs in zip(expected, arrays_in(mg.import_onnx(second)(*inputs)), strict=True):
        np.testing.assert_array_equal(theirs, ours)
