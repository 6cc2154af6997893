"""Gradients are clipped by their joint norm, and entry by entry."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


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
