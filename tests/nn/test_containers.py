"""Lists and dicts of modules: what they hold and under which names, and what they refuse."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn


def linear(n: int = 1) -> nn.Linear:
    return nn.Linear(n, n, bias=False, rng=0)


class Deep(nn.Module):
    def __init__(self):
        self.layers = nn.ModuleList([linear(2), nn.ReLU(), linear(2)])
        self.heads = nn.ModuleDict({"left": linear(2), "right": nn.Tanh()})

    def forward(self, x, head):
        for layer in self.layers:
            x = layer(x)
        return self.heads[head](x)


def test_names_and_scopes():
    model = Deep()
    names = ["layers.0.weight", "layers.2.weight", "heads.left.weight"]
    assert [name for name, _ in model.named_parameters()] == names == list(model.state_dict())
    y = model(mg.tensor([[1.0, 2.0]]), "left")
    assert y.node.scope == ("Deep", "heads.left")
    assert [p.owner for p in model.parameters()] == ["layers.0", "layers.2", "heads.left"]
    twin = Deep()
    twin.load_state_dict({name: array + 1 for name, array in model.state_dict().items()})
    assert model.eval().layers[1].training is model.heads["right"].training is False
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other([[1.0, 2.0]], "left").numpy(), y.numpy())


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["append", "insert", "pop", "delete", "set", "extend"]), st.integers(-4, 4)), max_size=12
)


@given(ACTIONS)
def test_a_module_list_does_what_a_list_does(actions):
    mine, plain = nn.ModuleList(), []
    for action, index in actions:
        module, fits = nn.Tanh(), -len(plain) <= index < len(plain)
        if action == "append":
            assert mine.append(module) is mine
            plain.append(module)
        elif action == "extend":
            mine.extend([module, nn.ReLU()])
            plain += list(mine)[-2:]
        elif action == "insert":
            mine.insert(index, module)
            plain.insert(index, module)
        elif not fits:
            with pytest.raises(IndexError):
                mine.pop(index) if action == "pop" else mine[index]
        elif action == "pop":
            assert mine.pop(index) is plain.pop(index)
        elif action == "delete":
            del mine[index], plain[index]
        else:
            mine[index] = plain[index] = module
        assert list(mine) == plain
        assert len(mine) == len(plain)
        assert [name for name, _ in mine.named_modules()][1:] == [str(i) for i in range(len(plain))]
    assert list(mine[1:]) == plain[1:]
    assert isinstance(mine[1:], nn.ModuleList)
    assert mine[1:][0] is plain[1] if len(plain) > 1 else True


def test_a_module_dict_does_what_a_dict_does():
    a, b, c = nn.ReLU(), nn.Tanh(), linear()
    mine, plain = nn.ModuleDict([("a", a), ("b", b)]), {"a": a, "b": b}
    for held in (mine, plain):
        held["c"] = c
        held["a"] = b
        held.update({"d": c, "b": a})
        del held["b"]
        assert held.pop("a") is b
    assert list(mine) == list(mine.keys()) == list(plain) == ["c", "d"]
    assert list(mine.values()) == list(plain.values())
    assert list(mine.items()) == list(plain.items())
    assert ("c" in mine, "a" in mine, len(mine)) == (True, False, 2)
    assert list(nn.ModuleDict(mine).items()) == list(plain.items())
    mine.clear()
    assert (len(mine), list(mine.parameters())) == (0, [])
    for missing in (lambda: mine["a"], lambda: mine.pop("a")):
        with pytest.raises(KeyError):
            missing()
    with pytest.raises(KeyError):
        del mine["training"]


def test_they_print_as_trees():
    assert repr(nn.ModuleList([nn.ReLU()])) == "ModuleList(\n  (0): ReLU()\n)"
    assert repr(nn.ModuleDict({"f": nn.ReLU()})) == "ModuleDict(\n  (f): ReLU()\n)"
    assert repr(nn.ModuleList()) == "ModuleList()"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.ModuleList([nn.ReLU(), mg.ops.tanh]), TypeError, "module 1 must be a module, not function"),
        (lambda: nn.ModuleList().append(None), TypeError, "what is appended must be a module, not NoneType"),
        (lambda: nn.ModuleList().insert(0, 3), TypeError, "what is inserted must be a module, not int"),
        (lambda: nn.ModuleList([nn.ReLU()]).__setitem__(1, nn.ReLU()), IndexError, "out of range"),
        (lambda: nn.ModuleList([nn.ReLU()]).__setitem__(0, 1), TypeError, r"ModuleList\[0\] must be a module, not int"),
        (lambda: nn.ModuleDict({"f": 1}), TypeError, r"ModuleDict\['f'\] must be a module, not int"),
        (lambda: nn.ModuleDict({1: nn.ReLU()}), TypeError, "a name must be a text, not 1"),
        (lambda: nn.ModuleDict({"a.b": nn.ReLU()}), KeyError, "'a.b' cannot be a name"),
        (lambda: nn.ModuleDict({"": nn.ReLU()}), KeyError, "cannot be a name"),
        (lambda: nn.ModuleDict({"forward": nn.ReLU()}), KeyError, "'forward' cannot be a name"),
        (lambda: nn.ModuleDict({"training": nn.ReLU()}), KeyError, "'training' cannot be a name"),
        (lambda: nn.ModuleList()(1.0), NotImplementedError, "ModuleList defines no forward"),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_what_is_refused_leaves_nothing_behind():
    held = nn.ModuleDict()
    with pytest.raises(TypeError):
        held.update({"a": nn.ReLU(), "b": 1})
    assert len(held) == 0
    several = nn.ModuleList()
    with pytest.raises(TypeError):
        several.extend([nn.ReLU(), 1])
    assert len(several) == 0
