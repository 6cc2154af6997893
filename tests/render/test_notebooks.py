"""What notebooks show for drawings, pages, comparisons and texts."""

from __future__ import annotations

import gc
import re
import weakref
from html import unescape

import numpy as np
import pytest

import minigrad as mg
from tests.render.graphs import layout_program, leaf


def page_in(frame: str) -> str:
    """Return the HTML inside the frame that a notebook shows."""
    return unescape(re.fullmatch(r'<iframe .*sandbox="allow-scripts".* srcdoc="([^"]*)"></iframe>', frame)[1])


def test_a_drawing_needs_no_path(tmp_path):
    layout_program()
    y = mg.tanh(leaf(2))
    drawing = mg.render.draw(y, title="a title")
    assert drawing.path is drawing._repr_html_() is None
    assert "a title" in drawing._repr_svg_()
    assert "<svg" in drawing._repr_svg_()
    assert drawing.dot == mg.render.to_dot(y, title="a title")
    for kind in ("svg", "dot", "png"):
        drawing = mg.render.draw(y, tmp_path / f"graph.{kind}")
        assert drawing.path == tmp_path / f"graph.{kind}"
        assert drawing._repr_svg_() == mg.render.draw(y)._repr_svg_()
    assert str(tmp_path) in repr(drawing)


def test_a_page_is_its_html(tmp_path):
    y = mg.tanh(leaf(2))
    page = mg.render.to_html(y)
    assert page.path is None
    assert page_in(page._repr_html_()) == page
    written = mg.render.to_html(y, tmp_path / "graph.html")
    assert written == page == written.path.read_text("utf-8")
    assert len(repr(page)) < 150


def test_a_comparison_shows_both_graphs(tmp_path):
    layout_program()
    x = leaf(2)
    found = mg.render.compare(mg.tanh(x), mg.relu(x))
    assert repr(found) == str(found) == "− tanh  [2]\n+ relu  [2]\n+ output  relu\n− output  tanh"
    assert "relu" in found._repr_svg_()
    assert mg.render.compare(mg.tanh(x), mg.relu(x), tmp_path / "both.dot").drawing.path.exists()
    long = mg.nn.RNN(2, 2)(np.ones((1, 50, 2)))[0]
    found = mg.render.compare(long, mg.tanh(long), unroll="steps")  # too wide for a picture
    assert found == "+ tanh  [1×50×2] float64\n+ output  tanh\n− output  RNN.stack"
    assert found._repr_svg_() is None


def test_texts_show_no_quotes():
    y = mg.tanh(leaf(2))
    for text in (mg.render.to_text(y), mg.render.to_mermaid(y)):
        assert repr(text) == str(text) != ""
    assert mg.render.to_mermaid(y)._repr_mimebundle_()["text/vnd.mermaid"].startswith("flowchart")


@pytest.mark.parametrize("make", [mg.render.draw, mg.render.to_html, mg.render.to_text])
def test_results_do_not_keep_the_graph(make):
    y = mg.tanh(leaf(2))
    value = weakref.ref(y.data)
    shown = make(y)
    del y
    gc.collect()
    assert value() is None
    assert repr(shown)
