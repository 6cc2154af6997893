"""Heat: colours show the norm of the gradient at each vertex and edge."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.render.heat import (
    _GRADIENTS,
    _TIMES,
    Heat,
    gradient_colour,
    gradient_heat,
    gradient_norm,
    was_recorded,
)
from minigrad.render.page import content_of
from tests.render.colours import contrast, luminance, rgb
from tests.render.graphs import captioner, laid_out, leaf, lstm, recorded, texts
from tests.render.pictures import arranged, picture_of, whole

GRADIENTS = Heat(_GRADIENTS, (1e-8, 1.0, 1e4))
TIMES = Heat(_TIMES, (1e-6, 1e-2))


def test_vanishing_gradients_are_blue_and_exploding_ones_red():
    assert gradient_colour(0.0) == GRADIENTS.colour(1.0) == "#f7f7f7"
    below, above = [[luminance(gradient_colour(sign * k / 10)) for k in range(1, 41)] for sign in (-1, 1)]
    assert [below, above] == [sorted(below, reverse=True), sorted(above, reverse=True)]
    for log in np.linspace(0.1, 4, 40):
        (r, _, b), (red, _, blue) = rgb(gradient_colour(-2 * log)), rgb(gradient_colour(log))
        assert r < b
        assert red > blue
    assert (gradient_colour(-math.inf), gradient_colour(9.0)) == (GRADIENTS.colour(1e-8), GRADIENTS.colour(1e4))


def test_harmless_gradients_stay_pale():
    for norm in np.geomspace(0.5, 2, 20):
        assert np.abs(np.subtract(rgb(GRADIENTS.colour(norm)), 247)).max() < 40, norm


def test_times_run_from_pale_to_dark():
    shades = [luminance(TIMES.colour(time)) for time in np.geomspace(1e-6, 1e-2, 50)]
    assert shades == sorted(shades, reverse=True)
    assert Heat(_TIMES, (3.0, 3.0)).colour(3.0) == TIMES.colour(1.0)


@pytest.mark.parametrize("scale", [GRADIENTS, TIMES])
def test_text_has_enough_contrast_on_every_colour(scale):
    for number in [None, math.nan, *np.geomspace(scale.marks[0], scale.marks[-1], 500)]:
        assert contrast(scale.colour(number), scale.text_colour(number)) >= 4.5


def test_nothing_and_nan_differ_from_every_gradient():
    colours = {GRADIENTS.colour(norm) for norm in np.geomspace(1e-9, 1e5, 500)}
    assert GRADIENTS.colour(0.0) == GRADIENTS.colour(None)
    assert GRADIENTS.colour(math.nan) == GRADIENTS.colour(math.inf)
    assert not {GRADIENTS.colour(None), GRADIENTS.colour(math.nan)} & colours


def test_ticks_are_evenly_spaced_on_both_sides_of_1():
    np.testing.assert_allclose(GRADIENTS.ticks(5), [1e-8, 1e-4, 1, 1e2, 1e4])
    np.testing.assert_allclose(TIMES.ticks(5), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2])


def test_a_box_has_the_colour_of_its_largest_gradient():
    loss = recorded(lstm)
    picture, dot = arranged(loss, "steps"), mg.render.to_dot(loss, unroll="steps", gradients=True)
    heat = gradient_heat(picture)
    assert heat == GRADIENTS
    assert gradient_heat(picture, (1e-3, 10)) == Heat(_GRADIENTS, (1e-3, 1.0, 10.0))
    for number, vertex in enumerate(picture.vertices):
        if vertex.step is not None:  # with two outputs
            norm = max(gradient_norm(vertex, slot) for slot in (0, 1))
            assert re.search(rf' n{number} \[.*fillcolor="{heat.colour(norm)}"', dot)


def test_pictures_of_different_networks_have_the_same_scale():
    bars = [re.search(r"scale \[.*", mg.render.to_dot(recorded(make), gradients=True))[0] for make in (lstm, captioner)]
    assert bars[1].startswith(bars[0].split("</table>")[0])  # only the captioner has folded steps


def test_errors_without_a_recording():
    with mg.record():
        forward_alone = captioner()
    for loss, options, message in (
        (captioner(), {"values": "norm"}, "needs recorded values"),
        (captioner(), {"gradients": True}, r"with mg.record\(\)"),
        (forward_alone, {"gradients": True}, "no gradient was recorded"),
        (recorded(captioner), {"gradients": (1e-6, 0.5)}, "low < 1 < high"),
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
    assert re.search(rf'n\d \[label="x.*fillcolor="{heat.colour(2**0.5)}"', dot)
    assert re.search(rf'p\d \[label="w  \[2\]  gradient 5.0e\+00".*fillcolor="{heat.colour(5.0)}"', dot)
    assert re.search(rf'p\d -> n\d \[color="#\w+:{heat.colour(5.0)}:', dot)
    assert re.search(rf'o0 \[.*fillcolor="{heat.colour(2**0.5)}"', dot)  # not in the pink of outputs


def test_what_has_no_gradient_is_dotted():
    x = leaf(2)
    with mg.record():
        y = (mg.tanh(x) * np.zeros(2, np.float32)).sum()
        y.backward()
    dot = mg.render.to_dot(y, gradients=True)
    assert re.search(r'n2 \[label="tanh".*dotted', dot)
    assert re.search(r"n2 -> n3 \[.*dotted", dot)
    assert not re.search(r'n4 \[label="sum".*dotted', dot)


def strip_of(dot, operation):
    """Return the colours of the cells below a folded operation, and the numbers at both ends."""
    (line,) = (line for line in dot.splitlines() if f">{operation}<" in line)
    return re.findall(r'<td bgcolor="(#\w+)"', line), re.search(r">(\S+) … (\S+)</td></tr></table>", line).groups()


def test_a_folded_loop_shows_the_gradient_of_each_step():
    loss = recorded(captioner)
    dot = mg.render.to_dot(loss, gradients=True)
    steps = [v for v in whole(loss, "steps").vertices if v.label == "lstm_step"]
    norms = [max(gradient_norm(step, slot) or 0 for slot in range(2)) for step in steps]
    colours, ends = strip_of(dot, "lstm_step")
    assert colours == [GRADIENTS.colour(norm) for norm in norms]
    assert ends == (f"{norms[0]:.1e}", f"{norms[-1]:.1e}")
    assert "not shown" not in dot
    drawn = mg.render.to_dot(loss, gradients=True, unroll="steps", max_nodes=5)
    assert "not shown" in drawn
    assert "strip: " not in mg.render.to_dot(loss, gradients=True, unroll="steps")


def test_a_vanishing_gradient_fades_in_a_stack_of_layers():
    net = nn.Sequential(*[m for k in range(13) for m in (nn.Linear(8, 8, rng=k), nn.Sigmoid())], nn.Linear(8, 1, rng=0))
    loss = recorded(lambda: net(np.ones((4, 8), np.float32)).sum())
    colours, (first, last) = strip_of(mg.render.to_dot(loss, gradients=True), "sigmoid")
    assert len(colours) == 13
    assert 1e3 * float(first) < float(last)
    closed = mg.render.to_dot(loss, gradients=True, depth=1)
    low, high = map(float, re.search(r"gradient (\S+) … (\S+?)\"", closed).groups())
    assert low <= float(first) < float(last) <= high


def test_the_colour_bar():
    drawn = laid_out(mg.render.to_dot(recorded(lambda: leaf(2).sum()), gradients=(1e-5, 1e3)))
    (bar,) = [thing for thing in drawn["objects"] if thing["name"] == "scale"]
    assert {"1e-05", "1", "1000"} <= {*texts(bar)}


def births(tensor, **options):
    """Return the operations marked as the origin of a NaN or infinity, in a drawing, a listing and a page."""
    dot, text = mg.render.to_dot(tensor, **options), mg.render.to_text(tensor)
    drawn = re.findall(r'n\d+ \[label="(\w+).*?born here" .*color="#d00000"', dot)
    listed = re.findall(r"= (\w+)\(.*born here", text)
    assert len(listed) == len(drawn)
    page = [v["name"] for v in content_of(arranged(tensor, "steps"))["vertices"] if v["birth"]]
    assert sorted(page) == sorted(name.replace("step", "rnn_step") for name in drawn)
    return drawn


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("compute", "born"),
    [
        (lambda x: mg.exp(mg.log(x - 2.0)) * x, ["log"]),
        (lambda x: x * 1e30 * 1e30 - x * 1e30 * 1e30, ["multiply", "subtract", "multiply"]),  # infinities, then a NaN
        (lambda x: x * np.array([np.nan, 1], np.float32), []),  # the data had it
        (lambda x: mg.where(x > 0, x, -np.inf), []),
        (mg.exp, []),
    ],
)
def test_the_birth_of_a_nan_is_marked(compute, born):
    x = mg.tensor([1.0, 2.0], dtype="float32", requires_grad=True)
    with mg.record():
        y = compute(x)
    assert sorted(births(y)) == sorted(born)


@pytest.mark.filterwarnings("ignore")
def test_the_birth_of_a_nan_gradient_is_marked():
    x, v = leaf(2), mg.tensor([np.nan, 1.0], requires_grad=True)
    loss = recorded(lambda: mg.sqrt(mg.tanh(x * 0.0)).sum())  # infinite at sqrt, then NaN in 0 times infinity
    assert births(loss) == ["multiply", "sqrt"]
    assert births(recorded(lambda: (mg.square(v) * 2.0).sum())) == []  # the value was NaN


@pytest.mark.filterwarnings("ignore")
def test_the_step_that_bears_a_nan_is_not_folded():
    x, layer = np.ones((1, 16, 1)), nn.RNN(1, 3, rng=0, dtype="float64")
    layer.Wx.data[...], layer.Wh.data[...] = 10.0, -1.5e308
    x[:, 7] = 1e308  # the input's part overflows to infinity, that of the state to -infinity
    with mg.record():
        states, _ = layer(x)
    assert births(states) == ["step"]
    assert re.search(r'label="step 7\\nrnn_step.*NaN born here', mg.render.to_dot(states))
    assert "NaN born here" in mg.render.to_dot(states, depth=1)  # on the closed layer


def test_a_large_gradient_in_the_middle_of_a_folded_loop_is_shown():
    with mg.record():
        h = leaf(2)
        for factor in (1.0, 1.0, 1.0, 1e-6, 1e6, 1.0, 1.0, 1.0):
            h = mg.sin(h) * factor
        h.sum().backward()
    colours, _ = strip_of(mg.render.to_dot(h, gradients=True), "sin")
    assert colours[4] == GRADIENTS.colour(1e6)


def test_a_shared_parameter_has_one_colour():
    """That of its gradient, which is the sum over its uses."""
    w = mg.nn.Linear(3, 3, rng=0)
    loss = recorded(lambda: (w(np.ones((2, 3), np.float32)) ** 2).sum() + 1e-6 * (w.weight**2).sum())
    stubs = [line for line in mg.render.to_dot(loss, gradients=True).splitlines() if "weight (shared 1)" in line]
    assert len(stubs) == 2
    assert len({re.search(r'fillcolor="(#\w+)"', stub)[1] for stub in stubs}) == 1
