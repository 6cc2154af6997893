"""Forward hooks: after each call of a module, with its output or in place of it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn


class Scale(nn.Module):
    def __init__(self, factor=2.0):
        self.factor = nn.Parameter(factor)

    def forward(self, x, *, shift=0.0):
        if shift == "bad":
            raise KeyError("bad")
        return x * self.factor + shift


def ones(*shape):
    return np.ones(shape, np.float32)


def test_a_hook_is_told_of_each_call_and_what_it_returns_takes_the_outputs_place():
    scale, seen = Scale(), []
    scale.register_forward_hook(lambda *told: seen.append(told))
    scale.register_forward_hook(lambda module, args, output: output * 10)
    scale.register_forward_hook(lambda module, args, output: seen.append(output))
    x = mg.tensor([1.0, 3.0])
    y = scale(x, shift=1.0)
    np.testing.assert_array_equal(y.data, [30, 70])
    module, args, output = seen[0]
    assert module is scale
    assert args == (x,)
    np.testing.assert_array_equal(output.data, [3, 7])
    assert seen[1] is y
    y.sum().backward()
    assert scale.factor.grad == 40


def test_it_runs_in_the_modules_scope_and_for_inner_modules_too():
    net, scopes = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh()), []

    def hook(module, args, output):
        scopes.append((output * 2).node and (output * 2).node.scope)

    for module in net.modules():
        module.register_forward_hook(hook)
    net(ones(1, 2))
    assert scopes == [("Sequential", "0"), ("Sequential", "1"), ("Sequential",)]
    with mg.no_grad():
        net(ones(1, 2))
    assert scopes[3:] == [None] * 3


def test_errors():
    scale, seen = Scale(), []
    scale.register_forward_hook(lambda *given: seen.append(given))
    failing = scale.register_forward_hook(lambda module, args, output: 1 / 0)
    for shift, error in (("bad", KeyError), (0.0, ZeroDivisionError)):
        with pytest.raises(error):
            scale(mg.tensor([1.0]), shift=shift)
    assert (mg.tensor(1.0, requires_grad=True) * 2).node.scope == ()
    failing.remove()
    scale(mg.tensor([1.0]))
    assert len(seen) == 2  # none of the call that failed
    with pytest.raises(TypeError, match="a hook must be a function, not int"):
        scale.register_forward_hook(3)


def test_removed_and_registered_while_it_runs():
    scale, seen = Scale(), []

    def first(module, args, output):
        seen.append("first")
        handles[0].remove()
        handles[1].remove()
        scale.register_forward_hook(lambda *told: seen.append("late"))

    handles = [scale.register_forward_hook(hook) for hook in
               (first, lambda *told: seen.append("second"), lambda *told: seen.append("third"))]  # fmt: skip
    scale(mg.tensor(1.0))
    assert seen == ["first", "third"]
    scale(mg.tensor(1.0))
    assert seen[2:] == ["third", "late"]


def test_hooks_are_no_part_of_the_module():
    outer = Scale()
    outer.register_forward_hook(Scale(3.0))  # a module is a function too
    assert list(outer.modules()) == [outer]
    assert list(outer.state_dict()) == ["factor"]
    assert repr(outer) == "Scale()"


def test_copies_and_pickles_have_none():
    scale, seen = Scale(), []
    scale.register_forward_hook(lambda *given: seen.append(given))
    for twin in (copy.deepcopy(scale), pickle.loads(pickle.dumps(scale)), copy.deepcopy(nn.Sequential(scale))[0]):
        twin.register_forward_hook(lambda module, args, output: output * 10)
        assert twin(mg.tensor(1.0)).item() == 20
    assert seen == []
    assert scale(mg.tensor(1.0)).item() == 2
