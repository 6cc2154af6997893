"""DOT text: names are escaped, steps stand in a row, and options work."""

from __future__ import annotations

import re
import time
import unicodedata
import xml.etree.ElementTree
from contextlib import ExitStack
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.render.dot import quoted
from tests.render.graphs import (
    attention,
    captioner,
    deep,
    graphs,
    halves,
    laid_out,
    leaf,
    loop,
    lstm,
    place,
    recorded,
    rnn,
    texts,
)

SVG = "{http://www.w3.org/2000/svg}"
MEAN = [
    '"', "\\", "\n", "\\n", "\\N", "\\l", "&lt;", "&amp;", "&#65;", "<b>x</b>", "<", ">", "{a|b}", "//", "/* */", "#",
    ";", "]", "%s", "\x00", "\x1b", "\r", "\x85", "\ud800", "\ufffe", "\u2028", "\u202e", "\ufeff", "é", "☃", "😀", " ",
]  # fmt: skip
words = st.lists(st.one_of(st.sampled_from(MEAN), st.text(max_size=4)), max_size=5).map("".join)


def as_seen(text):
    """The lines that a drawing should show: a replacement character stands for what SVG cannot hold."""
    drawable = lambda c: unicodedata.category(c) not in ("Cc", "Cs") and ord(c) % 65536 < 65534  # noqa: E731
    return without_blanks("".join(c if drawable(c) else "�" for c in line) for line in text.split("\n"))


def without_blanks(lines):
    """Lines that show something. SVG does not distinguish kinds of blanks, and some keep edges off a name."""
    return [text for line in lines if (text := line.replace("\N{NO-BREAK SPACE}", " ").rstrip(" "))]


def drawn_texts(dot):
    """The lines on each node, cluster and the whole ('') of a drawing as SVG."""
    graph = xml.etree.ElementTree.fromstring(laid_out(dot, "svg")).find(f"{SVG}g")
    things = {group.find(f"{SVG}title").text: group for group in graph.iterfind(f"{SVG}g")} | {"": graph}
    return {
        name: without_blanks(["".join(text.itertext()) for text in thing.iterfind(f"{'.//' if name else ''}{SVG}text")])
        for name, thing in things.items()
    }


@settings(max_examples=10)
@given(words, words, words, words, words, words)
def test_names_are_escaped(outer, inner, parameter, constant, output, title):
    assume(len({parameter, constant, output}) == 3)
    w, x = leaf(2), leaf(2)
    w.node.name = parameter
    with mg.scope(outer), mg.scope(inner):
        y = mg.tanh(x * w)
    things = drawn_texts(mg.render.to_dot(y, names={constant: x, output: y}, title=title))
    assert things["cluster_1"] == as_seen(outer)
    assert things["cluster_2"] == as_seen(inner)
    assert things[""] == as_seen(title)
    assert things["o0"] == [*as_seen(output or "output"), "[2]"]
    if parameter:
        boxes = [lines for name, lines in things.items() if name[:1] in ("n", "p")]
        assert as_seen(f"{parameter}  [2]") in boxes
        assert [*as_seen(constant or "input"), "[2]"] in boxes


def test_quoted_by_hand():
    assert quoted('a "b"\\\n') == '"a \\"b\\"\\\\\\n"'
    assert quoted("&lt; & &") == '"&amp;lt; & &"'
    assert quoted("\x07\ud800") == '"��"'
    assert len(quoted("x" * 1000)) == 202  # nobody reads more


@settings(max_examples=10)
@given(graphs(), st.sampled_from(["steps", "fold", "primitive"]), st.sampled_from(["TB", "LR", "BT", "RL"]))
def test_a_layout_program_accepts_every_graph(outputs, unroll, direction):
    dot = mg.render.to_dot(outputs, unroll=unroll, direction=direction, expand={"lstm_step"})
    drawn = laid_out(dot)
    nodes = {thing["name"] for thing in drawn["objects"] if "pos" in thing}
    declared = set(re.findall(r"^ *(\w+) \[label=", dot, re.MULTILINE))
    assert nodes == declared - {"node", "edge"}, "an edge made a node of its own"


def test_a_leaf_with_many_uses_is_a_stub_at_each():
    dot = mg.render.to_dot(loop(20), unroll="steps")
    assert dot.count('label="b: input2  [3×3]" style="filled"') == 20
    assert mg.render.to_dot(loop(2), unroll="steps").count("input2") == 1


@pytest.mark.parametrize("make", [rnn, captioner])
@pytest.mark.parametrize("steps", [2, 7, 16])
def test_steps_stand_in_a_row_from_left_to_right(make, steps):
    drawn = laid_out(mg.render.to_dot(make(steps=steps), unroll="steps"))
    row = [(place(thing), texts(thing)[0]) for thing in drawn["objects"] if "".join(texts(thing)).startswith("step ")]
    assert [label for _, label in sorted(row)] == [f"step {t}" for t in range(steps)]
    assert len({y for (_, y), _ in row}) == 1


def test_edges_name_one_of_several_outputs():
    first, second = halves(leaf(4))
    dot = mg.render.to_dot(first * second)
    assert {'label=" out 0 [2]"', 'label=" out 1 [2]"'} <= set(re.findall(r'label="[^"]*"', dot))
    h, c = mg.lstm(leaf(1, 2, 3), leaf(1, 4), leaf(3, 16), leaf(4, 16), leaf(16))
    dot = mg.render.to_dot(h * c, unroll="primitive")
    assert {'label=" h [1×2×4]"', 'label=" c [1×2×4]"'} <= set(re.findall(r'label="[^"]*"', dot))


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


@pytest.mark.parametrize(
    ("make", "unroll", "direction", "axis", "sign"),
    [
        (lambda: lstm(6), "steps", "TB", 1, -1),
        (lambda: lstm(6), "steps", "BT", 1, 1),
        (lambda: loop(8), "steps", "LR", 0, 1),
        (lambda: lstm_loop(5), "steps", "RL", 0, -1),
    ],
)
def test_steps_are_clusters_in_order(make, direction, axis, sign, unroll):
    options = {"unroll": unroll, "expand": {"lstm_step", "rnn_step"}, "direction": direction}
    drawn = laid_out(mg.render.to_dot(make(), **options))
    steps = {name: [sign * p[axis] for p in places] for name, places in clusters_of(drawn) if name[:5] == "step "}
    assert len(steps) >= 2
    for (_, before), (_, after) in pairwise(sorted(steps.items())):
        assert max(before) < min(after)


@pytest.mark.parametrize(("make", "unroll"), [(lambda: lstm_loop(60), "fold"), (lambda: attention(8, 16), "steps")])
def test_layouts_are_quick(make, unroll):
    """With edges from each weight or state to all its uses, the layout took minutes."""
    dot = mg.render.to_dot(make(), unroll=unroll)
    begin = time.perf_counter()
    laid_out(dot)
    assert time.perf_counter() - begin < 10


def test_an_operation_with_many_uses_is_a_stub_at_each():
    dot = mg.render.to_dot(attention(8, 16), unroll="steps")
    assert "\\n→ result" in dot
    assert re.search(r'p\d+ \[label="result[^"]*\[2×4\]', dot)
    x = mg.exp(leaf(2))
    assert "→" not in mg.render.to_dot(sum(x * float(k) for k in range(8)))


@pytest.mark.parametrize("leaf_name", ["v1", "result", "result 1"])
def test_the_name_of_a_stub_is_that_of_no_leaf(leaf_name):
    x = leaf(1, 2)
    y = mg.exp(x)
    dot = mg.render.to_dot(sum(y * float(k) for k in range(9)), names={leaf_name: x}, unroll="primitive")
    (name,) = re.findall(r'→ ([^"]+)"', dot)
    assert name != leaf_name
    assert len(re.findall(rf'p\d+ \[label="{name}', dot)) == 9


@pytest.mark.parametrize("options", [{}, {"gradients": True}, {"gradients": True, "unroll": "steps"}])
def test_no_attribute_is_written_twice(options):
    dot = mg.render.to_dot(recorded(captioner), **options)
    for line in re.sub(r'"[^"]*"|<<.*>>', "text", dot).splitlines():
        names = re.findall(r"(\w+)=", line.partition("[")[2])
        assert len(names) == len({*names}), line


def columns(drawn, labels):
    """The horizontal places of the boxes whose first line is one of these labels."""
    boxes = [thing for thing in drawn["objects"] if "pos" in thing]
    return [place(box)[0] for box in boxes if texts(box)[:1] and texts(box)[0] in labels]


def test_the_main_path_is_one_straight_column():
    net = nn.Sequential(*[layer for k in range(4) for layer in (nn.Linear(3 + k, 4 + k, rng=k), nn.Tanh())])
    places = columns(laid_out(mg.render.to_dot(net(leaf(2, 3)))), {"affine", "tanh", "input", "output"})
    assert len(places) == 10
    assert max(places) - min(places) < 3
    places = columns(laid_out(mg.render.to_dot(deep(4))), {"affine", "tanh", "add"})
    assert len(places) == 4 * 5 + 1
    assert max(places) - min(places) < 3


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_stubs_stand_beside_their_operations(direction):
    drawn = laid_out(mg.render.to_dot(lstm(6), expand={"lstm_step"}, direction=direction))
    at = {thing["name"]: place(thing) for thing in drawn["objects"] if "pos" in thing}
    stubs = [name for name in at if name[0] in "pk"]
    assert len(stubs) == 3
    axis = 1 if direction == "TB" else 0
    assert all(at[stub][axis] == at[f"n{stub[1:]}"][axis] for stub in stubs)


def test_a_folded_loop_is_one_frame_with_dashed_feedback():
    dot = mg.render.to_dot(loop(12))
    assert re.findall(r'label="(step[^"]*?)\s*"', dot) == ["step 0 … step 11 × 12"]
    (feedback,) = [line for line in dot.splitlines() if 'style="dashed"' in line and "->" in line]
    assert "dir=back" in feedback  # from tanh to matmul: written forwards, so that it pulls no box upwards
    first, last = re.match(r" *(n\d+):e -> (n\d+):e", feedback).groups()
    labels = dict(re.findall(r'^ *(n\d+) \[label="([^"]*)"', dot, re.MULTILINE))
    assert (labels[first], labels[last]) == ("matmul", "tanh")
    assert re.search(
        r'(n\d+) -> \1 \[label=" h \[4×8\]\\n c \[4×8\]" [^]]*style="dashed"', mg.render.to_dot(captioner())
    )


def test_a_shared_weight_has_one_number_and_one_colour():
    layer, other = nn.Linear(4, 4, rng=0), nn.Linear(4, 4, rng=1)
    dot = mg.render.to_dot(layer(mg.tanh(other(mg.tanh(layer(leaf(2, 4)))))))
    stubs = re.findall(r'p\d+ \[label="([^"]*)"(.*)\]$', dot, re.MULTILINE)
    shared = ["(shared 1)", "(shared 2)"]
    assert [re.findall(r"\(shared \d\)", text) for text, _ in stubs] == [shared, [], shared]
    colours = [re.findall(r'fillcolor="(#\w+)"', style)[-1] for _, style in stubs]
    assert colours[0] == colours[2] != colours[1]


def test_more_steps_than_a_screen_shows():
    with pytest.raises(ValueError, match=r"41 steps .* limit is 40\. Pass unroll='fold'.* to_html"):
        mg.render.to_dot(captioner(steps=41), unroll="steps")
    assert "step 39" in mg.render.to_dot(captioner(steps=40), unroll="steps")


def test_a_large_tangle_is_laid_out_quickly():
    rng, values = np.random.default_rng(0), [leaf(4) for _ in range(5)]
    for kind in rng.integers(3, size=2000):
        a, b = (values[-1 - k] for k in rng.integers(min(200, len(values)), size=2))
        values.append(mg.tanh(a) if kind == 0 else mg.sin(a) if kind == 1 else mg.tanh(a + b))
    dot = mg.render.to_dot(sum(values[-10:]))
    begin = time.perf_counter()
    laid_out(dot)
    assert time.perf_counter() - begin < 15


def test_hundreds_of_nested_scopes():
    with ExitStack() as stack:
        for depth in range(300):
            stack.enter_context(mg.scope(f"level {depth}"))
        y = mg.tanh(leaf(2))
    assert mg.render.to_dot(y).count("subgraph") == 300
    assert mg.render.to_text(y).count("level") == 300
