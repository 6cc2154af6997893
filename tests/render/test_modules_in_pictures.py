"""Which frame a call is in and which module a parameter is of: what a drawing says of either is so."""

from __future__ import annotations

import copy
import re
from collections import Counter

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.render.graphs import leaf
from tests.render.pictures import arranged, check, picture_of, whole

X = np.ones((2, 9, 4), np.float32)


def both_ways():
    """A forward and a backward LSTM, two modules of one class that no module holds."""
    forward, backward = nn.LSTM(4, 6, rng=0), nn.LSTM(4, 6, rng=1)
    return mg.concatenate([forward(X)[0], mg.flip(backward(X[:, ::-1])[0], 1)], -1).sum()


def by_hand():
    """Two sequences in one scope."""
    weights = [(leaf(4, 24), leaf(6, 24), leaf(24)) for _ in range(2)]
    states = [mg.lstm(X, np.zeros((2, 6), np.float32), *w)[0] for w in weights]
    return mg.concatenate(states, -1).sum()


def stacked():
    """A sequence of the states of another."""
    h = X
    for _ in range(2):
        h, _ = mg.lstm(h, np.zeros((2, 6), np.float32), leaf(h.shape[-1], 24), leaf(6, 24), leaf(24))
    return h.sum()


@pytest.mark.parametrize("make", [both_ways, by_hand, stacked])
def test_each_sequence_has_its_own_steps(make):
    picture = check(arranged(make()))
    elisions = [i for i, vertex in enumerate(picture.vertices) if vertex.kind == "elision"]
    assert [(picture.vertices[i].label, picture.vertices[i].stands_for) for i in elisions] == [("7 more steps", 7)] * 2
    for i in elisions:
        node = picture.vertices[i].node
        assert {picture.vertices[edge.source].node for edge in picture.vertices[i].inputs
                if edge.argument in ("h", "c") and not picture.vertices[edge.source].is_leaf} == {node}  # fmt: skip
    for vertex in picture.vertices:
        if vertex.step:
            states = [edge.source for edge in vertex.inputs if edge.argument in ("h", "c")]
            assert {picture.vertices[source].node for source in states} == {vertex.node}
    steps = [vertex for vertex in whole(make(), "steps").vertices if vertex.step is not None]
    assert [vertex.step for vertex in steps] == [*range(9), *range(9)]
    assert mg.render.to_text(make()).count("× 9, first with") == 2


def test_two_modules_of_one_class_are_two_frames():
    dot = mg.render.to_dot(both_ways())
    assert re.findall(r'label="(LSTM \d)[^"]*"', dot) == ["LSTM 1", "LSTM 2"]
    text = mg.render.to_text(both_ways())
    assert "parameter LSTM 1.Wx" in text
    assert "parameter LSTM 2.Wx" in text
    assert re.findall(r"^(LSTM \d):", text, re.MULTILINE) == ["LSTM 1", "LSTM 2"]
    assert "concatenate(c, " in text  # the forward one is the first; b is a bias
    assert text.count("lstm_step(·, ") == text.count(", Wx, Wh, b)") == 2


def test_a_module_called_twice_is_one_frame():
    layer = nn.Linear(4, 4, rng=0)
    picture = picture_of(layer(mg.tanh(layer(np.ones((2, 4), np.float32)))))
    assert {vertex.scope for vertex in picture.vertices if vertex.label == "affine"} == {("Linear",)}


def test_modules_in_a_row_are_numbered():
    x = np.ones((2, 4), np.float32)
    for seed in range(5):
        x = mg.tanh(nn.Linear(4, 4, rng=seed)(x))
    scopes = Counter(vertex.scope for vertex in picture_of(x).vertices if vertex.label == "affine")
    assert scopes == {(f"Linear {k}",): 1 for k in range(1, 6)}
    assert "× 5" in mg.render.to_text(x)


# Names of parameters ---------------------------------------------------------------------------


class Net(nn.Module):
    """A parameter that is used only within a module that does not hold it."""

    def __init__(self):
        self.r = nn.Linear(4, 4, rng=0)
        self.h0 = nn.Parameter(np.zeros((2, 4), np.float32))

    def forward(self):
        return self.r(self.h0)


class Outer(nn.Module):
    """A module of a module: names are given after parameters are."""

    def __init__(self):
        self.inner = Net()

    def forward(self):
        return self.inner()


class Tied(nn.Module):
    """One array under two names."""

    def __init__(self):
        self.a, self.b = nn.Linear(4, 4, rng=0), nn.Linear(4, 4, rng=0)
        self.b.weight = self.a.weight

    def forward(self):
        return self.b(self.a(np.ones((2, 4), np.float32)))


class Several(nn.Module):
    """Parameters in a list, of which a module beside it takes one."""

    def __init__(self):
        self.starts = [nn.Parameter(np.zeros((2, 4), np.float32)) for _ in range(2)]
        self.r = nn.Linear(4, 4, rng=0)

    def forward(self):
        return self.r(self.starts[0] * self.starts[1]) + self.r(self.starts[1])


def parameters(text):
    return re.findall(r"^parameter (\S+)", text, re.MULTILINE)


@pytest.mark.parametrize("make", [Net, Outer, Tied, Several])
@pytest.mark.parametrize("copied", [False, True])
def test_parameters_have_the_names_of_the_state(make, copied):
    model = copy.deepcopy(make()) if copied else make()
    names = parameters(mg.render.to_text(model().sum()))
    known = set(model.state_dict()) | ({"b.weight"} if make is Tied else set())
    assert {name.removeprefix(f"{make.__name__}.") for name in names} <= known
    assert all(name.startswith(f"{make.__name__}.") for name in names)
    assert len(names) == len(set(names)) == len(list(model.parameters()))


def test_parameters_of_other_modules_have_no_path():
    layer = nn.Linear(4, 4, rng=0)
    start = nn.Parameter(np.ones((2, 4), np.float32))
    assert "parameter" in parameters(mg.render.to_text(layer(start).sum()))
    # the module that holds it is not called at all
    net, other = Net(), nn.Linear(4, 4, rng=0)
    assert "h0" in parameters(mg.render.to_text(other(net.h0).sum()))
