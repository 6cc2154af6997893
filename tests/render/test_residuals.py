"""Drawings of the backward pass: arrows against the data, and what each VJP keeps, counted once."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.formatting import byte_text
from minigrad.profiling import residual_memory
from minigrad.render import summary, to_dot
from tests.render.graphs import captioner, deep, laid_out, leaf, loop, mlp, shared


def kept(tensor):
    """The bytes of the residuals of each operation, by the name of the operation."""
    memory = residual_memory(graph_of([tensor.node]).nodes)
    return [(node.primitive.name, sizes) for node, sizes in memory.items()]


def total(dot):
    """The total that a drawing shows."""
    [text] = re.findall(r"residuals  ([^\\]*)", dot)
    return text


def boxes(dot):
    """The lines of each operation."""
    return {
        lines[0]: lines[1:]
        for text in re.findall(r'^ *n\d+ \[label="([^"]*)"', dot, re.MULTILINE)
        if (lines := text.split("\\n"))
    }


def test_a_small_network_by_hand():
    found = boxes(to_dot(mlp(), residuals=True))
    assert found["tanh"] == [f"keeps output {5 * 4 * 4} B"]
    assert found["affine"] == ["keeps x  W"]  # the last one: its x is the output of tanh, and W is a parameter
    assert found["mean"] == []
    assert total(to_dot(mlp(), residuals=True)) == f"{5 * 3 * 4 + 5 * 4 * 4 + 5 * 2 * 4} B"


def test_shared_memory_counts_once():
    x = leaf(2, 3)
    y = mg.exp(x)  # 24 bytes, which exp and multiply keep
    assert sum(sum(sizes.values()) for _, sizes in kept(y * y)) == 24
    W = leaf(3, 3)
    steps = [sizes for name, sizes in kept(mg.tanh(mg.tanh(x @ W) @ W)) if name == "matmul"]
    assert steps == [{"a": 24, "b": 36}, {"a": 0, "b": 0}]


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2, rng=0)), (5, 3)),
        (nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2)), (2, 1, 9, 9)),
    ],
)
def test_the_total_is_that_of_the_summary(module, shape):
    x = np.ones(shape, np.float32)
    assert total(to_dot(module(x), residuals=True)) == byte_text(summary(module, x).residual_bytes)


@pytest.mark.parametrize("make", [lambda: loop(20), captioner, lambda: deep(20)])
def test_folding_keeps_the_total(make):
    tensor = make()
    drawn = [to_dot(tensor, residuals=True, unroll=unroll) for unroll in ("fold", "steps", "primitive")]
    assert len(set(map(total, drawn))) == 1
    assert len(re.findall("all steps keep", drawn[0])) <= 2  # the first and the last step; the stack keeps nothing


@pytest.mark.parametrize("make", [mlp, captioner, shared])
def test_arrows_go_from_the_loss_to_the_parameters(make):
    dot = to_dot(make(), residuals=True)
    visible = [edge for edge in laid_out(dot)["edges"] if edge.get("style") != "invis"]
    assert visible
    for edge in visible:  # a constant gets no cotangent
        assert ("_tdraw_" in edge) == (edge.get("style") != "dotted")
        assert "_hdraw_" not in edge


def test_freed_residuals_are_an_error():
    loss = mlp()
    loss.backward(retain_graph=True)
    assert total(to_dot(loss, residuals=True)) == "180 B"
    loss.backward()
    with pytest.raises(ValueError, match=r"a backward pass has freed the residuals\. .*retain_graph=True"):
        to_dot(loss, residuals=True)
    assert "residuals" not in to_dot(loss)


def test_a_stack_has_the_sum_of_its_layers():
    """Each ReLU keeps its output of 6 × 8 floats; the first input is the only x that is not an output."""
    y = nn.Sequential(*[layer for _ in range(5) for layer in (nn.Linear(8, 8, rng=0), nn.ReLU())])(leaf(6, 8))
    dot = to_dot(y, residuals=True)
    assert re.findall(r"all layers keep ([^\"]*)", dot) == ["x 192 B  W", "output 960 B"]
    closed = to_dot(y, residuals=True, depth=2)
    assert len(re.findall("all layers keep", closed)) == 2
    assert total(dot) == total(closed)
