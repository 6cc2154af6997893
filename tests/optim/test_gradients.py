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


@pytest.mark.parametrize("parts", [2, 4, 5, 12, 20])
@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.1, 0.9), lambda p: optim.Adam(p, 0.01)])
def test_parts_give_the_step_of_the_batch(parts, make):
    whole = trained(5, lambda x, y: [(1.0, x, y)], make)
    by_parts = trained(5, lambda x, y: optim.micro_batches(parts, x, y), make)
    for p, q in zip(by_parts, whole, strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)
    if 12 % parts == 0:  # by hand
        by_hand = trained(
            5, lambda x, y: zip([1 / parts] * parts, np.split(x, parts), np.split(y, parts), strict=True), make
        )
        for p, q in zip(by_hand, whole, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-12, atol=1e-14)


def test_parts():
    parts = list(optim.micro_batches(3, list("abcdefg"), mg.tensor(np.arange(7.0))))
    assert [part[1] for part in parts] == [["a", "b", "c"], ["d", "e"], ["f", "g"]]
    assert [part[2].data.tolist() for part in parts] == [[0, 1, 2], [3, 4], [5, 6]]
    assert sum(part[0] for part in parts) == pytest.approx(1)
    assert list(optim.micro_batches(3, [])) == []
    for make, text in [(lambda: optim.micro_batches(0, [1]), "parts must be an integer of at least 1, not 0"),
                       (lambda: optim.micro_batches(2), "give the arrays of a batch"),
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


def test_bounds_and_gradients_that_are_odd():
    half = mg.tensor(np.zeros(2, "float16"), requires_grad=True)
    half.grad = np.array([math.inf, 3.0], "float16")
    optim.clip_grad_value([half, mg.tensor([1.0], requires_grad=True)], 1e5)
    assert half.grad.tolist() == [65504, 3]
    half.grad = np.array([math.inf, 3.0], "float16")
    optim.clip_grad_value([half], math.inf)
    assert half.grad.tolist() == [math.inf, 3]
    large = mg.tensor(np.zeros((3, 200_000)), requires_grad=True)
    large.grad = np.full((200_000, 3), -5.0).T
    optim.clip_grad_value([large], 2.0)
    assert (large.grad == -2).all()
    large.grad = np.broadcast_to(np.float64(3), large.shape)
    with pytest.raises(ValueError, match=r"clip_grad_value: the gradient of parameter 1 .* is read-only"):
        optim.clip_grad_value([half, large], 1.0)
    for bound, kind in ((-1.0, ValueError), (math.nan, ValueError), ("1", TypeError)):
        with pytest.raises(kind, match="clip_grad_value: clip_value must be"):
            optim.clip_grad_value([half], bound)
