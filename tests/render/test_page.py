"""The data and the text of the interactive page of a graph."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from contextlib import ExitStack
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.formatting import time_text
from minigrad.primitives import PRIMITIVES
from minigrad.recording import note_of
from minigrad.render import to_html
from minigrad.render.page import SCRIPTS, as_json, content_of, filled_page
from tests.render import graphs
from tests.render.pictures import arranged, picture_of


class Elements(HTMLParser):
    """The elements of a page in order, their attributes, and the text in each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if self.tags:
            self.text[self.tags[-1]] = self.text.get(self.tags[-1], "") + data


def data_of(text: str):
    """The JSON in a page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


def described(content, vertex):
    """What the page says about the primitive of a vertex."""
    return content["primitives"][vertex["primitive"]]


def recorded(function, *arrays):
    """The sum of a function, after a forward and a backward pass that were recorded and profiled."""
    with mg.profile(), mg.record(), np.errstate(invalid="ignore"):
        y = function(*(mg.tensor(np.asarray(array, np.float32), requires_grad=True) for array in arrays)).sum()
        y.backward()
    return y


def small():
    return recorded(lambda x: mg.tanh(mg.nn.Linear(3, 2, rng=0)(x)), [[1.0, -2.0, 3.0]])


def sequence(steps=5):
    return recorded(lambda x: mg.nn.LSTM(3, 4, rng=0)(x)[0], np.linspace(-1, 1, 6 * steps).reshape(2, steps, 3))


def test_content_of_a_small_network():
    content = content_of(arranged(mg.tanh(mg.nn.Linear(3, 2, rng=0)(graphs.leaf(1, 3))).sum()), "a title")
    names = [v["name"] for v in content["vertices"]]
    assert sorted(names[:3]) == ["bias", "input", "weight"]
    assert names[3:] == ["affine", "tanh", "sum"]
    affine = content["vertices"][3]
    assert (content["title"], affine["scope"], content["heat"]) == ("a title", ["Linear · 3→2"], None)
    inputs = [("input", "x"), ("weight", "W"), ("bias", "b")]
    assert [(names[e["source"]], e["argument"]) for e in affine["inputs"]] == inputs
    assert (affine["outputs"][0]["shape"], affine["outputs"][0]["values"]) == ("[1×2]", None)
    assert described(content, affine)["text"] == mg.affine.primitive.forward.__doc__.split("\n")[0]
    assert content["outputs"] == [{"name": "output", "source": 5, "slot": 0, "shape": "scalar"}]


def test_indices_look_like_code():
    x = graphs.leaf(2, 3, 4)
    vertices = content_of(arranged([x[:, 0], x[:, -1], x[..., 1:], x.sum(axis=1, keepdims=True)]))["vertices"]
    assert [v["said"] for v in vertices[1:]] == ["[:, 0]", "[:, -1]", "[…, 1:]", "axis=1, keepdims=True"]


def test_primitives_of_one_name_stay_apart(monkeypatch):
    monkeypatch.setattr("minigrad.primitives.PRIMITIVES", dict(PRIMITIVES))
    own = []
    for _ in range(2):  # as in a cell of a notebook that ran twice

        @mg.primitive
        def tanh(x):
            return 2 * x, ()

        tanh.primitive.forward.__doc__ = f"Version {len(own)}."
        own.append(tanh)
    content = content_of(arranged(own[0](mg.tanh(own[1](graphs.leaf(1))))))
    texts = [described(content, v)["text"] for v in content["vertices"] if v["kind"] == "operation"]
    assert texts == ["Version 1.", mg.tanh.primitive.forward.__doc__.split("\n")[0], "Version 0."]


def test_values_gradients_and_times():
    loss = small()
    content = content_of(arranged(loss))
    affine = next(v for v in content["vertices"] if v["name"] == "affine")
    assert re.fullmatch(r"test_page\.py:\d+", affine["line"])
    [output] = affine["outputs"]
    assert sum(output["values"]["bars"]) == output["values"]["size"] == 2
    assert output["gradients"]["norm"] == pytest.approx(output["gradient"])
    assert re.fullmatch("#[0-9a-f]{6}", affine["heat"]["color"])
    assert content["heat"][0]["norm"] < content["heat"][-1]["norm"]
    note = note_of(loss.node.parents[0].parents[0])
    assert affine["time"]["norm"] == pytest.approx((note.forward_time + note.backward_time) / 1e9, rel=1e-5)
    assert affine["spent"] == [(k, time_text(getattr(note, f"{k}_time"))) for k in ("forward", "backward")]


def test_steps_share_one_series():
    content = content_of(arranged(sequence(), "steps"))
    steps = [v for v in content["vertices"] if v["step"] is not None]
    assert [(v["step"], v["series"]) for v in steps] == [(t, 0) for t in range(5)]
    [series] = content["series"]
    assert series["names"] == ["h", "c"]
    assert [len(norms) for norms in series["values"] + series["gradients"]] == [5] * 4
    assert [v["outputs"][0]["gradient"] for v in steps] == series["gradients"][0]
    assert {described(content, v)["signature"] for v in steps} == {"lstm_step(x, h, c, Wx, Wh, b)"}


def test_unusual_norms_are_text():
    content = content_of(arranged(recorded(lambda x: x * 2.0, [1.0, math.inf])))
    [values] = [v["outputs"][0]["values"] for v in content["vertices"] if v["name"] == "multiply"]
    assert (values["norm"], values["unusual"]) == ("inf", 1.0)


def test_equal_graphs_give_equal_pages_that_need_no_network(tmp_path):
    paths = [to_html(graphs.lstm(6), tmp_path / name).path for name in ("a.html", "b.html")]
    text = paths[0].read_text(encoding="utf-8")
    assert text == paths[1].read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\"'` ]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    elements = Elements(text)
    assert [value for name, value in elements.attributes if name in ("src", "href")] == ["data:,"]
    assert any(n == "content" and v.startswith("default-src 'none';") for n, v in elements.attributes)


NASTY = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["</script>", "<!--", "<script>alert(1)</script>", "]]>", "\u2028", "{{data}}", "{{", "a\nb",
                     '"\'`', "\\", "\ud800", "&lt;", "</title><b>", "<img src=x onerror=alert(1)>", "\x00", "𝒳"]),
)  # fmt: skip


@given(title=NASTY, scope=NASTY, name=NASTY)
def test_names_are_escaped(title, scope, name):
    with mg.scope(scope):
        x = mg.tensor([1.0], requires_grad=True)
        y = mg.tanh(x * 2.0)
    text = filled_page("page", SCRIPTS, content_of(arranged(y, names={"y": y} | {name: x}), title), "graph")
    data = data_of(text)
    assert (data["title"], data["boxes"][0]["name"], data["vertices"][0]["name"]) == (title, scope, name or "input")
    plain = Elements(filled_page("page", SCRIPTS, content_of(arranged(y), ""), "graph"))
    found = Elements(text)
    assert found.tags == plain.tags  # no element more or less
    assert found.text["script"].count("\n") == plain.text["script"].count("\n")
    if title.isprintable() and title.strip():
        assert found.text["title"].strip() == title.strip()


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(st.none() | FINITE | NASTY, lambda inner: st.lists(inner) | st.dictionaries(NASTY, inner)))
def test_json_is_escaped(value):
    text = as_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def boxes_of(y, unroll="steps"):
    content = content_of(arranged(y, unroll))
    return content["boxes"], [vertex["box"] for vertex in content["vertices"]]


def test_boxes_follow_scopes():
    y = graphs.leaf(1)
    with mg.scope("a"):
        y = mg.tanh(y)
        with mg.scope("inner"):
            y = mg.exp(y)
    y = mg.exp(y)
    with mg.scope("a"):  # in one box with the first there would be a cycle
        y = mg.sin(y)
    boxes, box_of = boxes_of(y)
    assert [(box["name"], box["parent"]) for box in boxes] == [("a", -1), ("a", -1), ("inner", 0)]
    assert box_of == [-1, 0, 2, -1, 1]


def test_steps_of_a_loop_are_a_row():
    boxes, box_of = boxes_of(graphs.loop(6), "steps")
    [(row, box)] = [(i, box) for i, box in enumerate(boxes) if box["row"]]
    assert box["name"] == "step 0 … step 5"
    assert sum(box["parent"] == row for box in boxes) + box_of.count(row) == 6


def test_a_folded_loop_is_one_box():
    boxes, box_of = boxes_of(graphs.loop(6), "fold")
    assert [(box["name"], box["row"]) for box in boxes] == [("step 0 … step 5 × 6", False)]
    assert box_of.count(0) == 2
    vertices = content_of(arranged(graphs.loop(6)))["vertices"]
    assert [vertex["remark"] for vertex in vertices if vertex["name"] == "matmul"] == ["a from the previous tanh"]


def test_a_folded_loop_shows_what_its_steps_take_and_how_often():
    h, states, xs = graphs.leaf(3, 3), [], [graphs.leaf(3, 3) for _ in range(8)]
    for x in xs:
        states.append(h := mg.tanh(h) - x)
    content = content_of(arranged(mg.concatenate([h, states[3]])))
    said = {v["name"]: [edge["said"] for edge in v["inputs"]] for v in content["vertices"]}
    assert said["tanh"] == ["first"]
    assert said["subtract"] == ["a", "b: step t"]
    assert said["concatenate"] == ["steps 7, 3"]
    assert "input2 × 8" in said


def test_a_folded_loop_has_the_norms_of_all_steps_and_no_colour():
    def loop(h):
        for _ in range(30):
            h = mg.tanh(h * 0.1)
        return h

    content = content_of(arranged(recorded(loop, [[1e-3]])))
    tanh = next(v for v in content["vertices"] if v["name"] == "tanh")
    assert tanh["heat"] is None
    assert tanh["outputs"][0]["gradients"] is None
    assert re.search(r"1\.0e-29 … 1\.0e\+00", tanh["outputs"][0]["gradient"])
    assert re.search(r"gradient 1\.0e-29 … 1\.0e\+00", tanh["remark"])
    assert content["heat"] is not None


SCOPES = st.lists(st.sampled_from(["a", "b", "step 1", "step 2", "step 3"]), max_size=3)


@given(st.lists(SCOPES, min_size=1, max_size=12), st.data())
def test_boxes_form_no_cycles(scopes, data):
    """The children of each box have an order, and each vertex is in the boxes of its scopes."""
    made = [mg.tensor([1.0], requires_grad=True)]
    for scope in scopes:
        a, b = (made[data.draw(st.integers(0, len(made) - 1))] for _ in range(2))
        with entered(scope):
            made.append(a * b)
    picture = picture_of(sum(made[1:], start=made[0]))
    content = content_of(picture)
    boxes, box_of = content["boxes"], [vertex["box"] for vertex in content["vertices"]]
    assert all(box["parent"] < i for i, box in enumerate(boxes))

    def path(i):
        at, names = box_of[i], [i]
        while at >= 0:
            names.append(f"box {at}")
            at = boxes[at]["parent"]
        return names[::-1]

    feeds: dict[str, dict] = {}
    for i, vertex in enumerate(picture.vertices):
        names = [boxes[int(name[4:])]["name"] for name in path(i)[:-1] if not boxes[int(name[4:])]["row"]]
        assert names == ([] if vertex.is_leaf else list(vertex.scope))
        for edge in vertex.inputs:
            here, there = path(i), path(edge.source)
            depth = next(d for d in range(len(here)) if here[: d + 1] != there[: d + 1])
            feeds.setdefault(str(here[:depth]), {}).setdefault(here[depth], []).append(there[depth])
    for parents in feeds.values():
        order = mg.graph.topological_order(parents, lambda key, parents=parents: parents.get(key, ()))
        assert isinstance(order, mg.graph.Order)


def entered(path):
    """A context in all scopes of a path."""
    stack = ExitStack()
    for name in path:
        stack.enter_context(mg.scope(name))
    return stack


def test_large_scopes_are_grouped():
    y = x = mg.tensor(np.ones((2, 2)), requires_grad=True)
    for _ in range(4_000):
        y = mg.sin(y) * x
    content = content_of(arranged(y, "steps", max_nodes=10_000))
    sizes = Counter(box["parent"] for box in content["boxes"]) + Counter(v["box"] for v in content["vertices"])
    assert max(sizes.values()) <= 51  # of the input too
    assert {"multiply", "sin"} == set(re.findall("[a-z]{3,}", " ".join(box["name"] for box in content["boxes"])))


def test_long_loops_become_several_rows():
    content = content_of(arranged(sequence(steps=160), "steps"))
    rows = [number for number, box in enumerate(content["boxes"]) if box["row"]]
    steps = [[v["step"] for v in content["vertices"] if v["box"] == number] for number in rows]
    assert [step for row in steps for step in row] == [*range(160)]
    assert len(steps) == 4


def test_deep_scopes_need_no_recursion():
    with entered(["deep"] * 3000):
        y = mg.tanh(mg.tensor([1.0], requires_grad=True))
    assert len(content_of(arranged(y))["boxes"]) == 3000


def test_a_large_graph_is_folded_and_limited(tmp_path):
    x = mg.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(20_000):
        y = mg.tanh(y) * 0.5
    data = data_of(to_html(y))
    assert len(data["vertices"]) < 20
    assert sum(max(v["standsFor"], v["kind"] == "operation") for v in data["vertices"]) == 40_000
