"""The summary of a module: shapes, parameters, multiply-adds and residuals against independent counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import nn
from minigrad.backward import graph_of
from minigrad.render import summary


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


class Function(nn.Module):
    """A parameter and a function of it and the input."""

    def __init__(self, function: Any, *shape: int) -> None:
        self.w, self.function = nn.Parameter(ones(*shape)), function

    def forward(self, *args: Any) -> Any:
        return self.function(*args, self.w)


# --- the tree -------------------------------------------------------------------------------------------


def test_a_small_network_by_hand():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))
    result = summary(net, ones(5, 3))
    assert [(row.name, row.depth, row.kind) for row in result.rows] == [
        ("", 0, "Sequential"), ("0", 1, "Linear"), ("1", 1, "Tanh"), ("2", 1, "Linear")]  # fmt: skip
    assert [[shape for shape, _ in row.outputs] for row in result.rows] == [[(5, 2)], [(5, 4)], [(5, 4)], [(5, 2)]]
    assert [row.parameters for row in result.rows] == [0, 3 * 4 + 4, 0, 4 * 2]
    assert [row.multiply_adds for row in result.rows] == [0, 5 * 3 * 4, 0, 5 * 4 * 2]
    # x for the first product; the activation, which serves the second product too
    assert [row.residual_bytes for row in result.rows] == [0, 5 * 3 * 4, 5 * 4 * 4, 0]
    assert (result.parameters, result.multiply_adds, result.residual_bytes) == (24, 100, 140)
    assert result.parameter_bytes == 96


def test_the_table_is_aligned_and_adds_up():
    text = str(summary(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU()), ones(2, 1, 9, 9)))
    header, rule, *rows, _, total, note = text.splitlines()
    assert header.split() == ["module", "output", "parameters", "multiply-adds", "residuals"]
    assert len({len(line) for line in (header, rule, *rows, total)}) == 1
    assert total.split()[1:3] == ["80", f"{2 * 8 * 7 * 7 * 9:,}"]
    assert note == "parameters take 320 B"


def test_shared_and_unused_modules():
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = [nn.Linear(4, 4), {"deep": nn.Linear(4, 4)}]
            self.again, self.parent, self.unused = self.layers[0], [self], nn.Dropout()

        def forward(self, x: Any) -> Any:
            return self.again(self.layers[1]["deep"](self.layers[0](x)))

    result = summary(Net(), ones(2, 4))
    assert [(row.name, row.same_as, row.calls) for row in result.rows] == [
        ("", None, 1), ("layers.0", None, 2), ("layers.1.deep", None, 1), ("again", "layers.0", 0), ("parent.0", "", 0),
        ("unused", None, 0)]  # fmt: skip
    assert (result.rows[1].multiply_adds, result.parameters) == (2 * 2 * 4 * 4, 2 * 20)
    assert all(part in str(result) for part in ("[2×4]  (2 calls)", "the same as layers.0", "the same as the whole"))


def test_shared_parameters_count_once():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    result = summary(net, ones(1, 3))
    assert result.parameters == 9 + 3 + 3
    assert result.parameter_bytes == 4 * 15
    assert result.multiply_adds == 18


def test_several_outputs_keyword_arguments_and_dtypes():
    class Net(nn.Module):
        def __init__(self) -> None:
            self.lstm = nn.LSTM(3, 4, dtype=np.float64)

        def forward(self, x: Any, *, state: Any) -> Any:
            h, last = self.lstm(x, state)
            return {"h": h, "last": last, "numbers": [np.arange(3), "text"]}

    zero = np.zeros((2, 4))
    result = summary(Net(), np.ones((2, 5, 3)), state=(zero, zero))
    shapes = [(2, 5, 4), (2, 4), (2, 4)]
    assert [[shape for shape, _ in row.outputs] for row in result.rows] == [[*shapes, (3,)], shapes]
    assert "[2×5×4] float64" in str(result)


# --- the call leaves no trace ---------------------------------------------------------------------------


def test_the_module_is_unchanged_even_after_an_error():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    before = [dict(vars(module)) for module in net.modules()]
    summary(net, ones(1, 3))
    with pytest.raises(ValueError, match="Linear: the last axis of x must be 3"):
        summary(net, ones(1, 4))
    assert [vars(module) for module in net.modules()] == before
    assert all(p.grad is None for p in net.parameters())


def test_it_works_under_no_grad_and_within_record():
    net = nn.Linear(2, 3)
    expected = str(summary(net, ones(4, 2)))
    for context in (mg.no_grad(), mg.record()):
        with context:
            assert str(summary(net, ones(4, 2))) == expected


def test_only_modules_have_a_summary():
    with pytest.raises(TypeError, match="summary: expected a Module, not function"):
        summary(lambda x: x, ones(1))


# --- residuals ------------------------------------------------------------------------------------------


def test_frozen_parts_keep_no_residuals():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    for p in net[0].parameters():
        p.requires_grad = False
    result = summary(net, ones(5, 3))
    assert "16 of them require no gradient" in str(result)
    assert [row.multiply_adds for row in result.rows] == [0, 60, 0, 40]
    assert [row.residual_bytes for row in result.rows] == [0, 0, 0, 5 * 4 * 4]


def test_residuals_are_those_of_the_graph():
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5, rng=0), nn.Linear(5, 4))
    result = summary(net, ones(7, 6))
    arrays = [a for node in graph_of([net(ones(7, 6)).node]).nodes for a in node.residuals if isinstance(a, np.ndarray)]
    owners = {id(owner): owner for a in arrays for owner in [a if a.base is None else a.base]}
    parameters = {id(p.data) for p in net.parameters()}
    assert result.residual_bytes == sum(owner.nbytes for key, owner in owners.items() if key not in parameters)


def test_shared_memory_counts_once():
    twice = Function(lambda x, w: (x * w) * (x * w), 3)
    assert summary(twice, mg.tensor(ones(3))).residual_bytes == 12 + 2 * 12  # x; both products
    views = Function(lambda x, w: mg.concatenate([mg.square(y) for y in mg.split(mg.tanh(x * w), 3)]), 30)
    # x; the tanh, of which the parts are views
    assert summary(views, mg.tensor(ones(30))).residual_bytes == 120 + 120


# --- multiply-adds --------------------------------------------------------------------------------------


def products(forward: Any, *arrays: np.ndarray) -> int:
    """The multiply-adds of a function whose last argument is the parameter."""
    module = Function(forward, *arrays[-1].shape)
    return summary(module, *arrays[:-1]).multiply_adds


@given(st.data())
def test_einsum_of_two_is_a_count_of_loops(data):
    size = {letter: data.draw(st.integers(1, 4)) for letter in "ijkl"}
    terms = [data.draw(st.lists(st.sampled_from("ijkl"), unique=True, max_size=3)) for _ in range(2)]
    letters = sorted({*terms[0], *terms[1]})
    output = data.draw(st.lists(st.sampled_from(letters), unique=True)) if letters else []
    text = f"{''.join(terms[0])},{''.join(terms[1])}->{''.join(output)}"
    loops = int(np.prod([size[letter] for letter in letters]))
    a, b = (ones(*(size[letter] for letter in term)) for term in terms)
    assert products(lambda x, w: mg.einsum(text, x, w), a, b) == loops


@pytest.mark.parametrize(
    ("function", "shapes", "count"),
    [
        (mg.matmul, [(3,), (3,)], 3),
        (mg.matmul, [(2, 3), (3,)], 6),
        (mg.matmul, [(3,), (3, 5)], 15),
        (mg.matmul, [(7, 2, 3), (3, 5)], 210),
        (mg.matmul, [(7, 1, 2, 3), (4, 3, 5)], 840),
        (mg.matmul, [(2, 0), (0, 5)], 0),
        (lambda x, w: mg.einsum("...ij,jk", x, w), [(6, 2, 3), (3, 4)], 6 * 2 * 3 * 4),
        (lambda x, w: mg.einsum("ij,ij->i", x, w), [(1, 3), (5, 3)], 15),
        (lambda w: mg.einsum("ii->", w), [(3, 3)], 0),
        # NumPy multiplies the two short vectors first, and the sum over j is then a number
        (lambda x, y, w: mg.einsum("i,j,j->i", x, y, w), [(50,), (40,), (40,)], 40 + 50),
        (lambda x, w: mg.conv2d(x, w, stride=2, padding=1), [(2, 4, 7, 6), (8, 4, 3, 2)], (2 * 8 * 4 * 4) * 4 * 3 * 2),
        (lambda x, w: mg.conv2d(x, w, dilation=2), [(2, 4, 7, 6), (8, 4, 3, 2)], (2 * 8 * 3 * 4) * 4 * 3 * 2),
        (lambda x, w: mg.conv2d(x, w, groups=4, stride=(1, 2)), [(2, 4, 7, 6), (8, 1, 3, 2)], (2 * 8 * 5 * 3) * 3 * 2),
        (lambda x, w: mg.conv_transpose2d(x, w, stride=2), [(2, 4, 5, 4), (4, 6, 3, 2)], (2 * 4 * 5 * 4) * 6 * 3 * 2),
        (lambda x, w: mg.conv_transpose2d(x, w, groups=2), [(2, 4, 5, 4), (4, 3, 3, 2)], (2 * 4 * 5 * 4) * 3 * 3 * 2),
        (lambda x, w: mg.softmax(mg.tanh(x * w) + w), [(2, 3), (3,)], 0),
    ],
)
def test_multiply_adds(function, shapes, count):
    assert products(function, *(ones(*shape) for shape in shapes)) == count


@pytest.mark.parametrize(("name", "gates"), [("rnn", 1), ("lstm", 4)])
def test_sequences_cost_as_much_as_their_steps(name, gates):
    N, T, D, H = 2, 3, 4, 5
    layer = (nn.RNN if name == "rnn" else nn.LSTM)(D, H)
    expected = N * T * (D + H) * gates * H
    assert summary(layer, ones(N, T, D)).multiply_adds == expected

    weights, zero = (layer.Wx, layer.Wh, layer.b), mg.tensor(ones(N, H))

    def steps(x: Any, *weights: Any) -> Any:
        state = (zero,) * (1 if gates == 1 else 2)
        for t in range(T):
            state = getattr(mg.ops, f"{name}_step")(x[:, t], *state, *weights)
            state = state if isinstance(state, tuple) else (state,)
        return state

    reference = getattr(mg.ops, name).primitive.reference
    for function in (steps, lambda x, *weights: reference(x, zero, *weights)):
        module = Function(lambda x, _, function=function: function(mg.tensor(x), *weights))
        assert summary(module, ones(N, T, D)).multiply_adds == expected


def test_custom_primitives_are_not_counted():
    @mg.primitive(broadcasts=True)
    def matmul(a, b):
        return a * b, (a, b)

    try:
        result = summary(Function(matmul, 3), ones(3))
    finally:
        del mg.primitives.PRIMITIVES[f"{matmul.primitive.module}.matmul"]
    assert result.multiply_adds == 0
    assert result.uncounted == ("matmul",)
    assert "unknown cost: matmul" in str(result)
