"""Listings follow the program that made the graph, and show a loop as one block."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.graph import Order, certify
from minigrad.render.nodes import executed
from tests.render.graphs import Residual, graphs, leaf
from tests.render.pictures import arranged, check, operations

ZEROS = np.zeros((2, 4), np.float32)


@given(graphs())
def test_every_operation_comes_once_after_its_inputs(outputs):
    order = graph_of([output.node for output in outputs]).nodes
    result = executed(order)
    leaves = [node for node in order if node.primitive is None]
    assert len(result) + len(leaves) == len(order)
    assert certify(Order((*leaves, *result)), order, lambda node: node.parents)


def steps(start, *, x=None, transposed=False, head=None, n=9):
    """A recurrence without scopes: its last state, or the results of a head at each step."""
    W, V, b, O, heads, total, h = leaf(3, 4), leaf(4, 4), leaf(4), leaf(4, 2), [], 0, start
    for k in range(n):
        step = np.ones((2, 3), np.float32) if x is None else x[:, k]
        h = mg.tanh(step @ W + h @ (V.T if transposed else V) + b)
        heads.append(mg.softmax(h @ O))
        total = total + (h @ O).sum()
    return {"list": mg.stack(heads, 1).sum(), "total": total, None: h.sum()}[head]


def blocks(text):
    return re.findall(r"^ *((?:× |\d+ layers).*):$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("start", "head", "transposed", "taken"),
    [
        (ZEROS, None, False, False),
        (ZEROS, "list", True, True),
        (leaf(2, 4), "total", False, True),
        (leaf(2, 4), None, True, False),
    ],
)
def test_a_loop_is_one_block_of_whole_steps(start, head, transposed, taken):
    make = lambda n: steps(  # noqa: E731
        start, x=mg.exp(leaf(2, n, 3)) if taken else None, transposed=transposed, head=head, n=n
    )
    text = mg.render.to_text(make(9))
    (block,) = blocks(text)
    assert block.startswith("× 9, first with ")
    assert "' = input" in block
    assert ("[:, 0 … 8]" in text) == taken
    picture = check(arranged(make(12)))
    folded = [vertex for vertex in picture.vertices if vertex.folds and not vertex.is_leaf]
    assert {len(vertex.folds) for vertex in folded} <= {11, 12}
    assert any(vertex.feedback for vertex in folded)
    assert operations(picture) == operations(arranged(make(12), "steps"))


def test_computed_initial_states_come_before_a_loop():
    words, head, cell = leaf(2, 9, 3), nn.Linear(4, 4, rng=0), nn.Linear(7, 16, rng=0)
    h = head(leaf(2, 4))
    c = h * 0.5
    for k in range(9):
        p = cell(mg.concatenate([words[:, k], h], 1))
        i, f, o, g = (p[:, 4 * j : 4 * j + 4] for j in range(4))
        c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
        h = mg.sigmoid(o) * mg.tanh(c)
    (block,) = blocks(mg.render.to_text(h.sum()))
    assert block.startswith("× 9, first with ")


def test_a_loop_that_calls_layers_is_one_block():
    x, h, head, cell = leaf(2, 9, 3), None, nn.Linear(4, 4, rng=0), nn.GRU(3, 4, rng=0)
    total = leaf(2, 4)
    for k in range(9):
        _, h = cell(x[:, k : k + 1]) if h is None else cell(x[:, k : k + 1], h)
        total = mg.tanh(head(h) + total)
    (block,) = blocks(mg.render.to_text(total))
    assert block.startswith("× 9, first with ")


@pytest.mark.parametrize("tracked", [False, True])
def test_a_deep_network_is_listed_from_its_input(tracked):
    net = nn.Sequential(*[Residual(4) for _ in range(6)])
    text = mg.render.to_text(net(leaf(2, 4) if tracked else ZEROS).sum())
    assert re.findall(r"^parameter Sequential\.(\S+)", text, re.MULTILINE) == list(net.state_dict())
    assert len(blocks(text)) == 1


def test_only_the_first_step_may_start_from_a_constant():
    W, h = leaf(4, 4), leaf(2, 4)
    for k in range(12):
        h = mg.tanh((ZEROS if k == 6 else h) @ W)
    assert blocks(mg.render.to_text(h)) == ["× 6, first with %2' = input1"]  # the steps before are not in the graph
    x = leaf(4, 4)
    for k in range(12):
        x = mg.tanh(x @ np.eye(4, dtype=np.float32) if k % 2 else np.eye(4, dtype=np.float32) @ x)
    assert "× 12" not in mg.render.to_text(x)
    assert len(blocks(mg.render.to_text(x))) == 1
