"""L-BFGS step for step beside PyTorch's, its line search, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from minigrad.optim.lbfgs import Trial, strong_wolfe
from tests.peers import Peer

PYTORCH = Peer(__name__)


def valley(p):
    """Rosenbrock's function of any number of variables."""
    return (100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2).sum()


def quadratic(p):
    return (p * p * np.arange(1.0, 5.0)).sum() + p.sum()


def descend(optimizer, p, f, steps):
    """Where each step ends."""
    found = []
    for _ in range(steps):

        def closure():
            optimizer.zero_grad()
            loss = f(p)
            loss.backward()
            return loss

        optimizer.step(closure)
        found.append(np.array(p.data))
    return np.array(found)


OPTIONS = [
    ("quadratic", {"lr": 0.3, "max_iter": 1}),
    ("quadratic", {"lr": 0.5, "max_iter": 4, "history_size": 1}),
    ("quadratic", {"max_iter": 3, "history_size": 2, "line_search_fn": "strong_wolfe"}),
    ("valley", {"max_iter": 3, "line_search_fn": "strong_wolfe"}),
    ("valley", {"max_iter": 4, "max_eval": 4, "line_search_fn": "strong_wolfe"}),
    ("valley", {"lr": 1e-3, "max_eval": 1}),
    ("valley", {"lr": 1e-3, "max_eval": 1, "line_search_fn": "strong_wolfe"}),
    ("valley", {"lr": 1e-3, "max_iter": 2, "line_search_fn": "strong_wolfe"}),
    ("valley", {"lr": 30.0, "max_iter": 2, "line_search_fn": "strong_wolfe"}),
    ("valley", {"tolerance_change": 1e-3, "tolerance_grad": 1e-2, "line_search_fn": "strong_wolfe"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_each_step_is_pytorchs(name, options):
    def theirs(torch, start, weights):
        p = torch.tensor(start, requires_grad=True)
        f = {"valley": valley, "quadratic": lambda p: (p * p * torch.tensor(weights)).sum() + p.sum()}[name]
        optimizer, found = torch.optim.LBFGS([p], **options), []
        for _ in range(12):

            def closure():
                optimizer.zero_grad()
                loss = f(p)
                loss.backward()
                return loss

            optimizer.step(closure)
            found.append(p.detach().clone())
        return torch.stack(found), torch.tensor(optimizer.state[p]["func_evals"])

    start = np.array([-1.2, 1.0, 0.5, -0.3])
    answer = PYTORCH.ask(f"{name} {options}", theirs, [start, np.arange(1.0, 5.0)], within=1e-9)
    p = mg.tensor(start, requires_grad=True)
    lbfgs = optim.LBFGS([p], **options)
    found = descend(lbfgs, p, globals()[name], 12)
    np.testing.assert_allclose(found, answer.expected[0], rtol=1e-9, atol=1e-9)
    assert lbfgs.func_evals == answer.expected[1]


def test_a_line_search_ends_where_the_wolfe_conditions_hold():
    for f, slope, first in [
        (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3), 1e-3),
        (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3), 1e3),
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2, 10.0),  # of Moré and Thuente
        (lambda t: t**4 - t, lambda t: 4 * t**3 - 1, 5.0),
        (lambda t: -math.log(t + 1) if t < 2 else math.inf, lambda t: -1 / (t + 1) if t < 2 else math.nan, 8.0),
        (lambda t: -math.log(t + 1) if t < 2 else math.nan, lambda t: -1 / (t + 1) if t < 2 else math.nan, 8.0),
    ]:
        calls = []

        def trial(t, f=f, slope=slope, calls=calls):
            calls.append(t)
            return Trial(t, f(t), np.ones(1), slope(t))

        start = trial(0.0)
        found, tried = strong_wolfe(trial, start, first, 1.0, 1e-9, 25)
        assert tried == len(calls) - 1
        assert found.f <= start.f + 1e-4 * found.t * start.slope
        assert abs(found.slope) <= 0.9 * abs(start.slope)


def failing_in_call(optimizer, p, number):
    """A closure that raises a KeyError in one of its calls."""
    calls = []

    def closure():
        calls.append(p.data.copy())
        if len(calls) == number:
            raise KeyError
        optimizer.zero_grad()
        loss = valley(p)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_step_after_a_closure_that_raised_is_as_if_it_had_not(search, before):
    def made():
        p = mg.tensor(np.array([-1.2, 1.0]), requires_grad=True)
        lbfgs = optim.LBFGS([p], lr=0.1, max_iter=2, history_size=2, line_search_fn=search)
        descend(lbfgs, p, valley, before)
        return p, lbfgs

    (p, lbfgs), (q, undisturbed) = made(), made()
    for _ in range(2):
        with pytest.raises(KeyError):
            lbfgs.step(failing_in_call(lbfgs, p, 2))  # the first one of the first iteration
    ours, expected = lbfgs.state_dict(), undisturbed.state_dict()
    assert ours.pop("func_evals") == expected.pop("func_evals") + 2
    for key, array in expected.items():
        np.testing.assert_array_equal(ours[key], array, err_msg=key)
    np.testing.assert_array_equal(descend(lbfgs, p, valley, 3), descend(undisturbed, q, valley, 3))


@pytest.mark.parametrize("options", [{}, {"max_iter": 3, "tolerance_change": 0.0}], ids=str)
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_a_rate_of_zero_moves_nothing(search, options):
    p = mg.tensor(np.array([-1.2, 1.0]), requires_grad=True)
    lbfgs = optim.LBFGS([p], lr=0.5, max_iter=2, line_search_fn=search)
    (there,) = descend(lbfgs, p, valley, 1)
    lbfgs.param_groups[0].update(lr=0.0, **options)
    np.testing.assert_array_equal(descend(lbfgs, p, valley, 3), [there] * 3)
    fresh = optim.LBFGS([p], lr=0, line_search_fn=search)
    np.testing.assert_array_equal(descend(fresh, p, valley, 2), [there] * 2)
    lbfgs.lr = 0.5
    assert valley(mg.tensor(descend(lbfgs, p, valley, 20)[-1])).item() < valley(mg.tensor(there)).item()


@pytest.mark.parametrize("max_eval", [1, 2, 3, 6])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_the_closure_is_called_once_more_than_max_eval_at_most(search, max_eval):
    p = mg.tensor(np.array([-1.2, 1.0]), requires_grad=True)
    lbfgs = optim.LBFGS([p], lr=1e-3, max_eval=max_eval, line_search_fn=search)
    descend(lbfgs, p, valley, 1)
    assert lbfgs.func_evals == (max_eval + 1 if search or max_eval == 1 else max_eval)


def test_complaints():
    p, q = (mg.tensor([1.0], requires_grad=True) for _ in range(2))
    for make, kind, text in [
        (lambda: optim.LBFGS([{"params": [p]}, {"params": [q]}]), ValueError, "one group of parameters only"),
        (lambda: optim.LBFGS([p]).add_param_group({"params": [q]}), ValueError, "one group of parameters only"),
        (lambda: optim.LBFGS([p], max_iter=0), ValueError, "LBFGS: max_iter must be an integer of at least 1, not 0"),
        (lambda: optim.LBFGS([p], history_size=1.5), ValueError, "history_size must be an integer of at least 1"),
        (
            lambda: optim.LBFGS([p], line_search_fn="wolfe"),
            ValueError,
            "must be one of None, 'strong_wolfe', not 'wolfe'",
        ),
        (lambda: optim.LBFGS([p], lr=-1), ValueError, "lr must be finite"),
        (lambda: optim.LBFGS([p]).step(), TypeError, "pass a closure"),
        (lambda: optim.LBFGS([p]).step(lambda: None), TypeError, "what the closure returns must be a number"),
        (lambda: optim.LBFGS([p]).step(lambda: np.ones(2)), TypeError, "what the closure returns must be a number"),
    ]:
        with pytest.raises(kind, match=text):
            make()
    lbfgs = optim.LBFGS([p], max_iter=2, line_search_fn="strong_wolfe")
    descend(lbfgs, p, lambda p: (p**4).sum(), 3)
    state = lbfgs.state_dict()
    fresh = optim.LBFGS([p])
    before = fresh.state_dict()
    for change, text in [({"s": np.ones((1, 2), "float32")}, r"s is float32 \(\d, 1\) here, float32 \(1, 2\)"),
                         ({"gradient": np.float32([math.nan])}, "gradient must be finite"),
                         ({"n_iter": np.array(-1)}, "n_iter must be finite, and a count must not be negative"),
                         ({"max_iter": np.array(1.5)}, "max_iter must be an integer of at least 1, not 1.5"),
                         ({"line_search_fn": np.array(2.0)}, "line_search_fn must be one of 0, 1")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            fresh.load_state_dict({**state, **change})
        for key, array in fresh.state_dict().items():
            np.testing.assert_array_equal(array, before[key])
    fresh.load_state_dict(state)
    assert fresh.line_search_fn == "strong_wolfe"
    assert repr(fresh) == repr(lbfgs)
