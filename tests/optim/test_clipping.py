"""Gradients are clipped by their joint norm, and entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim import optimizer as base
from tests.peers import Peer

PYTORCH = Peer(__name__)


def leaf(array: Any) -> mg.Tensor:
    return mg.tensor(array, requires_grad=True)


# --- by the joint norm ---------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([(), (0,), (3,), (2, 5)]), min_size=1, max_size=4), st.floats(1e-3, 1e3),
       st.integers(0, 1000))  # fmt: skip
def test_clipping(shapes, limit, seed):
    rng = np.random.default_rng(seed)
    grads = [rng.normal(size=shape) for shape in shapes]
    params = [leaf(np.zeros(shape)) for shape in shapes]
    for p, g in zip(params, grads, strict=True):
        p.grad = g.copy()
    norm = optim.clip_grad_norm([*params, leaf([1.0]), params[0]], limit)
    expected = math.sqrt(sum((g**2).sum() for g in grads))
    assert norm == pytest.approx(expected, rel=1e-12)
    for p, g in zip(params, grads, strict=True):
        np.testing.assert_allclose(p.grad, g * min(1.0, limit / expected if expected else 1.0), rtol=1e-12)


def test_clipping_large_and_odd_gradients():
    for array, norm in (
        (np.full(3 * base._BLOCK, 1e30, np.float32), 1e30 * math.sqrt(3 * base._BLOCK)),  # squares overflow
        (np.asfortranarray(np.arange(12.0).reshape(4, 3)), math.sqrt(506)), (np.array([3e200, 4e200]), 5e200),
        (np.array([3e-200, 4e-200]), 5e-200),
    ):  # fmt: skip
        p = leaf(np.zeros_like(array))
        p.grad = array.copy()
        assert optim.clip_grad_norm(iter([p]), norm / 2) == pytest.approx(norm, rel=1e-6)
        np.testing.assert_allclose(p.grad, array / 2, rtol=1e-6)
    for bad in (math.inf, math.nan):
        p.grad = np.array([bad, 2.0])
        assert not math.isfinite(optim.clip_grad_norm([p], 1.0))
        assert p.grad[1] == 2
    assert optim.clip_grad_norm([leaf([1.0])], 1.0) == 0


def test_clipping_gradients_that_share_memory():
    # Both parameters will move by the array, so it counts twice; it is scaled once, to the joint norm asked for.
    a, b, c = leaf(np.zeros(2)), leaf(np.zeros(2)), leaf(np.zeros(1))
    shared = np.array([3.0, 4.0])
    a.grad, b.grad, c.grad = shared, shared, np.array([math.sqrt(50)])
    assert optim.clip_grad_norm([a, b, c], 1.0) == pytest.approx(10)
    np.testing.assert_allclose(shared, [0.3, 0.4])
    assert optim.clip_grad_norm([a, b, c], 2.0) == pytest.approx(1)
    memory = np.arange(6.0)  # views that overlap in part, beside one that does not
    views = [memory[:3], memory[2:5], memory[1:4][::-1], memory[5:]]
    params = [leaf(np.zeros(v.shape)) for v in views]
    for p, v in zip(params, views, strict=True):
        p.grad = v
    norm = math.sqrt(sum(float(v @ v) for v in views))
    assert optim.clip_grad_norm(params, norm / 2) == pytest.approx(norm)
    np.testing.assert_allclose(memory, np.arange(6.0) / 2, rtol=1e-15)
    assert all(p.grad is v for p, v in zip(params, views, strict=True))


def test_clipping_a_gradient_that_cannot_be_written():
    a, b = leaf(np.zeros(2)), leaf(np.zeros(2))
    a.grad, b.grad = np.full(2, 5.0), np.full(2, 5.0)
    b.grad.flags.writeable = False
    with pytest.raises(ValueError, match=r"the gradient of parameter 1 \(float64 \(2,\)\) is read-only"):
        optim.clip_grad_norm([a, b], 1.0)
    assert a.grad.tolist() == [5, 5]


def test_refusals_of_norms():
    p, model = leaf([1.0]), mg.nn.Linear(2, 1)
    for make, kind, text in [
        (lambda: optim.clip_grad_norm(model, 1.0), TypeError, r"clip_grad_norm: .* module\.parameters\(\)"),
        (lambda: optim.clip_grad_norm([], None), TypeError, "clip_grad_norm: max_norm .* None"),
        (lambda: optim.clip_grad_norm(iter(()), 1.0), ValueError, "no parameters. A generator"),
        (lambda: optim.clip_grad_norm([p], 0), ValueError, "max_norm"),
    ]:
        with pytest.raises(kind, match=text):
            make()


# --- entry by entry ------------------------------------------------------------------------------------


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


def test_refusals_of_bounds():
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
