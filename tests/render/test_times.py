"""Times: text and colours show how long each operation took."""

from __future__ import annotations

import re

import pytest

import minigrad as mg
from minigrad.formatting import time_text
from minigrad.recording import note_of
from minigrad.render.heat import NO_NUMBER, seconds_of, time_heat, time_words
from minigrad.render.options import drawn_picture
from tests.render.graphs import captioner, loop, mlp, recorded
from tests.render.pictures import arranged


def profiled(make, *arguments, **options):
    """A tensor after a forward and a backward pass that were profiled."""
    with mg.profile() as p:
        loss = make(*arguments, **options)
        loss.backward()
    return loss, p


def fills(dot):
    """The colour of each vertex that is an operation or omitted, by its number."""
    found = re.findall(r"^ *n(\d+) \[.*fillcolor=\"(#\w+)\"[^\]]*\]$", dot, re.M)
    return {int(number): colour for number, colour in found}


def test_operations_show_their_times_and_colours():
    loss, p = profiled(mlp)
    picture = arranged(loss, "steps")
    scale = time_heat(picture)
    dot = mg.render.to_dot(loss, times=True)
    filled = fills(dot)
    operations = {i: vertex for i, vertex in enumerate(picture.vertices) if vertex.kind == "operation"}
    assert len(operations) == 5
    for number, vertex in operations.items():
        note = note_of(vertex.node)
        assert seconds_of(vertex) == pytest.approx((note.forward_time + note.backward_time) / 1e9)
        assert f'\\n{time_text(note.forward_time)} + {time_text(note.backward_time)}"' in dot
        assert filled[number] == scale.colour(seconds_of(vertex))
    assert sum(seconds_of(v) or 0 for v in picture.vertices) == pytest.approx(sum(e.time for e in p.events) / 1e9)
    longest = max(map(seconds_of, operations.values()))
    assert scale.marks == (longest / 100, longest)
    assert time_heat(picture, (1e-6, 1e-3)).marks == (1e-6, 1e-3)


def test_steps_share_the_time_of_their_sequence():
    loss, p = profiled(captioner)
    picture = arranged(loss, "fold")
    steps = [v for v in picture.vertices if v.step is not None and v.kind == "operation"]
    whole = sum(e.time for e in p.events if e.primitive == "lstm") / 1e9
    assert [seconds_of(v) for v in steps] == [pytest.approx(whole)]
    assert all(time_words(v).startswith("all steps ") for v in steps)
    (stack,) = (v for v in picture.vertices if v.gathers is not None)
    assert seconds_of(stack) is None
    dot = mg.render.to_dot(loss, times=True)
    assert fills(dot)[picture.vertices.index(stack)] == NO_NUMBER


def test_a_folded_loop_has_the_time_of_all_steps():
    loss, p = profiled(loop, 9)
    (tanh,) = [vertex for vertex in arranged(loss).vertices if vertex.label == "tanh"]
    assert seconds_of(tanh) == pytest.approx(sum(e.time for e in p.events if e.primitive == "tanh") / 1e9)
    assert time_words(tanh).startswith("all steps ")


def test_errors():
    for loss, options, message in (
        (mlp(), {}, r"with mg.profile\(\)"),
        (recorded(mlp), {}, r"with mg.profile\(\)"),
        (profiled(mlp)[0], {"gradients": True}, "cannot be combined"),
        (profiled(mlp)[0], {"times": (2.0, 1.0)}, "0 < low <= high"),
    ):
        with pytest.raises(ValueError, match=message):
            mg.render.to_dot(loss, **{"times": True, **options})


def test_a_closed_module_has_the_sums_of_its_operations():
    net = mg.nn.Sequential(mg.nn.Linear(2, 2, rng=0), mg.nn.Tanh())
    with mg.profile() as p:
        y = net(mg.tensor([[1.0, 2.0]], requires_grad=True))
        y.sum().backward(retain_graph=True)
    total = sum(event.time for event in p.events if event.primitive in ("affine", "tanh"))
    (module,) = [v for v in drawn_picture(y, unroll="fold", max_nodes=9, depth=1).vertices if v.kind == "module"]
    assert seconds_of(module) == pytest.approx(total / 1e9)
    assert "keeps 16 B" in mg.render.to_dot(y, depth=1, residuals=True)  # x and the output of tanh
