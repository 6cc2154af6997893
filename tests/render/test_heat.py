"""Heat: colours show the norm of the gradient at each vertex and edge."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.render.heat import Heat, gradient_heat, gradient_norm, was_recorded
from minigrad.render.page import content_of
from tests.render.graphs import captioner, laid_out, leaf, lstm, recorded, texts
from tests.render.pictures import arranged, picture_of


def brightness(colour):
    return sum(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_colours_run_from_pale_to_dark():
    heat = Heat(1e-6, 1e2)
    colours = [heat.colour(10.0**k) for k in range(-6, 3)]
    assert (colours[0], colours[-1]) == ("#fee8c8", "#7f0000")
    assert [brightness(c) for c in colours] == sorted(map(brightness, colours), reverse=True)
    assert (heat.colour(1e-9), heat.colour(1e9)) == (colours[0], colours[-1])
    assert heat.colour(0.0) == heat.colour(None) == "#ffffff"
    assert heat.colour(math.nan) == heat.colour(math.inf) == "#b000b0"
    assert Heat(3.0, 3.0).colour(3.0) == "#7f0000"
    np.testing.assert_allclose(Heat(1e-4, 1e4).ticks(5), [1e-4, 1e-2, 1, 1e2, 1e4])


def test_the_scale_fits_the_picture_and_a_box_has_the_colour_of_its_largest_gradient():
    loss = recorded(lstm)
    picture, dot = arranged(loss, "steps"), mg.render.to_dot(loss, unroll="steps", gradients=True)
    norms = {i: [gradient_norm(v, k) or 0 for k in range(len(v.specs))] for i, v in enumerate(picture.vertices)}
    heat = gradient_heat(picture)
    found = [n for many in norms.values() for n in many if n]
    assert (heat.low, heat.high, heat.unusual) == (min(found), max(found), False)
    assert gradient_heat(picture, (1e-3, 1.0)) == Heat(1e-3, 1.0)
    for number in (i for i, v in enumerate(picture.vertices) if v.step is not None):  # with two outputs each
        assert re.search(rf' n{number} \[.*fillcolor="{heat.colour(max(norms[number]))}"', dot)


def test_errors_without_a_recording():
    with mg.record():
        forward_alone = captioner()
    for loss, options, message in (
        (captioner(), {"values": "norm"}, "needs recorded values"),
        (captioner(), {"gradients": True}, r"with mg.record\(\)"),
        (forward_alone, {"gradients": True}, "no gradient was recorded"),
    ):
        with pytest.raises(ValueError, match=message):
            mg.render.to_dot(loss, **options)


def test_an_unrecorded_pass_has_no_heat():
    """Although its parameters were part of a recorded pass before."""
    model, x = nn.Linear(3, 2, rng=0), np.ones((4, 3), np.float32)
    recorded(lambda: (model(x) ** 2).sum())
    loss = (model(x) ** 2).sum()
    assert not was_recorded(picture_of(loss))
    assert content_of(picture_of(loss))["heat"] is None


def test_vertices_edges_and_parameters_have_colours():
    x, w = mg.tensor([3.0, 4.0], requires_grad=True), leaf(2)
    w.node.name = "w"
    with mg.record():
        y = x * w
        y.backward(np.ones(2, np.float32))
    dot = mg.render.to_dot(y, gradients=True, names={"x": x})
    heat = gradient_heat(picture_of(y, {"x": x}))
    assert (heat.low, heat.high) == (pytest.approx(2**0.5), 5.0)
    assert re.search(rf'n\d \[label="x.*fillcolor="{heat.colour(2**0.5)}"', dot)
    assert re.search(rf'p\d \[label="w".*fillcolor="{heat.colour(5.0)}"', dot)
    assert re.search(rf'p\d -> n\d \[color="{heat.colour(5.0)}" penwidth=2.5\]', dot)
    assert "w  [2]  gradient 5.0e+00" in dot


def test_folded_operations_are_grey():
    dot = mg.render.to_dot(loss := recorded(captioner), gradients=True)
    (elision,) = (line for line in dot.splitlines() if "more steps" in line)
    assert 'fillcolor="#e4e4e4"' in elision
    assert "grey: not shown" in dot
    assert "not shown" not in mg.render.to_dot(loss, gradients=True, unroll="steps")


def test_the_colour_bar():
    drawn = laid_out(mg.render.to_dot(recorded(lambda: leaf(2).sum()), gradients=(1e-5, 1e3)))
    (bar,) = [thing for thing in drawn["objects"] if thing["name"] == "scale"]
    assert texts(bar) == [
        "norm of the gradient, on a log scale", "1.0e-05", "1.0e-01", "1.0e+03", "white or dotted: no gradient",
    ]  # fmt: skip
