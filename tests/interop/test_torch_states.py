"""Weights from PyTorch's modules and to them: the same outputs and gradients, names, shapes, and what does not fit."""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.interop import load_torch, to_torch
from tests.peers import Peer, cotangent, pytorch

PYTORCH = Peer(__name__)
F64: Any = {"dtype": "float64", "rng": 0}


class Twins(NamedTuple):
    """A module of ours, its twin in PyTorch, and the shape of an input (of integers below a bound)."""

    mine: Callable[[], nn.Module]
    theirs: Callable[[Any], Any]
    shape: tuple[int, ...]
    below: int | None = None


def net(base: Any, layers: Any, options: Any = None) -> Any:
    """A user's module, of either framework: attributes, a list of modules, one module twice."""

    class Net(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.embed = layers.Embedding(7, 4, **(options or {}))
            self.blocks = layers.ModuleList([layers.Linear(4, 4, **(options or {})) for _ in range(2)])
            self.again = self.blocks[0]
            self.norm = layers.LayerNorm(4, **(options or {}))

        def forward(self, x: Any) -> Any:
            x = self.embed(x)
            for block in self.blocks:
                x = x + block(x)
            return self.norm(self.again(x))

    return Net()


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
    "a user's module": Twins(
        lambda: net(nn.Module, nn, F64), lambda torch: net(torch.nn.Module, torch.nn), (2, 3), below=7),
}  # fmt: skip


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of a module's twin by name."""
    return {name: array.shape for name, array in to_torch(module, tensors=False).items()}


def state_of(numbers: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """All weights of a twin, cut one after the other from a row of numbers, which is frozen in fewer bytes than they.

    Variances are positive, counts whole, and those of a module that is there twice the same.
    """
    state: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        values, numbers = numbers[:size].reshape(shape), numbers[size:]
        values = np.array(3) if "num_batches" in name else np.abs(values) + 1 if "var" in name else values
        state[name] = state.get(name.replace("again", "blocks.0"), values)
    return state


def outputs(y: Any) -> Any:
    """The first output of a module, which recurrent layers return with their last states."""
    return y[0] if isinstance(y, tuple) else y


def twins_answer(twins: Twins, shapes: dict[str, tuple[int, ...]]) -> Callable[..., Any]:
    """What PyTorch's twin computes in evaluation mode: its output, its parameters' names, and all their gradients."""

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


@pytest.mark.parametrize("name", TWINS)
def test_to_torch_and_back(name):
    """The twin loads what it is given, and gives the same outputs; back here it is the same to the bit."""
    twins = TWINS[name]
    layer, other = twins.mine().eval(), twins.mine()
    for parameter in other.parameters():
        parameter.data[...] = 7.0
    state = to_torch(layer, tensors=False)
    assert load_torch(other, state) == ([], [])
    for key, array in layer.state_dict().items():
        assert other.state_dict()[key].tobytes() == array.tobytes()
    if torch := pytorch():
        twin = twins.theirs(torch).double().eval()
        twin.load_state_dict(to_torch(layer), strict=True)
        x = np.ones(twins.shape, np.int64 if twins.below else np.float64)
        mine, theirs = outputs(layer(mg.tensor(x))), outputs(twin(torch.tensor(x)))
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)
        assert load_torch(other, twin.state_dict()) == ([], [])


@given(st.lists(st.floats(width=32), min_size=12, max_size=12))
def test_any_bits_come_back(values):
    """Zeros with a sign, infinities and NaN too."""
    layer, other = nn.LSTM(2, 3), nn.LSTM(2, 3)
    layer.b.data[...] = values
    load_torch(other, to_torch(layer, tensors=False))
    assert other.b.data.tobytes() == layer.b.data.tobytes()


def test_two_biases_become_their_sum():
    state = to_torch(nn.RNN(2, 3), tensors=False)
    layer = nn.RNN(2, 3)
    load_torch(layer, {**state, "bias_ih_l0": np.array([1.0, 2.0, 3.0]), "bias_hh_l0": np.array([10.0, 0.0, -3.0])})
    assert layer.b.data.tolist() == [11.0, 2.0, 0.0]


def test_what_is_given_is_a_copy():
    layer = nn.Linear(2, 3)
    state = to_torch(layer, tensors=False)
    state["weight"][...] = 7
    state["bias"][...] = 7
    assert not (layer.weight.data == 7).any()
    given_weight = np.ones((3, 2), np.float32)
    load_torch(layer, {"weight": given_weight, "bias": np.ones(3, np.float32)})
    given_weight[...] = 7
    assert (layer.weight.data == 1).all()


def test_dtypes_are_the_modules():
    layer = nn.Linear(2, 2)
    load_torch(layer, {"weight": np.full((2, 2), 0.1), "bias": np.array([1, 2], np.float16)})
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    assert layer.weight.data[0, 0] == np.float32(0.1)
    assert to_torch(nn.Linear(2, 2, dtype="float16"), tensors=False)["weight"].dtype == np.float16


class FakeTensor:
    """What PyTorch's tensors answer to, as far as it is used; of bfloat16 only ``float`` has an array."""

    def __init__(self, array: np.ndarray, dtype: str) -> None:
        self.array, self.dtype = array, dtype

    def detach(self) -> FakeTensor:
        return self

    cpu = detach

    def float(self) -> FakeTensor:
        return FakeTensor(self.array, "torch.float32")

    def numpy(self) -> np.ndarray:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array


@pytest.mark.parametrize("dtype", ["torch.float32", "torch.bfloat16"])
def test_tensors_of_pytorch(dtype):
    layer = nn.Linear(1, 2)
    weight, bias = (FakeTensor(np.ones(shape, np.float32), dtype) for shape in ((2, 1), (2,)))
    load_torch(layer, {"weight": weight, "bias": bias})
    assert (layer.weight.data == 1).all()
    load_torch(layer, {"weight": mg.tensor([[2.0], [3.0]]), "bias": bias})
    assert layer.weight.data.tolist() == [[2.0, 3.0]]


def test_tensors_are_made_by_pytorch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(from_numpy=lambda array: ("tensor", array)))
    kind, array = to_torch(nn.Linear(2, 3))["weight"]
    assert kind == "tensor"
    assert array.shape == (3, 2)
    assert array.flags.c_contiguous
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package torch: pip install torch"):
        to_torch(nn.Linear(2, 3))


# --- names ---------------------------------------------------------------------------------------------


def test_parameters_of_ones_own_and_in_lists():
    class Own(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter([1.0, 2.0])
            self.more = [nn.Parameter([3.0]), nn.Linear(1, 2)]
            self.seen = nn.Buffer(0)
            self.cache = nn.Buffer(0, persistent=False)

    state = to_torch(Own(), tensors=False)
    assert {name: array.shape for name, array in state.items()} == {
        "scale": (2,), "more.0": (1,), "seen": (), "more.1.weight": (2, 1), "more.1.bias": (2,),
    }  # fmt: skip
    assert load_torch(Own(), state) == ([], [])


def test_subclasses_lie_as_their_base():
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(2, 3)
            self.scale = nn.Parameter([1.0])

    assert {name: array.shape for name, array in to_torch(Scaled(), tensors=False).items()} == {
        "weight": (3, 2), "bias": (3,), "scale": (1,),
    }  # fmt: skip


def test_a_module_that_refers_to_its_parent():
    class Child(nn.Module):
        pass

    parent, child = nn.Sequential(nn.Linear(1, 1)), Child()
    parent.child, child.parent = child, parent
    assert list(to_torch(parent, tensors=False)) == ["0.weight", "0.bias"]


def test_two_weights_of_one_name():
    class Odd(nn.Module):
        def __init__(self):
            self.parts = {"a.b": nn.Parameter([1.0]), "a": {"b": nn.Parameter([2.0])}}

    with pytest.raises(ValueError, match=r"Odd: two weights have the name parts\.a\.b"):
        to_torch(Odd(), tensors=False)
    odd = nn.Sequential()
    setattr(odd, "a.b", nn.Parameter([1.0]))
    odd.a = nn.Sequential()
    odd.a.b = nn.Parameter([2.0])
    with pytest.raises(ValueError, match=r"to_torch: two weights of Sequential would have the name a\.b"):
        to_torch(odd, tensors=False)


def test_states_without_a_count_of_batches():
    """Such as PyTorch wrote before 0.4.1, and loads still."""
    layer = nn.BatchNorm1d(2)
    state = to_torch(layer, tensors=False)
    del state["num_batches_tracked"]
    assert load_torch(layer, state) == ([], [])


# --- errors --------------------------------------------------------------------------------------------


def test_all_that_does_not_fit_is_named_and_nothing_is_loaded():
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
        "  1.weight_ih_l0 must be (8, 3), it is float64 (3, 8)",
        "  1.weight_hh_l0 must be float32, it is int64 (8, 2)",
    ]
    for name, array in layers.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_not_strict():
    layers = nn.Sequential(nn.Linear(2, 3), nn.RNN(3, 2))
    state, before = to_torch(nn.Sequential(nn.Linear(2, 3), nn.RNN(3, 2)), tensors=False), layers[1].b.data + 1
    layers[1].b.data[...] = before
    del state["1.bias_hh_l0"]
    state["head"] = np.ones(1)
    assert load_torch(layers, state, strict=False) == (["1.bias_hh_l0"], ["head"])
    np.testing.assert_array_equal(layers[0].weight.data, state["0.weight"].T)
    np.testing.assert_array_equal(layers[1].b.data, before)  # half a bias is none
    with pytest.raises(ValueError, match=r"0\.bias must be \(3,\), it is float64 \(2,\)"):
        load_torch(layers, {"0.bias": np.ones(2)}, strict=False)


def test_what_is_no_module():
    for call in (lambda: load_torch({}, {}), lambda: to_torch({}, tensors=False)):
        with pytest.raises(TypeError, match=r"_torch: the module must be one of minigrad\.nn, not dict"):
            call()


def test_what_is_no_state():
    layer = nn.Linear(2, 3)
    with pytest.raises(TypeError, match=r"must map names to tensors, not be Linear: pass its \.state_dict\(\)"):
        load_torch(layer, nn.Linear(2, 3))
    with pytest.raises(TypeError, match=r"not be list$"):
        load_torch(layer, [1])
    with pytest.raises(ValueError, match=r"model is unexpected; it is a dict of tensors: pass state\['model'\]"):
        load_torch(layer, {"model": to_torch(layer, tensors=False), "epoch": 3})
    for value, message in (
        ("text", "weight: expected numbers"),
        (np.ones((3, 2), complex), "weight: expected numbers"),
        ({"a": 1}, "weight: it is no tensor but a dict"),
        ([[1.0], [1.0, 2.0]], "weight: "),
        (FakeTensor(np.ones((3, 2)), "torch.quint8"), "must be"),
    ):
        with pytest.raises(ValueError, match=message):
            load_torch(layer, {"weight": value, "bias": np.ones(2)})


def test_a_loaded_weight_is_noticed_by_a_backward_pass():
    layer, x = nn.Linear(2, 2), mg.tensor(np.ones((1, 2), np.float32), requires_grad=True)
    loss = layer(x).sum()
    load_torch(layer, to_torch(layer, tensors=False))
    with pytest.raises(ValueError, match="was written into since"):
        loss.backward()


class Tied(nn.Module):
    """Words in and words out of one matrix."""

    def __init__(self):
        self.embed = nn.Embedding(7, 4, **F64)

    def forward(self, x):
        return self.embed(x) @ self.embed.weight.T


class TiedByName(Tied):
    """The same with the second name that PyTorch has, where the matrix lies otherwise."""

    def __init__(self):
        self.head = nn.Linear(4, 7, bias=False, **F64)
        super().__init__()
        self.head.weight = self.embed.weight


@pytest.mark.parametrize("kind", [Tied, TiedByName])
def test_tied_weights_are_in_pytorchs_states_under_each_name(kind):
    words, matrix = np.array([[0, 3], [6, 1]]), np.random.default_rng(0).standard_normal((7, 4))

    def theirs(torch, words, matrix):
        embed, head = torch.nn.Embedding.from_pretrained(torch.tensor(matrix)), torch.nn.Linear(4, 7, bias=False)
        head.weight = embed.weight
        net = torch.nn.ModuleDict({"embed": embed, "head": head})
        return {**net.state_dict(), "out": head(embed(torch.tensor(words)))}

    state = dict(PYTORCH.ask(f"tied {kind.__name__}", theirs, [words, matrix]).expected)
    out, module = state.pop("out"), kind()
    assert load_torch(module, state) == ([], [])
    np.testing.assert_allclose(module(words).data, out, rtol=1e-12)
    state["head.weight"] = state["head.weight"] + 1
    message = "head.weight differs from embed.weight, and TiedByName" if kind is TiedByName else "head.weight is unexp"
    with pytest.raises(ValueError, match=message):
        load_torch(module, state)
    state["head.weight"], state["gain"] = state["embed.weight"], state["embed.weight"][0]
    with pytest.raises(ValueError, match=r"Tied.*:\n  gain is unexpected$"):
        load_torch(module, state)


def test_a_module_that_is_there_twice_has_one_weight():
    layer = nn.Linear(2, 1)
    twice = nn.Sequential(layer, nn.Tanh(), layer)
    state = {f"{i}.{name}": np.full(shape, 1.0) for i in (0, 2) for name, shape in shapes_of(layer).items()}
    load_torch(twice, state)
    state["2.weight"] = np.full((1, 2), 2.0)
    with pytest.raises(ValueError, match=r"nothing was loaded .*\n  2\.weight differs from 0\.weight, and Sequential"):
        load_torch(twice, state)
    np.testing.assert_array_equal(layer.weight.data, 1)
    del state["2.weight"]
    assert load_torch(twice, state, strict=False).missing == ["2.weight"]
