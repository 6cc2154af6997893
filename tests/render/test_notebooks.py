"""Notebooks: tensors and modules display their graph once this is switched on."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.render.graphs import layout_program, leaf

X = np.ones((2, 3), np.float32)


@pytest.fixture
def notebook():
    layout_program()
    mg.render.notebook(True)
    yield
    mg.render.notebook(False)


def test_a_tensor_displays_its_graph(notebook):
    y = mg.tanh(leaf(2))
    assert y._repr_svg_().lstrip().startswith(("<?xml", "<svg"))
    assert "tanh" in y._repr_svg_()
    assert mg.tensor(1.0)._repr_svg_() is leaf(2)._repr_svg_() is nn.Linear(3, 2)._repr_svg_() is None
    mg.render.notebook(True, title="a title for all", names={"the x": y})
    assert "a title for all" in y._repr_svg_()
    assert "the x" not in mg.tanh(leaf(2))._repr_svg_()  # which is not in this graph


def test_a_module_displays_its_last_call(notebook):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    y = model(X)
    assert "tanh" in model._repr_svg_()
    out = (cell := nn.LSTM(3, 4))(X[None])
    assert "lstm_step" in cell._repr_svg_()
    del y
    gc.collect()
    assert model._repr_svg_() is None  # the output is gone
    assert len(out) == 2


def test_it_is_off_by_default_and_again():
    model = nn.Linear(3, 2)
    y = model(X)
    assert y._repr_svg_() is model._repr_svg_() is None
    layout_program()
    mg.render.notebook(True)
    mg.render.notebook(False)
    assert y._repr_svg_() is model._repr_svg_() is None
    assert nn.Module.__call__.__module__ == "minigrad.nn.module"


def test_names_that_are_not_in_a_graph_are_left_out(notebook):
    x, data = leaf(2), np.arange(2.0)
    mg.render.notebook(True, names={"the data": data, "the layer": nn.Tanh()})
    assert "the data" in (x * data)._repr_svg_()
    assert "the data" not in (x * np.ones(2))._repr_svg_()
