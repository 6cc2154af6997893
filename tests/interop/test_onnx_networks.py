"""Networks as ONNX files: onnxruntime computes the same, and imported networks run and train."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minigrad as mg
from captioning.models.captioner import CaptionNetwork
from minigrad import nn
from tests.interop.onnx_files import NEEDS_ONNX, NEEDS_RUNTIME, Function, arrays_in, operators_of, run


def drawn(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def convolutional_network():
    layers = [nn.Conv2d(3, 8, 3, padding=1, rng=0), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
              nn.Conv2d(8, 16, 3, stride=2, padding=1, rng=1), nn.BatchNorm2d(16), nn.AdaptiveAvgPool2d(1),
              nn.Flatten(), nn.Linear(16, 5, rng=4)]  # fmt: skip
    network = nn.Sequential(*layers)
    for seed in range(3):
        network(drawn(4, 3, 12, 12, seed=seed))  # so that the running averages differ from their initial values
    return network


class Attending(nn.Module):
    """Attention to its own or another sequence, with or without its weights."""

    def __init__(self, need_weights=False, **options):
        self.layer, self.need_weights = nn.MultiHeadAttention(8, 2, rng=0, **options), need_weights

    def forward(self, x, key=None, mask=None):
        return self.layer(x, key, mask=mask, need_weights=self.need_weights)


def encoder(norm_first):
    rng = np.random.default_rng(0)
    make = lambda: nn.TransformerEncoderLayer(8, 2, 16, norm_first=norm_first, rng=rng)  # noqa: E731
    return nn.TransformerEncoder(make, 2, nn.LayerNorm(8) if norm_first else None)


class WithLengths(nn.Module):
    """A recurrent layer on sequences of different lengths."""

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
    """A layer whose initial states are arguments: a tuple of tensors."""

    def __init__(self):
        self.layer = nn.LSTM(3, 4, rng=0)

    def forward(self, x, state):
        return self.layer(x, state)


X, PADDING = drawn(3, 6, 8), (np.arange(6) < np.array([0, 4, 6])[:, None])[:, None]
LAYERS = {name: getattr(nn, name) for name in ("RNN", "LSTM", "GRU")}
NETWORKS = {
    "activations": lambda: (
        nn.Sequential(nn.LeakyReLU(0.2), nn.ELU(0.5), nn.Softplus(), nn.Softplus(0.5), nn.LogSoftmax()), drawn(5, 4)
    ),
    "mlp": lambda: (nn.Sequential(nn.Linear(4, 8, rng=0), nn.Tanh(), nn.Linear(8, 3, rng=1)), drawn(5, 4)),
    "convolutions": lambda: (convolutional_network(), drawn(2, 3, 12, 12)),
    "Conv1d, same": lambda: (nn.Conv1d(2, 3, 4, 2, "same", dilation=2, rng=0), drawn(2, 2, 9)),  # an odd padding
    "Conv2d, same": lambda: (nn.Conv2d(2, 3, 4, 3, "same", dilation=2, rng=0), drawn(2, 2, 9, 8)),
    "Conv2d, valid": lambda: (nn.Conv2d(2, 3, 4, 2, "valid", dilation=2, rng=0), drawn(2, 2, 9, 8)),
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


SAMPLE = ["mlp", "convolutions", "Conv1d, same", "Conv2d, same",
          "attention and its weights, padded", "transformer, padded", "chained",
          "GRU, two ways", "LSTM, lengths", "lstm step, projected words"]  # fmt: skip
"""Networks that are tested without --full."""


def written(name, tmp_path):
    module, inputs = {**NETWORKS, **STEPS}[name]()
    path = tmp_path / "network.onnx"
    mg.export_onnx(module, inputs, path)
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    return module.eval(), given, path


def sum_of_squares(result):
    if isinstance(result, tuple):
        return sum((sum_of_squares(part) for part in result[1:]), sum_of_squares(result[0]))
    return mg.sum(result * result)


@pytest.mark.slow
@NEEDS_RUNTIME
def test_onnxruntime_and_the_imported_network_compute_the_same(tmp_path, full):
    for name in [*NETWORKS, *STEPS] if full else SAMPLE:
        module, inputs, path = written(name, tmp_path)
        again, flat = mg.import_onnx(path), arrays_in(inputs)
        results = arrays_in(module(*inputs)), run(path, inputs), arrays_in(again(*flat))
        for ours, theirs, imported in zip(*results, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(imported, ours, rtol=1e-5, atol=1e-6, err_msg=name)
        assert {key for key, _ in again.named_buffers()} <= {key for key, _ in module.named_buffers()}


@pytest.mark.slow
@NEEDS_ONNX
def test_imported_networks_have_the_same_gradients_and_train(tmp_path, full):
    for name in NETWORKS if full else [name for name in SAMPLE if name in NETWORKS]:
        module, inputs, path = written(name, tmp_path)
        again, flat = mg.import_onnx(path), arrays_in(inputs)
        sum_of_squares(module(*inputs)).backward()
        loss = sum_of_squares(again(*flat))
        loss.backward()
        theirs = dict(again.named_parameters())
        assert theirs.keys() == dict(module.named_parameters()).keys()
        for key, parameter in module.named_parameters():
            np.testing.assert_array_equal(theirs[key].data, parameter.data)
            np.testing.assert_allclose(theirs[key].grad, parameter.grad, rtol=1e-3, atol=2e-5, err_msg=key)
        mg.optim.Adam(again.parameters(), lr=1e-3).step()
        assert sum_of_squares(again(*flat)).item() < loss.item()
        assert mg.render.to_dot(loss).startswith("digraph")


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("name", "kinds"),
    [("LSTM", {"LSTM"}), ("GRU, two ways", {"GRU"}), ("convolutions", {"Conv", "BatchNormalization"})],
)
def test_layers_are_single_operators(name, kinds, tmp_path):
    *_, path = written(name, tmp_path)
    assert kinds <= operators_of(path)


def resized(value, name, axes, n):
    """An argument, or a tuple of them, with n different entries along its dynamic axis."""
    if isinstance(value, tuple):
        return tuple(resized(part, f"{name}_{i}", axes, n) for i, part in enumerate(value))
    x = value.data if isinstance(value, mg.Tensor) else value
    for axis in axes.get(name, ()):
        x = np.take(x, np.arange(n) % x.shape[axis], axis)
        if x.dtype.kind == "f":
            x *= 1 + 0.1 * np.arange(n, dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return mg.tensor(x) if isinstance(value, mg.Tensor) else x


def check_free_axes(module, given, axes, path):
    """onnxruntime, the imported network and its second export take every size."""
    second = path.with_name("second.onnx")
    mg.export_onnx(module, given, path, dynamic_axes=axes)
    again = mg.import_onnx(path)
    mg.export_onnx(again, tuple(arrays_in(given)), second, dynamic_axes=axes)
    names = inspect.signature(module.forward).parameters
    module.eval()
    for n in (1, 6):
        batch = tuple(resized(x, name, axes, n) for name, x in zip(names, given, strict=False))
        for results in (run(path, batch), arrays_in(again(*arrays_in(batch))), run(second, batch)):
            for ours, theirs in zip(arrays_in(module(*batch)), results, strict=True):
                assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
                np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@NEEDS_RUNTIME
def test_dynamic_batches(tmp_path, full):
    names = [name for name in [*NETWORKS, *STEPS] if "lengths" not in name]  # which belong to each sequence
    for name in names if full else ["mlp", "chained", "transformer, padded"]:
        module, given, path = written(name, tmp_path)
        check_free_axes(module, given, {key: [0] for key in mg.import_onnx(path).input_names}, path)


@NEEDS_RUNTIME
def test_dynamic_numbers_of_steps(tmp_path):
    causal = Function(lambda x: mg.attention(x, x, x, causal=True))
    for layer, x, name in ((nn.LSTM(3, 4, rng=0), drawn(2, 5, 3), "x"), (causal, X, "inputs")):
        check_free_axes(layer, (x,), {name: [1]}, tmp_path / "steps.onnx")


@NEEDS_RUNTIME
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:5] + x[-1],  # of an example with fewer rows
        lambda x: x[::-1] - x[:, ::-1],
        lambda x: mg.sum(x, axis=0) / x.shape[0],
        lambda x: x * np.arange(x.shape[0], dtype=np.float32)[:, None],
        lambda x: x[np.arange(x.shape[0]), 1] + mg.roll(x, 1, 1)[:, 0],
        lambda x: mg.pad(mg.put(x, (slice(None), slice(0, 2)), 0.0), ((1, 2), (0, 0))),
        lambda x: mg.concatenate([x, np.ones((x.shape[0], 1), np.float32)], 1).reshape(-1),
    ],
)
def test_constants_follow_the_size(function, tmp_path):
    path = tmp_path / "plain.onnx"
    for example in (drawn(1, 4), drawn(3, 4)):
        mg.export_onnx(Function(function), example, path, dynamic_axes={"inputs": [0]})
        x = drawn(6, 4)
        for theirs in (run(path, [x])[0], mg.import_onnx(path)(x).data):
            np.testing.assert_allclose(theirs, function(mg.tensor(x)).data, rtol=1e-5, atol=1e-6)


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda x: mg.sum(x, 0) * (1 / x.shape[0]),
            r"multiply \(in Function\) has a constant that depends on .*axis 0 of inputs",
        ),
        (lambda x: x * float(x.shape[0] % 2), r"multiply \(in Function\) has a constant"),
        (lambda x: x * float(x.shape[0] ** 2), r"multiply \(in Function\) has a constant"),
        (lambda x: mg.matmul(np.eye(x.shape[0], dtype=np.float32), x), r"matmul \(in Function\) has a constant"),
        (lambda x: mg.stack([mg.sum(row) for row in x]), r"\(in Function\) needs other operators"),
        (lambda x: mg.exp(x) if x.shape[0] > 4 else x * 2, r"\(in Function\) needs other operators"),
    ],
)
def test_operators_that_cannot_follow_the_size_are_named(function, message, tmp_path):
    with pytest.raises(NotImplementedError, match=message):
        mg.export_onnx(Function(function), drawn(4, 3), tmp_path / "n.onnx", dynamic_axes={"inputs": [0]})


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("axes", "error", "message"),
    [
        ({"y": [0]}, ValueError, "there is no input 'y'. The inputs are x, state_0, state_1"),
        ({"x": [3]}, ValueError, r"x has no axis 3. The example has the shape \(2, 5, 3\)"),
        ({"x": [0, 1]}, ValueError, r"the sizes \[2, 5\], but must share one"),
        ({"x": [0]}, ValueError, "the module fails with the size 3 of axis 0 of x: .*h0"),
        ({"x": 0}, TypeError, "needs a list of axes"),
    ],
)
def test_wrong_dynamic_axes(axes, error, message, tmp_path):
    with pytest.raises(error, match=message):
        mg.export_onnx(*NETWORKS["chained"](), tmp_path / "n.onnx", dynamic_axes=axes)
