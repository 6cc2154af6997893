"""Pictures by `dot` or graphviz-pure: files appear whole or not at all, and errors say what to do."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.render.drawing import layout_program
from tests.render.colours import contrast
from tests.render.graphs import captioner, leaf

START = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A folder that is the whole PATH, without Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def script(path, body):
    """Write a shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def only(folder, name):
    """Put one real layout program into the folder; skip the test if it is not installed."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(PYTHON).parent), PATH]))
    if found is None:
        pytest.skip(f"no dot: {name} is not installed")
    script(folder / name, f'exec "{found}" "$@"')


PYTHON, PATH = sys.executable, os.environ.get("PATH", "")


@pytest.mark.parametrize("kind", ["svg", "png", "pdf", "SVG"])
def test_files_of_each_kind_by_dot(alone, tmp_path, kind):
    only(alone, "dot")
    path = mg.render.draw(captioner(), tmp_path / f"picture.{kind}", unroll="steps").path
    assert path.read_bytes().startswith(START[kind.lower()])
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [f"picture.{kind}"]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_graphviz_pure_replaces_dot(alone, tmp_path, kind):
    only(alone, "graphviz-pure")
    path = mg.render.draw(captioner(), tmp_path / f"picture.{kind}").path
    assert path.read_bytes().lstrip().startswith((START[kind], b"<svg"))
    script(alone / "dot", "exit 0")
    assert Path(layout_program()).name == "dot"  # which comes first


def test_graphviz_pure_writes_no_pdf(alone, tmp_path):
    script(alone / "graphviz-pure", "exit 0")
    with pytest.raises(mg.render.DrawingError, match=r"cannot write PDF\. Install Graphviz.*a\.pdf\.dot"):
        mg.render.draw(leaf(2) * 2, tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf.dot").exists()


def test_neither_program(alone, tmp_path):
    with pytest.raises(ModuleNotFoundError, match=r"apt install graphviz.*\[viz\]"):
        mg.render.draw(leaf(2) * 2, tmp_path / "a.svg")
    with pytest.raises(ModuleNotFoundError, match="drawing needs a layout program"):
        mg.render.draw(leaf(2) * 2, tmp_path / "a.dot").svg  # noqa: B018


@pytest.mark.usefixtures("alone")
def test_without_a_layout_program_notebooks_show_a_page():
    x = leaf(2)
    drawing = mg.render.draw(mg.tanh(x), names={"my x": x}, depth=1, title="a title")
    assert drawing._repr_svg_() is None
    assert all(text in drawing._repr_html_() for text in ("<iframe", "my x", "a title", "ignores depth."))
    assert mg.render.compare(x * x, mg.tanh(x))._repr_svg_() is None


def test_a_path_is_no_tensor():
    with pytest.raises(TypeError, match=r"path must be a path, not Tensor\. Pass several tensors as a list"):
        mg.render.draw(leaf(2) * 2, leaf(2) * 3)


def test_timeout(alone, tmp_path):
    script(alone / "dot", f"exec {shutil.which('sleep', path=os.defpath)} 20")
    x = leaf(2)
    began = time.monotonic()
    with pytest.raises(mg.render.DrawingError, match=r"more than 0\.5 s\. Try unroll='fold'.*a\.svg\.dot"):
        mg.render.draw(x * 2.0, tmp_path / "a.svg", timeout=0.5, names={"x": x})
    assert time.monotonic() - began < 10
    assert not (tmp_path / "a.svg").exists()
    assert (tmp_path / "a.svg.dot").read_text(encoding="utf-8") == mg.render.to_dot(x * 2.0, names={"x": x})


@pytest.mark.parametrize(
    ("body", "message"),
    [("echo 'syntax error' >&2; exit 3", "syntax error"), ("exit 3", "status 3"), ("exit 0", "status 0")],
)
def test_a_failing_layout_keeps_the_old_file(alone, tmp_path, body, message):
    script(alone / "dot", body)
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(mg.render.DrawingError, match=f"dot failed: {message}"):
        mg.render.draw(leaf(2) * 2, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_svg_fits_light_and_dark_pages(tmp_path):
    text = mg.render.draw(captioner(), tmp_path / "a.svg", title="a captioner").path.read_text("utf-8")
    graph = xml.etree.ElementTree.fromstring(text).find("{http://www.w3.org/2000/svg}g")
    assert "prefers-color-scheme: dark" in text
    assert graph.find("{http://www.w3.org/2000/svg}polygon") is None, "a background hides the page's"
    replaced = set(re.findall(r'\[fill="(#\w+)"\]', text))
    for label in [thing for thing in graph if thing.tag.endswith("text")]:  # on the background
        assert label.get("fill") in replaced
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in replaced)
    assert all(contrast(colour, "#0d1117") >= 4.5 for colour in re.findall(r"{ fill: (#\w+) }", text))  # GitHub's


def test_sizes_that_no_viewer_shows(tmp_path):
    y = leaf(2)
    for k in np.random.default_rng(0).integers(3, size=500):
        y = (mg.sin, mg.tanh, mg.relu)[k](y)
    mg.render.draw(y, tmp_path / "a.svg")  # at most `max_nodes` operations
    with pytest.raises(mg.render.DrawingError, match=r"× \d\d,\d{3} points, .* at most 24,000\. Pass .*max_nodes"):
        mg.render.draw(y, tmp_path / "a.svg", max_nodes=500)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.svg.gz", ".svg"])
def test_unknown_suffixes(tmp_path, name):
    with pytest.raises(ValueError, match=r"must be \.svg, \.png, \.pdf or \.dot"):
        mg.render.draw(leaf(2) * 2, tmp_path / name)
