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


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("before", [0, 3])
def test_a_step_after_a_closure_that_raised_is_as_if_it_had_not(search, before):
    """It raises in the second call, the first one of an iteration."""
    weights = [mg.tensor(np.array([-1.2, 1.0]), requires_grad=True) for _ in range(2)]
    lbfgs, undisturbed = (optim.LBFGS([p], lr=0.1, max_iter=2, history_size=2, line_search_fn=search) for p in weights)
    for p, optimizer in zip(weights, (lbfgs, undisturbed), strict=True):
        descend(optimizer, p, valley, before)
    calls = iter([valley])
    with pytest.raises(StopIteration):
        descend(lbfgs, weights[0], lambda p: next(calls)(p), 1)
    ours, expected = lbfgs.state_dict(), undisturbed.state_dict()
    assert ours.pop("func_evals") == expected.pop("func_evals") + 1
    np.testing.assert_equal(ours, expected)
    found, wanted = (descend(o, p, valley, 3) for p, o in zip(weights, (lbfgs, undisturbed), strict=True))
    np.testing.assert_array_equal(found, wanted)


P, Q = (mg.tensor([1.0], requires_grad=True) for _ in range(2))


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: optim.LBFGS([{"params": [P]}, {"params": [Q]}]), ValueError, "only one parameter group"),
        (lambda: optim.LBFGS([P]).add_param_group({"params": [Q]}), ValueError, "only one parameter group"),
        *((lambda n=n: optim.LBFGS([P], max_iter=n), ValueError, f"LBFGS: max_iter .* 1, not {n!r}")
          for n in (0, 2.0, True, "5", None)),
        (lambda: optim.LBFGS([P], history_size=1.5), ValueError, "history_size .* 1"),
        (lambda: optim.LBFGS([P], line_search_fn="wolfe"), ValueError, "'strong_wolfe', not 'wolfe'"),
        (lambda: optim.LBFGS([P], lr=-1), ValueError, "lr must be finite"),
        (lambda: optim.LBFGS([P]).step(), TypeError, "pass a closure"),
        (lambda: optim.LBFGS([P]).step(lambda: None), TypeError, "closure returns must be a number"),
        (lambda: optim.LBFGS([P]).step(lambda: np.ones(2)), TypeError, "closure returns must be a number"),
    ],
)  # fmt: skip
def test_refusals(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


def test_the_state_is_refused_whole_or_loaded():
    p = mg.tensor([1.0], requires_grad=True)
    lbfgs, fresh = optim.LBFGS([p], max_iter=np.int64(2), line_search_fn="strong_wolfe"), optim.LBFGS([p])
    descend(lbfgs, p, lambda p: (p**4).sum(), 3)
    state, before = lbfgs.state_dict(), fresh.state_dict()
    for change, text in [({"s": np.ones((1, 2), "float32")}, r"s is float32 \(\d, 1\) here, float32 \(1, 2\)"),
                         ({"gradient": np.float32([math.nan])}, "gradient must be finite"),
                         ({"n_iter": np.array(-1)}, "n_iter must be finite"),
                         ({"max_iter": np.array(1.5)}, "max_iter .* 1, not 1.5"),
                         ({"line_search_fn": np.array(2.0)}, "line_search_fn must be one of 0, 1")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            fresh.load_state_dict({**state, **change})
        np.testing.assert_equal(fresh.state_dict(), before)
    fresh.load_state_dict(state)
    assert repr(fresh) == repr(lbfgs)
