"""Optimisers against the textbook formulas and PyTorch; clipping; schedules; state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim import base
from tests.peers import Peer

PYTORCH = Peer(__name__)


def leaf(array: Any) -> mg.Tensor:
    return mg.tensor(array, requires_grad=True)


# --- the textbook, one scalar formula after the other, on float64 arrays -------------------------------


def book_sgd(p, grads, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    v = np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
    return p


def book_rmsprop(p, grads, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
    v, u = np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        u = momentum * u + g / (np.sqrt(v) + eps)
        p = p - lr * u
    return p


def book_adam(p, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, start=1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return p


METHODS = [
    ("SGD", book_sgd, {"lr": 0.1}),
    ("SGD", book_sgd, {"lr": 0.1, "momentum": 0.9}),
    ("SGD", book_sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("SGD", book_sgd, {"lr": 0.1, "weight_decay": 0.05}),
    ("RMSprop", book_rmsprop, {}),
    ("RMSprop", book_rmsprop, {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8}),
    ("Adam", book_adam, {}),
    ("Adam", book_adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}),
    ("AdamW", lambda *a, **k: book_adam(*a, **{"weight_decay": 1e-2, **k}, decoupled=True), {}),
    ("AdamW", lambda *a, **k: book_adam(*a, **k, decoupled=True), {"lr": 0.02, "eps": 1e-2, "weight_decay": 0.3}),
]
NAMES = [f"{name}-{'-'.join(options)}" for name, _, options in METHODS]


def run(name: str, p: mg.Tensor, grads: Any, options: dict[str, Any]) -> optim.Optimizer:
    optimizer = getattr(optim, name)([p], **options)
    for g in grads:
        p.grad = g.astype(p.dtype)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize(("name", "book", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 4), (base._BLOCK + 17,), (2, base._BLOCK)])
def test_textbook(name, book, options, shape):
    rng = np.random.default_rng(0)
    start, grads = rng.normal(size=shape), [rng.normal(size=shape) for _ in range(6)]
    p = leaf(start)
    array = p.data
    run(name, p, grads, options)
    assert p.data is array
    np.testing.assert_allclose(array, book(start, grads, **options), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "book", "options"), METHODS, ids=NAMES)
def test_layouts_and_readonly_gradients(name, book, options):
    rng = np.random.default_rng(1)
    start = rng.normal(size=(5, 7))
    grads = [np.asfortranarray(rng.normal(size=(5, 7))) for _ in range(3)]
    for g in grads:
        g.flags.writeable = False
    p = leaf(np.asfortranarray(start))
    assert not p.data.flags.c_contiguous
    optimizer = getattr(optim, name)([p], **options)
    for g in grads:
        p.grad = g
        optimizer.step()
    np.testing.assert_allclose(p.data, book(start, grads, **options), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "book", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch(name, book, options, dtype):
    def theirs(torch, start, grads):
        parameter = torch.tensor(start, requires_grad=True)
        defaults = {} if name != "AdamW" else {"weight_decay": 1e-2}
        optimizer = getattr(torch.optim, name)([parameter], **{**defaults, **options})
        for g in grads:
            parameter.grad = torch.tensor(g)
            optimizer.step()
        return parameter

    rng = np.random.default_rng(2)
    drawn = rng.normal(size=(7, 9)).astype(dtype), rng.normal(size=(20, 7, 9)).astype(dtype)
    answer = PYTORCH.ask(f"{name} {options} {dtype}", theirs, drawn)
    start, grads = answer.inputs
    p = leaf(start)
    run(name, p, grads, options)
    assert p.dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(p.data, answer.expected, rtol=tolerance, atol=tolerance)


def test_every_memory_keeps_the_dtype():
    for dtype in ("float16", "float32", "float64"):
        for name, _, options in METHODS:
            p = leaf(np.ones(3, dtype))
            optimizer = run(name, p, [np.ones(3)] * 2, options)
            assert p.dtype == dtype
            assert all(a.dtype == dtype for arrays in optimizer.memory.values() for a in arrays)


def test_parameters_without_gradient_are_skipped_and_count_their_own_steps():
    def four_steps(a, b, optimizer, full):
        for step in range(4):
            optimizer.zero_grad()
            a.grad = full(0.5 + step)
            if step >= 2:
                b.grad = full(2.0 - step)
            optimizer.step()
            yield step

    def theirs(torch):
        a, b = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        optimizer = torch.optim.Adam([a, b], lr=0.1)
        list(four_steps(a, b, optimizer, lambda x: torch.full((2,), x, dtype=torch.float64)))
        return a, b

    a, b = leaf(np.ones(2)), leaf(np.ones(2))
    mine = optim.Adam([a, b], lr=0.1)
    for step in four_steps(a, b, mine, lambda x: np.full(2, x)):
        assert step >= 2 or (b.data == 1).all()
    assert mine.steps == [4, 2]
    for p, expected in zip((a, b), PYTORCH.ask("steps of their own", theirs).expected, strict=True):
        np.testing.assert_allclose(p.data, expected, rtol=1e-12)


def test_frozen_and_repeated_parameters():
    a, b = leaf([1.0]), leaf([1.0])
    optimizer = optim.SGD([a, b, a], lr=1.0)
    assert [id(p) for p in optimizer.params] == [id(a), id(b)]
    a.grad, b.grad = np.ones(1, np.float32), np.ones(1, np.float32)
    b.requires_grad = False
    optimizer.step()
    assert a.item() == 0
    assert b.item() == 1


def test_a_changed_learning_rate_counts():
    p = leaf(np.zeros(1))
    optimizer = optim.SGD([p], lr=1.0)
    for lr in (1.0, 0.5):
        optimizer.lr = lr
        p.grad = np.ones(1)
        optimizer.step()
    assert p.item() == -1.5


def test_training_reaches_a_minimum():
    for name, _, options in METHODS:
        if "weight_decay" in options or name == "AdamW":
            continue
        x = leaf(np.array([1.0, -2.0]))
        optimizer = getattr(optim, name)([x], **{**options, "lr": 0.05})
        for _ in range(300):
            optimizer.zero_grad()
            (x * x).backward(np.ones(2))
            optimizer.step()
        assert np.abs(x.data).max() < 0.05, name


def test_complaints():
    p = leaf([1.0])
    for make, kind, text in [
        (lambda: optim.SGD(p, lr=1), TypeError, r"pass \[tensor\]"),
        (lambda: optim.SGD([], lr=1), ValueError, "no parameters"),
        (lambda: optim.SGD([np.ones(2)], lr=1), TypeError, "parameter 0 must be a Tensor, not ndarray"),
        (lambda: optim.SGD([p * 2.0], lr=1), ValueError, r"parameter 0 \(float32 \(1,\)\) is the result"),
        (lambda: optim.SGD([mg.tensor([1])], lr=1), TypeError, "floating dtype, not int64"),
        (lambda: optim.SGD([p], lr=-1), ValueError, "lr must be finite and at least 0, not -1"),
        (lambda: optim.SGD([p], lr=math.nan), ValueError, "lr must be"),
        (lambda: optim.SGD([p], lr=1, momentum=1), ValueError, r"momentum must be in \[0, 1\)"),
        (lambda: optim.SGD([p], lr=1, nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda: optim.Adam([p], betas=(0.9, 1.0)), ValueError, r"betas must be in \[0, 1\), not \(0.9, 1.0\)"),
        (lambda: optim.Adam([p], eps=-1e-8), ValueError, "eps must be"),
        (lambda: optim.RMSprop([p], alpha=1.5), ValueError, "alpha must be in"),
        (lambda: optim.AdamW([p], weight_decay=math.inf), ValueError, "weight_decay must be finite"),
        (lambda: optim.StepLR(optim.SGD([p], lr=1), 0), ValueError, "step_size must be a positive integer"),
        (lambda: optim.clip_grad_norm([p], 0), ValueError, "max_norm must be above 0"),
    ]:
        with pytest.raises(kind, match=text):
            make()


def test_late_momentum_and_replaced_data_are_refused():
    for name in ("SGD", "RMSprop"):
        p = leaf([1.0])
        optimizer = getattr(optim, name)([p], lr=0.1)
        optimizer.momentum, p.grad = 0.9, np.ones(1, np.float32)
        with pytest.raises(ValueError, match="momentum must be given when"):
            optimizer.step()
    p = leaf([1.0])
    p.grad = np.ones(1, np.float32)
    optimizer = optim.SGD([p], lr=0.1)
    p.data = np.ones(2, np.float32)
    with pytest.raises(ValueError, match=r"parameter 0 is float32 \(2,\), its gradient float32 \(1,\)"):
        optimizer.step()


# --- state ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "book", "options"), METHODS, ids=NAMES)
def test_state_resumes_exactly(name, book, options, tmp_path):
    rng = np.random.default_rng(3)
    start, grads = rng.normal(size=(4, 5)), [rng.normal(size=(4, 5)) for _ in range(6)]
    through = leaf(start)
    run(name, through, grads, options)
    half = leaf(start)
    state = run(name, half, grads[:3], {**options, "lr": options.get("lr", 0.01)}).state_dict()
    assert all(isinstance(a, np.ndarray) and a.dtype in (np.float64, np.int64) for a in state.values())
    if "lr" not in options:
        return  # the run above took another rate
    resumed = getattr(optim, name)([half], **{**options, "lr": 77.0})
    resumed.load_state_dict(state)
    assert repr(resumed) == repr(getattr(optim, name)([half], **options))
    for g in grads[3:]:
        half.grad = g
        resumed.step()
    np.testing.assert_array_equal(half.data, through.data)


def test_state_is_a_copy():
    p = leaf(np.ones(2))
    optimizer = run("Adam", p, [np.ones(2)], {})
    state = optimizer.state_dict()
    kept = {name: array.copy() for name, array in state.items()}
    p.grad = np.ones(2)
    optimizer.step()
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])


def test_an_integer_rate_does_not_round_a_loaded_one():
    p = leaf([1.0])
    optimizer = optim.SGD([p], lr=1)
    optimizer.lr = 2
    optimizer.load_state_dict(optim.SGD([p], lr=0.5).state_dict())
    assert optimizer.lr == 0.5


def test_a_bad_state_changes_nothing():
    def fresh():
        return run("Adam", leaf(np.ones(2)), [np.ones(2)], {})

    good = run("Adam", leaf(np.ones(2)), [np.ones(2)] * 5, {"lr": 0.5}).state_dict()
    for change, text in [
        ({"m.0": None}, "m.0 is missing"),
        ({"m.1": np.ones(2)}, "m.1 is unexpected"),
        ({"v.0": np.ones(3)}, r"v.0 is float64 \(2,\) here, float64 \(3,\) in the state"),
        ({"v.0": np.ones(2, np.float32)}, r"v.0 is float64 \(2,\) here, float32"),
        ({"step.0": np.array(-1)}, "step counts must not be negative"),
        ({"lr": np.array(math.nan)}, "lr must be finite"),
        ({"betas": np.array([0.5, 1.0])}, "betas must be"),
        ({"lr": np.array("fast")}, "lr is float64"),
    ]:
        optimizer, expected = fresh(), fresh().state_dict()
        state = {name: array for name, array in {**good, **change}.items() if array is not None}
        with pytest.raises(ValueError, match=text):
            optimizer.load_state_dict(state)
        for name, array in optimizer.state_dict().items():
            np.testing.assert_array_equal(array, expected[name])


# --- clipping ------------------------------------------------------------------------------------------


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
    p = leaf(np.zeros(3 * base._BLOCK, np.float32))
    p.grad = np.full(p.shape, 1e30, np.float32)  # whose squares overflow in float32
    assert optim.clip_grad_norm([p], 1.0) == pytest.approx(1e30 * math.sqrt(p.size), rel=1e-6)
    assert p.grad.dtype == np.float32
    assert np.linalg.norm(p.grad) == pytest.approx(1, rel=1e-4)
    q = leaf(np.zeros((4, 3)))
    q.grad = np.asfortranarray(np.arange(12.0).reshape(4, 3))
    assert optim.clip_grad_norm(iter([q]), 1.0) == pytest.approx(math.sqrt(506))
    huge = leaf(np.zeros(2))
    huge.grad = np.array([3e200, 4e200])
    assert optim.clip_grad_norm([huge], 1.0) == pytest.approx(5e200)
    np.testing.assert_allclose(huge.grad, [0.6, 0.8])
    for bad in (math.inf, math.nan):
        q.grad = np.full((4, 3), 2.0)
        q.grad[0, 0] = bad
        assert not math.isfinite(optim.clip_grad_norm([q], 1.0))
        assert q.grad[1, 1] == 2
    assert optim.clip_grad_norm([leaf([1.0])], 1.0) == 0
    assert optim.clip_grad_norm([], 1.0) == 0


# --- schedules -----------------------------------------------------------------------------------------


def rates(make: Any, steps: int, lr: float = 0.5) -> list[float]:
    optimizer = optim.SGD([leaf([1.0])], lr=lr)
    schedule = make(optimizer)
    got = [optimizer.lr]
    for _ in range(steps):
        schedule.step()
        got.append(optimizer.lr)
    return got


def test_schedules():
    assert rates(lambda o: optim.StepLR(o, 2, 0.5), 5) == [0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    np.testing.assert_allclose(rates(lambda o: optim.ExponentialLR(o, 0.9), 3), [0.5, 0.45, 0.405, 0.3645])
    cosine = [0.5, 0.3 + 0.2 * math.sqrt(0.5), 0.3, 0.3 - 0.2 * math.sqrt(0.5), 0.1, 0.1, 0.1]
    np.testing.assert_allclose(rates(lambda o: optim.CosineLR(o, 4, 0.1), 6), cosine)
    np.testing.assert_allclose(rates(lambda o: optim.WarmupLR(o, 4), 5), [0.125, 0.25, 0.375, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(
        rates(lambda o: optim.WarmupLR(o, 2, optim.CosineLR(o, 2)), 5), [0.25, 0.5, 0.5, 0.25, 0, 0], atol=1e-15
    )
    assert rates(lambda o: optim.CosineLR(o, 4), 2, lr=0.0) == [0, 0, 0]


def test_schedules_match_pytorch():
    def theirs(torch, name, *options):
        optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        schedule, found = getattr(torch.optim.lr_scheduler, name)(optimizer, *options), [0.5]
        for _ in range(9):
            optimizer.step()
            schedule.step()
            found.append(optimizer.param_groups[0]["lr"])
        return found

    for mine, *call in (
        (lambda o: optim.StepLR(o, 3, 0.3), "StepLR", 3, 0.3),
        (lambda o: optim.ExponentialLR(o, 0.8), "ExponentialLR", 0.8),
        (lambda o: optim.CosineLR(o, 9, 0.01), "CosineAnnealingLR", 9, 0.01),
    ):
        expected = PYTORCH.ask(f"schedule {call[0]}", theirs, call).expected
        np.testing.assert_allclose(rates(mine, 9), expected, rtol=1e-12)


def test_schedule_state():
    optimizer = optim.SGD([leaf([1.0])], lr=0.5)
    schedule = optim.StepLR(optimizer, 2, 0.5)
    for _ in range(3):
        schedule.step()
    state = schedule.state_dict()
    other = optim.SGD([leaf([1.0])], lr=9.0)
    resumed = optim.StepLR(other, 2, 0.5)
    resumed.load_state_dict(state)
    assert other.lr == 0.25
    resumed.step()
    assert other.lr == 0.125
    with pytest.raises(ValueError, match="count is missing"):
        resumed.load_state_dict({"base_lr": np.array(0.5)})
    with pytest.raises(ValueError, match="finite and at least 0"):
        resumed.load_state_dict({"base_lr": np.array(0.5), "count": np.array(-1)})
    assert other.lr == 0.125
    with pytest.raises(ValueError, match="same optimiser"):
        optim.WarmupLR(other, 2, schedule)
