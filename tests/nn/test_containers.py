"""Lists and dicts of modules: what they hold and under which names, and what they refuse."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

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


def test_a_module_list_does_what_a_list_does():
    a, b, c, d = modules = [nn.Tanh(), nn.ReLU(), linear(), nn.Sigmoid()]
    mine, plain = nn.ModuleList([a]), [a]
    assert mine.append(b) is mine
    plain.append(b)
    for held in (mine, plain):
        held.extend([c, d])
        held.insert(1, d)
        held.insert(-1, a)
        assert held.pop(-2) is a
        held[0] = held[-1] = c
        del held[2]
    assert (list(mine), len(mine)) == (plain, len(plain))
    assert [name for name, _ in mine.named_modules()][1:] == ["0", "1"]  # each module once
    assert (type(mine[1:]), list(mine[1:])) == (nn.ModuleList, plain[1:])
    assert len(list(nn.ModuleList(modules).parameters())) == 1
    for missing in (lambda: mine[9], lambda: mine.pop(9)):
        with pytest.raises(IndexError):
            missing()


def test_a_module_dict_does_what_a_dict_does():
    a, b, c = nn.ReLU(), nn.Tanh(), linear()
    mine, plain = nn.ModuleDict([("a", a), ("b", b)]), {"a": a, "b": b}
    for held in (mine, plain):
        held["c"] = c
        held["a"] = b
        held.update({"d": c, "b": a})
        del held["b"]
        assert held.pop("a") is b
    assert list(mine.items()) == list(plain.items()) == list(nn.ModuleDict(mine).items())
    assert (list(mine), list(mine.keys()), list(mine.values())) == (list(plain), list(plain), list(plain.values()))
    assert ("c" in mine, "a" in mine, len(mine)) == (True, False, 2)
    for missing in (lambda: mine["a"], lambda: mine.pop("a"), lambda: mine.__delitem__("training")):
        with pytest.raises(KeyError):
            missing()
    mine.clear()
    assert (len(mine), list(mine.parameters())) == (0, [])


def test_they_print_as_trees():
    assert repr(nn.ModuleList([nn.ReLU()])) == "ModuleList(\n  (0): ReLU()\n)"
    assert repr(nn.ModuleDict({"f": nn.ReLU()})) == "ModuleDict(\n  (f): ReLU()\n)"
    assert repr(nn.ModuleList()) == "ModuleList()"


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nn.ModuleList([nn.ReLU(), mg.ops.tanh]), TypeError, "module 1 must be a module, not function"),
        (lambda: nn.ModuleList().append(None), TypeError, "append: the argument must be a module, not NoneType"),
        (lambda: nn.ModuleList().insert(0, 3), TypeError, "insert: the argument must be a module, not int"),
        (lambda: nn.ModuleList([nn.ReLU()]).__setitem__(1, nn.ReLU()), IndexError, "out of range"),
        (lambda: nn.ModuleList([nn.ReLU()]).__setitem__(0, 1), TypeError, r"ModuleList\[0\] must be a module, not int"),
        (lambda: nn.ModuleDict({"f": 1}), TypeError, r"ModuleDict\['f'\] must be a module, not int"),
        (lambda: nn.ModuleDict({1: nn.ReLU()}), TypeError, "a name must be a string, not 1"),
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
