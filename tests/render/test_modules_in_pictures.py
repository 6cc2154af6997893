"""Frames of calls and names of parameters in drawings are those of their modules."""

from __future__ import annotations

import copy
import functools
import re
import shutil

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.render.drawing import lay_out
from minigrad.render.labels import leaf_names
from minigrad.render.page import content_of
from tests.render.drawings import frames_in
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
    assert re.findall(r'label="(LSTM \d) · 4→6"', mg.render.to_dot(both_ways())) == ["LSTM 1", "LSTM 2"]
    text = mg.render.to_text(both_ways())
    assert parameters(text) == [f"LSTM {k}.{name}" for k in (1, 2) for name in ("Wx", "Wh", "b")]
    assert re.findall(r"^(LSTM \d) · 4→6:", text, re.MULTILINE) == ["LSTM 1", "LSTM 2"]
    assert "concatenate(%2, " in text  # the forward LSTM comes first


def test_frames_of_repeated_modules():
    layer, x = nn.Linear(4, 4, rng=0), np.ones((2, 4), np.float32)
    x = layer(mg.tanh(layer(x)))
    for seed in range(2):
        x = mg.tanh(nn.Linear(4, 4, rng=seed)(x))
    scopes = [vertex.scope for vertex in picture_of(x, {"head": layer}).vertices if vertex.label == "affine"]
    assert scopes == [
        ("head · Linear 4→4, call 1 of 2",), ("head · Linear 4→4, call 2 of 2",), ("Linear 1 · 4→4",),
        ("Linear 2 · 4→4",),
    ]  # fmt: skip


class Odd(nn.Module):
    """A module whose attributes are named like sizes, but are none."""

    def __init__(self):
        self.num, self.dim, self.kernel_size = True, 3, False

    def forward(self, x):
        return mg.tanh(x)


def test_only_integers_are_sizes():
    assert [vertex.scope for vertex in picture_of(Odd()(leaf(2))).vertices if vertex.label == "tanh"] == [("Odd",)]


@pytest.mark.parametrize("lengths", [None, [9, 4]])
@pytest.mark.parametrize("layers", [1, 2])
def test_layers_and_directions_are_frames(layers, lengths):
    h, last = nn.GRU(4, 6, layers, bidirectional=True, rng=0)(X, lengths=lengths)
    for text in (mg.render.to_text([h, last]), mg.render.to_dot([h, last])):
        assert not re.search(r"array|\(2\)", text)
    frames = [f"layer {k} {way}" if layers > 1 else way for k in range(layers) for way in ("forward", "reverse")]
    assert re.findall(r"^  (\w[^%=\n]+):$", mg.render.to_text(h), re.MULTILINE) == frames


def test_layers_of_a_recurrent_network_are_frames():
    text = mg.render.to_text(nn.LSTM(4, 6, 2, rng=0)(X)[0])
    assert re.findall(r"^  (\w[^%=\n]+):$", text, re.MULTILINE) == ["layer 0", "layer 1"]


def test_two_containers_are_two_frames():
    """They and the layers in them have the same names."""

    class Autoencoder(nn.Module):
        def __init__(self):
            self.encoder, self.decoder = (nn.Sequential(nn.Linear(4, 4, rng=0), nn.Tanh()) for _ in range(2))

        def forward(self, x):
            return self.decoder(self.encoder(x))

    y = Autoencoder()(leaf(2, 4))
    layers = ["0 · Linear 4→4", "1 · Tanh"]
    expected = ["Autoencoder", "encoder · Sequential", *layers, "decoder · Sequential", *layers]
    assert re.findall(r"^ *([^%=\n]+):$", mg.render.to_text(y), re.MULTILINE) == expected
    assert r"encoder · Sequential\n2 operations" in mg.render.to_dot(y, depth=2)


NOTES = [[]]  # the calls of modules and the scopes: nested lists of class names and scope names


def noted(name, function, x):
    """Call a function and note it, with what it calls, unless it returns x itself."""
    NOTES.append([name])
    y = function(x)
    note = NOTES.pop()
    if y is not x:
        NOTES[-1].append(note)
    return y


class Mixed(nn.Module):
    """A random network with modules in attributes, lists, dicts and containers; it shares some of them."""

    def __init__(self, rng, depth, pool):
        kinds = [
            lambda: nn.Linear(3, 3, rng=0), nn.Tanh, lambda: nn.LayerNorm(3), lambda: nn.Sequential(nn.ReLU()),
            nn.Identity, *[lambda: pool[rng.integers(len(pool))]] * (2 * bool(pool)),
        ]  # fmt: skip
        if depth:
            kinds += [lambda: Mixed(rng, depth - 1, pool)] * 4
            kinds.append(lambda: nn.Sequential(*[Mixed(rng, depth - 1, pool) for _ in range(2)]))

        def made():
            pool.append(kinds[rng.integers(len(kinds))]())
            return pool[-1]

        self.first, self.listed, self.named = made(), nn.ModuleList([made()]), nn.ModuleDict({"a": made()})
        self.nested = {"b": [made(), (made(),)]}
        self.order = rng.integers(0, 5, 4).tolist()
        self.ways = rng.integers(0, 4, 4).tolist()

    def forward(self, x):
        modules = [self.first, self.listed[0], self.named["a"], *self.nested["b"][:1], *self.nested["b"][1]]
        for k, way in zip(self.order, self.ways, strict=True):
            if way == 3:
                with mg.scope(f"Scope{k}"):
                    y = noted(f"Scope{k}", modules[k], x)
            else:
                y = recursive(modules[k], x, way)
            x = mg.tanh(x + y)
        return x


def recursive(module, x, more):
    """Call a module, and call it again in each of several recursive calls."""
    return recursive(module, mg.tanh(module(x)), more - 1) if more else module(x)


def frames_of_text(y):
    """Return the tree of frames in a listing."""
    stack = [[]]
    text = mg.render.to_text(y, unroll="steps", max_lines=10**6)
    for indent, title in re.findall(r"^( *)([^%=\n]+):$", text, re.MULTILINE):
        del stack[len(indent) // 2 + 1 :]
        stack[-1].append([title])
        stack.append(stack[-1][-1])
    return stack[0]


def frames_of_dot(y):
    stack = [[]]
    for line in mg.render.to_dot(y, unroll="steps", depth=None, max_nodes=10**6).splitlines():
        if "subgraph cluster_" in line and "{ peripheries=0" not in line:
            stack[-1].append([])
            stack.append(stack[-1][-1])
        elif (title := re.match(r' *label="(.*?)" labeljust', line)) and len(stack) > 1:
            stack[-1].append(title[1])
        elif line.strip() == "}" and len(stack) > 1:
            stack.pop()
    return stack[0]


def frames_of_svg(y):
    """Return the tree of frames by their outlines, in the order of the file."""
    dot = mg.render.to_dot(y, unroll="steps", depth=None, max_nodes=10**6)
    outlines = frames_in(lay_out(dot, "svg").decode())
    trees, frames = {shape.title: ["".join(shape.texts)] for shape in outlines}, []
    for shape in sorted(outlines, key=lambda shape: int(shape.title.partition("_")[2])):
        around = [
            other for other in outlines if other is not shape and other.holds(shape.low) and other.holds(shape.high)
        ]
        (trees[around[-1].title] if around else frames).append(trees[shape.title])
    return frames


def frames_of_page(y):
    boxes = content_of(whole(y, "steps"))["boxes"]
    trees = [[box["name"]] for box in boxes]
    for box, tree in zip(boxes, trees, strict=True):
        if box["parent"] >= 0:
            trees[box["parent"]].append(tree)
    return [tree for box, tree in zip(boxes, trees, strict=True) if box["parent"] < 0]


def classes(tree):
    """Return a tree of frames with classes instead of titles."""
    title, *inner = tree
    name, _, about = re.sub(r", call \d+ of \d+$", "", title).partition(" · ")
    kind = about.split()[0] if about[:1].isalpha() else name.split()[0]
    return [kind, *map(classes, inner)]


@pytest.mark.parametrize("seed", range(30))
def test_frames_are_the_calls_of_modules(seed):
    rng, pool, x = np.random.default_rng(seed), [], leaf(2, 3)
    networks = [Mixed(rng, int(rng.integers(3)), pool) for _ in range(2)]
    for module in {id(module): module for network in networks for module in network.modules()}.values():
        vars(module)["forward"] = functools.partial(noted, type(module).__name__, module.forward)
    NOTES[:] = [[]]
    for network in networks:
        x = network(x)
    readers = [frames_of_text, frames_of_dot, frames_of_page]
    if shutil.which("dot") and str(NOTES).count("[") < 150:  # a large drawing takes long
        readers.append(frames_of_svg)
    for read in readers:
        assert [classes(tree) for tree in read(x)] == NOTES[0]


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
        "x", "Captioner.project.weight", "Captioner.project.bias", "Captioner.embed.weight", "Wx", "Wh", "b", "c0",
        "Captioner.predict.weight", "Captioner.predict.bias", "targets",
    ]  # fmt: skip
    a, b, c = leaf(2), leaf(2), leaf(2)
    names = leaf_names(picture_of(a * b * c, names={"input1": c})).values()
    assert sorted(names) == ["input1", "input2", "input3"]
