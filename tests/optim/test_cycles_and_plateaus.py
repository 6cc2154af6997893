"""OneCycleLR and ReduceOnPlateau beside PyTorch's; what they refuse; their state."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


def made(name="Adam", groups=2, **options):
    params = [mg.tensor([1.0], requires_grad=True) for _ in range(groups)]
    return getattr(optim, name)([{"params": [p], "lr": 0.1 * (k + 1)} for k, p in enumerate(params)], lr=0.1, **options)


def their_optimizer(torch, name, **options):
    params = [torch.ones(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": [p], "lr": 0.1 * (k + 1)} for k, p in enumerate(params)]
    return getattr(torch.optim, name)(groups, lr=0.1, **options)


def rates(optimizer):
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
            found.append(rates(optimizer))
            optimizer.step()
            schedule.step()
        return torch.tensor(found, dtype=torch.float64)

    expected = PYTORCH.ask(f"cycle {name} {options}", theirs).expected
    optimizer = made(name, **momentum)
    schedule, found = optim.OneCycleLR(optimizer, **options), []
    for _ in range(40):
        found.append(rates(optimizer))
        schedule.step()
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for _ in range(3):
        assert rates(optimizer) == found[-1]
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
def test_complaints(make, kind, text):
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
    reduced = rates(optimizer)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"WarmupLR\.step: ReduceOnPlateau .* 0\.01\d*, 0\.02\d*"):
            warmup.step()
        assert (rates(optimizer), warmup.count) == (reduced, 2)
    optim.ExponentialLR(optimizer, 0.5).step()  # from the rates as they are
    assert rates(optimizer)[0][0] == pytest.approx(reduced[0][0] / 2)
