"""Closed modules: invariants, labels, and the default depth."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.render.closing import closed, readable_depth
from minigrad.render.fold import folded
from minigrad.render.options import drawn_picture
from tests.render.graphs import deep, graphs, halves, leaf, recorded
from tests.render.pictures import arranged, check, labels, operations, picture_of, whole


@given(graphs(), st.integers(1, 3), st.sampled_from(["fold", "primitive"]))
def test_every_picture_can_be_closed(outputs, depth, unroll):
    before = arranged(outputs, unroll)
    after = check(closed(before, depth))
    assert operations(after) == operations(before)
    assert [output.name for output in after.outputs] == [output.name for output in before.outputs]
    shapes = [[p.vertices[o.source].specs[o.slot] for o in p.outputs] for p in (before, after)]
    assert shapes[0] == shapes[1]
    assert all(len(v.around) < depth for v in after.vertices if v.kind == "operation")
    assert {v.label for v in after.vertices if v.kind == "input"} == {
        v.label for v in before.vertices if v.kind == "input"
    }
    for less in (closed(before, depth, skips=True), folded(after)):
        assert operations(check(less)) == operations(before)


def test_closed_modules_of_a_network():
    picture = check(closed(whole(deep(2)), 2))
    assert labels(picture) == [
        "input", "0 · Linear 3→4", "1 · Residual", "2 · Linear 4→5", "3 · Residual", "4 · Tanh",
    ]  # fmt: skip
    assert [v.kind for v in picture.vertices] == ["input", *["module"] * 5]
    assert [v.remark for v in picture.vertices[1:]] == [
        "affine\n16 parameters", "4 operations\n76 parameters", "affine\n25 parameters",
        "4 operations\n115 parameters", "tanh",
    ]  # fmt: skip
    assert [[edge.source for edge in v.inputs] for v in picture.vertices] == [[], [0], [1], [2], [3], [4]]
    assert {v.scope for v in picture.vertices[1:]} == {("Sequential",)}
    assert labels(closed(whole(deep(2)), 1)) == ["input", "Sequential"]
    inside = [
        "affine",
        "first · Linear",
        "tanh",
        "second · Linear",
        "add",
    ]  # of a layer that is directly in the network, and of a block
    found = [v.label.rsplit(" ", 1)[0] for v in closed(whole(deep(2)), 3).vertices if not v.is_leaf]
    assert found == [*inside, *inside, "tanh"]
    assert labels(closed(whole(deep(2)), 4)) == labels(whole(deep(2)))


def test_outputs_of_a_closed_scope():
    with mg.scope("net"):
        first, second = halves(mg.tanh(leaf(4)))
    picture = check(closed(picture_of(mg.stack([first, first, second]), {"left": first}), 1))
    net, stack = picture.vertices[1:]
    assert [edge.slot for edge in stack.inputs] == [0, 0, 1]
    assert net.names == ((0, "left"),)


def test_large_pictures_are_closed_by_default():
    assert readable_depth(whole(deep(6))) is None
    large = whole(deep(15))
    assert readable_depth(large) == 2
    flat = leaf(2)
    with mg.scope("net"):
        for i in range(99):
            flat = mg.tanh(flat) if i % 2 else flat * 2.0
    assert readable_depth(picture_of(flat)) is None, "one box would say nothing"


class Block(nn.Module):
    """A residual block, whose skip connection has a layer if the width changes."""

    def __init__(self, before, after):
        self.first, self.second = nn.Linear(before, after, rng=0), nn.Linear(after, after, rng=0)
        self.skip = nn.Linear(before, after, rng=0) if before != after else None

    def forward(self, x):
        y = self.second(mg.relu(self.first(x)))
        return mg.relu(y + (self.skip(x) if self.skip else x))


def test_skip_connections_stay_visible():
    widths = [3 + i // 2 for i in range(19)]
    net = nn.Sequential(*[Block(a, b) for a, b in pairwise(widths)])
    picture = drawn_picture(net(leaf(2, 3)), unroll="fold", max_nodes=1000, depth="auto")
    check(picture)
    sums = [vertex for vertex in picture.vertices if vertex.label == "add"]
    assert len(sums) == 18
    for vertex, (a, b) in zip(sums, pairwise(widths), strict=True):
        main, skip = (picture.vertices[edge.source] for edge in vertex.inputs)
        assert (main.kind, main.label, main.stands_for) == ("module", "first … second", 3)
        assert skip.label in (("affine",) if a != b else ("relu", "input"))


def test_sums_of_equal_paths_are_no_skip_connections():
    class Gates(nn.Module):
        def __init__(self, width):
            self.x, self.h = nn.Linear(width, width, rng=0), nn.Linear(width, width, rng=1)

        def forward(self, x):
            return mg.tanh(self.x(x) + self.h(x)) * x

    net = nn.Sequential(*[layer for k in range(16) for layer in (nn.Linear(3 + k, 4 + k, rng=0), Gates(4 + k))])
    picture = drawn_picture(net(leaf(2, 3)), unroll="fold", max_nodes=1000, depth="auto")
    assert "add" not in labels(picture)


def test_equal_modules_in_a_row_are_one_box():
    net = nn.Sequential(*[nn.Sequential(*[nn.Linear(4, 4, rng=0), nn.Tanh()] * 3, nn.Softmax()) for _ in range(12)])
    picture = check(drawn_picture(net(leaf(2, 4)), unroll="fold", max_nodes=1000, depth=2))
    (box,) = [vertex for vertex in picture.vertices if vertex.kind == "module"]
    assert (box.label, box.stands_for, len(box.feedback)) == ("0 … 11 · Sequential", 12 * 7, 0)


def test_colours_open_a_picture_and_a_depth_closes_it():
    y = recorded(lambda: deep(15).sum())
    for options in ({"gradients": True}, {"values": "norm"}, {"unroll": "steps"}, {"depth": None}):
        assert mg.render.to_dot(y, **options).count("tanh") == 16
    assert mg.render.to_dot(y, gradients=True, depth=2).count(" operations") == 15


class Autoencoder(nn.Module):
    def __init__(self):
        self.encoder = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Tanh())
        self.decoder = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh())

    def forward(self, x):
        return self.decoder(self.encoder(x))


def test_single_modules_are_opened_and_closed():
    model = Autoencoder()
    y = model(leaf(2, 4))

    def drawn(**options):
        picture = check(drawn_picture(y, unroll="fold", max_nodes=99, **options))
        return [vertex.label for vertex in picture.vertices if not vertex.is_leaf]

    decoder = "decoder · Sequential"
    for one in (model.encoder, "encoder"):
        assert drawn(expand=one) == drawn(expand=[one], depth=2) == ["affine", "tanh", decoder]
        assert drawn(collapse=[one]) == ["encoder · Sequential", "affine", "tanh"]
    assert drawn(expand={model.encoder}, collapse=["0"]) == ["0 · Linear 4→3", "tanh", decoder]
    for option in ("expand", "collapse"):
        with pytest.raises(ValueError, match=rf"{option}: 'head' is not a frame .* Autoencoder, decoder, encoder"):
            mg.render.to_dot(y, **{option: "head"})
        with pytest.raises(ValueError, match=rf"{option}: Linear is not a frame"):
            mg.render.to_dot(y, **{option: [nn.Linear(2, 2)]})
        with pytest.raises(TypeError, match=rf"{option} must be .*modules or names of frames, not 3"):
            mg.render.to_dot(y, **{option: [3]})


def test_expand_reaches_modules_of_any_depth():
    class Block(mg.nn.Module):
        def __init__(self):
            self.layers = mg.nn.Sequential(*[mg.nn.Sequential(mg.nn.Linear(4, 4), mg.nn.Tanh()) for _ in range(3)])

        def forward(self, x):
            return self.layers(x)

    net = mg.nn.Sequential(Block(), mg.nn.Linear(4, 2))
    y = net(leaf(2, 4))
    for part in (net[0].layers[1][0], net[0].layers[2]):  # whose frames have the titles of others
        dot = mg.render.to_dot(y, expand={part})
        assert dot.count('"affine"') == 1
