"""Layers and losses of each step of a sequence: references, PyTorch, the source's numbers, masks, and mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays

PYTORCH = Peer(__name__)


@st.composite
def affine_cases(draw):
    N, T, D, M = (draw(st.integers(0, 3)) for _ in range(4))
    return Case([draw(arrays(shape)) for shape in ((N, T, D), (D, M), (M,))])


@st.composite
def loss_cases(draw, low=-3.0, high=3.0):
    """Masks full, empty and mixed, as booleans or integers; targets of masked steps are nonsense."""
    N, T, V = draw(st.integers(0, 3)), draw(st.integers(0, 3)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    mask = {"all": np.ones((N, T), bool), "none": np.zeros((N, T), bool), "some": rng.random((N, T)) < 0.6}[
        draw(st.sampled_from(["all", "none", "some", "some"]))
    ]
    targets = np.where(mask, rng.integers(0, V, (N, T)), rng.choice([-1, V, 10**6], (N, T)))
    mask = mask.astype(draw(st.sampled_from([bool, np.int64, np.uint8])))
    return Case([draw(arrays((N, T, V), low, high)), targets, mask])


CASES = {"temporal_affine": affine_cases(), "temporal_softmax_loss": loss_cases()}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@given(affine_cases())
def test_temporal_affine_is_the_affine_map_of_each_step(case):
    x, W, b = case.inputs
    y = mg.temporal_affine(leaf(x), leaf(W), leaf(b))
    assert y.node.primitive is mg.affine.primitive  # so are its derivatives
    assert y.shape == (*x.shape[:2], W.shape[1])
    for t in range(x.shape[1]):
        np.testing.assert_allclose(y.data[:, t], mg.affine(x[:, t], W, b).data, rtol=1e-12, atol=1e-14)


def loss_and_gradient(scores, targets, mask, g=1.0):
    x = leaf(scores)
    outs, grads = pull(mg.ops.temporal_softmax_loss, [x, targets, mask], [np.asarray(g, scores.dtype)])
    return outs[0], grads[0]


def test_loss_agrees_with_pytorch():
    def theirs(torch, x, targets, mask):
        wanted = torch.where(mask, targets, -100).reshape(-1)
        return torch.nn.functional.cross_entropy(x.reshape(-1, 9), wanted, reduction="sum") / 4

    rng = np.random.default_rng(0)
    scores, targets = 3 * rng.standard_normal((4, 6, 9)), rng.integers(0, 9, (4, 6))
    for key, mask in (("some steps", rng.random((4, 6)) < 0.5), ("all steps", np.ones((4, 6), bool))):
        inputs = [scores, targets, mask]
        PYTORCH.compare(key, mg.ops.temporal_softmax_loss, theirs, inputs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_any_size(dtype):
    scores = np.array([[[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]]], dtype)
    loss, gradient = loss_and_gradient(scores, np.array([[1, 1]]), np.ones((1, 2), bool))
    np.testing.assert_allclose(loss, 2e4 + np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, [[[1, -1, 0], [0, -0.5, 0.5]]])


def test_what_lies_under_the_mask_does_not_matter():
    scores = np.zeros((1, 2, 3))
    scores[0, 1] = np.nan
    loss, gradient = loss_and_gradient(scores, np.array([[2, -7]]), np.array([[1, 0]]))
    assert loss == pytest.approx(np.log(3))
    np.testing.assert_array_equal(gradient[0, 1], 0)


@pytest.mark.parametrize("shape", [(2, 3, 4), (0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_nothing_counted_is_zero(shape):
    loss, gradient = loss_and_gradient(np.ones(shape), np.zeros(shape[:2], int), np.zeros(shape[:2], bool))
    assert loss == 0
    assert gradient.shape == shape
    assert not gradient.any()


def test_the_gradient_survives_a_second_pass():
    """The forward's buffer is the gradient itself for a cotangent of 1: nothing may write into it."""
    x = mg.tensor(np.random.default_rng(0).standard_normal((2, 3, 4)), requires_grad=True)
    loss = mg.ops.temporal_softmax_loss(x, np.ones((2, 3), int), np.ones((2, 3), bool))
    loss.backward(retain_graph=True)
    first = x.grad.copy()
    x.grad *= 7
    x.zero_grad()
    loss.backward(2.0 * np.ones(()))
    np.testing.assert_allclose(x.grad, 2 * first)


SCORES, TARGETS, MASK = np.zeros((2, 3, 4)), np.zeros((2, 3), int), np.ones((2, 3), bool)


@pytest.mark.parametrize(
    ("name", "inputs", "kind", "message"),
    [
        *(("temporal_affine", [np.ones(s) for s in shapes], ValueError, message) for shapes, message in [
            (((3, 4), (4, 5), (5,)), r"temporal_affine: x .*\(N, T, D\).* \(3, 4\)"),
            (((2, 3, 4), (3, 5), (5,)), r"W .*D = 4 as in x, not \(3, 5\)"),
            (((2, 3, 4), (4,), (5,)), r"W .*D = 4 as in x, not \(4,\)"),
            (((2, 3, 4), (4, 5), (1,)), r"b .*\(5,\).*, not \(1,\)"),
            (((2, 3, 4), (4, 5), ()), r"b .*\(5,\).*, not \(\)"),
        ]),
        *(("temporal_softmax_loss", inputs, kind, message) for inputs, kind, message in [
            ([SCORES[0], TARGETS, MASK], ValueError, r"temporal_softmax_loss\(.*scores must have 3 axes"),
            ([SCORES, TARGETS[:, :1], MASK], ValueError, r"targets .*\(2, 3\) as in scores, not \(2, 1\)"),
            ([SCORES, TARGETS, MASK[0]], ValueError, r"mask .*\(2, 3\) as in scores, not \(3,\)"),
            ([SCORES, 1.0 * TARGETS, MASK], TypeError, "targets .*integers, not float64"),
            ([SCORES, TARGETS, 1.0 * MASK], TypeError, "mask .*booleans.*, not float64"),
            ([SCORES, TARGETS, 2 * MASK], ValueError, "mask .*0 and 1, not 2"),
            ([SCORES, np.array([[0, 1, 2], [3, 4, 0]]), MASK], IndexError, r"targets\[1, 1\] is 4: .* 0 … 3"),
            ([SCORES, np.array([[0, -1, 2], [3, 3, 0]]), MASK], IndexError, r"targets\[0, 1\] is -1"),
        ]),
    ],
)  # fmt: skip
def test_refusals(name, inputs, kind, message):
    with pytest.raises(kind, match=message):
        getattr(mg.ops, name)(*inputs)


def test_the_gradient_of_a_bias_is_accurate_for_many_rows():
    g = np.random.default_rng(0).standard_normal((1, 5000, 40)).astype(np.float32)
    inputs = [leaf(np.zeros(shape, np.float32)) for shape in ((1, 5000, 1), (1, 40), (40,))]
    db = pull(mg.temporal_affine, inputs, [g])[1][2]
    exact = g.astype(np.float64).sum(axis=(0, 1))
    assert np.abs(db - exact).max() < 5e-7 * np.abs(exact).max()
