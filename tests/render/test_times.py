"""Times: how long each operation of a drawing took, as text and as a colour."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad.recording import note_of
from minigrad.render.heat import NOT_SHOWN, seconds_of, time_heat, time_words
from minigrad.units import time_text
from tests.render.graphs import captioner, laid_out, loop, mlp, recorded, texts
from tests.render.pictures import arranged


def profiled(make, *arguments, **options):
    """A tensor after a forward and a backward pass that were profiled."""
    with mg.profile() as p:
        loss = make(*arguments, **options)
        loss.backward()
    return loss, p


def fills(dot):
    """The colour of each vertex that is an operation or an elision, by its number."""
    found = re.findall(r"^ *n(\d+) \[.*fillcolor=\"(#\w+)\"[^\]]*\]$", dot, re.M)
    return {int(number): colour for number, colour in found}


def test_boxes_say_their_times_and_have_their_colours():
    loss, p = profiled(mlp)
    picture = arranged(loss, "steps")
    scale = time_heat(picture)
    times = {e.begin: e.time for e in p.events}
    dot = mg.render.to_dot(loss, times=True)
    filled = fills(dot)
    shown = 0
    for number, vertex in enumerate(picture.vertices):
        if vertex.kind != "operation":
            assert seconds_of(vertex) is None
            assert time_words(vertex) == ""
            continue
        note = note_of(vertex.node)
        assert {note.forward_time, note.backward_time} <= set(times.values())
        assert seconds_of(vertex) == pytest.approx((note.forward_time + note.backward_time) / 1e9)
        assert f'\\n{time_text(note.forward_time)} + {time_text(note.backward_time)}"' in dot
        assert filled[number] == scale.colour(seconds_of(vertex))
        shown += 1
    assert sum(seconds_of(v) or 0 for v in picture.vertices) == pytest.approx(sum(times.values()) / 1e9)
    assert shown == 5
    assert "#7f0000" in filled.values()


def test_the_scale_goes_down_to_a_hundredth_or_is_given():
    loss, _ = profiled(mlp)
    picture = arranged(loss, "steps")
    longest = max(filter(None, map(seconds_of, picture.vertices)))
    scale = time_heat(picture)
    assert (scale.low, scale.high) == (longest / 100, longest)
    given = time_heat(picture, (1e-6, 1e-3))
    assert (given.low, given.high) == (1e-6, 1e-3)
    drawn = laid_out(mg.render.to_dot(loss, times=(1e-6, 1e-2)))
    legend = next(lines for thing in drawn["objects"] if "time, forward + backward" in "".join(lines := texts(thing)))
    assert legend[1:4] == ["1 µs", "100 µs", "10 ms"]


def test_a_forward_alone():
    with mg.profile():
        loss = mlp()
    picture = arranged(loss, "steps")
    words = [time_words(vertex) for vertex in picture.vertices if vertex.kind == "operation"]
    assert all(words)
    assert not any("+" in said for said in words)


def test_steps_have_the_time_of_all_and_what_gathers_them_none():
    loss, p = profiled(captioner)
    picture = arranged(loss, "fold")
    steps = [v for v in picture.vertices if v.step is not None and v.kind == "operation"]
    whole = sum(e.time for e in p.events if e.primitive == "lstm") / 1e9
    assert steps
    assert [seconds_of(v) for v in steps] == [pytest.approx(whole)] * len(steps)
    assert all(time_words(v).startswith("all steps ") for v in steps)
    (stack,) = (v for v in picture.vertices if v.gathers is not None)
    assert seconds_of(stack) is None
    dot = mg.render.to_dot(loss, times=True)
    stacked = picture.vertices.index(stack)
    assert fills(dot)[stacked] == "#ffffff"


def test_what_is_left_out_is_grey():
    loss, _ = profiled(loop, 20)
    picture = arranged(loss, "fold")
    dot = mg.render.to_dot(loss, times=True)
    elided = [number for number, v in enumerate(picture.vertices) if v.kind == "elision"]
    assert elided
    assert {fills(dot)[number] for number in elided} == {NOT_SHOWN}
    assert "grey: not shown" in dot


def test_the_last_profile_counts():
    x = mg.tensor(np.ones(3), requires_grad=True)
    with mg.profile():
        y = mg.tanh(x).sum()
        y.backward(retain_graph=True)
    with mg.profile() as p:
        y.backward()
    (vertex,) = (v for v in arranged(y, "steps").vertices if v.label == "tanh")
    note = note_of(vertex.node)
    assert note.backward_time == p.events[-1].time


@pytest.mark.parametrize("ends", [(0.0, 1.0), (2.0, 1.0), (1.0, math.inf), "log", 3, (1.0,)])
def test_ends_that_are_no_scale(ends):
    with pytest.raises(ValueError, match=r"times must be .* 0 < low <= high"):
        mg.render.to_dot(profiled(mlp)[0], times=ends)


def test_nothing_was_profiled():
    with pytest.raises(ValueError, match=r"with mg.profile\(\)"):
        mg.render.to_dot(mlp(), times=True)
    with pytest.raises(ValueError, match=r"with mg.profile\(\)"):
        mg.render.to_dot(recorded(mlp), times=True)


def test_one_colour_for_each_box():
    with mg.record():
        loss, _ = profiled(mlp)
    mg.render.to_dot(loss, gradients=True)
    mg.render.to_dot(loss, times=True)
    with pytest.raises(ValueError, match="not for both"):
        mg.render.to_dot(loss, gradients=True, times=True)


def test_drawings_that_show_no_times_are_as_ever():
    plain = mg.render.to_dot(mlp())
    loss, _ = profiled(mlp)
    assert mg.render.to_dot(loss) == mg.render.to_dot(loss, times=False) == mg.render.to_dot(loss, times=None) == plain
    assert mg.render.to_text(loss) == mg.render.to_text(mlp())
