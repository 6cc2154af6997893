"""Listings follow a program that may well have made the graph, and a loop that someone wrote is one block."""

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
from tests.render.graphs import graphs, leaf
from tests.render.pictures import arranged, check, operations

ZEROS = np.zeros((2, 4), np.float32)


@given(graphs())
def test_every_operation_comes_once_and_after_what_feeds_it(outputs):
    order = graph_of([output.node for output in outputs]).nodes
    result = executed(order)
    leaves = [node for node in order if node.primitive is None]
    assert len(result) + len(leaves) == len(order)
    assert certify(Order((*leaves, *result)), order, lambda node: node.parents)


def steps(start, *, x=None, transposed=False, head=None, n=9):
    """A recurrence that its author wrote without scopes: its last state, or what the heads of all its steps give."""
    W, V, b, O, heads, total, h = leaf(3, 4), leaf(4, 4), leaf(4), leaf(4, 2), [], 0, start
    for k in range(n):
        step = np.ones((2, 3), np.float32) if x is None else x[:, k]
        h = mg.tanh(step @ W + h @ (V.T if transposed else V) + b)
        if head == "list":
            heads.append(mg.softmax(h @ O))
        elif head == "total":
            total = total + (h @ O).sum()
    return mg.stack(heads, 1).sum() if head == "list" else h.sum() + total


def gates(start, cell=np.tanh, n=9):
    """An LSTM that its author wrote."""
    weights, h, c = [(leaf(3, 4), leaf(4, 4), leaf(4)) for _ in range(4)], start, start
    for _ in range(n):
        i, f, o, g = [np.ones((2, 3), np.float32) @ W + h @ V + b for W, V, b in weights]
        c = mg.sigmoid(f) * c + mg.sigmoid(i) * mg.tanh(g)
        h = mg.sigmoid(o) * mg.tanh(c)
    return h.sum()


def blocks(text):
    return re.findall(r"^ *(× .*):$", text, re.MULTILINE)


@pytest.mark.parametrize("start", [ZEROS, leaf(2, 4)], ids=["zeros", "leaf"])
@pytest.mark.parametrize("head", [None, "list", "total"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_a_loop_is_one_block_of_whole_steps(start, head, transposed, taken):
    make = lambda n=9: steps(  # noqa: E731
        start, x=mg.exp(leaf(2, n, 3)) if taken else None, transposed=transposed, head=head, n=n
    )
    text = mg.render.to_text(make())
    (block,) = blocks(text)
    assert block.startswith("× 9, first with ")
    state = "·" if start is ZEROS else "input"
    assert re.search(rf"' = {state}", block)
    assert "of 9" not in text
    body = text.split(block)[1].split("\n")[1:]
    assert ("transpose" if transposed else "matmul") in body[0]  # a step begins with what takes its state
    if taken:
        assert "[:, 0 … 8]" in text
    picture = check(arranged(make(12)))
    assert sum(vertex.kind == "elision" for vertex in picture.vertices) == 1
    assert operations(picture) == operations(arranged(make(12), "steps"))


@pytest.mark.parametrize("start", [ZEROS, leaf(2, 4)], ids=["zeros", "leaf"])
def test_cells_of_many_operations(start):
    (block,) = blocks(mg.render.to_text(gates(start)))
    assert re.fullmatch(r"× 9, first with \w+' = (·|input1), \w+' = (·|input1)", block)


class Net(nn.Module):
    """A recurrence with a head at each step, of modules."""

    def __init__(self):
        self.i, self.r, self.o = nn.Linear(3, 4, rng=0), nn.Linear(4, 4, rng=0), nn.Linear(4, 2, rng=0)

    def forward(self, x):
        h, out = ZEROS, []
        for k in range(x.shape[1]):
            h = mg.tanh(self.i(x[:, k]) + self.r(h))
            out.append(mg.softmax(self.o(h)))
        return mg.stack(out, 1)


def test_heads_of_modules_are_no_recurrence():
    text = mg.render.to_text(Net()(np.ones((2, 9, 3), np.float32)).sum())
    assert blocks(text) == ["× 9, first with d' = ·"]
    assert "stack(f × 9, axis=1)" in text
    assert re.findall(r"(\w+)'", text.split("first with")[1]) == ["d", "d"]


class Block(nn.Module):
    """What is added to what came in."""

    def __init__(self):
        self.b1, self.b2 = nn.Linear(4, 8, rng=0), nn.Linear(8, 4, rng=0)

    def forward(self, x):
        return x + self.b2(mg.relu(self.b1(x)))


class Deep(nn.Module):
    """Blocks one after the other."""

    def __init__(self):
        self.blocks = [Block() for _ in range(6)]

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("tracked", [False, True])
def test_a_deep_network_is_listed_from_its_input_on(tracked):
    net = Deep()
    text = mg.render.to_text(net(leaf(2, 4) if tracked else np.ones((2, 4), np.float32)).sum())
    names = re.findall(r"^parameter Deep\.(\S+)", text, re.MULTILINE)
    assert names == list(net.state_dict())
    assert len(blocks(text)) == 1


def test_sequences_in_the_order_of_arguments():
    f, b, x = nn.LSTM(4, 6, rng=0), nn.LSTM(4, 6, rng=1), np.ones((2, 9, 4), np.float32)
    text = mg.render.to_text(mg.concatenate([f(x)[0], b(x[:, ::-1])[0]], -1))
    letters = re.findall(r"(\w+) = stack", text)
    assert f"concatenate({', '.join(letters)}, axis=-1)" in text


def test_what_was_constant_in_another_step_than_the_first_is_not_folded():
    W, h = leaf(4, 4), leaf(2, 4)
    for k in range(12):
        h = mg.tanh((ZEROS if k == 6 else h) @ W)
    assert blocks(mg.render.to_text(h)) == ["× 6, first with b' = ·"]  # what went before is not in the graph
    x = leaf(4, 4)
    for k in range(12):
        x = mg.tanh(x @ np.eye(4, dtype=np.float32) if k % 2 else np.eye(4, dtype=np.float32) @ x)
    assert "× 12" not in mg.render.to_text(x)
    assert len(blocks(mg.render.to_text(x))) == 1


def test_a_constant_in_the_first_block_alone_is_no_state():
    xs, W, total = [leaf(4, 4) for _ in range(8)], leaf(4, 4), []
    for k in range(9):
        total.append(mg.matmul(xs[k - 1] if k else np.eye(4, dtype=np.float32), W))
    text = mg.render.to_text(mg.stack(total))
    assert blocks(text) == ["× 8"]


def test_a_head_is_no_further_step():
    W, O, h = leaf(4, 4), leaf(4, 4), leaf(2, 4)
    for _ in range(9):
        h = mg.tanh(h @ W)
    assert blocks(mg.render.to_text(mg.tanh(h @ O))) == ["× 9, first with b' = input1"]
    heads = [mg.tanh(h @ O) for _ in range(9)]
    text = mg.render.to_text(mg.stack(heads))
    assert blocks(text) == ["× 9, first with b' = input1", "× 9"]
    assert "matmul(b, input3)" in text
    assert "stack(d × 9, axis=0)" in text
