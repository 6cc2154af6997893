"""Notebooks: tensors and modules show their graph when asked to, and only then."""

from __future__ import annotations

import copy
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


def test_off_by_default():
    model = nn.Linear(3, 2)
    y = model(X)
    assert y._repr_svg_() is None
    assert model._repr_svg_() is None


def test_a_tensor_displays_its_graph(notebook):
    y = mg.tanh(leaf(2))
    assert y._repr_svg_().lstrip().startswith(("<?xml", "<svg"))
    assert "tanh" in y._repr_svg_()


def test_tensors_without_a_graph_are_text(notebook):
    assert mg.tensor(1.0)._repr_svg_() is None
    assert leaf(2)._repr_svg_() is None
    assert nn.Linear(3, 2)._repr_svg_() is None


def test_a_module_displays_its_last_call(notebook):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    y = model(X)
    assert "tanh" in model._repr_svg_()
    h, state = (cell := nn.LSTM(3, 4))(X[None])
    assert "lstm_step" in cell._repr_svg_()
    copy.deepcopy(model)
    del y
    gc.collect()
    assert model._repr_svg_() is None
    assert (h.shape, len(state)) == ((1, 2, 4), 2)


def test_options_apply_to_all_graphs():
    layout_program()
    mg.render.notebook(True, title="a title for all")
    try:
        assert "a title for all" in mg.tanh(leaf(2))._repr_svg_()
    finally:
        mg.render.notebook(False)


def test_switching_off_restores_calls(notebook):
    model = nn.Linear(3, 2)
    y = model(X)
    mg.render.notebook(False)
    assert model._repr_svg_() is None
    assert y._repr_svg_() is None
    assert nn.Module.__call__.__module__ == "minigrad.nn.module"
    mg.render.notebook(True)
    assert model._repr_svg_() is None  # not called since


def test_names_apply_where_they_belong(notebook):
    x, y = leaf(2), leaf(2)
    mg.render.notebook(True, names={"the x": x}, values="norm", expand={"softmax"}, title="net")
    mg.render.notebook(True, names={"the x": x}, gradients=False, unroll="steps")
    assert "the x" in (x * y)._repr_svg_()
    assert "the x" not in (y * y)._repr_svg_()
    with mg.no_grad():
        mg.render.notebook(True, gradients=True)
