"""Each optimiser beside PyTorch's, with groups; and interrupted halfway, to the bit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


STEPS = 40


PENALTY = 0.06  # of squared weights: without, rounding would decide where a valley is left


# Options of all groups, and those of the second one.
METHODS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 0.02}, {"lr": 0.01, "weight_decay": 0.1}),
    "SGD with momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}, {"lr": 0.002, "nesterov": True, "weight_decay": 0.1}),
    "SGD with momentum of one group": ("SGD", {"lr": 0.02}, {"lr": 0.005, "momentum": 0.8}),
    "RMSprop": ("RMSprop", {"lr": 0.01, "eps": 0.1}, {"lr": 0.002, "alpha": 0.9, "weight_decay": 0.1}),
    "RMSprop with momentum": ("RMSprop", {"lr": 0.003, "momentum": 0.5}, {"eps": 1e-3, "momentum": 0.0}),
    "Adagrad": ("Adagrad", {"lr": 0.1}, {"lr": 0.3, "weight_decay": 0.1}),
    "Adagrad with a decay": ("Adagrad", {"lr": 0.2, "lr_decay": 0.05, "initial_accumulator_value": 0.1}, {"eps": 1e-2}),
    "Adam": ("Adam", {"lr": 0.02}, {"lr": 0.005, "weight_decay": 0.1, "betas": (0.8, 0.99)}),
    "AdamW": ("AdamW", {"lr": 0.02, "weight_decay": 0.01}, {"lr": 0.005, "weight_decay": 0.3}),
    "Lion": ("Lion", {"lr": 0.01, "weight_decay": 0.1}, {"lr": 0.003, "betas": (0.8, 0.95)}),
    "LBFGS": ("LBFGS", {"lr": 0.5, "max_iter": 2, "history_size": 20}, {}),
    "LBFGS with a line search": ("LBFGS", {"max_iter": 2, "history_size": 20, "line_search_fn": "strong_wolfe"}, {}),
}


def data(dtype: str = "float64") -> list[np.ndarray]:
    """Inputs, targets and the weights of a small network, and of its second layer."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    shapes = [(3, 6), (6,), (6, 1), (1,)]
    return [a.astype(dtype) for a in (x, np.sin(x.sum(1, keepdims=True)), *(0.5 * rng.normal(size=s) for s in shapes))]


def groups(weights: list[Any], other: dict[str, Any]) -> list[Any]:
    return [{"params": weights[:2]}, {"params": weights[2:], **other}] if other else weights


class Training:
    """A small network, an optimiser, a schedule, and an average of the weights."""

    def __init__(self, key: str, arrays: list[np.ndarray], make_schedule: Any = None) -> None:
        name, options, other = METHODS[key]
        self.x, self.y, *weights = arrays
        self.weights = [mg.tensor(w, requires_grad=True) for w in weights]
        self.optimizer = getattr(optim, name)(groups(self.weights, other), **options)
        self.schedule = make_schedule(self.optimizer) if make_schedule else None
        self.average = optim.EMA(self.weights, 0.9)

    def loss(self) -> mg.Tensor:
        self.optimizer.zero_grad()
        w, b, v, c = self.weights
        loss = mg.mse_loss(mg.tanh(self.x @ w + b) @ v + c, self.y)
        loss = loss + PENALTY * ((w * w).sum() + (v * v).sum())
        loss.backward()
        return loss

    def run(self, steps: int) -> None:
        for _ in range(steps):
            loss = self.optimizer.step(self.loss)
            if isinstance(self.schedule, optim.ReduceOnPlateau):
                self.schedule.step(loss)
            elif self.schedule:
                self.schedule.step()
            self.average.update()

    def parts(self) -> dict[str, Any]:
        parts = {"optimizer": self.optimizer, "average": self.average, "schedule": self.schedule}
        return {name: part for name, part in parts.items() if part is not None}

    def save(self, path: Path) -> None:
        state = {f"{k}/{n}": a for k, part in self.parts().items() for n, a in part.state_dict().items()}
        mg.save(path, {**state, **{f"weights/{i}": w for i, w in enumerate(self.weights)}})

    def load(self, path: Path) -> None:
        state = mg.load(path)
        for i, w in enumerate(self.weights):
            w.data[...] = state[f"weights/{i}"]
        for kind, part in self.parts().items():
            part.load_state_dict({n.removeprefix(f"{kind}/"): a for n, a in state.items() if n.startswith(f"{kind}/")})

    def everything(self) -> list[np.ndarray]:
        states = [a for part in self.parts().values() for a in part.state_dict().values()]
        return [w.data.copy() for w in self.weights] + states


def theirs(torch: Any, *arrays: Any, name: str, options: Any, other: Any) -> Any:
    """Every fourth loss and the last weights of the same training in PyTorch."""
    x, y, *weights = (torch.tensor(a, requires_grad=i > 1) for i, a in enumerate(arrays))
    optimizer = getattr(torch.optim, name)(groups(weights, other), **options)

    def loss() -> Any:
        optimizer.zero_grad()
        w, b, v, c = weights
        loss = ((torch.tanh(x @ w + b) @ v + c - y) ** 2).mean() + PENALTY * ((w * w).sum() + (v * v).sum())
        loss.backward()
        return loss

    return torch.tensor([optimizer.step(loss).item() for _ in range(STEPS)][::4], dtype=torch.float64), weights


def book_lion(p, grads, lr, betas, weight_decay):
    m = np.zeros_like(p)
    for g in grads:
        c = betas[0] * m + (1 - betas[0]) * g
        p = p - lr * (np.sign(c) + weight_decay * p)
        m = betas[1] * m + (1 - betas[1]) * g
    return p


PAIRS = [(key, "float64") for key in METHODS if key != "Lion"]


PAIRS += [(key, "float32") for key, _ in PAIRS if "LBFGS" not in key]  # whose ends depend on rounding


@pytest.mark.parametrize(("key", "dtype"), PAIRS)
def test_steps_are_pytorchs(key, dtype):
    name, options, other = METHODS[key]

    def ask(torch, *arrays):
        return theirs(torch, *arrays, name=name, options=options, other=other)

    answer = PYTORCH.ask(f"{key} {dtype}", ask, data(dtype), within=1e-9 if dtype == "float64" else 1e-3)
    training = Training(key, answer.inputs)
    losses = [training.optimizer.step(training.loss).item() for _ in range(STEPS)][::4]
    expected, weights = answer.expected
    tolerance = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(losses, expected, rtol=tolerance, atol=tolerance * losses[0])
    for p, w in zip(training.weights, weights, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p.data, w, rtol=tolerance, atol=tolerance)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_lion_as_its_paper_writes_it(dtype):
    rng = np.random.default_rng(1)
    start, grads = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=(STEPS, 3, 4)).astype(dtype)
    options = {"lr": 1e-3, "betas": (0.9, 0.99), "weight_decay": 0.1}
    p = mg.tensor(start, requires_grad=True)
    lion = optim.Lion([p], **options)
    for g in grads:
        p.grad = g
        lion.step()
    expected = book_lion(start.astype("float64"), grads.astype("float64"), **options)
    np.testing.assert_allclose(p.data, expected, atol={"float16": 0.05, "float32": 1e-5, "float64": 1e-13}[dtype])


SCHEDULES = {
    "none": None,
    "StepLR": lambda o: optim.StepLR(o, 30, 0.5),
    "CosineLR after WarmupLR": lambda o: optim.WarmupLR(o, 20, optim.CosineLR(o, 150, 1e-3)),
    "ExponentialLR": lambda o: optim.ExponentialLR(o, 0.99),
    "ReduceOnPlateau": lambda o: optim.ReduceOnPlateau(o, factor=0.5, patience=2, threshold=0.05, cooldown=3),
    "OneCycleLR": lambda o: optim.OneCycleLR(o, 0.02, STEPS, cycle_momentum="betas" in o.param_groups[0]),
}


RUNS = [(key, "none") for key in METHODS] + [("Adam", schedule) for schedule in SCHEDULES if schedule != "none"]


@pytest.mark.parametrize(("key", "schedule"), RUNS)
def test_a_training_goes_on_from_a_file_to_the_bit(key, schedule, tmp_path):
    whole, resumed = (Training(key, data("float32"), SCHEDULES[schedule]) for _ in range(2))
    whole.run(STEPS // 2)
    whole.save(tmp_path / "state.safetensors")
    resumed.load(tmp_path / "state.safetensors")
    for training in (whole, resumed):
        training.run(STEPS // 2)
    for mine, other in zip(resumed.everything(), whole.everything(), strict=True):
        assert mine.tobytes() == other.tobytes()


# --- groups ----------------------------------------------------------------------------------------------


def leaf(array=(1.0, 2.0)):
    return mg.tensor(np.array(array), requires_grad=True)


def test_an_option_as_attribute_is_that_of_all_groups():
    sgd = optim.SGD([{"params": [leaf()]}, {"params": [leaf()]}], lr=0.1, momentum=0.5)
    sgd.lr = 0.2
    assert [group["lr"] for group in sgd.param_groups] == [0.2, 0.2]
    sgd.param_groups[1]["lr"] = 0.4
    for use in (lambda: sgd.lr, lambda: setattr(sgd, "lr", 0.3)):
        with pytest.raises(ValueError, match=r"SGD: lr is 0\.2, 0\.4 .*param_groups"):
            use()
    assert [group["lr"] for group in sgd.param_groups] == [0.2, 0.4]
    assert sgd.momentum == 0.5
    assert re.findall(r"lr=([\d.]+)", repr(sgd)) == ["0.2", "0.4"]


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (
            lambda a, b: [{"params": [a]}, b],
            TypeError,
            "SGD: group 1: a group must be a dict with 'params' and options, not tensor",
        ),
        (lambda a, b: {"params": [a]}, TypeError, "SGD: parameter 0 must be a Tensor, not str"),
        (
            lambda a, b: [{"params": [a]}, {"lr": 1.0}],
            TypeError,
            r"SGD: group 1: a group must be a dict with 'params' and options, not \{'lr': 1.0",
        ),
        (
            lambda a, b: [{"lr": 1.0}],
            TypeError,
            r"SGD: a group must be a dict with 'params' and options, not \{'lr': 1.0",
        ),
        (lambda a, b: [{}], TypeError, r"SGD: a group must be a dict with 'params' and options, not \{\}"),
        (lambda a, b: 3, TypeError, "SGD: params must be an iterable of tensors, not int"),
        (lambda a, b: [{"params": [a]}, {"params": [a]}], ValueError, r"group 1: a parameter .* is in another group"),
        (lambda a, b: [{"params": [a], "rate": 1.0}], ValueError, "unknown option 'rate'. Options are lr, momentum"),
        (lambda a, b: [{"params": [a]}, {"params": [b], "lr": -1}], ValueError, "SGD: group 1: lr must be finite"),
        (
            lambda a, b: [{"params": [a]}, {"params": b}],
            TypeError,
            r"SGD: group 1: params must be .*Pass a list such as \[tensor\]",
        ),
        (lambda a, b: [{"params": [a], "nesterov": True}], ValueError, "nesterov needs a momentum"),
        (lambda a, b: [{"params": []}], ValueError, "SGD: there are no parameters"),
    ],
)
def test_groups_that_are_none(make, kind, text):
    with pytest.raises(kind, match=text):
        optim.SGD(make(leaf(), leaf()), lr=0.1)


def test_a_group_that_cannot_be_added_leaves_all_as_it_was():
    a, b = leaf(), leaf()
    adam = optim.Adam([a])
    for group, kind in [
        ({"params": [b, a]}, ValueError),
        ({"params": [b], "betas": (0.9, 1.0)}, ValueError),
        (b, TypeError),
    ]:
        with pytest.raises(kind):
            adam.add_param_group(group)
    assert adam.params == [a]
    options = ["lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"]
    assert list(adam.state_dict()) == [*options, "step.0", "m.0", "v.0"]
    adam.add_param_group({"params": [b]})
    assert len(adam.param_groups) == 2


def test_the_state_of_groups(tmp_path):
    def made(cut=1):
        params = [leaf(), leaf([3.0]), leaf([4.0])]
        return optim.SGD([{"params": params[:cut], "lr": 0.5}, {"params": params[cut:], "momentum": 0.9}], lr=0.1)

    sgd, other = made(), made()
    for p in sgd.params:
        p.grad = np.ones(p.shape)
    sgd.step()
    sgd.param_groups[1]["lr"] = 0.7
    state = sgd.state_dict()
    assert [name for name in state if "step" not in name and "group" not in name] == ["velocity.1", "velocity.2"]
    assert state["group.1.params"].tolist() == [1, 2]
    mg.save(tmp_path / "state", state)
    other.load_state_dict(mg.load(tmp_path / "state"))
    assert repr(other) == repr(sgd)
    np.testing.assert_equal(other.state_dict(), state)
    with pytest.raises(ValueError, match=r"group\.0\.params is int64 \(2,\) here, int64 \(1,\) in the state"):
        made(2).load_state_dict(state)


def test_schedules_scale_each_groups_own_rate():
    def made():
        sgd = optim.SGD([{"params": [leaf()]}, {"params": [leaf()], "lr": 0.1}], lr=1.0)
        return sgd, optim.WarmupLR(sgd, 2, optim.CosineLR(sgd, 2, min_lr=0.05))

    rates = lambda sgd: [group["lr"] for group in sgd.param_groups]  # noqa: E731
    (sgd, schedule), (other, again) = made(), made()
    found = [rates(sgd)]
    for _ in range(4):
        schedule.step()
        found.append(rates(sgd))
    np.testing.assert_allclose(found, [[0.5, 0.05], [1, 0.1], [1, 0.1], [0.525, 0.075], [0.05, 0.05]])
    assert schedule.base_lrs == [1.0, 0.1]
    again.load_state_dict(schedule.state_dict())
    assert rates(other) == rates(sgd)
    other.add_param_group({"params": [leaf()]})
    with pytest.raises(ValueError, match="3 parameter groups, but had 2"):
        again.step()
    assert (rates(other)[:2], again.count) == (rates(sgd), 4)
