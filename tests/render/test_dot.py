"""DOT text: every name comes back as it was written, steps stand in a row, and options do what they say."""

from __future__ import annotations

import re
import time
import unicodedata
import xml.etree.ElementTree
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.render.dot import quoted
from tests.render.graphs import attention, captioner, graphs, halves, laid_out, leaf, loop, lstm, mlp, place, rnn, texts
from tests.render.pictures import picture_of

SVG = "{http://www.w3.org/2000/svg}"
MEAN = [
    '"', "\\", "\n", "\\n", "\\N", "\\l", "&lt;", "&amp;", "&#65;", "<b>x</b>", "<", ">", "{a|b}", "//", "/* */", "#",
    ";", "]", "%s", "\x00", "\x1b", "\r", "\x85", "\ud800", "\ufffe", "\u2028", "\u202e", "\ufeff", "é", "☃", "😀", " ",
]  # fmt: skip
words = st.lists(st.one_of(st.sampled_from(MEAN), st.text(max_size=4)), max_size=5).map("".join)


def as_seen(text):
    """The lines of a text that a drawing should show: what cannot be drawn is replaced."""
    broken = {"Cc", "Cs"}
    lines = [
        "".join("�" if unicodedata.category(c) in broken or ord(c) % 65536 >= 65534 else c for c in line)
        for line in text.split("\n")
    ]
    return without_blanks(lines)


def without_blanks(lines):
    """Lines that show something; SVG tells blanks of different kinds not apart, and some keep edges off a name."""
    return [text for line in lines if (text := line.replace("\N{NO-BREAK SPACE}", " ").rstrip(" "))]


def drawn_texts(dot):
    """The lines on each node, cluster and the whole ('') of a drawing as SVG."""
    graph = xml.etree.ElementTree.fromstring(laid_out(dot, "svg")).find(f"{SVG}g")
    things = {group.find(f"{SVG}title").text: group for group in graph.iterfind(f"{SVG}g")} | {"": graph}
    return {
        name: without_blanks(["".join(text.itertext()) for text in thing.iterfind(f"{'.//' if name else ''}{SVG}text")])
        for name, thing in things.items()
    }


@given(words, words, words, words, words, words)
def test_names_come_back_as_they_were_written(outer, inner, parameter, constant, output, title):
    assume(len({parameter, constant, output}) == 3)
    w, x = leaf(2), leaf(2)
    w.node.name = parameter
    with mg.scope(outer), mg.scope(inner):
        y = mg.tanh(x * w)
    things = drawn_texts(mg.render.to_dot(y, names={constant: x, output: y}, title=title))
    assert things["cluster_1"] == as_seen(outer)
    assert things["cluster_2"] == as_seen(inner)
    assert things[""] == as_seen(title)
    assert things["o0"] == [*as_seen(output or "output"), "2"]
    if parameter:
        boxes = [lines for name, lines in things.items() if name[:1] in ("n", "p")]
        assert as_seen(parameter) in boxes
        assert [*as_seen(constant or "input"), "2"] in boxes
        assert things["legend"] == ["parameters", *as_seen(f"{parameter}  2")]


def test_quoted_by_hand():
    assert quoted('a "b"\\\n') == '"a \\"b\\"\\\\\\n"'
    assert quoted("&lt; & &") == '"&amp;lt; & &"'
    assert quoted("\x07\ud800") == '"��"'
    assert len(quoted("x" * 1000)) == 202  # nobody reads more


@given(graphs(), st.sampled_from(["steps", "fold", "primitive"]), st.sampled_from(["TB", "LR", "BT", "RL"]))
def test_a_layout_program_accepts_every_graph(outputs, unroll, direction):
    dot = mg.render.to_dot(outputs, unroll=unroll, direction=direction, expand={"lstm_step"})
    drawn = laid_out(dot)
    nodes = {thing["name"] for thing in drawn["objects"] if "pos" in thing}
    declared = set(re.findall(r"^ *(\w+) \[label=", dot, re.MULTILINE))
    assert nodes == declared - {"node", "edge"}, "an edge made a node of its own"


def steps_of(drawn):
    """The place and the name of each box of a step."""
    boxes = [(thing, texts(thing)[0]) for thing in drawn["objects"] if texts(thing)]
    return [(place(thing), label) for thing, label in boxes if label.startswith("step ")]


def test_loops_of_clusters_do_not_crash_the_layout():
    x, W, V, b, h, c = mg.tanh(leaf(2, 30, 3)), leaf(3, 16), leaf(4, 16), leaf(16), leaf(2, 4), leaf(2, 4)
    states = []
    for t in range(30):
        with mg.scope(f"step {t}"):
            h, c = mg.lstm_step(x[:, t], h, c, W, V, b)
            states.append(h)
    drawn = laid_out(mg.render.to_dot(mg.stack(states, axis=1), unroll="steps"))
    assert sum("lstm_step" in texts(thing) for thing in drawn["objects"]) == 30


def test_a_leaf_that_many_operations_use_is_a_stub_beside_each():
    dot = mg.render.to_dot(loop(200), unroll="steps")
    assert dot.count('label="input2" shape=box style=filled') == 200
    assert "inputs\\linput2  3×3\\l" in dot
    assert sum("input2" in texts(thing) for thing in laid_out(dot)["objects"]) == 200
    few = mg.render.to_dot(loop(2), unroll="steps")
    assert few.count("input2") == 1
    begin = time.perf_counter()
    laid_out(mg.render.to_dot(attention(8, 16), unroll="steps"))
    assert time.perf_counter() - begin < 10  # 0.1 s; with edges from each weight to its eight uses it took minutes


def test_a_parameter_outside_of_a_module_is_a_stub():
    w, x = nn.Parameter([1.0, 2.0]), leaf(2)
    dot = mg.render.to_dot(mg.tanh(x * w))
    assert re.findall(r'p1 \[label="(\w+)"', dot.replace("p2", "p1")) == ["parameter"]
    assert "parameters\\lparameter  2\\l" in dot
    assert [line.split() for line in mg.render.to_text(x * w).splitlines()[:2]] == [
        ["input", "input", "2"], ["parameter", "parameter", "2"],
    ]  # fmt: skip
    layer = nn.Linear(2, 2)
    w.requires_grad = False
    w.requires_grad = True
    assert [v.kind for v in picture_of(layer(x) * w).vertices if v.is_leaf].count("parameter") == 3


@pytest.mark.parametrize("make", [rnn, lstm, captioner, lambda steps: captioner("rnn", steps)])
@pytest.mark.parametrize("steps", [*range(2, 13), 16, 20])
def test_steps_stand_in_a_row_from_left_to_right(make, steps):
    drawn = laid_out(mg.render.to_dot(make(steps=steps), unroll="steps"))
    row = steps_of(drawn)
    assert [label for _, label in sorted(row)] == [f"step {t}" for t in range(steps)]
    assert len({y for (_, y), _ in row}) == 1


def test_two_layers_of_steps_are_two_rows():
    first, second = nn.LSTM(3, 4, rng=0), nn.LSTM(4, 4, rng=0)
    loss = second(first(np.ones((2, 6, 3), np.float32))[0])[0].sum()
    drawn = laid_out(mg.render.to_dot(loss, unroll="steps"))
    rows: dict[float, list] = {}
    for (x, y), label in steps_of(drawn):
        rows.setdefault(y, []).append((x, label))
    assert [[label for _, label in sorted(row)] for row in rows.values()] == [[f"step {t}" for t in range(6)]] * 2


def test_the_middle_steps_stand_in_the_row_as_one_box():
    drawn = laid_out(mg.render.to_dot(captioner()))
    row = {texts(thing)[0]: place(thing) for thing in drawn["objects"] if any("step" in line for line in texts(thing))}
    assert sorted(row, key=row.get) == ["step 0", "14 more steps", "step 15"]
    assert len({y for _, y in row.values()}) == 1


def test_parameters_are_stubs_and_once_in_the_legend():
    dot = mg.render.to_dot(mlp())
    assert (dot.count("Sequential.0.weight"), dot.count('label="weight  bias"')) == (1, 2)  # short in its frame
    assert 'legend [label="parameters\\lSequential.0.weight  3×4\\l' in dot
    assert "legend" not in mg.render.to_dot(leaf(2) * 2)


def test_a_weight_of_many_steps_is_drawn_beside_each():
    drawn = laid_out(mg.render.to_dot(captioner(steps=3), unroll="steps"))
    assert sum("Wx  Wh  b" in texts(thing) for thing in drawn["objects"]) == 3


def test_outputs_of_every_kind_are_marked():
    x, w = leaf(4), leaf(2)
    w.node.name = "weight"
    first, second = halves(x)
    drawn = laid_out(mg.render.to_dot([first, second, x, w], names={"x": x}))
    outputs = [texts(thing) for thing in drawn["objects"] if thing["name"].startswith("o")]
    assert outputs == [["output 0", "2"], ["output 1", "2"], ["output 2", "4"], ["output 3", "2"]]


@pytest.mark.parametrize(("values", "label"), [("shape", " 2"), ("norm", " 5"), ("none", None)])
def test_what_stands_on_the_edges(values, label):
    with mg.record():
        y = mg.tanh(mg.tensor([3.0, 4.0], requires_grad=True) * 1)
    edges = [line for line in mg.render.to_dot(y, values=values).splitlines() if "n1 -> n2" in line]
    assert edges == ["  n1 -> n2" + (f' [label="{label}"]' if label else "")]


def test_which_of_several_outputs_an_edge_carries():
    first, second = halves(leaf(4))
    assert '"shape"' not in (dot := mg.render.to_dot(first * second))
    assert {'label=" [0] 2"', 'label=" [1] 2"'} <= set(re.findall(r'label="[^"]*"', dot))
    h, c = mg.lstm(leaf(1, 2, 3), leaf(1, 4), leaf(3, 16), leaf(4, 16), leaf(16))
    dot = mg.render.to_dot(h * c, unroll="primitive")
    assert {'label=" h 1×2×4"', 'label=" c 1×2×4"'} <= set(re.findall(r'label="[^"]*"', dot))


def test_scopes_are_clusters_and_steps_of_a_loop_too():
    drawn = laid_out(mg.render.to_dot(loop(3)))
    assert [name for name, _ in clusters_of(drawn)] == ["step 0", "step 1", "step 2"]


def lstm_loop(steps):
    """An LSTM of simple operations that its author wrote, with a scope for each step."""
    x, h, c, weights, more, bias = leaf(2, steps, 3), leaf(2, 4), leaf(2, 4), leaf(3, 16), leaf(4, 16), leaf(16)
    for t in range(steps):
        with mg.scope(f"step {t}"):
            gates = x[:, t] @ weights + h @ more + bias
            i, f, o = (mg.sigmoid(gates[:, k : k + 4]) for k in (0, 4, 8))
            c = f * c + i * mg.tanh(gates[:, 12:])
            h = o * mg.tanh(c)
    return h.sum()


def clusters_of(drawn):
    """The name of each cluster and the places of all that is in it."""
    return [
        (texts(thing)[0].rstrip("\N{NO-BREAK SPACE}"), [place(drawn["objects"][i]) for i in thing["nodes"]])
        for thing in drawn["objects"]
        if "nodes" in thing and texts(thing)
    ]


@pytest.mark.parametrize("unroll", ["steps", "fold"])
@pytest.mark.parametrize(("direction", "axis", "sign"), [("TB", 1, -1), ("BT", 1, 1), ("LR", 0, 1), ("RL", 0, -1)])
@pytest.mark.parametrize("make", [lambda: lstm(6), lambda: rnn(7), lambda: loop(8), lambda: lstm_loop(5)])
def test_each_step_of_clusters_comes_after_the_one_before(make, direction, axis, sign, unroll):
    options = {"unroll": unroll, "expand": {"lstm_step", "rnn_step"}, "direction": direction}
    drawn = laid_out(mg.render.to_dot(make(), **options))
    steps = {name: [sign * p[axis] for p in places] for name, places in clusters_of(drawn) if name[:5] == "step "}
    assert len(steps) >= 2
    for (_, before), (_, after) in pairwise(sorted(steps.items())):
        assert max(before) < min(after)
    if elided := [sign * place(thing)[axis] for thing in drawn["objects"] if " more " in "".join(texts(thing))]:
        *_, (_, before), (_, after) = sorted(steps.items())
        assert [max(before) < at < min(after) for at in elided] == [True]


def test_many_steps_of_clusters_are_drawn_soon():
    for tensor, unroll in [(loop(60), "steps"), (lstm_loop(60), "fold"), (lstm_loop(60), "steps")]:
        dot = mg.render.to_dot(tensor, unroll=unroll)
        begin = time.perf_counter()
        laid_out(dot)
        assert time.perf_counter() - begin < 2


def test_two_modules_of_one_name_are_two_frames():
    first, second = nn.Linear(3, 4, rng=0), nn.Linear(4, 2, rng=0)
    y = second(mg.tanh(first(np.ones((5, 3), np.float32))))
    dot = mg.render.to_dot(y)
    assert [name for name, _ in clusters_of(laid_out(dot))] == ["Linear 1", "Linear 2"]
    outside = [line for line in dot.splitlines() if line.startswith("  n")]
    assert sum('label="tanh"' in line for line in outside) == 1


def test_an_operation_that_many_others_use_is_a_stub_beside_each():
    dot = mg.render.to_dot(attention(8, 16), unroll="steps")
    assert "\\n→ v1" in dot
    assert "operations\\lv1  lstm_step  2×4\\l" in dot
    drawn = laid_out(dot)  # without stubs it took minutes
    assert sum("v1" in line for thing in drawn["objects"] for line in texts(thing)) >= 17
    x = mg.exp(leaf(2))
    assert "→" not in mg.render.to_dot(sum(x * float(k) for k in range(8)))


def test_what_the_steps_of_a_row_take_parts_of_is_no_stub():
    assert "→" not in mg.render.to_dot(captioner(), unroll="steps")


def test_hundreds_of_scopes_within_each_other():
    with mg.no_grad():
        pass
    x, stack = leaf(2), []
    for depth in range(300):
        stack.append(mg.scope(f"level {depth}"))
        stack[-1].__enter__()
    y = mg.tanh(x)
    for context in reversed(stack):
        context.__exit__(None, None, None)
    assert mg.render.to_dot(y).count("subgraph") == 300
    assert mg.render.to_text(y).count("level") == 300


def test_the_text_does_not_depend_on_what_was_drawn_before():
    first = mg.render.to_dot(shared := captioner())
    mlp()
    assert mg.render.to_dot(shared) == first == mg.render.to_dot(captioner())
