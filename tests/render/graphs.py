"""Fixed and random graphs for the tests of drawings, and the layouts of DOT text."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from hypothesis import strategies as st

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from minigrad import nn
from minigrad.render.drawing import layout_program as find_program


@mg.primitive
def halves(x):
    """Two outputs: the first half of a vector and the second."""
    k = len(x) // 2
    return (x[:k].copy(), x[k:].copy()), (len(x),)


@halves.vjp
def _(g, needs, n):
    first, second = (np.zeros(n // 2, np.float32) if part is None else part for part in g)
    return (np.concatenate([first, second]),)


def leaf(*shape):
    """A leaf of ones."""
    return mg.tensor(np.ones(shape, np.float32), requires_grad=True)


def mlp():
    """Two layers, and a mean of squares."""
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=0))
    return (model(np.ones((5, 3), np.float32)) ** 2).mean()


def captioner(cell="lstm", steps=16):
    """The loss of a small captioner on captions of `steps` words."""
    vocabulary = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *(f"word{i}" for i in range(16))])
    model = Captioner(vocabulary, feature_size=7, wordvec_size=6, hidden_size=8, cell_type=cell, rng=0)
    return model(np.ones((4, 7), np.float32), np.full((4, steps + 1), 5, np.int64))


def rnn(steps=5):
    """The sum of the last state of an RNN whose input is a constant."""
    return nn.RNN(3, 4, rng=0)(np.ones((2, steps, 3), np.float32))[1].sum()


def lstm(steps=5, forget_bias=1.0):
    """A loss of the last states of an LSTM and all its hidden states."""
    h, (h_n, c_n) = nn.LSTM(3, 4, forget_bias=forget_bias, rng=0)(np.ones((2, steps, 3), np.float32))
    return (h_n * c_n).sum() + h.mean()


def loop(steps, first=True):
    """A recurrence with a scope for each step, which starts from a leaf or a constant."""
    W, h = leaf(3, 3), leaf(2, 3) if first else mg.tensor(np.ones((2, 3), np.float32))
    for t in range(steps):
        with mg.scope(f"step {t}"):
            h = mg.tanh(h @ W)
    return h.sum()


class Residual(nn.Module):
    """x plus two layers of it."""

    def __init__(self, width):
        self.first, self.second = nn.Linear(width, 2 * width, rng=0), nn.Linear(2 * width, width, rng=0)

    def forward(self, x):
        return x + self.second(mg.tanh(self.first(x)))


def deep(blocks=6):
    """A network of residual blocks of different widths."""
    layers = []
    for i in range(blocks):
        layers += [nn.Linear(3 + i, 4 + i, rng=0), Residual(4 + i)]
    return nn.Sequential(*layers, nn.Tanh())(leaf(2, 3))


def shared():
    """A DAG that is not a tree."""
    x = leaf(2)
    y = x * x
    z = mg.exp(y) + y
    return (z * y).sum()


def chain(length):
    """x + 1 + 1 + …"""
    x = leaf(2)
    for _ in range(length):
        x = x + 1.0
    return x


def attention(steps, places):
    """A decoder that attends to all states of a loop at each step."""
    weights = leaf(3, 16), leaf(4, 16), leaf(16)
    h, c, x = leaf(2, 4), leaf(2, 4), leaf(2, places, 3)
    states = []
    for s in range(places):
        h, c = mg.lstm_step(x[:, s], h, c, *weights)
        states.append(h)
    inner, results = (leaf(4, 16), leaf(4, 16), leaf(16)), []
    for t in range(steps):
        with mg.scope(f"step {t}"):
            scores = mg.concatenate([(state * h).sum(axis=1, keepdims=True) for state in states], axis=1)
            context = (mg.stack(states, axis=1) * mg.softmax(scores, axis=1).reshape(2, places, 1)).sum(axis=1)
            h, c = mg.lstm_step(context, h, c, *inner)
            results.append(h)
    return mg.stack(results, axis=1).sum()


def recorded(make, *arguments, **options):
    """A tensor after a recorded forward and backward pass."""
    with mg.record():
        loss = make(*arguments, **options)
        loss.backward()
    return loss


def layout_program():
    """The path of `dot` or graphviz-pure; without either the test is skipped."""
    try:
        return find_program()
    except ModuleNotFoundError:
        pytest.skip("no dot")


def laid_out(dot, kind="json"):
    """The output of the layout program, which must report no error."""
    done = subprocess.run([layout_program(), f"-T{kind}"], input=dot.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert "error" not in done.stderr.decode().lower()
    return json.loads(done.stdout) if kind == "json" else done.stdout.decode()


def texts(thing):
    """The visible lines of text on a node, a cluster or the whole drawing."""
    return [op["text"] for op in thing.get("_ldraw_", []) if op["op"] == "T"]


def place(thing):
    """The centre of a node, as (x, y)."""
    return tuple(map(float, thing["pos"].split(",")))


@st.composite
def graphs(draw, most=14):
    """Outputs of a random graph with shared inputs, sequences, and scopes that are left and entered again."""
    pool = [leaf(4) for _ in range(draw(st.integers(1, 3)))]
    for _ in range(draw(st.integers(1, most))):
        names = draw(st.lists(st.sampled_from(["a", "b", "step 1", "step 2"]), max_size=2))
        pick = lambda: pool[draw(st.integers(0, len(pool) - 1))]  # noqa: E731
        with mg.scope(names[0] if names else "c"), mg.scope(names[-1] if names else "d"):
            kind = draw(st.sampled_from(["tanh", "multiply", "constant", "halves", "lstm", "stack"]))
            if kind == "tanh":
                pool.append(mg.tanh(pick()))
            elif kind == "multiply":
                pool.append(pick() * pick())
            elif kind == "constant":
                pool.append(pick() * 2.0)
            elif kind == "halves":
                first, second = halves(pick())
                pool.append(mg.concatenate([second, first if draw(st.booleans()) else second]))
            elif kind == "lstm":
                steps = draw(st.sampled_from([1, 2, 5]))
                x = mg.reshape(mg.concatenate([pick()] * steps), (1, steps, 4))
                h, c = mg.lstm(x, mg.reshape(pick(), (1, 4)), leaf(4, 16), leaf(4, 16), leaf(16))
                pool.append((h if draw(st.booleans()) else c)[0, -1])
            else:
                pool.append(mg.stack([pick() for _ in range(draw(st.integers(1, 3)))]).sum(axis=0))
    numbers = draw(st.lists(st.integers(0, len(pool) - 1), min_size=1, max_size=3))
    return [pool[i] for i in numbers]
