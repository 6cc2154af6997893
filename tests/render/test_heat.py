"""Heat: the norm of the gradient at each vertex and edge as a colour."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.render.heat import Heat, gradient_heat, gradient_norm, was_recorded
from minigrad.render.page import content_of
from tests.render.graphs import captioner, laid_out, leaf, lstm, recorded, rnn, texts
from tests.render.pictures import arranged, picture_of


def brightness(colour):
    return sum(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_colours_run_from_pale_to_dark():
    heat = Heat(1e-6, 1e2)
    colours = [heat.colour(10.0**k) for k in range(-6, 3)]
    assert colours[0] == "#fee8c8"
    assert colours[-1] == "#7f0000"
    assert [brightness(c) for c in colours] == sorted(map(brightness, colours), reverse=True)
    assert len(set(colours)) == 9
    assert heat.colour(1e-9) == colours[0]
    assert heat.colour(1e9) == colours[-1]


def test_colours_of_what_is_no_number():
    heat = Heat(1.0, 2.0)
    assert heat.colour(0.0) == heat.colour(None) == "#ffffff"
    assert heat.colour(math.nan) == heat.colour(math.inf) == "#b000b0"
    assert Heat(3.0, 3.0).colour(3.0) == "#7f0000"


def test_letters_can_be_read_on_each_colour():
    heat = Heat(1e-3, 1e3)
    for norm in [*np.logspace(-3, 3, 50), 0.0, math.nan]:
        fill, text = heat.colour(norm), heat.text_colour(norm)
        assert abs(brightness(fill) - brightness(text)) > 300


def test_ticks_are_even_on_the_log_scale():
    np.testing.assert_allclose(Heat(1e-4, 1e4).ticks(5), [1e-4, 1e-2, 1, 1e2, 1e4])


def test_the_scale_fits_the_picture_or_is_given():
    loss = recorded(captioner)
    picture = arranged(loss, "steps")
    norms = [n for v in picture.vertices for k in range(len(v.specs)) if (n := gradient_norm(v, k))]
    heat = gradient_heat(picture)
    assert (heat.low, heat.high, heat.unusual) == (min(norms), max(norms), False)
    assert gradient_heat(picture, (1e-3, 1.0)) == Heat(1e-3, 1.0)
    assert "1.0e-03" in mg.render.to_dot(loss, gradients=(1e-3, 1.0))


@pytest.mark.parametrize(
    "ends", [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf), (math.nan, 1.0), (-1.0, 1.0), "log", 3, (1.0,), ("a", "b")]
)
def test_ends_that_are_no_scale(ends):
    with pytest.raises(ValueError, match="0 < low <= high"):
        mg.render.to_dot(recorded(captioner), gradients=ends)


def test_no_heat():
    plain = mg.render.to_dot(loss := recorded(captioner))
    assert mg.render.to_dot(loss, gradients=False) == mg.render.to_dot(loss, gradients=None) == plain


def test_nothing_recorded():
    with pytest.raises(ValueError, match="no value was recorded"):
        mg.render.to_dot(captioner(), values="norm")
    with pytest.raises(ValueError, match=r"with mg.record\(\)"):
        mg.render.to_dot(captioner(), gradients=True)
    with mg.record():
        loss = captioner()
    with pytest.raises(ValueError, match="no gradient was recorded"):
        mg.render.to_dot(loss, gradients=True)


def test_a_new_pass_that_was_not_recorded_has_no_gradient_heat_the_old_one():
    model, x = nn.Linear(3, 2, rng=0), np.ones((4, 3), np.float32)
    recorded(lambda: (model(x) ** 2).sum())
    loss = (model(x) ** 2).sum()
    with pytest.raises(ValueError, match="no gradient was recorded"):
        mg.render.to_dot(loss, gradients=True)
    assert not was_recorded(picture_of(loss))
    assert content_of(picture_of(loss))["heat"] is None
    with pytest.raises(ValueError, match="no value was recorded"):
        mg.render.to_dot(loss, values="norm")


def test_leaves_alone_have_the_gradient_heat_the_last_pass():
    x = leaf(2)
    recorded(lambda: (x * 3.0).sum())
    assert "fontcolor" in mg.render.to_dot(x, gradients=True)


def test_a_gradient_that_fades_is_seen_fading():
    def last(make, **options):
        picture = arranged(recorded(make, 20, **options), "steps")
        heat = gradient_heat(picture, (1e-12, 1e2))
        steps = [v for v in picture.vertices if v.step is not None]
        return [brightness(heat.colour(gradient_norm(v, len(v.specs) - 1))) for v in steps]

    plain, open_gate, shut_gate = last(rnn), last(lstm, forget_bias=6.0), last(lstm, forget_bias=-3.0)
    assert shut_gate[0] - shut_gate[-1] > 100
    assert abs(open_gate[0] - open_gate[-1]) < 60
    assert plain == sorted(plain, reverse=True)


def test_colours_stand_on_vertices_edges_and_parameters():
    x = mg.tensor([3.0, 4.0], requires_grad=True)
    w = leaf(2)
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
    assert "w  2  gradient 5.0e+00" in dot


def test_what_got_no_gradient_is_white_and_dotted():
    x = leaf(2)
    with mg.record():
        y = mg.tanh(x) * 0.0 + x
        y.backward(np.ones(2, np.float32))
    dot = mg.render.to_dot(y, gradients=True)
    assert re.search(r'label="tanh".* fillcolor="#ffffff" fontcolor="#000000"', dot)
    assert "style=dotted" in dot


def test_what_was_never_part_of_a_pass_has_no_colour():
    loss = recorded(captioner, steps=2)
    dot = mg.render.to_dot(loss, gradients=True, unroll="steps", expand={"lstm_step"})
    inner = [line for line in dot.splitlines() if 'label="sigmoid"' in line]
    assert len(inner) == 6
    assert not any("fontcolor" in line for line in inner)
    numbers = [line.split()[0] for line in inner]
    assert not [line for line in dot.splitlines() if line.split()[0] in numbers and "->" in line and "dotted" in line]
    assert re.search(r'label="embedding".*fontcolor', dot)


def test_what_is_not_shown_is_grey_and_the_bar_says_so():
    dot = mg.render.to_dot(loss := recorded(captioner), gradients=True)
    (elision,) = (line for line in dot.splitlines() if "more steps" in line)
    assert 'fillcolor="#e4e4e4"' in elision
    said = [line for thing in laid_out(dot)["objects"] for line in texts(thing)]
    assert {"white, dotted: none", "grey: not shown"} <= set(said)
    assert "not shown" not in mg.render.to_dot(loss, gradients=True, unroll="steps")


def test_edges_into_what_gathers_the_steps_are_bare_with_norms_too():
    dot = mg.render.to_dot(recorded(lstm), values="norm", unroll="steps")
    stacks = re.findall(r'(n\d+) \[label="stack', dot)
    assert stacks
    edges = re.findall(r"n\d+ -> (n\d+)(?: \[(.*)\])?", dot)
    assert [attributes for target, attributes in edges if target in stacks] == [""] * 5 * len(stacks)
    assert len([1 for _, attributes in edges if "label" in attributes]) >= 8  # between the steps


def test_what_is_not_a_number_is_said():
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    with mg.record(), np.errstate(all="ignore"):
        y = mg.sqrt(x).sum()
        y.backward()
    dot = mg.render.to_dot(y, gradients=True)
    assert dot.count("#b000b0") >= 3
    drawn = laid_out(dot)
    assert "NaN or infinite" in [line for thing in drawn["objects"] for line in texts(thing)]
    assert "NaN" not in mg.render.to_dot(recorded(captioner), gradients=True)


def test_the_colour_bar():
    drawn = laid_out(mg.render.to_dot(recorded(lambda: leaf(2).sum()), gradients=(1e-5, 1e3)))
    (bar,) = [thing for thing in drawn["objects"] if thing["name"] == "scale"]
    assert texts(bar) == [
        "norm of the gradient, on a log scale", "1.0e-05", "1.0e-01", "1.0e+03", "white, dotted: none",
    ]  # fmt: skip
