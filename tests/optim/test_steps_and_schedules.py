"""Optimisers against PyTorch; clipping; schedules; state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from minigrad.optim import optimizer as base
from tests.peers import Peer

PYTORCH = Peer(__name__)


def leaf(array: Any) -> mg.Tensor:
    return mg.tensor(array, requires_grad=True)


# --- steps ---------------------------------------------------------------------------------------------


METHODS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "eps": 1e-2, "weight_decay": 0.3}),
]
NAMES = [f"{name}-{'-'.join(options)}" for name, options in METHODS]


def run(name: str, p: mg.Tensor, grads: Any, options: dict[str, Any]) -> optim.Optimizer:
    optimizer = getattr(optim, name)([p], **options)
    for g in grads:
        p.grad = g.astype(p.dtype)
        optimizer.step()
    return optimizer


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch(name, options, dtype):
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


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("layout", ["contiguous", "several blocks", "transposed", "0-d"])
def test_a_step_of_halves_is_the_one_of_singles_rounded_once(name, options, layout):
    rng = np.random.default_rng(4)
    shape = {"several blocks": (base._BLOCK + 5,), "0-d": ()}.get(layout, (4, 6))
    values, gradient = rng.normal(size=shape).astype(np.float16), rng.normal(size=shape).astype(np.float16)
    order: Any = "F" if layout == "transposed" else "C"
    half, single = leaf(np.asarray(values, order=order)), leaf(np.asarray(values.astype(np.float32), order=order))
    array = half.data
    mine, other = run(name, half, [gradient], options), run(name, single, [gradient], options)
    assert half.data is array
    np.testing.assert_array_equal(array, single.data.astype(np.float16))
    for key, kept in other.state.items():
        np.testing.assert_array_equal(mine.state[key][0], kept[0])


def test_the_state_of_halves_is_single_and_half_memory_is_refused():
    optimizer = run("Adam", leaf(np.ones(2, np.float16)), [np.full(2, 1e-4)] * 3, {})
    state = optimizer.state_dict()
    assert state["m.0"].dtype == state["v.0"].dtype == np.float32
    with pytest.raises(ValueError, match=r"v\.0 is float32 \(2,\) here, float16 \(2,\)"):
        optimizer.load_state_dict({**state, "v.0": state["v.0"].astype(np.float16)})


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


def test_complaints():
    p, model = leaf([1.0]), mg.nn.Linear(2, 1)
    for make, kind, text in [
        (lambda: optim.SGD(p, lr=1), TypeError, r"\[tensor\]"),
        (lambda: optim.SGD(model, 0.1), TypeError, r"SGD: params .* Linear.* module\.parameters\(\)"),
        (lambda: optim.SGD(None, 0.1), TypeError, "SGD: params .* None"),
        (lambda: optim.clip_grad_norm(model, 1.0), TypeError, r"clip_grad_norm: .* module\.parameters\(\)"),
        (lambda: optim.SGD([p], lr="0.1"), TypeError, "SGD: lr .* str"),
        (lambda: optim.SGD([p], lr=np.ones(1)), TypeError, r"SGD: lr .* float64 \(1,\)"),
        (lambda: optim.SGD([p], lr=10**400), ValueError, "SGD: lr must be finite"),
        (lambda: optim.Adam([p], betas=("a", 0.9)), TypeError, "Adam: betas .* str"),
        (lambda: optim.clip_grad_norm([], None), TypeError, "clip_grad_norm: max_norm .* None"),
        (lambda: optim.SGD([], lr=1), ValueError, "no parameters"),
        (lambda: optim.clip_grad_norm(iter(()), 1.0), ValueError, "no parameters. A generator"),
        (lambda: optim.SGD([np.ones(2)], lr=1), TypeError, "parameter 0 .* ndarray"),
        (lambda: optim.SGD([p * 2.0], lr=1), ValueError, r"parameter 0 \(float32 \(1,\)\)"),
        (lambda: optim.SGD([mg.tensor([1])], lr=1), TypeError, "int64"),
        (lambda: optim.SGD([p], lr=-1), ValueError, "lr .* -1"),
        (lambda: optim.SGD([p], lr=1, momentum=1), ValueError, r"momentum must be in \[0, 1\)"),
        (lambda: optim.SGD([p], lr=1, nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda: optim.Adam([p], betas=(0.9, 1.0)), ValueError, r"betas .* 1\.0"),
        (lambda: optim.AdamW([p], betas=0.9), ValueError, "AdamW: betas .* 0.9"),
        (lambda: optim.Adam([p], eps=-1e-8), ValueError, "eps"),
        (lambda: optim.RMSprop([p], alpha=1.5), ValueError, "alpha"),
        (lambda: optim.AdamW([p], weight_decay=math.inf), ValueError, "weight_decay"),
        (lambda: optim.StepLR(optim.SGD([p], lr=1), 0), ValueError, "step_size"),
        (lambda: optim.clip_grad_norm([p], 0), ValueError, "max_norm"),
    ]:
        with pytest.raises(kind, match=text):
            make()


# --- state ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
def test_state_resumes_exactly(name, options):
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
    np.testing.assert_allclose(rates(lambda o: optim.CosineLR(o, 2, 0.1), 3, lr=0.0), [0, 0.05, 0.1, 0.1])
    np.testing.assert_allclose(rates(lambda o: optim.WarmupLR(o, 4), 5), [0.125, 0.25, 0.375, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(
        rates(lambda o: optim.WarmupLR(o, 2, optim.CosineLR(o, 2)), 5), [0.25, 0.5, 0.5, 0.25, 0, 0], atol=1e-15
    )
    nested = rates(lambda o: optim.WarmupLR(o, 2, optim.WarmupLR(o, 2)), 5)
    assert nested == [0.25, 0.5, 0.25, 0.5, 0.5, 0.5]


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


# --- what must not go wrong in silence -----------------------------------------------------------------


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


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "AdamW"])
@pytest.mark.parametrize(
    ("replacement", "kind", "text"),
    [
        ("read-only", ValueError, r"\.data of parameter 1 \(float64 \(2,\)\) is read-only"),
        (np.ones(3), ValueError, r"parameter 1 was float64 \(2,\) .* its data is now float64 \(3,\)"),
        (np.ones(2, np.float32), ValueError, r"parameter 1 was float64 \(2,\) .* now float32 \(2,\)"),
    ],
)
def test_a_step_that_cannot_be_done_writes_nothing(name, replacement, kind, text):
    a, b = leaf(np.ones(2)), leaf(np.ones(2))
    optimizer = getattr(optim, name)([a, b], lr=0.1)
    a.grad, b.grad = np.ones(2), np.ones(2)
    optimizer.step()
    kept, state = a.data.copy(), optimizer.state_dict()
    if isinstance(replacement, str):
        b.data.flags.writeable = False
    else:
        b.data = replacement
        b.grad = np.ones(replacement.shape, replacement.dtype)
    with pytest.raises(kind, match=text):
        optimizer.step()
    np.testing.assert_array_equal(a.data, kept)
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, state[key])


@pytest.mark.parametrize(
    ("name", "options", "change", "text"),
    [
        ("Adam", {}, {"v.0": np.array([1.0, -1e-9])}, r"v\.0 has entries that are NaN or below 0"),
        ("RMSprop", {}, {"v.0": np.array([1.0, -1.0])}, r"v\.0 has entries that are NaN or below 0"),
        ("Adam", {}, {"m.0": np.array([1.0, math.nan])}, r"m\.0 has entries that are NaN"),
        ("Adam", {}, {"v.0": np.array([1.0, math.nan])}, r"v\.0 has entries that are NaN"),
        ("SGD", {"lr": 0.1, "momentum": 0.5}, {"velocity.0": np.full(2, math.nan)}, r"velocity\.0 has entries"),
        ("SGD", {"lr": 0.1, "momentum": 0.5}, {"nesterov": np.array(0.5)}, "nesterov must be one of 0, 1, not 0.5"),
        ("Adam", {}, {"m.0": "abc"}, r"m\.0: expected numbers"),
        ("Adam", {}, {"m.0": [[1.0], [1.0, 2.0]]}, r"m\.0: "),
        ("Adam", {}, {"m.0": None}, r"m\.0: expected numbers"),
        ("Adam", {}, {"m.0": np.ones(2, complex)}, r"m\.0: expected numbers"),
        ("Adam", {}, {"step.0": np.array(2.0)}, r"step\.0 is int64 \(\) here, float64"),
    ],
)
def test_impossible_memories_are_refused_whole(name, options, change, text):
    optimizer = run(name, leaf(np.ones(2)), [np.ones(2)] * 2, options)
    before = optimizer.state_dict()
    other = run(name, leaf(np.ones(2)), [np.ones(2)] * 5, {**options, "lr": 0.7}).state_dict()
    with pytest.raises(ValueError, match=text):
        optimizer.load_state_dict({**other, **change})
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])
    with pytest.raises(TypeError, match="must map names to arrays"):
        optimizer.load_state_dict(list(other))
    optimizer.load_state_dict({key: array.astype(array.dtype.newbyteorder(">")) for key, array in other.items()})
    for key, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, other[key])


# --- schedules within schedules ------------------------------------------------------------------------


LOW = 0.037  # a last rate that is no multiple of the base rates drawn


@st.composite
def schedules(draw: Any, depth: int = 3) -> Any:
    """A function from an optimiser to a schedule on it, nested up to ``depth`` times."""
    kind = draw(st.sampled_from(["warmup", "step", "exponential", "cosine"] + ["warmup"] * depth))
    whole, gamma = draw(st.integers(1, 5)), draw(st.floats(0, 2))
    if kind == "step":
        return lambda o: optim.StepLR(o, whole, gamma)
    if kind == "exponential":
        return lambda o: optim.ExponentialLR(o, gamma)
    if kind == "cosine":
        return lambda o: optim.CosineLR(o, whole, LOW)
    after = draw(schedules(depth - 1)) if depth and draw(st.integers(0, 4)) else None
    return lambda o: optim.WarmupLR(o, whole, None if after is None else after(o))


@settings(max_examples=50)
@given(schedules(), st.floats(0, 10), st.floats(0, 10), st.integers(0, 20))
def test_any_schedule_interrupted_anywhere_resumes_to_the_bit(make, lr, other_lr, cut):
    optimizer = optim.SGD([leaf([1.0])], lr=lr)
    schedule, expected, states = make(optimizer), [], []
    for _ in range(24):
        expected.append(optimizer.lr)
        states.append((optimizer.state_dict(), schedule.state_dict()))
        schedule.step()
    resumed = optim.SGD([leaf([1.0])], lr=other_lr)
    schedule = make(resumed)
    resumed.load_state_dict(states[cut][0])
    schedule.load_state_dict(states[cut][1])
    for rate in expected[cut:]:
        assert resumed.lr == rate
        schedule.step()


def test_factors_and_rates_that_no_optimiser_can_use_are_refused():
    def sgd(lr: Any = 0.5) -> optim.SGD:
        optimizer = optim.SGD([leaf([1.0])], lr=0.5)
        optimizer.lr = lr
        return optimizer

    for make, kind, text in [
        (lambda: optim.StepLR(sgd(), 1, -0.1), ValueError, "StepLR: gamma .* -0.1"),
        (lambda: optim.StepLR(sgd(), True), ValueError, "step_size .* True"),
        (lambda: optim.ExponentialLR(sgd(), math.nan), ValueError, "ExponentialLR: gamma"),
        (lambda: optim.ExponentialLR(sgd(), "0.9"), TypeError, "gamma .* str"),
        (lambda: optim.CosineLR(sgd(), 3, -1e-9), ValueError, "CosineLR: min_lr"),
        (lambda: optim.CosineLR(sgd(-0.5), 3), ValueError, "after 0 steps .* -0.5"),
        (lambda: optim.StepLR([leaf([1.0])], 3), TypeError, "StepLR: optimizer .* list"),
        (lambda: optim.WarmupLR(sgd(), 3, after=0.5), TypeError, "after .* float"),
        (lambda: optim.WarmupLR(sgd(), 3, optim.StepLR(sgd(), 1)), ValueError, "same optimiser"),
    ]:
        with pytest.raises(kind, match=text):
            make()
    optimizer = sgd()
    schedule = optim.ExponentialLR(optimizer, 1e200)
    schedule.step()
    kept = optimizer.lr, schedule.count
    with pytest.raises(ValueError, match=r"after 2 steps .* inf"):
        schedule.step()
    assert (optimizer.lr, schedule.count) == kept


def test_a_state_of_another_kind_of_schedule_is_refused():
    optimizer = optim.SGD([leaf([1.0])], lr=0.5)
    step, cosine = optim.StepLR(optimizer, 2), optim.CosineLR(optimizer, 5)
    warm_step, warm_cosine = optim.WarmupLR(optimizer, 2, step), optim.WarmupLR(optimizer, 2, cosine)
    for schedule, other, text in ((cosine, step, "kind"), (warm_cosine, warm_step, r"after\.kind")):
        before = schedule.state_dict()
        with pytest.raises(ValueError, match=rf"{text} is b'StepLR' in the state and b'CosineLR'"):
            schedule.load_state_dict({**other.state_dict(), "count": np.array(3)})
        with pytest.raises(ValueError, match="base_lr is missing"):
            schedule.load_state_dict({key: value for key, value in before.items() if "base_lr" not in key})
        np.testing.assert_equal(schedule.state_dict(), before)
    old = {name: array for name, array in step.state_dict().items() if "kind" not in name}
    step.load_state_dict({**old, "count": np.array(4)})
    assert step.count == 4


@pytest.mark.parametrize(("name", "options"), METHODS, ids=NAMES)
@pytest.mark.parametrize("layout", ["several blocks", "in columns", "strided"])
def test_any_layout_is_trained_as_its_entries_are(name, options, layout):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, base._BLOCK // 3))
    grads = [rng.normal(size=start.shape) for _ in range(3)]
    lay = {"several blocks": np.ascontiguousarray, "in columns": np.asfortranarray}.get(layout, lambda a: a)
    p, few = leaf(lay(start)), [leaf(start[i, :3]) for i in range(7)]
    if layout == "strided":
        p.data = np.repeat(start, 2, axis=1)[:, ::2]
    array = p.data
    run(name, p, [lay(g) for g in grads], options)
    assert p.data is array
    for i, part in enumerate(few):
        run(name, part, [g[i, :3] for g in grads], options)
        np.testing.assert_allclose(array[i, :3], part.data, rtol=1e-12)
