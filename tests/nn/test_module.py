"""Modules: names, sharing, walks, state, modes, scopes, copies and text."""

from __future__ import annotations

import copy
import itertools
import operator
import re
from collections import UserDict, UserList, deque
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import Module, Parameter
from tests.peers import Peer

PYTORCH = Peer(__name__)


class Scale(Module):
    def __init__(self, value: Any = 2.0) -> None:
        self.factor = Parameter(value)

    def forward(self, x: Any) -> Any:
        return mg.ops.multiply(self.factor, x)


class Pair(Module):
    def __init__(self, first: Module, second: Module) -> None:
        self.first, self.offset, self.second = first, Parameter([1.0, 2.0]), second

    def forward(self, x: Any) -> Any:
        return mg.ops.add(self.second(self.first(x)), self.offset)


def names(module: Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]


# --- parameters and names ------------------------------------------------------------------------------


def test_parameter_is_a_tensor_that_requires_a_gradient():
    data = np.arange(3.0)
    p = Parameter(data)
    assert isinstance(p, mg.Tensor)
    assert p.requires_grad
    data[0] = 9
    assert p.data[0] == 0
    assert Parameter(p, dtype="float32").dtype == np.float32
    assert Parameter([1.0]).dtype == mg.get_default_dtype()
    assert repr(Parameter([1.0])) == "Parameter(tensor([1.], requires_grad=True))"
    for value in ([1], [1j]):
        with pytest.raises(TypeError, match=r"not (int64|complex128)"):
            Parameter(value)


def test_names_follow_assignment():
    module = Pair(Scale(), Pair(Scale(), Scale()))
    assert names(module) == ["first.factor", "offset", "second.first.factor", "second.offset", "second.second.factor"]
    assert [name for name, _ in module.named_modules()] == ["", "first", "second", "second.first", "second.second"]
    module.items = [Scale(), (Scale(), {"deep": Parameter(1.0)}), "text"]
    module.first.parent = module  # back to it
    module.offset = None
    del module.second
    module.items.append(Parameter(1.0))
    assert names(module) == ["first.factor", "items.0.factor", "items.1.0.factor", "items.1.1.deep", "items.3"]
    assert module.items[1][0](mg.tensor(1.0)).node.scope == ("items.1.0",)


def test_shared_parameters_and_modules_count_once():
    inner = Scale()
    module = Pair(inner, inner)
    module.alias = inner.factor
    assert names(module) == ["first.factor", "offset"]
    assert len(list(module.modules())) == 2
    assert list(module.state_dict()) == ["first.factor", "offset"]
    module(np.ones(2, np.float32)).backward(np.ones(2))
    assert inner.factor.grad == 8  # d(2 s^2 + ...)/ds


def test_names_that_collide_are_refused():
    module = Module()
    module.both = {1: Parameter(1.0), "1": Parameter(2.0)}
    with pytest.raises(ValueError, match=r"two parameters have the name both\.1"):
        module.state_dict()


def test_a_parameter_is_replaced_by_another_one_alone():
    module = Scale()
    for value in (mg.tensor([1.0]), np.ones((2, 3)), 3.0):
        with pytest.raises(TypeError, match=r"Scale\.factor is a parameter .*Assign an nn\.Parameter"):
            module.factor = value
    module.last = module(mg.tensor([1.0]))  # a result may be kept
    module.factor = replacement = Parameter(5.0)
    assert dict(module.named_parameters()) == {"factor": replacement}


def test_thousands_of_modules_deep_and_wide():
    chain: Module = Scale()
    for _ in range(2_000):
        outer = Module()
        outer.inner = chain
        chain = outer
    for module in (chain, nn.Sequential(*(nn.Dropout(0.0) for _ in range(2_000)))):
        assert not any(m.training for m in module.eval().modules())
        module.zero_grad()
        module.load_state_dict(module.state_dict())
        assert repr(module).count("\n") >= 2_000
    del chain, outer, module  # dismantled without recursion


# --- calls ---------------------------------------------------------------------------------------------


def test_scopes_show_the_path():
    module = Pair(Scale(), Scale())
    y = module(mg.tensor([1.0, 2.0]))
    second = y.node.parents[0]
    assert [y.node.scope, second.scope] == [("Pair",), ("Pair", "second")]
    assert second.parents[1].scope == ("Pair", "first")
    with mg.no_grad():
        assert not module(mg.tensor([1.0, 2.0])).requires_grad


def test_a_failing_forward_leaves_no_scope():
    class Failing(Module):
        def forward(self) -> None:
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        Failing()()
    assert mg.ops.exp(mg.tensor(1.0, requires_grad=True)).node.scope == ()
    with pytest.raises(NotImplementedError, match="Module defines no forward"):
        Module()()


def test_modes():
    module = Pair(Scale(), Pair(Scale(), Scale()))
    assert all(m.training for m in module.modules())
    assert module.eval() is module
    assert not any(m.training for m in module.modules())
    assert module.train() is module
    module.second.eval()
    assert [m.training for m in module.modules()] == [True, True, False, False, False]


# --- state ---------------------------------------------------------------------------------------------


def test_state_dict_copies_and_loading_writes_in_place(tmp_path):
    module, other = Pair(Scale(2.0), Scale(3.0)), Pair(Scale(4.0), Scale(5.0))
    arrays = [p.data for p in other.parameters()]
    mg.save(tmp_path / "state", module.state_dict())
    report = other.load_state_dict(mg.load(tmp_path / "state"))
    assert report == ([], [])
    assert all(p.data is a for p, a in zip(other.parameters(), arrays, strict=True))
    assert [p.data.tolist() for p in other.parameters()] == [2, [1, 2], 3]
    state = module.state_dict()
    state["offset"][0] = 100
    assert module.offset.data[0] == 1
    other.load_state_dict({"first.factor": 7.0, "offset": mg.tensor([8.0, 9.0]), "second.factor": np.array(1, ">f4")})
    assert [p.data.tolist() for p in other.parameters()] == [7, [8, 9], 1]


def test_a_bad_state_is_refused_whole():
    module = Pair(Scale(), Scale())
    before = module.state_dict()
    bad = {"offset": np.zeros(3, np.float32), "second.factor": np.float64(0), "extra": np.zeros(1), "more": 1}
    with pytest.raises(ValueError, match="nothing was loaded") as caught:
        module.load_state_dict(bad)
    for line in ("first.factor is missing", "extra is unexpected", "more is unexpected",
                 "offset is float32 (2,) here, float32 (3,) in the state",
                 "second.factor is float32 () here, float64 () in the state"):  # fmt: skip
        assert line in str(caught.value)
    module.offset.data.flags.writeable = False
    for state, strict, kind, text in [
        ({"first.factor": 9.0, "offset": np.zeros(3, np.float32)}, False, ValueError, r"offset is float32 \(2,\) here"),
        ({**before, "offset": "abc"}, True, ValueError, "offset: expected numbers"),
        ({name: array * 0 for name, array in before.items()}, True, ValueError, "offset is read-only here"),
        (list(before.items()), True, TypeError, "not be list"),
    ]:
        with pytest.raises(kind, match=text):
            module.load_state_dict(state, strict)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    module.offset.data.flags.writeable = True
    report = module.load_state_dict({"first.factor": 9.0, "alien": 1.0}, strict=False)
    assert (report.missing, report.unexpected) == (["offset", "second.factor"], ["alien"])
    assert (module.first.factor.item(), module.second.factor.item()) == (9, 2)


class Weight:
    """As a tensor of PyTorch, which is known by the module of its class."""

    __module__ = "torch.nn.parameter"

    def __array__(self, dtype=None, copy=None):
        return np.ones((4, 4), np.float32)


@pytest.mark.parametrize("strict", [True, False])
def test_a_state_of_pytorch_is_refused(strict):
    """It may fit, and would be transposed."""
    layer = mg.nn.Linear(4, 4)
    before = layer.state_dict()
    with pytest.raises(TypeError, match=r"weight is a PyTorch tensor.*load_torch"):
        layer.load_state_dict({"bias": np.ones(4, np.float32), "weight": Weight()}, strict)
    np.testing.assert_array_equal(layer.bias.data, before["bias"])


@pytest.mark.parametrize(
    ("shape", "hint"), [((3, 2), r": its transpose fits.*load_torch"), ((3, 3), "$"), ((1, 3), "$")]
)
def test_a_weight_that_fits_when_transposed_gets_a_hint(shape, hint):
    with pytest.raises(ValueError, match=rf"float32 {re.escape(str(shape))} in the state{hint}"):
        mg.nn.Linear(2, 3, bias=False).load_state_dict({"weight": np.zeros(shape, np.float32)})


# --- copies and text -----------------------------------------------------------------------------------


def test_deepcopy_keeps_sharing_gradients_and_frozenness():
    inner = Scale()
    module = Pair(inner, inner)
    module(np.ones(2, np.float32)).backward(np.ones(2))
    module.offset.requires_grad = False
    twin = copy.deepcopy(module)
    assert twin.first is twin.second
    assert type(twin.first.factor) is Parameter
    assert twin.first.factor.grad == module.first.factor.grad
    assert not twin.offset.requires_grad
    twin.first.factor.data[...] = 7
    twin.first.factor.grad[...] = 7
    assert inner.factor.item() == 2
    assert inner.factor.grad == 8
    assert twin(mg.tensor([1.0, 1.0])).data.tolist() == [50, 51]


def test_repr_is_pytorchs_tree():
    def theirs(torch):
        module = torch.nn.Sequential(
            torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Dropout(0.5)),
            torch.nn.Linear(3, 1, bias=False), torch.nn.Embedding(4, 2), torch.nn.Sequential()
        )  # fmt: skip
        return repr(module), [n for n, _ in module.named_modules()], [n for n, _ in module.named_parameters()]

    mine = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Tanh(), nn.Dropout(0.5)), nn.Linear(3, 1, bias=False),
                         nn.Embedding(4, 2), nn.Sequential())  # fmt: skip
    text, modules, parameters = PYTORCH.ask("a tree", theirs).expected
    assert repr(mine) == text.replace(", inplace=False", "")
    assert [n for n, _ in mine.named_modules()] == modules
    assert names(mine) == parameters


def test_a_parameter_keeps_its_name_when_it_is_frozen_thawed_and_copied():
    layer = nn.Linear(2, 3)
    owner = layer.weight.node.owner
    layer.weight.requires_grad = False
    assert names(layer) == ["weight", "bias"]
    holder = nn.Sequential(layer)
    holder.scale = layer.weight  # a second name, while it is frozen
    layer.weight.requires_grad = True
    assert layer.weight.node.name == "scale"
    assert owner
    assert [p.node.name for p in copy.deepcopy(nn.Linear(2, 3)).parameters()] == ["weight", "bias"]


# --- what would be trained by nobody -------------------------------------------------------------------


def tracked() -> mg.Tensor:
    return mg.tensor([1.0], requires_grad=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([[tracked()]], r"held\.0\.0: a tensor that requires a gradient is trained only as an nn\.Parameter"),
        ([{"a": (1, [tracked()])}], r"held\.0\.a\.1\.0: a tensor that requires a gradient"),
        ({"a": {"b": {"c": tracked()}}}, r"held\.a\.b\.c: a tensor that requires a gradient"),
        (mg.tensor([1.0]), r"held: this tensor would be neither trained nor saved.*Parameter or an nn\.Buffer"),
        ([nn.init.zeros((2,))], r"held\.0: this tensor would be neither"),
        ({"a": [mg.tensor(1)]}, r"held\.a\.0: this tensor would be neither"),
        ({Scale()}, r"held: modules do not search a set, .* module\. Use a list, tuple or dict"),
        (frozenset([Parameter(1.0)]), "modules do not search a frozenset, .* tensor"),
        ({tracked()}, "modules do not search a set, .* tensor"),
        ({nn.Buffer(1.0)}, "modules do not search a set, .* tensor"),
        (deque([Scale()]), "do not search a deque"),
        ([(1, {(2, Scale())})], r"held\.0\.1: modules do not search a set"),
        ({"a": Scale()}.values(), "do not search a dict_values"),
        (MappingProxyType({"a": Scale()}), "do not search a mappingproxy"),
        (UserList([Scale()]), "do not search a UserList"),
        (UserDict({"a": [Scale()]}), "do not search a UserDict"),
        (SimpleNamespace(layer=Scale()), "do not search a SimpleNamespace"),
        (np.array([Scale(), None], object), "do not search a ndarray"),
        ((Scale() for _ in range(2)), r"held: an iterator \(generator\) can be read only once"),
        (map(Scale, [1.0]), r"held: an iterator \(map\) can be read only once"),
        ([zip([Scale()], [1], strict=True)], r"held\.0: an iterator \(zip\) can be read only once"),
        (iter([Scale()]), r"held: an iterator \(list_iterator\) can be read only once"),
        (iter({"a": Scale()}.values()), r"held: an iterator \(dict_valueiterator\) can be read only once"),
        (itertools.chain([Scale()]), r"held: an iterator \(chain\) can be read only once"),
        (enumerate([Scale()]), r"held: an iterator \(enumerate\) can be read only once"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_be_trained_by_nobody_is_refused(value, text):
    module = Scale()
    with pytest.raises(TypeError, match=rf"Scale\.{text}" if text.startswith("held") else text):
        module.held = value
    assert not hasattr(module, "held")
    assert names(module) == ["factor"]


def test_iterators_that_hold_no_parameters_are_allowed(tmp_path):
    module = Scale()
    with (tmp_path / "log").open("w") as module.log:
        module.numbers = itertools.count()
    assert names(module) == ["factor"]


def test_slots_are_refused():
    with pytest.raises(TypeError, match=r"Net: modules do not search __slots__.* Delete __slots__, or slots=True"):
        type("Net", (Module,), {"__slots__": ("w",)})
    with pytest.raises(TypeError, match="Net: modules do not search __slots__"):
        type("Net", (type("Mixin", (), {"__slots__": "w"}), Module), {})
    with pytest.raises(TypeError, match="Scaled: modules do not search __slots__"):

        @dataclass(slots=True)
        class Scaled(Module):
            w: Parameter

    assert type("Net", (Module,), {"__slots__": ()})().state_dict() == {}


def test_only_calls_store_undeclared_results():
    class Remembers(Module):
        def forward(self, x: Any) -> Any:
            with mg.scope("inner"):
                self.last = mg.tensor(x)
            return self.last

    module = Remembers()
    assert module(1.0) is module.last
    with mg.no_grad():
        assert module(2.0) is module.last
        module.last = mg.tensor(3.0)
    with mg.scope("a"), pytest.raises(TypeError, match=r"Remembers\.other: this tensor would be neither"):
        module.other = mg.tensor(1.0)
    with pytest.raises(TypeError, match=r"Remembers\.last: this tensor would be neither"):
        module.forward(1.0)


def test_what_is_added_later_is_found_or_refused():
    module = Scale()
    module.layers, module.late = [], set()
    module.layers.append(nn.Linear(2, 3))
    assert names(module) == ["factor", "layers.0.weight", "layers.0.bias"]
    module.layers.append([tracked()])
    for walk in (module.parameters, module.named_parameters, module.named_buffers, module.state_dict):
        with pytest.raises(TypeError, match=r"Scale\.layers\.1\.0: a tensor that requires a gradient"):
            list(walk())
    del module.layers[1]
    module.late.add(Scale())
    with pytest.raises(TypeError, match=r"Scale\.late: .* set, .* module"):
        module.state_dict()


def test_what_lies_on_the_class_is_refused():
    for value in (Parameter(1.0), nn.Buffer(1.0), Scale(), [nn.Linear(2, 2)], {"a": [tracked()]}, tracked()):
        with pytest.raises(TypeError, match=r"Net\.held[.a0]*: modules do not search their class, .* in __init__"):
            type("Net", (Module,), {"held": value})
    assert type("Net", (Module,), {"sizes": [1, 2], "name": "x"}).sizes == [1, 2]


# --- buffers -------------------------------------------------------------------------------------------


class Centre(Module):
    """Subtracts a running mean of what it was given in training."""

    def __init__(self) -> None:
        self.scale = Parameter(2.0)
        self.mean = nn.Buffer([0.0, 0.0])
        self.register_buffer("count", np.array(0))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach()
            self.count[...] = self.count + 1
        return self.scale * (x - self.mean)


def test_buffers_are_saved_and_not_trained(tmp_path):
    module, other = Module(), Module()
    module.parts, other.parts = [Centre()], [Centre()]
    module.parts[0](mg.tensor([2.0, 4.0], requires_grad=True))
    assert names(module) == ["parts.0.scale"]
    assert [name for name, _ in module.named_buffers()] == ["parts.0.mean", "parts.0.count"]
    assert {type(b) for b in module.buffers()} == {nn.Buffer}
    state = module.state_dict()
    assert list(state) == ["parts.0.scale", "parts.0.mean", "parts.0.count"]
    state["parts.0.mean"][0] = 9  # a copy
    assert module.parts[0].mean.data.tolist() == [1, 2]
    mg.save(tmp_path / "state", module.state_dict())
    array = other.parts[0].mean.data
    other.load_state_dict(mg.load(tmp_path / "state"))
    assert other.parts[0].mean.data is array
    assert array.tolist() == [1, 2]
    assert (other.parts[0].count.item(), other.parts[0].count.dtype) == (1, np.int64)
    with pytest.raises(ValueError, match=r"parts\.0\.mean is float32 \(2,\) here, float32 \(3,\) in the state"):
        other.load_state_dict({**module.state_dict(), "parts.0.mean": np.zeros(3, np.float32)})


def test_buffers_are_copied_and_shown():
    module = Centre()
    twin = copy.deepcopy(module)
    module(mg.tensor([2.0, 4.0]))
    assert (type(twin.mean), twin.mean.data.tolist()) == (nn.Buffer, [0, 0])
    assert repr(module.mean) == "Buffer(tensor([1., 2.]))"


def test_what_a_buffer_may_be():
    module = Centre()
    module.mean = mg.tensor([5.0, 6.0, 7.0])  # another shape, as in PyTorch
    assert type(module.mean) is nn.Buffer
    module.mean = None
    assert list(module.state_dict()) == ["scale", "count"]
    frozen = nn.Buffer([1.0])
    for call, kind, text in [
        (lambda: setattr(module, "count", module.scale * 2.0), TypeError, r"Centre\.count .*untracked .* or None"),
        (lambda: setattr(module, "count", 3.0), TypeError, r"Centre\.count .*float"),
        (lambda: setattr(module, "count", np.zeros(2)), TypeError, r"Centre\.count .*\.data"),
        (lambda: nn.Buffer(module.scale), TypeError, r"\.detach\(\)"),
        (lambda: nn.Buffer(None), TypeError, "expected numbers"),
        (lambda: setattr(frozen, "requires_grad", True), ValueError, r"nn\.Parameter"),
        *((lambda name=name: module.register_buffer(name, np.zeros(1)), ValueError, "register_buffer")
          for name in ("a.b", "", "forward", "scale")),
    ]:  # fmt: skip
        with pytest.raises(kind, match=text):
            call()
    module.count = Parameter(1.0)
    assert names(module) == ["scale", "count"]
    module.register_buffer("more", frozen)
    assert module.more is frozen


def test_buffers_that_are_not_saved():
    module = Module()
    module.register_buffer("grid", np.arange(3.0), persistent=False)
    module.kept = nn.Buffer(1.0)
    assert list(module.state_dict()) == ["kept"]
    assert [name for name, _ in module.named_buffers()] == ["grid", "kept"]
    module.grid = mg.tensor([1.0])  # what takes its place is not saved either
    assert list(copy.deepcopy(module).state_dict()) == list(module.state_dict()) == ["kept"]
    with pytest.raises(ValueError, match="grid is unexpected"):
        module.load_state_dict({"kept": np.float32(5), "grid": np.arange(3.0)})


# --- slices --------------------------------------------------------------------------------------------


def test_a_slice_leaves_the_names_of_the_original():
    whole, x = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), mg.tensor([[1.0, 2.0]])
    y, part = whole(x), whole[1:]
    assert list(part) == list(whole)[1:]
    assert names(part) == ["2.weight", "2.bias"]  # as in PyTorch
    assert whole(x).node.scope == y.node.scope == ("Sequential", "2")
    assert part(whole[0](x)).item() == y.item()
    assert [type(m) for m in whole[::-1]] == [nn.Linear, nn.Tanh, nn.Linear]
    assert repr(part).splitlines()[1] == "  (1): Tanh()"


# --- parameters that are written --------------------------------------------------------------------------

IN_PLACE = {"+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "**": operator.ipow,
            "@": operator.imatmul}  # fmt: skip


@pytest.mark.parametrize("symbol", IN_PLACE)
@pytest.mark.parametrize("frozen", [False, True])
def test_an_update_that_would_only_rebind_is_refused_under_no_grad(symbol, frozen):
    layer = nn.Linear(2, 2)
    kept, layer.weight.requires_grad = layer.weight.data.copy(), not frozen
    for value in (0.5, np.ones((2, 2), np.float32), mg.tensor(kept), layer.weight):
        with mg.no_grad(), pytest.raises(TypeError, match=rf"weight.*p\.data {re.escape(symbol)}="):
            IN_PLACE[symbol](layer.weight, value)
    np.testing.assert_array_equal(layer.weight.data, kept)


@pytest.mark.parametrize("symbol", IN_PLACE)
def test_in_a_forward_it_gives_the_name_to_the_result(symbol):
    weight = nn.Parameter(np.array([[1.0, 2.0], [3.0, 4.0]]))
    other = np.array([[2.0, 1.0], [1.0, 3.0]])
    result = IN_PLACE[symbol](weight, other)
    assert type(result) is mg.Tensor
    assert result.requires_grad
    ordinary = getattr(operator, IN_PLACE[symbol].__name__.removeprefix("i"))
    np.testing.assert_array_equal(result.data, ordinary(weight.data, other))


def test_a_computed_tensor_is_no_parameter():
    """Fast weights made into parameters would cut the graph to the slow ones."""
    weight = mg.tensor([1.0], requires_grad=True)
    assert mg.nn.Parameter(weight).requires_grad
    with pytest.raises(TypeError, match="would lose its gradient"):
        mg.nn.Parameter(weight * 2)
