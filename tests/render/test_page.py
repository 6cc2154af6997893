"""The page of a graph: what goes into it."""

from __future__ import annotations

import json
import math
import re
from contextlib import ExitStack
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.backward import graph_of
from minigrad.primitives import PRIMITIVES
from minigrad.recording import note_of
from minigrad.render import to_html
from minigrad.render.page import SCRIPTS, as_json, content_of, page_text
from minigrad.render.scopes import grouped
from minigrad.units import time_text
from tests.render import graphs
from tests.render.pictures import arranged, picture_of


class Elements(HTMLParser):
    """The elements of a page in order, with their attributes, and the text within each kind."""

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
    """What the page's JSON says."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


def described(content, vertex):
    """What the page says of the primitive of a vertex."""
    return content["primitives"][vertex["primitive"]]


def small(record: bool = False):
    x = mg.tensor([[1.0, -2.0, 3.0]], requires_grad=True)
    layer = mg.nn.Linear(3, 2, rng=0)
    if not record:
        return mg.tanh(layer(x)).sum()
    with mg.record():
        y = mg.tanh(layer(x)).sum()
        y.backward()
    return y


def sequence(T: int = 5, kind: str = "LSTM"):
    cell = getattr(mg.nn, kind)(3, 4, rng=0)
    x = mg.tensor(np.linspace(-1, 1, 2 * T * 3, dtype=np.float32).reshape(2, T, 3), requires_grad=True)
    with mg.record():
        y = cell(x)[0].sum()
        y.backward()
    return y


def test_data_names_everything():
    content = content_of(arranged(small()), "a title")
    assert content["title"] == "a title"
    names = [v["name"] for v in content["vertices"]]
    assert sorted(names[:3]) == ["bias", "input", "weight"]
    assert names[3:] == ["affine", "tanh", "sum"]
    affine = content["vertices"][3]
    assert affine["scope"] == ["Linear"]
    met = [("input", "x"), ("weight", "W"), ("bias", "b")]
    assert [(names[e["source"]], e["argument"]) for e in affine["inputs"]] == met
    assert affine["outputs"][0]["shape"] == "1×2"
    assert affine["outputs"][0]["values"] is None
    assert described(content, affine)["text"] == mg.affine.primitive.forward.__doc__.split("\n")[0]
    assert content["outputs"] == [{"name": "output", "source": 5, "slot": 0, "shape": "scalar"}]
    assert content["heat"] is None


def test_an_index_reads_as_it_is_typed():
    x = mg.tensor(np.ones((2, 3, 4)), requires_grad=True)
    vertices = content_of(arranged([x[:, 0], x[:, -1], x[..., 1:], x.sum(axis=1, keepdims=True)]))["vertices"]
    assert [v["said"] for v in vertices[1:]] == ["[:, 0]", "[:, -1]", "[…, 1:]", "axis=1, keepdims=True"]
    assert [v["options"] for v in vertices[1:3]] == [[("index", "[:, 0]")], [("index", "[:, -1]")]]


def own_tanh(factor):
    """A primitive that a user calls tanh too."""

    @mg.primitive
    def tanh(x):
        """Own."""
        return factor * x, ()

    tanh.vjp(lambda g, needs: (factor * g,))
    tanh.primitive.forward.__doc__ = f"Times {factor}."
    return tanh


def test_primitives_of_one_name_are_told_apart(monkeypatch):
    monkeypatch.setattr("minigrad.primitives.PRIMITIVES", dict(PRIMITIVES))
    double = own_tanh(2.0)
    triple = own_tanh(3.0)  # a cell of a notebook that ran twice
    x = mg.tensor([1.0], requires_grad=True)
    content = content_of(arranged(double(mg.tanh(triple(x)))))
    texts = [described(content, v)["text"] for v in content["vertices"] if v["kind"] == "operation"]
    assert texts == ["Times 3.0.", mg.tanh.primitive.forward.__doc__.split("\n")[0], "Times 2.0."]
    modules = [p["module"] for p in content["primitives"]]
    assert modules == [__name__, mg.tanh.primitive.module, __name__]


@pytest.mark.parametrize("unroll", ["steps", "fold", "primitive"])
def test_outputs_are_named_as_in_the_other_drawings(unroll):
    x = mg.tensor(np.ones(4, np.float32), requires_grad=True)
    first, second = graphs.halves(x)
    [halves] = [v for v in content_of(arranged(first * second))["vertices"] if v["name"] == "halves"]
    assert [output["name"] for output in halves["outputs"]] == ["[0]", "[1]"]
    sequences = [v for v in content_of(arranged(sequence(12), unroll))["vertices"] if v["name"].startswith("lstm")]
    assert {tuple(output["name"] for output in v["outputs"]) for v in sequences} == {("h", "c")}


def test_data_has_what_was_recorded():
    content = content_of(arranged(small(record=True)))
    affine = next(v for v in content["vertices"] if v["name"] == "affine")
    assert re.fullmatch(r"test_page\.py:\d+", affine["line"])
    values, gradients = affine["outputs"][0]["values"], affine["outputs"][0]["gradients"]
    assert sum(values["bars"]) == values["size"] == 2
    assert gradients["norm"] == pytest.approx(affine["outputs"][0]["gradient"])
    assert re.fullmatch("#[0-9a-f]{6}", affine["heat"]["color"])
    assert len(content["heat"]) == 5
    assert content["heat"][0]["norm"] < content["heat"][-1]["norm"]


def test_data_has_the_times_of_a_profile():
    with mg.profile():
        loss = small(record=True)
    content = content_of(arranged(loss))
    affine = next(v for v in content["vertices"] if v["name"] == "affine")
    note = note_of(loss_node(loss, "affine"))
    assert affine["time"]["norm"] == pytest.approx((note.forward_time + note.backward_time) / 1e9, rel=1e-5)
    assert affine["spent"] == [
        ("forward", time_text(note.forward_time)), ("backward", time_text(note.backward_time)),
    ]  # fmt: skip
    assert [tick["text"][-1] for tick in content["times"]] == ["s"] * 5
    plain = content_of(arranged(small(record=True)))
    assert plain["times"] is None
    assert {(v["time"], tuple(v["spent"])) for v in plain["vertices"]} == {(None, ())}


def loss_node(loss, name):
    """The node of the first primitive of a name behind a tensor."""
    return next(node for node in graph_of([loss.node]).nodes if node.primitive and node.primitive.name == name)


def test_steps_share_one_series():
    content = content_of(arranged(sequence(5), "steps"))
    steps = [v for v in content["vertices"] if v["step"] is not None]
    assert [v["step"] for v in steps] == [0, 1, 2, 3, 4]
    assert {v["series"] for v in steps} == {0}
    [series] = content["series"]
    assert series["names"] == ["h", "c"]
    assert [len(norms) for norms in series["values"] + series["gradients"]] == [5] * 4
    assert [v["outputs"][0]["gradient"] for v in steps] == series["gradients"][0]
    assert {described(content, v)["signature"] for v in steps} == {"lstm_step(x, h, c, Wx, Wh, b)"}
    [gathered] = [v for v in content["vertices"] if v["name"] == "stack"]
    assert described(content, gathered)["text"].startswith("Tensors of one shape along a new axis")
    assert "`" not in "".join(p["text"] for p in content["primitives"])


def test_each_gathered_state_has_its_own_notes():
    cell = mg.nn.LSTM(3, 4, rng=0)
    x = mg.tensor(np.ones((2, 5, 3), np.float32), requires_grad=True)
    with mg.record():
        h, c = mg.lstm(x, np.zeros((2, 4), np.float32), cell.Wx, cell.Wh, cell.b)
        (h * 2 + c * 30).sum().backward()
    y = h * 2 + c * 30
    stacks = [v for v in content_of(arranged(y, "steps"))["vertices"] if v["name"] == "stack"]
    for stack, tensor, factor in zip(stacks, (h, c), (2, 30), strict=True):
        [output] = stack["outputs"]
        assert output["value"] == output["values"]["norm"] == pytest.approx(np.linalg.norm(tensor.data), rel=1e-4)
        assert output["gradient"] == output["gradients"]["norm"] == pytest.approx(factor * 40**0.5, rel=1e-4)


def test_unusual_norms_are_text():
    x = mg.tensor([1.0, math.inf], requires_grad=True)
    with mg.record(), np.errstate(invalid="ignore"):
        y = (x * 2.0).sum()
        y.backward()
    [multiply] = [v for v in content_of(arranged(y))["vertices"] if v["name"] == "multiply"]
    assert multiply["outputs"][0]["values"]["norm"] in ("nan", "inf")
    assert multiply["outputs"][0]["values"]["unusual"] == 1.0


def test_options_have_no_addresses():
    x = mg.tensor(np.arange(4.0), requires_grad=True)
    chosen = x[np.array([True, False, True, True])].sum(axis=0)
    text = page_text(content_of(arranged(chosen)))
    assert ["index", "[bool array 4]"] in [o for v in data_of(text)["vertices"] for o in v["options"]]
    assert not re.search("0x[0-9a-f]{6}", as_json(data_of(text)))


@pytest.mark.parametrize("unroll", ["steps", "fold", "primitive"])
def test_equal_graphs_give_equal_pages(unroll, tmp_path):
    texts = []
    for name in ("a.html", "b.html"):
        y = sequence(6)
        assert to_html(y, tmp_path / name, unroll=unroll) == tmp_path / name
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]


def test_the_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "graph.html"
    to_html(small(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="unroll"):
        to_html(small(), path, unroll="all")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        to_html(small(record=True), path)
    assert path.read_bytes() == before
    assert [f.name for f in tmp_path.iterdir()] == ["graph.html"]


def test_the_page_asks_nothing_of_a_network(tmp_path):
    text = to_html(small(), tmp_path / "graph.html").read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\"'` ]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG, never fetched
    elements = Elements(text)
    assert not any(name == "src" for name, _ in elements.attributes)
    assert [value for name, value in elements.attributes if name == "href"] == ["data:,"]
    [policy] = [v for n, v in elements.attributes if n == "content" and v.startswith("default-src")]
    assert policy.startswith("default-src 'none';")


NASTY = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["</script>", "<!--", "<script>alert(1)</script>", "]]>", "\u2028", "{{data}}", "{{", "a\nb",
                     '"\'`', "\\", "\ud800", "&lt;", "</title><b>", "<img src=x onerror=alert(1)>", "\x00", "𝒳"]),
)  # fmt: skip


@given(title=NASTY, scope=NASTY, name=NASTY)
def test_no_name_breaks_out(title, scope, name):
    with mg.scope(scope):
        x = mg.tensor([1.0], requires_grad=True)
        y = mg.tanh(x * 2.0)
    text = page_text(content_of(arranged(y, names={"y": y} | {name: x}), title))
    data = data_of(text)
    assert (data["title"], data["boxes"][0]["name"], data["vertices"][0]["name"]) == (title, scope, name or "input")
    plain = Elements(page_text(content_of(arranged(y), "")))
    found = Elements(text)
    assert found.tags == plain.tags  # no element more or less
    assert found.text["script"].count("\n") == plain.text["script"].count("\n")
    if title.isprintable() and title.strip():
        assert found.text["title"].strip() == title.strip()


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(st.none() | FINITE | NASTY, lambda inner: st.lists(inner) | st.dictionaries(NASTY, inner)))
def test_json_comes_back_and_is_plain(value):
    text = as_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


@given(graphs.graphs(), st.sampled_from(["steps", "fold"]), st.sampled_from([3, 1000]))
def test_what_is_folded_and_cut_stays_grouped(outputs, unroll, most):
    """So a page need not sort its picture again."""
    picture = arranged(outputs, unroll, most)
    assert grouped(picture) is picture


def boxes_of(y, unroll="steps"):
    picture = arranged(y, unroll)
    content = content_of(picture)
    return picture, content["boxes"], [vertex["box"] for vertex in content["vertices"]]


def test_boxes_follow_scopes():
    x = mg.tensor([1.0], requires_grad=True)
    with mg.scope("outer"):
        y = mg.tanh(x)
        with mg.scope("inner"):
            y = mg.exp(y)
    picture, boxes, box_of = boxes_of(y)
    assert boxes == [{"name": "outer", "parent": -1, "row": False}, {"name": "inner", "parent": 0, "row": False}]
    assert [(v.label, box) for v, box in zip(picture.vertices, box_of, strict=True)] == [
        ("input", -1), ("tanh", 0), ("exp", 1)]  # fmt: skip


def test_a_scope_entered_again_is_another_box():
    x = mg.tensor([1.0], requires_grad=True)
    with mg.scope("a"):
        y = mg.tanh(x)
    y = mg.exp(y)
    with mg.scope("a"):
        y = mg.sin(y)
    _, boxes, box_of = boxes_of(y)
    assert [box["name"] for box in boxes] == ["a", "a"]
    assert len(set(box_of)) == 3


def test_a_scope_entered_again_without_a_circle_is_one_box():
    x = mg.tensor([1.0], requires_grad=True)
    with mg.scope("a"):
        y = mg.tanh(x)
    z = mg.exp(x)
    with mg.scope("a"):
        w = mg.sin(x)
    _, boxes, _ = boxes_of(y + z + w)
    assert boxes == [{"name": "a", "parent": -1, "row": False}]


def test_steps_of_a_sequence_are_a_row():
    _, boxes, box_of = boxes_of(sequence(5))
    assert [(box["name"], box["row"]) for box in boxes] == [("LSTM", False), ("lstm", True)]
    assert box_of.count(1) == 5


def test_elided_steps_stand_in_the_row():
    picture, boxes, box_of = boxes_of(sequence(12), "fold")
    [elision] = [i for i, v in enumerate(picture.vertices) if v.kind == "elision"]
    assert boxes[box_of[elision]]["row"]


def test_a_sequence_in_a_scope_that_is_named_as_one_of_its_steps_is_one_row():
    with mg.scope("step 1"):
        y, _ = mg.lstm(graphs.leaf(2, 9, 4), graphs.leaf(2, 4), graphs.leaf(4, 16), graphs.leaf(4, 16), graphs.leaf(16))
    picture, boxes, box_of = boxes_of(y, "fold")
    assert [box["name"] for box in boxes] == ["step 1", "lstm"]
    assert [box_of[i] for i, v in enumerate(picture.vertices) if v.step is not None] == [1, 1, 1]


@pytest.mark.parametrize(("unroll", "inside"), [("steps", 6), ("fold", 3)])
def test_steps_of_a_written_loop_are_a_row(unroll, inside):
    h, total = mg.tensor([[0.5]], requires_grad=True), mg.tensor(0.0)
    for t in range(6):
        with mg.scope(f"step {t}"):
            h = mg.tanh(h @ np.ones((1, 1)))
            total = total + h.sum()
    _, boxes, box_of = boxes_of(total, unroll)
    [row] = [i for i, box in enumerate(boxes) if box["row"]]
    assert boxes[row]["name"] == "step 0 … step 5"
    assert sum(box["parent"] == row for box in boxes) + box_of.count(row) == inside


SCOPES = st.lists(st.sampled_from(["a", "b", "step 1", "step 2", "step 3"]), max_size=3)


@given(st.lists(SCOPES, min_size=1, max_size=12), st.data())
def test_boxes_never_feed_each_other_in_a_circle(scopes, data):
    """Whatever the scopes: between the children of each box there is an order, and each vertex is in its scopes."""
    made = [mg.tensor([1.0], requires_grad=True)]
    for scope in scopes:
        a, b = (made[data.draw(st.integers(0, len(made) - 1))] for _ in range(2))
        with entered(scope):
            made.append(a * b)
    picture = grouped(picture_of(sum(made[1:], start=made[0])))
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
    """All scopes of a path entered."""
    stack = ExitStack()
    for name in path:
        stack.enter_context(mg.scope(name))
    return stack


def test_deep_scopes_need_no_recursion():
    with entered(["deep"] * 3000):
        y = mg.tanh(mg.tensor([1.0], requires_grad=True))
    assert len(content_of(arranged(y))["boxes"]) == 3000


def test_a_large_graph_is_folded_and_limited(tmp_path):
    x = mg.tensor([1.0], requires_grad=True)
    y = x
    for _ in range(20_000):
        y = mg.tanh(y) * 0.5
    data = data_of(to_html(y, tmp_path / "graph.html").read_text(encoding="utf-8"))
    assert len(data["vertices"]) < 20
    assert sum(max(v["standsFor"], v["kind"] == "operation") for v in data["vertices"]) == 40_000


def test_every_script_is_listed():
    folder = files("minigrad.render") / "assets"
    assert {f.name for f in folder.iterdir() if f.name.endswith(".js")} == set(SCRIPTS)


def test_nothing_moves_by_itself():
    """A transition on the bodies of 5,000 items made a click take seconds: each ran as an animation of its own."""
    style = (files("minigrad.render") / "assets" / "page.css").read_text(encoding="utf-8")
    assert not re.findall(r"transition|animation|keyframes", style)
