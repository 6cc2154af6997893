"""Frames of calls and names of parameters in drawings are those of their modules."""

from __future__ import annotations

import copy
import re
from collections import Counter

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.render.labels import leaf_names
from tests.render.graphs import captioner, leaf
from tests.render.pictures import arranged, check, picture_of, whole

X = np.ones((2, 9, 4), np.float32)


def both_ways():
    """A forward and a backward LSTM: two modules of one class outside of any module."""
    forward, backward = nn.LSTM(4, 6, rng=0), nn.LSTM(4, 6, rng=1)
    return mg.concatenate([forward(X)[0], mg.flip(backward(X[:, ::-1])[0], 1)], -1).sum()


def stacked():
    """A sequence of the states of another."""
    h = X
    for _ in range(2):
        h, _ = mg.lstm(h, np.zeros((2, 6), np.float32), leaf(h.shape[-1], 24), leaf(6, 24), leaf(24))
    return h.sum()


@pytest.mark.parametrize("make", [both_ways, stacked])
def test_each_sequence_has_its_own_steps(make):
    picture = check(arranged(make()))
    loops = [(number, vertex) for number, vertex in enumerate(picture.vertices) if vertex.folds and not vertex.is_leaf]
    assert [[(e.source, e.argument) for e in v.feedback] for _, v in loops] == [[(i, "h"), (i, "c")] for i, _ in loops]
    assert [len(vertex.folds) for _, vertex in loops] == [9, 9]
    assert len({vertex.scope for _, vertex in loops}) == 2
    steps = [vertex.step for vertex in whole(make(), "steps").vertices if vertex.step is not None]
    assert steps == [*range(9), *range(9)]
    assert mg.render.to_text(make()).count("× 9, first with") == 2


def test_two_modules_of_one_class_are_two_frames():
    assert re.findall(r'label="(LSTM \d)[^"]*"', mg.render.to_dot(both_ways())) == ["LSTM 1", "LSTM 2"]
    text = mg.render.to_text(both_ways())
    assert parameters(text) == [f"LSTM {k}.{name}" for k in (1, 2) for name in ("Wx", "Wh", "b")]
    assert re.findall(r"^(LSTM \d):", text, re.MULTILINE) == ["LSTM 1", "LSTM 2"]
    assert "concatenate(%2, " in text  # the forward LSTM comes first


def test_frames_of_repeated_modules():
    layer, x = nn.Linear(4, 4, rng=0), np.ones((2, 4), np.float32)
    picture = picture_of(layer(mg.tanh(layer(x))))
    assert {vertex.scope for vertex in picture.vertices if vertex.label == "affine"} == {("Linear",)}
    for seed in range(5):
        x = mg.tanh(nn.Linear(4, 4, rng=seed)(x))
    scopes = Counter(vertex.scope for vertex in picture_of(x).vertices if vertex.label == "affine")
    assert scopes == {(f"Linear {k}",): 1 for k in range(1, 6)}


class Net(nn.Module):
    """A parameter that only another module uses."""

    def __init__(self):
        self.r = nn.Linear(4, 4, rng=0)
        self.h0 = nn.Parameter(np.zeros((2, 4), np.float32))

    def forward(self):
        return self.r(self.h0)


class Tied(nn.Module):
    """One array under two names."""

    def __init__(self):
        self.a, self.b = nn.Linear(4, 4, rng=0), nn.Linear(4, 4, rng=0)
        self.b.weight = self.a.weight

    def forward(self):
        return self.b(self.a(np.ones((2, 4), np.float32)))


class Several(nn.Module):
    """Parameters in a list, one of which another module takes."""

    def __init__(self):
        self.starts = [nn.Parameter(np.zeros((2, 4), np.float32)) for _ in range(2)]
        self.r = nn.Linear(4, 4, rng=0)

    def forward(self):
        return self.r(self.starts[0] * self.starts[1]) + self.r(self.starts[1])


def parameters(text):
    return re.findall(r"^parameter (\S+(?: \d)?\S*)", text, re.MULTILINE)


@pytest.mark.parametrize("make", [Net, Tied, Several])
@pytest.mark.parametrize("copied", [False, True])
def test_parameters_have_the_names_of_the_state(make, copied):
    model = copy.deepcopy(make()) if copied else make()
    names = parameters(mg.render.to_text(model().sum()))
    known = set(model.state_dict()) | ({"b.weight"} if make is Tied else set())
    assert {name.removeprefix(f"{make.__name__}.") for name in names} <= known
    assert all(name.startswith(f"{make.__name__}.") for name in names)
    assert len(names) == len(set(names)) == len(list(model.parameters()))


def test_names_of_leaves_are_unique_and_in_the_order_of_use():
    assert list(leaf_names(picture_of(captioner())).values()) == [
        "Captioner.project.weight", "Captioner.project.bias", "Captioner.embed.weight", "Wx", "Wh", "b",
        "Captioner.predict.weight", "Captioner.predict.bias",
    ]  # fmt: skip
    a, b, c = leaf(2), leaf(2), leaf(2)
    names = leaf_names(picture_of(a * b * c, names={"input1": c})).values()
    assert sorted(names) == ["input1", "input2", "input3"]
