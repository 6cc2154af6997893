"""Modules: names, sharing, walks, state, modes, scopes, copies and text."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert not hasattr(p, "__dict__")
    assert Parameter(p, dtype="float32").dtype == np.float32
    assert Parameter([1.0]).dtype == mg.get_default_dtype()
    assert repr(Parameter([1.0])) == "Parameter(tensor([1.], requires_grad=True))"
    with pytest.raises(TypeError, match="not int64"):
        Parameter([1])
    with pytest.raises(TypeError, match="not complex128"):
        Parameter([1j])


def test_gradients_reach_parameters():
    module = Pair(Scale(), Scale(3.0))
    module(np.ones(2, np.float32)).backward(np.ones(2))
    assert module.first.factor.grad == 6
    assert module.second.factor.grad == 4
    assert module.offset.grad.tolist() == [1, 1]
    module.zero_grad()
    assert all(p.grad is None for p in module.parameters())


def test_names_follow_assignment():
    module = Pair(Scale(), Pair(Scale(), Scale()))
    assert names(module) == ["first.factor", "offset", "second.first.factor", "second.offset", "second.second.factor"]
    assert [name for name, _ in module.named_modules()] == ["", "first", "second", "second.first", "second.second"]
    assert list(module.modules()) == [module, module.first, module.second, module.second.first, module.second.second]
    module.extra = Scale()
    del module.first
    assert names(module)[0] == "offset"
    assert names(module)[-1] == "extra.factor"
    module.offset = None
    assert "offset" not in names(module)


def test_containers_are_searched():
    module = Module()
    module.items = [Scale(), (Scale(), {"deep": Parameter(1.0)})]
    module.by_name = OrderedDict(a=Scale())
    module.other = ["text", 3, None, np.ones(2), mg.tensor(1.0)]
    module.items.append(Parameter(1.0))
    assert names(module) == ["items.0.factor", "items.1.0.factor", "items.1.1.deep", "items.2", "by_name.a.factor"]


def test_shared_parameters_and_modules_count_once():
    inner = Scale()
    module = Pair(inner, inner)
    module.alias = inner.factor
    assert names(module) == ["first.factor", "offset"]
    assert len(list(module.modules())) == 2
    assert list(module.state_dict()) == ["first.factor", "offset"]
    module(np.ones(2, np.float32)).backward(np.ones(2))
    assert inner.factor.grad == 8  # d(2 s^2 + ...)/ds


def test_references_back_to_a_parent_and_containers_in_themselves():
    module = Pair(Scale(), Scale())
    module.first.parent = module
    loop: list[Any] = [Parameter(1.0)]
    loop.append(loop)
    module.loop = loop
    assert names(module) == ["first.factor", "offset", "second.factor", "loop.0"]
    assert "(parent): Pair(...)" in repr(module)


def test_names_that_collide_are_refused():
    module = Module()
    module.both = {1: Parameter(1.0), "1": Parameter(2.0)}
    with pytest.raises(ValueError, match=r"two parameters have the name both\.1"):
        module.state_dict()


def test_assignments_that_would_not_be_trained_are_refused():
    module = Scale()
    with pytest.raises(TypeError, match=r"Scale\.w: a tensor that requires a gradient .* nn\.Parameter"):
        module.w = mg.tensor([1.0], requires_grad=True)
    for value in (mg.tensor([1.0]), np.ones((2, 3)), 3.0):
        with pytest.raises(TypeError, match=r"Scale\.factor is a parameter: assign an nn\.Parameter"):
            module.factor = value
    for held, key in (([mg.tensor([1.0], requires_grad=True)], "0"), ({"a": mg.tensor(1.0, requires_grad=True)}, "a")):
        with pytest.raises(TypeError, match=rf"Scale\.held\.{key}: a tensor that requires a gradient"):
            module.held = held
    assert not hasattr(module, "held")
    module.constant = mg.tensor([1.0])
    module.last = module(mg.tensor([1.0]))  # a result may be kept
    assert names(module) == ["factor"]
    module.factor = replacement = Parameter(5.0)
    assert list(module.parameters()) == [replacement]


def test_frozen_parameters_stay_in_the_state():
    module = Scale()
    module.factor.requires_grad = False
    assert names(module) == ["factor"]
    assert not module(mg.tensor(1.0)).requires_grad


def test_ten_thousand_modules_deep_and_wide():
    chain: Module = Scale()
    for _ in range(10_000):
        outer = Module()
        outer.inner = chain
        chain = outer
    wide = nn.Sequential(*(nn.Dropout(0.0) for _ in range(10_000)))
    for module in (chain, wide):
        assert sum(1 for _ in module.modules()) >= 10_000
        module.eval()
        assert not any(m.training for m in module.modules())
        module.zero_grad()
        module.load_state_dict(module.state_dict())
        assert repr(module).count("\n") >= 10_000
    del chain, outer, module  # dismantled without recursion
    assert wide(mg.tensor([1.0])).item() == 1


# --- calls ---------------------------------------------------------------------------------------------


def test_scopes_show_the_path():
    module = Pair(Scale(), Scale())
    y = module(mg.tensor([1.0, 2.0]))
    second = y.node.parents[0]
    assert y.node.scope == ("Pair",)
    assert second.scope == ("Pair", "second")
    assert second.parents[1].scope == ("Pair", "first")
    holder = Module()
    holder.layers = [Scale(), Scale()]
    holder.table = {"x": Scale()}
    assert holder.layers[1](mg.tensor(1.0)).node.scope == ("layers.1",)
    assert holder.table["x"](mg.tensor(1.0)).node.scope == ("table.x",)
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
    assert str(caught.value).splitlines()[1:] == [
        "  first.factor is missing",
        "  extra is unexpected",
        "  more is unexpected",
        "  offset is float32 (2,) here, float32 (3,) in the state",
        "  second.factor is float32 () here, float64 () in the state",
    ]
    with pytest.raises(ValueError, match=r"offset is float32 \(2,\) here"):
        module.load_state_dict({"first.factor": 9.0, "offset": np.zeros(3, np.float32)}, strict=False)
    with pytest.raises(ValueError, match="offset: expected numbers"):
        module.load_state_dict({**before, "offset": "abc"})
    module.offset.data.flags.writeable = False
    with pytest.raises(ValueError, match="offset is read-only here"):
        module.load_state_dict({name: array * 0 for name, array in before.items()})
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_loose_loading_reports_what_it_left_out():
    module = Pair(Scale(), Scale())
    report = module.load_state_dict({"first.factor": 9.0, "alien": 1.0}, strict=False)
    assert report.missing == ["offset", "second.factor"]
    assert report.unexpected == ["alien"]
    assert module.first.factor.item() == 9
    assert module.second.factor.item() == 2


def test_loading_views_of_the_same_parameters():
    module = Pair(Scale(2.0), Scale(3.0))
    a, b = module.first.factor.data, module.second.factor.data
    module.load_state_dict({"first.factor": b, "second.factor": a, "offset": module.offset.data[::-1]})
    assert (a, b) == (3, 2)
    assert module.offset.data.tolist() == [2, 1]


@given(st.permutations(["first.factor", "offset", "second.factor"]), st.integers(0, 2))
def test_any_subset_in_any_order(order, count):
    module, other = Pair(Scale(2.0), Scale(3.0)), Pair(Scale(4.0), Scale(5.0))
    state = module.state_dict()
    other.load_state_dict({name: state[name] for name in order[:count]}, strict=False)
    for name, p in other.named_parameters():
        same = np.array_equal(p.data, state[name])
        assert same == (name in order[:count] or name == "offset")


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
    assert (layer.weight.name, layer.weight.node.name) == ("weight", "weight")
    layer.weight.requires_grad = False
    layer.weight.requires_grad = True
    twin = copy.deepcopy(layer)
    assert [p.node.name for module in (layer, twin) for p in (module.weight, module.bias)] == ["weight", "bias"] * 2
    frozen = nn.Linear(2, 3)
    frozen.weight.requires_grad = False
    holder = nn.Sequential(frozen)
    holder.scale = frozen.weight  # a second name, while it is frozen
    frozen.weight.requires_grad = True
    assert frozen.weight.node.name == "scale"
