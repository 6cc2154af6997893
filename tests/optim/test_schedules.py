"""Schedules beside PyTorch's, nested and resumed; what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


def leaf(array: Any) -> mg.Tensor:
    return mg.tensor(array, requires_grad=True)


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
        (lambda: optim.StepLR(sgd(), 0), ValueError, "step_size"),
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
            schedule.load_state_dict({**other.state_dict(), "count": 3})
        with pytest.raises(ValueError, match="base_lr is missing"):
            schedule.load_state_dict({key: value for key, value in before.items() if "base_lr" not in key})
        np.testing.assert_equal(schedule.state_dict(), before)
    old = {name: array for name, array in step.state_dict().items() if "kind" not in name}
    step.load_state_dict({**old, "count": 4})
    assert step.count == 4


# --- cycles and plateaus -------------------------------------------------------------------------------


def made(name="Adam", groups=2, **options):
    params = [mg.tensor([1.0], requires_grad=True) for _ in range(groups)]
    return getattr(optim, name)([{"params": [p], "lr": 0.1 * (k + 1)} for k, p in enumerate(params)], lr=0.1, **options)


def their_optimizer(torch, name, **options):
    params = [torch.ones(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": [p], "lr": 0.1 * (k + 1)} for k, p in enumerate(params)]
    return getattr(torch.optim, name)(groups, lr=0.1, **options)


def rates_and_momenta(optimizer):
    """The rate of each group and its momentum."""
    return [[g["lr"], g["betas"][0] if "betas" in g else g["momentum"]] for g in optimizer.param_groups]


CYCLES = [
    {"max_lr": 0.5, "total_steps": 40},
    {"max_lr": [0.5, 2.0], "epochs": 8, "steps_per_epoch": 5, "pct_start": 0.4, "anneal_strategy": "linear"},
    {"max_lr": 1.0, "total_steps": 40, "three_phase": True, "div_factor": 10.0, "final_div_factor": 100.0},
    {"max_lr": 1.0, "total_steps": 40, "cycle_momentum": False},
    {"max_lr": 1.0, "total_steps": 40, "base_momentum": 0.5, "max_momentum": [0.9, 0.8]},
]


@pytest.mark.parametrize("options", CYCLES, ids=str)
@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_a_cycle_is_pytorchs(name, options):
    momentum = {"momentum": 0.9} if name == "SGD" else {}

    def theirs(torch):
        optimizer = their_optimizer(torch, name, **momentum)
        schedule, found = torch.optim.lr_scheduler.OneCycleLR(optimizer, **options), []
        for _ in range(40):
            found.append(rates_and_momenta(optimizer))
            optimizer.step()
            schedule.step()
        return torch.tensor(found, dtype=torch.float64)

    expected = PYTORCH.ask(f"cycle {name} {options}", theirs).expected
    optimizer = made(name, **momentum)
    schedule, found = optim.OneCycleLR(optimizer, **options), []
    for _ in range(40):
        found.append(rates_and_momenta(optimizer))
        schedule.step()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for _ in range(3):
        assert rates_and_momenta(optimizer) == found[-1]
        schedule.step()


PLATEAUS = [
    {"patience": 2},
    {"patience": 0, "factor": 0.5, "cooldown": 3, "min_lr": [0.03, 0.01]},
    {"mode": "max", "patience": 1, "factor": 0.7, "threshold": 0.1},
    {"threshold_mode": "abs", "threshold": 0.05, "patience": 3, "cooldown": 1},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.2, "patience": 1, "factor": 0.9, "eps": 0.01},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateaus_are_pytorchs(options):
    def theirs(torch, metrics):
        optimizer = their_optimizer(torch, "SGD")
        schedule, found = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options), []
        for metric in metrics:
            schedule.step(metric)
            found.append([g["lr"] for g in optimizer.param_groups])
        return torch.tensor(found, dtype=torch.float64)

    metrics = np.cumsum(np.random.default_rng(0).normal(size=100)) / 10
    metrics[20], metrics[21] = math.nan, math.inf
    answer = PYTORCH.ask(f"plateau {options}", theirs, [metrics])
    optimizer = made("SGD")
    schedule, found = optim.ReduceOnPlateau(optimizer, **options), []
    for metric in answer.inputs[0]:
        schedule.step(mg.tensor(metric))
        found.append([g["lr"] for g in optimizer.param_groups])
    np.testing.assert_allclose(found, answer.expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: optim.OneCycleLR(made(), 1.0), ValueError, "pass total_steps, or both epochs and steps_per_epoch"),
        (lambda: optim.OneCycleLR(made(), 1.0, 0), ValueError, "total_steps must be an integer of at least 1"),
        (
            lambda: optim.OneCycleLR(made(), [1.0], 5),
            ValueError,
            "max_lr has 1 numbers for 2 parameter groups",
        ),
        (lambda: optim.OneCycleLR(made(), 1.0, 5, pct_start=1.5), ValueError, r"pct_start must be in \[0, 1\]"),
        (
            lambda: optim.OneCycleLR(made(), 1.0, 5, anneal_strategy="exp"),
            ValueError,
            "must be one of 'cos', 'linear', not 'exp'",
        ),
        (lambda: optim.OneCycleLR(made(), 1.0, 5, div_factor=0), ValueError, "div_factor must be finite and above 0"),
        (lambda: optim.OneCycleLR(made(), 1.0, 5, max_momentum=1.0), ValueError, r"momentum must be in \[0, 1\)"),
        (lambda: optim.OneCycleLR(made("SGD"), 1.0, 5), ValueError, "group 0 of SGD has no momentum to cycle"),
        (lambda: optim.OneCycleLR(made(), "1", 5), TypeError, "max_lr must be a number"),
        (lambda: optim.OneCycleLR(None, 1.0, 5), TypeError, "OneCycleLR: optimizer must be an optimiser, not None"),
        (lambda: optim.ReduceOnPlateau([]), TypeError, "ReduceOnPlateau: optimizer must be an optimiser, not list"),
        (lambda: optim.ReduceOnPlateau(made(), "low"), ValueError, "mode must be one of 'min', 'max', not 'low'"),
        (lambda: optim.ReduceOnPlateau(made(), threshold_mode="x"), ValueError, "threshold_mode must be"),
        (lambda: optim.ReduceOnPlateau(made(), factor=1.0), ValueError, r"factor must be in \[0, 1\)"),
        (lambda: optim.ReduceOnPlateau(made(), patience=-1), ValueError, "patience must be an integer of at least 0"),
        (lambda: optim.ReduceOnPlateau(made(), min_lr=[0.1]), ValueError, "min_lr has 1 numbers"),
        (lambda: optim.ReduceOnPlateau(made()).step([1.0]), TypeError, "metric must be a number"),
    ],
)
def test_refusals_of_cycles_and_plateaus(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


def test_a_schedule_does_not_undo_a_reduction():
    optimizer = made("SGD")
    warmup = optim.WarmupLR(optimizer, 2, optim.ExponentialLR(optimizer, 0.5))
    plateau = optim.ReduceOnPlateau(optimizer, patience=0)
    for metric in (2.0, 1.0):
        warmup.step()
        plateau.step(metric)
    plateau.step(1.0)
    reduced = rates_and_momenta(optimizer)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"WarmupLR\.step: ReduceOnPlateau .* 0\.01\d*, 0\.02\d*"):
            warmup.step()
        assert (rates_and_momenta(optimizer), warmup.count) == (reduced, 2)
    optim.ExponentialLR(optimizer, 0.5).step()  # from the rates as they are
    assert rates_and_momenta(optimizer)[0][0] == pytest.approx(reduced[0][0] / 2)
