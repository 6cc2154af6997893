"""Graphs as the package graphviz's `Source`: all that people know of it works, by the real `dot`."""

from __future__ import annotations

import copy
import shutil
import sys

import graphviz
import pytest

import minigrad as mg
from minigrad.render import draw, to_dot, to_graphviz
from tests.render.graphs import captioner, leaf, lstm


@pytest.fixture
def needs_dot():
    if shutil.which("dot") is None:
        pytest.skip("no dot")


@pytest.mark.parametrize(
    ("make", "options"),
    [(captioner, {}), (lstm, {"unroll": "steps", "direction": "LR", "title": "all", "expand": {"lstm_step"}})],
)
def test_its_text_is_that_of_to_dot(make, options):
    source = to_graphviz(make(), **options)
    assert isinstance(source, graphviz.Source)
    assert source.source == to_dot(make(), **options)


def test_it_is_saved_without_a_layout_program(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    y = mg.tanh(leaf(2))
    path = to_graphviz(y).save(directory=tmp_path)
    assert (tmp_path / "Source.gv").samefile(path)
    assert (tmp_path / "Source.gv").read_text(encoding="utf-8") == to_dot(y)


@pytest.mark.usefixtures("needs_dot")
def test_it_renders_pipes_and_shows_itself(tmp_path):
    source = to_graphviz(captioner(), unroll="steps")
    assert source.pipe(format="png").startswith(b"\x89PNG")
    assert "lstm_step" in source.pipe(format="svg", encoding="utf-8")
    assert source._repr_mimebundle_()["image/svg+xml"].startswith("<?xml")
    path = source.render(outfile=tmp_path / "a.pdf", cleanup=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.pdf"]
    assert (tmp_path / "a.pdf").samefile(path)
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    for twin in (source.copy(), copy.deepcopy(source)):
        twin.format = "svg"
        assert twin.pipe() == source.pipe(format="svg")


def test_draw_does_without_dot(tmp_path, monkeypatch):
    if shutil.which("graphviz-pure", path=sys.exec_prefix + "/bin") is None:
        pytest.skip("no dot: graphviz-pure is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(graphviz.ExecutableNotFound):
        to_graphviz(leaf(2) * 2).pipe(format="svg")
    assert b"<svg" in draw(leaf(2) * 2, tmp_path / "a.svg").read_bytes()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ModuleNotFoundError, match="this needs the package graphviz: pip install"):
        to_graphviz(leaf(2) * 2)
