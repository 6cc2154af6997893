"""Temporal primitives: against references, PyTorch, the source's numbers, masks of all kinds, and mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
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
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@given(affine_cases())
def test_affine_is_the_formula(case):
    x, W, b = case.inputs
    np.testing.assert_allclose(mg.ops.temporal_affine(x, W, b).data, x @ W + b, atol=1e-12)


def test_affine_agrees_with_pytorch():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(5)
    theirs = lambda torch, x, W, b: x @ W + b  # noqa: E731
    PYTORCH.compare("affine", mg.ops.temporal_affine, theirs, inputs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((3, 4), (4, 5), (5,)), r"temporal_affine\(.*x must have 3 axes \(N, T, D\), not shape \(3, 4\)"),
        (((2, 3, 4), (3, 5), (5,)), r"W must be \(D, M\) with D = 4 as in x, not \(3, 5\)"),
        (((2, 3, 4), (4,), (5,)), r"W must be \(D, M\) with D = 4 as in x, not \(4,\)"),
        (((2, 3, 4), (4, 5), (1,)), r"b must be \(M,\) = \(5,\) as W's columns, not \(1,\)"),
        (((2, 3, 4), (4, 5), ()), r"b must be \(M,\) = \(5,\) as W's columns, not \(\)"),
    ],
)
def test_affine_refuses(shapes, message):
    with pytest.raises(ValueError, match=message):
        mg.ops.temporal_affine(*(np.ones(s) for s in shapes))


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


@pytest.mark.parametrize(("N", "T", "p"), [(100, 1, 1.0), (100, 10, 1.0), (5000, 10, 0.1)])
def test_loss_of_small_random_scores(N, T, p):
    """Source: the captioning exercise's sanity check: about log V for each unmasked step of a sequence."""
    rng = np.random.default_rng(0)
    mask = rng.random((N, T)) <= p
    loss, _ = loss_and_gradient(0.001 * rng.standard_normal((N, T, 10)), rng.integers(0, 10, (N, T)), mask)
    assert loss == pytest.approx(mask.sum() / N * np.log(10), rel=1e-3)


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
    loss.backward(2.0 * np.ones(()), retain_graph=True)
    np.testing.assert_allclose(x.grad, 2 * first)
    loss.backward()
    np.testing.assert_allclose(x.grad, 3 * first)


GOOD = {"scores": np.zeros((2, 3, 4)), "targets": np.zeros((2, 3), int), "mask": np.ones((2, 3), bool)}


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"scores": np.zeros((2, 3))}, ValueError, r"temporal_softmax_loss\(.*scores must have 3 axes"),
        (
            {"targets": np.zeros((2, 1), int)},
            ValueError,
            r"targets must be \(N, T\) = \(2, 3\) as in scores, not \(2, 1\)",
        ),
        ({"mask": np.ones(3, bool)}, ValueError, r"mask must be \(N, T\) = \(2, 3\) as in scores, not \(3,\)"),
        ({"targets": np.zeros((2, 3))}, TypeError, "targets must be integers, not float64"),
        ({"mask": np.ones((2, 3))}, TypeError, "mask must be of booleans, or integers 0 and 1, not float64"),
        ({"mask": np.full((2, 3), 2)}, ValueError, "mask must hold only 0 and 1, not 2"),
        ({"targets": np.array([[0, 1, 2], [3, 4, 0]])}, IndexError, r"targets\[1, 1\] is 4: .* 0 … 3"),
        ({"targets": np.array([[0, -1, 2], [3, 3, 0]])}, IndexError, r"targets\[0, 1\] is -1"),
    ],
)
def test_loss_refuses(change, kind, message):
    with pytest.raises(kind, match=message):
        mg.ops.temporal_softmax_loss(**(GOOD | change))


def test_the_loss_in_half_precision_does_not_overflow():
    scores = np.zeros((200, 100, 2), np.float16) + np.array([0, 10], np.float16)
    loss = mg.temporal_softmax_loss(scores, np.zeros((200, 100), int), np.ones((200, 100), bool))
    assert (loss.item(), loss.dtype) == (1000, np.float16)


def test_the_gradient_of_a_bias_is_accurate_for_many_rows():
    g = np.random.default_rng(0).standard_normal((1, 5000, 40)).astype(np.float32)
    inputs = [leaf(np.zeros(shape, np.float32)) for shape in ((1, 5000, 1), (1, 40), (40,))]
    db = pull(mg.temporal_affine, inputs, [g])[1][2]
    exact = g.astype(np.float64).sum(axis=(0, 1))
    assert np.abs(db - exact).max() < 5e-7 * np.abs(exact).max()
