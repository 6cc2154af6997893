"""Graphs as a `Source` of the package graphviz, with the real `dot`."""

from __future__ import annotations

import shutil
import sys

import graphviz
import pytest

from minigrad.render import to_dot, to_graphviz
from tests.render.graphs import leaf, lstm


def test_source_has_the_text_of_to_dot_and_renders():
    options = {"unroll": "steps", "direction": "LR", "title": "all", "expand": {"lstm_step"}}
    source = to_graphviz(lstm(), **options)
    assert isinstance(source, graphviz.Source)
    assert source.source == to_dot(lstm(), **options)
    if shutil.which("dot") is None:
        pytest.skip("no dot")
    assert source.pipe(format="png").startswith(b"\x89PNG")
    assert source._repr_mimebundle_()["image/svg+xml"].startswith("<?xml")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ModuleNotFoundError, match="this needs the package graphviz: pip install"):
        to_graphviz(leaf(2) * 2)
