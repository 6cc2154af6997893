"""Networks written as ONNX: onnxruntime computes the same, and read again they run, train and are drawn."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minigrad as mg
from captioning.models.captioner import CaptionNetwork
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


# --- dynamic axes -------------------------------------------------------------------------------------

FREE = [name for name in [*NETWORKS, *STEPS] if "lengths" not in name]  # which are those of each sequence


def resized(value, name, axes, n):
    """An argument with n entries along a dynamic axis, all different, and the same with tuples of them."""
    if isinstance(value, tuple):
        return tuple(resized(part, f"{name}_{i}", axes, n) for i, part in enumerate(value))
    x = value.data if isinstance(value, mg.Tensor) else value
    for axis in axes.get(name, ()):
        x = np.take(x, np.arange(n) % x.shape[axis], axis)
        if x.dtype.kind == "f":
            x *= 1 + 0.1 * np.arange(n, dtype=x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
    return mg.tensor(x) if isinstance(value, mg.Tensor) else x


def check_free_axes(module, given, axes, path):
    """onnxruntime and the imported network take every size, and so does what is written again."""
    second = path.with_name("second.onnx")
    mg.export_onnx(module, given, path, dynamic_axes=axes)
    again = mg.import_onnx(path)
    mg.export_onnx(again, tuple(arrays_in(given)), second, dynamic_axes=axes)
    names = inspect.signature(module.forward).parameters
    module.eval()
    for n in (1, 6, 9):
        batch = tuple(resized(x, name, axes, n) for name, x in zip(names, given, strict=False))
        for results in (run(path, batch), arrays_in(again(*arrays_in(batch))), run(second, batch)):
            for ours, theirs in zip(arrays_in(module(*batch)), results, strict=True):
                assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
                np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


@NEEDS_RUNTIME
@pytest.mark.parametrize("name", FREE)
def test_a_free_batch(name, tmp_path):
    module, inputs = {**NETWORKS, **STEPS}[name]()
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    path = tmp_path / "network.onnx"
    mg.export_onnx(module, inputs, path)
    found = mg.import_onnx(path).input_names
    common = "encoder, masked"  # whose mask is that of all sequences
    check_free_axes(module, given, {key: [0] for key in found if (name, key) != (common, "mask")}, path)


@NEEDS_RUNTIME
def test_a_free_number_of_steps(tmp_path):
    for layer, x in ((nn.LSTM(3, 4, rng=0), drawn(2, 5, 3)), (encoder(norm_first=True), X), (Causal(), X)):
        check_free_axes(layer, (x,), {"x": [1]}, tmp_path / "steps.onnx")


class Causal(nn.Module):
    def forward(self, x):
        return mg.attention(x, x, x, causal=True)


class Plain(nn.Module):
    """A function of one array."""

    def __init__(self, function):
        self.function = function

    def forward(self, x):
        return self.function(x)


@NEEDS_RUNTIME
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:5] + x[-1],  # of an example with fewer
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
        mg.export_onnx(Plain(function), example, path, dynamic_axes={"x": [0]})
        for n in (5, 6, 11):
            x = drawn(n, 4, seed=n)
            for theirs in (run(path, [x])[0], mg.import_onnx(path)(x).data):
                np.testing.assert_allclose(theirs, function(mg.tensor(x)).data, rtol=1e-5, atol=1e-6)


@NEEDS_ONNX
def test_an_output_is_declared_with_its_free_axis(tmp_path):
    import onnx

    mg.export_onnx(Plain(lambda x: (x, x.T, mg.concatenate([x, x]), mg.sum(x))), X[0], tmp_path / "n.onnx",
                   dynamic_axes={"x": [0]})  # fmt: skip
    graph = onnx.load(str(tmp_path / "n.onnx")).graph
    axes = [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.output]
    assert axes == [["n", 8], [8, "n"], [0, 8], []]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda x: mg.sum(x, 0) * (1 / x.shape[0]),
            r"multiply \(in Plain\) has a constant that depends on .*axis 0 of x",
        ),
        (lambda x: x * float(x.shape[0] % 2), r"multiply \(in Plain\) has a constant"),
        (lambda x: x * float(x.shape[0] ** 2), r"multiply \(in Plain\) has a constant"),
        (lambda x: mg.matmul(np.eye(x.shape[0], dtype=np.float32), x), r"matmul \(in Plain\) has a constant"),
        (lambda x: mg.stack([mg.sum(row) for row in x]), r"\(in Plain\) needs other operators"),
        (lambda x: mg.exp(x) if x.shape[0] > 4 else x * 2, r"\(in Plain\) needs other operators"),
    ],
)
def test_what_cannot_follow_the_size_is_named(function, message, tmp_path):
    with pytest.raises(NotImplementedError, match=message):
        mg.export_onnx(Plain(function), drawn(4, 3), tmp_path / "n.onnx", dynamic_axes={"x": [0]})


@NEEDS_ONNX
@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"y": [0]}, "there is no input 'y'. The inputs are x, state_0, state_1"),
        ({"x": [3]}, r"x has no axis 3. The example has the shape \(2, 5, 3\)"),
        ({"x": [0, 1]}, r"the sizes \[2, 5\], but must share one"),
        ({"x": [0]}, "the module fails with the size 3 of axis 0 of x: .*h0"),
    ],
)
def test_free_axes_that_do_not_fit(axes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        mg.export_onnx(*NETWORKS["chained"](), tmp_path / "n.onnx", dynamic_axes=axes)
    for wrong in ({"x": {0: "N"}}, {"x": 0}):
        with pytest.raises(TypeError, match="needs a list of axes"):
            mg.export_onnx(*NETWORKS["chained"](), tmp_path / "n.onnx", dynamic_axes=wrong)
    with pytest.raises(ValueError, match=r"the module fails with the size 3 of axis 0 of x"):
        mg.export_onnx(*NETWORKS["GRU, lengths"](), tmp_path / "n.onnx", dynamic_axes={"x": [0]})
