"""Gradients of parts of a batch add up to those of the batch; entries of gradients are bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn, optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


def trained(steps, split, make):
    """The weights of a network after some steps; ``split`` gives each batch's parts and their shares."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, 4, rng=0, dtype="float64"), nn.Tanh(), nn.Linear(4, 2, rng=1, dtype="float64"))
    optimizer = make(model.parameters())
    for _ in range(steps):
        x, y = rng.normal(size=(12, 3)), rng.integers(0, 2, 12)
        optimizer.zero_grad()
        for share, some_x, some_y in split(x, y):
            (share * mg.mse_loss(model(some_x), np.eye(2)[some_y])).backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
    return [p.data for p in model.parameters()]


@pytest.mark.parametrize("parts", [2, 5, 12, 20])
@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.1, 0.9), lambda p: optim.Adam(p, 0.01)])
def test_parts_give_the_step_of_the_batch(parts, make):
    whole = trained(5, lambda x, y: [(1.0, x, y)], make)
    for p, q in zip(trained(5, lambda x, y: optim.micro_batches(parts, x, y), make), whole, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)


def test_parts():
    parts = list(optim.micro_batches(3, list("abcdefg"), mg.tensor(np.arange(7.0))))
    assert [part[1] for part in parts] == [["a", "b", "c"], ["d", "e"], ["f", "g"]]
    assert [part[2].data.tolist() for part in parts] == [[0, 1, 2], [3, 4], [5, 6]]
    assert sum(part[0] for part in parts) == pytest.approx(1)
    assert list(optim.micro_batches(3, [])) == []
    for make, text in [(lambda: optim.micro_batches(0, [1]), "parts must be an integer of at least 1, not 0"),
                       (lambda: optim.micro_batches(2), "pass the arrays"),
                       (lambda: optim.micro_batches(2, [1], [1, 2]), "arrays have the lengths 1, 2")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            make()
    for array, found in [(None, "None"), (3, "int"), (np.ones(()), r"float64 \(\)")]:
        with pytest.raises(TypeError, match=rf"arrays must have rows along their first axes, not be list, {found}"):
            optim.micro_batches(2, [1, 2], array)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_entries_are_bounded_as_pytorchs(dtype):
    def theirs(torch, g, bound):
        p = torch.zeros(g.shape, dtype=getattr(torch, dtype), requires_grad=True)
        p.grad = torch.tensor(g)
        torch.nn.utils.clip_grad_value_([p], float(bound))
        return p.grad

    g = np.array([[-3.0, 0.5, -0.0], [math.inf, -math.inf, math.nan]], dtype)
    for bound in (0.0, 0.75, 1e4):
        answer = PYTORCH.ask(f"clip_grad_value {bound} {dtype}", theirs, [g, np.array(bound)])
        p = mg.tensor(np.zeros(g.shape, dtype), requires_grad=True)
        p.grad = answer.inputs[0].copy()
        assert optim.clip_grad_value([p, p], bound) is None
        np.testing.assert_array_equal(p.grad, answer.expected)


@pytest.mark.parametrize(("dtype", "bound", "expected"), [
    ("float16", 1e5, [65504, 3]), ("float16", math.inf, [math.inf, 3]), ("float64", 2.0, [2, 2]),
])  # fmt: skip
def test_bounds_beyond_the_range(dtype, bound, expected):
    p = mg.tensor(np.zeros(2, dtype), requires_grad=True)
    p.grad = np.array([math.inf, 3.0], dtype)
    optim.clip_grad_value([p, mg.tensor([1.0], requires_grad=True)], bound)
    assert p.grad.tolist() == expected


def test_refusals():
    p = mg.tensor(np.zeros(2), requires_grad=True)
    p.grad = np.broadcast_to(np.float64(3), 2)
    for bound, text in (
        (1.0, "parameter 0 .* read-only"),
        (-1.0, "clip_value"),
        (math.nan, "clip_value"),
        ("1", "clip_v"),
    ):
        with pytest.raises((ValueError, TypeError), match=f"clip_grad_value: .*{text}"):
            optim.clip_grad_value([p], bound)
