"""Weights from and to PyTorch's modules: the same outputs and gradients, names, shapes, and errors."""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.interop import load_torch, to_torch
from tests.peers import Peer, cotangent

PYTORCH = Peer(__name__)
F64: Any = {"dtype": "float64", "rng": 0}


class Twins(NamedTuple):
    """A module of ours, its twin in PyTorch, and the shape of an input (of integers below a bound)."""

    mine: Callable[[], nn.Module]
    theirs: Callable[[Any], Any]
    shape: tuple[int, ...]
    below: int | None = None


def recurrent(kind: str, **options: Any) -> Twins:
    return Twins(
        lambda: getattr(nn, kind)(2, 3, **options, **F64),
        lambda torch: getattr(torch.nn, kind)(2, 3, batch_first=True, **options),
        (2, 4, 2),
    )


TWINS = {
    "Linear": Twins(lambda: nn.Linear(3, 2, **F64), lambda torch: torch.nn.Linear(3, 2), (4, 3)),
    "Linear without bias": Twins(
        lambda: nn.Linear(3, 2, bias=False, **F64), lambda torch: torch.nn.Linear(3, 2, bias=False), (4, 3)),
    "Conv2d": Twins(
        lambda: nn.Conv2d(4, 6, 3, groups=2, padding=1, **F64),
        lambda torch: torch.nn.Conv2d(4, 6, 3, groups=2, padding=1), (2, 4, 5, 5)),
    "Conv1d": Twins(lambda: nn.Conv1d(4, 6, 3, **F64), lambda torch: torch.nn.Conv1d(4, 6, 3), (2, 4, 7)),
    "ConvTranspose1d": Twins(
        lambda: nn.ConvTranspose1d(4, 6, 3, **F64), lambda torch: torch.nn.ConvTranspose1d(4, 6, 3), (2, 4, 5)),
    "ConvTranspose2d": Twins(
        lambda: nn.ConvTranspose2d(4, 6, 3, 2, **F64),
        lambda torch: torch.nn.ConvTranspose2d(4, 6, 3, 2), (2, 4, 3, 3)),
    "TransformerEncoderLayer": Twins(
        lambda: nn.TransformerEncoderLayer(8, 2, 12, **F64),
        lambda torch: torch.nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), (2, 5, 8)),
    "Embedding": Twins(lambda: nn.Embedding(7, 3, **F64), lambda torch: torch.nn.Embedding(7, 3), (2, 4), below=7),
    "LayerNorm": Twins(lambda: nn.LayerNorm((3, 4), **F64), lambda torch: torch.nn.LayerNorm((3, 4)), (2, 3, 4)),
    "RMSNorm": Twins(
        lambda: nn.RMSNorm(4, eps=1e-6, **F64), lambda torch: torch.nn.RMSNorm(4, eps=1e-6), (2, 3, 4)),
    "GroupNorm": Twins(lambda: nn.GroupNorm(2, 4, **F64), lambda torch: torch.nn.GroupNorm(2, 4), (2, 4, 3)),
    "BatchNorm1d": Twins(lambda: nn.BatchNorm1d(4, **F64), lambda torch: torch.nn.BatchNorm1d(4), (5, 4)),
    "BatchNorm2d": Twins(lambda: nn.BatchNorm2d(4, **F64), lambda torch: torch.nn.BatchNorm2d(4), (2, 4, 3, 3)),
    **{kind: recurrent(kind) for kind in ("RNN", "LSTM", "GRU")},
    **{f"deep {kind} both ways": recurrent(kind, num_layers=2, bidirectional=True) for kind in ("RNN", "LSTM", "GRU")},
    "Sequential": Twins(
        lambda: nn.Sequential(nn.Linear(3, 4, **F64), nn.Tanh(), nn.Linear(4, 2, **F64)),
        lambda torch: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)), (5, 3)),
}  # fmt: skip


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of a module's twin by name."""
    return {name: array.shape for name, array in to_torch(module, tensors=False).items()}


def state_of(numbers: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """All weights of a twin, cut from one row of numbers.

    Variances are positive, and counts whole.
    """
    state: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        values, numbers = numbers[:size].reshape(shape), numbers[size:]
        state[name] = np.array(3) if "num_batches" in name else np.abs(values) + 1 if "var" in name else values
    return state


def outputs(y: Any) -> Any:
    """The first output of a module; recurrent layers also return their last states."""
    return y[0] if isinstance(y, tuple) else y


def twins_answer(twins: Twins, shapes: dict[str, tuple[int, ...]]) -> Callable[..., Any]:
    """Compute the output of PyTorch's twin in evaluation mode, its parameters' names, and all gradients."""

    def compute(torch: Any, x: np.ndarray, numbers: np.ndarray) -> Any:
        twin = twins.theirs(torch).double().eval()
        state = {name: torch.tensor(array) for name, array in state_of(numbers, shapes).items()}
        twin.load_state_dict(state, strict=True)
        y = outputs(twin(torch.tensor(x)))
        y.backward(torch.tensor(cotangent(tuple(y.shape))))
        named = dict(twin.named_parameters())
        return [y, list(named), torch.cat([parameter.grad.ravel() for parameter in named.values()])]

    return compute


@pytest.mark.parametrize("name", TWINS)
def test_the_same_outputs_and_gradients(name):
    twins = TWINS[name]
    layer, random = twins.mine(), np.random.default_rng(0)
    shapes = shapes_of(layer)
    x = random.normal(size=twins.shape) if twins.below is None else random.integers(0, twins.below, twins.shape)
    numbers = random.normal(size=sum(int(np.prod(shape)) for shape in shapes.values()))
    answer = PYTORCH.ask(name, twins_answer(twins, shapes), [x, numbers])
    x, numbers = answer.inputs
    expected, names, gradients = answer.expected
    assert load_torch(layer, state_of(numbers, shapes)) == ([], [])
    y = outputs(layer.eval()(mg.tensor(x)))
    np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
    y.backward(cotangent(y.shape))
    of_weights = copy.deepcopy(layer)
    for mine, parameter in zip(of_weights.parameters(), layer.parameters(), strict=True):
        mine.data[...] = parameter.grad
    mine = to_torch(of_weights, tensors=False)  # gradients lie as the weights do
    if "GRU" not in name:  # both biases have the gradient of their sum
        mine |= {key.replace("ih", "hh"): gradient for key, gradient in mine.items() if "bias_ih" in key}
    np.testing.assert_allclose(np.concatenate([mine[key].ravel() for key in names]), gradients, rtol=1e-11, atol=1e-12)


def test_states_are_copies_in_the_modules_dtype():
    layer = nn.Linear(2, 3)
    to_torch(layer, tensors=False)["weight"][...] = 7
    assert not (layer.weight.data == 7).any()
    weight = np.full((3, 2), 0.1)
    load_torch(layer, {"weight": weight, "bias": np.ones(3, np.float16)})
    weight[...] = 7
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    assert (layer.weight.data == np.float32(0.1)).all()


class FakeTensor:
    """A bfloat16 tensor of PyTorch, which has an array only after ``float``."""

    dtype = "torch.bfloat16"

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return types.SimpleNamespace(dtype="torch.float32", numpy=lambda: np.ones(2, np.float32))

    def numpy(self):
        raise TypeError("Got unsupported ScalarType BFloat16")


def test_bfloat16_tensors_of_pytorch():
    layer = nn.Linear(1, 2)
    load_torch(layer, {"weight": mg.tensor([[2.0], [3.0]]), "bias": FakeTensor()})
    assert layer.weight.data.tolist() == [[2.0, 3.0]]
    assert layer.bias.data.tolist() == [1.0, 1.0]


def test_tensors_are_made_by_pytorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(from_numpy=lambda array: array.T))
    weight = to_torch(nn.Linear(2, 3))["weight"]
    assert (weight.shape, weight.flags.f_contiguous) == ((2, 3), True)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package torch: pip install torch"):
        to_torch(nn.Linear(2, 3))


def test_names_of_parameters_in_lists_and_of_buffers():
    class Own(nn.Linear):
        def __init__(self):
            super().__init__(1, 2)
            self.scale = nn.Parameter([1.0, 2.0])
            self.more = [nn.Parameter([3.0]), nn.Linear(1, 2)]
            self.seen = nn.Buffer(0)
            self.cache = nn.Buffer(0, persistent=False)
            self.parent = self

    state = to_torch(Own(), tensors=False)
    assert {name: array.shape for name, array in state.items()} == {
        "weight": (2, 1), "bias": (2,), "scale": (2,), "more.0": (1,), "seen": (), "more.1.weight": (2, 1),
        "more.1.bias": (2,),
    }  # fmt: skip
    assert load_torch(Own(), state) == ([], [])


def test_an_error_lists_all_that_does_not_fit_and_nothing_is_loaded():
    layers = nn.Sequential(nn.Linear(2, 3), nn.LSTM(3, 2))
    before, state = layers.state_dict(), to_torch(layers, tensors=False)
    del state["0.bias"], state["1.bias_hh_l0"]
    state["1.weight_ih_l0"] = np.ones((3, 8))
    state["1.weight_hh_l0"] = np.ones((8, 2), np.int64)
    state["2.weight"] = np.ones(1)
    with pytest.raises(ValueError, match="nothing was loaded into Sequential") as caught:
        load_torch(layers, state)
    assert str(caught.value).splitlines()[1:] == [
        "  0.bias is missing",
        "  1.bias_hh_l0 is missing",
        "  2.weight is unexpected",
        "  1.weight_ih_l0 must be (8, 3), but is float64 (3, 8)",
        "  1.weight_hh_l0 must be float32, but is int64 (8, 2)",
    ]
    for name, array in layers.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict():
    layers = nn.Sequential(nn.Linear(2, 3), nn.RNN(3, 2))
    state, before = to_torch(nn.Sequential(nn.Linear(2, 3), nn.RNN(3, 2)), tensors=False), layers[1].b.data.copy()
    del state["1.bias_hh_l0"]
    state["head"] = state["1.bias_ih_l0"] = np.ones(2)
    assert load_torch(layers, state, strict=False) == (["1.bias_hh_l0"], ["head"])
    np.testing.assert_array_equal(layers[0].weight.data, state["0.weight"].T)
    np.testing.assert_array_equal(layers[1].b.data, before)  # one of two biases is not enough
    with pytest.raises(ValueError, match=r"0\.bias must be \(3,\), but is float64 \(2,\)"):
        load_torch(layers, {"0.bias": np.ones(2)}, strict=False)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (nn.Linear(2, 3), r"must map names to tensors, not be Linear: pass its \.state_dict\(\)"),
        ([1], "not be list$"),
        ({"model": {"weight": np.ones((3, 2))}, "epoch": 3}, r"it is a dict of tensors: pass state\['model'\]"),
        ({"weight": "text"}, "weight: expected numbers"),
        ({"weight": np.ones((3, 2), complex)}, "weight: expected numbers"),
        ({"weight": {"a": 1}}, "weight: it is a dict, not a tensor"),
        ({"weight": [[1.0], [1.0, 2.0]]}, "weight: "),
    ],
)
def test_wrong_states(state, message):
    with pytest.raises((TypeError, ValueError), match=message):
        load_torch(nn.Linear(2, 3), state)


class Tied(nn.Module):
    """Input and output words share a matrix, under the two names that PyTorch gives it."""

    def __init__(self):
        self.embed, self.head = nn.Embedding(7, 4, **F64), nn.Linear(4, 7, bias=False, **F64)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.embed(x) @ self.embed.weight.T


def test_tied_weights_have_both_names_in_states():
    words, matrix = np.array([[0, 3], [6, 1]]), np.random.default_rng(0).standard_normal((7, 4))
    module, state = Tied(), {"embed.weight": matrix, "head.weight": matrix}
    assert load_torch(module, state) == ([], [])
    np.testing.assert_allclose(module(words).data, matrix[words] @ matrix.T, rtol=1e-12)
    with pytest.raises(ValueError, match=r"head.weight differs from embed.weight, but Tied"):
        load_torch(module, {**state, "head.weight": matrix + 1})
